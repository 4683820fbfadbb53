"""edge1 in the hands of a test: an incident of its own there, the rules and clocks that are on it, its power."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import crowd
import yaml
from tests.lab.play import INVENTORY, Hosts, Play, lab

EDGE = "edge1"
FAMILIES = ("ipv4", "ipv6")
PORTS = {"container": crowd.OF_CONTAINER, "host": crowd.OF_HOST}
GRACE_S = 5  # after its deadline, for a clock to have done its work
BOOT_S = 15  # systemd starts its timers, and Python, while all else starts
WINDOW_S = 25  # until the clock strikes where a test looks at what is there before: a busy machine is slow to look
SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}


class Incident:
    """An incident of a test's own on edge1."""

    def __init__(self, hosts: Hosts, inventory: Path) -> None:
        self.hosts, self.inventory, self.id = hosts, inventory, f"INC-{secrets.token_hex(4)}"
        self.rebooted = False  # then the containers have other addresses, and podman's rules say so

    def play(self, playbook: str, *flags: str, **variables: Any) -> Play:
        return self.hosts.play(playbook, EDGE, "-i", str(self.inventory), *flags, incident_id=self.id, **variables)

    def act_alone(self, **options: Any) -> dict[str, Any]:
        """Put rules in as a role does (the limits, if nothing else is said), and die before they are confirmed."""
        catalogue = yaml.safe_load(self.inventory.read_text())["all"]["hosts"][EDGE]["incident_services"]
        common = {"capability": "rate_limit", "services": catalogue, "host_name": EDGE, "incident_id": self.id}
        options = {**common, **options}
        words = ["-m", "incidentctl.response.traffic_rule", "-a", json.dumps(options), "--become", "--one-line"]
        done = subprocess.run(
            [program("ansible"), EDGE, "-i", str(INVENTORY), "-i", str(self.inventory), *words],
            cwd=lab.REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.partition(" => ")[2])["incident"])

    def entries(self) -> list[dict[str, Any]]:
        folder = f"/var/lib/incidentctl/ledger/{self.id}"
        names = lab.inside(EDGE, "sh", "-c", f"ls {folder}/*.json 2>/dev/null || true").split()
        return [json.loads(lab.inside(EDGE, "cat", name)) for name in names]

    def states(self) -> set[str]:
        return {entry["state"] for entry in self.entries()}


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def rules() -> dict[str, list[str]]:
    """Return edge1's rules of both families, without counters, comments and tables that hold nothing."""
    return {family: normal(lab.inside(EDGE, save)) for family, save in SAVE.items()}


def normal(text: str) -> list[str]:
    kept: list[str] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line
        elif line.startswith("-A") or (line.startswith(":") and " ACCEPT " not in line):
            kept.append(f"{table} {line.partition(' [')[0] if line.startswith(':') else line}")
    return sorted(kept)


def traces() -> str:
    """Return what is left on edge1 of clocks: scripts, units and their stamps."""
    folders = "/etc/systemd/system /run/systemd/system /var/lib/incidentctl/clocks /var/lib/systemd/timers"
    files = lab.inside(EDGE, "sh", "-c", f"find {folders} -name '*incidentctl-*' 2>/dev/null || true")
    return files + lab.inside(EDGE, "systemctl", "--quiet", "--no-legend", "list-units", "--all", "incidentctl*")


def wait_for_no_trace() -> None:
    """Wait for a clock that struck to have put itself away."""
    deadline = time.monotonic() + GRACE_S
    while (left := traces()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == ""


def fresh_login() -> None:
    assert lab.ssh(EDGE, "true").returncode == 0


def power(incident: Incident, off_until: float) -> None:
    """Cut edge1's power, and give it back at a time."""
    incident.rebooted = True
    lab.podman("kill", lab.container(EDGE))
    lab.podman("wait", lab.container(EDGE))
    lab.podman("container", "cleanup", lab.container(EDGE))  # else the network's rules may be there yet
    time.sleep(max(0.0, off_until - time.time()))
    lab.podman("start", lab.container(EDGE))
    lab.wait_for_boot(EDGE)
    crowd.lead_back()


def strikes(incident: Incident, clock: str) -> float:
    """Return when a clock of an incident strikes, `confirm_by` or `expires_at`, in seconds since 1970."""
    return max(datetime.fromisoformat(entry[clock]).timestamp() for entry in incident.entries())


def wait_until_lifted(incident: Incident, until: float, late_s: float = GRACE_S) -> None:
    """Wait until all entries are lifted, but no longer than `late_s` after `until`."""
    while incident.states() != {"lifted"}:
        assert time.time() < until + late_s, (incident.entries(), rules())
        time.sleep(0.2)


def let_through(per_minute: int, began: float) -> int:
    """Return how many connections a limit may have let through since `began` (monotonic): it fills up meanwhile."""
    return per_minute + 1 + int((time.monotonic() - began) * per_minute / 60)
