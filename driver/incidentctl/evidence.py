"""The evidence of an incident: what came home is recorded, and one manifest says of every host what there is, or why not."""

from __future__ import annotations

import hashlib
import json

from incidentctl.desk import Desk
from incidentctl.evidence_manifest import CAPABILITY, FACTS, MANIFEST, folder_of, manifest
from incidentctl.files import private_folder, private_text
from incidentctl.outcome import Outcome


def keep(desk: Desk, outcome: Outcome) -> None:
    """Record each bundle that came home, write the incident's manifest, and record what its SHA-256 is."""
    for row in outcome.rows:
        if row.capability == CAPABILITY and row.files:
            facts = {f"of_{key}": row.facts[key] for key in FACTS if key in row.facts}
            desk.note("evidence_collected", host=row.host, files=list(row.files), **facts)
    folder = folder_of(desk.folder)
    text = json.dumps(manifest(desk.incident(), folder), indent=1, sort_keys=True)
    path = private_folder(folder) / MANIFEST
    fresh = path.with_name(f".{MANIFEST}.new")
    fresh.unlink(missing_ok=True)
    private_text(fresh, text)
    fresh.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    desk.note("evidence_collected", manifest={"path": str(path), "sha256": digest})
