"""Stop services, and start them again: the work of roles isolation and scale_down, and their undo."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _control, _health, _ledger, _shared
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

HEALTH_WITHIN_S = 30.0


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Stop this host's services that are meant: those in `only`, or, with `non_essential`, those marked so.

    A service that already stands still is `unchanged` and gets no ledger entry, unless another incident stopped it:
    lift starts exactly what was stopped here.
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
    actions = [_stop(service, params, check_mode) for service in meant]
    diff = [
        {"before_header": row["target"], "before": "running\n", "after": "stopped\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    which = "service marked essential: false" if params["non_essential"] else "named service"
    return result(capability, actions, diff=diff, nothing=f"no {which} runs on this host")


def start_again(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Start what a `service_start` entry says was stopped; return what to tell, and whether it was verified.

    A service that runs but is not healthy within 30 seconds is told, not failed: it was started.
    Raise ControlError if it does not start.
    """
    service = entry["undo"]["service"]
    name = service["name"]
    if _control.is_running(service):
        return f"{name} was already running", True
    if check_mode:
        return f"{name} would be started", False
    _control.start(service)
    if "health" not in service:
        return f"{name} started", True
    seen = _health.hold(service["health"], window_s=0, within_s=HEALTH_WITHIN_S)
    how = "and healthy" if seen["healthy"] else "but not healthy"
    return f"{name} started {how}: {seen['detail']}", True


def _stop(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = service["name"]
    try:
        if not _control.is_running(service):
            return _shared.join(params, "service_start", name, f"{name} is not running", check_mode)
        if check_mode:
            return action(name, "done", f"{name} would be stopped")
        undo = {"kind": "service_start", "service": _control.handle(service)}
        entry = _ledger.intend_once(params, params["capability"], name, {"running": True}, undo)
        _control.stop(service)
        entry = _ledger.mark(entry, "applied")
    except OSError as error:
        return action(name, "failed", str(error))
    summary = f"{name} stopped{_ledger.caveat(entry)}"
    return action(name, "done", summary, entry=entry["name"], verified=True)
