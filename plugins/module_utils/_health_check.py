"""Are the services of a host healthy? The work of role health_check, which is asked often: it brings no more than it needs."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _fitting,
    _service_health,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

Facts = dict[str, Any]


def run(params: dict[str, Any], _check_mode: bool) -> Result:
    """Ask this host's services how they are: one that is sick, or of which nothing can tell, has failed the check."""
    services = services_of_host(params)
    seen = _service_health.look(services, params["window_s"], params["within_s"])
    actions = [
        action(name, "unchanged" if health["healthy"] else "failed", summary(name, health))
        for name, health in seen.items()
    ]
    answer = result(
        "health_check", actions, facts=_fitting.fitting({"services": seen}), nothing="no such service on this host"
    )
    # What a service depends on may fail while it copes, or while a circuit breaker keeps it off: no verdict on it.
    warnings = [
        summary(name, health)
        for name, health in seen.items()
        if health["healthy"] and (failing(health) or not_asked(health))
    ]
    return {**answer, "warnings": warnings} if warnings else answer


def summary(name: str, health: Facts) -> str:
    """Say how a service is, and which of its dependencies fail."""
    those = [f"dependency {d['name']} fails: {d['detail']}" for d in failing(health)]
    return "; ".join([f"{name}: {health['detail']}", *those, *not_asked(health)])


def failing(health: Facts) -> list[Facts]:
    """Return the dependencies that fail."""
    return [dependency for dependency in health["depends_on"] if dependency["ok"] is False]


def not_asked(health: Facts) -> list[str]:
    """Say which dependencies could not be asked, and why."""
    return [f"dependency {d['name']} {d['detail']}" for d in health["depends_on"] if d["ok"] is None]
