"""Hosts to be locked out of: light ones of this machine (no systemd), or one of the lab (systemd), as lockout.py needs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tests import light_hosts

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1] / "lab")
)  # lab.py is a command, and finds what stands beside it
import lab

FAMILIES = ("ipv4", "ipv6")
_SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
_COUNTERS = re.compile(r" \[\d+:\d+\]$")
CONNECT_S = 2  # for a connection, and for sshd to answer


class Site(Protocol):
    """Hosts of one kind, and how to reach them from where they are managed."""

    state_dir: str
    management: tuple[str, str]

    def names(self) -> list[str]:
        """Return the hosts' names."""

    def variables(self, name: str, family: str) -> dict[str, Any]:
        """Return what Ansible has to know to reach a host over one family."""

    def beside(self, *argv: str) -> list[str]:
        """Return the command that runs `argv` where the hosts are managed from."""

    def inside(self, name: str, *argv: str) -> str:
        """Run a command as root on a host, past its network; return what it printed."""

    def process(self, name: str) -> int:
        """Return a process of the host below which all others of it are, as this machine numbers it."""

    def link(self, name: str, up: bool) -> None:
        """Pull a host's link, or plug it in again."""


class Light:
    """Light hosts: no systemd, one disk for all, a /root of their own."""

    state_dir = "/root/state"
    management = ("10.231.0.1/32", "fd1c:231::1/128")

    def __init__(self, hosts: light_hosts.LightHosts) -> None:
        """Keep the hosts that run."""
        self._hosts = hosts
        self.names, self.beside, self.inside = hosts.names, hosts.beside, hosts.inside

    def variables(self, name: str, family: str) -> dict[str, Any]:
        address = light_hosts.address(int(name[1:]), 4 if family == "ipv4" else 6)
        return {**self._hosts.variables(name), "ansible_host": address}

    def process(self, name: str) -> int:
        return self._hosts.first_process(name)

    def link(self, name: str, up: bool) -> None:
        subprocess.run(self.beside("ip", "link", "set", name, "up" if up else "down"), check=True)


class Lab:
    """A host of the lab: systemd, sshd, sudo."""

    state_dir = "/var/lib/incidentctl"
    management = (f"{lab.IPV4}1/32", f"{lab.IPV6}1/128")

    def __init__(self, name: str) -> None:
        """Keep the name of a host that runs."""
        self._name = name

    def names(self) -> list[str]:
        return [self._name]

    def variables(self, name: str, family: str) -> dict[str, Any]:
        return {
            "ansible_host": lab.HOSTS[name].addresses[family == "ipv6"],
            "ansible_user": lab.USER,
            "ansible_ssh_private_key_file": str(lab.KEY),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.KNOWN_HOSTS} -o StrictHostKeyChecking=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def beside(self, *argv: str) -> list[str]:
        return list(argv)

    def inside(self, name: str, *argv: str) -> str:
        return lab.inside(name, *argv)

    def process(self, name: str) -> int:
        return int(lab.podman("inspect", "--format={{.State.Pid}}", lab.container(name)))

    def link(self, name: str, up: bool) -> None:
        index = int(self.inside(name, "cat", "/sys/class/net/eth0/iflink"))
        (peer,) = [
            path.parent.name for path in Path("/sys/class/net").glob("*/ifindex") if int(path.read_text()) == index
        ]
        subprocess.run(["ip", "link", "set", peer, "up" if up else "down"], check=True)


@contextmanager
def light(count: int) -> Iterator[Light]:
    """Start light hosts; end them."""
    with light_hosts.running(count) as hosts:
        yield Light(hosts)


@contextmanager
def of_the_lab(name: str) -> Iterator[Lab]:
    """Give a new host of the lab in place of the one of that name; bring it back to how it starts in the end."""
    with lab.alone():
        lab.reset([name])
    try:
        yield Lab(name)
    finally:
        with lab.alone():
            lab.reset([name])


def login(site: Site, name: str, family: str, patience_s: float = 3.0) -> bool:
    """Try a fresh login, as one who manages the host; say whether it came through.

    sshd must answer in CONNECT_S; what follows, key exchange and all, may take longer on a machine that is busy.
    """
    about = site.variables(name, family)
    options = ["ControlPath=none", "BatchMode=yes", f"ConnectTimeout={CONNECT_S}", "LogLevel=ERROR"]
    words = [word for option in options for word in ("-o", option)]
    words += ["-i", about["ansible_ssh_private_key_file"], *about["ansible_ssh_common_args"].split()]
    argv = ["ssh", "-F", "none", *words, f"{about['ansible_user']}@{about['ansible_host']}", "true"]
    try:
        done = subprocess.run(
            site.beside(*argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=patience_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def root(site: Site, name: str) -> Path:
    """Return where this machine sees a host's files."""
    return Path(f"/proc/{site.process(name)}/root")


def end_sessions(site: Site, name: str) -> None:
    """Kill what serves the logins that a host has just now, as if each had broken; sshd itself lives on."""
    below = _below(site.process(name))
    names = {pid: _comm(pid) for pid in [site.process(name), *below]}
    for pid, parent in below.items():
        if names[pid].startswith("sshd") and names[parent].startswith("sshd"):
            with _gone():
                os.kill(pid, signal.SIGKILL)


def rules(site: Site, name: str) -> list[str]:
    """Return a host's rules of both families, without counters, comments and what holds nothing."""
    found = []
    for family in FAMILIES:
        table = ""
        for line in site.inside(name, _SAVE[family]).splitlines():
            table = line if line.startswith("*") else table
            if line.startswith("-A") or (line.startswith(":") and " ACCEPT " not in line):
                found.append(f"{family} {table} {_COUNTERS.sub('', line)}")
    return sorted(found)


def _below(pid: int) -> dict[int, int]:
    """Return all processes below one, each with its parent."""
    found: dict[int, int] = {}
    with _gone():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                found |= {child: pid, **_below(child)}
    return found


def _comm(pid: int) -> str:
    with _gone():
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


@contextmanager
def _gone() -> Iterator[None]:
    with suppress(FileNotFoundError, ProcessLookupError):
        yield
