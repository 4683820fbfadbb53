"""Look at the services of a host and say what is wrong: the work of roles health_check and diagnosis."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _changes,
    _contained,
    _database_clients,
    _findings,
    _ledger,
    _release_history,
    _releases_info,
    _resources,
    _service_errors,
    _service_health,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

FACTS_LIMIT = 100_000  # bytes of JSON: results that are too large vanish on their way home
LOGS_S = 60.0
NOTE_CHARS = 300
_NOTES = 10
_FEWER_FINDINGS = 30  # the most severe, where room is short

Facts = dict[str, Any]


def run(params: dict[str, Any], _check_mode: bool) -> Result:
    """Do what `capability` says, health_check or diagnosis, for this host's services. Nothing is changed."""
    services = services_of_host(params)
    return _health_check(services, params) if params["capability"] == "health_check" else _diagnose(services, params)


def _health_check(services: list[Facts], params: dict[str, Any]) -> Result:
    """A service that is sick, or of which nothing can tell, has failed the check."""
    seen = _service_health.look(services, params["window_s"], params["within_s"])
    actions = [
        action(name, "unchanged" if health["healthy"] else "failed", _summary(name, health))
        for name, health in seen.items()
    ]
    answer = result("health_check", actions, facts=_fitting({"services": seen}), nothing="no such service on this host")
    # What a service depends on may fail while it copes, or while a circuit breaker keeps it off: no verdict on it.
    warnings = [
        _summary(name, health)
        for name, health in seen.items()
        if health["healthy"] and (_failing(health) or _not_asked(health))
    ]
    return {**answer, "warnings": warnings} if warnings else answer


def _diagnose(services: list[Facts], params: dict[str, Any]) -> Result:
    """A sick service is a fact here; what fails is to look at it."""
    started = time.monotonic()
    begun = _resources.begin(services)
    seen = _service_health.look(services)
    databases = _database_clients.look(services)
    until = time.monotonic() + LOGS_S
    told: dict[str, Facts] = {}
    actions: list[Facts] = []
    for service in services:
        name = service["name"]
        told[name], unread = _service(service, seen[name], params, until)
        if name in databases:
            told[name]["databases"], not_counted = databases[name]
            told[name]["notes"] += [clean(note, NOTE_CHARS) for note in not_counted]
        actions += [action(name, "failed", clean(f"{name}: {why}", NOTE_CHARS)) for why in unread]
        if not unread:
            actions.append(action(name, "unchanged", f"{_summary(name, seen[name])}; {_errors(told[name])}"))
    entries = _entries(params)
    resources = _resources.look(services, begun)
    changed = _changed(services, told, params, entries)
    summary = f"load {resources['load1']}, {len(resources['disks'])} disk(s), {len(changed['changes'])} change(s)"
    actions.append(action("host", "unchanged", summary))
    findings = _findings.rank(told, resources, _contained.services(services, entries), changed["changes"])
    facts = {"services": told, "resources": resources, **changed, "findings": findings, "clock": _clock(started)}
    return result("diagnosis", actions, facts=_fitting(facts))


def _service(service: Facts, health: Facts, params: dict[str, Any], until: float) -> tuple[Facts, list[str]]:
    """Return the facts of one service, and what of it could not be looked at."""
    release, note = _releases_info.look(service) if "releases" in service else (None, None)
    deployed_at = release["deployed_at"] if release else None
    reading = _service_errors.read(service, params["log_bytes"], deployed_at, until)
    blind = [health["detail"]] if health["healthy"] is None and "manager" in service else []
    notes = [*([note] if note else []), *_not_asked(health), *reading.notes, *reading.unread]
    facts = {
        "health": health,
        "errors": reading.errors,
        "onset": reading.onset,
        "onset_source": reading.onset_source,
        "release": release,
        "seen": _seen(service["name"], release, params),
        "notes": [clean(text, NOTE_CHARS) for text in notes[:_NOTES]],
    }
    return facts, blind + reading.unread


def _seen(name: str, release: Facts | None, params: dict[str, Any]) -> Facts | None:
    """Return when the service was last seen healthy and sick under its release, None where that was not noted."""
    try:
        return _release_history.seen(params, name, release["current"]) if release else None
    except OSError:  # root's, and we are not root
        return None


def _changed(
    services: list[Facts], told: dict[str, Facts], params: dict[str, Any], entries: list[_ledger.Entry]
) -> Facts:
    """Return what changed on this host in the last hours, and what of it could not be seen."""
    now = time.time()
    releases = {name: facts["release"] for name, facts in told.items()}
    window = (now - params["changes_hours"] * 3600, now)
    looked = _changes.look(services, releases, window, entries)
    return {"changes": looked.changes, "changes_notes": looked.notes}


def _clock(begun: float) -> Facts:
    """Return what time it is on this host, and how long it has worked until now: by both, others can tell its clock."""
    return {"now": _timestamps.iso_of(time.time()), "after_s": round(time.monotonic() - begun, 3)}


def _summary(name: str, health: Facts) -> str:
    failing = [f"dependency {d['name']} fails: {d['detail']}" for d in _failing(health)]
    return "; ".join([f"{name}: {health['detail']}", *failing, *_not_asked(health)])


def _failing(health: Facts) -> list[Facts]:
    return [dependency for dependency in health["depends_on"] if dependency["ok"] is False]


def _not_asked(health: Facts) -> list[str]:
    return [f"dependency {d['name']} {d['detail']}" for d in health["depends_on"] if d["ok"] is None]


def _errors(facts: Facts) -> str:
    return f"{sum(error['count'] for error in facts['errors'])} error(s) of {len(facts['errors'])} kind(s)"


def _entries(params: dict[str, Any]) -> list[_ledger.Entry]:
    """Return the entries of this incident; none where the ledger is root's, and we are not: what it did is news then."""
    try:
        entries, _unreadable = _ledger.entries(params)
    except OSError:
        return []
    return entries


def _fitting(facts: Facts) -> Facts:
    """Return the facts, cut where they are longest until they are small enough."""
    for errors, chars, changes in ((10, 300, 50), (5, 200, 30), (3, 100, 20), (1, 80, 10), (0, 80, 5)):
        if _size(facts) <= FACTS_LIMIT:
            return facts
        facts = {**facts, "services": {name: _cut(told, errors, chars) for name, told in facts["services"].items()}}
        if "findings" in facts:
            facts["findings"] = facts["findings"][:_FEWER_FINDINGS]
        facts = _with_newest(facts, changes) if "changes" in facts else facts
    return _fewer(facts)


def _with_newest(facts: Facts, count: int) -> Facts:
    """Return the facts with at most so many changes, the newest, which are the first; and a note of how many are left out."""
    older = len(facts["changes"]) - count
    if older <= 0:
        return facts
    notes = [*facts["changes_notes"], f"{older} older changes are left out: there is no room for them"]
    return {**facts, "changes": facts["changes"][:count], "changes_notes": notes}


def _cut(told: Facts, errors: int, chars: int) -> Facts:
    """Return what is told of one service with at most so many errors, and of each text so many characters."""
    kept = {**told, "errors": told["errors"][:errors]} if "errors" in told else told
    return _shortened(kept, chars)


def _shortened(value: Any, chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else value[: chars - 1] + "…"
    if isinstance(value, list):
        return [_shortened(item, chars) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item, chars) for key, item in value.items()}
    return value


def _fewer(facts: Facts) -> Facts:
    """Return the facts with as many services as there is room for, the sick ones first, and how many are left out."""
    sick_first = sorted(facts["services"].items(), key=lambda item: bool(item[1].get("health", item[1])["healthy"]))
    kept: Facts = {}
    room = FACTS_LIMIT - _size({**facts, "services": {}}) - 100
    for name, told in sick_first:
        room -= _size({name: told}) + 2
        if room < 0:
            break
        kept[name] = told
    return {**facts, "services": kept, "left_out": len(facts["services"]) - len(kept)}


def _size(facts: Facts) -> int:
    return len(json.dumps(facts))
