"""The order of an incident, readable top to bottom. It resumes from the record: a fresh incident and one
that was cut off take the same path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from incidentctl import engine, notify, options, plan, report
from incidentctl import incident as incidents
from incidentctl.desk import Desk, ask_hosts, finish_step, record_decision, record_lifted, run_step, skip_step, tell
from incidentctl.errors import DecisionAwaited, IncidentctlError, LockedError, RefusedError, UsageError
from incidentctl.incident import Incident, phase_done
from incidentctl.plan import PlannedStep, Service
from incidentctl.record import Record
from incidentctl.situation import situation


class Partial(IncidentctlError):
    """Some hosts failed or could not be reached."""

    exit_code = 11


class NotRecovered(IncidentctlError):
    """What was decided was carried out, or tried, and the service is not healthy."""

    exit_code = 12


def declare(record: Record, actor: str, **facts: Any) -> str:
    """Open an incident with its facts (title, severity, services, affected, hosts, sources) and return its id.

    Raise LockedError if one of the services already has an open incident.
    """
    for other in record.incidents():
        open_one = incidents.fold(record.events(other))
        shared = sorted(set(facts["services"]) & set(open_one.services))
        if open_one.status not in incidents.ENDED and shared:
            raise LockedError(
                f"{other} is already open for {', '.join(shared)} ({open_one.status}).",
                f"It was declared {open_one.declared_at} by {open_one.declared_by}.",
                f"incidentctl resume {other} goes on with it; --service narrows a new one to other services",
            )
    incident_id = incidents.new_incident_id(datetime.now(UTC))
    record.append(incident_id, "declared", {**facts, "detection": "declared by a person"}, actor)
    return incident_id


def drive(desk: Desk) -> Incident:
    """Take the incident from where it stands to its end, or to where a person must decide.

    Raise DecisionAwaited, NotRecovered, Partial, RefusedError, Interrupted; the record is true in each case.
    """
    with desk.record.hold(desk.incident_id, desk.actor):
        before = desk.incident()
        if before.status in incidents.ENDED:
            raise UsageError(f"{desk.incident_id} is {before.status}.", fix="incidentctl reopen takes it up again")
        cut_off = incidents.interrupted(before)
        if cut_off is not None:
            desk.note("resumed", phase=cut_off.name)
            ask_hosts(desk)
        tell(desk, "declared")
        for name, act in PHASES:
            if _needed(name, desk.incident()):
                act(desk)
        notify.wait()
        incident = desk.incident()
        left = _left_behind(incident)
        if left:
            raise Partial(
                f"{desk.incident_id} is {incident.status}, but not everything went well on the way.",
                "\n".join(left),
                f"incidentctl report {desk.incident_id} tells it all",
            )
        return incident


def _needed(name: str, incident: Incident) -> bool:
    """A phase that must succeed is needed until it has; the others until they were run, whatever came of it."""
    if name == "decide" and incident.decision is None:
        return True
    last = [phase for phase in incident.phases if phase.name == name]
    failed = name in MUST_SUCCEED and last and last[-1].outcome not in engine.SUCCESS
    return bool(failed) or not phase_done(incident, name)


def _left_behind(incident: Incident) -> list[str]:
    """What did not go well on its host. That a service was found sick is no fault of the response."""
    return [
        f"{row['host']}: {row['capability']} {row['outcome']}: {row.get('reason', '')}"
        for phase, rows in (incident.outcomes or {}).items()
        for row in rows
        if row["outcome"] not in engine.SUCCESS
        and not (phase == "triage" and row["capability"] == "health_check" and row["facts"])
    ]


# --- the phases -----------------------------------------------------------------------------------


def triage(desk: Desk) -> None:
    """Who is sick, and the evidence before anything is changed."""
    step = plan.step("triage", plan.TRIAGE, desk.incident().hosts, desk.services())
    outcome = run_step(desk, step, {"log_collection_dest": str(desk.folder / "evidence")}, finish=False)
    looked_at = [
        health
        for row in outcome.rows
        for health in (row.facts.get("services", {}).items() if row.capability == "health_check" else ())
    ]
    sick = {name for name, health in looked_at if health.get("healthy") is False}
    if looked_at and not sick:
        desk.show("note", text="Every service says that it is healthy.")
    affected = sorted({*sick, *desk.incident().affected})
    for row in outcome.rows:
        if row.files:
            desk.note("evidence_collected", host=row.host, files=list(row.files))
    # A sick service is what triage is for; only a look that was not possible is a failure.
    looked = [row for row in outcome.rows if not (row.capability == "health_check" and row.facts)]
    finish_step(desk, outcome, verdict=engine.worst(row.outcome for row in looked), affected=affected)


def contain(desk: Desk) -> None:
    """Keep the damage from spreading, as the severity allows."""
    incident = desk.incident()
    wanted = desk.settings.severities[incident.severity].contain
    # Without a known affected service an empty list would mean every service.
    able = [name for name in wanted if incident.affected or name not in FOR_AFFECTED]
    for name in wanted:
        if name not in able:
            desk.show("note", text=f"{name} left out: no affected service is known")
    step = plan.step("contain", able, incident.hosts, desk.services())
    guards = desk.settings.guards
    plan.guard(
        plan.Plan(incident.severity, (step,)),
        desk.inventory,
        guards.max_hosts_changed,
        guards.max_fraction_changed,
        guards.never_isolate,
    )
    if not able:
        skip_step(desk, "contain")
        return
    if not desk.contain_approved:
        answer = desk.ask("contain", step=step, incident=incident)
        if answer is None:
            raise DecisionAwaited(
                f"{desk.incident_id}: the containment waits for a yes.",
                f"It would do: {', '.join(able)}.",
                f"incidentctl resume {desk.incident_id} --yes",
            )
        desk.note("approved", what="contain", answer=answer)
        if answer != "yes":
            skip_step(desk, "contain")
            return
    run_step(desk, step, _only(able, incident, desk.services()))


def diagnose(desk: Desk) -> None:
    """What broke, and what changed."""
    incident = desk.incident()
    capabilities, variables = ["diagnosis"], {}
    rehearsed = any(row["capability"] == "prepare_rollback" for row in (incident.outcomes or {}).get("contain", ()))
    if incident.affected and not rehearsed:  # it only reads, and without it no way back can be offered
        capabilities.append("prepare_rollback")
        variables = {"prepare_rollback_only": list(incident.affected)}
    step = plan.step("diagnose", capabilities, incident.hosts, desk.services())
    outcome = run_step(desk, step, variables, finish=False)
    affected = set(desk.incident().affected)
    for row in outcome.rows:
        for finding in row.facts.get("findings", ()):
            if finding.get("severity") == "critical" and finding.get("service"):
                affected.add(finding["service"])
    finish_step(desk, outcome, affected=sorted(affected))
    desk.show("findings", rows=outcome.rows)


def assess(desk: Desk) -> None:
    """Put figures to the ways out."""
    desk.note("step_started", phase="assess", capabilities=[], hosts=[])
    weigh(desk)
    desk.note("step_finished", phase="assess", outcome="done")


def weigh(desk: Desk) -> None:
    """Record the options as the facts stand now."""
    found = options.assess(situation(desk))
    desk.note("options_assessed", options=[dataclasses.asdict(option) for option in found])


def ask_anew(desk: Desk) -> None:
    """What was decided did not help: weigh again, knowing that, and put the question again. Nothing follows of itself."""
    weigh(desk)
    desk.note("question_asked", question="Which recovery?", options=[o["key"] for o in desk.incident().options])


def decide(desk: Desk) -> None:
    """A person chooses. Nobody else does, and no time that passes does."""
    incident = desk.incident()
    if incident.decision is None:
        found = incident.options
        desk.show("options", options=found)
        if incident.question is None:
            desk.note("question_asked", question="Which recovery?", options=[o["key"] for o in found])
        choice = desk.option or desk.ask("decide", options=found, poll=desk.incident)
        decided_elsewhere = desk.incident().decision is not None
        if choice is None and not decided_elsewhere:
            recommended = next((o["key"] for o in found if o["recommended"]), "OPTION")
            raise DecisionAwaited(
                f"{desk.incident_id}: which recovery?",
                "Nothing is carried out until a person decides.",
                f"incidentctl decide {desk.incident_id} {recommended}",
            )
        if not decided_elsewhere:
            record_decision(desk, str(choice), desk.playbook)
    desk.note("step_started", phase="decide", capabilities=[], hosts=[])
    desk.note("step_finished", phase="decide", outcome="done")


def recover(desk: Desk) -> None:
    """Carry out the answer."""
    incident = desk.incident()
    decision: Mapping[str, Any] = incident.decision or {}
    tell(desk, "decided")
    verify = desk.settings.verify
    affected = tuple(s for s in desk.services() if s.name in incident.affected)
    if decision["option"] == "rollback":
        able = [s for s in affected if "releases" in s.spec]
        variables = {
            "rollback_only": [s.name for s in able],
            "rollback_within_s": verify.within,
            "rollback_window_s": min(verify.window, 3.0),
        }
        step = plan.step("recover", ("rollback",), _hosts(able, incident), tuple(able))
    elif decision["option"] == "mitigate":
        able = [s for s in affected if "maintenance" in s.spec]
        variables = {"maintenance_mode_only": [s.name for s in able]}
        step = plan.step("recover", ("maintenance_mode",), _hosts(able, incident), tuple(able))
    else:
        variables = {}
        playbook = str(desk.settings.custom_playbooks[decision["playbook"]])
        step = plan.step("recover", (playbook,), incident.hosts, affected)
    outcome = run_step(desk, step, variables)
    if outcome.worst == "failed":
        ask_anew(desk)
        raise NotRecovered(
            f"{desk.incident_id}: {decision['option']} failed.",
            "\n".join(f"{row.host}: {row.reason}" for row in outcome.rows if row.outcome == "failed"),
            f"containment stays; choose another way: incidentctl decide {desk.incident_id} OPTION",
        )


def verify(desk: Desk) -> None:
    """Did it work? Health must hold for a window, seen from the hosts themselves."""
    incident = desk.incident()
    if incident.decision and incident.decision["option"] == "mitigate":
        if not incident.follow_ups:
            desk.note("follow_up", text="Schedule the proper fix, then lift the maintenance mode", owner=desk.actor)
        raise DecisionAwaited(
            f"{desk.incident_id} is mitigated, not solved: the containment stays.",
            "Users see the maintenance mode until the proper fix is there.",
            f"when it is: incidentctl lift {desk.incident_id}, then incidentctl close {desk.incident_id}",
        )
    window = desk.settings.verify
    variables = {
        "health_check_window_s": window.window,
        "health_check_within_s": window.within,
        "health_check_only": list(incident.affected),
    }
    affected = tuple(s for s in desk.services() if s.name in incident.affected)
    step = plan.step("verify", ("health_check",), _hosts(affected, incident), affected)
    outcome = run_step(desk, step, variables, finish=False)
    seen = {row.host: dict(row.facts.get("services", {})) for row in outcome.rows}
    recovered = bool(outcome.rows) and all(row.outcome in engine.SUCCESS for row in outcome.rows)
    desk.note("verified", recovered=recovered, window_s=window.window, services=seen)
    desk.show("verified", recovered=recovered, services=seen, window_s=window.window)
    finish_step(desk, outcome)
    if not recovered:
        ask_anew(desk)
        raise NotRecovered(
            f"{desk.incident_id}: not healthy after {(incident.decision or {}).get('option')}.",
            "\n".join(f"{row.host}: {row.reason}" for row in outcome.rows if row.outcome not in engine.SUCCESS),
            f"containment stays; choose another way: incidentctl decide {desk.incident_id} OPTION",
        )


def lift(desk: Desk) -> None:
    """Take back every containment: the hosts' ledgers know them all, also those that we forgot."""
    incident = desk.incident()
    outcome = run_step(desk, PlannedStep("lift", ("lift",), incident.hosts, ()), {}, finish=False)
    record_lifted(desk, outcome)
    finish_step(desk, outcome)
    if outcome.worst not in engine.SUCCESS:
        raise Partial(
            f"{desk.incident_id}: not everything could be taken back.",
            "\n".join(f"{r.host}: {r.outcome}: {r.reason}" for r in outcome.rows if r.outcome not in engine.SUCCESS),
            f"incidentctl lift {desk.incident_id} tries again, as often as needed",
        )


def monitor(desk: Desk) -> None:
    """Lifting was a change too: look once more, now that the service has its users back."""
    incident = desk.incident()
    affected = tuple(s for s in desk.services() if s.name in incident.affected)
    if not affected:
        skip_step(desk, "monitor")
        return
    variables = {
        "health_check_only": list(incident.affected),
        "health_check_window_s": 1.0,
        "health_check_within_s": desk.settings.verify.within,
    }
    outcome = run_step(desk, plan.step("monitor", ("health_check",), _hosts(affected, incident), affected), variables)
    if outcome.worst not in engine.SUCCESS:
        raise NotRecovered(
            f"{desk.incident_id}: not healthy after the containment was lifted.",
            "\n".join(f"{row.host}: {row.reason}" for row in outcome.rows),
            f"incidentctl decide {desk.incident_id} OPTION",
        )
    desk.note("resolved", by=desk.actor)


def close(desk: Desk, leave_contained: str | None = None) -> None:
    """Write what must be remembered, and close. Refused while anything is still contained."""
    incident = desk.incident()
    if incident.contained and leave_contained is None:
        still = ", ".join(f"{c['host']} {c['capability']} {c['target']}" for c in incident.contained)
        raise RefusedError(
            f"{desk.incident_id} cannot be closed: {len(incident.contained)} containment(s) are still there.",
            still,
            f"incidentctl lift {desk.incident_id}, or close with --leave-contained REASON",
        )
    for text in report.usual_follow_ups(incident):
        desk.note("follow_up", text=text, owner=incident.declared_by)
    desk.note("closed", **({"left_contained": leave_contained} if leave_contained else {}))
    tell(desk, "closed")
    written = report.write(desk.record.events(desk.incident_id), desk.folder)
    report.remember(desk.incident(), desk.settings.memory_bank)
    desk.show("report", path=written)


PHASES: tuple[tuple[str, Callable[[Desk], None]], ...] = (
    ("triage", triage),
    ("contain", contain),
    ("diagnose", diagnose),
    ("assess", assess),
    ("decide", decide),
    ("recover", recover),
    ("verify", verify),
    ("lift", lift),
    ("monitor", monitor),
    ("close", close),
)
# Without these nothing that follows makes sense.
MUST_SUCCEED = ("recover", "verify", "lift", "monitor")
# These act on the affected services; the other containments on all services in the scope.
FOR_AFFECTED = ("enhanced_monitoring", "isolation", "maintenance_mode", "prepare_rollback")


def _only(capabilities: Iterable[str], incident: Incident, services: tuple[Service, ...]) -> dict[str, list[str]]:
    scope = [service.name for service in services]
    return {f"{name}_only": list(incident.affected) if name in FOR_AFFECTED else scope for name in capabilities}


def _hosts(services: Iterable[Service], incident: Incident) -> tuple[str, ...]:
    used = {host for service in services for host in service.hosts}
    return tuple(host for host in incident.hosts if host in used)
