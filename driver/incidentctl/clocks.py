"""By how much the clock of a host is ahead of ours, and what it says put right by that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from incidentctl.onset import moment

_WRONG_S = 2.0  # a clock that is off by more is told
_TIME = re.compile(r"\b(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d:\d\d) UTC\b")  # as the collection's _finding says one


def ahead(facts: Mapping[str, Any]) -> float:
    """Return by how many seconds a host's clock is ahead of ours, by its facts; 0 where they do not tell, or it is right.

    It said its time at some moment between our question and its answer: only what lies outside is an error.
    """
    clock = _mapping(facts.get("clock"))
    now, asked, answered = (moment(clock.get(key)) for key in ("now", "asked_at", "answered_at"))
    if now is None or asked is None or answered is None:
        return 0.0
    asked += timedelta(seconds=_figure(clock.get("after_s")))
    if now > answered:
        return (now - answered).total_seconds()
    return min((now - asked).total_seconds(), 0.0)


def wrong(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Given each host's facts, return by how many seconds those clocks are ahead that are off by enough to matter."""
    return {host: off for host, facts in hosts.items() if abs(off := ahead(facts)) > _WRONG_S}


def put_right(text: str, facts: Mapping[str, Any], off: float) -> str:
    """Return a sentence of a host with the times of its clock, which is so many seconds ahead, as ours would have had them."""
    now = moment(_mapping(facts.get("clock")).get("now"))
    if not off or now is None:
        return text
    here = now - timedelta(seconds=off)

    def ours(found: re.Match[str]) -> str:
        day = found[1] or f"{now:%Y-%m-%d}"  # without a date it was today, by its clock
        at = _read(f"{day}T{found[2]}")
        if at is None:
            return found[0]
        at -= timedelta(seconds=off)
        return f"{at:%H:%M:%S} UTC" if at.date() == here.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"

    return _TIME.sub(ours, text)


def moved(at: Any, off: float) -> Any:
    """Return a time in ISO 8601 of a clock that is so many seconds ahead as ours would have had it; else what it is."""
    told = moment(at)
    return at if told is None or not off else (told - timedelta(seconds=off)).isoformat(timespec="milliseconds")


def notes(skew: Mapping[str, float], span: Any) -> Iterator[str]:
    """Say which clocks are wrong, in one line for all; `span` says seconds in words."""
    if skew:
        each = [f"{host} {span(abs(off))} {'ahead' if off > 0 else 'behind'}" for host, off in sorted(skew.items())]
        yield f"clocks that are off ours, and times of these hosts put right by that: {', '.join(each)}"


def _read(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _figure(value: Any) -> float:
    return value if isinstance(value, (int, float)) and abs(value) < 1e9 else 0.0
