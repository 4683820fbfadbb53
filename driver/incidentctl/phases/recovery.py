"""After the decision: carry it out, take back what was contained, close."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from incidentctl import approval, event_data, evidence_manifest, gate, guards, ledgers, measurements, report, retry
from incidentctl.desk import Desk, skip_step, tell
from incidentctl.errors import NotRecovered, Partial, PlanChangedError, RefusedError, UsageError
from incidentctl.incident import Incident
from incidentctl.outcome import SUCCESS, HostOutcome, Outcome
from incidentctl.phases import approvals, planning, review
from incidentctl.phases.decision import ask_anew, planned, way
from incidentctl.phases.verification import unless_held
from incidentctl.plan import PlannedStep
from incidentctl.steps import ask_hosts, finish_step, run_rolling, run_step


def recover(desk: Desk) -> None:
    """Carry out the answer."""
    approvals.wait(desk)
    decision: Mapping[str, Any] = desk.incident().decision or {}
    option = decision["option"]
    if option == "wait":  # the verification looks whether it recovers by itself
        tell(desk, "decided")
        skip_step(desk, "recover")
        return
    step, variables = planned(desk, option, decision.get("playbook"))
    step = replace(step, hosts=_sick_first(desk, _unsettled(desk, "recover", step.hosts)))
    if option == "hotfix":
        _unless_changed(desk, decision, step.hosts)  # nobody is to review what was not approved
        variables |= review.reviewed(desk, step, variables)
    away = _unless_changed(desk, decision, step.hosts)
    _unless_it_may_go_on(desk, option, away)
    gone = {row.host for row in away}
    # Of who is away nothing can be expected: a guard must not count on them.
    step = replace(step, targets=tuple(target for target in step.targets if target[0] not in gone))
    gate.admit(desk, step)
    tell(desk, "decided")  # not before it is known that it will be done: customers hear of it
    outcome = run_rolling(desk, step, variables, away)
    for text in review.unfinished(outcome) if option == "hotfix" else ():
        desk.note("follow_up", text=text, owner=desk.actor)
    if outcome.worst == "failed":
        ask_anew(desk)  # before the phase is finished: cut off in between, it would be tried again unasked
    finish_step(desk, outcome)
    if outcome.worst == "failed":
        raise NotRecovered(
            f"{desk.incident_id}: {option} failed.",
            "\n".join(f"{row.host}: {row.reason}" for row in outcome.rows if row.outcome == "failed"),
            f"containment stays; choose another way: incidentctl decide {desk.incident_id} OPTION",
        )


def _unless_changed(desk: Desk, decision: Mapping[str, Any], hosts: tuple[str, ...]) -> tuple[HostOutcome, ...]:
    """Look at the hosts right before they are acted on; return the rows of those that do not answer, which are let be.

    Where something else would be done than what was approved, nothing is: the question is put anew. Raise PlanChangedError.
    """
    option = str(decision["option"])
    approved = desk.incident().plans.get(option)
    if decision.get("plan") is None:  # decided before there were plans
        return ()
    step, variables = way(desk, option)
    now, away = planning.now(desk, replace(step, hosts=hosts), variables)
    begun = retry.begun(desk.record.events(desk.incident_id), "recover")
    if approved is None or approved["hash"] != decision["plan"]:
        changed = ["the record does not have the plan any more that was approved"]
    else:
        changed = approval.differences(approved, now, hosts, begun)
    if not changed:
        return away
    ask_anew(desk)
    incident = desk.incident()
    is_possible = any(one["feasible"] for one in incident.options if one["key"] == option)
    words = f"custom --playbook {decision['playbook']}" if option == "custom" else option
    carry_out = f"incidentctl decide {desk.incident_id} {words} --plan {approval.short(incident.plans.get(option))}"
    named = decision["plan"][: approval.SHORT]
    look = f"incidentctl status {desk.incident_id} shows what is possible now"
    raise PlanChangedError(
        f"{desk.incident_id}: {option} is not what was approved any more (plan {named}). Nothing was done.",
        "\n".join(changed),
        f"the question was put anew; {f'{carry_out} carries out what it is now' if is_possible else look}",
    )


def _unless_it_may_go_on(desk: Desk, option: str, away: Iterable[HostOutcome]) -> None:
    """Raise Partial where a host on which this was begun does not tell what came of it: no other one is risked until it does."""
    events = desk.record.events(desk.incident_id)
    if not retry.begun(events, "recover"):
        return
    unclear = retry.unclear(events, "recover")
    if silent := [row for row in away if row.outcome == "unknown" or row.host in unclear]:
        raise Partial(
            f"{desk.incident_id}: {option} was begun, and what came of it is not known on all hosts. Nothing more was done.",
            "\n".join(f"{row.host}: {row.outcome}: {row.reason}" for row in silent),
            f"once they answer, incidentctl resume {desk.incident_id} goes on; "
            f"or another way: incidentctl decide {desk.incident_id} OPTION --instead-of {option}",
        )


def _sick_first(desk: Desk, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return hosts in the order in which a recovery goes from one to the next: who serves is risked only when another does."""
    out = guards.out(desk.record.events(desk.incident_id))
    sick = {host for (host, _service), why in out.items() if why == guards.SICK}
    return tuple(sorted(hosts, key=lambda host: host not in sick))


def _unsettled(desk: Desk, phase: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts on which the phase has still to be done; all of them if that is none, for then it was asked for."""
    settled = retry.settled(desk.record.events(desk.incident_id), phase)
    return tuple(host for host in hosts if host not in settled) or hosts


def lift_unless_held(desk: Desk) -> None:
    """Do what `lift` does, unless that would take back what only holds the incident. Raise DecisionAwaited then."""
    unless_held(desk)
    lift(desk)


def lift(desk: Desk) -> None:
    """Take back every containment: the hosts' ledgers know them all, also those that we forgot."""
    outcome = _take_back(desk, PlannedStep("lift", ("lift",), _unsettled(desk, "lift", desk.hosts()), ()), {})
    _unless_left(desk, [outcome])


def lift_only(desk: Desk, words: Iterable[str]) -> None:
    """Take back the entries that a person names, and nothing else.

    Raise UsageError, before anything, for an unknown one; Partial if a host that does not answer may have it.
    """
    silent = ledgers.silent(ask_hosts(desk, desk.hosts()))
    contained = [row for row in desk.incident().contained if row["host"] in desk.hosts()]
    over = [event.data for event in desk.record.events(desk.incident_id) if event.kind == "containment_lifted"]
    found = ledgers.named(words, contained, over, silent)
    if not found:
        desk.show("note", text="That is lifted already. Nothing was done.")
    outcomes = {
        word: _take_back(desk, PlannedStep("lift_only", ("lift",), hosts, ()), {"lift_only": [word]})
        for word, hosts in found.items()
    }
    _unless_left(desk, outcomes.values(), [word for word, outcome in outcomes.items() if outcome.worst not in SUCCESS])


def _take_back(desk: Desk, step: PlannedStep, variables: dict[str, Any]) -> Outcome:
    outcome = run_step(desk, step, variables, finish=False)
    ledgers.record(desk, outcome)
    for text in _left_alone(outcome):
        desk.show("note", text=f"    {text}")
    for text in _left_to_others(desk, step.phase):
        desk.note("follow_up", text=text, owner=desk.actor)
    finish_step(desk, outcome)
    return outcome


def _unless_left(desk: Desk, outcomes: Iterable[Outcome], words: Iterable[str] = ()) -> None:
    """Raise Partial if a host went wrong, once all were tried: what fails must not keep the others contained.

    `words` are those of `lift --only` that went wrong.
    """
    wrong = [row for outcome in outcomes for row in outcome.rows if row.outcome not in SUCCESS]
    if wrong:
        raise Partial(
            f"{desk.incident_id}: not everything could be taken back.",
            "\n".join(f"{row.host}: {row.outcome}: {row.reason}" for row in wrong),
            f"{ledgers.command(desk.incident_id, words)} tries again, as often as needed",
        )


def _left_alone(outcome: Outcome) -> list[str]:
    """Say of each entry that a lift leaves as it is why it does."""
    return [
        f"{row.host}: {action['summary']}"
        for row in outcome.rows
        for action in row.actions
        if action["outcome"] == "unchanged" and "entry" in action
    ]


def _left_to_others(desk: Desk, phase: str) -> list[str]:
    held = ledgers.held_by_others(desk.incident(), phase)
    texts = [f"Lift {whose} too: it still holds {name} on {host}" for (host, name), whose in held.items()]
    said = {row.get("text") for row in desk.incident().follow_ups}
    return [text for text in texts if text not in said]


def resolve(desk: Desk) -> None:
    """Say that it is over, once it was seen to be."""
    incident = desk.incident()
    looked = [phase for phase in incident.phases if phase.name == "monitor" and phase.capabilities]
    if not looked:
        return
    if incident.status != "resolved":
        desk.note("resolved", by=desk.actor)
    tell(desk, "resolved")


def close(desk: Desk, leave_contained: str | None = None) -> None:
    """Write what must be remembered, and close. Refused while a host's ledger has an open entry, or cannot be asked.

    `leave_contained` is why that does not matter; it goes into the record, and from there into the report.
    """
    if leave_contained is not None and not leave_contained.strip():
        raise UsageError("--leave-contained needs a reason.", fix="say why what is contained may stay so")
    with measurements.asked(desk):  # what refuses to close keeps nothing of it
        outcome = ask_hosts(desk)
        incident = desk.incident()
        left, silent = _unless_open(desk, outcome, leave_contained is not None)
    said = {row.get("text") for row in incident.follow_ups}
    lying = _bundles_left(outcome, incident)
    for text in lying:
        desk.show("note", text=text)
    late = [f"See whether {name} is well: somebody joined for it after the last look" for name in _unseen(desk)]
    for text in (*report.usual_follow_ups(incident), *lying, *late):
        if text in said:
            continue
        desk.note("follow_up", text=text, owner=incident.acknowledged_by or desk.actor)
    reason = {"left_contained": leave_contained, "left": left, "not_asked": silent} if left or silent else {}
    desk.note("closed", **reason)
    leave(desk)


def _unless_open(desk: Desk, outcome: Outcome, may_be: bool) -> tuple[list[str], list[str]]:
    """Return what is open, and who did not say. Raise RefusedError for either, unless it may be so."""
    left = [ledgers.told(row) + _unless_in(outcome, row) for row in desk.incident().contained]
    silent = ledgers.silent(outcome)
    if (left or silent) and not may_be:
        told = [f"{len(left)} ledger entr{'y is' if len(left) == 1 else 'ies are'} open"] if left else []
        told += [f"{len(silent)} host(s) did not say what is open there"] if silent else []
        raise RefusedError(
            f"{desk.incident_id} cannot be closed: {', and '.join(told)}.",
            "\n".join([*left, *silent]),
            f"incidentctl lift {desk.incident_id}, or close with --leave-contained REASON",
        )
    return left, silent


def _bundles_left(outcome: Outcome, incident: Incident) -> list[str]:
    """Say on which hosts a bundle of evidence lies that did not come home, or may, where nobody answers."""
    unsure = evidence_manifest.may_lie(incident)
    found = []
    for row in outcome.rows:
        if there := event_data.texts(row.facts.get("bundles")):
            found.append(f"{row.host}: evidence that was not brought home lies there: {', '.join(there)}")
        elif row.host in unsure and not ledgers.answered(row):
            found.append(
                f"{row.host}: evidence that was not brought home may lie there, in /var/tmp/incidentctl-evidence-*"
            )
    return [f"{text}. What next collects or lifts there removes it, two hours after it was made" for text in found]


def _unseen(desk: Desk) -> list[str]:
    """Return the services that were named as affected when the last look had begun, and that it did not look at."""
    events = desk.record.events(desk.incident_id)
    looks = [
        e for e in events if e.kind == "step_started" and e.data.get("phase") == "monitor" and e.data.get("services")
    ]
    if not looks:
        return []
    seen = looks[-1].data["services"].get("health_check", ())
    notes = [event for event in events if event.kind == "note" and event.seq > looks[-1].seq]
    return sorted(
        {name for event in notes for name in event_data.texts(event.data.get("affected")) if name not in seen}
    )


def _unless_in(outcome: Outcome, contained: Mapping[str, Any]) -> str:
    """Return what to add about an entry of which its host, though it answered, knows nothing."""
    rows = [row for row in outcome.rows if row.host == contained["host"] and ledgers.answered(row)]
    gone = rows and contained["entry"] not in rows[0].facts["open"]
    return ": this host's ledger does not have it any more; see for yourself" if gone else ""


def leave(desk: Desk) -> None:
    """Tell of the end, and write what must be remembered: as often as it is asked for, with the same result."""
    tell(desk, "closed")
    written = report.write(desk.record.events(desk.incident_id), desk.folder)
    report.remember(desk.incident(), desk.settings.memory_bank)
    desk.show("report", path=written)
