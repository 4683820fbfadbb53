"""The evidence of an incident: what came home is recorded, and one manifest says of every host what there is, or why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from incidentctl.desk import Desk
from incidentctl.evidence_manifest import CAPABILITY, FACTS, MANIFEST, folder_of, manifest
from incidentctl.files import lasting_text, private_folder
from incidentctl.outcome import Outcome


def keep(desk: Desk, outcome: Outcome, again: Mapping[str, str] | None = None) -> None:
    """Record each bundle that came home, write the incident's manifest, and record what its SHA-256 is.

    `again` says of hosts that are asked once more what there was of them before.
    """
    for row in outcome.rows:
        if row.capability == CAPABILITY and row.files:
            facts = {f"of_{key}": row.facts[key] for key in FACTS if key in row.facts}
            facts |= {"again": again[row.host]} if again and row.host in again else {}
            desk.note("evidence_collected", host=row.host, files=list(row.files), **facts)
    try:
        digest, path = _write(desk)
    except OSError as error:  # nothing that helps the site waits for it: the record has all that is in it
        desk.show("note", text=f"The manifest of the evidence could not be written: {error}")
        return
    desk.note("evidence_collected", manifest={"path": str(path), "sha256": digest})


def _write(desk: Desk) -> tuple[str, Path]:
    text = json.dumps(manifest(desk.incident(), folder_of(desk.folder)), indent=1, sort_keys=True)
    path = private_folder(folder_of(desk.folder)) / MANIFEST
    lasting_text(path, text)
    return hashlib.sha256(path.read_bytes()).hexdigest(), path
