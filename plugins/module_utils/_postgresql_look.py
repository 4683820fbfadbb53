"""A look at a PostgreSQL database: rows by table, and signs of damage. Read only, and bounded at the server itself.

Small tables are counted; of large ones, and of those that a lock keeps us from, the server's own statistics are told.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _postgresql
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._psql import Psql, PsqlError
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

COUNTED_ROWS = 200_000  # a table with more is not counted, but estimated
_ENVIRONMENT = ("PGCONNECT_TIMEOUT=3", "PGCLIENTENCODING=UTF8", "PGAPPNAME=incidentctl")
_MOST_TABLES = 200
_MOST_INDEXES = 50
_INDEX_PAGES = 2_000  # of 8 KiB: an index with more is not checked
_OFTEN = 0.1  # a table of which so many of the rows that it ever got were deleted loses rows by nature
_CHARS = 200

# Whatever else goes wrong, these end it at the server: who only looks must not queue before the application.
_BEGIN = """
BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL lock_timeout = '300ms'; SET LOCAL statement_timeout = '{ms:.0f}ms';
"""
_COLUMNS = """
SELECT json_build_array(nspname || '.' || relname, format('%I.%I', nspname, relname), c.reltuples,
  pg_catalog.pg_stat_get_live_tuples(c.oid), pg_catalog.pg_stat_get_tuples_inserted(c.oid),
  pg_catalog.pg_stat_get_tuples_deleted(c.oid))"""
_TABLES = " ".join((_COLUMNS, _postgresql.TABLES, f"LIMIT {_MOST_TABLES + 1};"))
_COUNT = "SELECT json_build_array(count(*)) FROM ONLY {table};"
_CHECKSUMS = (
    "SELECT json_build_array(checksum_failures) FROM pg_catalog.pg_stat_database WHERE datname = current_database();"
)
_INVALID = """
SELECT json_build_array(c.relname) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relpersistence <> 't' ORDER BY c.relname LIMIT 5;
"""
_AMCHECK = """
SELECT json_build_array(quote_ident(n.nspname)) FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck';
"""
_INDEXES = f"""
SELECT json_build_array(c.oid::bigint, c.relname) FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND i.indisready AND c.relpersistence = 'p' AND c.relpages <= {_INDEX_PAGES}
ORDER BY c.relpages DESC, c.relname LIMIT {_MOST_INDEXES};
"""  # noqa: S608 - of our own words
_CHECK_INDEX = "SELECT json_build_array({schema}.bt_index_check({oid}::oid)::text);"
_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted


class Table(NamedTuple):
    """Rows of a table (None: not known); `exact` unless the server estimates them; `shrinks` if it loses rows by nature."""

    rows: int | None
    exact: bool
    shrinks: bool


class Look(NamedTuple):
    """What a look gave: tables by name, what is damaged, what could not be found out, and the failed checksums so far.

    `checked` says whether every index of those that are to be checked was.
    """

    tables: dict[str, Table]
    damage: list[str]
    checked: bool
    notes: list[str]
    checksum_failures: int | None


class _Session(Psql):
    """Asks each question in a transaction of its own, with which all that was set ends.

    Of a pooler the connection is the application's next, and must be as it was.
    """

    def __init__(self, argv: list[str], timeout_s: float, statement_s: float) -> None:
        super().__init__(argv, timeout_s)
        self._begin = _BEGIN.format(ms=1000 * statement_s)

    def ask(self, sql: str) -> list[list[Any]]:
        """Run one statement; return its rows, none if it fails: `said` is why. Raise PsqlError if psql has ended."""
        return super().ask(f"{self._begin}{sql}\nCOMMIT;")


def look(place: Place, statement_s: float, until: float) -> Look:
    """Look at a database; no statement takes longer than `statement_s` seconds, and none begins after `until`.

    Raise OSError if it cannot be reached.
    """
    if reason := _postgresql.why_not(place, ("psql",)):
        raise OSError(reason)
    words = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=VERBOSITY=verbose")
    argv = ["env", *_ENVIRONMENT, *place.argv("psql", *words, database=place.database)]
    with _Session(argv, max(0.1, until - time.monotonic()) + statement_s, statement_s) as psql:
        listed = psql.ask(_TABLES)
        if psql.said and not listed:
            raise OSError(clean(psql.said, _CHARS))
        tables, notes = _tables(psql, listed, until)
        damage: list[str] = []
        checked, failures = False, []
        try:
            failures = psql.ask(_CHECKSUMS)
            checked = _check(psql, until, damage, notes)
        except PsqlError:  # its time is over: the rows are known
            notes.append("not checked for damage: there was no time")
    return Look(tables, damage, checked, notes, failures[0][0] if failures else None)


def _tables(psql: Psql, listed: list[list[Any]], until: float) -> tuple[dict[str, Table], list[str]]:
    tables, notes = {}, []
    if len(listed) > _MOST_TABLES:
        notes.append(f"more than {_MOST_TABLES} tables: only the first are counted")
    for name, word, planned, live, inserted, deleted in listed[:_MOST_TABLES]:
        shrinks = deleted > 0 and deleted >= _OFTEN * inserted
        estimate = live if live > 0 else round(planned) if planned >= 0 else None
        found = None
        if (estimate or 0) <= COUNTED_ROWS and time.monotonic() < until:
            found = psql.ask(_COUNT.format(table=word))
        if found:
            tables[name] = Table(found[0][0], True, shrinks)
            continue
        tables[name] = Table(estimate, False, shrinks)
        if estimate is None:
            why = "there was no time" if found is None else psql.said
            notes.append(clean(f"{name} not counted: {why}", _CHARS))
    return tables, notes


def _check(psql: Psql, until: float, damage: list[str], notes: list[str]) -> bool:
    """Add what is damaged, and what has to be said; return whether all indexes were checked, for which it takes amcheck."""
    if invalid := psql.ask(_INVALID):
        notes.append(clean(f"not valid, so not used: index {', '.join(row[0] for row in invalid)}", _CHARS))
    schema = psql.ask(_AMCHECK)
    indexes = psql.ask(_INDEXES) if schema else []
    checked = 0
    for number, (oid, name) in enumerate(indexes):
        if time.monotonic() > until:
            notes.append(f"{len(indexes) - number} of {len(indexes)} indexes not checked: there was no time")
            break
        if psql.ask(_CHECK_INDEX.format(schema=schema[0][0], oid=oid)):
            checked += 1
            continue
        said = clean(psql.said, _CHARS)
        if any(code in said for code in _DAMAGED):
            damage.append(f"index {name}: {said}")
        else:
            notes.append(f"index {name} not checked: {said}")
            if "42501" in said:  # insufficient_privilege: the others will not be checked either
                break
    return bool(schema) and checked + len(damage) == len(indexes)
