"""An act on a host that may lock everybody out of it, and what is to be seen there afterwards (lockout.py)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.lockout_hosts import CONNECT_S, Site, login, root, rules

ROOT = Path(__file__).resolve().parents[2]
_PLAY_S = 90.0
_EGRESS = {"ipv4": "192.0.2.7", "ipv6": "2001:db8::7"}


class Play:
    """An act that is being done to a host, or its lift, by the playbook of its name."""

    def __init__(
        self, site: Site, host: str, playbook: str, family: str, top: Path, collections: Path = ROOT, **variables: Any
    ) -> None:
        """Start it over one family, out of a copy of the collection, with these variables."""
        folder = self.folder = Path(tempfile.mkdtemp(dir=top))
        self.site, self.host = site, host
        self.incident = variables.get("incident_id", f"INC-{os.urandom(4).hex()}")
        cut = {"name": "search", "egress": {"host": _EGRESS[family], "port": 9200}}
        common = {
            "incident_services": [{"name": "shop", "hosts": "all", "ports": [8000], "circuit_breakers": [cut]}],
            "incident_state_dir": site.state_dir,
            "incident_management_cidrs": list(site.management),
            "incident_id": self.incident,
            "quarantine_only": ["shop"],
            **variables,
        }
        known = {"all": {"hosts": {host: site.variables(host, family)}, "vars": common}}
        (folder / "hosts.json").write_text(json.dumps(known))
        (folder / "ansible.cfg").write_text("[defaults]\n")  # in place of the user's own
        sockets = folder / "cp"
        own = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_TIMEOUT": "5"}
        own |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)}
        program = Path(sys.executable).with_name("ansible-playbook")
        words = [str(program), f"incidentctl.response.{playbook}", "-i", str(folder / "hosts.json")]
        self._said = folder / "said"
        with self._said.open("wb") as stream:
            self.process = subprocess.Popen(
                site.beside(*words),
                cwd=folder,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def entries(self) -> list[dict[str, Any]]:
        """Return what the host's ledger says of it now."""
        folder = Path(f"{root(self.site, self.host)}{self.site.state_dir}", "ledger", self.incident)
        return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]

    def loaded(self) -> list[dict[str, Any]]:
        """Wait until the rules are in, or are not going to be; return the entries."""
        until = time.monotonic() + _PLAY_S
        while time.monotonic() < until:
            ended = self.process.poll() is not None
            found = self.entries()
            if ended or any(entry["state"] != "intended" for entry in found):
                return found
            time.sleep(0.05)
        raise TimeoutError(self.said())

    def kill(self) -> None:
        """Kill the controller: ansible-playbook and all its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait(_PLAY_S)

    def said(self) -> str:
        """Return what it has said so far."""
        return self._said.read_text(errors="replace")


def wait_for_login(site: Site, host: str, family: str, deadline: float, late_s: float) -> str | None:
    """Try to log in until sshd must have answered at late_s after the deadline; tell how late it was, None if nobody came in."""
    while (began := time.time()) < deadline + late_s - CONNECT_S:
        if login(site, host, family, patience_s=10.0):
            late, took = max(0.0, began - deadline), time.time() - began
            return f"login +{late:.1f} s" + (f" (it took {took:.1f} s)" if took > 1 else "")
        time.sleep(max(0.0, began + 0.2 - time.time()))
    return None


def left_behind(play: Play, before: list[str] | None, patience_s: float) -> list[str]:
    """Return what a clock that struck has left on a host, when it had the time to clear up."""
    until = time.monotonic() + patience_s
    while True:
        states = [entry["state"] for entry in play.entries()]
        now = rules(play.site, play.host)
        ours = [line for line in now if "incidentctl" in line]
        clocks = Path(f"{root(play.site, play.host)}{play.site.state_dir}", "clocks")
        wrong = [f"still there: {ours}"] if ours else []
        wrong += [f"the ledger says {states}"] if set(states) != {"lifted"} else []
        wrong += ["a clock is left"] if clocks.exists() else []
        if not wrong and before is not None and now != before:
            wrong = [f"other rules: {set(now) ^ set(before)}"]
        if not wrong or time.monotonic() > until:
            return wrong
        time.sleep(0.2)


def moment(text: str) -> float:
    """Return a time of the ledger in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
