"""A service's control command that keeps count: count.py LOG FOLDER SECONDS COMMAND…

Before a start or stop it appends a line to LOG, which nothing ever shortens: the verb, the program, and how many
ansible-playbook runs of FOLDER are alive just then. Then it becomes COMMAND; to stop a worker takes SECONDS more, so that
whoever is killed meanwhile leaves an act under way.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def runs_alive(folder: str) -> int:
    """How many ansible-playbook runs name `folder` on their command line; one counts with its workers."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        ours = any(os.fsencode(folder) in word for word in words)
        if ours and any(word.endswith(b"/ansible-playbook") for word in words[:3]):
            parents[int(path.name)] = parent
    return sum(parent not in parents for parent in parents.values())


def main() -> None:
    log, folder, seconds, *command = sys.argv[1:]
    if command[-2] in ("start", "stop"):
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(f"{command[-2]} {command[-1]} {runs_alive(folder)}\n")
    if command[-2:] == ["stop", "worker"]:
        time.sleep(float(seconds))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
