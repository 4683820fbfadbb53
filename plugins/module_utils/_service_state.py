"""Stop services, and start them again: the work of roles isolation and scale_down, and their undo."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose_state,
    _control,
    _health,
    _ledger,
    _order,
    _shared,
    _systemd_state,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

GRACE_S = 30.0
_GRACE_LIMIT_S = 3600.0
HEALTH_WITHIN_S = 30.0
HEALTH_IN_ALL_S = 120.0  # of one lift, however many services stay sick

_waited: list[float] = []  # seconds that this process, one lift, has waited for health


class _Plan(NamedTuple):
    """What stopping a service comes to, whatever its manager."""

    runs: list[str]  # what runs of it and is stopped, by name
    undo: dict[str, Any]
    said: str = ""  # how it is, in words, if there is more to say than that it does not run
    refusal: str = ""


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Stop this host's services that are meant: those in `only`, or, with `non_essential`, those marked so.

    What depends on others is stopped first. A service that already stands still is `unchanged` and gets no ledger entry,
    unless another incident stopped it: lift starts exactly what was stopped here.
    """
    capability = params["capability"]
    if not params["non_essential"] and not params.get("only"):
        refusal = "no service was named: set the role's _only to the services to stop"
        return result(capability, [action("services", "refused", refusal)])
    meant = [
        service
        for service in services_of_host(params)
        if not params["non_essential"] or service.get("essential", True) is False
    ]
    needed_last = _order.needed_first(meant, lambda service: service["name"], _who_needs(meant))
    rows = {service["name"]: _stop(service, params, check_mode) for service in needed_last}
    actions = [rows[service["name"]] for service in meant]
    diff = [
        {"before_header": row["target"], "before": "running\n", "after": "stopped\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    which = "service marked essential: false" if params["non_essential"] else "named service"
    return result(capability, actions, diff=diff, nothing=f"no {which} runs on this host")


def in_order(entries: list[_ledger.Entry]) -> list[_ledger.Entry]:
    """Given what is to be lifted, newest first, return it so that a service comes after those it depends on."""
    return _order.needed_first(entries, lambda entry: entry["target"], _needs)


def start_again(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Start what a `service_start` entry says was stopped; return what to tell, and whether it was verified.

    A service that runs but is not healthy within 30 seconds (120 for all of one lift) is told, not failed: it was started.
    Raise OSError if it does not start.
    """
    undo = entry["undo"]
    name = undo["service"]["name"]
    todo, told = _missing(undo)
    if not todo:
        return "; ".join([f"{name} was already running", *told]), True
    what = _in_brackets(todo, undo)
    if check_mode:
        return "; ".join([f"{name} would be started{what}", *told]), False
    told += _start(undo, todo)
    summary = f"{name} started{what}{_health_of(undo['service'])}"
    return "; ".join([summary, *told]), True


def _stop(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = service["name"]
    try:
        plan = _plan(service, params)
        undo = {
            "kind": "service_start",
            "service": _control.handle(service),
            "after": _depends_on(service),
            **plan.undo,
        }
        if not plan.runs:
            said = f"{name} is not running" + (f": {plan.said}" if plan.said else "")
            return between(
                _shared.join(params, "service_start", name, said, check_mode, undo), {"runs": []}, {"runs": []}
            )
        if plan.refusal:
            return action(name, "refused", f"{name} was not stopped: {plan.refusal}")
        what, ends = _in_brackets(plan.runs, undo), ({"runs": sorted(plan.runs)}, {"runs": []})
        if check_mode:
            return between(action(name, "done", f"{name} would be stopped{what}"), *ends)
        undo = _begun(params, name, undo)
        entry = _ledger.intend_once(params, params["capability"], name, {"running": True}, undo)
        told = _halt(service, undo, min(max(0.0, float(params.get("grace_s", GRACE_S))), _GRACE_LIMIT_S))
        entry = _ledger.mark(entry, "applied")
    except OSError as error:
        return action(name, "failed", str(error))
    summary = "; ".join([f"{name} stopped{what}", *told]) + _ledger.caveat(entry)
    return between(action(name, "done", summary, entry=entry["name"], verified=True), *ends)


def _in_brackets(parts: list[str], undo: dict[str, Any]) -> str:
    """Name what is stopped or started, if a service is more than one thing."""
    return f" ({', '.join(parts)})" if max(len(parts), len(_shared.things(undo))) > 1 else ""


def _plan(service: dict[str, Any], params: dict[str, Any]) -> _Plan:
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
        return _Plan(seen.units, undo, seen.said, seen.refusal)
    if service.get("manager") == "compose":
        here = _compose_state.plan(service)
        file = service["compose_file"]
        wanted = [f"{file} {one}" for one in here.family]
        others = [entry["undo"]["containers"] for entry in _shared.holders(params, "service_start", "", wanted)]
        known = {one["id"]: one for one in here.containers}
        known.update({one["id"]: one for several in others for one in several if one["service"] in here.family})
        runs = [one["name"] for one in here.containers]
        return _Plan(runs, {"containers": list(known.values())}, here.said)
    return _Plan([service["name"]] if _control.is_running(service) else [], {})


def _begun(params: dict[str, Any], name: str, undo: dict[str, Any]) -> dict[str, Any]:
    """Return the undo of an earlier try that was cut off, if it holds all that this one does: what is down, it stopped."""
    earlier = _ledger.latest_open(params, params["capability"], name)
    if earlier is not None and earlier["state"] == "intended" and earlier["undo"].get("kind") == undo["kind"]:
        before, today = earlier["undo"], set(_shared.things(undo))
        if today and today <= set(_shared.things(before)):
            return dict(before)
    return undo


def _halt(service: dict[str, Any], undo: dict[str, Any], grace_s: float) -> list[str]:
    if "units" in undo:
        return _systemd_state.stop(undo["units"], grace_s)
    if "containers" in undo:
        return _compose_state.stop(service, undo["containers"], grace_s)
    _control.stop(service, grace_s)
    return []


def _missing(undo: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what of an undo does not run now, by name, and what is to be told of how it is."""
    service = undo["service"]
    if "units" in undo:
        changed = _systemd_state.changes(service["unit"], undo.get("definition", ""))
        return _systemd_state.to_start(undo["units"]), [changed] if changed else []
    if "containers" in undo:
        now = _compose_state.now(service, undo["containers"])
        return [*(one.name for one in now.start), *now.create], now.told
    return ([] if _control.is_running(service) else [service["name"]]), []


def _start(undo: dict[str, Any], todo: list[str]) -> list[str]:
    service = undo["service"]
    if "units" in undo:
        return _systemd_state.start(todo, undo.get("down", []))
    if "containers" in undo:
        _compose_state.start(service, _compose_state.now(service, undo["containers"]))
    else:
        _control.start(service)
    return []


def _health_of(service: dict[str, Any]) -> str:
    """Wait until a service is healthy, while there is time; return how it is, in words."""
    if "health" not in service:
        return ""
    began = time.monotonic()
    within_s = max(0.0, min(HEALTH_WITHIN_S, HEALTH_IN_ALL_S - sum(_waited)))
    seen = _health.hold(service["health"], window_s=0, within_s=within_s)
    _waited.append(time.monotonic() - began)
    how = "and healthy" if seen["healthy"] else f"but not healthy within {within_s:g} s"
    return f" {how}: {seen['detail']}"


def _who_needs(services: list[dict[str, Any]]) -> Callable[[dict[str, Any]], list[str]]:
    """Return what tells of a service which others depend on it: by the catalogue, or because they go down with it."""
    needy = {
        service["name"]: [one["name"] for one in services if service["name"] in _depends_on(one)]
        for service in services
    }
    for service in services if len(services) > 1 else ():
        if service.get("manager") == "systemd":
            with contextlib.suppress(OSError):  # which is told when it is its turn
                family = _systemd_state.plan(service["unit"]).family
                needy[service["name"]] += [one["name"] for one in services if one.get("unit") in family]
    return lambda service: needy[service["name"]]


def _depends_on(service: dict[str, Any]) -> list[str]:
    return [dependency["name"] for dependency in service.get("depends_on", [])]


def _needs(entry: _ledger.Entry) -> list[str]:
    after = entry["undo"].get("after")
    return [str(name) for name in after] if isinstance(after, list) else []
