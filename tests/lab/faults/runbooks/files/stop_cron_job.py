"""End the jobs of cron that would take half a CPU or more, if they got it; put their entries aside. Prints what it did."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

BUSY, WATCHED_S = 0.5, 3.0
TABLES = (Path("/etc/cron.d"), Path("/etc/crontab"), Path("/var/spool/cron/crontabs"))
ASIDE = Path("/var/backups/cron-put-aside")


def processes() -> dict[int, tuple[int, float, str]]:
    """Of each process its parent, the seconds that it had a CPU or waited for one, and its command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ran, waited = map(int, (folder / "schedstat").read_text().split()[:2])
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        found[int(folder.name)] = (int(fields[1]), (ran + waited) / 1e9, words)
    return found


def below(pid: int, there: dict[int, tuple[int, float, str]]) -> set[int]:
    """The process and all that it started."""
    mine, grew = {pid}, True
    while grew:
        more = {one for one, (parent, *_rest) in there.items() if parent in mine}
        grew = not more <= mine
        mine |= more
    return mine


before = processes()
time.sleep(WATCHED_S)
now = processes()
daemons = {pid for pid, (_parent, _took, words) in now.items() if re.match(r"(/usr/sbin/)?cron\b", words)}
# Each job is a child of the daemon, which runs the line of the table in a shell.
for job in [pid for pid, (parent, *_rest) in now.items() if parent in daemons and pid not in daemons]:
    tree = below(job, now)
    took = sum(now[pid][1] - before[pid][1] for pid in tree if pid in before) / WATCHED_S
    if took < BUSY:
        continue
    words = {part for pid in tree for part in now[pid][2].split() if part.startswith("/")}
    for table in (path for place in TABLES for path in (sorted(place.iterdir()) if place.is_dir() else [place])):
        text = table.read_text(errors="replace")
        lines = [line for line in text.splitlines() if not line.startswith("#") and words & set(line.split())]
        if lines:
            ASIDE.mkdir(parents=True, exist_ok=True)
            shutil.copy2(table, ASIDE / table.name)
            table.write_text("".join(f"# {line}\n" if line in lines else f"{line}\n" for line in text.splitlines()))
            print(f"{table}: {'; '.join(lines)} is commented out; as it was: {ASIDE / table.name}")
    for pid in tree:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    print(f"ended job {job} with {len(tree)} processes, which would take {took:.1f} CPUs")
