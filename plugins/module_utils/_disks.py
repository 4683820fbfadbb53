"""How full the file systems are: those that hold what the services need, and the host's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _mounts, _parallel

WITHIN_S = 5.0  # a network disk whose server is gone never answers

Disk = dict[str, Any]


def of_services(services: Sequence[dict[str, Any]]) -> list[Disk]:
    """Return the disks that hold the data, logs and releases of services, and the host's own, each once."""
    paths = sorted({"/", *places(services), *_mounts.own()})
    return list({disk["path"]: disk for disk in disks_of(paths) if disk}.values())


def places(services: Sequence[dict[str, Any]]) -> list[str]:
    """Return the places that services need to be able to write to."""
    items = [item for service in services for key in ("data", "logs") for item in service.get(key, [])]
    roots = [service.get("releases", {}).get("root") for service in services]
    return [str(path) for path in [*(item.get("path") for item in items), *roots] if path]


def disks_of(paths: Sequence[str]) -> list[Disk]:
    """Return, in order, the disk that holds each path, or would hold it; empty for one without a size, such as /proc.

    Where a path cannot be looked at, or its disk does not answer in time, the figures are None.
    """
    blind = dict.fromkeys(("used_percent", "total_bytes", "free_bytes", "inodes_used_percent"))
    answers = zip(paths, _parallel.each(_disk, paths, WITHIN_S))
    return [{"path": path, **blind} if disk is None else disk for path, disk in answers]


def _disk(path: str) -> Disk | None:
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
        "total_bytes": size.f_blocks * size.f_frsize,
        "free_bytes": size.f_bavail * size.f_frsize,
        "inodes_used_percent": _percent(size.f_files - size.f_ffree, size.f_files),
    }


def _mount(place: Path) -> Path:
    while not _is_there(place) and place != place.parent:
        place = place.parent
    place = place.resolve()
    while not place.is_mount():
        place = place.parent
    return place


def _is_there(place: Path) -> bool:
    """Say whether a place can be seen: what only root may look into counts as what holds it."""
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return True


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
