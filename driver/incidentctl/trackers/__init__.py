"""Open one ticket for an incident, in the tracker that incidentctl.yml names. One file a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from incidentctl.incident import Incident
from incidentctl.trackers import file

_OPEN = {"file": file.open_ticket}


def open_ticket(tracker: Any, incident: Incident, state_dir: Path) -> dict[str, Any]:
    """Open the incident's ticket and return {tracker, reference}. Opening it again gives the same one."""
    return _OPEN[tracker.kind](tracker, incident, state_dir)
