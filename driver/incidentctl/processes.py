"""Processes of this machine: who holds a lock and whether that still runs; ansible-playbook with all its workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_GONE_S = 5.0  # for what was killed to be gone
_PAUSE_S = 0.05
# In the environment of ansible-playbook and of all that it starts on this machine: the private folder of its run.
MARK = "INCIDENTCTL_RUN"
_CLIENTS = (b"ssh", b"sftp", b"scp", b"sshpass")


def myself() -> dict[str, Any]:
    """Return {pid, host, machine, boot_id, pids, started} of this process: together no other process ever has them.

    `pids` is the namespace that the process id counts in: another container has another.
    """
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "machine": _read("/etc/machine-id").strip(),
        "boot_id": _read("/proc/sys/kernel/random/boot_id").strip(),
        "pids": _namespace(),
        "started": _started(os.getpid()),
    }


def is_here(holder: Mapping[str, Any]) -> bool:
    """Given what `myself` was to a holder, say whether we would see that process if it still ran."""
    mine = myself()
    return all(holder.get(key, mine[key]) == mine[key] for key in ("host", "machine", "boot_id", "pids"))


def is_alive(holder: Mapping[str, Any]) -> bool:
    """Given what `myself` was to a holder, say whether that process may still be at work."""
    if not is_here(holder):
        return not _was_before_our_boot(holder)
    started = _started(holder.get("pid"))
    if myself()["started"] is None:  # no /proc here
        return _answers(holder.get("pid"))
    return started is not None and started == holder.get("started")


def controllers_below(ancestor: int) -> set[int]:
    """Return the ansible-playbook processes that descend from `ancestor`, workers too: they are sessions of their own."""
    parents = {pid: int(fields[1]) for pid in _all() if len(fields := _stat(pid)) > 1}
    family = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid for pid in family - {ancestor} if _is_controller(_words(pid))}


def controllers_of(folder: Path) -> set[int]:
    """Return the ansible-playbook processes whose command line names something in `folder`, whoever's children they are."""
    inside = os.fsencode(folder) + b"/"
    return {pid for pid in _all() if _is_controller(words := _words(pid)) and any(inside in word for word in words)}


def clients_of(folder: Path) -> set[int]:
    """Return the ssh, sftp and scp that ansible-playbook started for a run: it leaves them behind when a task hangs.

    Not those that a module runs here for its own ends; nor the masters, which serve the next run, and end by themselves.
    """
    mark = os.fsencode(f"{MARK}={folder}")
    clients = {pid: int(fields[1]) for pid in _all() if _is_client(pid) and len(fields := _stat(pid)) > 1}
    return {
        pid
        for pid, parent in clients.items()
        if mark in _environment(pid)
        if mark not in _environment(parent) or parent in clients or _is_controller(_words(parent))
    }


def agent_is_gone(address: str) -> bool:
    """Say whether there was an ssh-agent at the address of a socket, "" for none, that does not answer any more."""
    if not address:
        return False
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(address)
        except OSError:
            return True
    return False


def end(pids: Iterable[int]) -> None:
    """Kill processes of ours, as far as they are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_controllers_of(folder: Path) -> bool:
    """Kill the ansible-playbook processes of a private folder; say whether none is left."""
    deadline = time.monotonic() + _GONE_S
    while pids := controllers_of(folder):
        if time.monotonic() > deadline:
            return False
        with contextlib.suppress(PermissionError):
            end(pids)
        time.sleep(_PAUSE_S)
    return True


def _was_before_our_boot(holder: Mapping[str, Any]) -> bool:
    """Two machines may have one name: without the machine's own id nothing is known of another boot."""
    mine = myself()
    same = all(holder.get(key, mine[key]) == mine[key] for key in ("host", "machine"))
    return same and bool(mine["machine"]) and holder.get("boot_id") != mine["boot_id"]


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _is_controller(words: list[bytes]) -> bool:
    return any(word.endswith(b"/ansible-playbook") for word in words[:3])


def _is_client(pid: int) -> bool:
    words = _words(pid)
    return bool(words) and words[0].rpartition(b"/")[2] in _CLIENTS


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _all() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _started(pid: Any) -> int | None:
    """Return when a process began, in clock ticks since the boot; None if it does not run (any more)."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None


def _stat(pid: Any) -> list[str]:
    # The second field, the program's name, may hold spaces and brackets.
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _answers(pid: Any) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    except PermissionError:
        pass
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
