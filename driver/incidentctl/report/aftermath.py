"""What comes after: the post-mortem's date and first page, follow-ups, the memory bank."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from incidentctl.incident import Incident
from incidentctl.report.blocks import UNKNOWN, Section, Table
from incidentctl.report.content import span
from incidentctl.text import plain
from incidentctl.times import when

# Leaves room to move the meeting and still hold it within 24 h.
_POST_MORTEM_AFTER = timedelta(hours=20)
_MEETING = timedelta(hours=1)


def usual_follow_ups(incident: Incident) -> list[str]:
    """Return what every incident owes, as action items; more for one that was rolled back, and none for a drill."""
    if incident.drill:
        return []
    items = ["Hold the post-mortem", "Update the runbook with what was learnt"]
    if incident.decision and incident.decision["option"] == "rollback":
        items.insert(1, "Mend the release that was rolled back, with a test that would have caught it")
    return items


def prefill(incident: Incident, measured: Sequence[Section] = ()) -> list[Section]:
    """Return the post-mortem's first page: the facts filled in, the judgement left to people."""
    facts = Table(
        ("", ""),
        (
            ("Incident", f"{incident.incident_id}: {incident.title}"),
            ("Severity", incident.severity),
            ("Declared", when(incident.declared_at)),
            ("Resolved", when(incident.resolved_at or "not yet")),
            ("Time to resolve", span(incident.milestones.resolved)),
            ("Affected", ", ".join(incident.affected) or UNKNOWN),
            ("Recovery", str((incident.decision or {}).get("option") or UNKNOWN)),
        ),
    )
    asked = ("What went well?", "What went badly?", "Where were we lucky?", "What was the root cause?")
    actions = Table(
        ("Action", "Owner", "Due"),
        tuple((str(f.get("text")), str(f.get("owner") or UNKNOWN), "") for f in incident.follow_ups),
    )
    return [
        Section("Facts", (facts, "The timeline is in report.md.")),
        *measured,
        *(Section(title, ("(to be written together)",)) for title in asked),
        Section("Actions", (actions,)),
    ]


def calendar(incident: Incident) -> str:
    """Return an iCalendar file (RFC 5545) with the post-mortem within 24 hours of the incident's end."""
    end = datetime.fromisoformat(incident.resolved_at or incident.closed_at or incident.declared_at).astimezone(UTC)
    start = end + _POST_MORTEM_AFTER
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//incidentctl//post-mortem//EN",
        "BEGIN:VEVENT",
        f"UID:{incident.incident_id}@incidentctl",
        f"DTSTAMP:{end:%Y%m%dT%H%M%SZ}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + _MEETING:%Y%m%dT%H%M%SZ}",
        f"SUMMARY:{_ical(f'Post-mortem {incident.incident_id}: {incident.title}')}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_fold(line)}\r\n" for line in lines)


def remember(incident: Incident, memory_bank: Path | None) -> None:
    """Append one line about the incident to activeContext.md and progress.md of the memory bank, once."""
    if memory_bank is None or incident.drill:
        return
    memory_bank.mkdir(parents=True, exist_ok=True)
    way = str((incident.decision or {}).get("option") or "no recovery")
    resolved = when(incident.resolved_at) if incident.resolved_at else "not resolved"
    _append_once(
        memory_bank / "activeContext.md",
        incident.incident_id,
        f"Production incident {incident.incident_id} closed: {resolved} - Severity: {incident.severity}",
    )
    _append_once(
        memory_bank / "progress.md",
        incident.incident_id,
        f"Incident Response: {incident.incident_id} ({incident.severity}) ended by {way} "
        f"in {span(incident.milestones.resolved)}",
    )


def _append_once(path: Path, mark: str, line: str) -> None:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if mark not in before:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"- {line}\n")


def _ical(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", plain(text, 200))


def _fold(line: str) -> str:
    """Fold at 75 octets, as the format asks, never inside a character."""
    parts, current = [], ""
    for character in line:
        if len((current + character).encode()) > 74:  # 75 less the leading space
            parts.append(current)
            current = ""
        current += character
    return "\r\n ".join([*parts, current])
