"""One ticket for an incident, in the tracker that incidentctl.yml names, kept up to date. One file a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from incidentctl.audiences import internal
from incidentctl.incident import Event, Incident, fold
from incidentctl.settings import Settings
from incidentctl.trackers import file, github, webhook

# The turns of an incident that its ticket is told of, where the tracker has comments.
TURNS = ("severity_changed", "decided", "resolved", "cancelled", "reopened", "closed")


@dataclass(frozen=True)
class Due:
    """Something that the tracker is to be told: the incident itself, or one turn (the event `seq`) of it."""

    key: str
    about: str
    seq: int | None = None


def due(events: Sequence[Event], settings: Settings) -> list[Due]:
    """Given an incident's events, return what its tracker was not told yet, in order."""
    incident = fold(events)
    if incident.drill:  # there is nothing to mend
        return []
    if not incident.tickets:
        wanted = settings.severities[incident.severity].ticket
        return [Due(f"{incident.incident_id}:ticket", "declared")] if wanted else []
    ticket = incident.tickets[-1]
    if ticket.get("tracker") != settings.tracker.kind or "number" not in ticket:
        return []
    told = {row.get("key") for row in incident.notified if row.get("state") == "sent"}
    turns = [event for event in events if event.kind in TURNS and event.seq > ticket["seq"]]
    found = [Due(f"{incident.incident_id}:ticket:{event.seq}", event.kind, event.seq) for event in turns]
    return [one for one in found if one.key not in told]


def carry_out(one: Due, events: Sequence[Event], settings: Settings) -> dict[str, Any] | None:
    """Tell the tracker; return the ticket if it was opened for that. Raise IncidentctlError if it was not accepted."""
    if one.seq is None:
        return open_ticket(fold(events), settings)
    then = fold([event for event in events if event.seq <= one.seq])
    number = int(then.tickets[-1]["number"])
    github.comment(settings.tracker, then, number, one.key, internal.message(then, one.about).body)
    return None


def open_ticket(incident: Incident, settings: Settings) -> dict[str, Any]:
    """Open the incident's ticket and return {tracker, reference}. Raise IncidentctlError if it was not accepted."""
    tracker = settings.tracker
    if tracker.kind == "github":
        return {"tracker": tracker.kind, **github.open_ticket(tracker, incident)}
    if tracker.kind == "webhook":
        return {"tracker": tracker.kind, "reference": webhook.open_ticket(tracker, incident)}
    return {"tracker": tracker.kind, "reference": file.open_ticket(incident, settings.state_dir / "tickets")}
