"""How much was written to something since a moment that was noted: the figure, and its reading from files by their times."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROWS, TRANSACTIONS, FILES = "rows", "transactions", "files"
_MOST = 200_000  # names that are looked at


@dataclass(frozen=True)
class Writes:
    """What was counted, and of what; `at_least` where more may have been written; bytes where they are known."""

    count: int
    of: str
    at_least: bool = False
    bytes: int | None = None

    def as_facts(self) -> dict[str, Any]:
        """Return it for the facts of a result."""
        return asdict(self)


def files_since(root: Path, since_ns: int, until: float) -> Writes:
    """Return the files below `root`, or the single file, that changed at `since_ns` or later; none is looked at after `until`.

    The kernel sets a file's ctime, and nobody can set it back, as with its mtime. What was removed is told by its folder
    alone: that counts as one, if nothing else in it is new. Raise OSError if it cannot be looked at.
    """
    top = root.lstat()
    if not stat.S_ISDIR(top.st_mode):
        new = top.st_ctime_ns >= since_ns
        return Writes(int(new), FILES, bytes=top.st_size if new else 0)
    # Folders that changed, until a file in them explains it.
    removed = {str(root)} if top.st_ctime_ns >= since_ns else set()
    count, size, cut = 0, 0, False
    for number, (folder, entry, status) in enumerate(_entries(str(root))):
        if number >= _MOST or time.monotonic() > until:
            cut = True
            break
        if status.st_ctime_ns < since_ns:
            continue
        removed.discard(folder)
        if stat.S_ISDIR(status.st_mode):
            removed.add(entry)
            continue
        count += 1
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    if cut and not count + len(removed):
        raise OSError("it holds more than could be looked through")
    return Writes(count + len(removed), FILES, at_least=cut or bool(removed), bytes=size)


def _entries(root: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Give all that lies below a folder, with the folder that it lies in: before what is in it, and that all at once."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        found: list[tuple[str, os.stat_result]] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed: a live folder does that
                    found.append((entry.path, entry.stat(follow_symlinks=False)))
        for path, status in found:
            yield folder, path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
