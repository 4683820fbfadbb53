"""Where a severity wants more than one person's yes: who else approves the same plan, and who waits for it."""

from __future__ import annotations

from dataclasses import replace

from incidentctl import approval
from incidentctl.desk import Desk, unless_another_plan
from incidentctl.errors import AlreadyDecided, DecisionAwaited, UsageError
from incidentctl.incident import ENDED, Data, Event, Incident
from incidentctl.standing import standing


def wait(desk: Desk) -> None:
    """Return once enough people approved what was decided. Who is at a terminal waits there, or is one of them.

    Raise DecisionAwaited where nobody waits: no time that passes approves anything.
    """
    while approval.missing(incident := desk.incident()):
        mine = approval.person(desk.actor) not in approval.people(incident)
        told = awaited(incident)

        def has_moved(before: Incident = incident) -> bool:
            now = desk.incident()
            return now.status in ENDED or (now.decision, now.approvals) != (before.decision, before.approvals)

        typed = desk.ask("approve", told=told.what, plan=_plan(incident), mine=mine, poll=has_moved)
        if typed == "yes":
            approve(replace(desk, plan=_decision(incident).get("plan")))
        elif not has_moved():
            raise told
        if (now := desk.incident()).status in ENDED or now.decision is None:
            raise UsageError(f"{desk.incident_id} is not as it was when it was decided.", fix=standing(now).next[0])


def is_for(incident: Incident, option: str, playbook: str | None) -> bool:
    """Say whether what was decided is this option."""
    made = _decision(incident)
    return made.get("option") == option and playbook in (None, made.get("playbook"))


def approve(desk: Desk) -> Event:
    """Record that another person approves what was decided, and names its plan.

    Raise DecisionAwaited if they did already, PlanChangedError if they name another plan, UsageError if none.
    """
    made = _decision(desk.incident())
    data = {"what": made.get("option"), "answer": "yes", "decision": made.get("seq"), "plan": made.get("plan")}

    def counts(incident: Incident) -> bool:
        return _decision(incident).get("seq") == made.get("seq") and _unless_void(desk, incident)

    event = desk.record.append_if(desk.incident_id, "approved", data, desk.actor, counts)
    if event is None:
        fix = standing(desk.incident()).next[0]
        raise AlreadyDecided(
            f"{desk.incident_id}: it was decided anew meanwhile.", "Your approval is not recorded.", fix
        )
    return event


def _unless_void(desk: Desk, incident: Incident) -> bool:
    made = _decision(incident)
    if not approval.missing(incident) or approval.person(desk.actor) in approval.people(incident):
        raise awaited(incident)
    if desk.plan is None and made.get("plan"):
        told = f"{desk.incident_id}: {made['actor']} decided {made['option']}. Which plan of it do you approve?"
        raise UsageError(told, "\n".join(_plan(incident)), approval.awaited(incident)[1])
    unless_another_plan(incident, str(made["option"]), desk.plan)
    return True


def awaited(incident: Incident) -> DecisionAwaited:
    """Return what to say while more people must approve what was decided."""
    told, command = approval.awaited(incident)
    why = "Nothing is carried out until as many people have approved the same plan."
    return DecisionAwaited(f"{incident.incident_id}: {told}.", why, f"another person: {command}")


def _plan(incident: Incident) -> list[str]:
    found = incident.plans.get(str(_decision(incident).get("option")))
    return approval.lines(found) if found else []


def _decision(incident: Incident) -> Data:
    return incident.decision or {}
