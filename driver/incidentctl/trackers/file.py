"""The embedded tracker: a folder of JSON files, one a ticket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from incidentctl.incident import Incident


def open_ticket(_tracker: Any, incident: Incident, state_dir: Path) -> dict[str, Any]:
    """Write tickets/<incident>.json unless it is there; return {tracker, reference}."""
    folder = state_dir / "tickets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{incident.incident_id}.json"
    ticket = {
        "incident": incident.incident_id,
        "title": incident.title,
        "severity": incident.severity,
        "declared_at": incident.declared_at,
        "declared_by": incident.declared_by,
        "services": list(incident.services),
    }
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(json.dumps(ticket, indent=1) + "\n", encoding="utf-8")
    return {"tracker": "file", "reference": str(path)}
