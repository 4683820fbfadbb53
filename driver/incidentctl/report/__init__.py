"""Record → report: what a person reads afterwards, all of it from the events, nothing typed twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from incidentctl.incident import Event, fold
from incidentctl.report import aftermath, content, render

remember = aftermath.remember
usual_follow_ups = aftermath.usual_follow_ups


def write(events: Sequence[Event], folder: Path) -> Path:
    """Write report.md, report.html, post-mortem.md and post-mortem.ics; return the path of report.md.

    Written anew each time, so that a report can be had while the incident is open.
    """
    incident = fold(events)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    title, sections = f"Incident report: {incident.incident_id}", content.sections(incident, events)
    path = folder / "report.md"
    _private(path, render.markdown(title, sections))
    _private(folder / "report.html", render.html(title, sections))
    first_page = render.markdown(f"Post-mortem: {incident.incident_id}", aftermath.prefill(incident))
    _private(folder / "post-mortem.md", first_page)
    _private(folder / "post-mortem.ics", aftermath.calendar(incident))
    return path


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8", errors="replace")
