"""The embedded status page: a folder of static files that any web server can serve.

incidents/<id>.json has the fields and words of Statuspage, index.html shows them. Only services that customers use are
in it: no host, no error, nothing that a responder typed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from incidentctl.audiences.customers import sentence
from incidentctl.audiences.words import listed, triaged, user_facing
from incidentctl.incident import Event, Incident
from incidentctl.times import when

IMPACTS = {"critical": "critical", "high": "major", "medium": "minor", "low": "none"}
_COMPONENTS = {"critical": "major_outage", "major": "partial_outage"}
# Event → the word of a status page from then on.
_STATUS = {
    "declared": "investigating",
    "reopened": "investigating",
    "decided": "identified",
    "verified": "monitoring",
    "resolved": "resolved",
    "cancelled": "resolved",
    "closed": "resolved",
}
_SHOWN = 50  # incidents on the page, newest first


def concerned(incident: Incident) -> bool:
    """Say whether the status page has anything to say about this incident."""
    return bool(user_facing(incident)) and (triaged(incident) or incident.status != "investigating")


def document(incident: Incident, events: Sequence[Event]) -> dict[str, Any]:
    """Given an incident and its events, return it as Statuspage has incidents."""
    updates = _updates(incident, events)
    status, impact = updates[-1]["status"], IMPACTS.get(incident.severity, "minor")
    services = user_facing(incident)
    component = "operational" if status == "resolved" else _COMPONENTS.get(impact, "degraded_performance")
    return {
        "id": incident.incident_id,
        "name": f"Problem with {listed(services)}",
        "status": status,
        "impact": impact,
        "created_at": incident.declared_at,
        "updated_at": updates[-1]["created_at"],
        "resolved_at": updates[-1]["created_at"] if status == "resolved" else None,
        "components": [{"name": name, "status": component} for name in services],
        "incident_updates": updates[::-1],
    }


def publish(folder: Path, wanted: dict[str, Any]) -> bool:
    """Write an incident and the page, unless they are there already; return whether. Raise OSError if it cannot."""
    places = folder / "incidents"
    places.mkdir(parents=True, exist_ok=True)
    wrote = _write(places / f"{wanted['id']}.json", json.dumps(wanted, indent=1) + "\n")
    return _write(folder / "index.html", page(_read(places))) or wrote


def page(incidents: Sequence[dict[str, Any]]) -> str:
    """Return the page for these incidents; everything in it is escaped."""
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415 - only who has a status page needs it

    template = Environment(loader=PackageLoader("incidentctl"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    newest_first = sorted(incidents, key=lambda one: str(one.get("created_at")), reverse=True)[:_SHOWN]
    still_there = [one for one in newest_first if one.get("status") != "resolved"]
    over = [one for one in newest_first if one.get("status") == "resolved"]
    return template.get_template("status.html").render(open=still_there, over=over, when=when)


def _updates(incident: Incident, events: Sequence[Event]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for event in events:
        status = _STATUS.get(event.kind)
        if event.kind == "verified" and event.data.get("recovered") is False:
            status = "investigating"
        if status is not None and (not found or found[-1]["status"] != status):
            found.append({"status": status, "body": sentence(incident, status), "created_at": event.at})
    return found


def _read(places: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(places.glob("*.json")):
        try:
            one = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # somebody else's file is no reason to have no page
            continue
        if isinstance(one, dict):
            found.append(one)
    return found


def _write(path: Path, text: str) -> bool:
    """Write as a whole or not at all, for it is served meanwhile, and readable for whoever serves it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    os.replace(beside, path)  # noqa: PTH105 - the one call that is atomic
    return True
