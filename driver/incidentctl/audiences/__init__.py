"""What each kind of audience is told about an incident, and when it is none of their concern. One file a kind.

Pure: everything said is in the record, so that a message can be written again when it was not delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incidentctl.audiences import customers, internal, management, partners
from incidentctl.audiences.words import Message
from incidentctl.incident import Incident

__all__ = ["EVENTS", "KINDS", "Message", "concerned", "message"]

# What people are told about, in the order of an incident.
EVENTS = ("declared", "escalated", "severity_changed", "awaited", "decided", "resolved", "cancelled", "closed")


@dataclass(frozen=True)
class Kind:
    """How one kind of audience is told; only one of our own gets the head of the record along."""

    concerned: Callable[[Incident, str], bool]
    message: Callable[[Incident, str], Message]
    ours: bool


KINDS: Mapping[str, Kind] = {
    "internal": Kind(internal.concerned, internal.message, ours=True),
    "on_call": Kind(internal.concerned, internal.message, ours=True),
    "management": Kind(management.concerned, management.message, ours=True),
    "customers": Kind(customers.concerned, customers.message, ours=False),
    "partners": Kind(partners.concerned, partners.message, ours=False),
}


def concerned(kind: str, incident: Incident, about: str) -> bool:
    """Say whether this kind of audience is told about this event of the incident, as it stands now."""
    return KINDS[kind].concerned(incident, about)


def message(kind: str, incident: Incident, about: str, key: str, head: str) -> Message:
    """Return what this kind of audience reads about this event (one of EVENTS).

    Our own people can tell by the message's `key` that it came twice, and by `head`, the hash of the record's newest
    event, that the record was rewritten later.
    """
    written = KINDS[kind].message(incident, about)
    if not KINDS[kind].ours:
        return written
    return Message(written.title, f"{written.body}\nMessage: {key}\nRecord head: {head}")
