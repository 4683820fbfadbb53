"""When it began, and what changed before: from the diagnoses of all hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from incidentctl import changes, clocks, onset, seen_well
from incidentctl.changes import Row, span
from incidentctl.incident import Incident
from incidentctl.onset import Onset
from incidentctl.outcome import HostOutcome


@dataclass(frozen=True)
class History:
    """The onset of each service and of all, the changes nearest to it first, and what is to be noted."""

    onsets: Mapping[str, Onset]
    onset: Onset | None
    changes: tuple[Row, ...]
    notes: tuple[str, ...]
    ahead: Mapping[str, float] = field(default_factory=dict)  # seconds that a host's clock is ahead of ours

    @property
    def began(self) -> datetime | None:
        """The onset of all as a moment, None where nobody tells it."""
        return None if self.onset is None else onset.moment(self.onset.at)

    def as_data(self) -> dict[str, Any]:
        """Return it for --json."""
        return {"onset": self.onset and asdict(self.onset), "changes": [asdict(row) for row in self.changes]}


def read(rows: Iterable[HostOutcome], told: Iterable[Onset] = (), known: Onset | None = None) -> History:
    """Given the outcomes of a diagnosis, and when it began by what others say, return what they say together.

    What others say of a time before all that is sick was last seen well is left out: it was another trouble. With
    `known`, it is known already when it began.
    """
    hosts = {row.host: row.facts for row in rows if row.capability == "diagnosis" and row.facts}
    skew = clocks.wrong(hosts)
    onsets = onset.of_services(hosts, skew)
    sick = changes.sick(hosts)
    others = seen_well.since(told, seen_well.last(hosts, sick, skew))
    began = known or onset.of_all(onsets, {name for _host, name in sick}, others)
    measured = {**onsets, **({"": began} if began else {})}
    return History(
        onsets,
        began,
        tuple(changes.rank(hosts, measured, {host for host, _name in sick}, skew)),
        (*clocks.notes(skew, span), *_noted(hosts)),
        skew,
    )


def of(incident: Incident) -> History:
    """Return the same from what the record keeps of the newest diagnosis."""
    rows = (incident.outcomes or {}).get("diagnose", ())
    outcomes = [HostOutcome(str(r["host"]), str(r["capability"]), "", facts=r.get("facts") or {}) for r in rows]
    return read(outcomes, known=onset.kept(incident.onset))


def _noted(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for host, facts in hosts.items():
        notes = facts.get("changes_notes")
        yield from (f"{host}: {note}" for note in (notes if isinstance(notes, list) else ()))
