"""An incident as a commander is briefed: conditions, actions, needs. Pure: all of it follows from the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from incidentctl import ledgers
from incidentctl.event_data import seconds_between
from incidentctl.incident import ENDED, Data, Incident
from incidentctl.judgement import listed
from incidentctl.options import unadvised
from incidentctl.options.words import span
from incidentctl.redaction import for_people
from incidentctl.standing import standing
from incidentctl.text import plain
from incidentctl.times import when

_FEW = 4  # containments that are named, and follow-ups


@dataclass(frozen=True)
class Brief:
    """What is wrong, what was done and is being done, and what is needed from whom: lines of plain text."""

    headline: str
    conditions: tuple[str, ...]
    actions: tuple[str, ...]
    needs: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return it for --json."""
        return asdict(self)

    def text(self) -> str:
        """Return it as it is read out."""
        parts = (("Conditions", self.conditions), ("Actions", self.actions), ("Needs", self.needs))
        return "\n".join([self.headline, *(line for name, rows in parts for line in (name, *(f"  {r}" for r in rows)))])


def of(incident: Incident, now: datetime) -> Brief:
    """Given an incident and the time, return its brief: it is passed on, so it holds no secret."""
    incident = for_people(incident)
    age = seconds_between(incident.declared_at, (incident.closed_at or now.isoformat()))
    lasted = f", {span(max(age, 0.0))} after it was declared" if age is not None else ""
    ended = incident.status in ENDED
    return Brief(
        f"{incident.incident_id}  {incident.severity}  {incident.status}{lasted}: {plain(incident.title)}",
        tuple(_conditions(incident)),
        tuple(_actions(incident)),
        ("nothing",) if ended and not _open(incident) else tuple(_needs(incident)),
    )


def _conditions(incident: Incident) -> Iterator[str]:
    judged = incident.judged or {}
    impact = judged.get("impact") or {}
    hosts = f", on {listed([str(h) for h in impact['hosts']])}" if impact.get("hosts") else ""
    yield f"affected: {listed(incident.affected) or 'not known yet'}{hosts}"
    for key, what in (("user_facing", "users notice"), ("integrations", "partners notice"), ("downstream", "at risk")):
        if impact.get(key):
            yield f"{what}: {listed([str(name) for name in impact[key]])}"
    if incident.onset:
        yield plain(f"since {when(incident.onset.get('at'))}: {incident.onset.get('source')}")
    if causes := judged.get("causes"):
        yield plain(f"likeliest cause ({causes[0].get('score')} of 100): {causes[0].get('title')}")
    elif is_well := judged.get("all_well"):
        yield f"likeliest cause: none. {plain(is_well['told'], 500)}"
        yield from (f"look next at {plain(where, 500)}" for where in is_well["next"])
    else:
        yield "likeliest cause: " + ("none was found" if judged else "not looked for yet")
    if incident.verified:
        yield plain(f"after the recovery: {incident.verified.get('told') or incident.verified.get('recovered')}")


def _actions(incident: Incident) -> Iterator[str]:
    yield plain(f"acknowledged by {incident.acknowledged_by or 'nobody'}")
    done = [f"{phase.name}{_outcome(phase.outcome)}" for phase in incident.phases if phase.state == "done"]
    yield f"done: {', '.join(done) or 'nothing yet'}"
    yield from (
        f"under way: {phase.name}, since {when(phase.started_at)}"
        for phase in incident.phases
        if phase.state == "running"
    )
    if incident.decision:
        yield plain(
            f"decided: {_way(incident.decision)}, by {incident.decision['actor']} at {when(incident.decision['at'])}"
        )
    held = incident.contained
    more = f" and {len(held) - _FEW} more" if len(held) > _FEW else ""
    named = [f"{row['capability']} {row['target']} on {row['host']}{ledgers.damage(row)}" for row in held[:_FEW]]
    yield plain(f"contained: {'; '.join(named) or 'nothing'}{more}", 500)


def _needs(incident: Incident) -> Iterator[str]:
    stands = standing(incident)
    if incident.status not in ENDED:
        since = f", since {when(stands.since)}" if stands.since else ""
        yield plain(f"{stands.told}{since}")
        if stands.waits_for == "decision":
            yield from _recommended(incident)
        yield f"next: {'; or '.join(stands.next)}"
    rows = _open(incident)
    yield from (plain(f"follow-up: {row.get('text')} ({row.get('owner')})") for row in rows[:_FEW])
    if len(rows) > _FEW:
        yield f"and {len(rows) - _FEW} more follow-ups"


def _recommended(incident: Incident) -> Iterator[str]:
    best = next((option for option in incident.options if option.get("recommended")), None)
    if best is None:
        yield plain(unadvised(incident.options, incident.judged), 500)
        return
    figures = f"{best['confidence']} % sure, downtime {best['downtime']}, data at risk {best['data_at_risk']}"
    yield plain(f"recommended: {best['letter']} {best['title']}: {figures}", 500)
    if best.get("reason"):
        yield plain(f"because: {best['reason']}", 500)


def _open(incident: Incident) -> tuple[Data, ...]:
    return tuple(row for row in incident.follow_ups if row.get("text"))


def _way(decision: Data) -> str:
    return " ".join(str(decision[key]) for key in ("option", "playbook") if decision.get(key))


def _outcome(outcome: str | None) -> str:
    return f" ({outcome.replace('_', ' ')})" if outcome not in (None, "done", "unchanged", "skipped") else ""
