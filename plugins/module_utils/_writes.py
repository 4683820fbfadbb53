"""How much was written to something since a moment that was noted: the figure, and its reading from files by their times."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _tree

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
    found = [root] if stat.S_ISDIR(top.st_mode) and top.st_ctime_ns >= since_ns else []
    folders, explained, count, size, cut = set(found), set(), 0, 0, False
    for number, (_name, path) in enumerate(_tree.walk(root)):
        if number >= _MOST or time.monotonic() > until:
            cut = True
            break
        status = _status(path)
        if status is None or status.st_ctime_ns < since_ns:
            continue
        explained.add(path.parent)
        if stat.S_ISDIR(status.st_mode):
            folders.add(path)
            continue
        count += 1
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    removals = len(folders - explained)
    if cut and not count + removals:
        raise OSError("it holds more than could be looked through")
    return Writes(count + removals, FILES, at_least=cut or removals > 0, bytes=size)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:  # gone since its folder was listed
        return None
