"""Health around a change that a service is to get well by: before, after, and how it is told."""

from __future__ import annotations

import time
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _health

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def verify(
    service: dict[str, Any], params: dict[str, Any], ask: Ask = _health.probe
) -> tuple[dict[str, Any] | None, float | None]:
    """Return what health, as `ask` sees it, says in the end, and when it first said so (monotonic seconds)."""
    if "health" not in service:
        return None, None
    deadline = time.monotonic() + params["within_s"]
    first = _health.hold(service["health"], 0, params["within_s"], ask)
    healthy_at = time.monotonic()
    if not first["healthy"]:
        return first, None
    seen = _health.hold(service["health"], params["window_s"], max(0.0, deadline - healthy_at), ask)
    return seen, healthy_at if seen["healthy"] else None


def probe(service: dict[str, Any]) -> dict[str, Any] | None:
    """Return what health says now; None where none is declared."""
    return _health.probe(service["health"]) if "health" in service else None


def settled(service: dict[str, Any], before: dict[str, Any], within_s: float) -> dict[str, Any]:
    """Return the first look at which the service is as well as it was before; the last one, if there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        seen = _health.probe(service["health"])
        if _health.rank(seen) >= _health.rank(before) or time.monotonic() > deadline:
            return seen
        time.sleep(_health.INTERVAL_S)


def figure(seen: dict[str, Any] | None) -> str:
    """Return what health said in a few characters."""
    if seen is None:
        return "health unknown: none is declared"
    return seen["detail"] if seen["status"] is None else str(seen["status"])
