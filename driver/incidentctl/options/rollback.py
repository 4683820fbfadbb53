"""Option A: back to the release before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incidentctl.event_data import seconds_between
from incidentctl.options import points
from incidentctl.options.facts import Fact, Option, Situation, Way, impossible
from incidentctl.options.figures import at_risk_by_schema, downtime, operations, schema_state
from incidentctl.options.weighing import common, confidence, told, touching
from incidentctl.options.words import span

TITLE = "Roll back the release"


def rollback(situation: Situation) -> Way:
    """Weigh it: possible where prepare_rollback found a release to go back to, for one affected service at least."""
    ready = {
        name: facts
        for name, facts in sorted(situation.rollback.items())
        if name in situation.affected and facts.get("feasible")
    }
    if not ready:
        return impossible("rollback", "A", TITLE, _why_not(situation))
    touches = touching("rollback", ready)
    facts = (*_of_the_release(situation, ready), *common(situation, "rollback", "a rollback", touches))
    time, its_source = downtime(situation, "rollback", ready, f"{span(situation.within_s)} (default)")
    data, sources = at_risk_by_schema(situation, ready)
    steps = tuple(
        f"{name}: release {f.get('from')} → {_destination(f)}, restart, see health hold" for name, f in ready.items()
    )
    because = (*told(facts), its_source, *sources)
    option = Option("rollback", "A", TITLE, True, time, data, confidence(facts), because, steps)
    return Way(option, facts, "rollback" not in situation.tried)


def _of_the_release(situation: Situation, ready: Mapping[str, Mapping[str, Any]]) -> Iterator[Fact]:
    """Give one fact of each sort: of several services, that of the one for which it is the worst."""
    for about in (_onset, _errors, _rehearsal, _schema):
        yield min(
            (about(situation, name, facts) for name, facts in ready.items()), key=lambda fact: (fact.points, fact.text)
        )
    if missing := sorted(set(situation.affected) - set(ready)):
        yield Fact(points.NOT_ALL, f"it does not help {', '.join(missing)}: no release to go back to")


def _onset(situation: Situation, name: str, facts: Mapping[str, Any]) -> Fact:
    release = f"release {facts.get('from')} of {name}"
    gap = seconds_between(facts.get("deployed_at"), situation.onset.get(name))
    if gap is None:
        return Fact(0, f"it is not known whether {release} or something else came before the onset")
    if gap < -points.SLACK_S:
        return Fact(points.AFTER, f"{release} came {span(-gap)} after the onset")
    if gap > points.JUST_BEFORE_S:
        return Fact(points.LONG_BEFORE, f"{release} came {span(gap)} before the onset")
    return Fact(points.JUST_BEFORE, f"{release} came {span(max(gap, 0))} before the onset", telling=True)


def _errors(situation: Situation, name: str, _facts: Mapping[str, Any]) -> Fact:
    errors = situation.new_errors.get(name)
    if errors is None:
        return Fact(0, f"it is not known whether errors of {name} are new since its release")
    if errors.kinds == 0:
        return Fact(points.NO_NEW_ERRORS, f"no error of {name} is new since its release")
    what, are = ("error", "is") if errors.kinds == 1 else ("kinds of errors", "are")
    text = f"{errors.kinds} {what} of {name}, in {errors.lines} lines, {are} new since its release"
    return Fact(points.NEW_ERRORS, text)


def _rehearsal(_situation: Situation, name: str, facts: Mapping[str, Any]) -> Fact:
    if facts.get("rehearsed"):
        return Fact(points.REHEARSED, f"the switch of {name} was rehearsed")
    return Fact(points.NOT_REHEARSED, f"the switch of {name} was not rehearsed")


def _schema(_situation: Situation, name: str, facts: Mapping[str, Any]) -> Fact:
    """What lies between the migrations of the releases, weighed by whether the older one can run on the schema."""
    state, reason = schema_state(facts)
    return Fact(
        points.SCHEMA[state],
        {
            "none": f"no schema migration of {name} lies in between",
            "compatible": f"the schema of {name} changed, and the older release can run on it{operations(facts)}",
            "breaking": f"the older release of {name} may not run on the schema: {reason}",
            "unknown": f"ask: it is not known whether the older release of {name} can run on the schema: {reason}",
        }[state],
    )


def _destination(facts: Mapping[str, Any]) -> str:
    """Where it goes back to, and why there; of a service's own command only the latter is known."""
    to, why = facts.get("to"), facts.get("why")
    return f"{to} ({why})" if to and why else str(to or why or "unknown")


def _why_not(situation: Situation) -> str:
    if not situation.affected:
        return "no affected service is known"
    reasons = []
    for name in situation.affected:
        facts = situation.rollback.get(name, {})
        if facts.get("reason"):
            reasons.append(f"{name}: {facts['reason']}")
        elif "releases" not in situation.specs.get(name, {}):
            reasons.append(f"{name}: the catalogue names no releases")
        else:
            reasons.append(f"{name}: not rehearsed, so it is unknown which release to go back to")
    return "; ".join(reasons)
