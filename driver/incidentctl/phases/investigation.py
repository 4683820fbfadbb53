"""Before the decision: who is sick, keep it from spreading, what broke and what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from incidentctl import (
    evidence,
    evidence_manifest,
    gate,
    history,
    judgement,
    measurements,
    monitoring,
    onset,
    own_looks,
    plan,
    seen_well,
)
from incidentctl.desk import Desk, skip_step, tell
from incidentctl.errors import DecisionAwaited, Partial
from incidentctl.incident import Incident
from incidentctl.onset import Onset
from incidentctl.outcome import SUCCESS, HostOutcome, worst
from incidentctl.plan import Service
from incidentctl.steps import finish_step, run_step, unseen

_AGAIN_S = 90.0  # a collection may take a minute by default, and has a login and a transfer beside that


def triage(desk: Desk) -> None:
    """Who is sick, and the evidence before anything is changed."""
    step = plan.step("triage", plan.TRIAGE, desk.hosts(), desk.services())
    # The data as it is before anything is changed: what is gone later is known by that.
    variables = {**_landing(desk), "health_check_figures": True}
    outcome = run_step(desk, step, variables, finish=False)
    seen = monitoring.look(desk.settings.monitoring)
    desk.show("monitoring", seen=seen)
    looked_at = [
        (row.host, *health)
        for row in outcome.rows
        for health in (row.facts.get("services", {}).items() if row.capability == "health_check" else ())
    ]
    sick: dict[str, list[str]] = {}
    for host, name, health in looked_at:
        if health.get("healthy") is False:
            sick.setdefault(name, []).append(host)
    if looked_at and not sick:
        desk.show("note", text="Every service says that it is healthy.")
    desk.show("roots", roots=judgement.roots(outcome.rows, desk.inventory))
    affected = sorted({*sick, *desk.incident().affected})
    evidence.keep(desk, outcome)
    # A sick service is what triage is for; only a look that was not possible is a failure.
    looked = [row for row in outcome.rows if not (row.capability == "health_check" and row.facts)]
    finish_step(
        desk,
        outcome,
        verdict=worst(row.outcome for row in looked),
        affected=affected,
        sick=sick,
        monitoring=seen,
    )
    tell(desk, "declared")  # now it is known whether customers and partners are concerned


def collect_again(desk: Desk) -> None:
    """Collect evidence of the hosts that triage did not get all of, before more is done there; tell it in a line.

    Whatever comes of it, the incident goes on. Those that are still away take as long as one login that fails.
    """
    lacking = evidence_manifest.lacking(desk.incident())
    hosts = tuple(host for host in desk.hosts() if host in lacking and host in desk.inventory.hosts)
    if not hosts:
        return
    desk.show("busy", text=f"collecting evidence that triage did not get: {', '.join(hosts)}")
    step = plan.step(evidence_manifest.CAPABILITY, (evidence_manifest.CAPABILITY,), hosts, desk.services())
    try:
        outcome = run_step(replace(desk, show=unseen), step, _landing(desk), patience_s=_AGAIN_S)
    except Partial as error:  # ansible-playbook was killed
        desk.note("step_finished", phase=step.phase, outcome="unknown")
        desk.show("note", text=f"{error.what} {error.why}")
        return
    evidence.keep(desk, outcome, lacking)
    now = evidence_manifest.manifest(desk.incident())["hosts"]
    told = [f"{row.host} was {lacking[row.host]}, is {_as_now(row, now[row.host]['state'])}" for row in outcome.rows]
    desk.show("note", text=f"Evidence collected again: {'; '.join(told)}")


def _landing(desk: Desk) -> dict[str, Any]:
    return {"log_collection_dest": str(desk.folder / "evidence")}


def _as_now(row: HostOutcome, state: str) -> str:
    return state if row.outcome in SUCCESS else f"{state} still ({row.outcome}: {row.reason})"


def contain(desk: Desk) -> None:
    """Keep the damage from spreading, as the severity allows."""
    incident = desk.incident()
    wanted = desk.settings.severities[incident.severity].contain
    # Without a known affected service an empty list would mean every service.
    able = [name for name in wanted if incident.affected or name not in plan.FOR_AFFECTED]
    for name in wanted:
        if name not in able:
            desk.show("note", text=f"{name} left out: no affected service is known")
    step = plan.step("contain", able, desk.hosts(), desk.services(), incident.affected)
    gate.admit(desk, step)  # before the question: nobody is asked for what will be refused
    if not able:
        skip_step(desk, "contain")
        return
    if not desk.contain_approved and not plan.READING.issuperset(able):
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
    now = datetime.now(UTC)
    verified = desk.record.earlier("verified", now, seen_well.LOOKED_BACK_AT, drills=True)
    well = seen_well.ago(verified, now)
    begun, ended = (
        desk.record.earlier(kind, now, own_looks.LOOKED_BACK_AT, drills=True)
        for kind in ("step_started", "step_finished")
    )
    looks = own_looks.ago(begun, ended, now)
    capabilities, variables = ["diagnosis"], dict[str, Any](diagnosis_seen_well=well, diagnosis_looks=looks)
    rehearsed = {
        name
        for row in incident.outcomes.get("contain", ())
        if row["capability"] == "prepare_rollback"
        for name in row["facts"].get("services", {})
    }
    # Of each service that could be: who is affected may be known only when the diagnosis has been read. It only reads,
    # and without it no way back can be offered.
    able = [service.name for service in desk.services() if plan.is_meant_for("prepare_rollback", service)]
    if left := [name for name in able if name not in rehearsed]:
        capabilities.append("prepare_rollback")
        variables["prepare_rollback_only"] = left
    step = plan.step("diagnose", capabilities, desk.hosts(), desk.services())
    outcome = run_step(desk, step, variables, finish=False)
    incident = desk.incident()
    others = _told(desk, incident)
    with measurements.asked(desk, history.read(outcome.rows, others).began):
        down, _problems = monitoring.down_since(desk.settings.monitoring, _names(desk))
    told = history.read(outcome.rows, [*others, *down])
    before = incident.outcomes.get("triage", ())
    judged = judgement.of(outcome.rows, desk.inventory, told, incident.monitoring.get("triage"), before)
    affected = sorted({*incident.affected, *judged.affected})
    began = told.onset and told.onset.told()
    finish_step(desk, outcome, affected=affected, judged=judged.as_data(), onset=began)
    tell(desk, "declared")
    desk.show("findings", judged=judged, history=told, current=incident.severity)


def _told(desk: Desk, incident: Incident) -> list[Onset]:
    """When it began by what the record says: alerts, and the look that saw it first."""
    events = desk.record.events(desk.incident_id)
    triage = next((phase for phase in incident.phases if phase.name == "triage" and _saw_it(incident)), None)
    looked = [Onset(triage.started_at, "the look of triage")] if triage else []
    return [*onset.of_alerts(event.data.get("alert") for event in events), *looked]


def _saw_it(incident: Incident) -> bool:
    """Say whether triage saw a service sick: that a person calls one affected is not seen by that look."""
    rows = [row for row in incident.outcomes.get("triage", ()) if row["capability"] == "health_check"]
    return any(look.get("healthy") is False for row in rows for look in row["facts"].get("services", {}).values())


def _names(desk: Desk) -> set[str]:
    """Return the names and addresses of the incident's hosts."""
    return {name for host in desk.hosts() for name in (host, desk.inventory.addresses.get(host, host))}


def _only(capabilities: Iterable[str], incident: Incident, services: tuple[Service, ...]) -> dict[str, list[str]]:
    scope = [service.name for service in services]
    return {f"{name}_only": list(incident.affected) if name in plan.FOR_AFFECTED else scope for name in capabilities}
