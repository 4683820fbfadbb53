"""What happens on the lab's hosts, counted by what nothing ever shortens, and what is at work there.

The hosts are containers: their files and processes are seen from this machine, whatever the network or ssh does.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import deploy
import lab

# The journal's own ids of "a unit was started" and "was stopped", whatever the language and the version.
_UNIT = {"39f53479d3a045ac8e11786248231fbf": "started", "9d1aaa27d60140bd96365438aad20286": "stopped"}
_BREAKER = "circuit breaker of the recommendations "
_OURS = "var/lib/incidentctl"
_MOVED_TO, _CREATE, _DELETE = 0x80, 0x100, 0x200  # of inotify
_HEAD = struct.Struct("iIII")

Inits = Mapping[str, int]  # host → pid of its first process, as this machine numbers it


def inits() -> Inits:
    """Return how the hosts that run now are found in /proc."""
    return {name: int(lab.podman("inspect", "--format={{.State.Pid}}", lab.container(name))) for name in lab.HOSTS}


class Switches:
    """Counts how often the link `current` of each web server was put in place, as the kernel tells of it."""

    def __init__(self, inits: Inits) -> None:
        """Begin to count."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK)
        self._hosts = {self._watch(_root(inits[name]) / "srv/shop"): name for name in deploy.WEB}

    def _watch(self, folder: Path) -> int:
        number = int(self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _MOVED_TO | _CREATE | _DELETE))
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))
        return number

    def counted(self) -> Counter[str]:
        """Return how often it was put in place on each host since the last time that this was asked."""
        seen: Counter[str] = Counter()
        while data := self._read():
            while data:
                number, mask, _, length = _HEAD.unpack_from(data)
                name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
                data = data[_HEAD.size + length :]
                if name == b"current":
                    seen[f"{self._hosts[number]}: current {'deleted' if mask & _DELETE else 'switched'}"] += 1
        return seen

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stop counting."""
        os.close(self._descriptor)


def cursors() -> dict[str, str]:
    """Return where the journal of each host stands now."""
    return {name: _journal(name, "-n0", "--show-cursor").rpartition("cursor: ")[2] for name in lab.HOSTS}


def acts(since: dict[str, str], units: frozenset[str]) -> Counter[str]:
    """Count on each host the starts and stops of these units, and the turns of the shop's breaker."""
    seen: Counter[str] = Counter()
    for name, cursor in since.items():
        for line in _journal(name, f"--after-cursor={cursor}", "-ojson").splitlines():
            row = json.loads(line)
            said, unit = str(row.get("MESSAGE")), row.get("UNIT")
            if unit in units and row.get("MESSAGE_ID") in _UNIT:
                seen[f"{name}: {unit} {_UNIT[row['MESSAGE_ID']]}"] += 1
            if _BREAKER in said:
                seen[f"{name}: breaker {said.rpartition(' ')[2]}"] += 1
    return seen


def backups(inits: Inits, incident_id: str) -> Counter[tuple[str, str, bool]]:
    """Count the backups of an incident in the hosts' lists: host, state, verified."""
    found: Counter[tuple[str, str, bool]] = Counter()
    for name, pid in inits.items():
        for path in (_root(pid) / _OURS / "backups").glob("*.json"):
            rows = json.loads(path.read_text())["backups"]
            found.update((name, row["state"], row["verified"]) for row in rows if row["incident"] == incident_id)
    return found


def open_entries(inits: Inits, incident_id: str) -> list[str]:
    """Return what stands in the hosts' ledgers and is not taken back; a rollback is kept on purpose."""
    paths = [
        (name, path)
        for name, pid in inits.items()
        for path in (_root(pid) / _OURS / "ledger" / incident_id).glob("*.json")
    ]
    rows = [(name, json.loads(path.read_text())) for name, path in paths]
    return [
        f"{name}: {row['capability']} {row['target']} {row['state']}"
        for name, row in rows
        if not row["undo"].get("keep") and row["state"] != "lifted"
    ]


def at_work(inits: Inits) -> dict[tuple[int, str], str]:
    """Return what was begun over ssh and runs on the hosts, as (pid, when it began) → host and command line.

    systemd keeps it in the group of ssh.service, also when the session that began it is gone.
    """
    spaces = {Path(f"/proc/{pid}/ns/pid").readlink(): name for name, pid in inits.items()}
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            host = spaces.get((path / "ns/pid").readlink())
            if host is None or "/ssh.service" not in (path / "cgroup").read_text():
                continue
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            began = (path / "stat").read_text().rpartition(")")[2].split()[19]
        except OSError:
            continue  # it has just ended
        if words and not words.startswith("sshd:"):
            found[int(path.name), began] = f"{host}: {words[:100]}"
    return found


def _journal(name: str, *words: str) -> str:
    return lab.inside(name, "journalctl", "--no-pager", "--quiet", *words)


def _root(init: int) -> Path:
    return Path(f"/proc/{init}/root")
