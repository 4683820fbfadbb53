"""How a service is, and whether what it depends on answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _dependency_findings
from ansible_collections.incidentctl.response.plugins.module_utils._contained import Contained
from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding


def of_state(name: str, facts: dict[str, Any], contained: Mapping[str, Contained]) -> Iterator[Finding]:
    """Given the facts of a service, and what of this host this incident has stopped, say what is wrong with it."""
    health = facts["health"]
    by = contained.get(name)
    if by is not None and not health["healthy"]:
        yield finding("info", "contained", f"{name}: {by}", name, by=by.by)
        return
    yield from _dependency_findings.of_dependencies(name, health, contained)
    lacks = [d for d in health["depends_on"] if d["ok"] is False and _dependency_findings.needed(d, contained)]
    if lacks and not health["healthy"]:
        cause = _dependency_findings.needed(lacks[0], contained)
        text = f"{name}: {health['detail']}; {lacks[0]['name']}, which it depends on: {cause}"
        yield finding("info", "contained", text, name, by=cause.by if cause else "")
    elif health["running"] is False and not health["healthy"]:
        yield finding("critical", "not_running", f"{name}: not running", name)
    elif health["healthy"] is False:
        about = {"status": health.get("status"), "detail": health["detail"]}
        yield finding("critical", "unhealthy", f"{name}: health check fails: {health['detail']}", name, **about)
    elif health["running"] is False:
        text = f"{name}: answers, but its manager says that it does not run"
        yield finding("warning", "not_managed", text, name)
