"""Look after what was secured: the commands about evidence."""

from __future__ import annotations

import json

import click

from incidentctl.cli import common


@click.group(short_help="What was secured of each host, and whether it is still as it came home.")
def evidence() -> None:
    """What was secured of each host, and whether it is still as it came home."""


@evidence.command(short_help="Compare the evidence with the record, the manifest, and each bundle's own.")
@common.incident
@common.as_json
@common.config
def verify(incident: str | None, as_json: bool, config: str | None) -> None:
    """Hash each bundle again, and each part in it; compare them with the record, the manifest, and the bundle's own.

    Nothing is unpacked to disk. Exit code 12 if anything is changed or missing, or lies there and is not known.

    \b
    incidentctl evidence verify
    """
    with common.opened(config) as (session, console):
        from dataclasses import asdict

        from incidentctl import evidence_check, wording
        from incidentctl.evidence_manifest import folder_of

        found = session.record.find(incident)
        folder = folder_of(session.settings.state_dir / "incidents" / found)
        checked = evidence_check.verify(session.record.incident(found), session.record.events(found), folder)
        broken = session.record.verify(found)
        if as_json:
            rows = [asdict(row) for row in checked]
            console.data(json.dumps({"incident_id": found, "record_broken_at": broken, "checked": rows}, indent=1))
        else:
            console.data(wording.evidence(found, folder, checked))
        evidence_check.judge(found, checked, broken)


COMMANDS = (evidence,)
