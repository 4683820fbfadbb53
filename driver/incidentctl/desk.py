"""The responder's desk: what is at hand while an incident is driven, and what can be said from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incidentctl import approval, notify, plan
from incidentctl.errors import AlreadyDecided, PlanChangedError, RefusedError, UsageError
from incidentctl.incident import ENDED, Data, Event, Incident
from incidentctl.plan import Inventory, Service
from incidentctl.record import Record
from incidentctl.settings import Settings
from incidentctl.standing import decided
from incidentctl.text import nearest
from incidentctl.times import when

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
    plan: str | None = None  # the beginning of the hash of the plan that `option`, or an approval, is for
    instead_of: str | None = None  # the decision that `option` replaces
    take_over: int | None = None  # the `locked` event of a process on another host that a person says is gone
    limit: tuple[str, ...] | None = None  # of the incident's hosts, only these this time
    reviewed_by: str | None = None  # who has looked at a hotfix, as a person says
    override: tuple[str, ...] = ()  # the guards that a person names
    since: int = 0  # the event with which they began: what others said before that, they can read

    def incident(self) -> Incident:
        """The incident as the record has it now."""
        return self.record.incident(self.incident_id)

    def note(self, kind: str, **data: Any) -> None:
        """Append an event, synced before this returns."""
        self.record.append(self.incident_id, kind, data, self.actor)

    def hear(self) -> None:
        """Show what others have said of the incident meanwhile."""
        events = self.record.events(self.incident_id)
        self.show("heard", events=[event for event in events if event.seq > self.since])

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

    def hosts_of(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Those of them that run one of these services."""
        used = {host for service in services for host in service.hosts}
        return tuple(host for host in self.hosts() if host in used)

    def services(self) -> tuple[Service, ...]:
        """The services in the incident's scope."""
        names = self.incident().services
        return tuple(service for service in self.inventory.services if service.name in names)

    def at_issue(self) -> tuple[Service, ...]:
        """The affected services that a recovery is about; what scale_down put to rest comes back with the lift."""
        incident = self.incident()
        resting = {row["target"] for row in incident.contained if row["capability"] == "scale_down"}
        affected = tuple(service for service in self.services() if service.name in incident.affected)
        return tuple(service for service in affected if service.name not in resting) or affected


def skip_step(desk: Desk, phase: str) -> None:
    """Record a phase for which there is nothing to do."""
    desk.note("step_started", phase=phase, capabilities=[], hosts=[])
    desk.note("step_finished", phase=phase, outcome="skipped")


def record_decision(
    desk: Desk, choice: str, playbook: str | None = None, asked: Data | None = None, instead_of: str | None = None
) -> Event:
    """Record who decided what, once: of two who answer the same question at the same moment one is told of the other.

    `asked` is the question that the answer is for, unless it is the one that stands there now; `instead_of` names a
    decision that is replaced. Raise AlreadyDecided, UsageError or RefusedError if the answer does not count.
    """
    answered = asked or desk.incident().question
    data: dict[str, Any] = {"option": choice, **({"playbook": playbook} if choice == "custom" else {})}
    data |= {"question": answered["seq"]} if answered else {}
    data |= {"instead_of": instead_of} if instead_of else {}
    needed = desk.settings.severities[desk.incident().severity].approvals
    data |= {"approvals": needed} if needed > 1 and choice != "wait" else {}

    def counts(incident: Incident) -> bool:
        unless_void(desk, incident, choice, playbook, answered, instead_of)
        # What is approved is what the question showed, which stands still as long as this is being recorded.
        data.update({"plan": incident.plans[choice]["hash"]} if choice in incident.plans else {})
        return True

    event = desk.record.append_if(desk.incident_id, "decided", data, desk.actor, counts)
    assert event is not None  # noqa: S101 - what does not count raises
    return event


def unless_void(
    desk: Desk, incident: Incident, choice: str, playbook: str | None, answered: Data | None, instead_of: str | None
) -> None:
    """Raise what record_decision does if, as the incident stands, an answer to the question `answered` does not count."""
    _unless_decided(desk, incident, choice, instead_of)
    _unless_asked_anew(incident, answered)
    _unless_impossible(incident, choice)
    unless_another_plan(incident, choice, desk.plan)
    if choice == "custom" and playbook not in desk.settings.custom_playbooks:
        known = ", ".join(sorted(desk.settings.custom_playbooks))
        raise UsageError("Which playbook?", fix=f"--playbook NAME, one of: {known}")


def _unless_decided(desk: Desk, incident: Incident, choice: str, instead_of: str | None) -> None:
    number, stands = incident.incident_id, decided(incident)
    if incident.status in ENDED:
        raise UsageError(f"{number} is {incident.status}.", fix=f"incidentctl reopen {number} takes it up again")
    if (
        stands is None
        and incident.decision is not None
        and incident.holder is not None
        and not desk.record.holds(number)
    ):
        # Who is past the recovery would go on with what follows it, and lift, as if this had been carried out.
        raise AlreadyDecided(
            f"{number}: {incident.holder['actor']} still looks whether {incident.decision['option']} helped.",
            f"Your answer, {choice}, is not recorded: nobody would carry it out.",
            f"incidentctl status {number} says when that has ended; then decide again",
        )
    if stands is None or stands["option"] == instead_of:
        return
    fix = f"incidentctl status {number} says how it goes"
    if incident.holder is None or desk.record.holds(number):
        fix = f"incidentctl resume {number} carries it out"
        if stands["option"] != choice:
            fix += f"; or incidentctl decide {number} {choice} --instead-of {stands['option']}"
    raise AlreadyDecided(
        f"{number}: {stands['actor']} decided {stands['option']} at {when(stands['at'])}.",
        f"Your answer, {choice}, is not recorded, and nothing of it is carried out.",
        fix,
    )


def _unless_asked_anew(incident: Incident, answered: Data | None) -> None:
    question = incident.question
    if question is not None and (answered is None or question["seq"] != answered["seq"]):
        raise RefusedError(
            f"{incident.incident_id}: the question was put anew at {when(question['at'])}.",
            "Your answer is for the one before it, whose figures no longer hold; it is not recorded.",
            f"incidentctl status {incident.incident_id} shows what is possible now",
        )


def _unless_impossible(incident: Incident, choice: str) -> None:
    found = {option["key"]: option for option in incident.options}
    if not found:
        raise UsageError(
            f"{incident.incident_id}: nothing is asked yet.",
            "What is possible has not been weighed.",
            f"incidentctl resume {incident.incident_id} goes on to the question",
        )
    if choice not in found:
        raise UsageError(
            f"There is no option {choice!r}{nearest(choice, found)}.", fix=f"choose from: {', '.join(found)}"
        )
    if not found[choice]["feasible"]:
        raise RefusedError(
            f"{incident.incident_id}: {choice} is not possible.",
            found[choice]["why_not"],
            f"incidentctl status {incident.incident_id} shows what is",
        )


def unless_another_plan(incident: Incident, choice: str, typed: str | None) -> None:
    """Raise PlanChangedError if what an option would do is not the plan whose hash somebody typed the beginning of."""
    found = incident.plans.get(choice)
    if typed is None or approval.is_meant(found, typed):
        return
    now = f"plan {approval.short(found)}" if found else "nothing that is known"
    fix = f"incidentctl decide {incident.incident_id} {choice} --plan {approval.short(found)} approves that"
    raise PlanChangedError(
        f"{incident.incident_id}: {choice} is not plan {typed}: it is {now}.",
        "\n".join([*(approval.lines(found) if found else ()), "Nothing is recorded, and nothing is done."]),
        fix if found else f"incidentctl status {incident.incident_id} shows what is possible now",
    )


def tell(desk: Desk, about: str | None) -> None:
    """Queue the message for everybody the severity names, and let it be delivered beside our work.

    Without `about` nobody is told; only the ticket and the status page are brought up to date.
    """
    incident = desk.incident()
    names = () if about is None else desk.settings.severities[incident.severity].notify
    notify.tell(desk.record, incident, names, about or "", desk.settings)
