"""For customers: what a status page says. No host, no error, nothing that a responder typed."""

from __future__ import annotations

from incidentctl.audiences.words import Message, listed, moment, outside_is_told, user_facing
from incidentctl.incident import Incident

# Event → the word of a status page.
STATUS = {"declared": "investigating", "decided": "identified", "resolved": "resolved"}


def concerned(incident: Incident, about: str) -> bool:
    """Customers are told when a service that they use is affected, and not before that is known."""
    return bool(user_facing(incident)) and outside_is_told(incident, about)


def message(incident: Incident, about: str) -> Message:
    """Return the words of a status page."""
    status = STATUS.get(about, "resolved")
    reference = f"Reference: {incident.incident_id}"
    return Message(f"{listed(user_facing(incident))}: {status}", f"{sentence(incident, status)}\n{reference}")


def sentence(incident: Incident, status: str) -> str:
    """Given an incident and a word of a status page, return what it means for customers."""
    services, since = listed(user_facing(incident)), moment(incident.declared_at)
    if status == "investigating":
        return f"We are investigating a problem with {services} that was reported at {since}."
    if status == "identified":
        return f"We know what to do about the problem with {services}, and are doing it."
    if status == "monitoring":
        return f"A repair of {services} is in place. We are watching whether it holds."
    if incident.resolved_at is not None:
        end = moment(incident.resolved_at)
        return f"The problem with {services} that was reported at {since} is solved since {end}. We are sorry for it."
    if incident.status == "cancelled":
        return f"The report of a problem with {services} at {since} turned out to be none."
    return f"We have ended our work on the problem with {services} that was reported at {since}."
