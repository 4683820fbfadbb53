"""The way of an alert into the record: it declares an incident, or is added to one that is open, and its end is noted.

It tells those whom the severity names, and acts on no host.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from incidentctl import alerts, session, workflow
from incidentctl import incident as incidents
from incidentctl.alerts import Notification
from incidentctl.desk import Show
from incidentctl.errors import IncidentctlError, LockedError
from incidentctl.incident import ENDED, SEVERITIES, Event, Incident
from incidentctl.session import Session

ACTOR = "alertmanager"
# For so long an alert that fired before the incident ended is taken for its last word, not for a new incident.
GRACE = timedelta(minutes=10)
_REMEMBERED = timedelta(days=1)  # the end of an alert comes after the end of its incident, but not much later


@dataclass(frozen=True)
class Heard:
    """What became of a notification: `did` is declared, added, or nothing (the end of an alert that nobody knew)."""

    incident_id: str | None
    did: str
    told: str


class Intake:
    """Takes one notification after the other: two at a time would declare two incidents."""

    def __init__(self, opened: Session) -> None:
        """Read the inventory, so that an alert need not wait for it. Raise ConfigurationError if it cannot be used."""
        self._session = replace(opened, actor=ACTOR)
        self._alone = threading.Lock()
        self._inventory = opened.hosts()

    def refresh(self) -> None:
        """Read the inventory anew; what cannot be used leaves the one that is there. Raise ConfigurationError then."""
        self._inventory = self._session.hosts()

    def hear(self, payload: Any) -> Heard:
        """Given what Alertmanager posted, have it in the record when this returns.

        Raise NotUnderstood if it is something else, IncidentctlError if it could not be recorded.
        """
        told = alerts.parse(payload)
        with self._alone:
            return self._hear(told, datetime.now(UTC))

    def _hear(self, told: Notification, now: datetime) -> Heard:
        record = self._session.record
        known = {name: record.events(name) for name in record.unsettled(now - _REMEMBERED)}
        about = alerts.concerned(told, self._inventory)
        # A drill may be why its own hosts alert; it tells nobody, so it must hear of nothing else.
        drilled = {name: incident for name, events in known.items() if (incident := incidents.fold(events)).drill}
        known = {name: known[name] for name in known if name not in drilled or about <= set(drilled[name].hosts)}
        mine = [name for name, events in known.items() if any(seen["group"] == told.group for seen in _alerts(events))]
        open_ones = [name for name in mine if incidents.fold(known[name]).status not in ENDED]
        if open_ones:
            return self._add(open_ones[0], told)
        if not told.firing and not mine:
            return Heard(None, "nothing", alerts.in_words(told))
        if mine and (not told.firing or _is_old_news(told, known[mine[0]], now)):
            return self._add(mine[0], told)
        drills = [incident for incident in drilled.values() if incident.status not in ENDED]
        if its_own := [drill.incident_id for drill in drills if drill.incident_id in known]:
            return self._add(its_own[0], told)
        return self._declare(told, known, now, drills)

    def _declare(
        self, told: Notification, known: Mapping[str, Sequence[Event]], now: datetime, drills: Sequence[Incident]
    ) -> Heard:
        scope = alerts.scope(told, self._inventory)
        hosts = [host for host in scope.hosts if all(host not in drill.hosts for drill in drills)]
        busy = {
            service: name
            for name, events in known.items()
            if (incident := incidents.fold(events)).status not in ENDED
            for service in incident.services
        }
        there = [service for service in scope.services if not drills or set(hosts) & set(service.hosts)]
        free = tuple(service for service in there if service.name not in busy)
        if not free:
            others = [busy[service.name] for service in there] or [drill.incident_id for drill in drills]
            return self._add(others[0], told)
        severity, began = alerts.severity(told, self._session.settings.alerts), alerts.onset(told)
        name = session.open_incident(
            self._session,
            alerts.title(told),
            severity,
            hosts,
            free,
            affected=[name for name in scope.affected if name not in busy],
            detection="an alert of Prometheus, by Alertmanager",
            detected_at=began.astimezone(UTC).isoformat() if began and began <= now else None,
            alert=self._facts(told, severity),
        )
        session.tell_declared(self._session, name)
        return Heard(name, "declared", alerts.title(told))

    def _add(self, name: str, told: Notification) -> Heard:
        record, severity = self._session.record, alerts.severity(told, self._session.settings.alerts)
        events = record.events(name)
        incident = incidents.fold(events)
        before = [str(seen["severity"]) for seen in _alerts(events) if seen["firing"]]
        text = alerts.in_words(told)
        record.append(name, "note", {"text": text, "alert": self._facts(told, severity)}, ACTOR)
        if told.firing and incident.status not in ENDED:
            session.tell_declared(self._session, name)  # a notification that is repeated after a crash makes up for it
            # A person may have set it lower since: that a known alert fires again is no reason to raise it anew.
            if all(SEVERITIES.index(severity) < SEVERITIES.index(other) for other in before):
                session.raise_severity(self._session, name, severity, {"reason": text, "by": "alert"})
        return Heard(name, "added", text)

    def _facts(self, told: Notification, severity: str) -> dict[str, Any]:
        return alerts.facts(told, severity, alerts.named(told, self._inventory)[1])


def waiting(opened: Session) -> list[str]:
    """Return the open incidents that an alert declared and that nobody has looked into yet, the oldest first."""
    if not opened.settings.alerts.diagnose:
        return []
    found = []
    for name in reversed(opened.record.unsettled(datetime.now(UTC))):
        events = opened.record.events(name)
        incident = opened.record.incident(name)
        by_an_alert = "alert" in events[0].data and incident.status not in ENDED
        free = incident.holder is None
        if by_an_alert and free and not _was_looked_into(incident):
            found.append(name)
    return found


def investigate(opened: Session, name: str, show: Show) -> str:
    """Run the phases that only read on one of them, and return how that went on a line.

    That it was not possible is noted, and not tried again: a person takes it up from there. Raise Interrupted when it
    was stopped.
    """
    try:
        workflow.investigate(session.take_up(opened, name, show, lambda *_words, **_facts: None))
    except LockedError as error:
        return f"{name}: {error.what}"
    except IncidentctlError as error:
        opened.record.append(name, "note", {"text": f"not diagnosed: {error.what}", "diagnosed": False}, opened.actor)
        return f"{name}: not diagnosed: {error.what}"
    return f"{name}: diagnosed; to take it up: incidentctl resume {name}"


def _alerts(events: Sequence[Event]) -> Iterator[Mapping[str, Any]]:
    return (event.data["alert"] for event in events if isinstance(event.data.get("alert"), dict))


def _is_old_news(told: Notification, events: Sequence[Event], now: datetime) -> bool:
    """Say whether an incident has just ended and every alert that fires began before that."""
    ended = datetime.fromisoformat(incidents.fold(events).closed_at or now.isoformat())
    return now - ended < GRACE and all(alert.since is not None and alert.since <= ended for alert in told.meant())


def _was_looked_into(incident: Incident) -> bool:
    others = any(phase.name not in workflow.LOOKS for phase in incident.phases)
    given_up = any(note.get("diagnosed") is False for note in incident.notes)
    return others or given_up or all(incidents.phase_done(incident, name) for name in workflow.LOOKS)
