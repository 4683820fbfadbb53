"""Who is logged in: the ssh connection that the running module came by."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path


def connection() -> str:
    """Return SSH_CONNECTION of the login this process belongs to (client, port, server, port); "" without one.

    sudo strips it, so the nearest ancestor that still has it is asked.
    """
    pid = os.getpid()
    while pid > 1:
        found = _environment(pid).get("SSH_CONNECTION", "")
        if len(found.split()) == 4:
            return found
        pid = _parent(pid)
    return ""


def peer(found: str) -> str | None:
    """Given SSH_CONNECTION, return the client's address; None where it names none."""
    try:
        address = ipaddress.ip_address(found.split(maxsplit=1)[0].partition("%")[0])
    except (IndexError, ValueError):
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def server_port(found: str) -> int:
    """Given SSH_CONNECTION, return the port that sshd was reached at; 22 where it does not say."""
    words = found.split()
    return int(words[3]) if len(words) == 4 and words[3].isdigit() else 22


def _environment(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition("=") for part in raw.decode("utf-8", "replace").split("\0"))
    return {key: value for key, _equals, value in pairs}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
