"""One hotfix: run the service's own command, or build an image, see whether it is healthy, and switch back if it is no better."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _control,
    _health,
    _ledger,
    _release_build,
    _release_health,
    _release_history,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

_CAPABILITY = "hotfix"
_SETTLE_S = 30.0  # for what was switched back to be as it was before
Told = tuple[dict[str, Any], dict[str, Any]]  # the action, and its facts


class _Deployment(NamedTuple):
    """A hotfix that is written down: of which service and kind of releases, its facts, ledger entry, and what is built."""

    service: dict[str, Any]
    kind: ModuleType
    params: dict[str, Any]
    facts: dict[str, Any]
    entry: _ledger.Entry
    planned: _release_build.Plan | None


class HotfixError(OSError):
    """The hotfix command did not do what it is there for; the message says what it said."""


def deploy(service: dict[str, Any], kind: ModuleType, params: dict[str, Any], check_mode: bool) -> Told:
    """Deploy a service's hotfix once in this incident; `kind` is the module that knows its kind of releases.

    A second run finds it deployed; one that was interrupted runs the command again, which must bear that, or takes what
    was built. What is built from other files than the hotfix that is deployed is another hotfix, and so is one after a
    rollback from that.
    """
    name, releases = service["name"], service["releases"]
    facts: dict[str, Any] = {"from": None, "to": None, "switched_back": False, "seconds": None, "build": None}
    facts.update(health_before=None, health_after=None)
    if not {"hotfix", "build"} & set(releases):
        return action(name, "skipped", f"{name} declares no hotfix, neither a command nor a build"), facts
    try:
        facts["from"] = facts["to"] = kind.current(service)
        entry, planned = _ledger.latest_open(params, _CAPABILITY, name), None
        if "build" in releases:
            begun = entry if entry is not None and entry["state"] == "intended" else None
            planned = _release_build.plan(service, params, facts["from"], begun)
            facts["build"] = planned.facts
            stands = None if entry is None else (entry["prior"].get("digest"), entry["undo"]["from"])
            if begun is None and stands != (planned.digest, facts["from"]):
                entry = None
        if entry is not None:
            facts.update({"from": entry["prior"]["release"], "health_before": entry["prior"]["health"]})
        if entry is not None and entry["state"] == "applied":
            return _stay(service, facts)
        if planned is not None and (obstacle := _obstacle(service, kind, planned, params, check_mode, entry is None)):
            return action(name, "refused", f"{name}: no hotfix can be built: {obstacle}"), facts
        if check_mode:
            facts["to"] = planned.tag if planned is not None else facts["to"]
            return action(name, "done", f"{name}: {_would(releases, facts)}"), facts
        entry = _intend(service, params, facts, planned, entry)
        # What ran when it was begun may not run now.
        return _try(_Deployment({**entry["undo"]["service"], **service}, kind, params, facts, entry, planned))
    except OSError as error:
        return action(name, "failed", f"{name}: {error}"), facts


def _obstacle(
    service: dict[str, Any],
    kind: ModuleType,
    planned: _release_build.Plan,
    params: dict[str, Any],
    check_mode: bool,
    fresh: bool,
) -> str:
    try:
        _release_build.require(service, planned, params)
        if fresh:  # what was cut off in the middle is gone on with
            kind.rehearse(service, planned.tag, check_mode)
    except OSError as error:
        return str(error)
    return ""


def _would(releases: dict[str, Any], facts: dict[str, Any]) -> str:
    if facts["build"] is None:
        return f"{' '.join(releases['hotfix'])} would be run"
    told = f"{facts['to']} would be built from {facts['build']['files']} file(s) in {facts['build']['context']}"
    return f"{told}, and take the place of {facts['from']}"


def _stay(service: dict[str, Any], facts: dict[str, Any]) -> Told:
    name = service["name"]
    seen = facts["health_after"] = _release_health.probe(service)
    verified = seen is not None and seen["healthy"]
    summary = f"{name}: the hotfix of this incident is deployed already: {_release_health.figure(seen)}"
    return action(name, "unchanged", summary, verified=verified), facts


def _intend(
    service: dict[str, Any],
    params: dict[str, Any],
    facts: dict[str, Any],
    planned: _release_build.Plan | None,
    begun: _ledger.Entry | None,
) -> _ledger.Entry:
    """Write down what is about to happen; take up what was cut off, and where it came from."""
    if begun is not None and planned is None:
        return begun
    if begun is None:
        facts["health_before"] = _release_health.probe(service)
    prior = {"release": facts["from"], "health": facts["health_before"]}
    undo = {"kind": "release_switch", "keep": True, "from": None, "to": facts["from"]}
    undo.update(service=_control.handle(service), releases=service["releases"])
    if planned is not None:
        prior["digest"], undo["from"] = planned.digest, planned.tag
    if begun is not None:
        undo["service"] = begun["undo"]["service"]
        return _ledger.mark({**begun, "prior": prior, "undo": undo}, "intended")
    # `keep`: lift leaves a hotfix alone, it is the recovery.
    return _ledger.intend(params, _CAPABILITY, service["name"], prior, undo)


def _try(it: _Deployment) -> Told:
    service, kind, params, facts, entry, planned = it
    name, before = service["name"], facts["health_before"]
    try:
        if planned is not None:
            facts["build"]["seconds"] = _release_build.make(service, planned, params, facts["from"])
    except OSError as error:
        return _switch_back(it, f"{name}: not built: {error}")
    started = time.monotonic()
    try:
        if planned is not None:
            kind.go(service, facts["from"], planned.tag)
        else:
            _run(service, params)
        facts["to"] = kind.current(service)
        seen, healthy_at = _release_health.verify(service, params)
        facts["seconds"] = None if healthy_at is None else round(healthy_at - started, 2)
    except OSError as error:
        seen = {"healthy": False, "status": None, "latency_ms": None, "detail": str(error)}
    facts["health_after"] = seen
    if seen is None or seen["healthy"]:
        return _succeed(service, params, facts, entry)
    if before is not None and _health.rank(seen) > _health.rank(before):
        entry = _ledger.mark(entry, "applied")
        told = f"{name}: the hotfix is not healthy ({_release_health.figure(seen)}), but better than before: it stays"
        return action(name, "failed", told, entry=entry["name"], verified=False), facts
    told = f"{name}: the hotfix is no better ({_release_health.figure(seen)})"
    return _switch_back(it, told)


def _run(service: dict[str, Any], params: dict[str, Any]) -> None:
    finished = _command.run(service["releases"]["hotfix"], params["build_within_s"])
    if not finished.ok:
        raise HotfixError(str(finished))


def _succeed(service: dict[str, Any], params: dict[str, Any], facts: dict[str, Any], entry: _ledger.Entry) -> Told:
    """What it went away from is bad from now on, as after a rollback."""
    name, before, seen = service["name"], facts["from"], facts["health_after"]
    told = f"{name}: hotfix deployed, {before} → {facts['to']}: {_release_health.figure(seen)}"
    try:
        if seen is not None and before not in (None, facts["to"]):
            _release_history.condemn(params, name, before, facts["to"])
    except OSError as error:
        told += f"; that {before} is bad could not be noted: {error}"
    told += _release_history.noted(params, name, facts["to"], seen)
    entry = _ledger.mark(entry, "applied")
    verified = seen is not None
    return action(name, "done", told + _ledger.caveat(entry), entry=entry["name"], verified=verified), facts


def _switch_back(it: _Deployment, told: str) -> Told:
    """Return to the release from before. The entry stays open while that has not succeeded; what was built is kept, as bad."""
    service, kind, params, facts, entry, planned = it
    name, before = service["name"], facts["from"]
    try:
        now = kind.current(service)
        # An image's variable may be switched while what runs is not.
        if now != before or (planned is not None and facts["health_after"] is not None):
            kind.go(service, now, before)
            facts["switched_back"] = kind.current(service) == before
            if not facts["switched_back"]:
                raise HotfixError(f"the release is {kind.current(service)} after going back")
            told += f": back to {before}{_compared(service, params, facts)}"
        else:
            told += f": still at {before}"
        _ledger.mark(entry, "lifted")
    except OSError as error:
        told += f", and switching back to {before} failed: {error}"
    try:
        if planned is not None and _release_build.is_here(service, planned):
            _release_history.condemn(params, name, planned.tag)
            told += f"; the image {planned.tag} is kept, and known to be bad"
    except OSError as error:
        told += f"; that {planned.tag} is bad could not be noted: {error}" if planned is not None else ""
    return action(name, "failed", told, entry=entry["name"], verified=False), facts


def _compared(service: dict[str, Any], params: dict[str, Any], facts: dict[str, Any]) -> str:
    """Say whether the service is as it was before, once it has had the time for it."""
    before = facts["health_before"]
    if before is None:
        return ""
    seen = _release_health.settled(service, before, min(params["within_s"], _SETTLE_S))
    if _health.rank(seen) < _health.rank(before):
        return (
            f", which is worse than before: {_release_health.figure(seen)}, and it was {_release_health.figure(before)}"
        )
    return f", as before ({_release_health.figure(seen)})"
