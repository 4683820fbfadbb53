"""The units of this host's services: their control groups, and what systemd allows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _cgroups, _procfs, _systemd

AT_MOST = 100
_ASKED = ("Id", "ControlGroup", "MainPID", "Result", "NRestarts", "TasksCurrent", "TasksMax")
_ANSWER_LIMIT = 1 << 20
_WITHIN_S = 5.0
_NONE = 1 << 60  # what a limit says that is none, in version 1 of control groups

Facts = dict[str, Any]


def of_services(services: Sequence[Facts], notes: list[str]) -> list[Facts]:
    """Return what is known of the units of services; what cannot be told is one of the notes.

    {unit, service, result, restarts, tasks, tasks_limit, memory_bytes, memory_limit_bytes, memory_peak_bytes, oom_kills,
    pressure}; None where systemd or the kernel does not count it. `memory_bytes` leaves out what is only cached.
    """
    names: dict[str, str] = {}
    try:
        for service in services:
            if service.get("manager") == "systemd":
                names.update(dict.fromkeys(_systemd.names(service["unit"]), service["name"]))
        said = _show(list(names)[:AT_MOST]) if names else []
    except OSError as error:
        notes.append(f"limits of units are not known: {error}")
        return []
    return [_told(unit, names[unit["Id"]]) for unit in said if unit.get("Id") in names]


def _show(names: list[str]) -> list[dict[str, str]]:
    argv = ["systemctl", "show", f"--property={','.join(_ASKED)}", "--", *names]
    text = _capture.capture(argv, _ANSWER_LIMIT, _WITHIN_S)[0].decode("utf-8", "replace")
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]


def _told(unit: dict[str, str], service: str) -> Facts:
    group = unit.get("ControlGroup", "")
    return {
        "unit": unit["Id"],
        "service": service,
        "result": unit.get("Result", ""),
        "restarts": _whole(unit.get("NRestarts")),
        "tasks": _whole(unit.get("TasksCurrent")),
        "tasks_limit": _whole(unit.get("TasksMax")),
        **_memory(_whole(unit.get("MainPID")) or 0, group),
        "pressure": pressure(group),
    }


def _memory(pid: int, group: str) -> Facts:
    """Return what a unit has of memory, and may have; None where the kernel does not count that for it alone."""
    old = _cgroups.of_process(pid, "memory") if pid else ""
    counted = old and old != _cgroups.own_root("memory")
    place = _cgroups.folder(old, "memory") if counted else None if old else _cgroups.folder(group)
    stat = _procfs.figures(_cgroups.text(place, "memory.stat"))
    events = _procfs.figures(_cgroups.text(place, "memory.events") or _cgroups.text(place, "memory.oom_control"))
    limits = [_whole(_cgroups.text(place, f"memory.{name}").strip()) for name in ("max", "high", "limit_in_bytes")]
    peaks = [_whole(_cgroups.text(place, f"memory.{name}").strip()) for name in ("peak", "max_usage_in_bytes")]
    return {
        "memory_bytes": stat.get("anon", stat.get("total_rss")),
        "memory_limit_bytes": min((limit for limit in limits if limit is not None), default=None),
        "memory_peak_bytes": next((peak for peak in peaks if peak is not None), None),
        "oom_kills": events.get("oom_kill"),
    }


def pressure(group: str) -> dict[str, dict[str, float]]:
    """Return for which part of the time what is in a control group has waited for cpu, memory and io, as far as it is counted.

    Per resource {some10, some60, full10, full60}, in %; `full`: nothing in it could run. Of "" the whole host's.
    """
    found, place = {}, _cgroups.folder(group)
    for what in ("cpu", "memory", "io"):
        said = _cgroups.text(place, f"{what}.pressure") if group else _procfs.text("pressure", what)
        rows = {}
        for line in said.splitlines():
            kind, *pairs = line.split()
            averages = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            for span in ("10", "60"):
                if kind in ("some", "full") and f"avg{span}" in averages:
                    rows[f"{kind}{span}"] = float(averages[f"avg{span}"])
        if rows:
            found[what] = rows
    return found


def _whole(said: str | None) -> int | None:
    """Return a figure as systemd and the kernel tell it; None for one that is not set, or has no end."""
    return int(said) if said and said.isdigit() and int(said) < _NONE else None
