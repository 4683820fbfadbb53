"""When it began: the first of what hosts, health, alerts and monitoring say, and who says it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_OTHERS = 3  # who else tells a time, named after the first


@dataclass(frozen=True)
class Onset:
    """A moment in ISO 8601, UTC, and in words where it comes from."""

    at: str
    source: str

    def told(self) -> dict[str, str]:
        """Return it as the record keeps it."""
        return asdict(self)


def kept(data: Any) -> Onset | None:
    """Return the onset that the record keeps, None if it has none."""
    at = moment(_mapping(data).get("at"))
    return None if at is None else Onset(_iso(at), str(_mapping(data).get("source") or "unknown"))


def moment(text: Any) -> datetime | None:
    """Return a time in ISO 8601 with its zone; None where a text is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None and found.year > 1 else None


def of_services(hosts: Mapping[str, Mapping[str, Any]], ahead: Mapping[str, float]) -> dict[str, Onset]:
    """Given each host's facts of a diagnosis, and by how many seconds its clock is ahead, return each service's onset.

    It is the first of what its logs and its health tell on any host. Where a service is sick anywhere, only hosts on
    which it is count.
    """
    found: dict[str, list[tuple[bool, Onset]]] = {}
    for host, facts in hosts.items():
        for name, told in _mapping(facts.get("services")).items():
            sick = _mapping(_mapping(told).get("health")).get("healthy") is False
            off = timedelta(seconds=ahead.get(host, 0.0))
            for at, source in _told(name, _mapping(told), sick, off):
                found.setdefault(name, []).append((sick, Onset(_iso(at - off), f"{source} on {host}")))
    return {name: first(_sick_ones(each)) for name, each in found.items()}


def of_alerts(told: Iterable[Any]) -> Iterator[Onset]:
    """Given what the record keeps of alerts, give when each began."""
    for alert in (alert for one in told for alert in _mapping(one).get("alerts") or ()):
        at = moment(_mapping(alert).get("since"))
        if at is not None:
            yield Onset(_iso(at), f"the alert {_mapping(alert).get('name')}")


def of_all(services: Mapping[str, Onset], sick: Collection[str], others: Iterable[Onset] = ()) -> Onset | None:
    """Return the first of the sick services' onsets (of all, if none is sick) and of what others say; None if none does.

    Its source names those that tell a later time, too: the reader may know better which of them counts.
    """
    of_sick = [one for name, one in services.items() if name in sick]
    candidates = sorted([*(of_sick or services.values()), *others], key=_order)
    if not candidates:
        return None
    later = [f"{one.source} at {one.at[11:19]}" for one in candidates[1 : 1 + _OTHERS]]
    source = candidates[0].source + (f"; later: {', '.join(later)}" if later else "")
    return Onset(candidates[0].at, source)


def first(candidates: Iterable[Onset]) -> Onset:
    """Return the earliest of these. Raise ValueError if there is none."""
    return min(candidates, key=_order)


def _told(name: str, facts: Mapping[str, Any], sick: bool, off: timedelta) -> Iterator[tuple[datetime, str]]:
    at = moment(facts.get("onset"))
    if at is not None:
        yield at, str(facts.get("onset_source") or f"the first error of {name}")
    seen = _mapping(facts.get("seen"))
    ill = moment(seen.get("sick_at"))
    well = max(filter(None, map(moment, (seen.get("healthy_at"), facts.get("seen_well")))), default=None)
    if sick and ill is not None and (well is None or well < ill):
        last = f", {well - off:%H:%M:%S} still healthy" if well else ""
        yield ill, f"{name} was seen sick under its release{last},"


def _sick_ones(each: list[tuple[bool, Onset]]) -> list[Onset]:
    return [one for sick, one in each if sick] or [one for _sick, one in each]


def _order(one: Onset) -> tuple[datetime, str]:
    return moment(one.at) or datetime.max.replace(tzinfo=UTC), one.source


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
