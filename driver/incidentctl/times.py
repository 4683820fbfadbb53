"""Times as people are told them: to the second, in UTC; the record has them as they are. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def when(at: object) -> str:
    """Return a time of the record, in ISO 8601, with its zone; what is no time as it stands."""
    told = moment(at)
    return told if told == str(at) else f"{told} UTC"


def moment(at: object) -> str:
    """Return the same without its zone, for a column that says it."""
    try:
        return f"{datetime.fromisoformat(str(at)).astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return str(at)
