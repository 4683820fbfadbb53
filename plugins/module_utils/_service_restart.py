"""Restart services, and see them well: the work of role restart."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _contained,
    _control,
    _health,
    _ledger,
    _order,
    _release_health,
    _shared,
    _stopping,
    _systemd_state,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

CAPABILITY = "restart"
_KIND = "service_restart"
_LINES = 3  # of what a service said last
Told = tuple[dict[str, Any], dict[str, Any]]  # the action, and its facts


class RestartError(OSError):
    """A service did not come up, or did not stay up; the message says what was seen of it."""


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Restart this host's services that are in `only`, those that others depend on first, each verified by its health.

    What stands still is started. Once in an incident, unless `restart_again`; one that was cut off is brought to its end.
    """
    if not params.get("only"):
        refusal = "no service was named: set the role's _only to the services to restart"
        return result(CAPABILITY, [action("services", "refused", refusal)])
    services = _order.needed_first(services_of_host(params), lambda service: service["name"], _stopping.depends_on)
    told: dict[str, Told] = {}
    down: list[str] = []
    for service in services:
        name, needs = service["name"], [one for one in _stopping.depends_on(service) if one in down]
        told[name] = (
            _spare(name, needs) if needs else _restart(service, {**params, "capability": CAPABILITY}, check_mode)
        )
        down += [name] if needs or told[name][0]["outcome"] == "failed" else []
    actions = [row for row, _facts in told.values()]
    diff = [
        {"before_header": name, "before": f"{facts['was']}\n", "after": "restarted\n"}
        for name, (row, facts) in told.items()
        if row["outcome"] == "done"
    ]
    facts = {"services": {name: facts for name, (_row, facts) in told.items()}}
    return result(CAPABILITY, actions, facts=facts, diff=diff, nothing="no named service runs on this host")


def _spare(name: str, needs: list[str]) -> Told:
    """Leave a service as it is: without what did not come up it might not come up either."""
    facts = {"was": "unknown", "health_before": None, "health_after": None, "seconds": None}
    reason = f"{', '.join(needs)}, which it depends on, did not get well. Fix: see to that first"
    return action(name, "refused", f"{name} was not restarted: {reason}"), facts


def _restart(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> Told:
    name = service["name"]
    facts: dict[str, Any] = {"was": "unknown", "health_before": None, "health_after": None, "seconds": None}
    try:
        earlier = _ledger.latest_open(params, CAPABILITY, name)
        if earlier is not None and earlier["state"] == "applied" and not params["restart_again"]:
            return _stay(service, earlier, facts)
        plan = _stopping.plan(service, params)
        idle, more = _stopping.idle(service)
        facts["was"] = "running" if plan.runs else "stopped"
        undo = _undo(service, plan.undo, more, _held(params))
        if reason := _obstacle(service, params, undo) or plan.refusal:
            return action(name, "refused", f"{name} was not restarted: {reason}"), facts
        parts = _stopping.in_brackets([*plan.runs, *idle], undo)
        verb = "restarted" if plan.runs else "started"
        # Whether it runs just now is no part of it: of what crashes again and again, that is chance.
        there = sorted({*plan.runs, *idle})
        ends = {"restarted": False, "parts": there}, {"restarted": True, "parts": there}
        if check_mode:
            return between(action(name, "done", f"{name} would be {verb}{parts}"), *ends), facts
        facts["health_before"] = _release_health.probe(service)
        undo = _stopping.begun(params, name, undo)
        prior = {"running": bool(plan.runs), "health": facts["health_before"]}
        entry = _ledger.intend_once(params, CAPABILITY, name, prior, undo)
    except OSError as error:
        return action(name, "failed", f"{name}: {error}"), facts
    row, facts = _try(service, params, entry, f"{name} {verb}{parts}", facts)
    return between(row, *ends), facts


def _undo(
    service: dict[str, Any], runs: dict[str, Any], idle: dict[str, Any], held: list[_ledger.Entry]
) -> dict[str, Any]:
    """Return what starts again all that is to run: by this a lift ends what is cut off between stop and start."""
    undo = {"kind": _KIND, "service": _control.handle(service), "after": _stopping.depends_on(service), **runs}
    if "units" in undo:
        undo["units"] = [*idle["units"], *(unit for unit in undo["units"] if unit not in idle["units"])]
        undo["down"] = [*undo["down"], *(unit for entry in held for unit in entry["undo"].get("units", ()))]
    if "containers" in undo:
        known = {one["id"] for one in undo["containers"]}
        undo["containers"] = [*undo["containers"], *(one for one in idle["containers"] if one["id"] not in known)]
    return undo


def _held(params: dict[str, Any]) -> list[_ledger.Entry]:
    """Return the open entries of all incidents by which something is kept from running: a restart starts none of that."""
    own, _unreadable = _ledger.entries(params)
    stopped = [*_ledger.elsewhere(params), *(entry for entry in own if entry["state"] != "lifted")]
    return [entry for entry in stopped if entry["undo"].get("kind") == "service_start"]


def _obstacle(service: dict[str, Any], params: dict[str, Any], undo: dict[str, Any]) -> str:
    name = service["name"]
    own = _contained.services([service], _ledger.entries(params)[0])
    if name in own:
        return (
            f"it {own[name]}. Fix: lift that first" if own[name].along else f"it was {own[name]}. Fix: lift that first"
        )
    others = _shared.holders(params, "service_start", name, _shared.things(undo))
    return f"it is stopped by {_shared.names(others)}. Fix: lift that first" if others else ""


def _stay(service: dict[str, Any], entry: _ledger.Entry, facts: dict[str, Any]) -> Told:
    name, at = service["name"], str(entry.get("applied_at", entry["at"]))[:16].replace("T", " ")
    seen = facts["health_after"] = _release_health.probe(service)
    verified = seen is not None and seen["healthy"]
    told = f"{name} was restarted at {at} UTC in this incident already: {_release_health.figure(seen)}"
    row = action(name, "unchanged", told, entry=entry["name"], verified=verified)
    done = {"restarted": True, "parts": sorted(_shared.things(entry["undo"])) or [name]}
    return between(row, done, done), facts


def _try(
    service: dict[str, Any], params: dict[str, Any], entry: _ledger.Entry, told: str, facts: dict[str, Any]
) -> Told:
    name, undo, started = service["name"], entry["undo"], time.monotonic()
    stopping = facts["was"] == "running"
    try:
        notes = _stopping.halt(service, undo, params) if stopping else []
        stopping = False
        if "units" in undo:
            _systemd_state.forgive(undo["units"])
        todo, changed = _stopping.missing(undo)
        notes += [*changed, *(_stopping.start(undo, todo) if todo else [])]
        watched = {**service, "health": service.get("health", {})}  # that it stays up is seen without one, too
        seen, healthy_at = _release_health.verify(watched, params, _Watch(service, undo).ask)
        if seen is None or not seen["healthy"]:
            raise RestartError(f"{told}, but it is not well: {seen['detail'] if seen else 'unknown'}")
    except OSError as error:
        return _failed(service, entry, error, facts, stopping)
    facts.update(health_after=seen, seconds=round(healthy_at - started, 2) if healthy_at else None)
    # `keep`: lift leaves it in place, there is nothing to be taken back.
    entry = _ledger.mark({**entry, "undo": {**undo, "keep": True}}, "applied")
    summary = "; ".join([f"{told}: {_release_health.figure(seen)}", *notes]) + _ledger.caveat(entry)
    return action(name, "done", summary, entry=entry["name"], verified=True), facts


def _failed(
    service: dict[str, Any], entry: _ledger.Entry, error: OSError, facts: dict[str, Any], stopping: bool
) -> Told:
    """Tell what went wrong, with its last words.

    What ran before and does not now, or is still `stopping`, is left to be started by lift.
    """
    name, undo = service["name"], entry["undo"]
    facts["health_after"] = _release_health.probe(service)
    told = str(error) if str(error).startswith(name) else f"{name}: {error}"
    told += ". It may yet go down: a restart once more, or lift, starts it then" if stopping else ""
    try:
        said = _stopping.last_words(undo, _LINES)
        told += f". It said last: {' | '.join(said)}" if said else ""
        if not stopping and not (entry["prior"]["running"] and None in _stopping.lives(undo).values()):
            _ledger.mark(entry, "lifted")
    except OSError as more:
        told += f"; {more}"
    return action(name, "failed", told, entry=entry["name"], verified=False), facts


class _Watch:
    """Health, and with it whether the service lives on: who crashed and was started anew in between was not well."""

    def __init__(self, service: dict[str, Any], undo: dict[str, Any]) -> None:
        """Begin with the life that it lives now."""
        self.service, self.undo = service, undo
        self.before = _stopping.lives(undo)

    def ask(self, health: dict[str, Any]) -> dict[str, Any]:
        """Ask once, as `_health.probe` does. Raise RestartError if it is down for good."""
        lives, before = _stopping.lives(self.undo), self.before
        self.before = lives
        if None in lives.values():
            raise RestartError(f"{self.service['name']} was started, and went down again")
        crashed = [name for name, life in lives.items() if not life or life != before.get(name)]
        if crashed:
            detail = f"{', '.join(crashed)} crashed and was started again"
            return {"healthy": False, "status": None, "latency_ms": None, "detail": detail}
        if health:
            return _health.probe(health)
        return {"healthy": True, "status": None, "latency_ms": None, "detail": "it runs; no health is declared"}
