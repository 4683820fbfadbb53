"""When it began: the first of what hosts, health, alerts and monitoring say, and who says it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Onset:
    """A moment in ISO 8601, UTC, and in words where it comes from."""

    at: str
    source: str

    def told(self) -> dict[str, str]:
        """Return it as the record keeps it."""
        return asdict(self)


def moment(text: Any) -> datetime | None:
    """Return a time in ISO 8601 with its zone; None where a text is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None and found.year > 1 else None


def of_services(hosts: Mapping[str, Mapping[str, Any]], ahead: Mapping[str, float]) -> dict[str, Onset]:
    """Given each host's facts of a diagnosis, and by how many seconds its clock is ahead, return each service's onset.

    Of several hosts the first counts.
    """
    found: dict[str, list[Onset]] = {}
    for host, facts in hosts.items():
        for name, told in _mapping(facts.get("services")).items():
            at = moment(_mapping(told).get("onset"))
            if at is not None:
                source = str(_mapping(told).get("onset_source") or "the first error in its logs")
                at -= timedelta(seconds=ahead.get(host, 0.0))
                found.setdefault(name, []).append(Onset(at.isoformat(timespec="milliseconds"), f"{source} on {host}"))
    return {name: first(each) for name, each in found.items()}


def first(candidates: Iterable[Onset]) -> Onset:
    """Return the earliest of these. Raise ValueError if there is none."""
    return min(candidates, key=lambda one: (moment(one.at) or datetime.max.replace(tzinfo=UTC), one.source))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
