"""Which files processes have open: those that grow, those that are deleted and still take room, and how many there are."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _parallel, _procfs
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 5
WITHIN_S = 1.5  # a file of a network disk whose server is gone never answers
CPU_S = 0.3
_RECENT_S = 300.0
_DELETED = 16 << 20  # bytes: smaller ones are temporary files
_NEAR = 0.5  # of the limit: then it is asked for
_PATH_CHARS = 200
_JOURNAL_STEP = 8 << 20  # bytes
_SOFT_LIMIT = "Max open files"

Facts = dict[str, Any]


class Opened(NamedTuple):
    """A file that a process has open, and that was written lately or is deleted."""

    pid: int
    descriptor: str
    inode: tuple[int, int]
    size: int
    deleted: bool


class Scan(NamedTuple):
    """What was seen at one time."""

    at: float
    files: list[Opened]
    counts: dict[int, int]  # of descriptors, by process
    unseen: int  # processes that are not ours to look into
    whole: bool


def scan(pids: Iterable[int], now: float) -> Scan:
    """Look at what these processes have open, as far as there is time; `now` is the time of day."""
    at = time.monotonic()
    found = Scan(at, [], {}, 0, False)
    (done,) = _parallel.each(lambda _nothing: _scan(list(pids), now, found), [None], WITHIN_S)
    return done or found


def _scan(pids: list[int], now: float, found: Scan) -> Scan:
    until = time.thread_time() + CPU_S
    unseen = 0
    for pid in pids:
        if time.thread_time() > until:
            return found._replace(unseen=unseen)
        try:
            with os.scandir(_procfs.PROC / str(pid) / "fd") as descriptors:
                count = 0
                for entry in descriptors:
                    count += 1
                    opened = _opened(pid, entry, now)
                    if opened is not None:
                        found.files.append(opened)
        except PermissionError:
            unseen += 1
            continue
        except OSError:
            continue
        found.counts[pid] = count
    return found._replace(unseen=unseen, whole=True)


def _opened(pid: int, entry: os.DirEntry[str], now: float) -> Opened | None:
    try:
        said = entry.stat()
    except OSError:
        return None
    if not stat.S_ISREG(said.st_mode):
        return None
    deleted = said.st_nlink == 0 and said.st_blocks * 512 >= _DELETED
    if not deleted and now - said.st_mtime > _RECENT_S:
        return None
    return Opened(pid, entry.name, (said.st_dev, said.st_ino), said.st_size, deleted)


def growing(first: Scan, known: dict[int, Process]) -> list[Facts]:
    """Look once more at the files that were written; return those that have grown since, the most first.

    {path, bytes_per_minute, by}; `by` are the names of those who have it open.
    """
    grown: dict[tuple[int, int], tuple[float, str]] = {}
    by: dict[tuple[int, int], set[str]] = {}
    for one in first.files:
        place = _procfs.PROC / str(one.pid) / "fd" / one.descriptor
        try:
            said = place.stat()
            path = str(place.readlink())
        except OSError:
            continue
        name = _procfs.script(known[one.pid]) if one.pid in known else ""
        more = said.st_size - one.size
        if (said.st_dev, said.st_ino) != one.inode or one.pid == os.getpid() or more <= _steps(name):
            continue
        rate = more * 60 / max(time.monotonic() - first.at, 0.05)
        grown[one.inode] = max(grown.get(one.inode, (0.0, "")), (rate, path))
        by.setdefault(one.inode, set()).add(name)
    rows = [
        {
            "path": clean(path, _PATH_CHARS),
            "bytes_per_minute": round(rate),
            "by": [clean(name, 32) for name in sorted(by[inode]) if name][:TOP],
            "device": inode[0],
        }
        for inode, (rate, path) in grown.items()
    ]
    return sorted(rows, key=lambda row: -row["bytes_per_minute"])[:TOP]


def _steps(name: str) -> int:
    """Return by how many bytes a program makes its files longer at once, whatever it writes: that is no pace."""
    return _JOURNAL_STEP if name.startswith("systemd-journal") else 0


def deleted(first: Scan, known: dict[int, Process]) -> list[Facts]:
    """Return files that are deleted and still open, the largest first: {path, bytes, pid, name, device}."""
    largest: dict[tuple[int, int], Opened] = {one.inode: one for one in first.files if one.deleted}
    rows = []
    for one in sorted(largest.values(), key=lambda one: -one.size)[:TOP]:
        try:
            path = str((_procfs.PROC / str(one.pid) / "fd" / one.descriptor).readlink())
        except OSError:
            continue
        name = clean(known[one.pid].name, 32) if one.pid in known else ""
        rows.append(
            {
                "path": clean(path.replace(" (deleted)", ""), _PATH_CHARS),
                "bytes": one.size,
                "pid": one.pid,
                "name": name,
                "device": one.inode[0],
            }
        )
    return rows


def near_their_limit(counts: dict[int, int], known: dict[int, Process]) -> list[Facts]:
    """Return the processes with more than half of the descriptors that they may have: {pid, name, open, limit}, nearest first."""
    rows = []
    for pid, count in sorted(counts.items(), key=lambda item: -item[1])[:50]:
        limit = _limit(pid)
        if limit and count >= _NEAR * limit and pid in known:
            rows.append({"pid": pid, "name": clean(known[pid].name, 32), "open": count, "limit": limit})
    return sorted(rows, key=lambda row: -row["open"] / row["limit"])[:TOP]


def _limit(pid: int) -> int | None:
    for line in _procfs.text(str(pid), "limits", limit=8192).splitlines():
        if line.startswith(_SOFT_LIMIT):
            soft = line[len(_SOFT_LIMIT) :].split()[0]
            return int(soft) if soft.isdigit() else None
    return None


def of_host() -> Facts:
    """Return how many descriptors the host has open, and may have: {open, limit}."""
    said = [int(word) for word in _procfs.text("sys", "fs", "file-nr").split() if word.isdigit()]
    return {"open": said[0], "limit": said[2]} if len(said) == 3 else {"open": None, "limit": None}
