"""The order of an incident, readable top to bottom. It resumes from the record: a fresh incident and one
that was cut off take the same path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from incidentctl import incident as incidents
from incidentctl import ledgers, notify, stopping
from incidentctl.desk import Desk, tell
from incidentctl.errors import (
    AlreadyOpen,
    DecisionAwaited,
    LockedError,
    NotRecovered,
    Partial,
    PlanChangedError,
    RefusedError,
    UsageError,
)
from incidentctl.evidence_manifest import CAPABILITY
from incidentctl.files import way_out
from incidentctl.incident import Data, Event, Incident, phase_done
from incidentctl.outcome import SUCCESS, Outcome
from incidentctl.phases import decision, investigation, recovery, verification
from incidentctl.record import Record, RecordError
from incidentctl.steps import Interrupted, ask_hosts
from incidentctl.times import when

PHASES: tuple[tuple[str, Callable[[Desk], None]], ...] = (
    ("triage", investigation.triage),
    ("contain", investigation.contain),
    ("diagnose", investigation.diagnose),
    ("assess", decision.assess),
    ("decide", decision.decide),
    ("recover", recovery.recover),
    ("verify", verification.verify),
    ("lift", recovery.lift_unless_held),
    ("monitor", verification.monitor),
    ("resolve", recovery.resolve),
    ("close", recovery.close),
)
# These only read: all that is done about an incident that nobody has taken up yet.
LOOKS = ("triage", "diagnose")
# Without these nothing that follows makes sense.
MUST_SUCCEED = ("recover", "verify", "lift", "monitor")


def declare(record: Record, actor: str, **facts: Any) -> str:
    """Open an incident with its facts (title, severity, services, affected, hosts, sources …) and return its id.

    Raise AlreadyOpen if one of the services already has an open incident, LockedError if a drill breaks one of the hosts.
    """
    incident_id = incidents.new_incident_id(datetime.now(UTC))
    data = {"detection": "declared by a person", **facts}
    mine = facts["services"], facts.get("hosts", ()), bool(facts.get("drill"))
    record.open(incident_id, "declared", data, actor, lambda there: _unless_open(there, *mine))
    return incident_id


def reopen(record: Record, actor: str, incident_id: str) -> Event:
    """Take an incident that has ended up again. Raise AlreadyOpen as `declare` does, RefusedError if it has not ended."""
    mine = record.incident(incident_id)

    def fits(there: Iterable[Incident]) -> None:
        others = list(there)
        if incident_id in {other.incident_id for other in others}:
            raise RefusedError(f"{incident_id} is open.", fix=f"incidentctl resume {incident_id} goes on with it")
        _unless_open(others, mine.services, mine.hosts, mine.drill is not None)

    return record.open(incident_id, "reopened", {}, actor, fits)


def _unless_open(there: Iterable[Incident], services: Iterable[str], hosts: Iterable[str], drill: bool) -> None:
    for other in there:
        shared = sorted(set(services) & set(other.services))
        both = [host for host in other.hosts if host in set(hosts)]
        if (drill or other.drill) and not both:
            continue  # a drill, and what really happens on other hosts, are none of each other's business
        if shared and other.drill and not drill:
            raise LockedError(
                f"A drill is under way on {', '.join(both)}: {other.drill}, {other.incident_id}.",
                "What fails there is its doing; it tells nobody, and is no incident to go on with.",
                "leave its hosts out: --limit 'all" + "".join(f":!{host}" for host in other.hosts) + "'; or end it: "
                "Ctrl-C where it runs, or incidentctl drill --clean",
            )
        if shared:
            cut_off = incidents.interrupted(other)
            raise AlreadyOpen(
                other.incident_id,
                other.holder is not None,
                f"{other.incident_id} is already open for {', '.join(shared)} ({other.status}).",
                f"It was declared {when(other.declared_at)} by {other.declared_by}."
                + (f" It was cut off in {cut_off.name}." if cut_off is not None else ""),
                f"incidentctl run --join {other.incident_id} DESCRIPTION adds what you see to it, and goes on with it; "
                "--service narrows a new one to other services",
            )


@contextlib.contextmanager
def at_work(desk: Desk) -> Iterator[Event]:
    """Hold the incident to act on its hosts; what was cut off before us is asked of them first. Give the `locked` event.

    Raise LockedError if somebody else is at work on it, RecordError if the record or its disk fails: that ends all acts.
    """
    try:
        with desk.record.hold(desk.incident_id, desk.actor, desk.take_over) as locked:
            if former := locked.data.get("taken_from"):
                told = f"taken over from process {former['pid']} on {former['host']}, held since {when(former['at'])}"
                desk.note("note", text=f"{told} by {former['actor']}")
            incident = desk.incident()
            cut_off = incidents.interrupted(incident)
            if incident.status not in incidents.ENDED and (cut_off is not None or "cut_off" in locked.data):
                desk.note("resumed", phase=cut_off.name if cut_off is not None else "what came between two phases")
                _settle(desk, ask_hosts(desk))
            yield locked
    except KeyboardInterrupt as stopped:
        raise stopped if stopped.args else Interrupted("the middle") from None
    except RecordError as error:
        raise _without_record(desk.incident_id, error.what, error.why, error.fix) from error
    except OSError as error:
        fix = way_out(error)
        if not fix:
            raise
        what = f"{error.filename or desk.folder} cannot be written"
        raise _without_record(desk.incident_id, what, error.strerror, fix) from error


def _settle(desk: Desk, outcome: Outcome) -> None:
    """End what was cut off beside the order of an incident, for nobody runs it again: once all its hosts told what came of it."""
    told = {row.host for row in outcome.rows if ledgers.answered(row)}
    for phase in incidents.all_interrupted(desk.incident()):
        if phase.name not in incidents.IN_ORDER and told.issuperset(phase.hosts):
            desk.note("step_finished", phase=phase.name, outcome="unknown")


def _without_record(incident_id: str, what: str, why: str | None, fix: str) -> RecordError:
    later = f"then incidentctl resume {incident_id} asks the hosts, and goes on."
    at_once = f"Until then, incidentctl lift {incident_id} takes back what was contained"
    return RecordError(what, why or "", f"{fix}; {later} {at_once}")


def drive(desk: Desk) -> Incident:
    """Take the incident from where it stands to its end, or to where a person must decide.

    Raise DecisionAwaited, NotRecovered, Partial, RefusedError, Interrupted; the record is true in each case. Who responds is
    told what is waited for, for whoever was here has left it open.
    """
    try:
        return _drive(desk)
    except (DecisionAwaited, NotRecovered, Partial, PlanChangedError, RefusedError):
        _tell_what_is_left(desk)
        raise
    except KeyboardInterrupt:
        if stopping.terminated():  # whoever pressed Ctrl-C knows
            desk.note("note", text=f"{desk.actor} was told to end (SIGTERM)")
            _tell_what_is_left(desk)
        raise
    finally:
        _note_if_unseen(desk)


def _tell_what_is_left(desk: Desk) -> None:
    incident = desk.incident()
    if incident.status not in incidents.ENDED and incident.drill is None:  # a drill answers by itself
        tell(desk, "awaited")
        notify.wait()


def _note_if_unseen(desk: Desk) -> None:
    """A terminal or a reader that went away ends nothing (docs/decisions/0055); who looks at the record learns of it."""
    if stopping.unseen():
        with contextlib.suppress(RecordError):  # it is told by what it broke
            desk.note(
                "note", text=f"nobody sees any more what this tells {desk.actor}: the terminal, or a pipe, is gone"
            )


def _drive(desk: Desk) -> Incident:
    with at_work(desk) as locked:
        desk, before = replace(desk, since=locked.seq), desk.incident()
        if before.status == "closed" and "cut_off" in locked.data:
            recovery.leave(desk)
            notify.wait()
            return before
        if before.status in incidents.ENDED:
            raise UsageError(f"{desk.incident_id} is {before.status}.", fix=f"incidentctl reopen {desk.incident_id}")
        decision.decide_again(desk)
        tell(desk, "declared")
        with notify.attended(desk.record, desk.incident_id, desk.settings):
            if phase_done(before, "triage") and before.status != "resolved":
                investigation.collect_again(desk)
            for name, act in PHASES:
                if _needed(name, desk.incident()):
                    desk.hear()
                    act(desk)
                _note_if_unseen(desk)
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
    evidence = {row["host"]: row for row in _rows(incident) if row["capability"] == CAPABILITY}  # the last word counts
    return [
        f"{row['host']}: {row['capability']} {row['outcome']}: {row.get('reason', '')}"
        for phase, rows in (incident.outcomes or {}).items()
        for row in rows
        if row["outcome"] not in SUCCESS
        and not (phase == "triage" and row["capability"] == "health_check" and row["facts"])
        and not (phase == "lift_only" and _is_lifted(incident, row["host"]))
        and (row["capability"] != CAPABILITY or row is evidence[row["host"]])
    ]


def _rows(incident: Incident) -> Iterator[Data]:
    return (row for rows in (incident.outcomes or {}).values() for row in rows)


def _is_lifted(incident: Incident, host: str) -> bool:
    """Say whether all was taken back on a host after what was to be taken back alone."""
    lifts = [phase.name for phase in incident.phases if phase.name in ("lift", "lift_only") and host in phase.hosts]
    rows = [row for row in incident.outcomes.get("lift", ()) if row["host"] == host]
    return lifts[-1:] == ["lift"] and bool(rows) and all(row["outcome"] in SUCCESS for row in rows)
