"""Connections: who has most of them to a port, which nobody accepts or closes, and how fast new ones come."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _connections, _findings, _procfs
from tests.unit.modules.host_figures import CALM, Proc

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ANY, OURS, FLOODER, OTHER = "00000000", "0100A8C0", "070200C0", "080200C0"


def row(local: str, peer: str, state: str, waiting: int = 0) -> str:
    return f"   0: {local} {peer} {state} 00000000:{waiting:08X} 00:00000000 00000000  0  0 1 1 0 100 0 0 10 0\n"


def counters(opened: int, overflows: int = 0) -> dict[str, str]:
    return {
        "snmp": f"Ip: Forwarding\nIp: 1\nTcp: ActiveOpens PassiveOpens\nTcp: 5 {opened}\n",
        "netstat": f"TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 0 {overflows}\n",
    }


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "net").touch()
    return Proc(tmp_path)


def say(proc: Proc, *rows: str, pid: str = "self", six: str = "", **more: int) -> None:
    proc.write(f"{pid}/net/tcp", HEAD + "".join(rows))
    proc.write(f"{pid}/net/tcp6", HEAD + six)
    for name, text in counters(more.get("opened", 0), more.get("overflows", 0)).items():
        proc.write(f"{pid}/net/{name}", text)


def look(first: _connections.Reading) -> dict[str, Any]:
    """Return what there is a second after a reading."""
    return _connections.between(first, _connections.read()._replace(at=first.at + 1))


def test_peer_with_the_most_connections_to_a_port_is_known_whatever_their_state(proc: Proc) -> None:
    listens = row(f"{ANY}:1F90", f"{ANY}:0000", "0A")
    many = [row(f"{OURS}:1F90", f"{FLOODER}:{port:04X}", "06" if port % 2 else "01") for port in range(2000, 2030)]
    say(proc, listens, *many, row(f"{OURS}:1F90", f"{OTHER}:1234", "03"), row(f"{OURS}:1F90", f"{OTHER}:1235", "08"))
    found = look(_connections.begin())
    assert found["states"] == {"listen": 1, "time_wait": 15, "established": 15, "syn_recv": 1, "close_wait": 1}
    assert found["ports"] == [
        {
            "port": 8080, "pid": "self", "count": 32, "half_open": 1, "close_wait": 1, "waiting": 0, "peer": "192.0.2.7",
            "peer_count": 30, "peer_alive": 15, "turned_away": 0,
        }
    ]  # fmt: skip


def test_ipv4_peer_of_an_ipv6_socket_and_a_real_ipv6_peer_are_written_as_people_do(proc: Proc) -> None:
    own = "00000000000000000000000000000000"
    mapped, real = "0000000000000000FFFF0000070200C0", "B80D0120000000000000000001000000"
    listens = row(f"{own}:01BB", f"{own}:0000", "0A")
    say(proc, six=listens + row(f"{own}:01BB", f"{mapped}:1111", "01"))
    assert look(_connections.begin())["ports"][0]["peer"] == "192.0.2.7"
    say(proc, six=listens + row(f"{own}:01BB", f"{real}:1111", "01"))
    assert look(_connections.begin())["ports"][0]["peer"] == "2001:db8::1"


def test_what_waits_to_be_accepted_counts_when_it_waited_at_both_readings(proc: Proc) -> None:
    say(proc, row(f"{ANY}:1F90", f"{ANY}:0000", "0A", waiting=200), opened=100)
    first = _connections.begin()
    say(proc, row(f"{ANY}:1F90", f"{ANY}:0000", "0A", waiting=129), opened=700, overflows=50)
    found = look(first)
    assert (found["new_per_s"], found["turned_away"]) == (600.0, 50)
    assert [(port["port"], port["waiting"]) for port in found["ports"]] == [(8080, 129)]


def test_connections_that_go_out_are_counted_by_where_they_go(proc: Proc) -> None:
    rows = [row(f"{OURS}:{port:04X}", f"{FLOODER}:1538", "08") for port in range(40000, 40120)]
    say(proc, *rows, row(f"{OURS}:9000", f"{OTHER}:0050", "01"))
    found = look(_connections.begin())
    assert found["ports"] == []
    assert found["outgoing"][0] == {"peer": "192.0.2.7", "port": 5432, "count": 120, "close_wait": 120}
    assert len(found["outgoing"]) == 2


def test_network_of_a_container_is_looked_into_once(proc: Proc) -> None:
    say(proc)
    for pid in ("71", "72"):
        (proc.folder / pid / "ns").mkdir(parents=True)
        say(proc, row(f"{ANY}:0050", f"{ANY}:0000", "0A"), row(f"{OURS}:0050", f"{OTHER}:1234", "01"), pid=pid)
    (proc.folder / "71" / "ns" / "net").touch()
    os.link(proc.folder / "71" / "ns" / "net", proc.folder / "72" / "ns" / "net")
    assert [(port["pid"], port["count"]) for port in look(_connections.begin())["ports"]] == [("71", 1)]


def test_more_sockets_than_there_is_room_for_are_left_and_what_listens_never_is(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connections, "SOCKETS", 10)
    listens = row(f"{ANY}:1F90", f"{ANY}:0000", "0A", waiting=7)
    say(proc, listens, *[row(f"{OURS}:1F90", f"{OTHER}:{port:04X}", "01") for port in range(2000, 2030)])
    assert look(_connections.begin())["ports"][0]["count"] == 10
    assert look(_connections.begin())["ports"][0]["waiting"] == 7


def test_table_that_is_no_table_is_passed_over(proc: Proc) -> None:
    say(proc, "\n", "   0: nothing here\n", row(f"{ANY}:1F90", f"{ANY}:0000", "0A"))
    proc.write("self/net/snmp", "Tcp: RtoMin\nTcp: -1\nTcp:\n")
    assert look(_connections.begin())["states"] == {"listen": 1}


@pytest.fixture
def listening() -> Iterator[int]:
    with ExitStack() as kept:
        server = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        port = server.getsockname()[1]
        for _each in range(5):
            kept.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        yield port


def test_real_connections_that_nobody_accepts_are_seen(listening: int) -> None:
    found = _connections.between(_connections.begin(), _connections.read())
    (port,) = [port for port in found["ports"] if port["port"] == listening]
    assert (port["waiting"], port["peer"]) == (5, "127.0.0.1")
    assert found["local_ports"] > 1000


PORT = {
    "port": 8080, "pid": "self", "count": 310, "half_open": 0, "close_wait": 0, "waiting": 0, "peer": "192.0.2.7",
    "peer_count": 300, "peer_alive": 290, "turned_away": 0, "container": "", "service": None,
}  # fmt: skip


def found(port: dict[str, Any] | None = None, **change: Any) -> list[dict[str, Any]]:
    connections = {**CALM["connections"], "ports": [port] if port else [], **change}
    return _findings.rank({}, {**CALM, "connections": connections, "ports": {"8080": "shop"}}, {})


def test_flood_from_one_peer_is_a_finding_of_the_service_that_has_the_port() -> None:
    (flood,) = found(PORT)
    assert (flood["severity"], flood["kind"], flood["service"]) == ("warning", "connections", "shop")
    assert flood["text"] == "192.0.2.7 has 300 of the 310 connections to port 8080"
    assert flood["about"] == {"peer": "192.0.2.7", "count": 300, "port": 8080, "share": 0.97}
    assert found({**PORT, "peer_count": 190, "peer_alive": 190}) == []
    assert found({**PORT, "peer_alive": 20}) == [], "a balancer that opens a new one for each request"
    assert found({**PORT, "count": 7000, "peer_count": 6500, "peer_alive": 20})[0]["kind"] == "connections"
    assert found({**PORT, "port": 80, "service": "cart"})[0]["service"] == "cart"
    assert found({**PORT, "count": 900}) == [], "others have more"
    assert found({**PORT, "peer": "127.0.0.1"}) == [], "a proxy on the host itself"
    (worse,) = found({**PORT, "turned_away": 40}, turned_away=40, new_per_s=800.0)
    assert worse["severity"] == "critical"
    assert worse["text"].endswith("port 8080, 800 new ones a second; 40 were turned away while we looked")


def test_flood_that_opens_and_closes_is_told_by_how_many_new_ones_come() -> None:
    few = {**PORT, "count": 9, "peer_count": 8, "peer_alive": 8}
    (flood,) = found(few, new_per_s=1200.0)
    assert flood["text"] == (
        "1200 new connections a second come in, the most to port 8080; 192.0.2.7 has 8 of 9 there now"
    )
    assert (flood["kind"], flood["about"]["peer"], flood["service"]) == ("connections", "192.0.2.7", "shop")
    assert found(few, new_per_s=250.0)[0]["about"]["peer"] == "192.0.2.7"
    assert found({**few, "peer_count": 2}, new_per_s=250.0) == [], "many come, of many peers"
    assert found(new_per_s=1200.0)[0]["text"] == "1200 new connections a second come in"


@pytest.mark.parametrize(
    ("change", "state"),
    [({"half_open": 200}, "syn_recv"), ({"waiting": 129}, "waiting"), ({"close_wait": 150}, "close_wait")],
)
def test_port_whose_connections_stand_still_is_a_finding(change: dict[str, int], state: str) -> None:
    (stands,) = found({**PORT, "peer_count": 5, "peer_alive": 5, **change})
    assert (stands["severity"], stands["kind"], stands["about"]["state"]) == ("warning", "sockets", state)
    assert stands["about"]["count"] == next(iter(change.values()))


def test_what_is_used_up_is_a_finding() -> None:
    outgoing = {"peer": "192.0.2.7", "port": 5432, "count": 28000, "close_wait": 0}
    assert [(one["severity"], one["kind"]) for one in found(outgoing=[outgoing])] == [("critical", "sockets")]
    assert found(outgoing=[{**outgoing, "count": 2000}]) == []
    left = found(outgoing=[{**outgoing, "count": 300, "close_wait": 200}])
    assert left[0]["about"] == {"host": "192.0.2.7", "port": 5432, "state": "close_wait", "count": 200}
    assert found(tracked=240_000)[0]["severity"] == "warning"
    assert found(turned_away=50)[0]["severity"] == "critical"
