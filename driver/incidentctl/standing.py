"""What an incident waits for, since when, and what to type next. Pure: all of it follows from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from incidentctl import approval, remedies
from incidentctl.incident import ENDED, Data, Incident, Phase, interrupted, phase_done
from incidentctl.outcome import SUCCESS

_HEALTHY = "every service says that it is healthy"


@dataclass(frozen=True)
class Standing:
    """`waits_for` is decision, approval, review, phase, responder, resume, recovery, fix or nothing.

    `by` is who asked, acts or acted.
    """

    waits_for: str
    told: str
    since: str | None
    by: str | None
    next: tuple[str, ...]


def standing(incident: Incident) -> Standing:
    """Return what the incident waits for now."""
    if incident.status in ENDED:
        steps = (_command(incident, "report"), _command(incident, "reopen", "if it comes back"))
        return Standing("nothing", f"nothing: it is {incident.status}", incident.closed_at, None, steps)
    return _held(incident, incident.holder) if incident.holder else _free(incident)


def holding(incident: Incident) -> bool:
    """Say whether what was decided only holds the incident: what it put in place, and is there still, must stay.

    So is every mitigation; of a playbook of the user's own what holds off a cause, which would be back with the lift.
    """
    option = (incident.decision or {}).get("option")
    ran = {name for phase in incident.phases if phase.name == "recover" for name in phase.capabilities}
    told = {str(row["capability"]) for row in incident.outcomes.get("recover", ())}
    did = {"mitigate": ran, "custom": told & remedies.TOUCHED.keys()}.get(str(option), set())
    return any(row["capability"] in did for row in incident.contained)


def decided(incident: Incident) -> Data | None:
    """Return the decision that stands; None where a person may take one.

    One that was taken back by its failure is gone from the incident. A mitigation only holds until there is a way out,
    and what did not stay healthy after the lift needs another.
    """
    decision = incident.decision
    if decision is None or (decision.get("option") == "mitigate" and phase_done(incident, "recover")):
        return None
    return None if _fell_ill_again(incident) else decision


def reviewed_as(incident: Incident) -> Mapping[str, str] | None:
    """Return by service the SHA-256 of what was reviewed, for the decision that stands; None while nobody has reviewed it."""
    seq = (incident.decision or {}).get("seq")
    found = [row for row in incident.approvals if row.get("what") == "review" and row.get("reviewed") == seq]
    return dict(found[-1].get("builds") or {}) if found else None


def awaits_review(incident: Incident) -> bool:
    """Say whether a hotfix is decided, by as many as it takes, that nobody has reviewed."""
    option = (incident.decision or {}).get("option")
    begun = any(phase.name == "recover" for phase in incident.phases)
    open_yet = option == "hotfix" and not begun and not approval.missing(incident)
    return open_yet and reviewed_as(incident) is None


def _held(incident: Incident, holder: Data) -> Standing:
    if incident.phases and incident.phases[-1].state == "running":
        phase = incident.phases[-1]
        told = f"{phase.name}, which is at work on {_hosts(phase)}"
        return Standing("phase", told, phase.started_at, str(holder["actor"]), (_command(incident, "timeline"),))
    if incident.question is not None:
        told = f"a decision: {_question(incident)} ({holder['actor']} is at the question)"
        return _for_decision(incident, told)
    if approval.missing(incident):
        return _for_approval(incident)
    told = f"{holder['actor']}, who is at work on it"
    return Standing("responder", told, str(holder["at"]), str(holder["actor"]), (_command(incident, "timeline"),))


def _free(incident: Incident) -> Standing:
    resume = _command(incident, "resume")
    cut_off, decision = interrupted(incident), incident.decision
    if cut_off is not None:
        return Standing(
            "resume", f"somebody to go on: it was cut off in {cut_off.name}", cut_off.started_at, None, (resume,)
        )
    if incident.question is not None:
        return _for_decision(incident, f"a decision: {_question(incident)}")
    if decision is None:
        return _for_responder(incident)
    if (decision.get("option") == "mitigate" or holding(incident)) and phase_done(incident, "recover"):
        steps = (*_to_the_end(incident), f"{_command(incident, 'decide')} OPTION")
        return Standing("fix", "the proper fix: it is mitigated, not solved", str(decision["at"]), None, steps)
    if _fell_ill_again(incident):
        since, steps = (
            incident.phases[-1].finished_at,
            (f"{_command(incident, 'decide')} OPTION", f"{resume} looks again"),
        )
        return Standing("decision", "a decision: it was not healthy after the lift", since, None, steps)
    return _for_recovery(incident, decision)


def _for_recovery(incident: Incident, decision: Data) -> Standing:
    option, since, who = str(decision.get("option")), str(decision["at"]), str(decision["actor"])
    resume = _command(incident, "resume")
    if approval.missing(incident):
        return _for_approval(incident)
    if awaits_review(incident):
        steps = (f"{resume} --reviewed-by NAME", f"{_command(incident, 'decide')} OPTION --instead-of hotfix")
        return Standing("review", "a review: by whom was the hotfix reviewed?", since, who, steps)
    return Standing(
        "recovery", f"somebody to go on: {option} was decided, and is not at its end", since, who, (resume,)
    )


def _for_responder(incident: Incident) -> Standing:
    told = "somebody who takes it up"
    steps: tuple[str, ...] = (_command(incident, "resume"),)
    if phase_done(incident, "triage") and not phase_done(incident, "contain"):
        told = "a yes to the containment"
        steps = (*steps, f"{steps[0]} --yes says it beforehand")
        if _all_well(incident):
            told, steps = f"{told}; {_HEALTHY}", (*_to_the_end(incident), *steps)
    since = incident.phases[-1].finished_at if incident.phases else None
    return Standing("responder", told, since or incident.declared_at, None, steps)


def _for_decision(incident: Incident, told: str) -> Standing:
    question = incident.question or {}
    able = [str(option["key"]) for option in incident.options if option["feasible"]]
    choose = (f"{_command(incident, 'decide')} {'|'.join(able)}",) if able else ()
    steps: tuple[str, ...] = choose
    if not set(able) - {"wait"}:
        left = " but to wait" if able else ""
        told = f"{told}; no way out is possible{left}"
        steps = (*_to_the_end(incident), *(() if incident.affected else _though_it_says_well(incident)), *choose)
    elif _all_well(incident):
        told, steps = f"{told}; {_HEALTHY}", (*_to_the_end(incident), *choose)
    return Standing("decision", told, str(question.get("at")), str(question.get("actor")), steps)


def _for_approval(incident: Incident) -> Standing:
    made, (told, command) = incident.decision or {}, approval.awaited(incident)
    return Standing("approval", f"another person: {told}", str(made.get("at")), str(made.get("actor")), (command,))


def _to_the_end(incident: Incident) -> tuple[str, ...]:
    close = _command(incident, "close", "if there is nothing left to recover")
    return (f"{_command(incident, 'lift')}, then {close}" if incident.contained else close,)


def _though_it_says_well(incident: Incident) -> tuple[str, ...]:
    """How a person says that a service is sick of which no look has seen that."""
    command = f"{_command(incident, 'run --join')} --service NAME"
    return (f"{command}, if {' or '.join(incident.services)} is sick all the same",) if incident.services else ()


def _all_well(incident: Incident) -> bool:
    rows = [row for row in incident.outcomes.get("triage", ()) if row.get("capability") == "health_check"]
    seen = [health for row in rows for health in (row.get("facts") or {}).get("services", {}).values()]
    return bool(seen) and all(health.get("healthy") is True for health in seen)


def _fell_ill_again(incident: Incident) -> bool:
    looks = [phase for phase in incident.phases if phase.name == "monitor"]
    return bool(looks) and looks[-1].state == "done" and looks[-1].outcome not in SUCCESS


def _question(incident: Incident) -> str:
    return str((incident.question or {}).get("question", "")).lower()


def _hosts(phase: Phase) -> str:
    return f"{len(phase.hosts)} host{'' if len(phase.hosts) == 1 else 's'}" if phase.hosts else "no host"


def _command(incident: Incident, name: str, when: str = "") -> str:
    return f"incidentctl {name} {incident.incident_id}" + (f", {when}" if when else "")
