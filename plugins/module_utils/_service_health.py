"""How the services of a host are: health, whether they run, and what they depend on; all asked at once."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _dependencies,
    _health,
    _parallel,
)
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

DETAIL_CHARS = 300
_STATUS_S = 65.0  # a status command that hangs is ended after 60 s
_GRACE = 2.0
_OF_WINDOW = ("probes", "failures", "p50_ms", "max_ms")
_NOTHING_TO_ASK = "neither health nor manager is declared: nothing tells whether it is healthy"

Seen = dict[str, Any]


def look(services: list[dict[str, Any]], window_s: float = 0, within_s: float = 0) -> dict[str, Seen]:
    """Given services, return by name how each is: {healthy, status, latency_ms, detail, running, depends_on}.

    With `window_s`, health must come within `within_s` seconds and then hold for the window: then {probes, failures,
    p50_ms, max_ms}, too. `healthy` and `running` are None where nothing can tell.
    """
    span = window_s + within_s if window_s else 0
    health = _parallel.each(
        lambda service: _ask(service, window_s, within_s), services, span + max(map(_patience, services), default=0)
    )
    running = _parallel.each(_running, services, _STATUS_S)
    depends_on = _depends_on(services)
    return {
        service["name"]: _joined(service, health[i], running[i], depends_on[i]) for i, service in enumerate(services)
    }


def _ask(service: dict[str, Any], window_s: float, within_s: float) -> Seen:
    if "health" not in service:
        return _ask_manager(service, window_s, within_s)
    if not window_s:
        return _health.probe(service["health"])
    return _held(_health.hold(service["health"], window_s, within_s), window_s)


def _ask_manager(service: dict[str, Any], window_s: float, within_s: float) -> Seen:
    """Without a health check, a service is as healthy as its manager says that it runs."""
    if "manager" not in service:
        return _unknown(_NOTHING_TO_ASK)
    try:
        if not window_s:
            return _by_manager(service)
        return _held(_health.hold(service, window_s, within_s, ask=_by_manager), window_s)
    except OSError as error:
        return _unknown(str(error))


def _by_manager(service: dict[str, Any]) -> Seen:
    runs = _control.is_running(service)
    said = f"{'running' if runs else 'not running'}, says its manager; no health check is declared"
    return {"healthy": runs, "status": None, "latency_ms": 0.0, "detail": said}


def _held(seen: Seen, window_s: float) -> Seen:
    if seen["healthy"]:
        detail = f"{seen['detail']}; held for {window_s:g} s"
    else:
        count = f"{seen['failures']} of {seen['probes']} probes failed"
        detail = f"not healthy for {window_s:g} s on end ({count}); last: {seen['detail']}"
    return {**seen, "detail": detail}


def _unknown(detail: str) -> Seen:
    return {"healthy": None, "status": None, "latency_ms": 0.0, "detail": detail}


def _patience(service: dict[str, Any]) -> float:
    """How long one answer may take before we go on without it: a name server can hang far beyond a timeout."""
    return 2 * float(service["health"].get("timeout_s", 3)) + _GRACE if "health" in service else _STATUS_S


def _running(service: dict[str, Any]) -> tuple[bool | None, str]:
    """Return whether the manager says that the service runs, and if it cannot tell, why."""
    if "manager" not in service:
        return None, ""
    try:
        return _control.is_running(service), ""
    except OSError as error:
        return None, str(error)


def _depends_on(services: list[dict[str, Any]]) -> list[list[Seen]]:
    wanted = [
        (i, {**_patience_with(service), **dependency})
        for i, service in enumerate(services)
        for dependency in service.get("depends_on", [])
    ]
    found: list[list[Seen]] = [[] for _service in services]
    for (i, _dependency), answer in zip(wanted, _dependencies.ask_all([dependency for _i, dependency in wanted])):
        found[i].append(answer)
    return found


def _patience_with(service: dict[str, Any]) -> dict[str, float]:
    """Return from when on a dependency is slow: half of the time that the service itself has to say how it is."""
    timeout_s = float(service["health"].get("timeout_s", 3)) if "health" in service else _dependencies.SLOW_MS / 500
    return {"slow_ms": min(_dependencies.SLOW_MS, 500 * timeout_s)}


def _joined(service: dict[str, Any], health: Seen | None, running: Any, depends_on: list[Seen]) -> Seen:
    seen = health or {**_unknown("no answer in time"), "healthy": False}
    runs, why_unknown = running or (None, "its manager did not answer in time")
    detail = seen["detail"]
    if why_unknown and "health" in service:
        detail += f"; unknown whether it runs: {why_unknown}"
    elif runs is False and seen["healthy"]:
        detail += "; but its manager says that it does not run"
    return {
        "healthy": seen["healthy"],
        "status": seen["status"],
        "latency_ms": seen["latency_ms"],
        "detail": clean(detail, DETAIL_CHARS),
        "running": runs,
        "depends_on": depends_on,
        **{key: seen[key] for key in _OF_WINDOW if key in seen},
    }
