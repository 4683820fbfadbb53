"""What there is of each host from which evidence was wanted: whole, partial, or missing and why. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from incidentctl import event_data
from incidentctl.incident import Incident

CAPABILITY = "log_collection"
FORMAT = 1
MANIFEST = "manifest.json"
FACTS = ("members", "bytes", "cut", "missing", "refused")
_TIMES = 2  # that a host is asked of which only a part came
_LACKS = ("cut", "missing")  # what is refused was never evidence: a link, a key


def folder_of(incident_folder: Path) -> Path:
    """Return the folder of an incident's evidence."""
    return incident_folder / "evidence"


def lacking(incident: Incident) -> dict[str, str]:
    """Return the hosts of which another collection may tell more, each with what there is of it: `missing` or `partial`.

    What came partial a second time is all that the host gives, and what was refused would be refused again.
    """
    refused = {
        str(row.get("host"))
        for rows in (incident.outcomes or {}).values()
        for row in rows
        if _ours(row) and row.get("outcome") == "refused"
    }
    hosts: dict[str, dict[str, Any]] = manifest(incident)["hosts"]
    return {
        host: said["state"]
        for host, said in hosts.items()
        if said["state"] != "whole" and len(said["bundles"]) < _TIMES and host not in refused
    }


def may_lie(incident: Incident) -> set[str]:
    """Return the hosts on which a bundle may lie that did not come home: a collection was begun, and ended without one."""
    last = {
        str(row.get("host")): row.get("outcome")
        for rows in (incident.outcomes or {}).values()
        for row in rows
        if _ours(row)
    }
    return {host for host, outcome in last.items() if outcome in ("failed", "unknown", "unreachable")}


def manifest(incident: Incident, folder: Path | None = None) -> dict[str, Any]:
    """Return the manifest of an incident; with a `folder`, bundles in it by their paths below it."""
    why = {
        str(row.get("host")): _why(row, rows)
        for rows in (incident.outcomes or {}).values()
        for row in rows
        if _ours(row)
    }
    hosts = dict.fromkeys([*sorted(why), *(str(row.get("host")) for row in incident.evidence)])
    return {
        "format": FORMAT,
        "incident": incident.incident_id,
        "hosts": {host: _host(host, incident, why.get(host, ""), folder) for host in hosts},
    }


def _ours(row: Mapping[str, Any]) -> bool:
    return row.get("capability") == CAPABILITY


def _why(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return how a host's collection ended; where it was not begun, what had happened there before in that phase."""
    if row.get("outcome") == "not_attempted":
        before = (each for each in rows if each.get("host") == row.get("host") and not _ours(each))
        row = next((each for each in before if each.get("outcome") in ("unreachable", "unknown")), row)
    outcome = str(row.get("outcome", "unknown")).replace("_", " ")
    return f"{outcome}: {row['reason']}" if row.get("reason") else outcome


def _host(host: str, incident: Incident, why: str, folder: Path | None) -> dict[str, Any]:
    bundles = [_bundle(row, folder) for row in incident.evidence if row.get("host") == host]
    lacks = [text for bundle in bundles[-1:] for key in _LACKS for text in event_data.texts(bundle.get(key))]
    if not bundles:
        return {"state": "missing", "why": why, "bundles": []}
    return {"state": "partial" if lacks else "whole", "why": "; ".join(lacks), "bundles": bundles}


def _bundle(row: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    facts = {key: row[f"of_{key}"] for key in FACTS if f"of_{key}" in row}
    return {
        **{("unpacked" if key == "bytes" else key): value for key, value in facts.items()},
        "path": _below(str(row.get("path")), folder),
        "sha256": row.get("sha256"),
        "bytes": row.get("bytes"),
        **({"again": row["again"]} if "again" in row else {}),
    }


def _below(path: str, folder: Path | None) -> str:
    return os.path.relpath(path, folder) if folder and Path(path).is_relative_to(folder) else path
