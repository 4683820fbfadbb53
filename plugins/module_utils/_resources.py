"""What the host is short of: load, memory, disks, and the processes that take the most. From /proc and statvfs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 5
DISK_S = 5.0  # a network disk whose server is gone never answers
_PROC = Path("/proc")


def look(paths: Iterable[str]) -> dict[str, Any]:
    """Return the host's resources; disks are those that hold `paths`, and the root's. Unknown figures are None."""
    memory = _memory()
    return {
        "load1": _load1(),
        "cpus": os.cpu_count(),
        "memory": {"total_bytes": memory.get("MemTotal"), "available_bytes": memory.get("MemAvailable")},
        "swap": {"total_bytes": memory.get("SwapTotal"), "free_bytes": memory.get("SwapFree")},
        "disks": _disks(["/", *paths]),
        "processes": _processes(),
        "oom_kills": _oom_kills(),
    }


def _load1() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _memory() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    rows = (line.split() for line in _read(_PROC / "meminfo").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[1].isdigit()}


def _oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory, since boot."""
    for line in _read(_PROC / "vmstat").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def _disks(paths: list[str]) -> list[dict[str, Any]]:
    paths = sorted(set(paths))
    return list({disk["path"]: disk for disk in disks_of(paths) if disk}.values())


def disks_of(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Return, in order, the disk that holds each path, or would hold it; empty for one without a size, such as /proc.

    Where a path cannot be looked at, or its disk does not answer in time, the figures are None.
    """
    blind = {"used_percent": None, "free_bytes": None, "inodes_used_percent": None}
    answers = zip(paths, _parallel.each(_disk, paths, DISK_S))
    return [{"path": path, **blind} if disk is None else disk for path, disk in answers]


def _disk(path: str) -> dict[str, Any] | None:
    """Return the disk of a path; None if the path cannot be looked at."""
    try:
        place = _mount(Path(path))
        size = os.statvfs(place)
    except OSError:
        return None
    used = size.f_blocks - size.f_bfree
    if not used + size.f_bavail:
        return {}
    return {
        "path": str(place),
        "used_percent": _percent(used, used + size.f_bavail),  # as df counts: root's reserve is not free
        "free_bytes": size.f_bavail * size.f_frsize,
        "inodes_used_percent": _percent(size.f_files - size.f_ffree, size.f_files),
    }


def _mount(place: Path) -> Path:
    while not place.exists() and place != place.parent:
        place = place.parent
    place = place.resolve()
    while not place.is_mount():
        place = place.parent
    return place


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _processes() -> dict[str, list[dict[str, Any]]]:
    """Return the processes with the most memory and the most CPU time so far, this one left out."""
    pids = [entry.name for entry in _PROC.glob("[0-9]*") if entry.name != str(os.getpid())]
    all_of_them = [process for process in map(_process, pids) if process]
    return {
        "by_memory": sorted(all_of_them, key=lambda p: -p["rss_bytes"])[:TOP],
        "by_cpu": sorted(all_of_them, key=lambda p: -p["cpu_s"])[:TOP],
    }


def _process(pid: str) -> dict[str, Any] | None:
    """Return one process by its short name: a command line may hold a password. None if it is gone."""
    # The name is in brackets and may itself hold brackets and blanks.
    head, _bracket, tail = _read(_PROC / pid / "stat").rpartition(")")
    fields = tail.split()
    if len(fields) < 22:
        return None
    return {
        "pid": int(pid),
        "name": clean(head.partition("(")[2], 32),
        "rss_bytes": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "cpu_s": round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 1),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
