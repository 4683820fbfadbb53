"""For partners: that the integration with them is concerned, and only with them."""

from __future__ import annotations

from incidentctl.audiences.words import Message, listed, moment, outside_is_told
from incidentctl.incident import Incident


def concerned(incident: Incident, about: str) -> bool:
    """Partners are told when a service that they are integrated with is affected."""
    return bool(integrations(incident)) and outside_is_told(incident, about)


def integrations(incident: Incident) -> tuple[str, ...]:
    """Return the partners of the affected services, by name."""
    found = (incident.integrations.get(name, ()) for name in incident.affected)
    return tuple(sorted({str(name) for names in found if isinstance(names, (list, tuple)) for name in names}))


def message(incident: Incident, about: str) -> Message:
    """Return which integrations are concerned, and what to do."""
    names, since = listed(integrations(incident)), moment(incident.declared_at)
    if about == "declared":
        told = f"The integration {names} may not work as usual since {since}. We are investigating."
        advice = "We tell you what we do about it, and when it works again."
    elif about == "decided":
        told = f"We know what to do about the problem with the integration {names}, and are doing it."
        advice = "We tell you when it works again."
    elif incident.resolved_at is not None:
        told = f"The integration {names} works again since {moment(incident.resolved_at)}."
        advice = "Please tell us if you see otherwise."
    else:
        told = f"We have ended our work on the problem with the integration {names} that was reported at {since}."
        advice = "Please tell us if you still see one."
    return Message(f"Integration {names}: {_subject(about)}", f"{told}\n{advice}\nReference: {incident.incident_id}")


def _subject(about: str) -> str:
    return {"declared": "a problem", "decided": "being repaired", "resolved": "works again"}.get(about, "ended")
