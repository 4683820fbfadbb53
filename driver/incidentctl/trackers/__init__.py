"""Open one ticket for an incident, in the tracker that incidentctl.yml names. One file a tracker."""

from __future__ import annotations

from typing import Any

from incidentctl.incident import Incident
from incidentctl.settings import Settings
from incidentctl.trackers import file, webhook


def open_ticket(incident: Incident, settings: Settings) -> dict[str, Any]:
    """Open the incident's ticket and return {tracker, reference}. Raise IncidentctlError if it was not accepted."""
    if settings.tracker.kind == "webhook":
        reference = webhook.open_ticket(settings.tracker, incident)
    else:
        reference = file.open_ticket(incident, settings.state_dir / "tickets")
    return {"tracker": settings.tracker.kind, "reference": reference}
