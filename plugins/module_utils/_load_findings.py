"""What keeps the CPUs busy, and what waits for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, clock, finding

_SATURATED = 90.0  # % of all CPUs
_STEAL = ((30.0, "critical"), (10.0, "warning"))  # % of all CPUs
_RUNAWAY = 80.0  # % of one CPU, that it takes or stands in line for
_NOTABLE = 20.0  # % of one CPU
_SHARE = 20.0  # % of all CPUs, of which there are not enough
_OVERLAPPING = 3  # runs of one cron job
_NAMED = 3

Facts = dict[str, Any]


def of_load(resources: Facts) -> Iterator[Finding]:
    """Given what _resources saw, say what takes the CPUs, or waits."""
    cpu, cpus = resources["cpu"], resources["cpus"] or 1
    saturated = (cpu["busy_percent"] or 0.0) >= _SATURATED
    found = [
        *_runaways(resources["jobs"], cpus, saturated),
        *_overlapping(resources["overlapping"]),
        *_busy(resources, saturated),
        *_stolen(cpu),
    ]
    yield from found
    load = resources["load1"]
    explained = any(one["kind"] in ("cpu", "process") and one["severity"] != "info" for one in found)
    if load and load > 2 * cpus and not explained:
        stuck = ", ".join(f"{one['name']} ({one['pid']})" for one in resources["stuck"][:_NAMED])
        why = f": {stuck} waits for a disk or a network file system" if stuck else ""
        text = f"load {load:.1f} on {cpus} CPUs, of which {_whole(cpu['busy_percent'])} are busy{why}"
        yield finding("warning", "load", text, load1=load, waiting=[one["name"] for one in resources["stuck"][:_NAMED]])


def _runaways(jobs: list[Facts], cpus: int, saturated: bool) -> Iterator[Finding]:
    """A job that takes a lot counts if it is a new one, or comes by the clock, or if there is not enough for the others."""
    for job in jobs:
        took, wanted = job["cpu_percent"], job["wanted_percent"]
        scheduled = bool(job["cron"] or job["timer"])
        suspect = scheduled or (job["young"] and not job["service"])
        if not (wanted >= _RUNAWAY if suspect else saturated and took / cpus >= _SHARE):
            continue
        severity = "critical" if saturated and scheduled else "warning"
        since = f" since {clock(job['started'])}" if job["started"] else ""
        more = f" and would take {wanted:.0f} %" if wanted > 1.5 * took else ""
        text = f"{job['name']} ({job['pid']}{_origin(job)}) takes {took:.0f} % of a CPU{more}{since}"
        about = {key: job[key] for key in ("name", "pid", "unit", "parent", "cpu_percent", "started")}
        yield finding(severity, "process", text, job["service"], job["started"], **about, scheduled=scheduled)


def _origin(job: Facts) -> str:
    if job["cron"]:
        where = "a job of cron"
    elif job["timer"]:
        where = f"{job['unit']}, by {job['timer']}"
    elif job["container"]:
        where = f"container {job['container']}"
    else:
        where = job["unit"] or (f"started by {job['parent']}" if job["parent"] else "")
    count = f", {job['processes']} processes" if job["processes"] > 1 else ""
    return f", {where}{count}" if where else count


def _overlapping(several: list[Facts]) -> Iterator[Finding]:
    for job in several:
        if job["count"] >= _OVERLAPPING:
            since = f", the oldest since {clock(job['since'])}" if job["since"] else ""
            text = f"the cron job {job['name']} runs {job['count']} times at once{since}"
            about = {"name": job["name"], "count": job["count"], "started": job["since"], "parent": "cron"}
            yield finding("warning", "process", text, None, job["since"], **about, scheduled=True)


def _busy(resources: Facts, saturated: bool) -> Iterator[Finding]:
    cpu, cpus = resources["cpu"], resources["cpus"]
    if saturated:
        first = max(resources["jobs"], key=lambda job: job["cpu_percent"], default=None)
        text = f"{_whole(cpu['busy_percent'])} of {cpus} CPU(s) are busy"
        if first and first["cpu_percent"] >= _NOTABLE:
            text += f": {first['name']} takes {first['cpu_percent']:.0f} % of one"
        yield finding("warning", "cpu", text, busy_percent=cpu["busy_percent"], running=cpu["running"])


def _stolen(cpu: Facts) -> Iterator[Finding]:
    for limit, severity in _STEAL:
        if (cpu["steal_percent"] or 0.0) >= limit:
            text = f"the hypervisor keeps back {_whole(cpu['steal_percent'])} of the CPUs' time"
            yield finding(severity, "cpu", text, steal_percent=cpu["steal_percent"])
            return


def _whole(percent: float | None) -> str:
    return "an unknown part" if percent is None else f"{percent:.0f} %"
