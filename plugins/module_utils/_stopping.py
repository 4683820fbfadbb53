"""What stopping a service comes to, whatever its manager, and how exactly that is started again."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose_state,
    _control,
    _ledger,
    _shared,
    _systemd_state,
    _text,
)

GRACE_S = 30.0
_GRACE_LIMIT_S = 3600.0
_LINE = 200  # characters of a line that are shown


class Plan(NamedTuple):
    """What stopping a service comes to, whatever its manager."""

    runs: list[str]  # what runs of it and is stopped, by name
    undo: dict[str, Any]
    said: str = ""  # how it is, in words, if there is more to say than that it does not run
    refusal: str = ""


def in_brackets(parts: list[str], undo: dict[str, Any]) -> str:
    """Name what is stopped or started, if a service is more than one thing."""
    return f" ({', '.join(parts)})" if max(len(parts), len(_shared.things(undo))) > 1 else ""


def plan(service: dict[str, Any], params: dict[str, Any]) -> Plan:
    """Return what is to be stopped, and how to start it again: what runs, and what another incident keeps from running."""
    if service.get("manager") == "systemd":
        seen = _systemd_state.plan(service["unit"])
        held = {
            unit
            for entry in _shared.holders(params, "service_start", "", seen.family)
            for unit in entry["undo"]["units"]
        }
        units = [unit for unit in seen.family if unit in held or unit in seen.units]
        undo = {"units": units, "down": seen.down, "definition": seen.definition}
        return Plan(seen.units, undo, seen.said, seen.refusal)
    if service.get("manager") == "compose":
        here = _compose_state.plan(service)
        file = service["compose_file"]
        wanted = [f"{file} {one}" for one in here.family]
        others = [entry["undo"]["containers"] for entry in _shared.holders(params, "service_start", "", wanted)]
        known = {one["id"]: one for one in here.containers}
        known.update({one["id"]: one for several in others for one in several if one["service"] in here.family})
        runs = [one["name"] for one in here.containers]
        return Plan(runs, {"containers": list(known.values())}, here.said)
    return Plan([service["name"]] if _control.is_running(service) else [], {})


def idle(service: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return what of a service stands still and is to run, by name, and an undo that starts it. Raise OSError."""
    if service.get("manager") == "systemd":
        units = _systemd_state.idle(service["unit"])
        return units, {"units": units}
    if service.get("manager") == "compose":
        containers = _compose_state.idle(service)
        return [one["name"] for one in containers], {"containers": containers}
    return ([] if _control.is_running(service) else [service["name"]]), {}


def lives(undo: dict[str, Any]) -> dict[str, str | None]:
    """Return of each part of an undo which life it lives: "" between two, None where it is down.

    Another life than a moment ago: it ended, and was started anew by its manager.
    """
    service = undo["service"]
    if "units" in undo:
        return _systemd_state.lives(undo["units"])
    if "containers" in undo:
        return _compose_state.lives(service, undo["containers"])
    return {service["name"]: "it runs" if _control.is_running(service) else None}


def last_words(undo: dict[str, Any], lines: int) -> list[str]:
    """Return the last lines that the parts of an undo said, where their manager keeps them, fit to be shown."""
    said = ""
    if "units" in undo:
        said = _systemd_state.last_words(undo["units"], lines)
    elif "containers" in undo:
        said = _compose_state.last_words(undo["service"], lines)
    return [_text.clean(line, _LINE) for line in said.splitlines() if line.strip()][-lines:]


def begun(params: dict[str, Any], name: str, undo: dict[str, Any]) -> dict[str, Any]:
    """Return the undo of an earlier try that was cut off, if it holds all that this one does: what is down, it stopped."""
    earlier = _ledger.latest_open(params, params["capability"], name)
    if earlier is not None and earlier["state"] == "intended" and earlier["undo"].get("kind") == undo["kind"]:
        before, today = earlier["undo"], set(_shared.things(undo))
        if today and today <= set(_shared.things(before)):
            return dict(before)
    return undo


def halt(service: dict[str, Any], undo: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """Stop what an undo names, `grace_s` seconds at most for each; return what is to be told of it. Raise OSError."""
    grace_s = min(max(0.0, float(params.get("grace_s", GRACE_S))), _GRACE_LIMIT_S)
    if "units" in undo:
        return _systemd_state.stop(undo["units"], grace_s)
    if "containers" in undo:
        return _compose_state.stop(service, undo["containers"], grace_s)
    _control.stop(service, grace_s)
    return []


def missing(undo: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what of an undo does not run now, by name, and what is to be told of how it is."""
    service = undo["service"]
    if "units" in undo:
        changed = _systemd_state.changes(service["unit"], undo.get("definition", ""))
        return _systemd_state.to_start(undo["units"]), [changed] if changed else []
    if "containers" in undo:
        now = _compose_state.now(service, undo["containers"])
        return [*(one.name for one in now.start), *now.create], now.told
    return ([] if _control.is_running(service) else [service["name"]]), []


def start(undo: dict[str, Any], todo: list[str]) -> list[str]:
    """Start what of an undo is `missing`; return what is to be told of it. Raise OSError if it does not start."""
    service = undo["service"]
    if "units" in undo:
        return _systemd_state.start(todo, undo.get("down", []))
    if "containers" in undo:
        _compose_state.start(service, _compose_state.now(service, undo["containers"]))
    else:
        _control.start(service)
    return []


def depends_on(service: dict[str, Any]) -> list[str]:
    """Return the names of the services that a service depends on."""
    return [dependency["name"] for dependency in service.get("depends_on", [])]
