"""SQLite databases: a consistent copy of one in use, and whether a copy is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular

try:
    import sqlite3
except ImportError:  # some distributions leave it out of Python
    sqlite3 = None

# Virtual tables belong to modules that this Python may not have; what they hold lies in ordinary tables.
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
_MAGIC = b"SQLite format 3\0"
_PAGES = 256  # of mostly 4096 bytes, at a time: all within one read transaction

Counts = dict[str, int]


class DatabaseError(OSError):
    """A database cannot be read, or is damaged; the message says which and why."""


def copy(database: Path, target: Path, keep: Callable[[], None]) -> Counts:
    """Copy a database that may be in use into the new folder `target`; return its rows by table.

    SQLite's own online backup does it, within one read transaction together with the count. The source is
    opened read-only. Raise DatabaseError if it cannot be read, is damaged, or the copy is not the same; and
    what `keep` raises, which is called before each piece.
    """
    _require_database(database)
    target.mkdir(mode=0o700)
    copied = target / database.name
    with _opened(database, "mode=ro") as source:
        source.execute("BEGIN")
        counts = _counts(source)
        with _opened(copied, "mode=rwc") as copying:
            source.backup(copying, pages=_PAGES, progress=lambda *_: keep())
    problem = difference(copied, counts)
    if problem:
        raise DatabaseError(problem)
    status = database.stat()
    if os.geteuid() == 0:
        os.chown(copied, status.st_uid, status.st_gid)
    shutil.copystat(database, copied)
    return counts


def difference(copied: Path, counts: Counts) -> str:
    """Return what is wrong with a copy: damage, or other rows than `counts`; nothing if it is whole."""
    # Nobody else has the copy open: immutable keeps SQLite from leaving its working files beside it.
    with _opened(copied, "mode=ro&immutable=1") as database:
        said = "; ".join(str(row[0]) for row in database.execute("PRAGMA integrity_check(3)"))
        found = _counts(database)
    if said != "ok":
        return f"{copied.name} is damaged: {said}"
    other = sorted(name for name in {*counts, *found} if counts.get(name) != found.get(name))
    return f"{copied.name} has other rows in {', '.join(other)}" if other else ""


def size(database: Path) -> int:
    """Return the bytes of the database with its write-ahead log."""
    log = Path(f"{database}-wal")
    return database.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _require_database(path: Path) -> None:
    # SQLite itself takes a file of a few bytes for a new, empty database.
    with open_regular(path) as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise DatabaseError(f"{path} is not a SQLite database")


def _counts(database: Any) -> Counts:
    names = [row[0] for row in database.execute(_TABLES)]
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    # An identifier cannot be a parameter; it is the database's own, and quoted.
    return {name: database.execute(f"SELECT count(*) FROM {word}").fetchone()[0] for name, word in quoted.items()}  # noqa: S608


@contextlib.contextmanager
def _opened(path: Path, how: str) -> Iterator[Any]:
    if sqlite3 is None:
        raise DatabaseError(f"{path}: the Python of this host has no sqlite3")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=10)) as database:
            yield database
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {error}") from error
