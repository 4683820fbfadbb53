"""How an incident that is a drill went, held against the truth: cause, recommendation, recovery, times. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from incidentctl import event_data
from incidentctl.drills import Drill, Right
from incidentctl.incident import Data, Event, Incident, fold
from incidentctl.text import plain

TOP = 3  # a cause further down is not read at 3 a.m.


@dataclass(frozen=True)
class Score:
    """How one drill went. Seconds are from the declaration on; None where it did not come to that.

    `result` is recovered (by the recommended option, the cause among the first three), partly (recovered, but not so), or not.
    """

    drill: str
    incident_id: str | None
    rank: int | None  # of the first right cause, from 1
    causes: tuple[str, ...]  # the first three, in words
    option: str | None  # what was recommended, and with custom which playbook
    recovered: bool
    verdict: str | None  # what the verification said
    diagnosed_s: float | None
    asked_s: float | None
    recovered_s: float | None
    problem: str = ""  # why it was not recovered, or could not be measured

    @property
    def named(self) -> bool:
        """Whether the right cause is among those that are read."""
        return self.rank is not None and self.rank <= TOP

    @property
    def result(self) -> str:
        """In one word."""
        if not self.recovered:
            return "not"
        return "recovered" if self.named else "partly"


def score(name: str, drill: Drill, events: Sequence[Event], served: bool, problem: str) -> Score:
    """Given all events of the drill's incident, and whether all was well before the fault was taken back, score it."""
    incident = fold(events)
    causes = causes_of(incident)
    recovered = served and _carried_out(incident)
    return Score(
        name,
        incident.incident_id,
        rank(causes, drill.right),
        tuple(str(cause.get("title")) for cause in causes[:TOP]),
        chosen(incident, events),
        recovered,
        _verdict(incident),
        _until(incident, (event for event in events if _finished(event, "diagnose"))),
        _until(incident, (event for event in events if event.kind == "question_asked")),
        _until(incident, reversed(_well(events))) if recovered else None,
        "" if recovered else problem or _why_not(incident, events, served),
    )


def unmeasured(name: str, problem: str) -> Score:
    """Return the score of a drill that did not come to an incident."""
    return Score(name, None, None, (), None, False, None, None, None, None, f"not measured: {problem}")


def rank(causes: Iterable[Data], right: Sequence[Right]) -> int | None:
    """Return the place of the first right cause, from 1; None if there is none."""
    return next((place for place, cause in enumerate(causes, 1) if is_right(cause, right)), None)


def is_right(cause: Data, right: Iterable[Right]) -> bool:
    """Say whether a person who knows the truth would call this the cause."""
    text = f"{cause.get('title')} {json.dumps(cause.get('about'))}"
    return any(
        set(one.hosts) <= set(cause.get("hosts", ()))
        and cause.get("kind") in one.kinds
        and all(re.search(pattern, text, re.IGNORECASE) for pattern in one.says)
        for one in right
    )


def causes_of(incident: Incident) -> list[Data]:
    """Return the causes as the newest diagnosis ranked them."""
    return list(event_data.rows((incident.judged or {}).get("causes")))


def recommended(incident: Incident) -> Data | None:
    """Return the option that is recommended now."""
    return next((option for option in incident.options if option.get("recommended")), None)


def chosen(incident: Incident, events: Sequence[Event]) -> str | None:
    """Return what was decided, in words; what was recommended, where nothing was decided.

    What failed is no decision of the incident any more, and another option may be recommended by then.
    """
    option = next((event.data for event in events if event.kind == "decided"), None) or recommended(incident)
    if option is None:
        return None
    key, playbook = option.get("option") or option.get("key"), option.get("playbook")
    return f"{key} ({playbook})" if playbook else str(key)


def in_words(one: Score) -> str:
    """Return how a drill went, for a person."""
    words = {"recovered": "recovered by", "partly": "recovered by", "not": "NOT recovered by"}
    lines = [f"{one.drill}: {words[one.result]} {one.option or 'anything: nothing was recommended'}"]
    lines.append(f"  cause: {_place(one)}" + "".join(f"\n    {n}. {text}" for n, text in enumerate(one.causes, 1)))
    lines.append(
        f"  diagnosed after {_span(one.diagnosed_s)}, asked {_span(one.asked_s)}, well {_span(one.recovered_s)}"
    )
    return "\n".join([*lines, *([f"  why not: {one.problem}"] if one.problem else [])])


def table(scores: Sequence[Score]) -> str:
    """Return a table of how drills went, in Markdown, and what they come to."""
    header = ("drill", "result", "cause", "option", "diagnosed", "asked", "well", "why not")
    rows = [header, tuple("---" for _ in header)]
    for one in scores:
        spans = (_span(seconds) for seconds in (one.diagnosed_s, one.asked_s, one.recovered_s))
        rows.append(
            (one.drill, one.result, _place(one), one.option or "none", *spans, plain(one.problem).replace("|", "/"))
        )
    named, recovered = sum(one.named for one in scores), sum(one.recovered for one in scores)
    end = f"Cause among the first {TOP}: {named} of {len(scores)}. Recovered by the recommended option: {recovered}."
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", end])


def _place(one: Score) -> str:
    return "not named" if one.rank is None else f"place {one.rank}"


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f} s"


def _carried_out(incident: Incident) -> bool:
    """What ended by itself was not recovered by us."""
    return any(phase.name == "recover" and phase.outcome in ("done", "unchanged") for phase in incident.phases)


def _verdict(incident: Incident) -> str | None:
    if incident.verified is None:
        return None
    told = incident.verified.get("verdict")
    return str(told) if told else "recovered" if incident.verified.get("recovered") else "not recovered"


def _why_not(incident: Incident, events: Sequence[Event], served: bool) -> str:
    if chosen(incident, events) is None:
        return "no option was recommended"
    return "it was healthy again without the option" if served else "it was not well after the option"


def _finished(event: Event, phase: str) -> bool:
    return event.kind == "step_finished" and event.data.get("phase") == phase


def _well(events: Sequence[Event]) -> list[Event]:
    """The events by which the response says that it is well; after a mitigation it looks no further."""
    seen = [event for event in events if event.kind == "verified" and event.data.get("recovered") is True]
    return seen or [event for event in events if _finished(event, "recover")]


def _until(incident: Incident, events: Iterable[Event]) -> float | None:
    """Seconds from the declaration to the first of these events; None if there is none."""
    first = next(iter(events), None)
    return None if first is None else event_data.took(incident.declared_at, first.at)
