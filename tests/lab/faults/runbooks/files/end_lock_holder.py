"""Stop units, other than those of the services themselves (OURS), that keep locks on files in their data (DATA)."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

LOOKS, PAUSE_S, OFTEN = 20, 0.1, 5
DATA = [Path(part) for part in os.environ["DATA"].split(":") if part]
OURS = set(os.environ["OURS"].split(":"))


def unit_of(pid: str) -> str:
    """The systemd service that a process belongs to, "" if there is none."""
    try:
        found = re.findall(r"system\.slice/([\w@.:-]+\.service)", Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return ""
    return found[-1] if found else ""


def holders() -> set[str]:
    """The units whose processes hold a lock on a file of the data just now. A lock's own process may have ended: who has
    the file open holds it then.
    """
    files = {path.stat().st_ino: path for folder in DATA for path in folder.rglob("*") if path.is_file()}
    locked = set()
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "->" not in words:
            locked.add(int(words[5].rpartition(":")[2]))
    meant = {str(path) for inode, path in files.items() if inode in locked}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in meant:
                found.add(unit_of(link.parts[2]))
        except OSError:
            continue
    return found - OURS - {""}


seen: Counter[str] = Counter()
for _look in range(LOOKS):
    seen.update(holders())
    time.sleep(PAUSE_S)
for unit, times in seen.items():
    if times >= OFTEN:
        subprocess.run(["systemctl", "stop", unit], check=True, timeout=60)
        print(f"{unit} held a lock at {times} of {LOOKS} looks, and is stopped")
