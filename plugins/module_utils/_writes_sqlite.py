"""How many transactions a SQLite database got since a moment that was noted, by its own counters. Nothing of it is locked.

With a rollback journal the file's header counts each transaction. With a write-ahead log that is left out; there the index of
the log (-shm) counts them, for as long as it lasts: it begins anew when the last program closes the database, or when
one was killed. Offsets: sqlite.org/fileformat.html and sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular
from ansible_collections.incidentctl.response.plugins.module_utils._writes import TRANSACTIONS, Writes

_ROUND = 1 << 32  # the counters have 32 bits
_WAL_MODE = 2

Noted = dict[str, Any]


def note(database: Path) -> Noted:
    """Return what its writes can be counted from. Raise OSError if it cannot be read.

    Not to be called while this process has the database open: closing a file gives up the locks that SQLite holds on it.
    """
    with open_regular(database) as stream:
        head = stream.read(100)
    if len(head) < 100:
        raise OSError("it is too short to be a SQLite database")
    status, log = database.stat(), _log(database)
    file = {"inode": status.st_ino, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns, **log}
    if head[18] != _WAL_MODE:
        return {**file, "wal": False, "count": struct.unpack_from(">I", head, 24)[0]}
    return {**file, "wal": True, **_index(database)}


def since(database: Path, noted: Noted) -> Writes:
    """Return what came since it was noted. Raise OSError, which says why, if that cannot be told."""
    now = note(database)
    if now == noted:
        return Writes(0, TRANSACTIONS)
    if now["inode"] != noted["inode"] or now["wal"] != noted["wal"]:
        raise OSError("it was replaced, or its journal mode was changed, since")
    if now["wal"]:
        return _by_the_log(now, noted)
    count = (now["count"] - noted["count"]) % _ROUND
    if not 0 < count < _ROUND // 2:
        raise OSError("it was written to since, and its counter does not tell how often")
    return Writes(count, TRANSACTIONS)


def untouched(database: Path, since_s: float) -> bool:
    """Say whether neither the database nor its log changed since then."""
    log = Path(f"{database}-wal")
    times = [(s.st_mtime, s.st_ctime) for s in (database.stat(), *([log.stat()] if log.exists() else []))]
    return max(max(pair) for pair in times) < since_s


def _by_the_log(now: Noted, noted: Noted) -> Writes:
    if now["count"] is None:
        raise OSError("it was written to since, and nobody has it open who would count that")
    same = now["life"] == noted["life"] and noted["count"] is not None and now["count"] >= noted["count"]
    count = now["count"] - (noted["count"] if same else 0)
    if count == 0 and same and now["log"] == noted["log"]:  # what was in the log was moved into the file
        return Writes(0, TRANSACTIONS)
    if count == 0:
        raise OSError("it was written to since, and its counter does not tell how often")
    return Writes(count, TRANSACTIONS, at_least=True)


def _log(database: Path) -> Noted:
    """Return size and time of the write-ahead log; an empty one is none."""
    try:
        status = Path(f"{database}-wal").stat()
    except FileNotFoundError:
        return {"log": None}
    return {"log": [status.st_size, status.st_mtime_ns] if status.st_size else None}


def _index(database: Path) -> Noted:
    """Return how many transactions the index has counted, and in which life of the log; None where there is no index.

    With each round of a log its number and its salt go up by one, together; a new log begins with another salt.
    """
    none = {"count": None, "life": None}
    try:
        with open_regular(Path(f"{database}-shm")) as index, open_regular(Path(f"{database}-wal")) as log:
            of_index, of_log = index.read(48), log.read(32)
    except FileNotFoundError:
        return none
    if len(of_index) < 48 or not of_index[12]:
        return none
    count = struct.unpack_from("<I" if sys.byteorder == "little" else ">I", of_index, 8)[0]
    if len(of_log) < 32:
        return {"count": count, "life": None}
    number, salt = struct.unpack_from(">II", of_log, 12)
    return {"count": count, "life": (salt - number) % _ROUND}
