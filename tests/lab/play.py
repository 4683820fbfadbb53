"""Hosts of the lab in the hands of a test: started when needed, over ssh, and through Ansible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab

INVENTORY = lab.REPOSITORY / "inventories" / "lab"
PLAY_S = 300


@dataclass
class Play:
    """How one ansible-playbook ended: its exit code, the last task's result on each host, all it said."""

    code: int
    results: dict[str, dict[str, Any]]
    said: str

    def block(self, host: str) -> dict[str, Any]:
        """Return the `incident` block of a host (docs/contracts.md, 3)."""
        assert "incident" in self.results.get(host, {}), self.said
        return dict(self.results[host]["incident"])


class Hosts:
    """Hosts of the lab, over ssh and through Ansible."""

    def __init__(self, scratch: Path) -> None:
        """Keep what Ansible is told, and tells, in `scratch`."""
        self._scratch = scratch
        self._started: set[str] = set()
        self._plays = 0

    def need(self, *names: str) -> None:
        """Start the hosts that do not run yet."""
        with lab.alone():
            self._started |= {name for name in names if not lab.running(name)}
            lab.up(list(names))

    def fresh(self, *names: str) -> None:
        """Bring hosts back to how they started."""
        with lab.alone():
            self._started |= {name for name in names if not lab.running(name)}
            lab.reset(list(names))

    def reboot(self, name: str) -> None:
        """Restart a host, disks kept, and wait until it is reached again."""
        lab.reboot(name)

    def end(self) -> None:
        """Remove what was started here, and the rest of the lab with the last of its hosts."""
        with lab.alone():
            lab.remove(sorted(self._started))
            if not any(lab.running(name) for name in (*lab.HOSTS, *lab.OTHERS)):
                lab.down()

    def run(self, name: str, *words: str) -> str:
        """Run a command as root on a host, over ssh; return what it printed. Raise LabError if it fails."""
        return lab.ssh(name, "sudo", *words).stdout.decode().strip()

    def says(self, name: str, *words: str) -> str:
        """Run a command that may fail as root on a host; return what it printed."""
        return lab.ssh(name, "sudo", *words, "||", "true").stdout.decode().strip()

    def play(self, playbook: str, limit: str, *flags: str, **variables: Any) -> Play:
        """Run a playbook of the collection by its name, as an operator does, with `variables` on top."""
        self._plays += 1
        tree = self._scratch / str(self._plays)
        extra = self._scratch / f"{self._plays}.json"
        extra.write_text(json.dumps(variables))
        own = {"ANSIBLE_CALLBACKS_ENABLED": "tree", "ANSIBLE_CALLBACK_TREE_DIR": str(tree), "ANSIBLE_NOCOLOR": "1"}
        program = Path(sys.executable).with_name("ansible-playbook")
        words = [f"incidentctl.response.{playbook}", "-i", str(INVENTORY), "--limit", limit, "-e", f"@{extra}", *flags]
        done = subprocess.run(
            [str(program), *words],
            cwd=lab.REPOSITORY,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=PLAY_S,
            check=False,
        )
        results = {path.name: json.loads(path.read_text()) for path in tree.iterdir()} if tree.is_dir() else {}
        return Play(done.returncode, results, done.stdout + done.stderr)
