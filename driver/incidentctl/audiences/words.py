"""What the texts for all audiences share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from incidentctl import text
from incidentctl.incident import Incident

_TITLE_CHARS = 300


@dataclass(frozen=True)
class Message:
    """A subject and a text."""

    title: str
    body: str


def title(incident: Incident) -> str:
    """Return what the person typed who declared it, on one line and harmless to show."""
    return text.plain(incident.title, _TITLE_CHARS)


def moment(at: str | None) -> str:
    """Given a time of the record, return it as a person reads it, in UTC and to the minute."""
    try:
        when = datetime.fromisoformat(at or "").astimezone(UTC)
    except ValueError:
        return "an unknown time"
    return f"{when:%Y-%m-%d %H:%M} UTC"


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence has them: a, b and c."""
    *most, last = [*names] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def user_facing(incident: Incident) -> tuple[str, ...]:
    """Return the affected services that customers use."""
    return tuple(name for name in incident.affected if name in incident.user_facing)


def triaged(incident: Incident) -> bool:
    """Say whether the hosts were asked who is sick: before that, nobody outside is told anything."""
    return any(phase.name == "triage" and phase.state == "done" for phase in incident.phases)


def outside_is_told(incident: Incident, about: str) -> bool:
    """Say whether this event is one for people outside: who was told that it is solved is not told that it is closed."""
    if about in ("escalated", "severity_changed", "awaited") or (
        about == "closed" and incident.resolved_at is not None
    ):
        return False
    return triaged(incident)
