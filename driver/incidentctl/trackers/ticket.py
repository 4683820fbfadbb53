"""What a ticket says, in every tracker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident


class NotNow(IncidentctlError):
    """The tracker will not take it before `until`, an aware time: asked earlier, it may not answer us any more."""

    def __init__(self, until: datetime, what: str, why: str = "", fix: str = "") -> None:
        """Keep the time apart, so that the outbox can wait for it."""
        super().__init__(what, why, fix)
        self.until = until


def document(incident: Incident) -> dict[str, Any]:
    """Return the incident as a ticket's fields."""
    return {
        "incident": incident.incident_id,
        "title": incident.title,
        "severity": incident.severity,
        "declared_at": incident.declared_at,
        "declared_by": incident.declared_by,
        "services": list(incident.services),
    }
