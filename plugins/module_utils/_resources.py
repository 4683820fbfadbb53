"""What the host is short of, and what takes it: processors, memory, disks. From /proc and statvfs.

What has to be seen twice is read at the start of a diagnosis and at its end, so that it takes no time of its own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _connections,
    _cpu,
    _growth,
    _mounts,
    _procfs,
    _systemd,
)
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 5
APART_S = 0.8  # the two readings, at least

Facts = dict[str, Any]


class Begun(NamedTuple):
    """What was read at the start."""

    cpu: _cpu.Reading
    growth: _growth.Begun
    connections: _connections.Reading


def begin(services: Sequence[Facts]) -> Begun:
    """Read what `look` will read once more."""
    cpu = _cpu.read()
    return Begun(cpu, _growth.begin(services, cpu.processes), _connections.read())


def look(services: Sequence[Facts], begun: Begun) -> Facts:
    """Return the host's resources; disks are those that these services need, and the root's. Unknown figures are None."""
    notes: list[str] = []
    memory = _memory()
    time.sleep(max(0.0, begun.cpu.at + APART_S - time.monotonic()))
    now = _cpu.read()
    return {
        "interval_s": round(now.at - begun.cpu.at, 1),
        "load1": _load1(),
        "cpus": os.cpu_count(),
        "cpu": _cpu.between(begun.cpu, now),
        "jobs": [{**job, "service": _service(job, services)} for job in with_timers(_cpu.jobs(begun.cpu, now), notes)],
        "overlapping": _cpu.overlapping(now.processes),
        "stuck": _cpu.stuck(begun.cpu, now),
        "memory": {"total_bytes": memory.get("MemTotal"), "available_bytes": memory.get("MemAvailable")},
        "swap": {"total_bytes": memory.get("SwapTotal"), "free_bytes": memory.get("SwapFree")},
        **_growth.look(services, begun.growth, now.processes),
        "mounts": {"read_only": _mounts.read_only(), "missing": _mounts.missing()},
        "processes": _processes(now.processes),
        "connections": _connections.between(begun.connections, _connections.read()),
        "ports": _ports(services),
        "oom_kills": _oom_kills(),
        "notes": notes,
    }


def with_timers(jobs: list[Facts], notes: list[str]) -> list[Facts]:
    """Return the jobs, each with the timer that starts its unit; what cannot be told is one of the notes."""
    timers: dict[str, str] = {}
    try:
        for unit in _systemd.look(job["unit"] for job in jobs if job["unit"].endswith(".service")):
            timers[unit.name] = next((name for name in unit.names("TriggeredBy") if name.endswith(".timer")), "")
    except OSError as error:
        notes.append(f"which timers start the busiest units is not known: {error}")
    return [{**job, "timer": timers.get(job["unit"], "")} for job in jobs]


def _service(job: Facts, services: Sequence[Facts]) -> str | None:
    """Return which of the services a job is, by its unit; an instance (`worker@1.service`) is of its template."""
    unit = job["unit"]
    template = f"{unit.partition('@')[0]}@.service" if "@" in unit else unit
    return next((one["name"] for one in services if unit and one.get("unit") in (unit, template)), None)


def _ports(services: Sequence[Facts]) -> dict[str, str]:
    """Return which service has which port, by what the catalogue says, and its health's address."""
    found = {str(port): service["name"] for service in services for port in service.get("ports", [])}
    for service in services:
        with contextlib.suppress(ValueError):
            parts = urlsplit(service.get("health", {}).get("url", ""))
            if parts.scheme:
                port = parts.port or (443 if parts.scheme == "https" else 80)
                found.setdefault(str(port), service["name"])
    return found


def _load1() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _memory() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    return {name: 1024 * figure for name, figure in _procfs.figures(_procfs.text("meminfo")).items()}


def _oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory, since boot."""
    return _procfs.figures(_procfs.text("vmstat")).get("oom_kill")


def _processes(known: dict[int, Process]) -> dict[str, list[Facts]]:
    """Return the processes with the most memory and the most CPU time so far, this one left out."""
    others = [one for pid, one in known.items() if pid != os.getpid()]
    return {
        "by_memory": [_told(one) for one in sorted(others, key=lambda one: -one.rss_bytes)[:TOP]],
        "by_cpu": [_told(one) for one in sorted(others, key=lambda one: -one.ticks)[:TOP]],
    }


def _told(one: Process) -> Facts:
    return {
        "pid": one.pid,
        "name": clean(one.name, 32),
        "rss_bytes": one.rss_bytes,
        "cpu_s": round(one.ticks / os.sysconf("SC_CLK_TCK"), 1),
    }
