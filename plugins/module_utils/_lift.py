"""Take back what the ledger says was done to this host: the work of role lift."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _evidence_place,
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
    "service_restart": _service_state.start_again,  # one that was cut off in between
    "http_call": _http_toggle.turn_off,
    "traffic_rule": _traffic_rule.take_away,
    "monitoring_rule": _monitoring_rule.remove,
    "silence": _silence.end,
}


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Undo every open entry of the incident, by the ledger alone; or those that `only` names.

    Newest first, but a service after those that it depends on.

    One that cannot be undone, or not even read, is failed and kept; the others are lifted all the same.
    An entry that says `keep`, as a rollback does, stays. What another incident holds as well is left to its lift.
    Ledgers of incidents that were wholly lifted `forget_after_days` ago are removed, and evidence that nobody brought home.
    """
    if not check_mode:
        _ledger.settle(params)
    found, unreadable = _ledger.entries(params)
    damaged = [Path(path) for path in unreadable]
    pending = _service_state.in_order([entry for entry in reversed(found) if entry["state"] != "lifted"])
    words = params.get("only") or []
    if words:
        unknown = [word for word in words if not any(_is(word, e) for e in found) and word not in _stems(damaged)]
        if unknown:
            return result("lift", [_unknown(unknown, pending, damaged, params)], facts=_facts(params, pending))
        pending = [entry for entry in pending if any(_is(word, entry) for word in words)]
        damaged = [path for path in damaged if path.stem in words]
    actions = [_keep(e) if e["undo"].get("keep") else _lift(params, e, check_mode) for e in pending]
    actions += [action(path.stem, "failed", _damaged(path), entry=path.stem) for path in damaged]
    if not check_mode:
        # Last, and whatever it meets: a broken disk or an odd number of days must keep nothing from being lifted.
        with contextlib.suppress(OSError, OverflowError, ValueError):
            _ledger.forget(params, params.get("forget_after_days") or 0)
    diff = [
        {"before_header": row["entry"], "before": "open\n", "after": "lifted\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    removed = _evidence_place.abandoned(check_mode=check_mode or bool(words))
    if not actions:
        nothing = f"nothing of {params['incident_id']} is open on this host"
        actions = [action("ledger", "unchanged", f"{', '.join(words)} is lifted already" if words else nothing)]
    actions += [action("evidence", "done", told) for told in _evidence_place.told(removed)]
    left = _evidence_place.left_of(params["incident_id"])
    return result("lift", actions, facts={**_facts(params, pending), **({"bundles": left} if left else {})}, diff=diff)


def _is(word: str, entry: _ledger.Entry) -> bool:
    """Say whether this is the entry that a word means: by its name, or as CAPABILITY/TARGET."""
    return word in (entry["name"], f"{entry['capability']}/{entry['target']}")


def _stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def _unknown(
    words: list[str], pending: list[_ledger.Entry], damaged: list[Path], params: dict[str, Any]
) -> dict[str, Any]:
    there = [f"{e['name']} ({e['capability']}/{e['target']})" for e in pending if not e["undo"].get("keep")]
    told = ", ".join([*there, *_stems(damaged)]) or "nothing"
    summary = f"{', '.join(words)} is in no ledger entry of {params['incident_id']} here; open: {told}"
    return action(", ".join(words), "failed", summary)


def _damaged(path: Path) -> str:
    if path.suffix != ".json":
        return f"the ledger {path} cannot be read; what it holds is kept. Fix: mend its disk, then lift again"
    return (
        f"ledger entry {path} cannot be read; it is kept. Fix: see what its name says was done, take that back by hand, "
        "then move the file out of this folder"
    )


def _facts(params: dict[str, Any], pending: list[_ledger.Entry]) -> dict[str, Any]:
    """Return how the ledger stands now, earlier lifts included, and what was found open.

    Not only what this run did: a caller that missed an earlier answer learns all the same.
    """
    found, unreadable = _ledger.entries(params)
    temporary = [entry for entry in reversed(found) if not entry["undo"].get("keep")]
    held = {e["target"]: _shared.names(others) for e in temporary if (others := _held(params, e))}
    damaged = [{"entry": Path(path).stem, "path": path} for path in unreadable]
    over = [entry for entry in temporary if entry["state"] == "lifted"]
    told = {key: {e["name"]: e[key] for e in over if e.get(key)} for key in ("held_back", "counted")}
    return {
        "open": [e["name"] for e in temporary if e["state"] != "lifted"] + [row["entry"] for row in damaged],
        "lifted": [entry["name"] for entry in over],
        "entries": [
            {"entry": e["name"], "capability": e["capability"], "target": e["target"]}
            for e in pending
            if not e["undo"].get("keep")
        ],
        **({"held": held} if held else {}),
        **({"damaged": damaged} if damaged else {}),
        **{key: found for key, found in told.items() if found},
    }


def _held(params: dict[str, Any], entry: _ledger.Entry) -> list[_ledger.Entry]:
    try:
        return _shared.rest(params, entry).others
    except OSError:  # a broken disk does not say; what is kept because of that was told as it was to be lifted
        return []


def _lift(params: dict[str, Any], entry: _ledger.Entry, check_mode: bool) -> dict[str, Any]:
    target, name, kind = entry["target"], entry["name"], entry["undo"].get("kind")
    if kind not in UNDO:
        return action(target, "failed", f"{name}: nothing here can undo {kind!r}; it is kept", entry=name)
    try:
        left, others, stays = _shared.rest(params, entry)
        would = "would stay" if check_mode else "stays"
        holds = f"{would} as it is: {_shared.names(others)} holds it, and takes it back when that is lifted"
        if left is None:
            summary, verified = f"{target} {holds}", True
        else:
            summary, verified = UNDO[kind](left, check_mode)
            summary += f"; {', '.join(stays)} {holds}" if stays else ""
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
    summary = f"{capability} of {target} is left as it is: a way out is not taken back"
    if entry["state"] == "intended":
        summary += f"; it was interrupted: run {capability} again"
    return action(target, "unchanged", summary, entry=entry["name"])
