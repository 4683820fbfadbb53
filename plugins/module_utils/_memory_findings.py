"""Who has no memory left, who was killed for want of it, and who takes more and more. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import (
    Finding,
    clock,
    finding,
    gap,
    span,
    times,
)

_LEFT = ((5.0, "critical"), (10.0, "warning"))  # % of the host's memory
_SWAPPED = 0.8
_NEAR_LIMIT = ((0.97, "critical"), (0.9, "warning"))
_LASTS_S = ((120.0, "critical"), (300.0, "warning"))  # from what was seen in a second: no further
_JUST_NOW_S = 3600.0
_LEAK = 3  # kills of the same, within a day
_OVER, _OVER_S = 4.0, 120.0  # so many times the pause between two kills, and no less, without another: it is over
_GIB, _MIB = 1024**3, 1024**2

Facts = dict[str, Any]


def of_memory(resources: Facts) -> Iterator[Finding]:
    """Given what _resources saw, say where memory is short, and for whom."""
    yield from _of_host(resources)
    for unit in resources["units"]:
        yield from _near_limit(unit)
    yield from _growing(resources)
    services = {unit["unit"]: unit["service"] for unit in resources["units"]}
    limits = {unit["unit"]: unit["memory_limit_bytes"] for unit in resources["units"]}
    for kill in resources["oom"] or ():
        yield _killed(kill, services.get(kill["unit"], kill["service"]), limits.get(kill["unit"]))
    if resources["oom"] is None and resources["oom_kills"]:
        text = f"the kernel killed processes for want of memory {times(resources['oom_kills'])} since boot"
        yield finding("info", "oom", text, kills=resources["oom_kills"])


def _of_host(resources: Facts) -> Iterator[Finding]:
    total, available = resources["memory"]["total_bytes"], resources["memory"]["available_bytes"]
    if not total or available is None:
        return
    percent = 100 * available / total
    severity = next((severity for limit, severity in _LEFT if percent < limit), None)
    if severity:
        first = next(iter(resources["processes"]["by_memory"]), None)
        who = f"; {first['name']} ({first['pid']}) has {_size(first['rss_bytes'])}" if first else ""
        text = f"memory: {percent:.1f} % available ({available / _GIB:.1f} GiB){who}"
        about = {"name": first["name"], "pid": first["pid"], "unit": first["unit"]} if first else {}
        yield finding(severity, "memory", text, available_bytes=available, **about)
    swap, free = resources["swap"]["total_bytes"], resources["swap"]["free_bytes"]
    if swap and free is not None and swap - free >= _SWAPPED * swap and (severity or percent < 2 * _LEFT[-1][0]):
        text = f"{100 * (swap - free) / swap:.0f} % of the swap space is taken"
        yield finding("warning", "memory", text, swap_free_bytes=free)


def _near_limit(unit: Facts) -> Iterator[Finding]:
    has, limit = unit["memory_bytes"], unit["memory_limit_bytes"]
    for part, severity in _NEAR_LIMIT if has and limit else ():
        if has >= part * limit:
            text = (
                f"{unit['service']}: {unit['unit']} has {_size(has)} of the {_size(limit)} of memory that it may have"
            )
            about = {"unit": unit["unit"], "name": unit["service"], "bytes": has, "limit": limit}
            yield finding(severity, "memory", text, unit["service"], **about)
            return


def _growing(resources: Facts) -> Iterator[Finding]:
    units = {unit["unit"]: unit for unit in resources["units"]}
    for row in resources["memory_growing"]:
        unit = units.get(row["unit"], {})
        room = resources["memory"]["available_bytes"]
        if unit.get("memory_limit_bytes") and unit.get("memory_bytes"):
            room = max(0, unit["memory_limit_bytes"] - unit["memory_bytes"])
        if room is None:
            continue
        lasts = 60 * room / row["bytes_per_minute"]
        severity = next((severity for limit, severity in _LASTS_S if lasts < limit), None)
        if severity:
            text = f"{row['name']} ({row['pid']}) takes {_size(row['bytes_per_minute'])} more memory a minute"
            text += f" and has {_size(row['rss_bytes'])}: what there is lasts for {span(lasts)}"
            about = {key: row[key] for key in ("name", "pid", "unit", "rss_bytes", "bytes_per_minute")}
            yield finding(severity, "memory", text, unit.get("service", row["service"]), **about)


def _killed(kill: Facts, service: str | None, limit: int | None) -> Finding:
    ago = gap(kill["last_at"], datetime.now(timezone.utc).isoformat())
    pause = gap(kill["first_at"], kill["last_at"]) / max(kill["count"] - 1, 1)
    over = kill["count"] > 1 and ago > max(_OVER * pause, _OVER_S)
    recent = ago < _JUST_NOW_S and not over
    severity = ("critical" if recent else "warning") if service else ("warning" if recent else "info")
    where = kill["unit"] or (f"container {kill['container']}" if kill["container"] else "")
    who = f"{service}: {kill['name']}" if service else kill["name"] + (f" of {where}" if where else "")
    why = "it may have no more" if kill["limited"] else "the host had no more"
    if kill["limited"] and limit:
        why = f"its unit may have {_size(limit)}"
    last = f"{'the last ' if kill['count'] > 1 else ''}at {clock(kill['last_at'])}, with {_size(kill['rss_bytes'])}"
    again = (
        ", and not again for long" if over else ": it takes more and more each time" if kill["count"] >= _LEAK else ""
    )
    text = f"{who} was killed for want of memory {times(kill['count'])}, {last}; {why}{again}"
    about = {key: kill[key] for key in ("unit", "container", "name", "count", "first_at", "last_at", "limited")}
    return finding(severity, "oom", text, service, kill["last_at"], **about)


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.1f} MiB"
