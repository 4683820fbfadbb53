"""What the processors do, and for which jobs: the difference of two readings of /proc."""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _cgroups, _procfs
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 5
_NOTICED = 3.0  # % of one CPU: what takes less is no part of a job that takes much
_LOOKED_AT = 60  # processes, those that take the most
_CRON = ("cron", "crond", "anacron", "atd", "fcron", "CRON")
_CRON_UNITS = ("cron.service", "crond.service", "atd.service", "anacron.service")
_LOGINS = ("sshd", "login", "su", "sudo")
_LOGIN_UNITS = ("ssh.service", "sshd.service")  # where logins have no scope of their own
_WRAPPERS = (
    "sh",
    "bash",
    "dash",
    "timeout",
    "nice",
    "ionice",
    "flock",
    "env",
    "sudo",
    "su",
    "chronic",
    "nohup",
    "setsid",
)
_ANSIBLE = "AnsiballZ_"  # how it names a module on its way to a host
_NAME_CHARS = 48
_YOUNG_S = 3600.0
_BOOT_S = 120.0
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")

Facts = dict[str, Any]


class Reading(NamedTuple):
    """What was read at one time."""

    at: float  # on the monotonic clock
    ticks: dict[str, int]  # of all CPUs together, by what they went into
    processes: dict[int, Process]
    own_s: float  # CPU time of this process and what it has run


def read() -> Reading:
    """Take a reading."""
    words = _procfs.text("stat").partition("\n")[0].split()
    ticks = dict(zip(_FIELDS, map(int, words[1:]))) if words[:1] == ["cpu"] else {}
    return Reading(time.monotonic(), ticks, _procfs.processes(), sum(os.times()[:4]))


def between(first: Reading, last: Reading) -> Facts:
    """Return what the CPUs did between two readings, in % of all of them, less what this look itself took."""
    spent = {key: last.ticks[key] - first.ticks.get(key, 0) for key in last.ticks}
    total = sum(spent.values())
    counts = _procfs.figures(_procfs.text("stat"))
    facts: Facts = {"running": counts.get("procs_running"), "waiting_for_disk": counts.get("procs_blocked")}
    if total <= 0:
        return {**facts, "busy_percent": None, "iowait_percent": None, "steal_percent": None}
    own = (last.own_s - first.own_s) * os.sysconf("SC_CLK_TCK")
    idle = spent["idle"] + spent["iowait"]
    return {
        **facts,
        "busy_percent": _percent(max(0.0, total - idle - own), total),
        "iowait_percent": _percent(spent["iowait"], total),
        "steal_percent": _percent(spent["steal"], total),
    }


def jobs(first: Reading, last: Reading) -> list[Facts]:
    """Return what wanted the most CPU time between two readings, in % of one CPU: a unit, a container, or a job of cron.

    {name, pid, unit, container, parent, cron, processes, cpu_percent, wanted_percent, started, young}. `wanted_percent` counts
    also the time for which it stood in line for a CPU; `pid` is that of its busiest process, `parent` the name of what
    started it. Our own processes are left out, and other modules of Ansible that a login has started.
    """
    known, seconds = last.processes, max(last.at - first.at, 0.01)
    took = {pid: 100 * spent / seconds for pid, spent in _spent_s(first, last).items()}
    wanted = {pid: took[pid] + 100 * _waited_s(first, known[pid]) / seconds for pid in took}
    runs = _cron_runs(known)
    busiest = sorted((pid for pid in wanted if wanted[pid] >= _NOTICED), key=lambda pid: -wanted[pid])[:_LOOKED_AT]
    found: dict[tuple[str, ...], list[int]] = {}
    for pid in busiest:
        job = _job(known[pid], known, runs)
        if not _is_ours(known[pid], known) and not (job[0] == "process" and _ANSIBLE in _procfs.script(known[pid])):
            found.setdefault(job, []).append(pid)
    told = [
        {
            **_told(known, pids[0], job[1] if job[0] == "cron" else ""),
            "processes": len(pids),
            "cpu_percent": round(sum(took[pid] for pid in pids), 1),
            "wanted_percent": round(sum(wanted[pid] for pid in pids), 1),
        }
        for job, pids in found.items()
    ]
    return sorted(told, key=lambda job: -job["wanted_percent"])[:TOP]


def overlapping(processes: dict[int, Process]) -> list[Facts]:
    """Return the cron jobs of which several runs are there at once: {name, count, since, pid}, the most first."""
    runs: dict[str, list[Process]] = {}
    for pid, name in _cron_runs(processes).items():
        runs.setdefault(name, []).append(processes[pid])
    oldest = {name: min(each, key=lambda one: one.started) for name, each in runs.items() if len(each) > 1}
    told = [
        {
            "name": clean(name, _NAME_CHARS),
            "count": len(runs[name]),
            "since": _procfs.started_at(one),
            "pid": one.pid,
        }
        for name, one in oldest.items()
    ]
    return sorted(told, key=lambda job: -job["count"])[:TOP]


def stuck(*readings: Reading) -> list[Facts]:
    """Return the processes that waited for a disk in all readings, and cannot be ended meanwhile: {pid, name}."""
    waiting = [{pid for pid, one in r.processes.items() if one.state == "D"} for r in readings]
    names = readings[-1].processes
    return [{"pid": pid, "name": clean(names[pid].name, _NAME_CHARS)} for pid in sorted(set.intersection(*waiting))]


def _spent_s(first: Reading, last: Reading) -> dict[int, float]:
    """Return the CPU time of each process between two readings, with that of its children which have ended meanwhile."""
    spent = {}
    ended: dict[int, int] = {}
    for pid, before in first.processes.items():
        if _before(first, last.processes.get(pid)) is None:
            ended[before.parent] = ended.get(before.parent, 0) + before.ticks + before.children_ticks
    for pid, after in last.processes.items():
        known = _before(first, after)
        own = after.ticks - (known.ticks if known else 0)
        # What a child had used before the first reading comes to its parent when it ends, and is not of this time.
        children = after.children_ticks - (known.children_ticks if known else 0) - ended.get(pid, 0)
        spent[pid] = (max(0, own) + max(0, children)) / os.sysconf("SC_CLK_TCK")
    return spent


def _waited_s(first: Reading, after: Process) -> float:
    known = _before(first, after)
    return max(0.0, after.waited_s - (known.waited_s if known else 0.0))


def _before(first: Reading, after: Process | None) -> Process | None:
    """Return the same process as it was at the first reading; None if it was not there."""
    before = first.processes.get(after.pid) if after else None
    return before if before and after and before.started == after.started else None


def _is_ours(one: Process, known: dict[int, Process]) -> bool:
    own = os.getpid()
    above = (
        {own, *(parent.pid for parent in _procfs.parents(known[own], known) if parent.pid != 1)}
        if own in known
        else {own}
    )
    return one.pid in above or any(parent.pid == own for parent in _procfs.parents(one, known))


def _job(one: Process, known: dict[int, Process], runs: dict[int, str]) -> tuple[str, ...]:
    """Return what a process is a part of: a job of cron, in all its runs, a unit, a container, or else itself."""
    for each in (one, *_procfs.parents(one, known)):
        if each.pid in runs:
            return ("cron", runs[each.pid])
    home = _cgroups.home(one.pid)
    if home.container or (home.unit.endswith(".service") and home.unit not in _LOGIN_UNITS):
        return ("home", home.unit, home.container)
    return ("process", str(one.pid))


def _told(known: dict[int, Process], pid: int, run: str) -> Facts:
    """Return what is told of a job by its busiest process; of a `run` of a cron job the name of that, too."""
    one, home = known[pid], _cgroups.home(pid)
    name = _procfs.script(one)
    names = [each.name for each in _procfs.parents(one, known)]
    came_from = next((name for name in names if name in (*_CRON, *_LOGINS)), names[0] if names else "")
    return {
        "name": clean(f"{run}: {name}" if run and run != name else name, _NAME_CHARS),
        "pid": pid,
        "unit": clean(home.unit, 100),
        "container": home.container,
        "parent": clean(came_from, _NAME_CHARS),
        "cron": any(name in _CRON for name in names) or home.unit in _CRON_UNITS,
        "started": _procfs.started_at(one),
        "young": _is_young(one, known),
    }


def _is_young(one: Process, known: dict[int, Process]) -> bool:
    """Say whether a process came lately, and not with the host."""
    second, uptime = os.sysconf("SC_CLK_TCK"), float((_procfs.text("uptime").split() or ["0"])[0])
    boot = known[1].started if 1 in known else 0
    return uptime * second - one.started < _YOUNG_S * second and one.started - boot > _BOOT_S * second


def _cron_runs(known: dict[int, Process]) -> dict[int, str]:
    """Return, by the first process of each run of a cron job, what the job is called."""
    found: dict[int, list[Process]] = {}
    for one in sorted(known.values(), key=lambda one: (one.started, one.pid)):
        line = [one, *_procfs.parents(one, known)]
        for child, parent in zip(line, line[1:]):
            if parent.name in _CRON and child.name not in _CRON:
                found.setdefault(child.pid, []).append(one)
    return {pid: _work([_procfs.script(one) for one in each]) for pid, each in found.items()}


def _work(names: list[str]) -> str:
    """Return, of the processes of a job in the order of their start, the first that does not only start another."""
    return next((name for name in names if name not in _WRAPPERS), names[0])


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1)
