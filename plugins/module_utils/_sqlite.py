"""SQLite databases: a consistent copy of one in use, and whether a copy is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
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
_BUSY_S = 0.5  # to wait for a lock where it is only looked at
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


def look(database: Path, statement_s: float, until: float) -> tuple[dict[str, int | None], list[str], list[str]]:
    """Return the rows by table (None: not counted), what is damaged, and what could not be found out.

    The database may be in use. It is read only, each statement for `statement_s` seconds at most, for a reader may keep a
    writer waiting; none begins after the monotonic time `until`. Raise DatabaseError if it cannot be read at all.
    """
    _require_database(database)
    counts: dict[str, int | None] = {}
    notes: list[str] = []
    with _opened(database, "mode=ro", _BUSY_S) as source:
        tables = _quoted(source)
        for name, word in tables.items():
            found = _bounded(source, f"SELECT count(*) FROM {word}", statement_s, until)  # noqa: S608 - as in _counts
            counts[name] = None if isinstance(found, str) else found[0][0]
            if isinstance(found, str):
                notes.append(f"{name} not counted: {found}")
        said = _bounded(source, "PRAGMA quick_check(3)", statement_s, until)
    if isinstance(said, str):
        return counts, [], [*notes, f"not checked for damage: {said}"]
    return counts, [str(row[0]) for row in said if row[0] != "ok"], notes


def is_damage(error: DatabaseError) -> bool:
    """Say whether a database cannot be read because of what is in it: one that is locked, say, is whole."""
    if sqlite3 is None or isinstance(error.__cause__, sqlite3.OperationalError):
        return False
    return error.__cause__ is None or isinstance(error.__cause__, sqlite3.DatabaseError)


def _bounded(source: Any, sql: str, seconds: float, until: float) -> list[Any] | str:
    """Return the rows that `sql` gives, or why it gave none in time. Raise sqlite3.Error for anything else."""
    left = min(seconds, until - time.monotonic())
    if left <= 0:
        return "there was no time"
    # Not its progress handler: counting is one step of SQLite's machine, between which and the next one it is called.
    clock = threading.Timer(left, source.interrupt)
    clock.daemon = True
    clock.start()
    try:
        return source.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        return f"it takes longer than {seconds:g} s" if "interrupt" in str(error) else str(error)
    finally:
        clock.cancel()


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
    # An identifier cannot be a parameter; it is the database's own, and quoted.
    return {
        name: database.execute(f"SELECT count(*) FROM {word}").fetchone()[0]  # noqa: S608
        for name, word in _quoted(database).items()
    }


def _quoted(database: Any) -> dict[str, str]:
    """Return the names of the tables, each with how it is written in SQL."""
    names = [row[0] for row in database.execute(_TABLES)]
    return {name: '"' + name.replace('"', '""') + '"' for name in names}


@contextlib.contextmanager
def _opened(path: Path, how: str, patience_s: float = 10) -> Iterator[Any]:
    if sqlite3 is None:
        raise DatabaseError(f"{path}: the Python of this host has no sqlite3")
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=patience_s)
        ) as database:
            yield database
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {error}") from error
