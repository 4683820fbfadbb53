"""How much memory there is, who has it, and who takes more and more of it."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _cgroups, _procfs
from ansible_collections.incidentctl.response.plugins.module_utils._procfs import Process
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 5
_LEAST = 4 << 20  # bytes by which a process must have grown between two readings
_SETTLED_S = 20.0
_NAME_CHARS = 48

Facts = dict[str, Any]


def of_host() -> Facts:
    """Return {memory, swap, oom_kills}: bytes in all and available or free; kills since boot. Unknown figures are None."""
    said = {name: 1024 * figure for name, figure in _procfs.figures(_procfs.text("meminfo")).items()}
    return {
        "memory": {"total_bytes": said.get("MemTotal"), "available_bytes": said.get("MemAvailable")},
        "swap": {"total_bytes": said.get("SwapTotal"), "free_bytes": said.get("SwapFree")},
        "oom_kills": _procfs.figures(_procfs.text("vmstat")).get("oom_kill"),
    }


def largest(known: dict[int, Process]) -> dict[str, list[Facts]]:
    """Return the processes with the most memory and the most CPU time so far, this one left out."""
    others = [one for pid, one in known.items() if pid != os.getpid()]
    return {
        "by_memory": [_told(one) for one in sorted(others, key=lambda one: -one.rss_bytes)[:TOP]],
        "by_cpu": [_told(one) for one in sorted(others, key=lambda one: -one.ticks)[:TOP]],
    }


def growing(first: dict[int, Process], last: dict[int, Process], seconds: float) -> list[Facts]:
    """Return the processes that take more memory than at the first reading, in bytes a minute, the most first.

    What has just begun takes memory as it should; pages of files, and what is shared, are not taken.
    """
    rows = []
    uptime = float((_procfs.text("uptime").split() or ["0"])[0])
    for pid, after in last.items():
        before = first.get(pid)
        more = after.own_bytes - before.own_bytes if before and before.started == after.started else 0
        age = uptime - after.started / os.sysconf("SC_CLK_TCK")
        if more >= _LEAST and age >= _SETTLED_S and pid != os.getpid():
            rows.append({**_told(after), "bytes_per_minute": round(more * 60 / max(seconds, 0.05))})
    return sorted(rows, key=lambda row: -row["bytes_per_minute"])[:TOP]


def _told(one: Process) -> Facts:
    home = _cgroups.home(one.pid)
    return {
        "pid": one.pid,
        "name": clean(_procfs.script(one), _NAME_CHARS),
        "unit": clean(home.unit, 100),
        "container": home.container,
        "rss_bytes": one.rss_bytes,
        "cpu_s": round(one.ticks / os.sysconf("SC_CLK_TCK"), 1),
    }
