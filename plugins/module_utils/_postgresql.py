"""PostgreSQL databases: a consistent dump of one in use, and whether a dump restores to the same rows.

What is compared is counted in the very snapshot that is dumped, so that writes meanwhile change nothing.
No password is ever in an argument: the server knows the OS user, or libpq finds one in ~/.pgpass.
"""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _command
from ansible_collections.incidentctl.response.plugins.module_utils._psql import Psql
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

DUMP, GLOBALS = "database.dump", "globals.sql"
SCRATCH = "incidentctl_verify_"
_ALWAYS_THERE = "postgres"
_TOOLS = ("psql", "pg_dump", "pg_dumpall", "pg_restore")
_TIMEOUT_S = 3600.0
_LOCK_WAIT = "30s"  # a migration that hangs holds locks: who queues behind it makes the application queue, too
_SAID_LIMIT = 1000
_CHUNK = 1 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# What is not a database's name but a connection string, which may hold a password.
_CONNECTION_STRING = re.compile(r"=|^postgres(ql)?://|\0")

# All of it ends with the transaction: of a pooler the connection is the application's next.
_BEGIN = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL client_encoding = 'UTF8'; SET LOCAL row_security = off; SET LOCAL lock_timeout = '{_LOCK_WAIT}';
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
"""
# Partitions are counted, not what is made of them; what belongs to an extension comes with the extension.
TABLES = r"""
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY nspname, relname"""
_COUNTS = rf"""
SELECT format('SELECT json_build_array(%L, count(*)) FROM ONLY %I.%I', nspname || '.' || relname, nspname, relname)
{TABLES} \gexec
SELECT json_build_array('large objects', count(*)) FROM pg_catalog.pg_largeobject_metadata;
"""  # noqa: S608 - of our own words
_SIZE = """
SELECT json_build_array(pg_catalog.pg_database_size(current_database()),
  (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'));
"""
_CREATE = r"""
SELECT format('CREATE DATABASE {name} TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
  pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype)
FROM pg_catalog.pg_database WHERE datname = current_database() \gexec
"""
_LEFTOVERS = "SELECT json_build_array(datname) FROM pg_catalog.pg_database WHERE left(datname, {length}) = '{prefix}';"
_VERSION = "SELECT json_build_array(current_setting('server_version_num')::int);"

Counts = dict[str, int]


class PostgresqlError(OSError):
    """A database cannot be dumped or restored; the message says which command said what."""


class Place(NamedTuple):
    """Where a database is, and who asks for it: None where the client's own default is meant."""

    database: str
    user: str | None
    host: str | None
    port: str | None

    @classmethod
    def of(cls, item: dict[str, Any]) -> Place:
        """Return the place that a data item of the catalogue names."""
        given = (str(item[key]) if key in item else None for key in ("user", "host", "port"))
        return cls(str(item["database"]), *given)

    def __str__(self) -> str:
        """Return what it is called: the database, and the server if it is named."""
        server = ":".join(word for word in (self.host, self.port) if word)
        return f"{server}/{self.database}" if server else self.database

    def argv(self, tool: str, *words: str, database: str | None = None) -> list[str]:
        """Return a command of PostgreSQL, run as the OS user of the database's name where only root can be that."""
        names = {"host": self.host, "port": self.port, "username": self.user}
        given = [f"--{name}={value}" for name, value in names.items() if value]
        of = [f"--dbname={database}"] if database else []
        return [*self._as_user(), tool, "--no-password", *given, *of, *words]

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0 or not self.user:
            return []
        try:
            home = pwd.getpwnam(self.user).pw_dir
        except KeyError:  # a user of the database alone
            return []
        # libpq looks for ~/.pgpass by $HOME, which runuser leaves as it is.
        return ["runuser", "-u", self.user, "--", "env", f"HOME={home}"]


class Size(NamedTuple):
    """Bytes of a database, and the folder on this host that holds it (None: it is elsewhere, or not told)."""

    bytes: int
    folder: Path | None


def why_not(place: Place, tools: tuple[str, ...] = _TOOLS) -> str:
    """Return why this host cannot do with a database what takes `tools`, by default a backup; nothing if it can."""
    if _CONNECTION_STRING.search(place.database):
        return "database must be a name, not a connection string: user, host and port have keys of their own"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} of PostgreSQL's client is not on this host: install it"
    tool = place.argv("psql")[0]
    return "" if shutil.which(tool) else f"{tool} is not on this host: install it"


def size(place: Place) -> Size:
    """Ask how large a database is. Raise PostgresqlError if it cannot be reached."""
    with _psql(place, place.database) as psql:
        ((size_bytes, folder),) = psql.ask(_SIZE)
    here = place.host in (None, "localhost", "127.0.0.1", "::1") or str(place.host).startswith("/")
    return Size(int(size_bytes), Path(folder) if folder and here and Path(folder).is_dir() else None)


def copy(place: Place, target: Path, keep: Callable[[], None]) -> Counts:
    """Dump a database that may be in use, and the server's roles, into the new folder `target`; return its rows.

    Raise PostgresqlError if any of it cannot be read, and what `keep` raises, which is called while it is written.
    """
    target.mkdir(mode=0o700)
    with _psql(place, place.database) as psql:
        ((snapshot,),) = psql.ask(_BEGIN + "SELECT json_build_array(pg_catalog.pg_export_snapshot());")
        counts = _counts(psql)
        words = ("--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT}")
        with _created(target / DUMP) as into:
            _run(place.argv("pg_dump", *words, database=place.database), into=into, keep=keep)
    _copy_globals(place, target / GLOBALS)
    return counts


def content(folder: Path) -> str:
    """Return one SHA-256 over what a copy holds. A dump itself is never twice the same: it tells its time."""
    digest = hashlib.sha256()
    # As text it may take many times the room, so it goes to no disk. Not --file=-: before release 12, a file's name.
    argv = ["pg_restore", "--file=/dev/stdout"]
    with (folder / DUMP).open("rb") as source, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stdin=source, stdout=subprocess.PIPE, stderr=said)
        clock = threading.Timer(_TIMEOUT_S, process.kill)
        clock.start()
        try:
            with process:
                _digest_script(digest, process.stdout)
        finally:
            clock.cancel()
        if process.returncode != 0:
            said.seek(0)
            raise PostgresqlError(clean(f"pg_restore: {said.read().decode('utf-8', 'replace')}", _SAID_LIMIT))
    with (folder / GLOBALS).open("rb") as script:
        _digest_script(digest, script)
    return digest.hexdigest()


def difference(place: Place, folder: Path, counts: Counts, owner: str, keep: Callable[[], None]) -> str:
    """Restore a copy into a scratch database of the same server; return in which tables it has other rows.

    `owner` tells whose scratch database it is: those that a killed run of the same owner left are dropped.
    Raise PostgresqlError if it does not restore, or the scratch database cannot be dropped again.
    """
    prefix = SCRATCH + hashlib.sha256(f"{platform.node()} {owner}".encode()).hexdigest()[:8] + "_"
    name = prefix + secrets.token_hex(4)
    with _psql(place, place.database) as psql:
        leftovers = psql.ask(_LEFTOVERS.format(length=len(prefix), prefix=prefix))
    for (leftover,) in leftovers:
        _drop(place, leftover)
    try:
        with _psql(place, place.database) as psql:
            psql.ask(_CREATE.format(name=name))
        found = _restored(place, folder, name, keep)
    finally:
        _drop(place, name)
    other = sorted(table for table in {*counts, *found} if counts.get(table) != found.get(table))
    return f"other rows came back in {', '.join(other)}" if other else ""


def restore_command(place: Place, printed: str) -> str:
    """Given the command that prints a dump, return the one that puts the database back, all of it or nothing."""
    words = ("--clean", "--if-exists", "--single-transaction")
    return f"{printed} | {shlex.join(place.argv('pg_restore', *words, database=place.database))}"


def recreate_command(place: Place, printed_roles: str, printed: str) -> str:
    """Given the commands that print roles and dump, return the one for a server that has neither database nor roles.

    Roles that are there are said to be, and get the attributes and passwords that they had.
    """
    roles = shlex.join(place.argv("psql", "--no-psqlrc", "--quiet", database=_ALWAYS_THERE))
    restore = shlex.join(place.argv("pg_restore", "--create", "--exit-on-error", database=_ALWAYS_THERE))
    return f"{printed_roles} | {roles} ; {printed} | {restore}"


def _restored(place: Place, folder: Path, name: str, keep: Callable[[], None]) -> Counts:
    # Subscriptions would reach out to other servers, and keep the scratch database from being dropped.
    words = ("--exit-on-error", "--no-publications", "--no-subscriptions")
    with (folder / DUMP).open("rb") as source:
        _run(place.argv("pg_restore", *words, database=name), source=source, keep=keep)
    with _psql(place, name) as psql:
        psql.ask(_BEGIN)
        return _counts(psql)


def _drop(place: Place, name: str) -> None:
    with _psql(place, place.database) as psql:
        ((version,),) = psql.ask(_VERSION)
        force = " WITH (FORCE)" if version >= 130000 else ""  # a pg_restore that was killed may go on at the server
        psql.ask(f"SET client_min_messages = error; DROP DATABASE IF EXISTS {name}{force};")


def _copy_globals(place: Place, path: Path) -> None:
    """Dump roles and tablespaces; without passwords where only a superuser could read them."""
    for words in ((), ("--no-role-passwords",)):
        path.unlink(missing_ok=True)
        with _created(path) as into:
            finished = _command.run(place.argv("pg_dumpall", "--globals-only", *words), _TIMEOUT_S, "/", into=into)
        if finished.ok:
            return
    raise PostgresqlError(clean(str(finished), _SAID_LIMIT))


def _counts(psql: Psql) -> Counts:
    return {str(table): int(count) for table, count in psql.ask(_COUNTS)}


def _psql(place: Place, database: str) -> Psql:
    words = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    return Psql(place.argv("psql", *words, database=database), _TIMEOUT_S)


def _run(argv: list[str], **files: Any) -> None:
    finished = _command.run(argv, _TIMEOUT_S, "/", **files)
    if not finished.ok:
        raise PostgresqlError(clean(str(finished), _SAID_LIMIT))


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, _FLAGS, 0o600), "wb")


def _digest_script(digest: Any, script: BinaryIO) -> None:
    r"""Add a script to a digest, without the key of \restrict: newer tools draw a new one for each script."""
    key = None
    for line in iter(lambda: script.readline(_CHUNK), b""):
        if key is None and line.startswith(b"\\restrict "):
            key = line.split()[-1]
        elif key is None or line.strip() != b"\\unrestrict " + key:
            digest.update(line)
