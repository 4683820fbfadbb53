"""What a command needs, opened once: settings, record, inventory; and from them the desk of an incident."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from incidentctl import ansible_setup, catalogue, gate, identity, notify, plan, workflow
from incidentctl import incident as incidents
from incidentctl import settings as configuration
from incidentctl.desk import Ask, Desk, Show
from incidentctl.errors import ConfigurationError, LockedError, RefusedError, UsageError
from incidentctl.guards import Refusal
from incidentctl.incident import Event, Incident
from incidentctl.plan import Inventory, Service
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings
from incidentctl.standing import standing
from incidentctl.times import when

UNTITLED = "(none given)"


@dataclass(frozen=True)
class Session:
    """Settings and record of one command, and who gives it."""

    settings: Settings
    record: Record
    actor: str
    inventory: tuple[str, ...] = ()

    def sources(self) -> tuple[str, ...]:
        """The inventory to use: the one that was named, else incidentctl.yml's, else Ansible's own."""
        return sources_of(self.settings, self.inventory)

    def hosts(self) -> Inventory:
        """Read the inventory. Raise ConfigurationError if it cannot be used."""
        return hosts_of(self.settings, self.sources())


def sources_of(settings: Settings, named: tuple[str, ...]) -> tuple[str, ...]:
    """The inventory to use: the one that was named, else incidentctl.yml's, else () for Ansible's own.

    Raise ConfigurationError if there is none.
    """
    if named:
        return tuple(source if "," in source else str(Path(source).absolute()) for source in named)
    if settings.inventory is not None:
        return (str(settings.inventory),)
    if not ansible_setup.own_inventory():
        raise ConfigurationError(
            "There is no inventory: incidentctl does not know your hosts.",
            "None was named, incidentctl.yml names none, and Ansible has none configured.",
            "-i INVENTORY, or `inventory:` in incidentctl.yml; `incidentctl init` writes both to begin with",
        )
    return ()


def hosts_of(settings: Settings, sources: tuple[str, ...]) -> Inventory:
    """Read the inventory. Raise ConfigurationError if it cannot be used, with all that is wrong with its services."""
    listed = ansible_setup.read_inventory(sources, settings.deadlines.phase)
    try:
        return plan.parse_inventory(listed)
    except plan.InventoryError as error:
        wrong = [*error.problems, *(catalogue.problems(error.services) if error.services else ())]
        raise ConfigurationError(error.what, catalogue.in_lines(wrong, sources), error.fix) from error


@contextlib.contextmanager
def open_session(config: str | None, inventory: Iterable[str] = ()) -> Iterator[Session]:
    """Read the settings and open the record, close it after."""
    settings = load_settings(config)
    record = open_record(settings.record_url)
    try:
        yield Session(settings, record, identity.whoami(), tuple(inventory))
    finally:
        notify.wait()  # what is on its way writes to the record
        record.close()


def load_settings(config: str | None) -> Settings:
    """Read incidentctl.yml from where it is looked for. Raise ConfigurationError with all its errors at once."""
    path = Path(config) if config else None
    names = frozenset(plan.CONTAINMENTS), frozenset(plan.MITIGATIONS)
    return configuration.load(path, os.environ, Path.cwd(), *names)


def declare(
    session: Session,
    title: str,
    severity: str,
    limit: str | None,
    services: Iterable[str],
    show: Show,
    ask: Ask,
    **facts: Any,
) -> Desk:
    """Open a new incident over the hosts and services that are meant, with more facts; nothing is connected to yet.

    Raise ConfigurationError, with all errors at once, if the catalogue is wrong: no host would take it, and nothing be seen.
    """
    named = tuple(services)
    severity = incidents.parse_severity(severity, session.settings.severities)
    inventory = session.hosts()
    catalogue.unless_wrong((service.spec for service in inventory.services), session.sources())
    hosts = plan.narrow(inventory, limit)
    scope = plan.in_scope(inventory, hosts, named)
    sources = session.sources()
    incident_id = open_incident(session, title or UNTITLED, severity, hosts, scope, affected=list(named), **facts)
    desk = Desk(incident_id, session.record, session.settings, inventory, sources, session.actor, show, ask)
    show("declared", incident=desk.incident())
    return desk


def open_incident(
    session: Session, title: str, severity: str, hosts: Iterable[str], scope: Iterable[Service], **facts: Any
) -> str:
    """Record a new incident over these services, as far as they run on these hosts, and return its id.

    Raise LockedError if one of them has an open incident.
    """
    services = tuple(scope)
    return workflow.declare(
        session.record,
        actor=session.actor,
        title=title,
        severity=severity,
        services=[service.name for service in services],
        hosts=[host for host in hosts if any(host in service.hosts for service in services)],
        sources=list(session.sources()),
        # Whom it concerns must follow from the record alone, whatever the inventory says later.
        user_facing=[service.name for service in services if service.user_facing],
        integrations={service.name: list(service.integrations) for service in services if service.integrations},
        **facts,
    )


def take_up(session: Session, incident_id: str | None, show: Show, ask: Ask) -> Desk:
    """Sit down at the desk of an incident that is there (the newest open one when none is named)."""
    found = session.record.find(incident_id)
    declared = next(event for event in session.record.events(found) if event.kind == "declared")
    remembered = replace(session, inventory=session.inventory or tuple(declared.data.get("sources", ())))
    return Desk(
        found, session.record, session.settings, remembered.hosts(), remembered.sources(), session.actor, show, ask
    )


def remark(session: Session, incident_id: str | None, kind: str, **data: Any) -> Event:
    """Append one event that a person says about an incident. Raise RefusedError if it does not fit its state.

    Raise LockedError if it is to be cancelled while somebody acts on it, or reopened beside another one.
    """
    found = session.record.find(incident_id)
    if kind == "reopened":
        return workflow.reopen(session.record, session.actor, found)

    def fits(incident: Incident) -> bool:
        if incident.status in incidents.ENDED and kind != "note":
            raise RefusedError(f"{found} is {incident.status}.", fix=f"incidentctl reopen {found} takes it up again")
        if kind == "cancelled":
            _unless_it_was_one(incident)
        return True

    event = session.record.append_if(found, kind, data, session.actor, fits)
    assert event is not None  # noqa: S101 - what does not fit raises
    return event


def _unless_it_was_one(incident: Incident) -> None:
    found, holder = incident.incident_id, incident.holder
    if incident.contained:
        raise RefusedError(
            f"{found}: {len(incident.contained)} containment(s) are still there.",
            fix=f"incidentctl lift {found}, then cancel it",
        )
    cut_off = incidents.interrupted(incident)
    if cut_off is not None and plan.LIFTABLE.intersection(cut_off.capabilities):
        raise RefusedError(
            f"{found}: {cut_off.name} was cut off, and what it did on the hosts is not known.",
            fix=f"incidentctl resume {found} asks them and goes on; or incidentctl lift {found}, then cancel it",
        )
    if holder is not None and incident.question is None:  # who is at the question is told, and acts no more
        raise LockedError(
            f"{holder['actor']} is at work on {found}, and would go on.",
            f"Process {holder['pid']} on {holder['host']} has held it since {when(holder['at'])}.",
            "end that process, or wait for its question; then cancel it",
        )


def join(
    session: Session, incident_id: str, description: str, severity: str | None, services: Iterable[str]
) -> Incident:
    """Add what somebody sees to an open incident: a note, services that are affected, a higher severity. Return it then.

    Raise UsageError, before anything is recorded, if it has ended or is not about one of the services.
    """
    found = session.record.find(incident_id)
    incident = session.record.incident(found)
    wanted = None if severity is None else incidents.parse_severity(severity, session.settings.severities)
    if incident.status in incidents.ENDED:
        raise UsageError(
            f"{found} is {incident.status}: it cannot be joined.",
            fix=f"incidentctl reopen {found} takes it up again; without --join a new one is declared",
        )
    affected = sorted(set(services))
    foreign = sorted(set(affected) - set(incident.services))
    if foreign:
        raise UsageError(
            f"{found} is not about {', '.join(foreign)}.",
            f"It is about: {', '.join(incident.services)}.",
            f"leave --join out to declare one for {', '.join(foreign)}, or --service to join this one",
        )
    if description or affected:
        told = description or f"counts as affected: {', '.join(affected)}"
        note = {"text": told, "joined": True, **({"affected": affected} if affected else {})}
        session.record.append(found, "note", note, session.actor)
    if affected:  # whose users, or partners, may hear of it only now
        tell_declared(session, found)
    if wanted is not None:
        raise_severity(session, found, wanted, {"by": "join"})
    return session.record.incident(found)


def tell_declared(session: Session, incident_id: str) -> None:
    """Tell those whom an incident concerns, as it stands now, that there is one. Nobody is told twice."""
    incident = session.record.incident(incident_id)
    names = session.settings.severities[incident.severity].notify
    notify.tell(session.record, incident, names, "declared", session.settings)


def raise_severity(session: Session, incident_id: str, severity: str, facts: Mapping[str, Any]) -> bool:
    """Set a severity that is higher than the one there is, whatever happens meanwhile, and tell those concerned.

    Say whether it was set; one that is as high, or higher, stays.
    """

    def is_higher(incident: Incident) -> bool:
        return incidents.SEVERITIES.index(severity) < incidents.SEVERITIES.index(incident.severity)

    data = {"severity": severity, **facts}
    event = session.record.append_if(incident_id, "severity_changed", data, session.actor, is_higher)
    if event is not None:
        pass_on(session, event)
    return event is not None


def pass_on(session: Session, event: Event) -> None:
    """Deliver what is not out yet beside us; tell of another severity, and of an incident that was none."""
    incident = incidents.fold(session.record.events(event.incident_id))
    names = set(session.settings.severities[incident.severity].notify)
    known = {str(row.get("audience")) for row in incident.notified if row.get("about") == "declared"}
    if event.kind == "severity_changed":  # whom only the new one names hears of the incident for the first time
        notify.tell(session.record, incident, sorted(names - known), "declared", session.settings)
    told = sorted(names & known) if event.kind in ("severity_changed", "cancelled") else ()
    notify.tell(session.record, incident, told, event.kind, session.settings)


def plans(
    session: Session, severity: str | None, limit: str | None, services: Iterable[str]
) -> list[tuple[plan.Plan, tuple[Refusal, ...]]]:
    """Return the plan of one severity, or of each, and which guards would refuse it. Nothing is connected to.

    Raise ConfigurationError, with all errors at once, if the catalogue is wrong.
    """
    policies = session.settings.severities
    names = list(policies) if severity is None else [incidents.parse_severity(severity, policies)]
    inventory = session.hosts()
    catalogue.unless_wrong((service.spec for service in inventory.services), session.sources())
    hosts = plan.narrow(inventory, limit)
    scope = plan.in_scope(inventory, hosts, services)
    made = [plan.make(name, policies[name].contain, hosts, scope) for name in names]
    return [(one, gate.refusals(session.settings, inventory, None, one.steps)) for one in made]


def facts(session: Session, incident_id: str) -> dict[str, Any]:
    """Return everything that is known of an incident, as data for --json."""
    incident = session.record.incident(incident_id)
    folder = session.settings.state_dir / "incidents" / incident_id
    return {
        **asdict(incident),
        "waiting": asdict(standing(incident)),
        "report": str(folder / "report.md"),
        "head": session.record.head(incident_id),
    }
