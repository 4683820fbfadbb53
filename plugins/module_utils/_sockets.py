"""End TCP connections that are open: those of the host's own processes, and of its containers."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

_PROC = Path("/proc")


def end(addresses: list[str], port: int) -> str:
    """End all connections to a port of these addresses; return what to tell.

    A packet filter ends a connection only when a packet comes by. One whose thread waits for an answer that does not
    come sends none, so the kernel is asked to end it.
    """
    missing = [name for name in ("ss", "nsenter") if not _rule_removal.tool(name)]
    if missing:
        return f"{missing[0]} is not installed: an open connection ends when it next sends something"
    ended = left = 0
    for enter in ([], *(["nsenter", f"--net={path}"] for path in _other_networks())):
        try:
            ended += len(_connections(enter, addresses, port, "--kill"))
            left += len(_connections(enter, addresses, port))
        except _rule_removal.RuleError as error:
            if not enter:
                return f"{error}: an open connection ends when it next sends something"
            continue  # its container is gone meanwhile, and so are its connections
    told = f"{ended - left} open connection{'' if ended - left == 1 else 's'} ended"
    return f"{told}; {left} could not be ended, and end when they next send something" if left else told


def _connections(enter: list[str], addresses: list[str], port: int, *flags: str) -> list[str]:
    # An IPv4 address finds the IPv6 sockets that talk to it, too.
    to = " or ".join(f"dst [{address}]:{port}" if ":" in address else f"dst {address}:{port}" for address in addresses)
    words = ["ss", "--no-header", "--numeric", "--tcp", *flags, "state", "established"]
    return _rule_removal.call([*enter, *words, to]).splitlines()


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
