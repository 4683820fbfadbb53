"""Turn on over HTTP what a service offers for an incident, and off again: roles maintenance_mode and circuit_breaker."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _http, _ledger, _shared
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

WAIT_S = 3.0  # for what was accepted to show in the status, where that does not say within_s
_PAUSE_S = 0.2


class ToggleError(OSError):
    """An endpoint did not do what it was asked; the message says which and what it answered."""


class Words(NamedTuple):
    """What the toggles of a capability are called, in the catalogue and in sentences."""

    key: str
    on: str
    off: str
    named: str
    is_on: str
    is_off: str
    turned_on: str
    turned_off: str


WORDS = {
    "maintenance_mode": Words("maintenance", "on", "off", "maintenance of", "on", "off", "turned on", "turned off"),
    "circuit_breaker": Words(
        "circuit_breakers", "open", "close", "circuit breaker", "open", "closed", "opened", "closed"
    ),
}


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Turn on what this host's services (those in `only`, when it names any) declare for the capability.

    Breakers that cut traffic are not this module's: the fact `egress` names them, for traffic_rule to open.
    """
    words = WORDS[params["capability"]]
    actions = []
    cuts: list[str] = []
    for service in services_of_host(params):
        named = params.get("breakers") or ()
        declared = [pair for pair in _toggles(service, words) if not named or pair[1].get("name") in named]
        toggles = [(target, toggle) for target, toggle in declared if "egress" not in toggle]
        cuts += [target for target, toggle in declared if "egress" in toggle]
        actions += [_turn_on(target, toggle, params, check_mode) for target, toggle in toggles]
        if not declared and params.get("only"):
            which = f"{words.key} named {', '.join(named)}" if named else words.key
            actions.append(action(service["name"], "skipped", f"{service['name']} declares no {which}"))
    diff = [
        {
            "before_header": row["target"],
            "before": f"{words.named} {row['target']} {words.is_off}\n",
            "after": f"{words.named} {row['target']} {words.is_on}\n",
        }
        for row in actions
        if row["outcome"] == "done"
    ]
    nothing = f"no service on this host declares {words.key}"
    if cuts:
        nothing = "no breaker on this host has an endpoint"
    return result(params["capability"], actions, facts={"egress": cuts} if cuts else {}, diff=diff, nothing=nothing)


def turn_off(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Call what an `http_call` entry says; return what to tell, and whether it was verified.

    Raise ToggleError if the endpoint refuses, or its status does not say that the toggle is off.
    """
    # The undo alone is enough to take it back; the capability only lends the words.
    undo, words = entry["undo"], WORDS.get(entry["capability"], WORDS["maintenance_mode"])
    name = f"{words.named} {entry['target']}"
    # A status that never said on (for it is not asked what it should be) must not keep lift from calling off.
    off_is_known = entry["state"] == "applied"
    if off_is_known and _look(undo)["on"] is False:
        return f"{name} was already {words.is_off}", True
    if check_mode:
        return f"{name} would be {words.turned_off}", False
    answer = _http.call(undo["request"])
    told = f"{words.off} of {entry['target']} answered {_http.in_words(answer, 0)}"
    if not _http.accepted(undo["request"], answer):
        # It may have been heard all the same.
        if not (off_is_known and answer["sent"] and _wait_for(undo, False)["on"] is False):
            raise ToggleError(told)
        return f"{name} {words.turned_off}: {told}, but status says so", True
    if "status" not in undo:
        return f"{name} {words.turned_off}; it declares no status to verify this by", False
    seen = _wait_for(undo, False)
    if seen["on"] is not False:
        raise ToggleError(f"{told}, but status says {seen['said']}")
    return f"{name} {words.turned_off}", True


def requests(service: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each request that a service declares, with its capability and where it stands in the catalogue."""
    return [
        (capability, ".".join(filter(None, (words.key, target.partition("/")[2], key))), toggle[key])
        for capability, words in WORDS.items()
        for target, toggle in _toggles(service, words)
        for key in (words.on, words.off, "status")
        if key in toggle
    ]


def _toggles(service: dict[str, Any], words: Words) -> list[tuple[str, dict[str, Any]]]:
    """Return what a service declares, each with the target that the ledger knows it by."""
    if words.key not in service:
        return []
    declared, name = service[words.key], service["name"]
    if isinstance(declared, dict):
        return [(name, declared)]
    return [(f"{name}/{toggle['name']}", toggle) for toggle in declared]


def _turn_on(target: str, toggle: dict[str, Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    capability = params["capability"]
    words = WORDS[capability]
    name = f"{words.named} {target}"
    on, undo = toggle[words.on], _undo(toggle, words)
    goal = {"on": True, "url": on["url"]}
    try:
        before = _look(undo)
        earlier = _ledger.latest_open(params, capability, target)
        if before["on"]:
            if earlier is not None and earlier["state"] == "intended" and not check_mode:
                _ledger.mark(earlier, "applied")  # it came on, and whoever called it was cut off
            row = _shared.join(params, "http_call", target, f"{name} is already {words.is_on}", check_mode)
            return between(row, goal, goal)
        if "status" not in undo and earlier is not None and earlier["state"] == "applied":
            summary = f"{name} was {words.turned_on} earlier in this incident; {before['said']}"
            return between(action(target, "unchanged", summary, entry=earlier["name"], verified=False), goal, goal)
        ends = {**goal, "on": before["on"]}, goal
        # Before anything is recorded or done: what cannot be turned off again must not be turned on.
        _http.check(on)
        _http.check(undo["request"])
        if check_mode:
            return between(action(target, "done", f"{name} would be {words.turned_on}"), *ends)
        if earlier is not None and earlier["undo"] == undo:
            # It is off again, and lift would believe a status that says so while this call may yet be heard.
            return between(_call_on(on, _ledger.mark(earlier, "intended"), again=True), *ends)
        entry = _ledger.intend(params, capability, target, {"status": before}, undo)
        return between(_call_on(on, entry, again=False), *ends)
    except OSError as error:
        return action(target, "failed", str(error))


def _call_on(request: dict[str, Any], entry: _ledger.Entry, again: bool) -> dict[str, Any]:
    """Turn it on, and see it on. `again` says that the entry is of an earlier try, which may yet have been heard."""
    target, undo, words = entry["target"], entry["undo"], WORDS[entry["capability"]]
    name = f"{words.named} {target}"
    answer = _http.call(request)
    told = f"{words.on} of {target} answered {_http.in_words(answer, 0)}"
    took = _http.accepted(request, answer)
    if not answer["sent"] and not again:
        _ledger.mark(entry, "lifted")  # nothing was asked, so there is nothing to take back
        return action(target, "failed", told, verified=False)
    # Without an answer it may yet come on.
    seen = _wait_for(undo, True) if took or answer["status"] is None else _look(undo)
    if not took and not seen["on"]:
        if answer["status"] is not None and seen["on"] is False:  # refused, and seen to be off
            _ledger.mark(entry, "lifted")
            return action(target, "failed", told, verified=False)
        return action(target, "failed", told, entry=entry["name"], verified=False)
    if seen["on"] is False:
        summary = f"{told}, but status says {seen['said']}"
        return action(target, "failed", summary, entry=entry["name"], verified=False)
    entry = _ledger.mark(entry, "applied")
    unsure = "" if seen["on"] else f", not verified: {seen['said']}"
    unsure += "" if took else f": {told}, but status says so"
    summary = f"{name} {words.turned_on}{unsure}{_ledger.caveat(entry)}"
    return action(target, "done", summary, entry=entry["name"], verified=bool(seen["on"]))


def _undo(toggle: dict[str, Any], words: Words) -> dict[str, Any]:
    """Return all that lift needs; the status only where there is something to compare its answer with."""
    undo: dict[str, Any] = {"kind": "http_call", "request": toggle[words.off]}
    expect = toggle.get("status", {}).get("expect", toggle[words.on].get("json"))
    if "status" in toggle and isinstance(expect, dict) and expect:
        undo.update(status=toggle["status"], expect=expect)
    return undo


def _look(undo: dict[str, Any]) -> dict[str, Any]:
    """Read the status: {on: True, False or None (cannot tell), said: what it said of the expected keys}."""
    if "status" not in undo:
        return {"on": None, "said": "it declares no status to compare"}
    answer = _http.call(undo["status"])
    if not _http.accepted(undo["status"], answer):
        return {"on": None, "said": _http.in_words(answer, 0)}
    if not answer["whole"]:
        return {"on": None, "said": "more than is read of a status"}
    try:
        body = json.loads(answer["body"])
    except (ValueError, RecursionError):
        body = None
    expect = undo["expect"]
    said = {key: body[key] for key in expect if isinstance(body, dict) and key in body}
    on = _agrees(expect, said)
    return {"on": on, "said": said or f"nothing about {', '.join(expect)}"}


def _agrees(expect: Any, said: Any) -> bool | None:
    """Compare what both speak of, in mappings within mappings as well; None if that is nothing."""
    if not (isinstance(expect, dict) and isinstance(said, dict)):
        return bool(expect == said)
    shared = [_agrees(expect[key], said[key]) for key in expect if key in said]
    return False if False in shared else True if True in shared else None


def _wait_for(undo: dict[str, Any], on: bool) -> dict[str, Any]:
    deadline = time.monotonic() + float(undo.get("status", {}).get("within_s", WAIT_S))
    seen = _look(undo)
    while "status" in undo and seen["on"] is not on and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        seen = _look(undo)
    return seen
