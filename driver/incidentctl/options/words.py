"""How figures and facts are said. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from incidentctl.event_data import seconds_between
from incidentctl.text import plain

_DAY_S = 24 * 3600
_DAYS_S = 48 * 3600
_TITLE = 90  # characters of a cause's title: the diagnosis has it whole


def span(seconds: float) -> str:
    """Return a span as a person says it: 8.0 s, 3 min, 2.5 h, 12 days."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < _DAYS_S else f"{seconds / 86400:.0f} days"


def ago(at: str, now: datetime) -> str:
    """Say how long ago something was, in days; of what is nearer the time, which does not change while one reads it."""
    seconds = seconds_between(at, now.isoformat())
    if seconds is None:
        return "at a time that is not known"
    return f"{span(seconds)} ago" if seconds >= _DAYS_S else f"at {clock(at)}"


def clock(at: str) -> str:
    """Return a time of the record as a person reads it, in UTC to the minute."""
    try:
        return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return "a time that is not known"


def time_of_day(at: str, now: datetime) -> str:
    """Return a time of the record in UTC as short as it can be: of the last day its minute, else its date."""
    seconds = seconds_between(at, now.isoformat())
    told = clock(at)
    return told if seconds is None else told.partition(" ")[2 if 0 <= seconds < _DAY_S else 0]


def quoted(title: str) -> str:
    """Return what a host said, fit to stand in a sentence."""
    shown = plain(title)
    return shown if len(shown) <= _TITLE else f"{shown[:_TITLE].rstrip()}…"


def sentence(clause: str) -> str:
    """Return a clause as a sentence."""
    return f"{clause[:1].upper()}{clause[1:].rstrip('.')}."
