"""What mitigations held back, for the report: per host and port how much, from whom, from when to when. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from incidentctl.incident import Event, Incident
from incidentctl.report.blocks import UNKNOWN, Table
from incidentctl.times import when

# Under what a look at rules that stand tells of them.
_STANDING = ("limits", "cuts", "quarantined")

Data = Mapping[str, Any]


def blocks(incident: Incident, events: Sequence[Event]) -> tuple[Table, ...]:
    """Return the table of what was held back, lifted or not; nothing where no rule counts what it holds back."""
    rows = [*_lifted(events), *_standing(incident)]
    header = ("Host", "What", "Held back", "From", "Until", "Busiest sources")
    return (Table(header, tuple(rows)),) if rows else ()


def _lifted(events: Sequence[Event]) -> Iterator[tuple[str, ...]]:
    for event in events:
        counted = event.data.get("counted")
        if event.kind == "containment_lifted" and isinstance(counted, Mapping):
            yield _row(event.data, counted, when(event.at))


def standing(incident: Incident) -> dict[tuple[str, str], Data]:
    """Return by host and entry what is counted of all that is still contained, by the newest look at it."""
    seen: dict[tuple[str, str], Data] = {}
    for rows in incident.outcomes.values():
        for row in rows:
            facts = row.get("facts")
            for found in _looks(facts) if isinstance(facts, Mapping) else ():
                seen[str(row.get("host")), str(found.get("entry"))] = found["counted"]
    there = [(str(row["host"]), str(row["entry"])) for row in incident.contained]
    return {key: seen[key] for key in there if key in seen}


def _standing(incident: Incident) -> Iterator[tuple[str, ...]]:
    found = standing(incident)
    for contained in incident.contained:
        counted = found.get((str(contained["host"]), str(contained["entry"])))
        if counted is not None:
            yield _row(contained, counted, "still there, as last looked at")


def _looks(facts: Data) -> Iterator[Data]:
    for key in _STANDING:
        found = facts.get(key)
        for one in found if isinstance(found, list) else ():
            if isinstance(one, Mapping) and isinstance(one.get("counted"), Mapping):
                yield one


def _row(what: Data, counted: Data, until: str) -> tuple[str, ...]:
    ports = ", ".join(map(str, counted.get("ports") or ()))
    of = f"{what.get('capability')} {what.get('target')}" + (f", port {ports}" if ports else "")
    return (
        str(what.get("host")), of, told(counted), when(counted.get("since") or UNKNOWN), until, "; ".join(_busiest(counted))
    )  # fmt: skip


def told(counted: Data) -> str:
    """Say how much was held back, of how much, and who sent most of it where one did."""
    dropped, passed = counted.get("dropped"), counted.get("passed") or 0
    if dropped is None:
        return UNKNOWN
    if not counted.get("ports"):  # of what is dropped whatever it is, nothing is let through and counted
        return f"{dropped:,} packets dropped"
    return f"{dropped:,} of {dropped + passed:,} attempts to connect dropped" + _chiefly(counted, dropped)


def _chiefly(counted: Data, dropped: int) -> str:
    source, count = next(_sources(counted), ("", None))
    return f", {count / dropped:.0%} from {source}".replace("%", " %") if count and 2 * count > dropped else ""


def _busiest(counted: Data) -> Iterator[str]:
    for source, count in _sources(counted):
        yield source if count is None else f"{source}: {count:,}"
    sources = counted.get("sources")
    if sources is None:
        yield "how many sources is unknown"
    elif sources > len(counted.get("busiest") or ()):
        yield f"{'at least ' if counted.get('more_sources') else ''}{sources} sources in all"


def _sources(counted: Data) -> Iterator[tuple[str, int | None]]:
    for row in counted.get("busiest") or ():
        yield str(row.get("source")), row.get("dropped")
