"""Is the data of services whole, and how many rows are there? Read only and bounded: a host in trouble is not held up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _parallel,
    _postgresql_look,
    _sqlite,
)
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

STATEMENT_S = 1.0
WITHIN_S = 5.0  # for all of a host; what has not answered a little later is left behind
_GRACE_S = 3.0
_CHARS = 200
_NOTES = 5
_TABLES = 200  # a result has no room for more

Facts = dict[str, Any]
Item = tuple[str, Facts]  # the service's name, and the data item of the catalogue


def look(services: list[Facts]) -> dict[str, list[Facts]]:
    """Return by service how its SQLite and PostgreSQL data is, as far as it declares some.

    Each: {kind, name, whole: true | false | null, damage: [why], tables: {name: {rows, exact, shrinks}}, notes: [what could
    not be found out], checksum_failures}. `whole` and `rows` are null where that is not known.
    """
    items = [(s["name"], item) for s in services for item in s.get("data", []) if item["kind"] in _KINDS]
    until = time.monotonic() + WITHIN_S
    found = _parallel.each(lambda item: _one(item[1], until), items, WITHIN_S + _GRACE_S)
    told: dict[str, list[Facts]] = {}
    for (name, item), facts in zip(items, found):
        late = _unknown(item, f"no answer within {WITHIN_S + _GRACE_S:g} s")
        told.setdefault(name, []).append(late if facts is _parallel.LATE else facts)
    return told


def _one(item: Facts, until: float) -> Facts:
    try:
        facts = _KINDS[item["kind"]](item, until)
    except OSError as error:
        return _unknown(item, str(error.strerror or error))
    rows = sorted(facts["tables"].items())
    shrinks = set(item.get("shrinks", []))
    facts["tables"] = {
        name: {**table, "shrinks": table["shrinks"] or name in shrinks or name.rpartition(".")[2] in shrinks}
        for name, table in rows[:_TABLES]
    }
    if len(rows) > _TABLES:
        facts["notes"].append(f"{len(rows) - _TABLES} more tables are not told")
    return {"kind": item["kind"], "name": _name(item), **facts, "notes": facts["notes"][:_NOTES]}


def _sqlite_facts(item: Facts, until: float) -> Facts:
    try:
        counts, damage, notes = _sqlite.look(Path(item["path"]).resolve(strict=True), STATEMENT_S, until)
    except _sqlite.DatabaseError as error:
        if not _sqlite.is_damage(error):
            raise
        counts, damage, notes = {}, [str(error)], []
    tables = {name: {"rows": rows, "exact": rows is not None, "shrinks": False} for name, rows in counts.items()}
    unchecked = any(note.startswith("not checked") for note in notes)
    return _facts(tables, damage, notes, None if unchecked else not damage, None)


def _postgresql_facts(item: Facts, until: float) -> Facts:
    seen = _postgresql_look.look(Place.of(item), STATEMENT_S, until)
    tables = {name: table._asdict() for name, table in seen.tables.items()}
    whole = False if seen.damage else True if seen.checked else None
    return _facts(tables, seen.damage, seen.notes, whole, seen.checksum_failures)


def _facts(tables: Facts, damage: list[str], notes: list[str], whole: bool | None, failures: int | None) -> Facts:
    return {
        "whole": whole,
        "damage": [clean(text, _CHARS) for text in damage[:_NOTES]],
        "tables": tables,
        "notes": [clean(text, _CHARS) for text in notes],
        "checksum_failures": failures,
    }


def _unknown(item: Facts, why: str) -> Facts:
    return {"kind": item["kind"], "name": _name(item), **_facts({}, [], [f"not looked at: {why}"], None, None)}


def _name(item: Facts) -> str:
    return str(item["path"]) if item["kind"] == "sqlite" else str(Place.of(item))


_KINDS = {"sqlite": _sqlite_facts, "postgresql": _postgresql_facts}
