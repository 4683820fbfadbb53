"""How an event is written down, and chained to the one before it (docs/contracts.md, 5). Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from incidentctl._database import RecordError

GENESIS = "0" * 64  # the prev_hash of an incident's first event


def chain_hash(prev_hash: str, row: Mapping[str, Any]) -> str:
    """Given the hash before and a row (its `data` as the stored text), return the row's hash, in hex."""
    fields = {name: row[name] for name in ("incident_id", "seq", "at", "actor", "kind", "data")}
    return hashlib.sha256((prev_hash + dump(fields)).encode("ascii")).hexdigest()


def first_broken(rows: Sequence[Mapping[str, Any]], head: str | None = None) -> int | None:
    """Given an incident's stored rows in order, return the seq of the first broken one; None if whole.

    If no row has the hash `head`, the tail was cut or the whole chain written anew: no row shows which,
    so the seq after the last one comes back. A record that lost all its rows is broken from 1 on.
    """
    previous, seen = GENESIS, set()
    for expected, row in enumerate(rows, start=1):
        linked = row["seq"] == expected and row["prev_hash"] == previous
        if not linked or row["hash"] != chain_hash(previous, row):
            return expected
        previous = row["hash"]
        seen.add(previous)
    return len(rows) + 1 if not rows or (head is not None and head not in seen) else None


def dump(value: Any) -> str:
    """Given data, return the one text that is stored and hashed: pure ASCII, whatever was typed."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError("This cannot be recorded", str(error), "report it: events hold plain JSON data") from error


def storable(text: str) -> str:
    """Spell out what a database refuses to store in a text: NUL, and bytes that were no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
