"""A fleet of light hosts with one service each, faults on some of them, and incidentctl beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import yaml
from tests import light_hosts
from tests.light_hosts import LightHosts

from incidentctl.record import open_record

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 80
# What a fault does to a host, and what is true of it afterwards.
EXPECTED = {
    "": ("done", ""),
    "refusing": ("unreachable", "refused"),
    "silent": ("unknown", "what was begun may go on there"),  # its link swallows all packets once the module has begun
    "hangs": ("unknown", "timed out after"),
    "no privilege": ("failed", "no privilege: Missing sudo password"),
    "other key": ("unreachable", "its host key has changed"),
    "full": ("done", ""),  # the disk of the ledger: it goes elsewhere
    "clock": ("done", ""),
    "slow": ("done", ""),
}
# What the module's Python takes for the time of a host whose clock is five hours ahead.
_CLOCK = """\
exec /usr/bin/python3 -I -S -B -c '
import datetime, sys, time
real, clock = time.time, datetime.datetime
class Ahead(clock):
    @classmethod
    def now(cls, tz=None):
        return clock.fromtimestamp(time.time(), tz)
time.time, datetime.datetime = lambda: real() + 18000, Ahead
exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
'
"""
# The first module that comes to a slow host waits there for so many seconds.
_SLOW = '[ -e /run/lamp/once ] || { touch /run/lamp/once; sleep %d; }\nexec /usr/bin/python3 "$@"\n'
SLOW_S = 15


class Fleet:
    """The hosts by their faults, the inventory, and the commands of one who responds."""

    def __init__(self, hosts: LightHosts, folder: Path, faults: dict[str, str], deadline_s: int) -> None:
        """Give each host its service; `faults` says what is wrong with which host."""
        self.hosts, self.folder, self.faults, self.deadline_s = hosts, folder, faults, deadline_s
        self.settings: dict[str, str] = {}  # more of the environment of the commands
        self._ended = threading.Event()
        settings = {
            "inventory": str(folder / "inventory.yml"),
            "state_dir": str(folder / "state"),
            "guards": {"max_hosts_changed": 100, "max_fraction_changed": 1.0},
            "deadlines": {"phase": deadline_s},
            "severities": {"medium": {"contain": ["isolation"]}},
        }
        (folder / "incidentctl.yml").write_text(yaml.safe_dump(settings))
        self.write_inventory(faults)
        for name in hosts.names():
            self._lay_out(name, faults.get(name, ""))
        for name, fault in faults.items():
            if fault in ("refusing", "full"):
                hosts.break_(name, fault)
            elif fault == "other key":
                hosts.change_key(name)
            elif fault == "silent":
                threading.Thread(target=self._silence_once_begun, args=(name,), daemon=True).start()

    def write_inventory(self, faults: dict[str, str]) -> None:
        """Write the inventory as it is with these faults: who logs in, and by which Python."""
        control = {verb: ["sh", f"/run/lamp/{verb}"] for verb in ("start", "stop", "status")}
        lamp = {"name": "lamp", "hosts": "all", "manager": "command", "control": control, "ports": [8000]}
        lamp["essential"] = False  # no guard minds that all of them are stopped
        known = {}
        for name in self.hosts.names():
            fault = faults.get(name)
            about = self.hosts.variables(name, "asked" if fault == "no privilege" else "free")
            about |= {"incident_state_dir": "/root/full/state"} if fault == "full" else {}
            about |= {"ansible_python_interpreter": "/bin/sh /run/lamp/python"} if fault in ("clock", "slow") else {}
            known[name] = about
        common = {
            "incident_services": [lamp],
            "incident_state_dir": "/root/state",
            "rate_limit_confirm_within": SLOW_S // 2,
        }
        (self.folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": known, "vars": common}}))

    def _lay_out(self, name: str, fault: str) -> None:
        lamp = self.hosts.path(name, "/run/lamp")
        lamp.mkdir()
        (lamp / "on").touch()
        (lamp / "start").write_text("touch /run/lamp/on\n")
        (lamp / "status").write_text("test -e /run/lamp/on\n")
        wait = {"silent": "sleep 3", "hangs": "until [ -e /run/lamp/released ]; do sleep 0.2; done"}.get(fault, "")
        (lamp / "stop").write_text(f"echo stop >>/run/lamp/acts\n{wait}\nrm -f /run/lamp/on\n")
        (lamp / "python").write_text(_SLOW % SLOW_S if fault == "slow" else _CLOCK)

    def _silence_once_begun(self, name: str) -> None:
        acts = self.hosts.path(name, "/run/lamp/acts")
        while not self._ended.wait(0.05):
            if acts.exists():
                self.hosts.break_(name, "silent")
                return

    def mend(self) -> None:
        """Mend every host, and let what hangs go on to its end."""
        for name, fault in self.faults.items():
            if fault in ("refusing", "silent"):
                self.hosts.mend(name, fault)
            elif fault == "other key":
                self.hosts.change_key(name)
            elif fault == "hangs":
                self.hosts.path(name, "/run/lamp/released").touch()
        self.write_inventory({name: fault for name, fault in self.faults.items() if fault != "no privilege"})

    def lit(self, name: str) -> bool:
        """Say whether a host's service runs."""
        return self.hosts.path(name, "/run/lamp/on").exists()

    def acts(self, name: str) -> int:
        """Return how often a host's service was stopped."""
        acts = self.hosts.path(name, "/run/lamp/acts")
        return len(acts.read_text().splitlines()) if acts.exists() else 0

    def end(self) -> None:
        """End what waits for a host to begin."""
        self._ended.set()

    # --- one who responds ------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Return the environment of the commands: in a home of their own are ssh's sockets this fleet's own, too."""
        home = {"HOME": str(self.folder), "PYTHONPATH": str(ROOT / "driver"), "TERM": "xterm"}
        return {**os.environ, **home, **self.settings}

    def command(self, *words: str) -> list[str]:
        """Return an incidentctl command as it is run where the hosts can be reached."""
        config = ["--config", str(self.folder / "incidentctl.yml")]
        return self.hosts.beside(sys.executable, "-m", "incidentctl", *words, *config)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal."""
        env = self.environment()
        limit_s = 4 * self.deadline_s + 120
        return subprocess.run(
            self.command(*words), cwd=self.folder, env=env, capture_output=True, text=True, timeout=limit_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def in_terminal(self, *words: str) -> tuple[int, str]:
        """Run a command in a terminal, leave its questions for later; return its exit code and all that was shown."""
        program, *argv = self.command(*words)
        child = pexpect.spawn(
            program, argv, cwd=str(self.folder), env=self.environment(), encoding="utf-8", dimensions=(24, COLUMNS),
            timeout=4 * self.deadline_s + 120,
        )  # fmt: skip
        shown = []
        try:
            while child.expect([r"Which way\?", pexpect.EOF]) == 0:
                shown.append(child.before)
                child.sendline("q")
            shown.append(child.before)
        finally:
            child.close(force=True)
        return child.exitstatus or 0, "".join(shown)

    def touched(self, *words: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        """Run a command; return how it ended, and the hosts that saw a connection or a command of ours meanwhile."""
        before = {name: self._seen(name) for name in self.hosts.names()}
        done = self.run(*words)
        return done, {name for name in self.hosts.names() if self._seen(name) != before[name]}

    def _seen(self, name: str) -> tuple[int, int]:
        return self.hosts.sessions(name), self.hosts.connections(name)

    # --- what is told ----------------------------------------------------------------------------

    def recorded(self, phase: str) -> dict[tuple[str, str], tuple[str, str]]:
        """Return what the record has last of each host and capability of a phase: its outcome and why."""
        with open_record(f"sqlite:///{self.folder}/state/record.db") as record:
            rows = record.incident(record.find()).outcomes.get(phase, ())
        return {(row["host"], row["capability"]): (row["outcome"], row["reason"]) for row in rows}

    def seconds(self) -> dict[str, float]:
        """Return how long each phase took, by the record."""
        with open_record(f"sqlite:///{self.folder}/state/record.db") as record:
            return {phase.name: phase.seconds or 0 for phase in record.incident(record.find()).phases}

    def contained(self) -> set[str]:
        """Return the hosts on which something is contained, by the record."""
        with open_record(f"sqlite:///{self.folder}/state/record.db") as record:
            return {str(row["host"]) for row in record.incident(record.find()).contained}

    def as_json(self, phase: str) -> dict[tuple[str, str], tuple[str, str]]:
        """Return the same as `status --json` has it."""
        rows = json.loads(self.run("status", "--json").stdout)["outcomes"][phase]
        return {(row["host"], row["capability"]): (row["outcome"], row["reason"]) for row in rows}

    def reported(self, phase: str) -> dict[tuple[str, str], str]:
        """Return the outcomes that the report's table of hosts has of a phase."""
        found = {}
        self.run("report")
        for path in (self.folder / "state" / "incidents").glob("*/report.md"):
            for line in path.read_text().splitlines():
                cells = [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")]
                if len(cells) >= 5 and cells[0] in self.hosts.names() and cells[1] == phase:
                    assert (cells[0], cells[2]) not in found, f"told twice: {line}"
                    found[cells[0], cells[2]] = cells[3]
        return found

    def left_running(self) -> list[str]:
        """Return what of ansible-playbook and its ssh runs on this machine for this fleet; masters may wait for the next."""
        deadline = time.monotonic() + 10
        while (found := list(self._running())) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _running(self) -> Iterator[str]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if (
                str(self.folder) in line
                and "[mux]" not in line
                and ("ansible-playbook" in line or line.startswith("ssh "))
            ):
                yield line


@contextmanager
def running(count: int, faults: dict[str, str], deadline_s: int) -> Iterator[Fleet]:
    """Start a fleet of that many hosts; end it."""
    with light_hosts.running(count) as hosts, light_hosts.short_folder() as folder:
        fleet = Fleet(hosts, folder, faults, deadline_s)
        try:
            yield fleet
        finally:
            fleet.end()
