"""The embedded tracker: a folder of JSON files, one a ticket."""

from __future__ import annotations

import json
from pathlib import Path

from incidentctl.files import private_folder, private_text
from incidentctl.incident import Incident
from incidentctl.trackers.ticket import document


def open_ticket(incident: Incident, folder: Path) -> str:
    """Write <folder>/<incident>.json unless it is there; return its path."""
    path = private_folder(folder) / f"{incident.incident_id}.json"
    if not path.exists():
        private_text(path, json.dumps(document(incident), indent=1) + "\n")
    return str(path)
