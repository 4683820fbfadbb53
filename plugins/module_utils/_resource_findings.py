"""What the host is short of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _certificate_findings,
    _connection_findings,
    _disk_findings,
    _limit_findings,
    _load_findings,
    _memory_findings,
)
from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding


def of_host(resources: dict[str, Any]) -> Iterator[Finding]:
    """Given what _resources saw, say what there is too little of, and what takes it."""
    load = list(_load_findings.of_load(resources))
    yield from load
    yield from _disk_findings.of_disks(resources)
    yield from _connection_findings.of_connections(resources["connections"], resources["ports"])
    yield from _memory_findings.of_memory(resources)
    yield from _limit_findings.of_limits(resources, bool(load))
    yield from _certificate_findings.of_certificates(resources)
