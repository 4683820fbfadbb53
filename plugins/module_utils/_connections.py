"""Which TCP connections there are, by state, port and peer, and how many new ones come: by the kernel's own tables.

Each network namespace that can be looked into counts: the host's own, and as root those of its containers.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _procfs

TOP = 5
NETWORKS = 12  # namespaces
SOCKETS = 60_000  # of all; the rest is not counted
_TABLE = 10 << 20  # bytes of a table of so many
_STATES = {
    "01": "established", "02": "syn_sent", "03": "syn_recv", "04": "fin_wait1", "05": "fin_wait2", "06": "time_wait",
    "07": "close", "08": "close_wait", "09": "last_ack", "0A": "listen", "0B": "closing", "0C": "syn_recv",
}  # fmt: skip
# What was turned away because a queue was full, as the kernel counts it.
_TURNED_AWAY = ("ListenOverflows", "TCPReqQFullDrop", "TCPReqQFullDoCookies")

Facts = dict[str, Any]


class Socket(NamedTuple):
    """One TCP socket."""

    state: str
    port: int
    peer: str  # as the table has it
    peer_port: int
    queue: int  # of one that listens: connections that wait to be accepted


class Network(NamedTuple):
    """One network namespace at one time."""

    pid: str  # of a process in it
    sockets: list[Socket]
    counters: dict[str, int]


class Reading(NamedTuple):
    """All of them at one time, by their number."""

    at: float
    networks: dict[int, Network]
    unseen: int  # processes whose network is not ours to look into


def begin() -> Reading:
    """Take the first of two readings: counters, and what listens."""
    return _read(0)


def read() -> Reading:
    """Take a whole reading."""
    return _read(SOCKETS)


def _read(room: int) -> Reading:
    at, networks = time.monotonic(), {}
    found, unseen = _namespaces()
    for number, pid in found.items():
        networks[number] = _network(pid, room)
        room = max(0, room - len(networks[number].sockets))
    return Reading(at, networks, unseen)


def between(first: Reading, last: Reading) -> Facts:
    """Return what the sockets of all networks come to.

    {states, new_per_s, turned_away, ports: [{port, pid, count, half_open, close_wait, waiting, peer, peer_count, peer_alive}],
    outgoing: [{peer, port, count, close_wait, of_ports}], tracked, tracked_limit}. `turned_away` is since the first reading;
    `waiting` stood in line to be accepted at both of them; `peer` is who has the most connections to that port, and
    `peer_alive` how many of them have not just ended (TIME-WAIT).
    """
    seconds = max(last.at - first.at, 0.05)
    states: Counter[str] = Counter()
    new = turned_away = 0
    ports: list[Facts] = []
    outgoing: Counter[tuple[str, int]] = Counter()
    left_open: Counter[tuple[str, int]] = Counter()
    for number, network in last.networks.items():
        before = first.networks.get(number, network)
        grown = {key: max(0, value - before.counters.get(key, value)) for key, value in network.counters.items()}
        new += grown.get("PassiveOpens", 0)
        turned_away += sum(grown.get(key, 0) for key in _TURNED_AWAY)
        states.update(one.state for one in network.sockets)
        listening = {one.port for one in network.sockets if one.state == "listen"}
        ports += _ports(before, network, listening, grown)
        for one in network.sockets:
            if one.state != "listen" and one.port not in listening:
                outgoing[one.peer, one.peer_port] += 1
                left_open[one.peer, one.peer_port] += one.state == "close_wait"
    chosen = dict.fromkeys(key for key, _count in [*outgoing.most_common(TOP), *left_open.most_common(1)])
    return {
        "states": dict(states),
        "new_per_s": round(new / seconds, 1),
        "turned_away": turned_away,
        "ports": sorted(ports, key=lambda port: -port["count"])[: 2 * TOP],
        "outgoing": [
            {"peer": address(peer), "port": port, "count": outgoing[peer, port], "close_wait": left_open[peer, port]}
            for peer, port in chosen
        ],
        "local_ports": _local_ports(),
        "tracked": _figure("sys", "net", "netfilter", "nf_conntrack_count"),
        "tracked_limit": _figure("sys", "net", "netfilter", "nf_conntrack_max"),
    }


def _ports(before: Network, now: Network, listening: set[int], grown: dict[str, int]) -> Iterator[Facts]:
    """Return what there is to say of each port that listens, and has connections."""
    peers: dict[int, Counter[str]] = {}
    alive: Counter[tuple[int, str]] = Counter()
    half_open: Counter[int] = Counter()
    left_open: Counter[int] = Counter()
    for one in now.sockets:
        if one.state != "listen" and one.port in listening:
            peers.setdefault(one.port, Counter())[one.peer] += 1
            alive[one.port, one.peer] += one.state != "time_wait"
            half_open[one.port] += one.state == "syn_recv"
            left_open[one.port] += one.state == "close_wait"
    waited = {one.port: one.queue for one in before.sockets if one.state == "listen"}
    waits = {one.port: min(one.queue, waited.get(one.port, 0)) for one in now.sockets if one.state == "listen"}
    for port in {*peers, *(port for port, count in waits.items() if count)}:
        most = peers.get(port, Counter()).most_common(1)
        yield {
            "port": port,
            "pid": now.pid,
            "count": sum(peers.get(port, {}).values()),
            "half_open": half_open[port],
            "close_wait": left_open[port],
            "waiting": waits.get(port, 0),
            "peer": address(most[0][0]) if most else None,
            "peer_count": most[0][1] if most else 0,
            "peer_alive": alive[port, most[0][0]] if most else 0,
            "turned_away": sum(grown.get(key, 0) for key in _TURNED_AWAY),
        }


def _namespaces() -> tuple[dict[int, str], int]:
    """Return a process of each network namespace by its number, our own first, and how many processes told none."""
    found: dict[int, str] = {}
    unseen = 0
    pids = sorted(int(entry.name) for entry in _procfs.PROC.glob("[0-9]*"))
    for pid in ("self", *map(str, pids)):
        try:
            number = (_procfs.PROC / pid / "ns" / "net").stat().st_ino
        except PermissionError:
            unseen += 1
            continue
        except OSError:
            continue
        if len(found) < NETWORKS:
            found.setdefault(number, pid)
    return found, unseen


def _network(pid: str, room: int) -> Network:
    """Return a network, with all that listens there, and so many other sockets in each of its tables."""
    tables = (_procfs.text(pid, "net", table, limit=_TABLE) for table in ("tcp", "tcp6"))
    sockets = [one for table in tables for one in _sockets(table, room)]
    counters: dict[str, int] = {}
    for table in ("snmp", "netstat"):
        lines = _procfs.text(pid, "net", table).splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            if names.startswith(("Tcp:", "TcpExt:")):
                pairs = zip(names.split()[1:], values.split()[1:])
                counters.update({name: int(value) for name, value in pairs if value.isdigit()})
    return Network(pid, sockets, counters)


def _sockets(table: str, room: int) -> Iterator[Socket]:
    for line in table.splitlines()[1:]:
        fields = line.split(None, 5)
        if len(fields) < 6:
            continue
        listens = fields[3] == "0A"
        if not listens:  # the kernel tells first what listens
            room -= 1
            if room < 0:
                return
        local, (peer, _colon, peer_port) = fields[1].rpartition(":")[2], fields[2].partition(":")
        queue = int(fields[4].rpartition(":")[2], 16) if listens else 0
        yield Socket(_STATES.get(fields[3], "other"), int(local, 16), peer, int(peer_port, 16), queue)


def address(digits: str) -> str:
    """Return an address of the table, words of four bytes in the host's order, as people write it."""
    raw = b"".join(bytes.fromhex(digits[place : place + 8])[::-1] for place in range(0, len(digits), 8))
    found = ipaddress.ip_address(raw)
    return str(getattr(found, "ipv4_mapped", None) or found)


def _local_ports() -> int | None:
    """Return how many ports there are for connections that go out to one place."""
    words = _procfs.text("sys", "net", "ipv4", "ip_local_port_range").split()
    return int(words[1]) - int(words[0]) + 1 if len(words) == 2 else None


def _figure(*parts: str) -> int | None:
    said = _procfs.text(*parts).strip()
    return int(said) if said.isdigit() else None
