"""Look again at services: for a suggestion of the severity, and to see an incident get worse. It changes no host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from incidentctl import catalogue, engine, listener, monitoring, notify, plan, suggestion
from incidentctl import incident as incidents
from incidentctl import intake as intakes
from incidentctl.desk import Desk, Show
from incidentctl.errors import IncidentctlError
from incidentctl.incident import SEVERITIES, Incident
from incidentctl.intake import Intake
from incidentctl.outcome import Outcome, Step
from incidentctl.plan import Service
from incidentctl.session import Session, raise_severity, take_up
from incidentctl.settings import Settings, resolve_secret
from incidentctl.suggestion import STATES, Seen, Suggestion

_FOLLOW_S = 1.0  # between two looks at the record


@dataclass(frozen=True)
class Look:
    """What one look at an incident saw. `proposed` is the severity that a person is asked to set."""

    incident_id: str
    severity: str
    services: Mapping[str, str]
    changed: bool
    rule: str
    proposed: str | None = None
    raised_from: str | None = None

    def in_words(self) -> str:
        """Return it on a line."""
        seen = ", ".join(f"{name} {how}" for name, how in self.services.items())
        line = f"{self.incident_id} ({self.severity}): {seen or 'no service is in scope'}"
        if self.raised_from is not None:
            return f"{line}; severity raised from {self.raised_from}: {self.rule}"
        return line if self.proposed is None else f"{line}; severity {self.proposed} is proposed: {self.rule}"


def suggest(session: Session, limit: str | None, names: Iterable[str], show: Show) -> Suggestion:
    """Check the health of the services that are meant, and return what it suggests. Nothing is changed.

    Raise ConfigurationError if the catalogue is wrong: nothing would be seen, and be taken for down.
    """
    inventory = session.hosts()
    catalogue.unless_wrong((service.spec for service in inventory.services), session.sources())
    hosts = plan.narrow(inventory, limit)
    services = plan.in_scope(inventory, hosts, names)
    hosts = tuple(host for host in hosts if any(host in service.hosts for service in services))
    show("phase", phase="look", capabilities=("health_check",), hosts=hosts)
    outcome = _ask(hosts, services, session.sources(), session.settings, show)
    show("phase_done", outcome=outcome)
    return suggestion.suggest(services, hosts, _seen(outcome), monitoring.look(session.settings.monitoring))


def watch(session: Session, incident_id: str | None, every_s: float, times: int | None) -> Iterator[Look]:
    """Look at the incident (or at all open ones whose severity says `watch`) every so often, until they have ended.

    Each round delivers what is to be told, too. Yield every look; a change, and what follows from it, is recorded.
    """
    desks: dict[str, Desk] = {}
    done = 0
    while names := _watched(session, incident_id):
        for name in names:
            yield _look(session, name, desks)
        notify.follow_up(session.record, session.settings)
        done += 1
        if done == times:
            return
        time.sleep(every_s)


def listen(session: Session, place: str, every_s: float, say: Callable[[str], None]) -> Generator[Look | str]:
    """Take alerts at [HOST:]PORT, and attend to the open incidents, for as long as somebody asks for the next look.

    `say` is given a line for each request, by threads of their own. Raise UsageError or ConfigurationError if it cannot
    begin, and what `attend` raises.
    """
    host, port = listener.address(place)
    rung, intake, secret = threading.Event(), Intake(session), session.settings.alerts.token
    token = None if secret is None else resolve_secret(secret)

    def hear(document: Any) -> tuple[dict[str, Any], str]:
        heard = intake.hear(document)
        rung.set()
        return {
            "incident": heard.incident_id,
            "did": heard.did,
        }, f"{heard.incident_id or '–'}: {heard.did}: {heard.told}"

    with listener.serving((host, port), hear, token, say) as (host, port):
        say(f"Alerts are taken at http://{f'[{host}]' if ':' in host else host}:{port}{listener.PATH}")
        if token is None and not listener.is_local(host):
            say("Whoever reaches this address can declare incidents: alerts.token in incidentctl.yml prevents it.")
        yield from attend(session, intake, every_s, rung)


def attend(session: Session, intake: Intake, every_s: float, rung: threading.Event) -> Iterator[Look | str]:
    """Stay: look into what alerts declare as soon as `rung` is set, and at what is watched every so often.

    Yield every look, and on a line whatever else there is to say. What goes wrong is said, and tried again in the next
    round. Raise Interrupted, or KeyboardInterrupt, when it was stopped meanwhile.
    """
    desks: dict[str, Desk] = {}
    while True:
        yield from _unbroken(_fresh(session, rung))
        yield from _unbroken(_round(session, intake, desks))
        until = time.monotonic() + every_s
        while (left := until - time.monotonic()) > 0:
            if rung.wait(left):
                yield from _unbroken(_fresh(session, rung))


def follow(session: Session, incident_id: str) -> Iterator[Incident]:
    """Yield an incident as it stands, and again whenever that has changed, until it has ended. No host is asked."""
    last = None
    while last is None or last.status not in incidents.ENDED:
        now = session.record.incident(incident_id)
        if now != last:
            yield now
            last = now
        else:
            time.sleep(_FOLLOW_S)


def look(session: Session, desk: Desk) -> Look:
    """Check the health of an incident's services once, record a change, and propose or make an escalation."""
    incident, services = desk.incident(), desk.services()
    outcome = _ask(desk.hosts(), services, desk.sources, desk.settings, _unseen)
    seen = _seen(outcome)
    now = suggestion.states(services, desk.hosts(), seen)
    before, standing = _before(incident, services)
    found = suggestion.suggest(services, desk.hosts(), seen, monitoring.look(desk.settings.monitoring))
    changed = now != before
    proposed = _higher(incident, found, before, now) if changed else standing
    if proposed is not None and _rank(proposed) >= _rank(incident.severity):
        proposed = None
    told = Look(desk.incident_id, incident.severity, now, changed, found.rule, proposed)
    if not changed:
        return told
    raise_it = proposed is not None and desk.settings.severities[incident.severity].escalate
    desk.note("note", text=_in_words(told, before), watch=now, proposed=None if raise_it else proposed)
    if not raise_it or proposed is None:
        return told
    if not raise_severity(session, desk.incident_id, proposed, {"reason": found.rule, "by": "watch"}):
        return replace(told, proposed=None)  # somebody has raised it meanwhile
    return Look(desk.incident_id, proposed, now, True, found.rule, raised_from=incident.severity)


def _fresh(session: Session, rung: threading.Event) -> Iterator[str]:
    rung.clear()  # before the look: what rings during it is seen by the next one
    for name in intakes.waiting(session):
        yield intakes.investigate(session, name, _unseen)


def _round(session: Session, intake: Intake, desks: dict[str, Desk]) -> Iterator[Look | str]:
    for name in _watched(session, None):
        try:
            yield _look(session, name, desks)
        except IncidentctlError as error:  # one incident's trouble is not the next one's
            yield f"{name}: {error.what}"
    notify.follow_up(session.record, session.settings)
    intake.refresh()


def _unbroken(looks: Iterator[Look | str]) -> Iterator[Look | str]:
    try:
        yield from looks
    except IncidentctlError as error:
        yield error.what


def _look(session: Session, name: str, desks: dict[str, Desk]) -> Look:
    if name not in desks:
        desks[name] = take_up(session, name, _unseen, lambda *_words, **_facts: None)
    return look(session, desks[name])


def _watched(session: Session, incident_id: str | None) -> list[str]:
    record = session.record
    names = record.unsettled(datetime.now(UTC)) if incident_id is None else [record.find(incident_id)]
    found = []
    for name in names:
        incident = incidents.fold(record.events(name))
        policy = session.settings.severities.get(incident.severity)
        if incident.status not in incidents.ENDED and (incident_id is not None or (policy and policy.watch)):
            found.append(name)
    return found


def _ask(
    hosts: tuple[str, ...], services: Sequence[Service], sources: tuple[str, ...], settings: Settings, show: Show
) -> Outcome:
    variables = {"incident_continue": True, "health_check_only": [service.name for service in services]}
    step = Step("look", ("health_check",), hosts, variables, deadline_s=settings.deadlines.phase)
    outcome = engine.run(step, sources, show, settings.secret_environment())
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _seen(outcome: Outcome) -> Seen:
    return {row.host: row.facts["services"] for row in outcome.rows if "services" in row.facts}


def _before(incident: Incident, services: Sequence[Service]) -> tuple[Mapping[str, str] | None, str | None]:
    """Return how the services were when last looked at, by us or by the triage, and what was proposed then."""
    looks = [note for note in incident.notes if "watch" in note]
    if looks:
        proposed = looks[-1].get("proposed")
        return looks[-1]["watch"], None if proposed is None else str(proposed)
    rows = [row for row in incident.outcomes.get("triage", ()) if row.get("capability") == "health_check"]
    if not rows:
        return None, None
    seen = {str(row["host"]): row["facts"]["services"] for row in rows if "services" in row.get("facts", {})}
    return suggestion.states(services, incident.hosts, seen), None


def _higher(
    incident: Incident, found: Suggestion, before: Mapping[str, str] | None, now: Mapping[str, str]
) -> str | None:
    """What the facts suggest; one more than now when it only got worse."""
    if _rank(found.severity) < _rank(incident.severity):
        return found.severity
    worse = any(STATES.index(how) > STATES.index((before or now).get(name, "well")) for name, how in now.items())
    return SEVERITIES[max(0, _rank(incident.severity) - 1)] if worse else None


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def _in_words(told: Look, before: Mapping[str, str] | None) -> str:
    was = before or {}
    changes = [
        f"{name} is {how}" + (f", was {was[name]}" if name in was else "")
        for name, how in told.services.items()
        if was.get(name) != how
    ]
    text = f"watch: {'; '.join(changes) or 'other services are in scope'}"
    return text if told.proposed is None else f"{text}. Severity {told.proposed} is proposed: {told.rule}"


def _unseen(_kind: str, **_facts: Any) -> None:
    """A look that is repeated has no place on the screen; what it saw is told."""
