"""Record → report: what a person reads afterwards, all of it from the events, nothing typed twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from incidentctl import series
from incidentctl.evidence_manifest import folder_of
from incidentctl.files import private_folder, private_text
from incidentctl.incident import Event, Incident, fold
from incidentctl.redaction import for_people
from incidentctl.report import aftermath, content, graphs, render
from incidentctl.report.blocks import Section

FILES = ("report.md", "report.html", "post-mortem.md", "post-mortem.ics")

usual_follow_ups = aftermath.usual_follow_ups


def is_complete(folder: Path) -> bool:
    """Say whether every file of a report is there and says something."""
    return all((folder / name).is_file() and (folder / name).stat().st_size for name in FILES)


def write(events: Sequence[Event], folder: Path) -> Path:
    """Write report.md, report.html, post-mortem.md and post-mortem.ics; return the path of report.md.

    Written anew each time, so that a report can be had while the incident is open, and without secrets: it is for people.
    """
    events = for_people(events)
    incident = fold(events)
    private_folder(folder)
    kept, problems = series.kept(folder_of(folder), incident.measured)
    # Labels are written into texts before their secrets are looked for: what a value is, its name tells.
    measured = for_people(graphs.blocks(incident, events, kept, problems))
    figures = [Section("Measured by Prometheus", measured)] if measured else []
    title, sections = f"Incident report: {incident.incident_id}", content.sections(incident, events, figures)
    path = folder / "report.md"
    private_text(path, render.markdown(title, sections))
    private_text(folder / "report.html", render.html(title, sections))
    first_page = render.markdown(f"Post-mortem: {incident.incident_id}", aftermath.prefill(incident, figures))
    private_text(folder / "post-mortem.md", first_page)
    private_text(folder / "post-mortem.ics", aftermath.calendar(incident))
    return path


def remember(incident: Incident, memory_bank: Path | None) -> None:
    """Append one line about the incident to each file of the memory bank, once."""
    aftermath.remember(for_people(incident), memory_bank)
