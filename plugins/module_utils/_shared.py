"""What two incidents want contained stays so until both have let go of it (docs/decisions/0010)."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

# Undos that act on a thing which there is only once, be it for ten incidents. Rules and silences are each one's own.
KINDS = frozenset({"http_call", "service_start"})


def holders(params: dict[str, Any], kind: str, target: str) -> list[_ledger.Entry]:
    """Return the open entries of other incidents that hold the same thing, oldest first."""
    if kind not in KINDS:
        return []
    found = [e for e in _ledger.elsewhere(params) if (e["undo"].get("kind"), e["target"]) == (kind, target)]
    return sorted(found, key=lambda entry: str(entry.get("at")))


def join(params: dict[str, Any], kind: str, target: str, said: str, check_mode: bool) -> dict[str, Any]:
    """Given a target that is as it should be, return the action: unchanged.

    If it is so because of another incident, this one holds it from now on as well, by an entry with the same undo.
    """
    others = holders(params, kind, target)
    if not others:
        return action(target, "unchanged", said, verified=True)
    told = f"{said}, by {names(others)}"
    ours, _unreadable = _ledger.entries(params)
    mine = [e for e in ours if (e["undo"].get("kind"), e["target"]) == (kind, target) and e["state"] != "lifted"]
    if mine or check_mode:
        return action(target, "unchanged", told, verified=True)
    model = others[-1]
    entry = _ledger.intend(params, params["capability"], target, model["prior"], model["undo"])
    entry = _ledger.mark(entry, "applied")
    told += f"; it stays so until {params['incident_id']} is lifted as well{_ledger.caveat(entry)}"
    return action(target, "unchanged", told, entry=entry["name"], verified=True)


def names(entries: list[_ledger.Entry]) -> str:
    """Return whose entries these are, in words."""
    return ", ".join(f"{entry['capability']} of {entry['incident']}" for entry in entries)
