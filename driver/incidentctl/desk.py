"""The responder's desk: what is at hand while an incident is driven, and what can be said from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incidentctl import notify, plan
from incidentctl.errors import RefusedError, UsageError
from incidentctl.incident import Incident
from incidentctl.outcome import Outcome
from incidentctl.plan import Inventory, Service
from incidentctl.record import Record
from incidentctl.settings import Settings

Show = Callable[..., None]
# ask(question, **facts) → the answer, or None when nobody can be asked.
Ask = Callable[..., str | None]


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
    limit: tuple[str, ...] | None = None  # of the incident's hosts, only these this time

    def incident(self) -> Incident:
        """The incident as the record has it now."""
        return self.record.incident(self.incident_id)

    def note(self, kind: str, **data: Any) -> None:
        """Append an event, synced before this returns."""
        self.record.append(self.incident_id, kind, data, self.actor)

    @property
    def folder(self) -> Path:
        """The incident's own folder: evidence, report, post-mortem."""
        return self.settings.state_dir / "incidents" / self.incident_id

    def limited(self, pattern: str) -> Desk:
        """The same desk, with only those of the incident's hosts in view. Raise UsageError if it means none of them."""
        meant = tuple(host for host in plan.narrow(self.inventory, pattern) if host in self.incident().hosts)
        if not meant:
            raise UsageError(f"--limit {pattern!r} leaves no host of {self.incident_id}.")
        return replace(self, limit=meant)

    def hosts(self) -> tuple[str, ...]:
        """The incident's hosts that are meant this time."""
        return tuple(host for host in self.incident().hosts if self.limit is None or host in self.limit)

    def services(self) -> tuple[Service, ...]:
        """The services in the incident's scope."""
        names = self.incident().services
        return tuple(service for service in self.inventory.services if service.name in names)


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


def record_lifted(desk: Desk, outcome: Outcome) -> None:
    """Record every ledger entry that the hosts say is lifted."""
    for contained in desk.incident().contained:
        for row in outcome.rows:
            if row.host == contained["host"] and contained["entry"] in row.facts.get("lifted", ()):
                desk.note("containment_lifted", **{k: contained[k] for k in ("host", "capability", "entry", "target")})


def tell(desk: Desk, about: str | None) -> None:
    """Queue the message for everybody the severity names, and let it be delivered beside our work.

    Without `about` nobody is told; only the ticket and the status page are brought up to date.
    """
    incident = desk.incident()
    names = () if about is None else desk.settings.severities[incident.severity].notify
    notify.tell(desk.record, incident, names, about or "", desk.settings)
