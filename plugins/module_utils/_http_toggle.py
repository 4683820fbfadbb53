"""Turn a service's own maintenance mode on over HTTP, and off again: the work of role maintenance_mode."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _http, _ledger
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

WAIT_S = 3.0  # for what was accepted to show in the status
_PAUSE_S = 0.2


class ToggleError(OSError):
    """An endpoint did not do what it was asked; the message says which and what it answered."""


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Turn maintenance on for this host's services that declare it (those in `only`, when it names any)."""
    services = [s for s in services_of_host(params) if "maintenance" in s or params.get("only")]
    actions = [_turn_on(service, params, check_mode) for service in services]
    diff = [
        {"before_header": row["target"], "before": "not in maintenance\n", "after": "in maintenance\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    nothing = "no service on this host declares maintenance"
    return result(params["capability"], actions, diff=diff, nothing=nothing)


def turn_off(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Call what an `http_call` entry says; return what to tell, and whether it was verified.

    Raise ToggleError if the endpoint refuses, or its status does not say that the toggle is off.
    """
    undo, name = entry["undo"], entry["target"]
    if _look(undo)["on"] is False:
        return f"maintenance of {name} was already off", True
    if check_mode:
        return f"maintenance of {name} would be turned off", False
    answer = _http.call(undo["request"])
    if not _accepted(undo["request"], answer):
        raise ToggleError(f"off of {name} answered {_answered(answer)}")
    if "status" not in undo:
        return f"maintenance of {name} turned off; it declares no status to verify this by", False
    seen = _wait_for(undo, False)
    if seen["on"] is not False:
        raise ToggleError(f"off of {name} answered {_answered(answer)}, but status says {seen['said']}")
    return f"maintenance of {name} turned off", True


def _turn_on(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = service["name"]
    if "maintenance" not in service:
        return action(name, "skipped", f"{name} declares no maintenance")
    toggle, undo = service["maintenance"], _undo(service["maintenance"])
    try:
        before = _look(undo)
        earlier = _ledger.latest_open(params, params["capability"], name)
        if before["on"]:
            return action(name, "unchanged", f"maintenance of {name} is already on", verified=True)
        if "status" not in undo and earlier is not None and earlier["state"] == "applied":
            summary = f"maintenance of {name} was turned on earlier in this incident; {before['said']}"
            return action(name, "unchanged", summary, entry=earlier["name"], verified=False)
        if check_mode:
            return action(name, "done", f"maintenance of {name} would be turned on")
        # Before anything is recorded or done: what cannot be turned off again must not be turned on.
        _http.check_secret(toggle["on"])
        _http.check_secret(toggle["off"])
        entry = _ledger.intend_once(params, params["capability"], name, {"status": before}, undo)
        return _call_on(toggle["on"], entry)
    except OSError as error:
        return action(name, "failed", str(error))


def _call_on(request: dict[str, Any], entry: _ledger.Entry) -> dict[str, Any]:
    name, undo = entry["target"], entry["undo"]
    answer = _http.call(request)
    told = f"on of {name} answered {_answered(answer)}"
    if not _accepted(request, answer):
        # Refused, and seen to be off: nothing is left to take back. Without an answer it may yet come on.
        if answer["status"] is not None and _look(undo)["on"] is False:
            _ledger.mark(entry, "lifted")
            return action(name, "failed", told, verified=False)
        return action(name, "failed", told, entry=entry["name"], verified=False)
    seen = _wait_for(undo, True)
    if seen["on"] is False:
        summary = f"{told}, but status says {seen['said']}"
        return action(name, "failed", summary, entry=entry["name"], verified=False)
    _ledger.mark(entry, "applied")
    unsure = "" if seen["on"] else f", not verified: {seen['said']}"
    summary = f"maintenance of {name} turned on{unsure}"
    return action(name, "done", summary + _ledger.caveat(entry), entry=entry["name"], verified=bool(seen["on"]))


def _undo(toggle: dict[str, Any]) -> dict[str, Any]:
    """Return all that lift needs; the status only where there is something to compare its answer with."""
    undo: dict[str, Any] = {"kind": "http_call", "request": toggle["off"]}
    expect = toggle.get("status", {}).get("expect", toggle["on"].get("json"))
    if "status" in toggle and isinstance(expect, dict) and expect:
        undo.update(status=toggle["status"], expect=expect)
    return undo


def _look(undo: dict[str, Any]) -> dict[str, Any]:
    """Read the status: {on: True, False or None (cannot tell), said: what it said of the expected keys}."""
    if "status" not in undo:
        return {"on": None, "said": "it declares no status to compare"}
    answer = _http.call(undo["status"])
    if not _accepted(undo["status"], answer):
        return {"on": None, "said": _answered(answer)}
    try:
        body = json.loads(answer["body"])
    except (ValueError, RecursionError):
        body = None
    expect = undo["expect"]
    said = {key: body[key] for key in expect if isinstance(body, dict) and key in body}
    if not said:
        return {"on": None, "said": f"nothing about {', '.join(expect)}"}
    return {"on": all(said[key] == expect[key] for key in said), "said": said}


def _wait_for(undo: dict[str, Any], on: bool) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    seen = _look(undo)
    while "status" in undo and seen["on"] is not on and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        seen = _look(undo)
    return seen


def _accepted(request: dict[str, Any], answer: dict[str, Any]) -> bool:
    status = answer["status"]
    if "expect_status" in request:
        return str(status) == str(request["expect_status"])
    return status is not None and 200 <= status < 300


def _answered(answer: dict[str, Any]) -> str:
    status = answer["status"]
    if status is None:
        return f"nothing ({answer['error']})"
    return f"{status} (a redirect is not followed)" if 300 <= status < 400 else str(status)
