"""The responder's desk: what is at hand while an incident is driven, and the few ways to act from it.

Every act goes through run_step: the intent is in the record before anything starts, every host's outcome after.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidentctl import engine, notify, plan, trackers
from incidentctl import incident as incidents
from incidentctl.errors import IncidentctlError, RefusedError, UsageError
from incidentctl.files import private_folder, seal
from incidentctl.incident import Incident
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import Record
from incidentctl.settings import Settings

Show = Callable[..., None]
# ask(question, **facts) → the answer, or None when nobody can be asked.
Ask = Callable[..., str | None]


class Interrupted(Exception):
    """A phase was stopped by Ctrl-C or SIGTERM; what it reached is recorded."""


@dataclass(frozen=True)
class Desk:
    """What a responder has in front of them while an incident is driven."""

    incident_id: str
    record: Record
    settings: Settings
    inventory: Inventory
    sources: tuple[str, ...]
    actor: str
    show: Show
    ask: Ask
    contain_approved: bool = False
    option: str | None = None
    playbook: str | None = None

    def incident(self) -> Incident:
        """The incident as the record has it now."""
        return incidents.fold(self.record.events(self.incident_id))

    def note(self, kind: str, **data: Any) -> None:
        """Append an event, synced before this returns."""
        self.record.append(self.incident_id, kind, data, self.actor)

    @property
    def folder(self) -> Path:
        """The incident's own folder: evidence, report, post-mortem."""
        return self.settings.state_dir / "incidents" / self.incident_id

    def services(self) -> tuple[Service, ...]:
        """The services in the incident's scope."""
        names = self.incident().services
        return tuple(service for service in self.inventory.services if service.name in names)


def run_step(desk: Desk, step: PlannedStep, variables: Mapping[str, Any], finish: bool = True) -> engine.Outcome:
    """Record the intent, run the step, record every host's outcome. Raise Interrupted when it was stopped."""
    desk.show("phase", phase=step.phase, capabilities=step.capabilities, hosts=step.hosts)
    desk.note("step_started", phase=step.phase, capabilities=list(step.capabilities), hosts=list(step.hosts))
    common = {
        "incident_id": desk.incident_id,
        "incident_continue": True,
        "incident_evidence_dir": str(desk.folder / "evidence"),
    }
    private_folder(desk.folder)
    outcome = engine.run(
        engine.Step(
            phase=step.phase,
            capabilities=step.capabilities,
            hosts=step.hosts,
            variables={**common, **variables},
            deadline_s=desk.settings.deadlines.phase,
        ),
        desk.sources,
        desk.show,
        desk.settings.secret_environment(),
    )
    seal(desk.folder)
    for row in outcome.rows:
        _record_row(desk, step.phase, row)
    desk.show("phase_done", outcome=outcome)
    if outcome.interrupted:
        raise Interrupted(step.phase)
    if finish:
        finish_step(desk, outcome)
    return outcome


def finish_step(desk: Desk, outcome: engine.Outcome, verdict: str | None = None, **facts: Any) -> None:
    """Record that the phase came to its end, with the worst of its outcomes unless the caller knows better."""
    desk.note("step_finished", phase=outcome.step.phase, outcome=verdict or outcome.worst, **facts)


def skip_step(desk: Desk, phase: str) -> None:
    """Record a phase for which there is nothing to do."""
    desk.note("step_started", phase=phase, capabilities=[], hosts=[])
    desk.note("step_finished", phase=phase, outcome="skipped")


def record_decision(desk: Desk, choice: str, playbook: str | None = None) -> None:
    """Record who decided what. Raise UsageError or RefusedError if it cannot be carried out."""
    found = {option["key"]: option for option in desk.incident().options}
    if choice not in found:
        raise UsageError(
            f"There is no option {choice!r}{plan.nearest(choice, found)}.", fix=f"choose from: {', '.join(found)}"
        )
    if not found[choice]["feasible"]:
        raise RefusedError(
            f"{desk.incident_id}: {choice} is not possible.",
            found[choice]["why_not"],
            f"incidentctl status {desk.incident_id} shows what is",
        )
    if choice == "custom" and playbook not in desk.settings.custom_playbooks:
        known = ", ".join(sorted(desk.settings.custom_playbooks))
        raise UsageError("Which playbook?", fix=f"--playbook NAME, one of: {known}")
    desk.note("decided", option=choice, **({"playbook": playbook} if choice == "custom" else {}))


def record_lifted(desk: Desk, outcome: engine.Outcome) -> None:
    """Record every ledger entry that the hosts say is lifted."""
    for contained in desk.incident().contained:
        for row in outcome.rows:
            if row.host == contained["host"] and contained["entry"] in row.facts.get("lifted", ()):
                desk.note("containment_lifted", **{k: contained[k] for k in ("host", "capability", "entry", "target")})


def ask_hosts(desk: Desk) -> None:
    """After a cut, ask the hosts' ledgers what stands open: the record may have missed the answer."""
    step = engine.Step(
        "resume", ("lift",), desk.incident().hosts, {"incident_id": desk.incident_id, "incident_continue": True}, True
    )
    outcome = engine.run(step, desk.sources, desk.show, desk.settings.secret_environment())
    known = {(c["host"], c["entry"]) for c in desk.incident().contained}
    for row in outcome.rows:
        for entry in row.facts.get("entries", ()):
            if (row.host, entry["entry"]) not in known:
                desk.note("containment_applied", host=row.host, summary="found in the host's ledger", **entry)


def tell(desk: Desk, about: str) -> None:
    """Queue the message for everybody the severity names, and let it be delivered beside our work."""
    incident = desk.incident()
    policy = desk.settings.severities[incident.severity]
    if policy.ticket and not incident.tickets:
        _open_ticket(desk, incident)
    notify.tell(desk.record, incident, policy.notify, about, desk.settings)


def _open_ticket(desk: Desk, incident: Incident) -> None:
    """A tracker that is down never stands in the way: the next event tries again."""
    try:
        desk.note("ticketed", **trackers.open_ticket(incident, desk.settings))
    except IncidentctlError as error:
        desk.note("note", text=error.what)


def _record_row(desk: Desk, phase: str, row: engine.HostOutcome) -> None:
    data = {k: v for k, v in dataclasses.asdict(row).items() if k != "diff"}
    desk.note("host_outcome", phase=phase, **data)
    if row.capability not in plan.LIFTABLE:
        return
    for action in row.actions:
        if action.get("entry") and action["outcome"] != "unchanged":
            kept = {key: action[key] for key in ("entry", "target", "summary")}
            desk.note("containment_applied", host=row.host, capability=row.capability, **kept)
