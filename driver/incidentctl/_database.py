"""The database under the record: how it is opened, who may read its file, what its errors mean."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from incidentctl.errors import ConfigurationError, IncidentctlError
from incidentctl.files import sync, trouble, way_out

BUSY_TIMEOUT_S = 30.0
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_ADVISORY_LOCK = 0x696E6369  # any constant will do: "inci"
_URL_FIX = "write sqlite:///path/to/record.db or postgresql+psycopg://user@host/database"

_NOT_OURS = "make the folder writable for you, or set state_dir to one that is"

# What a database says (in lower case) → what to do about it.
_FIXES = (
    ("full", way_out(OSError(errno.ENOSPC, ""))),
    ("readonly", _NOT_OURS),
    ("unable to open", _NOT_OURS),
    ("disk i/o", way_out(OSError(errno.EIO, ""))),
    ("malformed", "keep the file as evidence and put back a copy from before"),
    ("not a database", "keep the file as evidence and put back a copy from before"),
    ("locked", "another process keeps the database busy: end it, then run the command again"),
)


class RecordError(IncidentctlError):
    """The record cannot be read or written, so nothing may be done."""


def open_database(url: str, tables: sa.MetaData) -> sa.Engine:
    """Given a database URL and the tables it must have, return an engine on it, made ready when new.

    A new SQLite file is 0600 and the folders made for it 0700, whatever the umask; a folder that is there
    already is left as it is. Transactions with the execution option `writes` take the write lock at once.
    Raise ConfigurationError if the URL cannot be used, RecordError if the database cannot.
    """
    try:
        parsed = sa.make_url(url)
        engine = _engine(parsed)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        # The URL itself is not repeated: there may be a password in it.
        raise ConfigurationError("record_url cannot be used", _first_line(error), _URL_FIX) from error
    except ImportError as error:
        raise ConfigurationError(
            "The driver of record_url is not installed", str(error), "pip install 'psycopg[binary]'"
        ) from error
    if _is_file(parsed):
        _protect(Path(str(parsed.database)))
    try:
        _make_tables(engine, tables)
    except SQLAlchemyError as error:
        engine.dispose()
        raise explain(engine, error) from error
    return engine


def explain(engine: sa.Engine, error: SQLAlchemyError) -> RecordError:
    """Given what the database raised, return the error a person can act on."""
    why = _first_line(error.orig if isinstance(error, DBAPIError) else error)
    fix = next((fix for word, fix in _FIXES if word in why.lower()), "check that the database can be reached")
    # SQLite says the same of a disk that is read-only and of one that is broken.
    disk = trouble(Path(str(engine.url.database)).parent) if _is_file(engine.url) else None
    if disk is not None:
        why, fix = f"{why} ({disk.strerror})", way_out(disk) or fix
    where = engine.url.render_as_string(hide_password=True)
    return RecordError(f"The incident record {where} cannot be used", why, fix)


def _is_file(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True)
    if url.get_backend_name() != "sqlite" or (url.database or "").startswith("file:"):
        raise ValueError("a record is kept in a SQLite file or in PostgreSQL")
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _on_begin, not where Python's driver thinks fit
    # A damaged text must come back as it is, so that the chain can tell where the damage lies.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()  # SQLAlchemy does not know this connection yet
        raise


def _on_begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_tables(engine: sa.Engine, tables: sa.MetaData) -> None:
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        if all(inspector.has_table(name) for name in tables.tables):
            return
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        tables.create_all(connection)


def _protect(path: Path) -> None:
    try:
        _make_folders(path.parent)
        _make_file(path)
        # SQLite gives the files beside it the mode of the file itself, but only when it makes them.
        for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) != 0o600:
                file.chmod(0o600)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = (way_out(error) if isinstance(error, OSError) else "") or _NOT_OURS
        raise RecordError(f"The incident record {path} cannot be used", why, fix) from error


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def _make_file(path: Path) -> None:
    # Never opened when it is there: closing it would drop the locks of every connection of this process.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is not a regular file") from None
        return
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    sync(path.parent)


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
