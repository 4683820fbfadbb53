"""The order of an incident, readable top to bottom. It resumes from the record: a fresh incident and one
that was cut off take the same path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from incidentctl import incident as incidents
from incidentctl import notify
from incidentctl.desk import Desk, tell
from incidentctl.errors import AlreadyOpen, Partial, UsageError
from incidentctl.incident import Event, Incident, phase_done
from incidentctl.outcome import SUCCESS
from incidentctl.phases import decision, investigation, recovery
from incidentctl.record import Record
from incidentctl.steps import ask_hosts

PHASES: tuple[tuple[str, Callable[[Desk], None]], ...] = (
    ("triage", investigation.triage),
    ("contain", investigation.contain),
    ("diagnose", investigation.diagnose),
    ("assess", decision.assess),
    ("decide", decision.decide),
    ("recover", recovery.recover),
    ("verify", recovery.verify),
    ("lift", recovery.lift),
    ("monitor", recovery.monitor),
    ("resolve", recovery.resolve),
    ("close", recovery.close),
)
# These only read: all that is done about an incident that nobody has taken up yet.
LOOKS = ("triage", "diagnose")
# Without these nothing that follows makes sense.
MUST_SUCCEED = ("recover", "verify", "lift", "monitor")


def declare(record: Record, actor: str, **facts: Any) -> str:
    """Open an incident with its facts (title, severity, services, affected, hosts, sources …) and return its id.

    Raise AlreadyOpen if one of the services already has an open incident.
    """
    for other in record.incidents():
        open_one = record.incident(other)
        shared = sorted(set(facts["services"]) & set(open_one.services))
        if open_one.status not in incidents.ENDED and shared:
            cut_off = incidents.interrupted(open_one)
            raise AlreadyOpen(
                other,
                open_one.holder is not None,
                f"{other} is already open for {', '.join(shared)} ({open_one.status}).",
                f"It was declared {open_one.declared_at} by {open_one.declared_by}."
                + (f" It was cut off in {cut_off.name}." if cut_off is not None else ""),
                f"incidentctl resume {other} goes on with it; --service narrows a new one to other services",
            )
    incident_id = incidents.new_incident_id(datetime.now(UTC))
    record.append(incident_id, "declared", {"detection": "declared by a person", **facts}, actor)
    return incident_id


@contextlib.contextmanager
def at_work(desk: Desk) -> Iterator[Event]:
    """Hold the incident to act on its hosts; what was cut off before us is asked of them first. Give the `locked` event.

    Raise LockedError if somebody else is at work on it.
    """
    with desk.record.hold(desk.incident_id, desk.actor) as locked:
        incident = desk.incident()
        cut_off = incidents.interrupted(incident)
        if incident.status not in incidents.ENDED and (cut_off is not None or "cut_off" in locked.data):
            desk.note("resumed", phase=cut_off.name if cut_off is not None else "what came between two phases")
            ask_hosts(desk)
        yield locked


def drive(desk: Desk) -> Incident:
    """Take the incident from where it stands to its end, or to where a person must decide.

    Raise DecisionAwaited, NotRecovered, Partial, RefusedError, Interrupted; the record is true in each case.
    """
    with at_work(desk) as locked:
        before = desk.incident()
        if before.status == "closed" and "cut_off" in locked.data:
            recovery.leave(desk)
            notify.wait()
            return before
        if before.status in incidents.ENDED:
            raise UsageError(f"{desk.incident_id} is {before.status}.", fix="incidentctl reopen takes it up again")
        tell(desk, "declared")
        with notify.attended(desk.record, desk.incident_id, desk.settings):
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


def investigate(desk: Desk) -> None:
    """Look into an incident and act on nothing; `drive` goes on from there once a person takes it up.

    Raise LockedError if somebody is at work on it, Interrupted when it was stopped.
    """
    with desk.record.hold(desk.incident_id, desk.actor), notify.attended(desk.record, desk.incident_id, desk.settings):
        for name, act in PHASES:
            if name in LOOKS and not phase_done(desk.incident(), name):
                act(desk)


def _needed(name: str, incident: Incident) -> bool:
    """A phase that must succeed is needed until it has; the others until they were run, whatever came of it."""
    if name == "decide" and incident.decision is None:
        return True
    last = [phase for phase in incident.phases if phase.name == name]
    failed = name in MUST_SUCCEED and last and last[-1].outcome not in SUCCESS
    return bool(failed) or not phase_done(incident, name)


def _left_behind(incident: Incident) -> list[str]:
    """What did not go well on its host. That a service was found sick is no fault of the response."""
    return [
        f"{row['host']}: {row['capability']} {row['outcome']}: {row.get('reason', '')}"
        for phase, rows in (incident.outcomes or {}).items()
        for row in rows
        if row["outcome"] not in SUCCESS
        and not (phase == "triage" and row["capability"] == "health_check" and row["facts"])
    ]
