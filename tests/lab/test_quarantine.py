"""A quarantine on a real host: nothing comes in or goes out, those who manage it stay, and it leaves no trace."""

from __future__ import annotations

import socket
import time
from typing import Any

import crowd
import pytest
from machine import podman
from tests.lab.edge import (
    BOOT_S,
    EDGE,
    FAMILIES,
    PORTS,
    WINDOW_S,
    Incident,
    fresh_login,
    power,
    rules,
    strikes,
    traces,
    wait_until_lifted,
)
from tests.lab.play import lab
from tests.lab.test_egress_breaker import PORT, SEARCH, WHO, connections_of_search, ends, held, places, search

__all__ = ["search"]  # the fixture: the crowd answers, too
NAMED = {"incident_only": ["echo-on-host"]}
# What the kernel counts it as, of which family, its type and code, with which hop limit → whether it still comes in.
MESSAGES = {
    ("InDestUnreachs", "ipv4", 3, 4, 64): True,  # a packet was too large
    ("InEchos", "ipv4", 8, 0, 64): False,
    ("Icmp6InPktTooBigs", "ipv6", 2, 0, 64): True,
    ("Icmp6InEchos", "ipv6", 128, 0, 64): False,
    ("Icmp6InRouterAdvertisements", "ipv6", 134, 0, 255): True,
    ("Icmp6InNeighborSolicits", "ipv6", 135, 0, 255): True,
    ("Icmp6InNeighborSolicits", "ipv6", 135, 0, 64): False,  # not from the link
    ("Icmp6InGroupMembQueries", "ipv6", 130, 0, 1): True,
    ("Icmp6InRedirects", "ipv6", 137, 0, 255): False,
}


# Sends one datagram to each place from a port of its own; says which of them come back.
_ASK = """
import json, socket, sys
source, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", int(source)))
    try:
        s.sendto(b"hello", socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4])
        print(s.recv(5) == b"hello")
    except OSError:
        print(False)
"""
_SAY_BACK = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", int(sys.argv[1])))
    while True:
        data, sender = s.recvfrom(100)
        s.sendto(data, sender)
"""
# One ICMP message to an address, with a hop limit; the rest is what the kernel wants to see behind it.
_MESSAGE = """
import socket, struct, sys
address, kind, code, hops = sys.argv[1], *map(int, sys.argv[2:])
body = struct.pack("!BBHI", kind, code, 0, 1280) + bytes(64)
if ":" in address:
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total >> 16) + (total & 0xffff)
    body = body[:2] + struct.pack("!H", 0xffff & ~(total + (total >> 16))) + body[4:]
s.sendto(body, socket.getaddrinfo(address, None, type=socket.SOCK_RAW)[0][4])
"""


def inwards(family: str, port: int) -> int:
    """Return how many of three strangers get through to a port."""
    return sum(crowd.connect([crowd.source(n, family) for n in range(3)], family, port).values())


def asks(where: tuple[str, ...], source: int, address: str, port: int) -> bool:
    return podman("exec", *where, "python3", "-c", _ASK, str(source), address, str(port)) == "True"


def says_back(where: tuple[str, ...], port: int) -> None:
    podman("exec", "--detach", *where, "python3", "-c", _SAY_BACK, str(port))


def from_here(address: str, port: int) -> bool:
    """Say whether this machine, which manages the host, reaches a port of it."""
    try:
        with socket.create_connection((address, port), timeout=2) as s:
            s.sendall(b"hello")
            return s.recv(5) == b"hello"
    except OSError:
        return False


def kernel_counts(name: str) -> int:
    """Return how many messages of a kind edge1's kernel took in."""
    for words in map(str.split, lab.inside(EDGE, "cat", "/proc/net/snmp6").splitlines()):
        if words[0] == name:
            return int(words[1])
    header, values = (line.split() for line in lab.inside(EDGE, "grep", "^Icmp:", "/proc/net/snmp").splitlines())
    return int(values[header.index(name)])


def test_nothing_comes_in_or_goes_out_and_what_was_open_ends(
    incident: Incident, search: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before, at_first = rules(), connections_of_search()
    for family in FAMILIES:
        for port in PORTS.values():
            assert inwards(family, port) == 3
    for who in WHO:
        assert ends(who, *places(SEARCH, PORT)) == {"hello"}
    with (
        held("process", SEARCH[0]) as one,
        held("process", SEARCH[1]) as two,
        held("container", SEARCH[0]) as three,
        held("container", SEARCH[1]) as four,
        crowd.transfer("ipv4", crowd.OF_HOST) as sent_to_host,
        crowd.transfer("ipv6", crowd.OF_CONTAINER) as sent_to_container,
    ):
        assert connections_of_search() == at_first + 8
        play = incident.play("quarantine", **NAMED)
        assert (play.code, play.block(EDGE)["outcome"]) == (0, "done"), play.said
        (row,) = play.block(EDGE)["actions"]
        with capsys.disabled():
            print(f"\n{row['summary']}")
        # Resets go out: the others let go of what was ended here.
        assert connections_of_search() == at_first
    assert "None" not in {*one, *two, *three, *four}
    assert sent_to_host == sent_to_container == []  # the transfer broke off
    assert "10 open connections ended" in row["summary"]
    assert row["summary"].endswith("; confirmed by a fresh login")
    for family in FAMILIES:
        for port in PORTS.values():
            assert inwards(family, port) == 0
    for who in WHO:
        assert ends(who, *places(SEARCH, PORT)) == {"TimeoutError"}
    fresh_login()
    again = incident.play("quarantine", **NAMED)
    assert (again.code, again.block(EDGE)["outcome"]) == (0, "unchanged"), again.said
    (told,) = again.block(EDGE)["actions"]
    packets = sum(again.block(EDGE)["facts"]["quarantined"][0]["held_back"].values())
    assert packets > 12
    assert "host is cut off already; held back " in told["summary"]
    lifted = incident.play("lift")
    assert lifted.block(EDGE)["outcome"] == "done", lifted.said
    assert "quarantine of host removed; it held back " in lifted.block(EDGE)["actions"][0]["summary"]
    assert (rules(), traces()) == (before, "")
    for family in FAMILIES:
        for port in PORTS.values():
            assert inwards(family, port) == 3
    for who in WHO:
        assert ends(who, *places(SEARCH, PORT)) == {"hello"}


def test_what_stays_on_the_host_and_who_manages_it_are_left_alone(incident: Incident) -> None:
    inside = [(a, p) for a in ("127.0.0.1", "::1", *crowd.EDGE.addresses) for p in (crowd.OF_HOST,)]
    inside += [(a, crowd.OF_CONTAINER) for a in ("127.0.0.1", *crowd.EDGE.addresses)]
    assert ends("process", *inside) == {"hello"}
    incident.play("quarantine", **NAMED)
    assert ends("process", *inside) == {"hello"}
    form = "{{range .Subnets}}{{.Gateway}} {{end}}"
    gateways = lab.inside(EDGE, "podman", "network", "inspect", "shop", "--format", form).split()
    assert len(gateways) == 2
    assert ends("container", *((address, crowd.OF_HOST) for address in gateways)) == {"hello"}
    for address in crowd.EDGE.addresses:
        # Also when this machine has to find the host anew on the link.
        for family in ("-4", "-6"):
            lab.inside(EDGE, "ip", family, "neigh", "flush", "all")
        for port in PORTS.values():
            assert from_here(address, port), (address, port)


def test_datagrams_are_cut_but_for_those_that_keep_the_address(incident: Incident) -> None:
    """Not a real lease: what a client and a server say to each other has these ports, and comes back."""
    strangers, host = (crowd.NAME,), (lab.container(EDGE),)
    link = lab.inside(EDGE, "ip", "-6", "-oneline", "address", "show", "dev", "eth0", "scope", "link").split()[3]
    other = podman(
        "exec", crowd.NAME, "ip", "-6", "-oneline", "address", "show", "dev", "eth0", "scope", "link"
    ).split()[3]
    for port in (67, 547, 5300):
        says_back(strangers, port)
    says_back(host, 5300)
    to_strangers = [(68, SEARCH[0], 67, True), (546, f"{other.partition('/')[0]}%eth0", 547, True)]
    to_strangers += [(5301, address, 5300, False) for address in SEARCH]
    to_strangers += [(546, SEARCH[1], 547, False)]
    inwards_too = [(5301, address, 5300) for address in (*crowd.EDGE.addresses, f"{link.partition('/')[0]}%eth0")]
    deadline = time.monotonic() + 10
    while not (
        all(asks(host, source, address, port) for source, address, port, _stays in to_strangers)
        and all(asks(strangers, *way) for way in inwards_too)
    ):
        assert time.monotonic() < deadline
    incident.play("quarantine", **NAMED)
    for source, address, port, stays in to_strangers:
        assert asks(host, source, address, port) is stays, (source, address, port)
    for way in inwards_too:
        assert not asks(strangers, *way), way


def comes(name: str, family: str, kind: int, code: int, hops: int) -> bool:
    """Say whether the kernel of edge1 takes in messages that a stranger sends it."""
    before = kernel_counts(name)
    words = [crowd.EDGE.addresses[family == "ipv6"], str(kind), str(code), str(hops)]
    for _ in range(5):  # more than the link says by itself meanwhile
        podman("exec", crowd.NAME, "python3", "-c", _MESSAGE, *words)
    return kernel_counts(name) - before >= 5


def test_of_the_link_it_hears_what_it_needs(incident: Incident) -> None:
    assert {message: comes(*message) for message in MESSAGES} == dict.fromkeys(MESSAGES, True)
    incident.play("quarantine", **NAMED)
    assert {message: comes(*message) for message in MESSAGES} == MESSAGES


def test_what_nobody_confirms_is_gone_at_the_deadline(incident: Incident) -> None:
    before = rules()
    block = incident.act_alone(capability="quarantine", only=["echo-on-host"], confirm_within=WINDOW_S)
    assert block["facts"]["to_confirm"] == ["host"]
    assert inwards("ipv4", crowd.OF_HOST) == inwards("ipv6", crowd.OF_CONTAINER) == 0
    wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert {entry["lifted_because"] for entry in incident.entries()} == {"it was not confirmed in time"}
    assert rules() == before
    assert inwards("ipv4", crowd.OF_HOST) == inwards("ipv6", crowd.OF_CONTAINER) == 3


def test_whoever_has_no_way_in_by_then_gets_it_back(incident: Incident) -> None:
    """The management networks are wrong, and the login comes from where nobody will come again."""
    before = rules()
    block = incident.act_alone(
        capability="quarantine", only=["echo-on-host"], confirm_within=WINDOW_S, management_cidrs=["192.0.2.0/24"]
    )
    assert "192.0.2.0/24" in block["actions"][0]["summary"]
    assert not from_here(crowd.EDGE.addresses[1], crowd.OF_HOST)  # the login was by the other family
    wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert rules() == before
    assert from_here(crowd.EDGE.addresses[1], crowd.OF_HOST)


def test_a_forgotten_quarantine_ends_by_itself(incident: Incident) -> None:
    before = rules()
    play = incident.play("quarantine", quarantine_expires_after=WINDOW_S, **NAMED)
    assert play.block(EDGE)["outcome"] == "done", play.said
    assert rules() != before
    wait_until_lifted(incident, strikes(incident, "expires_at"))
    assert {entry["lifted_because"] for entry in incident.entries()} == {"its time ran out"}
    assert rules() == before


def test_the_clocks_outlive_a_reboot(incident: Incident) -> None:
    """The power fails before it was confirmed, and is back when the deadline is over."""
    incident.act_alone(capability="quarantine", only=["echo-on-host"], confirm_within=5, expires_after=600)
    power(incident, off_until=strikes(incident, "confirm_by") + 1)
    wait_until_lifted(incident, time.time(), BOOT_S)


@pytest.mark.parametrize(
    ("options", "code", "outcome", "why"),
    [
        ({}, 2, "refused", "no service was named"),
        ({**NAMED, "quarantine_management_cidrs": ["::/0"]}, 2, "refused", "would leave everything open"),
        ({"incident_only": ["echo"]}, 2, "failed", "no service is named 'echo'"),
    ],
)
def test_nothing_is_cut_off_that_was_not_meant(
    incident: Incident, options: dict[str, Any], code: int, outcome: str, why: str
) -> None:
    before = rules()
    play = incident.play("quarantine", **options)
    assert (play.code, play.block(EDGE)["outcome"]) == (code, outcome), play.said
    assert why in play.block(EDGE)["reason"]
    assert (rules(), incident.entries()) == (before, [])


def test_the_check_changes_nothing_and_shows_the_rules(incident: Incident) -> None:
    before = rules()
    play = incident.play("quarantine", "--check", "--diff", **NAMED)
    assert (play.code, play.block(EDGE)["outcome"], play.results[EDGE]["changed"]) == (0, "done", True)
    assert "-j DROP" in play.said
    assert (rules(), incident.entries(), traces()) == (before, [], "")
    assert inwards("ipv4", crowd.OF_HOST) == 3
