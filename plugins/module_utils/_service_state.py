"""Stop services, and start them again: the work of roles isolation and scale_down, and the undo of all that stops them."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _health,
    _ledger,
    _order,
    _service_restart,
    _shared,
    _stopping,
    _systemd_state,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

HEALTH_WITHIN_S = 30.0
HEALTH_IN_ALL_S = 120.0  # of one lift, however many services stay sick

_waited: list[float] = []  # seconds that this process, one lift, has waited for health


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Stop this host's services that are meant: those in `only`, or, with `non_essential`, those marked so.

    What depends on others is stopped first. A service that already stands still is `unchanged` and gets no ledger entry,
    unless another incident stopped it: lift starts exactly what was stopped here.
    """
    capability = params["capability"]
    if params.get("state") == "restarted":
        return _service_restart.run(params, check_mode)
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


def capability(params: dict[str, Any]) -> str:
    """Return the role that a state belongs to."""
    return _service_restart.CAPABILITY if params.get("state") == "restarted" else str(params["capability"])


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
    todo, told = _stopping.missing(undo)
    if not todo:
        return "; ".join([f"{name} was already running", *told]), True
    what = _stopping.in_brackets(todo, undo)
    if check_mode:
        return "; ".join([f"{name} would be started{what}", *told]), False
    told += _stopping.start(undo, todo)
    summary = f"{name} started{what}{_health_of(undo['service'])}"
    return "; ".join([summary, *told]), True


def _stop(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = service["name"]
    try:
        plan = _stopping.plan(service, params)
        undo = {
            "kind": "service_start",
            "service": _control.handle(service),
            "after": _stopping.depends_on(service),
            **plan.undo,
        }
        if not plan.runs:
            said = f"{name} is not running" + (f": {plan.said}" if plan.said else "")
            return between(
                _shared.join(params, "service_start", name, said, check_mode, undo), {"runs": []}, {"runs": []}
            )
        if plan.refusal:
            return action(name, "refused", f"{name} was not stopped: {plan.refusal}")
        what, ends = _stopping.in_brackets(plan.runs, undo), ({"runs": sorted(plan.runs)}, {"runs": []})
        if check_mode:
            return between(action(name, "done", f"{name} would be stopped{what}"), *ends)
        undo = _stopping.begun(params, name, undo)
        entry = _ledger.intend_once(params, params["capability"], name, {"running": True}, undo)
        told = _stopping.halt(service, undo, params)
        entry = _ledger.mark(entry, "applied")
    except OSError as error:
        return action(name, "failed", str(error))
    summary = "; ".join([f"{name} stopped{what}", *told]) + _ledger.caveat(entry)
    return between(action(name, "done", summary, entry=entry["name"], verified=True), *ends)


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
        service["name"]: [one["name"] for one in services if service["name"] in _stopping.depends_on(one)]
        for service in services
    }
    for service in services if len(services) > 1 else ():
        if service.get("manager") == "systemd":
            with contextlib.suppress(OSError):  # which is told when it is its turn
                family = _systemd_state.plan(service["unit"]).family
                needy[service["name"]] += [one["name"] for one in services if one.get("unit") in family]
    return lambda service: needy[service["name"]]


def _needs(entry: _ledger.Entry) -> list[str]:
    after = entry["undo"].get("after")
    return [str(name) for name in after] if isinstance(after, list) else []
