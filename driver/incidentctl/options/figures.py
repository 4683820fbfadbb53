"""Downtime and data at risk: each figure with the fact it was made from, or `unknown`. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl.event_data import texts
from incidentctl.options import backups, points
from incidentctl.options.backups import Backup
from incidentctl.options.facts import Situation
from incidentctl.options.words import span

Figure = tuple[str, str]  # the figure, and where it comes from
Risk = tuple[str, tuple[str, ...]]

_ITEMS = 4  # of the data that are told one by one


def downtime(situation: Situation, way: str, services: Iterable[str], default: str | None = None) -> Figure:
    """Return the median and worst of these services' own past runs, of the slowest of them; else the default."""
    names = tuple(services)
    runs = {name: found for name in names if (found := situation.past.get(way, {}).get(name))}
    missing = [name for name in names if name not in runs]
    if not runs:
        if default is None:
            return "unknown", "downtime: unknown, for there was no past run"
        return (
            default,
            f"downtime: a default, for there was no past run of {', '.join(missing)}: verify.within is the limit",
        )
    slowest = max(runs, key=lambda name: (statistics.median(runs[name]), name))
    count = sum(len(found) for found in runs.values())
    text = f"{span(statistics.median(runs[slowest]))} (worst {span(max(max(found) for found in runs.values()))})"
    none = f"; none of {', '.join(missing)}" if missing else ""
    return text, f"downtime: median and worst of {count} past run(s) of {', '.join(sorted(runs))}{none}"


def schema_state(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state of the schema and why; whatever is not said, or in words that are not known, is unknown."""
    schema = _schema(facts)
    state = str(schema.get("state"))
    reason = schema.get("reason") or facts.get("migrations_reason") or "nothing is known of its migrations"
    return (state if state in points.SCHEMA else "unknown"), str(reason)


def operations(facts: Mapping[str, Any]) -> str:
    """Return what the migrations do, the first few."""
    found = texts(_schema(facts).get("operations"))
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f": {', '.join(found[:3])}{more}" if found else ""


def _schema(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = facts.get("schema")
    return schema if isinstance(schema, Mapping) else {}


def at_risk_by_schema(situation: Situation, ready: Mapping[str, Mapping[str, Any]]) -> Risk:
    """Return what a rollback puts at risk: the data stays, but the older release may break it or not run on it."""
    states = {name: schema_state(facts) for name, facts in ready.items()}
    risky = [name for name, (state, _why) in states.items() if state in ("breaking", "unknown")]
    unseen = [name for name, (state, _why) in states.items() if state == "compatible"]
    figure, sources = since_backup(situation, risky or ready)
    if risky:
        why = "; ".join(f"{name}: {states[name][1]}" for name in risky)
        return figure, (*sources, f"data: the schema is at risk, {why}")
    if unseen:
        what = ", ".join(f"{name}{operations(ready[name])}" for name in unseen)
        return "none lost: new data stays, unseen", (f"data: the schema changed for {what}", *sources)
    return "none: the data stays", ("data: no schema migration between the releases", *sources)


def since_backup(situation: Situation, services: Iterable[str]) -> Risk:
    """Return what is in no verified backup: how much was written to the data of these services since, with each item."""
    found: dict[str, Backup] = {}
    for name in sorted(services):
        mine = backups.newest(situation.backups.get(name, ()))
        verified = [one for one in mine.values() if backups.figure([one]) != backups.NONE]
        items = max(len(situation.specs.get(name, {}).get("data") or ()), len(mine), 1)
        if len(verified) < items:
            lacking = f"data: {len(verified)} of {items} data item(s) of {name} in a verified backup"
            return backups.NONE, (lacking, *_lines(mine.values()))
        found = backups.newest([*found.values(), *verified])  # one that two services share is one
    if not found:
        return backups.NONE, ("data: no affected service is known",)
    return backups.figure(found.values(), situation.now), _lines(found.values())


def _lines(there: Iterable[Backup]) -> tuple[str, ...]:
    ordered = sorted(there, key=lambda one: one.item)
    more = (f"data: and {len(ordered) - _ITEMS} more data items",) if len(ordered) > _ITEMS else ()
    return (*(f"data: {one}" for one in ordered[:_ITEMS]), *more)
