"""What the host is short of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _connection_findings,
    _disk_findings,
    _load_findings,
)
from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding, times

_MEMORY = ((5.0, "critical"), (10.0, "warning"))
_GIB = 1024**3


def of_host(resources: dict[str, Any]) -> Iterator[Finding]:
    """Given what _resources saw, say what there is too little of."""
    yield from _load_findings.of_load(resources)
    yield from _disk_findings.of_disks(resources)
    yield from _connection_findings.of_connections(resources["connections"], resources["ports"])
    total, available = resources["memory"]["total_bytes"], resources["memory"]["available_bytes"]
    if total and available is not None:
        percent = 100 * available / total
        for limit, severity in _MEMORY:
            if percent < limit:
                text = f"memory: {percent:.1f} % available ({available / _GIB:.1f} GiB)"
                yield finding(severity, "memory", text, available_bytes=available)
                break
    if resources["oom_kills"]:
        killed = times(resources["oom_kills"])
        text = f"the kernel killed processes for want of memory {killed} since boot"
        yield finding("info", "oom", text, kills=resources["oom_kills"])
