"""Forward again: back to the release that this incident's rollback came from, because it made things worse."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _ledger,
    _release_command,
    _release_health,
    _release_history,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

_CAPABILITY = "rollback"
Told = tuple[dict[str, Any], dict[str, Any]]  # the action, and its facts


def go(service: dict[str, Any], kind: ModuleType, params: dict[str, Any], check_mode: bool) -> Told:
    """Undo what the rollback of this incident did to a service, whatever its health says of either release.

    The ledger knows the release that it came from. Cut off, it is brought to its end by a second run.
    """
    name = service["name"]
    facts: dict[str, Any] = {"from": None, "to": None, "health_before": None, "health_after": None}
    try:
        entry = _ledger.latest_open(params, _CAPABILITY, name)
        if entry is None:
            return action(name, "skipped", f"{name}: this incident rolled nothing back here"), facts
        newer = entry["prior"]["release"]
        begun = {**entry["undo"]["service"], **service}  # what ran when it was rolled back may not run now
        older = kind.current(begun)
        facts.update({"from": older, "to": newer, "health_before": _release_health.probe(service)})
        if check_mode:
            return action(name, "done", f"{name} would go forward again from {older} to {newer}"), facts
        if older != newer or kind is not _release_command:
            # Cut off after the switch, what runs may still be the older one, or nothing. A command is run once: where it
            # would lead a second time, nobody knows.
            kind.go_forward(begun, newer)
        _ledger.mark(entry, "lifted")
        told = f"{name} went forward again from {entry['undo']['from']} to {newer}"
        told += _condemned(params, name, older, newer) if older != newer else ""
    except OSError as error:
        return action(name, "failed", f"{name} could not go forward again: {error}"), facts
    seen, _at = _release_health.verify(service, params)
    facts["health_after"] = seen
    summary = f"{told}: {_release_health.figure(seen)}"
    return action(name, "done", summary, entry=entry["name"], verified=bool(seen and seen["healthy"])), facts


def _condemned(params: dict[str, Any], name: str, older: str, newer: str) -> str:
    """Note that the older release is bad, so that the next rollback passes it over; say so if that cannot be noted."""
    try:
        _release_history.condemn(params, name, older, newer)
    except OSError as error:
        return f" (that {older} is bad could not be noted: {error})"
    return ""
