"""What fills the disks: looked for where one is fairly full, or fills while we look."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _disks, _folders, _open_files, _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

FULL = 80.0  # % of its bytes or inodes: then its folders are looked through
AT_MOST = 2  # file systems
_SOON_S = 3600.0  # a disk that would be full by then, at the pace that was seen
_MUCH = 1 << 20  # bytes: less is no pace
_ROTATING = ("/var/log", "/tmp", "/var/tmp", "/var/cache", "/var/lib", "/var/spool")  # noqa: S108 - looked at first
_LOGS = (".log", ".out", ".err", ".trace")
_PATH_CHARS = 200

Facts = dict[str, Any]


class Begun(NamedTuple):
    """What was seen at the start."""

    at: float
    disks: list[_disks.Disk]
    walks: dict[str, _folders.Walk]
    open_files: _open_files.Scan


def begin(services: Sequence[Facts], processes: dict[int, Process]) -> Begun:
    """Look at the disks, through those that are full, and at which files are open."""
    disks = _disks.of_services(services)
    at = time.monotonic()
    walks = _walks([disk["path"] for disk in disks if _fullest(disk) >= FULL], _disks.places(services))
    return Begun(at, disks, walks, _open_files.scan(processes, time.time()))


def look(services: Sequence[Facts], begun: Begun, processes: dict[int, Process]) -> Facts:
    """Return {disks, folders, growing, deleted}: as they are now, and what has changed since the start.

    Each disk has `bytes_per_minute` by which it fills. `folders` tells of those that were looked through: {disk, largest:
    {path, bytes}, most_entries: {path, entries}, recent: {path, bytes}, recent_file: {path, bytes}, recent_entries: {path,
    entries}, growing: {path, bytes_per_minute}, whole}; recent is what was written within the last hour, recent_file the
    largest of it. What is not known is None.
    """
    answered = [disk["path"] for disk in begun.disks if disk["free_bytes"] is not None]
    now = {disk["path"]: disk for disk in _disks.disks_of(answered) if disk}
    seconds = max(time.monotonic() - begun.at, 0.05)
    disks = []
    for before in begun.disks:
        after = now.get(before["path"], before)
        used = (before["free_bytes"] or 0) - (after["free_bytes"] or 0)
        disks.append({**after, "bytes_per_minute": round(used * 60 / seconds) if used >= _MUCH else 0})
    fast = [disk["path"] for disk in disks if disk["path"] not in begun.walks and _fills(disk)]
    walks = {**begun.walks, **_walks(fast, _disks.places(services))}
    # A disk may have stopped to answer since the start.
    folders, growing, deleted = _parallel.each(
        lambda ask: ask(),
        [
            lambda: [_told(path, found) for path, found in walks.items()],
            lambda: [
                {**_on_disk(row, disks), "log": _is_log(row["path"], services)}
                for row in _open_files.growing(begun.open_files, processes)
            ],
            lambda: [_on_disk(row, disks) for row in _open_files.deleted(begun.open_files, processes)],
        ],
        _disks.WITHIN_S,
    )
    return {"disks": disks, "folders": folders or [], "growing": growing or [], "deleted": deleted or []}


def full_in_s(disk: _disks.Disk) -> float | None:
    """Return in how many seconds a disk is full at the pace that was seen; None if it does not fill."""
    pace = disk.get("bytes_per_minute") or 0
    return 60 * disk["free_bytes"] / pace if pace and disk["free_bytes"] is not None else None


def _fills(disk: _disks.Disk) -> bool:
    seconds = full_in_s(disk)
    return seconds is not None and seconds < _SOON_S


def _fullest(disk: _disks.Disk) -> float:
    return max(disk["used_percent"] or 0.0, disk["inodes_used_percent"] or 0.0)


def _walks(roots: Sequence[str], places: Sequence[str]) -> dict[str, _folders.Walk]:
    first, now = [*places, *_ROTATING], time.time()
    chosen = list(roots)[:AT_MOST]
    share = _folders.CPU_S / max(1, len(chosen))
    found = _parallel.each(lambda root: _folders.walk(root, first, now, share), chosen, _folders.WALL_S + 1)
    return {root: walk for root, walk in zip(chosen, found) if walk is not None}


def _told(disk: str, found: _folders.Walk) -> Facts:
    largest, recent = _folders.heaviest(found.held, disk), _folders.heaviest(found.recent, disk)
    newest = max(found.files, key=lambda path: found.files[path][0], default="")
    crowded, new = _folders.heaviest(found.entries, disk), _folders.heaviest(found.recent_entries, disk)
    grown, seconds = _folders.growth(found)
    by_folder: dict[str, int] = {}
    for path, size in grown.items():
        folder = os.path.dirname(path)  # noqa: PTH120 - a text
        by_folder[folder] = by_folder.get(folder, 0) + size
    growing = _folders.heaviest(by_folder, disk)
    return {
        "disk": disk,
        "largest": {"path": clean(largest[0], _PATH_CHARS), "bytes": largest[1]},
        "most_entries": {"path": clean(crowded[0], _PATH_CHARS), "entries": crowded[1]},
        "recent": {"path": clean(recent[0], _PATH_CHARS), "bytes": recent[1]},
        "recent_file": {"path": clean(newest, _PATH_CHARS), "bytes": found.files.get(newest, (0, 0))[0]},
        "recent_entries": {"path": clean(new[0], _PATH_CHARS), "entries": new[1]},
        "growing": {
            "path": clean(growing[0], _PATH_CHARS),
            "bytes_per_minute": round(growing[1] * 60 / max(seconds, 0.05)),
        },
        "looked_at": found.looked_at,
        "whole": found.whole,
    }


def _on_disk(row: Facts, disks: list[_disks.Disk]) -> Facts:
    """Return a row of open files with the disk that it is on, as far as that is one of those that were looked at."""
    device = row.pop("device")
    return {**row, "disk": next((disk["path"] for disk in disks if _device(disk) == device), None)}


def _is_log(path: str, services: Sequence[Facts]) -> bool:
    named = {item.get("path") for service in services for item in service.get("logs", [])}
    return path in named or path.startswith("/var/log/") or path.endswith(_LOGS)


def _device(disk: _disks.Disk) -> int | None:
    if disk["free_bytes"] is None:  # it does not answer
        return None
    try:
        return os.lstat(disk["path"]).st_dev
    except OSError:
        return None
