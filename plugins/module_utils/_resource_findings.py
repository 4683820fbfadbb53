"""What the host is short of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding, times

_DISK = ((95.0, "critical"), (85.0, "warning"))
_MEMORY = ((5.0, "critical"), (10.0, "warning"))
_GIB = 1024**3


def of_host(resources: dict[str, Any]) -> Iterator[Finding]:
    """Given what _resources saw, say what there is too little of."""
    for disk in resources["disks"]:
        yield from of_disk(disk)
    total, available = resources["memory"]["total_bytes"], resources["memory"]["available_bytes"]
    if total and available is not None:
        percent = 100 * available / total
        for limit, severity in _MEMORY:
            if percent < limit:
                text = f"memory: {percent:.1f} % available ({available / _GIB:.1f} GiB)"
                yield finding(severity, "memory", text, available_bytes=available)
                break
    load, cpus = resources["load1"], resources["cpus"]
    if load and cpus and load > 2 * cpus:
        yield finding("warning", "load", f"load {load:.1f} on {cpus} CPUs", load1=load)
    if resources["oom_kills"]:
        killed = times(resources["oom_kills"])
        text = f"the kernel killed processes for want of memory {killed} since boot"
        yield finding("info", "oom", text, kills=resources["oom_kills"])


def of_disk(disk: dict[str, Any]) -> Iterator[Finding]:
    """Return what there is to say of one disk, as _resources looks at it."""
    if disk["free_bytes"] is None:
        text = f"disk of {disk['path']}: cannot be looked at, or does not answer"
        yield finding("warning", "disk_silent", text, path=disk["path"])
    for key, kind, what in (
        ("used_percent", "disk", "full"),
        ("inodes_used_percent", "inodes", "of its inodes used"),
    ):
        percent = disk[key] or 0.0
        for limit, severity in _DISK:
            if percent >= limit:
                left = f", {disk['free_bytes'] / _GIB:.1f} GiB free" if kind == "disk" else ""
                text = f"disk {disk['path']}: {percent:g} % {what}{left}"
                yield finding(severity, kind, text, path=disk["path"], percent=percent)
                break
