"""When it began, and what changed before: from the diagnoses of all hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from incidentctl import changes, onset
from incidentctl.changes import Row, span
from incidentctl.onset import Onset
from incidentctl.outcome import HostOutcome

_WRONG_S = 2.0  # a clock that is off by more is told


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


def read(rows: Iterable[HostOutcome], told: Iterable[Onset] = ()) -> History:
    """Given the outcomes of a diagnosis, and when it began by what others say, return what they say together."""
    hosts = {row.host: row.facts for row in rows if row.capability == "diagnosis" and row.facts}
    skew = {host: off for host, facts in hosts.items() if abs(off := changes.ahead(facts)) > _WRONG_S}
    onsets = onset.of_services(hosts, skew)
    candidates = [*onsets.values(), *told]
    return History(
        onsets,
        onset.first(candidates) if candidates else None,
        tuple(changes.rank(hosts, onsets, changes.sick_hosts(hosts), skew)),
        tuple(_clock(host, off) for host, off in skew.items()),
        skew,
    )


def _clock(host: str, off: float) -> str:
    how = "ahead of" if off > 0 else "behind"
    return f"the clock of {host} is {span(abs(off))} {how} ours; its times are corrected by that"
