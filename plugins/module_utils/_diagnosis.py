"""Look at the services of a host and say what is wrong: the work of role diagnosis."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _changes,
    _contained,
    _database_clients,
    _findings,
    _fitting,
    _health_check,
    _health_figures,
    _ledger,
    _own_looks,
    _parallel,
    _release_history,
    _releases_info,
    _resources,
    _seen_well,
    _service_errors,
    _service_health,
    _since_backup,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

LOGS_S = 60.0
NOTE_CHARS = 300
_NOTES = 10

Facts = dict[str, Any]


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Do what `capability` says, health_check or diagnosis, for this host's services. Nothing is changed."""
    if params["capability"] == "health_check":
        return (_health_figures if params["figures"] else _health_check).run(params, check_mode)
    return _diagnose(services_of_host(params), params)


def _diagnose(services: list[Facts], params: dict[str, Any]) -> Result:
    """A sick service is a fact here; what fails is to look at it."""
    started, begun_at = time.monotonic(), time.time()
    begun = _resources.begin(services)
    written = _parallel.start(lambda _: _since_backup.look(services, params["state_dir"]), None)
    seen = _service_health.look(services)
    databases = _database_clients.look(services)
    until = time.monotonic() + LOGS_S
    looks = _own_looks.known(params, begun_at)
    since_backup = written.result()  # bounded by itself
    told: dict[str, Facts] = {}
    actions: list[Facts] = []
    for service in services:
        name = service["name"]
        told[name], unread = _service(service, seen[name], params, until, looks)
        if name in since_backup:
            told[name]["since_backup"] = since_backup[name]
        if name in databases:
            told[name]["databases"], not_counted = databases[name]
            told[name]["notes"] += [clean(note, NOTE_CHARS) for note in not_counted]
        actions += [action(name, "failed", clean(f"{name}: {why}", NOTE_CHARS)) for why in unread]
        if not unread:
            actions.append(
                action(name, "unchanged", f"{_health_check.summary(name, seen[name])}; {_errors(told[name])}")
            )
    entries = _entries(params)
    resources = _resources.look(services, begun)
    changed = _changed(services, told, params, entries)
    summary = f"load {resources['load1']}, {len(resources['disks'])} disk(s), {len(changed['changes'])} change(s)"
    actions.append(action("host", "unchanged", summary))
    findings = _findings.rank(told, resources, _contained.services(services, entries), changed["changes"])
    facts = {"services": told, "resources": resources, **changed, "findings": findings, "clock": _clock(started)}
    return result("diagnosis", actions, facts=_fitting.fitting(facts))


def _service(
    service: Facts, health: Facts, params: dict[str, Any], until: float, looks: list[_own_looks.Look]
) -> tuple[Facts, list[str]]:
    """Return the facts of one service, and what of it could not be looked at."""
    release, note = _releases_info.look(service, params) if "releases" in service else (None, None)
    deployed_at = release["deployed_at"] if release else None
    well = _seen_well.look(params, service["name"])
    over = sorted([*well, *_seen_well.came_back(params, service["name"], release)])
    reading = _service_errors.read(service, params["log_bytes"], deployed_at, until, over, looks)
    blind = [health["detail"]] if health["healthy"] is None and "manager" in service else []
    notes = [*([note] if note else []), *_health_check.not_asked(health), *reading.notes, *reading.unread]
    facts = {
        "health": health,
        "errors": reading.errors,
        "onset": reading.onset,
        "onset_source": reading.onset_source,
        "logs_since": reading.known,
        "release": release,
        "seen": _seen(service["name"], release, params),
        "seen_well": _timestamps.iso_of(well[-1]) if well else None,
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


def _errors(facts: Facts) -> str:
    return f"{sum(error['count'] for error in facts['errors'])} error(s) of {len(facts['errors'])} kind(s)"


def _entries(params: dict[str, Any]) -> list[_ledger.Entry]:
    """Return the entries of this incident; none where the ledger is root's, and we are not: what it did is news then."""
    try:
        entries, _unreadable = _ledger.entries(params)
    except OSError:
        return []
    return entries
