"""What tests of resources need: the figures of a host that lacks nothing, and a /proc that says what a test wants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
CALM: dict[str, Any] = {
    "interval_s": 1.0,
    "load1": 0.1,
    "cpus": 2,
    "cpu": {
        "busy_percent": 3.0, "iowait_percent": 0.0, "steal_percent": 0.0, "running": 1, "waiting_for_disk": 0,
    },
    "jobs": [],
    "overlapping": [],
    "stuck": [],
    "memory": {"total_bytes": 100, "available_bytes": 50},
    "swap": {"total_bytes": 0, "free_bytes": 0},
    "disks": [],
    "folders": [],
    "growing": [],
    "deleted": [],
    "mounts": {"read_only": [], "missing": []},
    "processes": {"by_memory": [], "by_cpu": []},
    "connections": {
        "states": {}, "new_per_s": 0.0, "turned_away": 0, "ports": [], "outgoing": [], "local_ports": 28232,
        "tracked": 0, "tracked_limit": 262144,
    },
    "ports": {},
    "certificates": [],
    "synchronised": True,
    "oom_kills": 0,
    "oom": [],
    "units": [],
    "memory_growing": [],
    "pressure": {},
    "descriptors": {"open": 2000, "limit": 9223372036854775807, "processes": []},
    "threads": {"count": 200, "limit": 32768},
    "notes": [],
}  # fmt: skip


class Proc:
    """A folder that stands for /proc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("uptime", "100000.00 190000.00\n")
        self.cpu()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def cpu(self, busy: int = 0, idle: int = 0, iowait: int = 0, steal: int = 0) -> None:
        """Say how many ticks all CPUs were busy, and so on, since boot; it was booted at the start of 2026."""
        rest = "ctxt 1\nbtime 1767225600\nprocs_running 3\nprocs_blocked 1\n"
        self.write("stat", f"cpu  {busy} 0 0 {idle} {iowait} 0 0 {steal} 0 0\ncpu0 1 2 3 4\n{rest}")

    def process(self, pid: int, name: str, parent: int = 1, **more: Any) -> None:
        """Write a process: `ticks` of CPU time, `children` ticks, `waited_s`, `started` s after the boot, and more."""
        ticks, children = more.get("ticks", 0), more.get("children", 0)
        started = int(more.get("started", 1000) * TICKS)
        fields = [more.get("state", "S"), parent, 1, 1, 0, -1, 0, 0, 0, 0, 0, ticks, 0, children, 0, 20, 0, 1, 0]
        fields += [started, 1000, more.get("pages", 10), 0]
        self.write(f"{pid}/stat", f"{pid} ({name}) {' '.join(map(str, fields))}\n")
        self.write(f"{pid}/schedstat", f"{ticks * 10**9 // TICKS} {int(more.get('waited_s', 0) * 1e9)} 1\n")
        self.write(f"{pid}/cgroup", f"0::{more.get('group', '/')}\n")
        self.write(f"{pid}/cmdline", "\0".join([*more.get("argv", [name]), ""]))
