"""What stands out in the facts of a diagnosis, most important first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _change_findings,
    _database_findings,
    _error_findings,
    _error_meaning,
    _resource_findings,
    _state_findings,
)
from ansible_collections.incidentctl.response.plugins.module_utils._contained import Contained
from ansible_collections.incidentctl.response.plugins.module_utils._finding import SEVERITIES, Finding

SHOWN = 50


def rank(
    services: dict[str, dict[str, Any]],
    resources: dict[str, Any],
    contained: Mapping[str, Contained],
    changes: Iterable[dict[str, Any]] = (),
) -> list[Finding]:
    """Given the facts, return the findings, critical first, and likely causes before symptoms.

    By `about.error` the same error of several hosts is known for the same. `contained` names the services that this
    incident itself has stopped: no news to anybody.
    """
    found: list[Finding] = []
    for name, facts in services.items():
        found += _error_findings.of_release(name, facts)
    found += _change_findings.of_changes(changes)
    found += _resource_findings.of_host(resources)
    for name, facts in services.items():
        found += _database_findings.of_databases(name, facts)
        found += _state_findings.of_state(name, facts, contained)
    for name, facts in services.items():
        found += _error_findings.of_errors(name, facts)
    found = [{**one, "about": _error_meaning.with_meaning(one["about"])} for one in found]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding["severity"]))[:SHOWN]
