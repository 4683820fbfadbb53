"""Look after what was secured: the commands about evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from incidentctl.cli import common, completing

if TYPE_CHECKING:
    from pathlib import Path

    from incidentctl.evidence_check import Checked
    from incidentctl.session import Session


@click.group(short_help="What was secured of each host, and whether it is still as it came home.")
def evidence() -> None:
    """What was secured of each host, and whether it is still as it came home."""


@evidence.command(short_help="Compare the evidence with the record, the manifest, and each bundle's own.")
@common.any_incident
@common.as_json
@common.config
def verify(incident: str | None, as_json: bool, config: str | None) -> None:
    """Hash each bundle again, and each part in it; compare them with the record, the manifest, and the bundle's own.

    Nothing is unpacked to disk. Exit code 12 if anything is changed or missing, or lies there and is not known; 11 if it takes
    zstd to look into a bundle, and this machine has none.

    \b
    incidentctl evidence verify
    """
    with common.opened(config) as (session, console):
        from dataclasses import asdict

        from incidentctl import evidence_check, wording

        found, folder, checked, broken = _checked(session, incident)
        if as_json:
            rows = [asdict(row) for row in checked]
            console.data(json.dumps({"incident_id": found, "record_broken_at": broken, "checked": rows}, indent=1))
        else:
            console.data(wording.evidence(found, folder, checked))
        evidence_check.judge(found, checked, broken)


@evidence.command("copy", short_help="Make a copy for people: without secrets, beside a manifest.")
@click.argument("words", nargs=-1, metavar="[INCIDENT] FOLDER", shell_complete=completing.copied)
@common.as_json
@common.config
def make_copy(words: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Copy the evidence into a new FOLDER, text without secrets, after it was verified; the evidence is not touched.

    Compressed logs are unpacked. What is not text is left out. manifest.json has, for each part, the SHA-256 of what is
    sealed and of the copy, and how much of which rule was taken out. Exit code 12, and no copy, if the evidence is changed.

    \b
    incidentctl evidence copy for-the-vendor
    incidentctl evidence copy INC-20260101-0300-abcd for-the-vendor
    """
    if not 1 <= len(words) <= 2:
        raise click.UsageError("Which folder? incidentctl evidence copy [INCIDENT] FOLDER")
    with common.opened(config) as (session, console):
        from dataclasses import asdict
        from datetime import UTC, datetime
        from pathlib import Path

        from incidentctl import evidence_check, evidence_copy, wording

        found, evidence_folder, checked, broken = _checked(session, words[0] if len(words) == 2 else None)
        evidence_check.judge(found, checked, broken)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        incident, folder = session.record.incident(found), Path(words[-1]).absolute()
        made = evidence_copy.copy(incident, evidence_folder, folder, session.actor, now)
        if as_json:
            rows = [asdict(bundle) for bundle in made]
            console.data(json.dumps({"incident_id": found, "folder": str(folder), "bundles": rows}, indent=1))
        else:
            console.data(wording.evidence_copied(found, folder, made))


def _checked(session: Session, incident: str | None) -> tuple[str, Path, list[Checked], int | None]:
    """Return which incident is meant, where its evidence lies, how that compares, and where its record is broken."""
    from incidentctl import evidence_check
    from incidentctl.evidence_manifest import folder_of

    found = session.record.find(incident)
    folder = folder_of(session.settings.state_dir / "incidents" / found)
    checked = evidence_check.verify(session.record.incident(found), session.record.events(found), folder)
    return found, folder, checked, session.record.verify(found)


COMMANDS = (evidence,)
