"""Record events → Incident state. Pure: no disk, no clock, no network (docs/contracts.md, 5)."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from incidentctl import event_data
from incidentctl.errors import UsageError

SEVERITIES = ("critical", "high", "medium", "low")
SEVERITY_ALIASES = {
    alias: name for number, name in enumerate(SEVERITIES, start=1) for alias in (f"sev{number}", f"p{number}")
}
ENDED = ("closed", "cancelled")
BEFORE_DECISION = ("triage", "contain", "diagnose", "assess", "decide")
IN_ORDER = (*BEFORE_DECISION, "recover", "verify", "lift", "monitor")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_ID = re.compile(rf"INC-[0-9]{{8}}-[0-9]{{4}}-[{_BASE32}]{{4}}")

Data = event_data.Data
Changes = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One row of the record; `at` is ISO 8601 in UTC with milliseconds."""

    incident_id: str
    seq: int
    at: str
    actor: str
    kind: str
    data: dict[str, Any]
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class Phase:
    """One run of a phase; `state` is done, running or interrupted (begun, and nobody is at it any more)."""

    name: str
    state: str
    started_at: str
    finished_at: str | None = None
    seconds: float | None = None
    outcome: str | None = None
    capabilities: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Milestones:
    """Seconds from the declaration: `detected` lies before it; None where it has not come to that, or is not known."""

    detected: float | None = None
    acknowledged: float | None = None
    contained: float | None = None
    resolved: float | None = None


@dataclass(frozen=True)
class Incident:
    """What an incident's events add up to. `phases` are the runs since it was last (re)opened, in order."""

    incident_id: str
    declared_at: str
    declared_by: str
    title: str = ""
    drill: str | None = None  # the name of the drill that it is; None for what really happened
    drill_told: bool = False  # people are told of the drill, too
    drilled: Data | None = None  # how it was scored
    severity: str = ""
    status: str = "investigating"
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    resolved_at: str | None = None
    closed_at: str | None = None
    left_contained: str | None = None  # why it was closed although something is still contained
    services: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    user_facing: tuple[str, ...] = ()  # services in scope whose users are told
    integrations: Data = field(default_factory=dict)  # service in scope → names of the partners that notice
    phases: tuple[Phase, ...] = ()
    outcomes: Mapping[str, tuple[Data, ...]] = field(default_factory=dict)
    options: tuple[Data, ...] = ()
    question: Data | None = None
    decision: Data | None = None
    plans: Mapping[str, Data] = field(default_factory=dict)  # option → what it would do on the hosts (approval.py)
    approvals: tuple[Data, ...] = ()
    overrides: tuple[Data, ...] = ()  # guards, with the targets for which they do not count until these are lifted
    contained: tuple[Data, ...] = ()
    evidence: tuple[Data, ...] = ()
    measured: tuple[Data, ...] = ()  # files of what Prometheus gave around the onset, and what it did not give
    notes: tuple[Data, ...] = ()
    tickets: tuple[Data, ...] = ()
    notified: tuple[Data, ...] = ()
    follow_ups: tuple[Data, ...] = ()
    verified: Data | None = None
    onset: Data | None = None  # when it began, and who says so, by the newest diagnosis
    judged: Data | None = None  # causes, impact and the suggested severity, as the newest diagnosis had them
    monitoring: Mapping[str, Data] = field(default_factory=dict)  # phase → what Prometheus and Alertmanager said then
    holder: Data | None = None
    milestones: Milestones = Milestones()


def fold(events: Sequence[Event]) -> Incident:
    """Given all events of one incident in order, return its state. Raise UsageError if there are none."""
    if not events:
        raise UsageError("This incident has no events", fix="incidentctl status lists those there are")
    first = events[0]
    incident = Incident(first.incident_id, declared_at=first.at, declared_by=first.actor)
    # Of these there are as many as hosts: one whole state for each would take time that grows with their square.
    outcomes: dict[str, event_data.Rows] = {}
    contained: event_data.Rows = {}
    for event in events:
        if event.kind == "host_outcome":  # a retry names only some of the hosts
            event_data.renew(
                outcomes.setdefault(str(event.data.get("phase", "")), {}), event.data, ("host", "capability")
            )
        elif event.kind in _CONTAINMENT:
            gone = event.kind == "containment_lifted"
            event_data.renew(contained, event.data, ("host", "entry"), gone)
        elif event.kind in KINDS:
            outcomes = {} if event.kind == "reopened" else outcomes
            incident = replace(incident, **_CHANGES[event.kind](incident, event))
    latest = {phase: tuple(rows.values()) for phase, rows in outcomes.items()}
    incident = replace(incident, outcomes=latest, contained=tuple(contained.values()))
    # A phase that nobody holds the lock for is not running any more, whatever the last event was.
    return incident if incident.holder else left(incident)


def left(incident: Incident) -> Incident:
    """Return the incident as one that nobody is at work on."""
    return replace(incident, holder=None, phases=_interrupt(incident.phases))


def phase_done(incident: Incident, name: str) -> bool:
    """Say whether the last run of this phase came to its end (whatever its outcome)."""
    runs = [phase for phase in incident.phases if phase.name == name]
    return bool(runs) and runs[-1].state == "done"


def all_interrupted(incident: Incident) -> tuple[Phase, ...]:
    """Return the phases whose last run was begun and never finished, in order; what they did is unknown."""
    last = {phase.name: phase for phase in incident.phases}
    return tuple(phase for phase in incident.phases if phase is last[phase.name] and phase.state == "interrupted")


def interrupted(incident: Incident) -> Phase | None:
    """Return the newest of these."""
    found = all_interrupted(incident)
    return found[-1] if found else None


def new_incident_id(now: datetime) -> str:
    """Given an aware time, return INC-YYYYMMDD-HHMM-xxxx in UTC, the last four at random."""
    tail = "".join(secrets.choice(_BASE32) for _ in range(4))
    return f"INC-{now.astimezone(UTC):%Y%m%d-%H%M}-{tail}"


def is_id(text: str) -> bool:
    """Say whether this is a whole incident id, as `new_incident_id` makes them."""
    return _ID.fullmatch(text) is not None


def parse_severity(text: str, names: Iterable[str]) -> str:
    """Given what a person typed, return one of `names`: by name, or sev1/p1 … sev4/p4, in any case.

    Raise UsageError naming the nearest one.
    """
    known = list(names)
    word = text.strip().lower()
    found = SEVERITY_ALIASES.get(word, word)
    if found in known:
        return found
    near = difflib.get_close_matches(word, [*known, *SEVERITY_ALIASES], n=1, cutoff=0.5)
    why = f"The severities are {', '.join(known)} (or sev1 … sev4, p1 … p4)"
    fix = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"There is no severity {text!r}", why, f"{fix}When unsure take the higher one")


def _declared(_incident: Incident, event: Event) -> Changes:
    data = event.data
    return {
        "title": str(data.get("title") or data.get("description") or ""),
        "severity": str(data.get("severity") or ""),
        "drill": str(data["drill"]) if data.get("drill") else None,
        "drill_told": data.get("drill_told") is True,
        **{name: event_data.texts(data.get(name)) for name in ("services", "affected", "hosts", "user_facing")},
        "integrations": data["integrations"] if isinstance(data.get("integrations"), dict) else {},
        "declared_at": event.at,
        "declared_by": event.actor,
        "milestones": Milestones(detected=event_data.seconds_between(event.at, data.get("detected_at"))),
    }


def _acknowledged(incident: Incident, event: Event) -> Changes:
    if incident.acknowledged_at is not None:  # the first one counts
        return {}
    reached = _milestone(incident, event, "acknowledged")
    return {"acknowledged_at": event.at, "acknowledged_by": event.actor, **reached}


def _reopened(_incident: Incident, _event: Event) -> Changes:
    """Begin anew: what was done before stays in the events, and its containments stay open."""
    empty = dict.fromkeys(("resolved_at", "closed_at", "left_contained", "question", "decision", "verified"))
    lists = dict.fromkeys(("phases", "options", "approvals", "overrides"), ())
    return {"status": "investigating", "plans": {}, **empty, **lists}


def _step_started(incident: Incident, event: Event) -> Changes:
    capabilities, hosts = event_data.texts(event.data.get("capabilities")), event_data.texts(event.data.get("hosts"))
    name = str(event.data.get("phase", ""))
    phase = Phase(name, "running", event.at, capabilities=capabilities, hosts=hosts)
    every = tuple(dict.fromkeys((*incident.hosts, *hosts)))
    status = "monitoring" if name == "monitor" else incident.status
    overrides = () if "lift" in capabilities else incident.overrides
    return {"phases": (*_interrupt(incident.phases), phase), "hosts": every, "status": status, "overrides": overrides}


def _step_finished(incident: Incident, event: Event) -> Changes:
    name, outcome = event.data.get("phase"), event.data.get("outcome")
    changes: Changes = {}
    number = max((n for n, phase in enumerate(incident.phases) if phase.name == name), default=None)
    if number is not None and incident.phases[number].state != "done":
        begun, how = incident.phases[number], None if outcome is None else str(outcome)
        # When one ended that was cut off, nobody knows: only when its hosts had told what came of it.
        seconds = event_data.took(begun.started_at, event.at) if begun.state == "running" else None
        done = replace(begun, state="done", finished_at=event.at, seconds=seconds, outcome=how)
        changes["phases"] = (*incident.phases[:number], done, *incident.phases[number + 1 :])
    if "affected" in event.data:
        joined = [
            name for note in incident.notes for name in event_data.texts(note.get("affected"))
        ]  # maybe while it went on
        changes["affected"] = _and(event_data.texts(event.data["affected"]), joined)
    if isinstance(event.data.get("monitoring"), dict):
        changes["monitoring"] = {**incident.monitoring, str(name): event.data["monitoring"]}
    if isinstance(event.data.get("verified"), dict):  # after the lift: with its users back, it is the last word
        changes["verified"] = {**(incident.verified or _row(event)), **event.data["verified"]}
    for key in ("judged", "onset"):
        if isinstance(event.data.get(key), dict):
            changes[key] = event.data[key]
    if name == "contain" and outcome in ("done", "unchanged", "refused") and incident.milestones.contained is None:
        changes |= _milestone(incident, event, "contained")
    return changes


def _evidence_collected(incident: Incident, event: Event) -> Changes:
    if isinstance(measured := event.data.get("measured"), dict):
        return {"measured": (*incident.measured, {**measured, "at": event.at})}
    rest = {key: value for key, value in event.data.items() if key != "files"}
    return {"evidence": (*incident.evidence, *({**rest, **row} for row in event_data.rows(event.data.get("files"))))}


def _verified(incident: Incident, event: Event) -> Changes:
    well = incident.status in ("investigating", "identified") and event.data.get("recovered") is not False
    return {"verified": _row(event), "status": "monitoring" if well else incident.status}


def _decided(incident: Incident, event: Event) -> Changes:
    """Whatever follows a decision begins anew with it: a second choice is carried out like the first.

    What was cut off beside the order stays so until its hosts have answered.
    """
    kept = tuple(
        phase
        for phase in incident.phases
        if phase.name in BEFORE_DECISION or (phase.name not in IN_ORDER and phase.state != "done")
    )
    fresh = {"question": None, "verified": None, "phases": kept}
    return {**fresh, "decision": _row(event), "status": "identified"}


def _noted(incident: Incident, event: Event) -> Changes:
    """Who joins may name services that are affected though their health check does not say so."""
    named = event_data.texts(event.data.get("affected"))
    return {"notes": (*incident.notes, _row(event)), "affected": _and(incident.affected, named)}


def _and(affected: tuple[str, ...], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({*affected, *more})) if more else affected


def _unlocked(incident: Incident, event: Event) -> Changes:
    held = incident.holder or {}
    if any(held.get(key) != event.data.get(key) for key in ("pid", "host")):
        return {}  # somebody else took the lock over meanwhile
    return {"holder": None, "phases": _interrupt(incident.phases)}


def _milestone(incident: Incident, event: Event, name: str) -> Changes:
    return {"milestones": replace(incident.milestones, **{name: event_data.took(incident.declared_at, event.at)})}


def _row(event: Event) -> Data:
    return {**event.data, "seq": event.seq, "at": event.at, "actor": event.actor}


def _listed(field_name: str) -> Callable[[Incident, Event], Changes]:
    return lambda incident, event: {field_name: (*getattr(incident, field_name), _row(event))}


_CHANGES: dict[str, Callable[[Incident, Event], Changes]] = {
    "declared": _declared,
    "acknowledged": _acknowledged,
    "severity_changed": lambda i, e: {"severity": str(e.data.get("severity", i.severity))},
    "cancelled": lambda _i, e: {"status": "cancelled", "closed_at": e.at, "question": None},
    "reopened": _reopened,
    "step_started": _step_started,
    "step_finished": _step_finished,
    "options_assessed": lambda _i, e: {"options": event_data.rows(e.data.get("options")), "status": "identified"},
    "planned": lambda _i, e: {"plans": e.data["plans"] if isinstance(e.data.get("plans"), dict) else {}},
    "question_asked": lambda _i, e: {"question": _row(e), "decision": None},
    "decided": _decided,
    "approved": _listed("approvals"),
    "overridden": _listed("overrides"),
    "notified": _listed("notified"),
    "ticketed": _listed("tickets"),
    "note": _noted,
    "evidence_collected": _evidence_collected,
    "verified": _verified,
    "resolved": lambda i, e: {"status": "resolved", "resolved_at": e.at, **_milestone(i, e, "resolved")},
    "drilled": lambda _i, e: {"drilled": _row(e)},
    "follow_up": _listed("follow_ups"),
    "closed": lambda _i, e: {"status": "closed", "closed_at": e.at, "left_contained": e.data.get("left_contained")},
    "resumed": lambda i, _e: {"phases": _interrupt(i.phases)},
    "locked": lambda i, e: {"holder": _row(e), "phases": _interrupt(i.phases)},
    "unlocked": _unlocked,
}
_CONTAINMENT = ("containment_applied", "containment_lifted")
KINDS = frozenset({*_CHANGES, "host_outcome", *_CONTAINMENT})


def _interrupt(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    if not phases or phases[-1].state != "running":
        return phases
    return (*phases[:-1], replace(phases[-1], state="interrupted"))
