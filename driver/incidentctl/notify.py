"""The outbox: what is to be told is recorded first, delivered beside the work, and tried again until it is out.

A message that cannot be delivered never stands in the way of a step (docs/contracts.md, 5).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident, fold
from incidentctl.record import Record
from incidentctl.settings import Settings

ACTOR = "incidentctl"
WAIT_S = 5.0
_THREAD = "incidentctl-outbox"


def tell(record: Record, incident: Incident, audiences: Iterable[str], about: str, settings: Settings) -> None:
    """Queue one message about `about` to each audience, and deliver all that is queued in the background."""
    known = {str(row.get("key")) for row in incident.notified}
    for audience in audiences:
        key = f"{incident.incident_id}:{about}:{audience}"
        if key not in known:
            data = {"key": key, "about": about, "audience": audience, "state": "queued"}
            record.append(incident.incident_id, "notified", data, ACTOR)
    if pending(fold(record.events(incident.incident_id))):
        threading.Thread(
            target=deliver, args=(record, incident.incident_id, settings), name=_THREAD, daemon=True
        ).start()


def pending(incident: Incident) -> list[Mapping[str, Any]]:
    """Return the newest row of each message that is not out yet."""
    newest = {str(row.get("key")): row for row in incident.notified}
    return [row for row in newest.values() if row.get("state") != "sent"]


def wait() -> None:
    """Give the messages that are on their way a few seconds; what is not out then is tried at the next command."""
    for thread in threading.enumerate():
        if thread.name == _THREAD:
            thread.join(WAIT_S)


_delivering = threading.Lock()


def deliver(record: Record, incident_id: str, settings: Settings) -> None:
    """Try every message that is not out yet, once, and record how it went."""
    with _delivering:
        incident = fold(record.events(incident_id))
        title, body = message(incident, record.head(incident_id))
        for row in pending(incident):
            problem = _send(settings, str(row["audience"]), title, body)
            data = {"key": row["key"], "about": row["about"], "audience": row["audience"]}
            data |= {"state": "failed", "detail": problem} if problem else {"state": "sent"}
            record.append(incident_id, "notified", data, ACTOR)


def message(incident: Incident, head: str) -> tuple[str, str]:
    """Return title and text. The record's head hash goes along: whoever has it can tell a rewritten record."""
    title = f"[{incident.severity}] {incident.incident_id} {incident.status}"
    lines = [
        incident.title,
        f"Status: {incident.status}. Severity: {incident.severity}. Declared {incident.declared_at}.",
        f"Affected: {', '.join(incident.affected) or 'not known yet'}.",
    ]
    if incident.decision:
        lines.append(f"Decided: {incident.decision['option']}, by {incident.decision['actor']}.")
    return title, "\n".join([*lines, f"Record head: {head}"])


def _send(settings: Settings, audience: str, title: str, body: str) -> str | None:
    """Return None when every address of the audience took it, else why not (never the address: it is a secret)."""
    import apprise  # noqa: PLC0415 - 0.3 s, and only who tells somebody needs it

    problems = []
    for secret in settings.audiences[audience].send:
        try:
            address = settings.resolve_secret(secret)
        except IncidentctlError as error:
            problems.append(str(error.what))
            continue
        sender = apprise.Apprise()
        try:
            if not sender.add(address):
                problems.append("the address is not one that apprise understands")
            elif not sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
                problems.append("it was not accepted")
        except Exception as error:  # a hundred plugins of others: none may take the outbox down with it
            problems.append(type(error).__name__)
    return "; ".join(problems) or None
