"""What takes the room of a file system: its folders, by how much they hold and by what was written lately. Bounded."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

WALL_S = 3.0
CPU_S = 0.7
ENTRIES = 200_000
RECENT_S = 3600.0
_LATELY = 400  # files written lately that are looked at again
_MOST = 0.6  # of all: whose folder holds so much is the one to name

Weights = dict[str, int]  # by folder


class Walk(NamedTuple):
    """What was found below one place."""

    root: str
    held: Weights  # bytes on the disk, of the files that stand in a folder itself
    entries: Weights
    recent: Weights  # bytes of files that were written within the last hour
    recent_entries: Weights
    files: dict[
        str, tuple[int, int]
    ]  # those of them that were written last, and the largest: (bytes, when looked at, in ns on the monotonic clock)
    looked_at: int
    whole: bool  # or was there no time for all of it


def walk(root: str, first: Iterable[str], now: float, cpu_s: float = CPU_S) -> Walk:
    """Look through one file system for `cpu_s` of CPU time, the folders in `first` before the others; links are not followed."""
    found = Walk(root, {}, {}, {}, {}, {}, 0, True)
    until, cpu_until = time.monotonic() + WALL_S, time.thread_time() + cpu_s
    device = _device(root)
    waiting = deque([place for place in first if _device(place) == device and _below(place, root)])
    waiting.append(root)
    seen: set[str] = set()
    looked_at, whole = 0, device is not None
    files: list[tuple[float, str, int]] = []
    while waiting and device is not None:
        if looked_at >= ENTRIES or time.monotonic() > until or time.thread_time() > cpu_until:
            whole = False
            break
        folder = waiting.popleft()
        if folder in seen:
            continue
        seen.add(folder)
        looked_at += _look_into(folder, device, found, waiting, files, now)
        if len(files) > 4 * _LATELY:
            files = _kept(files)
    at = time.monotonic_ns()
    last = {path: (size, at) for _when, path, size in _kept(files)}
    return found._replace(files=last, looked_at=looked_at, whole=whole)


def _kept(files: list[tuple[float, str, int]]) -> list[tuple[float, str, int]]:
    """Return those that were written last, and the largest of all."""
    last = sorted(files, reverse=True)[:_LATELY]
    return list(dict.fromkeys([*last, *sorted(files, key=lambda row: -row[2])[:1]]))


def _look_into(
    folder: str, device: int, found: Walk, waiting: deque[str], files: list[tuple[float, str, int]], now: float
) -> int:
    """Count what stands in one folder, and have the folders in it wait for their turn; return how many entries it has."""
    held = entries = recent = recent_entries = 0
    try:
        with os.scandir(folder) as inside:
            for entry in inside:
                entries += 1
                try:
                    said = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if said.st_dev != device:
                    continue
                if stat.S_ISDIR(said.st_mode):
                    waiting.append(entry.path)
                size = said.st_blocks * 512
                held += size
                if now - said.st_mtime < RECENT_S:
                    recent += size
                    recent_entries += 1
                    if stat.S_ISREG(said.st_mode):
                        files.append((said.st_mtime, entry.path, size))
                if entries >= ENTRIES:
                    break
    except OSError:  # it is gone, or not for us to see
        return entries
    for weights, value in (
        (found.held, held), (found.entries, entries), (found.recent, recent), (found.recent_entries, recent_entries),
    ):  # fmt: skip
        if value:
            weights[folder] = value
    return entries


def growth(found: Walk) -> tuple[Weights, float]:
    """Look once more at the files that were written last; return by how many bytes each has grown, and in how many seconds."""
    grown: Weights = {}
    seconds = 0.0
    for path, (before, at) in found.files.items():
        try:
            size = os.lstat(path).st_blocks * 512
        except OSError:
            continue
        seconds = max(seconds, (time.monotonic_ns() - at) / 1e9)
        if size > before:
            grown[path] = size - before
    return grown, seconds


def heaviest(weights: Mapping[str, int], root: str) -> tuple[str, int]:
    """Return the deepest folder that holds most of what is below `root`, and how much that is."""
    all_in: Weights = {}
    children: dict[str, set[str]] = {}
    for place, weight in weights.items():
        folder = place
        while True:
            all_in[folder] = all_in.get(folder, 0) + weight
            parent = os.path.dirname(folder)  # noqa: PTH120 - of 100,000 folders
            if folder in (root, parent):
                break
            children.setdefault(parent, set()).add(folder)
            folder = parent
    here = root
    while True:
        best = max(children.get(here, ()), key=lambda child: all_in[child], default="")
        if not best or all_in[best] < _MOST * all_in[root]:
            return here, all_in.get(here, 0)
        here = best


def _device(place: str) -> int | None:
    try:
        said = os.lstat(place)
    except OSError:
        return None
    return said.st_dev if stat.S_ISDIR(said.st_mode) else None


def _below(place: str, root: str) -> bool:
    return root in ("/", place) or place.startswith(f"{root}/")
