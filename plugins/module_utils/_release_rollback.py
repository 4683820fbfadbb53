"""One rollback: go back, see whether the service is healthy, and go forward again if it is no better."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _health,
    _ledger,
    _release_health,
    _release_history,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

_CAPABILITY = "rollback"
Told = tuple[dict[str, Any], dict[str, Any]]  # the action, and its facts


@dataclass(frozen=True)
class _Attempt:
    """What one rollback is about; `facts` grows as it goes on, `kind` knows this kind of releases."""

    service: dict[str, Any]
    kind: ModuleType
    params: dict[str, Any]
    facts: dict[str, Any]
    entry: _ledger.Entry

    @property
    def name(self) -> str:
        return self.service["name"]


def roll_back(service: dict[str, Any], kind: ModuleType, params: dict[str, Any], check_mode: bool) -> Told:
    """Go back to an earlier release of a service; `kind` is the module that knows its kind of releases.

    Once this incident rolled a service back, a second run goes no further back; one that was interrupted
    is brought to its end. Nor does a host go back from a release that others go back to. What a rehearsal
    would find in the way refuses it before anything is written or switched.
    """
    name = service["name"]
    plan = kind.plan(service, params)
    now = plan["from"]
    if _is_where_others_go(params, name, now):
        plan.update(to=now, why="others go back to it")
    facts = {"from": now, "to": plan["to"], "why": plan["why"], "forward_again": False, "seconds": None}
    facts.update(health_before=None, health_after=None)
    if "image" in plan:
        facts["image"] = plan["image"]
    try:
        entry = _led_here(params, name, now)
        if entry is not None:
            prior = entry["prior"]
            facts.update({"from": prior["release"], "to": now, "health_before": prior["health"]})
        interrupted = entry is not None and entry["state"] == "intended"
        if not interrupted and (entry is not None or (now is not None and now == plan["to"])):
            return _stay(service, now, facts)
        if not interrupted and not plan["feasible"]:
            return action(name, "refused", f"{name} cannot be rolled back: {plan['reason']}"), facts
        if not interrupted and (obstacle := _obstacle(service, kind, plan["to"], check_mode)):
            return action(name, "refused", f"{name} cannot be rolled back: {obstacle}"), facts
        if check_mode:
            return action(name, "done", _would(name, facts, interrupted)), facts
        entry = entry or _intend(service, params, facts)
        begun = {**entry["undo"]["service"], **service}  # what ran when it was begun may not run now
        return _try(_Attempt(begun, kind, params, facts, entry))
    except OSError as error:
        return action(name, "failed", f"{name}: {error}"), facts


def _obstacle(service: dict[str, Any], kind: ModuleType, to: str, check_mode: bool) -> str:
    try:
        kind.rehearse(service, to, check_mode)
    except OSError as error:
        return str(error)
    return ""


def _led_here(params: dict[str, Any], name: str, now: str | None) -> _ledger.Entry | None:
    """Return this incident's entry for the rollback that led to the release `now`, applied or interrupted."""
    entry = _ledger.latest_open(params, _CAPABILITY, name)
    if entry is None or now is None or params["to"] not in (None, "", now):
        return None
    undo = entry["undo"]
    # Where an interrupted rollback command was leading is not known, only that it left.
    return entry if undo["from"] in (now, None) and undo["to"] != now else None


def _is_where_others_go(params: dict[str, Any], name: str, now: str | None) -> bool:
    """Say whether a release is one to stay at, unless a person named another."""
    there = (params.get("stay_at") or {}).get(name) or ()
    return not params["to"] and now is not None and hashlib.sha256(now.encode()).hexdigest() in there


def _stay(service: dict[str, Any], now: str, facts: dict[str, Any]) -> Told:
    name = service["name"]
    seen = facts["health_after"] = _release_health.probe(service)
    verified = seen is not None and seen["healthy"]
    return action(
        name, "unchanged", f"{name} is at {now} already: {_release_health.figure(seen)}", verified=verified
    ), facts


def _would(name: str, facts: dict[str, Any], interrupted: bool) -> str:
    if interrupted:
        return f"{name}: the interrupted rollback to {facts['to']} would be finished"
    return f"{name} would go back from {facts['from']}" + (f" to {facts['to']}" if facts["to"] else "")


def _intend(service: dict[str, Any], params: dict[str, Any], facts: dict[str, Any]) -> _ledger.Entry:
    """Write down what is about to happen; take up what was written for the same switch and cut off, on either way.

    Then the health from before its first try counts: what is seen now may be a service that was just being restarted.
    """
    name = service["name"]
    cut_off = _ledger.latest_open(params, _CAPABILITY, name) or {"state": "none"}
    ways = {"from": facts["to"], "to": facts["from"]}
    if cut_off["state"] == "intended" and ways.items() <= cut_off["undo"].items():
        facts["health_before"] = cut_off["prior"]["health"]
        return cut_off
    facts["health_before"] = _release_health.probe(service)
    prior = {"release": facts["from"], "health": facts["health_before"]}
    # from and to as the undo goes. `keep`: lift leaves a rollback alone, it is the recovery.
    undo = {"kind": "release_switch", "keep": True, **ways}
    undo.update(service=_control.handle(service), releases=service["releases"])
    return _ledger.intend(params, _CAPABILITY, name, prior, undo)


def _try(attempt: _Attempt) -> Told:
    facts, service = attempt.facts, attempt.service
    started = time.monotonic()
    try:
        attempt.kind.go(service, facts["from"], facts["to"])
        facts["to"] = attempt.kind.current(service)
        seen, healthy_at = _release_health.verify(service, attempt.params)
        facts["seconds"] = None if healthy_at is None else round(healthy_at - started, 2)
    except OSError as error:
        seen = {"healthy": False, "status": None, "latency_ms": None, "detail": str(error)}
    facts["health_after"] = seen
    if seen is None or seen["healthy"]:
        return _succeed(attempt)
    before = facts["health_before"]
    if before is not None and _health.rank(seen) > _health.rank(before):
        return _settle_for_better(attempt)
    return _go_forward(attempt)


def _succeed(attempt: _Attempt) -> Told:
    name, facts, seen = attempt.name, attempt.facts, attempt.facts["health_after"]
    summary = f"{name} went back from {facts['from']} to {facts['to']}: {_release_health.figure(seen)}"
    try:
        _release_history.condemn(attempt.params, name, facts["from"], facts["to"])
    except OSError as error:
        summary += f"; that {facts['from']} is bad could not be noted: {error}"
    summary += _release_history.noted(attempt.params, name, facts["to"], seen)
    entry = _applied(attempt)
    summary += _ledger.caveat(entry)
    return action(name, "done", summary, entry=entry["name"], verified=seen is not None), facts


def _settle_for_better(attempt: _Attempt) -> Told:
    entry = _applied(attempt)
    summary = f"{_compared(attempt, 'is not healthy, but better')}: it stays"
    return action(attempt.name, "failed", summary, entry=entry["name"], verified=False), attempt.facts


def _go_forward(attempt: _Attempt) -> Told:
    """Return to where we came from. The entry stays open while that has not succeeded."""
    name, facts, entry = attempt.name, attempt.facts, attempt.entry
    newer = facts["from"]
    try:
        if attempt.kind.current(attempt.service) == newer:
            summary = f"{name} stays at {newer}: {facts['health_after']['detail']}"
        else:
            summary = f"{_compared(attempt, 'is no better')}: forward again to {newer}"
            attempt.kind.go_forward(attempt.service, newer)
            facts["forward_again"] = True
        _ledger.mark(entry, "lifted")
    except OSError as error:
        summary = f"{_compared(attempt, 'is no better')}, and going forward again failed: {error}"
    return action(name, "failed", summary, entry=entry["name"], verified=False), facts


def _applied(attempt: _Attempt) -> _ledger.Entry:
    undo = {**attempt.entry["undo"], "from": attempt.facts["to"]}
    return _ledger.mark({**attempt.entry, "undo": undo}, "applied")


def _compared(attempt: _Attempt, verdict: str) -> str:
    facts = attempt.facts
    after, before = _release_health.figure(facts["health_after"]), _release_health.figure(facts["health_before"])
    return f"{attempt.name}: release {facts['to']} {verdict} ({after}) than {facts['from']} ({before})"
