"""What the host is short of, and what takes it: processors, memory, disks. From /proc and statvfs.

What has to be seen twice is read at the start of a diagnosis and at its end, so that it takes no time of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _cgroups,
    _connections,
    _cpu,
    _growth,
    _memory,
    _mounts,
    _oom,
    _open_files,
    _parallel,
    _procfs,
    _served_certificates,
    _synchronised,
    _systemd,
    _units,
    _whose,
)
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

_ASIDE_S = 5.0  # for the journal and certificates, from the start
_NOTE_CHARS = 300
APART_S = 0.8  # the two readings, at least

Facts = dict[str, Any]


class Begun(NamedTuple):
    """What was read at the start."""

    cpu: _cpu.Reading
    growth: _growth.Begun
    connections: _connections.Reading
    aside: dict[str, Future[Any]]  # what takes its time: it is looked at beside all else


def begin(services: Sequence[Facts]) -> Begun:
    """Read what `look` will read once more."""
    aside = {
        "oom": _parallel.start(lambda _nothing: _oom.look(), None),
        "certificates": _parallel.start(_served_certificates.look, services),
        "clock": _parallel.start(lambda _nothing: _synchronised.look(), None),
    }
    cpu = _cpu.read()
    return Begun(cpu, _growth.begin(services, cpu.processes), _connections.begin(), aside)


def look(services: Sequence[Facts], begun: Begun) -> Facts:
    """Return the host's resources; disks are those that these services need, and the root's. Unknown figures are None."""
    until = begun.cpu.at + _ASIDE_S
    kills, why_no_kills = _parallel.answer(begun.aside["oom"], until) or (None, "the journal did not answer in time")
    certificates = _parallel.answer(begun.aside["certificates"], until)
    clock = _parallel.answer(begun.aside["clock"], until) or {"synchronised": None, "why_unknown": "no answer in time"}
    why_no_certificates = "not all certificates were looked at in time" if certificates is None else ""
    notes = [why for why in (why_no_kills, why_no_certificates, clock["why_unknown"], *_unseen(begun)) if why]
    time.sleep(max(0.0, begun.cpu.at + APART_S - time.monotonic()))
    now = _cpu.read()
    jobs = _own(with_timers(_cpu.jobs(begun.cpu, now), notes), services)
    growing = _own(_memory.growing(begun.cpu.processes, now.processes, now.at - begun.cpu.at), services)
    killed = None if kills is None else _own(kills, services)
    connections = _connections.between(begun.connections, _connections.read())
    connections["ports"] = _whose.with_containers(connections["ports"])
    _whose.of_containers([*jobs, *growing, *(killed or ()), *connections["ports"]], services, notes)
    return {
        "interval_s": round(now.at - begun.cpu.at, 1),
        "load1": _load1(),
        "cpus": os.cpu_count(),
        "cpu": _cpu.between(begun.cpu, now),
        "jobs": jobs,
        "overlapping": _cpu.overlapping(now.processes),
        "stuck": _cpu.stuck(begun.cpu, now),
        **_memory.of_host(),
        "memory_growing": growing,
        "oom": killed,
        "units": _units.of_services(services, notes),
        "pressure": _units.pressure(""),
        **_growth.look(services, begun.growth, now.processes),
        "mounts": {"read_only": _mounts.read_only(), "missing": _mounts.missing()},
        "processes": _memory.largest(now.processes),
        "descriptors": _descriptors(begun.growth.open_files, now.processes, services),
        "threads": _threads(now.processes),
        "connections": connections,
        "ports": _whose.of_ports(services),
        "certificates": certificates or [],
        "synchronised": clock["synchronised"],
        "notes": [clean(note, _NOTE_CHARS) for note in notes],
    }


def _own(rows: list[Facts], services: Sequence[Facts]) -> list[Facts]:
    """Return the rows, each with the service whose unit it names, None if it is of none."""
    return [{**row, "service": _whose.of_unit(row["unit"], services)} for row in rows]


def _unseen(begun: Begun) -> Iterator[str]:
    opened = begun.growth.open_files
    if opened.unseen:
        yield f"what {opened.unseen} processes of other users have open, and their networks, only root can see"
    if not opened.whole:
        yield "not all open files were looked at in time"


def with_timers(jobs: list[Facts], notes: list[str]) -> list[Facts]:
    """Return the jobs, each with the timer that starts its unit; what cannot be told is one of the notes."""
    timers: dict[str, str] = {}
    try:
        for unit in _systemd.look(job["unit"] for job in jobs if job["unit"].endswith(".service")):
            timers[unit.name] = next((name for name in unit.names("TriggeredBy") if name.endswith(".timer")), "")
    except OSError as error:
        notes.append(f"which timers start the busiest units is not known: {error}")
    return [{**job, "timer": timers.get(job["unit"], "")} for job in jobs]


def _load1() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _descriptors(opened: _open_files.Scan, known: dict[int, Process], services: Sequence[Facts]) -> Facts:
    rows = []
    for row in _open_files.near_their_limit(opened.counts, known):
        unit = _cgroups.home(row["pid"]).unit
        rows.append({**row, "unit": clean(unit, 100), "service": _whose.of_unit(unit, services)})
    return {**_open_files.of_host(), "processes": rows}


def _threads(known: dict[int, Process]) -> Facts:
    """Return how many threads the host has, and may have."""
    limits = [_procfs.text("sys", "kernel", name).strip() for name in ("pid_max", "threads-max")]
    return {
        "count": sum(one.threads for one in known.values()),
        "limit": min((int(limit) for limit in limits if limit.isdigit()), default=None),
    }
