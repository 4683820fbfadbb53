"""For management: one page of plain words, and only when the severity is one for them."""

from __future__ import annotations

from incidentctl.audiences.words import Message, listed, moment, title, triaged, user_facing
from incidentctl.incident import Incident

SEVERITIES = ("critical", "high")
_WAYS = {
    "rollback": "go back to the version that worked before",
    "hotfix": "put a corrected version in place",
    "mitigate": "limit the damage until a lasting repair is there",
    "wait": "wait, because it may recover by itself",
    "custom": "carry out a procedure that was prepared for this",
}
_STATUS = {
    "declared": "The problem is being looked into.",
    "escalated": "The problem was reported, and nobody has taken it on yet. Please see that somebody does.",
    "severity_changed": "The problem was found to be more, or less, serious than it seemed: see above.",
    "awaited": "Those who respond have to decide how to go on.",
    "decided": "A way out was chosen and is being carried out.",
    "resolved": "The problem is solved, and the services were seen to work again.",
    "cancelled": "It was found to be no problem. Nothing more will be done.",
    "closed": "The response has ended. A written report is there.",
}


def concerned(incident: Incident, about: str) -> bool:
    """Management is told from severity high on; what a responder has to answer is not for them."""
    return incident.severity in SEVERITIES and about != "awaited"


def message(incident: Incident, about: str) -> Message:
    """Return impact, status, decision and expected end."""
    return Message(
        f"Incident {incident.incident_id} ({incident.severity}): {about.replace('_', ' ')}",
        "\n".join(
            (
                f"Reported as: {title(incident)}",
                f"Impact: {_impact(incident)}",
                f"Status: {_STATUS[about]}",
                f"Decision: {_decision(incident)}",
                f"Expected end: {_end(incident)}",
            )
        ),
    )


def _impact(incident: Incident) -> str:
    since = f"since {moment(incident.declared_at)}"
    theirs = user_facing(incident)
    if theirs:
        return f"Customers cannot rely on {listed(theirs)} {since}."
    if incident.affected:
        return f"{listed(incident.affected)} does not work as it should {since}. No service that customers use is affected."
    if triaged(incident):
        return f"Reported {since}. No service was seen to be affected."
    return f"Not known yet. Reported {since}."


def _decision(incident: Incident) -> str:
    if incident.decision is None:
        return "None yet. The responders prepare it." if incident.resolved_at is None else "None was needed."
    option, who = str(incident.decision.get("option")), incident.decision.get("actor")
    return f"{who} chose to {_WAYS.get(option, option)}, at {moment(str(incident.decision.get('at')))}."


def _end(incident: Incident) -> str:
    if incident.resolved_at is not None:
        return f"It ended at {moment(incident.resolved_at)}."
    if incident.status in ("closed", "cancelled"):
        return f"The response ended at {moment(incident.closed_at)}."
    chosen = (incident.decision or {}).get("option")
    downtime = next((o.get("downtime") for o in incident.options if o.get("key") == chosen), None)
    if downtime is None:
        return "Not known yet."
    return f"Counted from the decision: {downtime}."
