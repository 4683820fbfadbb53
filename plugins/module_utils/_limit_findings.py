"""Who is near the limit of open files or threads, and what waits for CPU, memory or disks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding

_NEAR = ((0.95, "critical"), (0.8, "warning"))
# Per resource which average counts, and from how many % of the time on.
_WAITS = {
    "memory": ("full10", ((40.0, "critical"), (10.0, "warning"))),
    "io": ("full60", ((60.0, "critical"), (25.0, "warning"))),
    "cpu": ("some60", ((60.0, "warning"),)),
}
_FOR = {"memory": "memory (it is swapped in and out)", "io": "disks", "cpu": "a CPU"}

Facts = dict[str, Any]


def of_limits(resources: Facts, cpu_is_told: bool) -> Iterator[Finding]:
    """Given what _resources saw, say which limits are near, and what waits.

    `cpu_is_told`: by whom the CPUs are taken is said already.
    """
    opened = resources["descriptors"]
    for row in opened["processes"]:
        severity = _severity(row["open"], row["limit"])
        if severity:
            about = {key: row[key] for key in ("pid", "name", "unit", "open", "limit")}
            text = f"{row['name']} ({row['pid']}) has {row['open']} of the {row['limit']} files open that it may have"
            yield finding(severity, "descriptors", text, row["service"], what="files", **about)
    severity = _severity(opened["open"], opened["limit"])
    if severity:
        text = f"{opened['open']} of the {opened['limit']} files are open that the host may have"
        yield finding(severity, "descriptors", text, what="files", open=opened["open"], limit=opened["limit"])
    threads = resources["threads"]
    severity = _severity(threads["count"], threads["limit"])
    if severity:
        text = f"{threads['count']} of the {threads['limit']} threads are there that the host may have"
        yield finding(severity, "descriptors", text, what="threads", open=threads["count"], limit=threads["limit"])
    for unit in resources["units"]:
        severity = _severity(unit["tasks"], unit["tasks_limit"])
        if severity:
            text = f"{unit['service']}: {unit['unit']} has {unit['tasks']} of the {unit['tasks_limit']} threads that it may have"
            about = {"unit": unit["unit"], "open": unit["tasks"], "limit": unit["tasks_limit"]}
            yield finding(severity, "descriptors", text, unit["service"], what="threads", **about)
        yield from _waits(unit["pressure"], unit["unit"], unit["service"], cpu_is_told)
    yield from _waits(resources["pressure"], "", None, cpu_is_told)


def _waits(
    pressure: dict[str, dict[str, float]], unit: str, service: str | None, cpu_is_told: bool
) -> Iterator[Finding]:
    for what, (average, limits) in _WAITS.items():
        percent = pressure.get(what, {}).get(average, 0.0)
        severity = next((severity for limit, severity in limits if percent >= limit), None)
        if severity is None or (what == "cpu" and cpu_is_told):
            continue
        part = "some" if average.startswith("some") else "all"
        text = f"{service}: {part} of {unit}" if service else f"{part} of the host"
        text += f" waits for {_FOR[what]} {percent:.0f} % of the time"
        yield finding(severity, "pressure", text, service, name=what, unit=unit, percent=percent)


def _severity(used: int | None, limit: int | None) -> str | None:
    if not used or not limit:
        return None
    return next((severity for part, severity in _NEAR if used >= part * limit), None)
