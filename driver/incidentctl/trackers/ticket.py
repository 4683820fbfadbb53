"""What a ticket says, in every tracker."""

from __future__ import annotations

from typing import Any

from incidentctl.incident import Incident


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
