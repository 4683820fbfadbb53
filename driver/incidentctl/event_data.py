"""What the data of an event says, however odd it is: whoever wrote it may have been another version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Data = Mapping[str, Any]
Rows = dict[tuple[str, ...], Data]


def renew(known: Rows, row: Data, keys: tuple[str, ...], gone: bool = False) -> None:
    """Let a row take the place of the one that is the same in these keys, at the end; or of none, if it is gone."""
    key = tuple(repr(row.get(name)) for name in keys)
    known.pop(key, None)
    if not gone:
        known[key] = row


def took(start: Any, end: Any) -> float | None:
    """Seconds from one event to a later one; None where the clock was set back in between: then nobody knows."""
    seconds = seconds_between(start, end)
    return None if seconds is None or seconds < 0 else seconds


def seconds_between(start: Any, end: Any) -> float | None:
    """Seconds from one time to another, negative if that lies before it; None where one of them is none."""
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (TypeError, ValueError):  # a time that is missing, not a time, or without its zone
        return None


def texts(value: Any) -> tuple[str, ...]:
    """Return a list's items as texts; nothing, if it is no list."""
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def rows(value: Any) -> tuple[Data, ...]:
    """Return the mappings of a list; nothing, if it is no list."""
    return tuple(row for row in (value if isinstance(value, list) else ()) if isinstance(row, dict))
