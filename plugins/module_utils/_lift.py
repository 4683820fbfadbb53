"""Take back what the ledger says was done to this host: the work of role lift."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _http_toggle,
    _ledger,
    _monitoring_rule,
    _service_state,
    _shared,
    _silence,
    _traffic_rule,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

# The `kind` of an entry's undo → the function that takes it back: (entry, check_mode) → (what to tell,
# verified). It raises OSError when it cannot; in check mode it only looks.
Undo = Callable[[_ledger.Entry, bool], "tuple[str, bool]"]
UNDO: dict[str, Undo] = {
    "service_start": _service_state.start_again,
    "http_call": _http_toggle.turn_off,
    "traffic_rule": _traffic_rule.take_away,
    "monitoring_rule": _monitoring_rule.remove,
    "silence": _silence.end,
}


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Undo every open entry of the incident, newest first, by the ledger alone.

    One that cannot be undone, or not even read, is failed and kept; the others are lifted all the same.
    An entry that says `keep`, as a rollback does, stays. What another incident holds as well is left to its lift.
    """
    if not check_mode:
        _ledger.settle(params)
    found, unreadable = _ledger.entries(params)
    pending = [entry for entry in reversed(found) if entry["state"] != "lifted"]
    actions = [_keep(e) if e["undo"].get("keep") else _lift(params, e, check_mode) for e in pending]
    actions += [action(path, "failed", f"ledger entry {path} cannot be read; it is kept") for path in unreadable]
    diff = [
        {"before_header": row["entry"], "before": "open\n", "after": "lifted\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    if not actions:
        actions = [action("ledger", "unchanged", f"nothing of {params['incident_id']} is open on this host")]
    return result("lift", actions, facts=_facts(params, pending), diff=diff)


def _facts(params: dict[str, Any], pending: list[_ledger.Entry]) -> dict[str, Any]:
    """Return how the ledger stands now, earlier lifts included, and what was found open.

    Not only what this run did: a caller that missed an earlier answer learns all the same.
    """
    found, unreadable = _ledger.entries(params)
    temporary = [entry for entry in reversed(found) if not entry["undo"].get("keep")]
    held = {
        e["target"]: _shared.names(others)
        for e in temporary
        if (others := _shared.holders(params, str(e["undo"].get("kind")), e["target"]))
    }
    return {
        "open": [e["name"] for e in temporary if e["state"] != "lifted"] + unreadable,
        "lifted": [e["name"] for e in temporary if e["state"] == "lifted"],
        "entries": [
            {"entry": e["name"], "capability": e["capability"], "target": e["target"]}
            for e in pending
            if not e["undo"].get("keep")
        ],
        **({"held": held} if held else {}),
    }


def _lift(params: dict[str, Any], entry: _ledger.Entry, check_mode: bool) -> dict[str, Any]:
    target, name, kind = entry["target"], entry["name"], entry["undo"].get("kind")
    if kind not in UNDO:
        return action(target, "failed", f"{name}: nothing here can undo {kind!r}; it is kept", entry=name)
    try:
        others = _shared.holders(params, kind, target)
        if others:
            would, verified = "would stay" if check_mode else "stays", True
            summary = (
                f"{target} {would} as it is: {_shared.names(others)} holds it, and takes it back when that is lifted"
            )
        else:
            summary, verified = UNDO[kind](entry, check_mode)
    except OSError as error:
        return action(target, "failed", f"{error}; {name} is kept", entry=name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        summary = f"{name} cannot be used ({type(error).__name__}: {error}); it is kept"
        return action(target, "failed", summary, entry=name)
    if check_mode:
        return action(target, "done", summary, entry=name)
    try:
        closed = _ledger.mark(entry, "lifted")
    except OSError as error:
        return action(target, "failed", f"{summary}, but {name} could not be closed: {error}", entry=name)
    return action(target, "done", summary + _ledger.caveat(closed), entry=name, verified=verified)


def _keep(entry: _ledger.Entry) -> dict[str, Any]:
    capability, target = entry["capability"], entry["target"]
    summary = f"{capability} of {target} is kept"
    if entry["state"] == "intended":
        summary += f"; it was interrupted: run {capability} again"
    return action(target, "unchanged", summary, entry=entry["name"])
