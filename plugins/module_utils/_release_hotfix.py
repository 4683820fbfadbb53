"""One hotfix: run the service's own hotfix command, see whether it is healthy, and switch back if it is no better."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _control,
    _health,
    _ledger,
    _release_health,
    _release_history,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

_CAPABILITY = "hotfix"
TIMEOUT_S = 900.0  # it builds without a cache
Told = tuple[dict[str, Any], dict[str, Any]]  # the action, and its facts


class HotfixError(OSError):
    """The hotfix command did not do what it is there for; the message says what it said."""


def deploy(service: dict[str, Any], kind: ModuleType, params: dict[str, Any], check_mode: bool) -> Told:
    """Deploy a service's hotfix once in this incident; `kind` is the module that knows its kind of releases.

    A second run finds it deployed; one that was interrupted runs the command again, which must bear that.
    """
    name, releases = service["name"], service["releases"]
    facts: dict[str, Any] = {"from": None, "to": None, "switched_back": False, "seconds": None}
    facts.update(health_before=None, health_after=None)
    if "hotfix" not in releases:
        return action(name, "skipped", f"{name} declares no hotfix command"), facts
    try:
        facts["from"] = facts["to"] = kind.current(service)
        entry = _ledger.latest_open(params, _CAPABILITY, name)
        if entry is not None:
            facts.update({"from": entry["prior"]["release"], "health_before": entry["prior"]["health"]})
        if entry is not None and entry["state"] == "applied":
            return _stay(service, facts)
        if check_mode:
            return action(name, "done", f"{name}: {' '.join(releases['hotfix'])} would be run"), facts
        return _try(service, kind, params, facts, entry or _intend(service, params, facts))
    except OSError as error:
        return action(name, "failed", f"{name}: {error}"), facts


def _stay(service: dict[str, Any], facts: dict[str, Any]) -> Told:
    name = service["name"]
    seen = facts["health_after"] = _release_health.probe(service)
    verified = seen is not None and seen["healthy"]
    summary = f"{name}: the hotfix of this incident is deployed already: {_release_health.figure(seen)}"
    return action(name, "unchanged", summary, verified=verified), facts


def _intend(service: dict[str, Any], params: dict[str, Any], facts: dict[str, Any]) -> _ledger.Entry:
    facts["health_before"] = _release_health.probe(service)
    prior = {"release": facts["from"], "health": facts["health_before"]}
    # `keep`: lift leaves a hotfix alone, it is the recovery.
    undo = {"kind": "release_switch", "keep": True, "from": None, "to": facts["from"]}
    undo.update(service=_control.handle(service), releases=service["releases"])
    return _ledger.intend(params, _CAPABILITY, service["name"], prior, undo)


def _try(
    service: dict[str, Any], kind: ModuleType, params: dict[str, Any], facts: dict[str, Any], entry: _ledger.Entry
) -> Told:
    name, before = service["name"], facts["health_before"]
    service = {**entry["undo"]["service"], **service}  # what ran when it was begun
    started = time.monotonic()
    try:
        finished = _command.run(service["releases"]["hotfix"], TIMEOUT_S)
        if not finished.ok:
            raise HotfixError(str(finished))
        facts["to"] = kind.current(service)
        seen, healthy_at = _release_health.verify(service, params)
        facts["seconds"] = None if healthy_at is None else round(healthy_at - started, 2)
    except OSError as error:
        seen = {"healthy": False, "status": None, "latency_ms": None, "detail": str(error)}
    facts["health_after"] = seen
    if seen is None or seen["healthy"]:
        told = f"{name}: hotfix deployed, {facts['from']} → {facts['to']}: {_release_health.figure(seen)}"
        told += _release_history.noted(params, name, facts["to"], seen)
        entry = _ledger.mark(entry, "applied")
        verified = seen is not None
        return action(name, "done", told + _ledger.caveat(entry), entry=entry["name"], verified=verified), facts
    if before is not None and _health.rank(seen) > _health.rank(before):
        entry = _ledger.mark(entry, "applied")
        told = f"{name}: the hotfix is not healthy ({_release_health.figure(seen)}), but better than before: it stays"
        return action(name, "failed", told, entry=entry["name"], verified=False), facts
    return _switch_back(service, kind, facts, entry)


def _switch_back(service: dict[str, Any], kind: ModuleType, facts: dict[str, Any], entry: _ledger.Entry) -> Told:
    """Return to the release from before. The entry stays open while that has not succeeded."""
    name, before = service["name"], facts["from"]
    told = f"{name}: the hotfix is no better ({_release_health.figure(facts['health_after'])})"
    try:
        if kind.current(service) != before:
            kind.go(service, kind.current(service), before)
            facts["switched_back"] = kind.current(service) == before
            if not facts["switched_back"]:
                raise HotfixError(f"the release is {kind.current(service)} after going back")
            told += f": back to {before}"
        else:
            told += f": still at {before}"
        _ledger.mark(entry, "lifted")
    except OSError as error:
        told += f", and switching back to {before} failed: {error}"
    return action(name, "failed", told, entry=entry["name"], verified=False), facts
