"""The decision: figures for the ways out, and the question that only a person answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl import approval, gate, guards, mitigation, options, plan
from incidentctl.desk import Desk, record_decision, unless_void
from incidentctl.errors import DecisionAwaited, LockedError, UsageError
from incidentctl.incident import ENDED, Data, Event, Incident
from incidentctl.phases import approvals, planning, review
from incidentctl.plan import PlannedStep
from incidentctl.situation import situation, ways_back
from incidentctl.standing import standing
from incidentctl.times import when

_LOOK_S = 0.2


def assess(desk: Desk) -> None:
    """Put figures to the ways out."""
    desk.note("step_started", phase="assess", capabilities=[], hosts=[])
    weigh(desk)
    desk.note("step_finished", phase="assess", outcome="done")


def weigh(desk: Desk) -> None:
    """Record the options as the facts stand now, and what each would do on the hosts."""
    desk.note("options_assessed", options=_weighed(desk, {}))
    _plan(desk)


def ask_anew(desk: Desk) -> None:
    """What was decided did not help, or is not what would be done: weigh again, and put the question again.

    Nothing follows of itself. The decision is void before the hosts are looked at: cut off in between, nothing acts by it.
    """
    desk.note("options_assessed", options=_weighed(desk, {}))
    desk.note("question_asked", **_question(desk))
    _plan(desk)
    desk.note("question_asked", **_question(desk))


def _plan(desk: Desk) -> None:
    """Record what each option would do on the hosts; one of which they say that nothing can be done is not possible."""
    before = list(desk.incident().options)
    plans = _look(desk, before)
    desk.note("planned", plans=plans)
    if (weighed := _weighed(desk, plans)) != before:
        desk.note("options_assessed", options=weighed)


def _look(desk: Desk, ways_out: Iterable[Data]) -> dict[str, Data]:
    """Look at the hosts, changing nothing: what would each possible option do there, and what would guards say to that?"""
    able = [option["key"] for option in ways_out if option["feasible"]]
    ways = {key: one for key in able if (one := way(desk, key))[0].capabilities}  # who waits does nothing
    plans = planning.plans(desk, ways)
    seen = dataclasses.replace(desk.incident(), plans=plans)
    found = {
        key: {**one, "refused": _refused(desk, _meant(desk, key, ways[key][0]), seen)} for key, one in plans.items()
    }
    return dict(json.loads(json.dumps(found)))  # as the record will give it back


def _meant(desk: Desk, option: str, step: PlannedStep) -> PlannedStep:
    """Of custom playbooks, what is done by the one that is recommended: the others, on their hosts, are not meant."""
    name = _fitting(desk, option, None)
    return step if name is None else planned(desk, option, name)[0]


def _refused(desk: Desk, step: PlannedStep, seen: Incident) -> dict[str, str]:
    """Return the guards that refuse a step as things were seen, each with why; what was overridden is not refused again."""
    refusals = gate.refusals(desk.settings, desk.inventory, desk.record, (step,), seen)
    return {r.guard: r.told for r in refusals if not guards.is_remembered(r, seen.overrides)}


def decide(desk: Desk) -> None:
    """A person chooses. Nobody else does, and no time that passes does."""
    while (before := desk.incident()).decision is None:
        asked = _put(desk)
        desk.show("plans", plans=desk.incident().plans, options=desk.incident().options)
        # Last: it has room on one screen with the question.
        desk.show("options", options=desk.incident().options, judged=desk.incident().judged)
        choice = desk.option or desk.ask("decide", options=desk.incident().options, poll=desk.incident)
        playbook = _fitting(desk, choice, desk.playbook) or _named(desk, choice)
        if choice == "custom" and playbook is None and desk.option is None:
            choice = None  # which one, they want to say later
        if choice is not None:
            answer(desk, choice, playbook, asked)
        incident = desk.incident()
        if incident.status in ENDED:
            raise UsageError(f"{desk.incident_id} was {incident.status} meanwhile.", fix=standing(incident).next[0])
        if incident.decision is None and incident.affected != before.affected:
            desk.hear()  # somebody joined: the figures are of less than there is
            continue
        if incident.decision is None:
            raise DecisionAwaited(
                f"{desk.incident_id}: which recovery?",
                "Nothing is carried out until a person decides.",
                _advice(incident),
            )
        if choice is None:
            made = incident.decision
            desk.show("note", text=f"{made['actor']} decided {made['option']} at {when(made['at'])}.")
    approvals.wait(desk)
    desk.note("step_started", phase="decide", capabilities=[], hosts=[])
    desk.note("step_finished", phase="decide", outcome="done")


def answer(
    desk: Desk, choice: str, playbook: str | None = None, asked: Data | None = None, instead_of: str | None = None
) -> Event:
    """Record a decision, as record_decision does, unless a guard refuses what is to be done then.

    Where one stands that others must approve, the same answer of another person is an approval.
    """
    incident, playbook = desk.incident(), _fitting(desk, choice, playbook)
    if instead_of is None and approval.missing(incident) and approvals.is_for(incident, choice, playbook):
        return approvals.approve(desk)
    asked = asked or incident.question
    unless_void(desk, incident, choice, playbook, asked, instead_of)
    step, _ = planned(desk, choice, playbook)
    words = f"{choice} --playbook {playbook}" if choice == "custom" else choice
    again = f"incidentctl resume {desk.incident_id} --option {words}"
    narrow = f"{again} --limit HOSTS"
    if instead_of is not None:
        again, narrow = f"incidentctl decide {desk.incident_id} {words} --instead-of {instead_of}", "choose another way"
    gate.admit(desk, step, narrow, again)
    return record_decision(desk, choice, playbook, asked, instead_of)


def planned(desk: Desk, option: str, playbook: str | None) -> tuple[PlannedStep, dict[str, Any]]:
    """Return the step that carries an option out, and its variables."""
    affected = desk.at_issue()
    if option in ("rollback", "hotfix"):
        able = tuple(service for service in affected if "releases" in service.spec)
        variables = {f"{option}_only": [service.name for service in able], **_carefully(desk, option)}
        if option == "rollback":
            variables["rollback_stay_at"] = _names_hidden(ways_back(desk.incident()), variables["rollback_only"])
        if option == "hotfix":
            variables["hotfix_number"] = review.number(desk)
        return plan.step("recover", (option,), desk.hosts_of(able), able), variables
    if option == "mitigate":
        judged = desk.incident().judged
        step, only = mitigation.step(_mitigations(desk), judged, affected, desk.services(), desk.hosts())
        return step, {**only, **(_carefully(desk, "restart") if "restart" in step.capabilities else {})}
    if option == "wait":
        return plan.step("recover", (), (), affected), {}
    own = desk.settings.custom_playbooks[str(playbook)]
    cause = _cause_for(desk, own.causes)
    hosts = tuple(host for host in desk.hosts() if not cause or host in cause["hosts"])
    return plan.step("recover", (str(own.playbook),), hosts, affected), {"incident_cause": cause} if cause else {}


def _names_hidden(releases: Mapping[str, Iterable[str]], services: Iterable[str]) -> dict[str, list[str]]:
    """What hosts call their releases must not reach Ansible as it is: their SHA-256 tells as well which one is meant."""
    return {
        name: [hashlib.sha256(release.encode()).hexdigest() for release in releases[name]]
        for name in services
        if name in releases
    }


def _cause_for(desk: Desk, kinds: Iterable[str]) -> dict[str, Any]:
    """The likeliest cause of these kinds: its kind, and what of its hosts and its service the incident has; {} if there is none.

    A playbook that says which causes it is for is run where the cause is, and nowhere else: of a dependency of the catalogue
    that is where that runs, not where it is missed.
    """
    services = {service.name: set(service.hosts) for service in desk.services()}
    for cause in (desk.incident().judged or {}).get("causes", ()):
        service, needed = cause.get("service"), (cause.get("about") or {}).get("name")
        where = cause.get("hosts", ())
        if cause.get("kind") in ("dependency", "dependency_slow") and needed in services:
            service, where = needed, services[needed]
        hosts = [host for host in desk.hosts() if host in where]
        if cause.get("kind") in kinds and hosts:
            return {"kind": cause["kind"], "hosts": hosts, "service": service if service in services else ""}
    return {}


def _carefully(desk: Desk, capability: str) -> dict[str, Any]:
    verify = desk.settings.verify
    return {
        f"{capability}_within_s": verify.within,
        f"{capability}_window_s": min(verify.window, 3.0),
        f"{capability}_serial": "100%",  # one after the other, and when to stop, is decided here
    }


def way(desk: Desk, option: str) -> planning.Way:
    """Return the step that an option's plan is of, and its variables: of custom playbooks all, whichever is chosen."""
    if option != "custom":
        return planned(desk, option, None)
    steps = [planned(desk, option, name)[0] for name in sorted(desk.settings.custom_playbooks)]
    # A playbook that is for a cause goes to its hosts alone.
    hosts = tuple(host for host in desk.hosts() if any(host in step.hosts for step in steps))
    names = tuple(name for step in steps for name in step.capabilities)
    return dataclasses.replace(steps[0], capabilities=names, hosts=hosts), {}


def _mitigations(desk: Desk) -> tuple[str, ...]:
    """What a mitigation does: what the question said of it, of which no more may stand in the settings than then."""
    said = next((option for option in desk.incident().options if option["key"] == "mitigate"), {})
    meant = said.get("capabilities") or desk.settings.mitigate
    return tuple(name for name in desk.settings.mitigate if name in meant)


def _fitting(desk: Desk, choice: str | None, playbook: str | None) -> str | None:
    """Of custom playbooks the one that the question recommends, where a person names none."""
    said = next((option for option in desk.incident().options if option["key"] == "custom"), {})
    return said.get("playbook") if choice == "custom" and playbook is None else playbook


def _named(desk: Desk, choice: str | None) -> str | None:
    """Ask for the custom playbook, where more than one is there and none is known to fit."""
    names = sorted(desk.settings.custom_playbooks)
    if choice != "custom" or desk.option is not None:
        return None
    return names[0] if len(names) == 1 else desk.ask("playbook", names=names, poll=desk.incident)


def decide_again(desk: Desk) -> None:
    """An answer that came with the command, for an incident that has one already: it counts where another may be given."""
    incident = desk.incident()
    same = approvals.is_for(incident, str(desk.option), desk.playbook)
    if incident.decision and desk.option and (approval.missing(incident) or not same):
        answer(desk, desk.option, desk.playbook, instead_of=desk.instead_of)


def taken_up(desk: Desk, decision: Event, patience_s: float = 30.0) -> bool:
    """Wait for whoever holds the incident to begin with a decision; False when nobody does, so that it is ours to carry out.

    Raise LockedError if they hold it and do not begin, DecisionAwaited if they wait for more approvals.
    """
    if approval.missing(desk.incident()):
        raise approvals.awaited(desk.incident())
    until = time.monotonic() + patience_s
    while (holder := desk.incident().holder) is not None:
        later = (event for event in desk.record.events(desk.incident_id) if event.seq > decision.seq)
        if any(event.kind == "step_started" and event.data.get("phase") in ("decide", "recover") for event in later):
            return True
        if time.monotonic() > until:
            raise LockedError(
                f"{desk.incident_id}: {decision.data['option']} is recorded, and not carried out yet.",
                f"{holder['actor']} is at work on it: process {holder.get('pid')} on {holder.get('host')}, "
                f"since {when(holder['at'])}.",
                f"incidentctl resume {desk.incident_id} carries it out once that process has ended",
            )
        time.sleep(_LOOK_S)
    return False


def _put(desk: Desk) -> Data | None:
    """Put the question; one that was put before is put again if its figures or plans have changed. Return it."""
    before = desk.incident()
    found = [dict(option) for option in before.options]
    plans = dict(before.plans)
    if before.question is not None:  # since then the hosts may have changed
        plans = _look(desk, _weighed(desk, {}))
        found = _weighed(desk, plans)
    changed = {"planned": plans != dict(before.plans), "options_assessed": found != list(before.options)}
    if changed["planned"]:
        _unless_decided(desk, "planned", plans=plans)
    if changed["options_assessed"]:
        _unless_decided(desk, "options_assessed", options=found)
    if before.question is None or any(changed.values()):
        _unless_decided(desk, "question_asked", **_question(desk))
    return desk.incident().question


def _unless_decided(desk: Desk, kind: str, **data: Any) -> None:
    """A decision may come at any moment from elsewhere: nothing that is recorded here may undo it."""
    desk.record.append_if(desk.incident_id, kind, data, desk.actor, lambda incident: incident.decision is None)


def _question(desk: Desk) -> dict[str, Any]:
    return {"question": "Which recovery?", "options": [option["key"] for option in desk.incident().options]}


def _weighed(desk: Desk, plans: Mapping[str, Data]) -> list[dict[str, Any]]:
    """The options as the record will give them back; what the hosts say is impossible is so."""
    refused = {key: why for key in plans if (why := approval.impossible(plans.get(key)))}
    weighed = options.assess(dataclasses.replace(situation(desk), refused=refused))
    found: list[dict[str, Any]] = json.loads(json.dumps([dataclasses.asdict(option) for option in weighed]))
    for option in found:
        if plans.get(option["key"], {}).get("refused"):  # by a guard: a person may name it
            option.update(recommended=False)
    return found


def _advice(incident: Incident) -> str:
    recommended = next((option["key"] for option in incident.options if option["recommended"]), None)
    if recommended is None:
        return "; or ".join(standing(incident).next)
    return f"incidentctl decide {incident.incident_id} {recommended}"
