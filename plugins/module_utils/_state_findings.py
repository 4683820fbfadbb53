"""How a service is, and whether what it depends on answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding

_ABOUT = ("name", "check", "detail", "failing", "host", "port", "resolver", "connections")


def of_state(name: str, facts: dict[str, Any], contained_by: str | None) -> Iterator[Finding]:
    """Given the facts of a service, and which capability of this incident has stopped it, say what is wrong with it."""
    health = facts["health"]
    if contained_by is not None and not health["healthy"]:
        text = f"{name}: stopped by {contained_by} of this incident"
        yield finding("info", "contained", text, name, by=contained_by)
        return
    for dependency in health["depends_on"]:
        if not dependency["ok"]:
            what = f"its dependency {dependency['name']} ({dependency['check']}) fails: {dependency['detail']}"
            about = {key: dependency.get(key) for key in _ABOUT}
            yield finding("critical", "dependency", f"{name}: {what}", name, **about)
    if health["running"] is False and not health["healthy"]:
        yield finding("critical", "not_running", f"{name}: not running", name)
    elif health["healthy"] is False:
        about = {"status": health.get("status"), "detail": health["detail"]}
        yield finding("critical", "unhealthy", f"{name}: health check fails: {health['detail']}", name, **about)
    elif health["running"] is False:
        text = f"{name}: answers, but its manager says that it does not run"
        yield finding("warning", "not_managed", text, name)
