"""What two incidents want contained stays so until both have let go of it (docs/decisions/0010)."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

# Undos that act on a thing which there is only once, be it for ten incidents. Rules and silences are each one's own.
KINDS = frozenset({"http_call", "service_start"})


class Rest(NamedTuple):
    """What of an entry there is to take back, when others hold some of it."""

    entry: _ledger.Entry | None  # None: nothing
    others: list[_ledger.Entry]  # the open entries of other incidents that hold the same
    stays: list[str]  # what they hold of it


def things(undo: dict[str, Any]) -> list[str]:
    """Return what an undo starts again, by name: units, or services of a compose file; nothing if it is one thing."""
    file = undo.get("service", {}).get("compose_file") if isinstance(undo.get("service"), dict) else None
    return [*undo.get("units", []), *(f"{file} {one['service']}" for one in undo.get("containers", []))]


def holders(params: dict[str, Any], kind: str, target: str, wanted: list[str] | None = None) -> list[_ledger.Entry]:
    """Return the open entries of other incidents that hold one of the `wanted` things, oldest first.

    Where there is only one thing, the target stands for it.
    """
    if kind not in KINDS:
        return []
    of_kind = [e for e in _ledger.elsewhere(params) if e["undo"].get("kind") == kind]
    return sorted((e for e in of_kind if _overlaps(e, target, wanted or [])), key=lambda e: str(e.get("at")))


def rest(params: dict[str, Any], entry: _ledger.Entry) -> Rest:
    """Return what of an entry is left to take back, now that others hold what they hold."""
    kind, mine = str(entry["undo"].get("kind")), _things(entry)
    others = holders(params, kind, entry["target"], mine)
    if not all(map(_things, others)):
        return Rest(None, others, mine)
    taken = {thing for e in others for thing in _things(e)}
    stays = [thing for thing in mine if thing in taken]
    if others and len(stays) == len(mine):
        return Rest(None, others, stays)
    if kind != "service_start":
        return Rest(entry, [], [])
    return Rest({**entry, "undo": _without(params, entry, taken)}, others, stays)


def join(
    params: dict[str, Any], kind: str, target: str, said: str, check_mode: bool, undo: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Given a target that is as it should be, return the action: unchanged.

    If it is so because of another incident, this one holds it from now on as well, by an entry with the same undo, or
    with its own `undo` where what it stands for is only a part.
    """
    others = holders(params, kind, target, things(undo or {}))
    if not others:
        return action(target, "unchanged", said, verified=True)
    told = f"{said}, by {names(others)}"
    ours, _unreadable = _ledger.entries(params)
    mine = [e for e in ours if (e["undo"].get("kind"), e["target"]) == (kind, target) and e["state"] != "lifted"]
    if mine or check_mode:
        return action(target, "unchanged", told, verified=True)
    model = others[-1]
    own = undo if undo and things(undo) else model["undo"]
    entry = _ledger.intend(params, params["capability"], target, model["prior"], own)
    entry = _ledger.mark(entry, "applied")
    told += f"; it stays so until {params['incident_id']} is lifted as well{_ledger.caveat(entry)}"
    return action(target, "unchanged", told, entry=entry["name"], verified=True)


def names(entries: list[_ledger.Entry]) -> str:
    """Return whose entries these are, in words."""
    return ", ".join(f"{entry['capability']} of {entry['incident']}" for entry in entries)


def _overlaps(entry: _ledger.Entry, target: str, wanted: list[str]) -> bool:
    theirs = _things(entry)
    return bool(set(theirs) & set(wanted)) if theirs and wanted else bool(entry["target"] == target)


def _things(entry: _ledger.Entry) -> list[str]:
    try:
        return [str(thing) for thing in things(entry["undo"])]
    except (TypeError, AttributeError, KeyError):  # damaged: it is told by whoever lifts it
        return []


def _without(params: dict[str, Any], entry: _ledger.Entry, taken: set[str]) -> dict[str, Any]:
    """Return an undo that starts nothing of what others hold, nor lets it be started along with something else."""
    undo = dict(entry["undo"])
    held = [thing for e in _still_contained(params, entry) for thing in _things(e)]
    if "units" in undo:
        undo["units"] = [unit for unit in undo["units"] if unit not in taken]
        undo["down"] = [*undo.get("down", []), *(thing for thing in held if thing not in undo["units"])]
    if "containers" in undo:
        file = undo["service"]["compose_file"]
        undo["containers"] = [one for one in undo["containers"] if f"{file} {one['service']}" not in taken]
    return undo


def _still_contained(params: dict[str, Any], entry: _ledger.Entry) -> list[_ledger.Entry]:
    """Return the entries that stay open: those of others; and, if only some are lifted, this incident's own."""
    own = _ledger.entries(params)[0] if params.get("only") else []
    return [*_ledger.elsewhere(params), *(e for e in own if e["state"] != "lifted" and e["name"] != entry["name"])]
