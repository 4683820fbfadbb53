"""What earlier incidents say: which pattern they had, what was decided then, whether that helped, how long it took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from incidentctl.event_data import took
from incidentctl.findings import same_templates
from incidentctl.incident import Event, fold

MOST = 100  # incidents that are looked back at, the newest: each is read whole


@dataclass(frozen=True)
class Pattern:
    """By what an incident is known again: its likeliest cause. `error` is a masked template, "" where there is none."""

    kind: str
    service: str | None
    error: str = ""

    def is_like(self, other: Pattern) -> bool:
        """Say whether it is the same: kind and service, and the error where both have one."""
        if (self.kind, self.service) != (other.kind, other.service):
            return False
        errors = [self.error, other.error]
        same = same_templates(errors)
        return not all(errors) or len({same.get(error, error) for error in errors}) == 1


@dataclass(frozen=True)
class Attempt:
    """One decision; `recovered` is None where nobody saw how it ended, `seconds` runs to the verdict."""

    incident_id: str
    at: str
    option: str
    playbook: str | None
    recovered: bool | None
    seconds: float | None
    begun: bool = True  # it was carried out, not replaced before

    @property
    def way(self) -> str:
        """The option, of a custom one with its playbook."""
        return way(self.option, self.playbook)


@dataclass(frozen=True)
class Precedent:
    """One incident, told by its events. `runs` are (capability, service, seconds) of acts on a host that succeeded."""

    incident_id: str
    services: frozenset[str]  # those that were affected
    drill: bool
    pattern: Pattern | None
    attempts: tuple[Attempt, ...]
    runs: tuple[tuple[str, str, float], ...]
    backups: tuple[tuple[str, Mapping[str, Any]], ...]  # (service, what its host says of a backup of its data)


def way(option: str, playbook: str | None) -> str:
    """Name what is done: of custom playbooks each is a way of its own."""
    return f"{option} {playbook}" if playbook else option


def read(events: Sequence[Event]) -> Precedent:
    """Given all events of an incident, return what it says to a later one."""
    declared = events[0].data
    ends = [e.data for e in events if e.kind == "step_finished"]
    judged = next((data["judged"] for data in reversed(ends) if isinstance(data.get("judged"), dict)), None)
    return Precedent(
        incident_id=events[0].incident_id,
        services=frozenset(fold(events).affected),
        drill=bool(declared.get("drill")),
        pattern=pattern(judged),
        attempts=tuple(_attempts(events)),
        runs=tuple(_runs(events)),
        backups=tuple(_backups(events)),
    )


def pattern(judged: Any) -> Pattern | None:
    """Given what a diagnosis came to, return the pattern of its likeliest cause; None where there is none."""
    causes = judged.get("causes") if isinstance(judged, Mapping) else None
    if not isinstance(causes, list) or not causes or not isinstance(causes[0], Mapping):
        return None
    first = causes[0]
    about = first.get("about")
    error = about.get("error") if isinstance(about, Mapping) else None
    service = first.get("service")
    return Pattern(str(first.get("kind")), None if service is None else str(service), str(error or ""))


def _attempts(events: Sequence[Event]) -> Iterator[Attempt]:
    decided = [n for n, event in enumerate(events) if event.kind == "decided"]
    for begin, end in pairwise([*decided, len(events)]):
        event, after = events[begin], events[begin:end]
        verdict, playbook = _verdict(after), event.data.get("playbook")
        yield Attempt(
            incident_id=event.incident_id,
            at=event.at,
            option=str(event.data.get("option")),
            playbook=None if playbook is None else str(playbook),
            recovered=None if verdict is None else verdict[0],
            seconds=None if verdict is None else took(event.at, verdict[1]),
            begun=any(each.kind == "step_started" and each.data.get("phase") == "recover" for each in after),
        )


def _verdict(events: Iterable[Event]) -> tuple[bool, str] | None:
    """Return what was seen of one decision, and when: the first verdict, unless it fell ill again after the lift.

    Of a drill its score knows better: what it broke, and whether that was well before it was taken back.
    """
    found: tuple[bool, str] | None = None
    for event in events:
        failed = event.data.get("outcome") == "failed"
        if event.kind == "verified" and found is None:
            found = event.data.get("recovered") is True, event.at
        elif event.kind == "step_finished" and event.data.get("phase") in ("recover", "monitor") and failed:
            found = False, event.at
        elif event.kind == "drilled":
            found = event.data.get("recovered") is True, found[1] if found else event.at
    return found


def _runs(events: Iterable[Event]) -> Iterator[tuple[str, str, float]]:
    for event, name, facts in _said(events, ("rollback", "hotfix")):
        seconds = facts.get("seconds") if isinstance(facts, Mapping) else None
        if event.data.get("outcome") == "done" and isinstance(seconds, (int, float)) and seconds >= 0:
            yield str(event.data["capability"]), name, float(seconds)


def _backups(events: Iterable[Event]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for event, name, facts in _said(events, ("backup",)):
        for row in facts if isinstance(facts, list) else ():
            if isinstance(row, Mapping):
                yield name, {**row, "host": event.data.get("host")}


def _said(events: Iterable[Event], capabilities: Sequence[str]) -> Iterator[tuple[Event, str, Any]]:
    """Give what hosts said of each service in these capabilities."""
    for event in events:
        if event.kind == "host_outcome" and event.data.get("capability") in capabilities:
            facts = event.data.get("facts")
            services = facts.get("services") if isinstance(facts, Mapping) else None
            for name, told in services.items() if isinstance(services, Mapping) else ():
                yield event, str(name), told


def alike(there: Iterable[Precedent], mine: Pattern | None) -> tuple[Attempt, ...]:
    """Return what was done about the same pattern, drills apart, the newest first: only what ended one way or the other."""
    if mine is None:
        return ()
    found = [
        attempt
        for past in there
        if not past.drill and past.pattern is not None and mine.is_like(past.pattern)
        for attempt in past.attempts
        if attempt.recovered is not None
    ]
    return tuple(sorted(found, key=lambda attempt: (attempt.at, attempt.incident_id), reverse=True))


def drills(there: Iterable[Precedent], affected: Iterable[str], mine: Pattern | None) -> tuple[Attempt, ...]:
    """Return what drills of one of these services, with a likeliest cause of the same kind, tried, as `alike` does."""
    if mine is None:
        return ()
    services = frozenset(affected)
    found = [
        attempt
        for past in there
        if past.drill and past.services & services and past.pattern is not None and past.pattern.kind == mine.kind
        for attempt in past.attempts
        if attempt.recovered is not None
    ]
    return tuple(sorted(found, key=lambda attempt: (attempt.at, attempt.incident_id), reverse=True))
