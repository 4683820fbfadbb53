"""End TCP connections that are open: those of the host's own processes, and of its containers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

_PROC = Path("/proc")


def to(addresses: list[str], port: int) -> str:
    """Return how ss names all connections to a port of these addresses."""
    # An IPv4 address finds the IPv6 sockets that talk to it, too.
    return " or ".join(f"dst {_place(address)}:{port}" for address in addresses)


def beyond(networks: list[str]) -> str:
    """Return how ss names all connections that leave this host, but for those to these networks."""
    return " and ".join(f"not dst {_place(network)}" for network in dict.fromkeys(["127.0.0.0/8", "::1", *networks]))


class Ended(NamedTuple):
    """How many connections were ended, how many could not be, and why none could."""

    ended: int
    left: int
    why: str


def end(which: str) -> Ended:
    """End all connections that ss knows by these words.

    A packet filter ends a connection only when a packet comes by. One whose thread waits for an answer that does not
    come sends none, so the kernel is asked to end it.
    """
    missing = [name for name in ("ss", "nsenter") if not _rule_removal.tool(name)]
    if missing:
        return Ended(0, 0, f"{missing[0]} is not installed")
    ended = left = 0
    for enter in ([], *(["nsenter", f"--net={path}"] for path in _other_networks())):
        try:
            ended += len(_connections(enter, which, "--kill"))  # it tells those that it did end, and only them
            left += len(_connections(enter, which))
        except _rule_removal.RuleError as error:
            if not enter:
                return Ended(ended, left, str(error))
            continue  # its container is gone meanwhile, and so are its connections
    return Ended(ended, left, "")


def told(*times: Ended) -> str:
    """Return what to tell of connections that were ended one time or several."""
    number, (_ended, left, why) = sum(time.ended for time in times), times[-1]
    if why:
        return f"{why}: an open connection ends when it next sends something"
    words = f"{number} open connection{'' if number == 1 else 's'} ended"
    return f"{words}; {left} could not be ended, and end when they next send something" if left else words


def _place(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _connections(enter: list[str], which: str, *flags: str) -> list[str]:
    words = ["ss", "--no-header", "--numeric", "--tcp", *flags, "state", "established"]
    return _rule_removal.call([*enter, *words, which]).splitlines()


def _other_networks() -> list[str]:
    """Return a path to each network namespace of this host's processes that is not our own."""
    found = {}
    own = (_PROC / "self/ns/net").stat().st_ino
    for path in _PROC.glob("[0-9]*/ns/net"):
        try:
            found[path.stat().st_ino] = str(path)
        except OSError:  # it ended meanwhile
            continue
    return [path for inode, path in found.items() if inode != own]
