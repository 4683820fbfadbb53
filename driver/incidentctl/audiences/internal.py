"""For those who respond: the facts, what is being done, and the command that comes next."""

from __future__ import annotations

from incidentctl.audiences.words import Message, title
from incidentctl.incident import ENDED, Incident
from incidentctl.outcome import SUCCESS
from incidentctl.standing import standing
from incidentctl.text import plain
from incidentctl.times import when

_DOING = {
    "triage": "looking who is sick, and securing evidence",
    "contain": "containing the damage",
    "diagnose": "looking for the cause",
    "assess": "weighing the ways out",
    "decide": "waiting for a decision",
    "recover": "carrying out the recovery",
    "verify": "watching whether it holds",
    "forward": "going forward again, for the rollback made it worse",
    "lift": "taking the containment back",
    "lift_only": "taking a part of the containment back",
    "monitor": "watching the services without containment",
}
_MOST_WRONG = 10  # hosts that are named

_WAITS = {"approval": "an approval", "resume": "somebody to go on", "recovery": "somebody to go on"}


def concerned(_incident: Incident, _about: str) -> bool:
    """Those who respond are told everything."""
    return True


def message(incident: Incident, about: str) -> Message:
    """Return what, where, since when, how bad, what is being done, and what comes next."""
    lines = [
        title(incident),
        f"Severity: {incident.severity}. Status: {incident.status}.",
        f"Since: {when(incident.declared_at)}, declared by {incident.declared_by}.",
        f"Where: {', '.join(incident.hosts) or 'not known yet'}.",
        f"Affected: {', '.join(incident.affected) or 'not known yet'}.",
        f"Acknowledged: {incident.acknowledged_by or 'by nobody yet'}.",
        f"Being done: {_doing(incident)}.",
    ]
    if about == "awaited":
        lines[1:1] = [*_awaited(incident), *_wrong(incident)]
    if about == "escalated":
        lines.insert(1, "Nobody has acknowledged this in time: you are asked to take it.")
    if incident.contained:
        lines.append(f"Contained: {', '.join(_contained(incident))}.")
    if incident.decision:
        lines.append(f"Decided: {incident.decision.get('option')}, by {incident.decision.get('actor')}.")
    if incident.verified and incident.verified.get("told"):
        lines.append(f"Verified: {plain(str(incident.verified['told']))}.")
    return Message(
        f"[{incident.severity}] {incident.incident_id} {_title(incident, about)}",
        "\n".join(
            [*lines, f"Next: {'; or '.join(standing(incident).next) if about == 'awaited' else _next(incident)}"]
        ),
    )


def _title(incident: Incident, about: str) -> str:
    waits_for = standing(incident).waits_for
    if about != "awaited" or waits_for == "nothing":
        return about.replace("_", " ")
    return f"waits for {_WAITS.get(waits_for, f'a {waits_for}')}"


def _awaited(incident: Incident) -> list[str]:
    told = [f"It waits for {standing(incident).told.rstrip('?')}."]
    best = next((option for option in incident.options if option.get("recommended")), None)
    if best and standing(incident).waits_for == "decision":
        told.append(f"Recommended: {best['key']} ({best.get('confidence')} %).")
    return told


def _wrong(incident: Incident) -> list[str]:
    """What was done, and did not go well: where somebody has to answer, that is what they must know."""
    last = {phase.name: phase for phase in incident.phases if phase.state == "done"}
    return [
        plain(f"{name} went wrong on {row['host']}: {row['capability']} {row['outcome']}: {row.get('reason', '')}", 500)
        for name in ("contain", "recover", "lift")
        if name in last and last[name].outcome not in (*SUCCESS, "skipped")
        for row in incident.outcomes.get(name, ())
        if row["outcome"] not in SUCCESS
    ][:_MOST_WRONG]


def _doing(incident: Incident) -> str:
    if incident.status in ENDED:
        return "nothing any more"
    if not incident.phases:
        return "the response begins"
    newest = incident.phases[-1]
    if newest.state == "running" and newest.name in _DOING:
        return _DOING[newest.name]
    if incident.question is not None:
        return _DOING["decide"]
    return f"{newest.name} is {newest.state}"


def _contained(incident: Incident) -> list[str]:
    return [f"{row.get('host')} {row.get('capability')} {row.get('target')}" for row in incident.contained]


def _next(incident: Incident) -> str:
    number = incident.incident_id
    if incident.status in ENDED:
        return f"incidentctl report {number}"
    if incident.acknowledged_at is None:
        return f"incidentctl acknowledge {number}"
    if incident.question is not None:
        able = [str(option.get("key")) for option in incident.options if option.get("feasible")]
        return f"incidentctl decide {number} {'|'.join(able) or 'OPTION'}"
    return f"incidentctl status {number}"
