"""When services were last seen well: what ends an earlier trouble, so that a later one is none of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from incidentctl.incident import Event
from incidentctl.onset import Onset, moment

LOOKED_BACK_AT = 20  # verifications, the newest


def ago(verified: Iterable[Event], now: datetime) -> dict[str, dict[str, list[float]]]:
    """Given verifications, return by host and service how many seconds ago it was seen well, in those that recovered it.

    That is when the window began in which it held. Ages, for a host's clock may be another than ours. Of a drill as of
    what really happened: it was well.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for event in (event for event in verified if event.data.get("recovered") is True):
        at = moment(event.at)
        if at is None:
            continue
        since = (now - at).total_seconds() + _figure(event.data.get("window_s"))
        for host, services in _mapping(event.data.get("services")).items():
            for name, health in _mapping(services).items():
                if _mapping(health).get("healthy") is True and since > 0:
                    found.setdefault(str(host), {}).setdefault(str(name), []).append(round(since, 1))
    return found


def last(hosts: Mapping[str, Any], sick: Collection[tuple[str, str]], ahead: Mapping[str, float]) -> datetime | None:
    """Return since when all that is sick was not seen well any more, by each host's facts; None where one does not tell.

    `sick` are (host, service), `ahead` by how many seconds the clock of a host is ahead of ours.
    """
    times = [_of(_mapping(hosts.get(host)), name, ahead.get(host, 0.0)) for host, name in sick]
    known = [at for at in times if at is not None]
    return min(known) if known and len(known) == len(times) else None


def since(told: Iterable[Onset], floor: datetime | None) -> list[Onset]:
    """Return those that do not lie before all was last seen well: an alert that still stands from then is of then."""
    return [one for one in told if floor is None or (at := moment(one.at)) is None or at >= floor]


def _of(facts: Mapping[str, Any], name: str, ahead: float) -> datetime | None:
    at = moment(_mapping(_mapping(facts.get("services")).get(name)).get("seen_well"))
    return None if at is None else at - timedelta(seconds=ahead)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _figure(value: Any) -> float:
    return value if isinstance(value, (int, float)) and 0 <= value < 1e9 else 0.0
