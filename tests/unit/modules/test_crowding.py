"""Who is taken for a proxy: one source that holds a large part of a port's connections."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _connections, _crowding

SPARED = [ipaddress.ip_network("192.0.2.0/24")]


def digits(address: str) -> str:
    raw = ipaddress.ip_address(address).packed
    return "".join(raw[place : place + 4][::-1].hex().upper() for place in range(0, len(raw), 4))


@pytest.fixture
def open_connections(monkeypatch: pytest.MonkeyPatch) -> list[_connections.Socket]:
    found: list[_connections.Socket] = []
    reading = _connections.Reading(0.0, {1: _connections.Network("1", found, {})}, 0)
    monkeypatch.setattr(_connections, "read", lambda: reading)
    return found


def connect(found: list[Any], address: str, number: int, port: int = 8000, state: str = "established") -> None:
    found += [_connections.Socket(state, port, digits(address), 40000 + n, 0) for n in range(number)]


def crowds(address: str, others: int) -> list[str]:
    return [str(ipaddress.ip_address(address) + n) for n in range(others)]


def test_a_source_with_more_than_its_part_of_a_port_is_told_with_the_figures(open_connections: list[Any]) -> None:
    connect(open_connections, "10.0.0.5", 9)
    for address in crowds("10.1.0.1", 13):
        connect(open_connections, address, 1)
    told = "10.0.0.5 holds 41% of the 22 connections to port 8000, as a proxy does"
    assert _crowding.crowding([443, 8000], SPARED, 0.3) == told
    assert _crowding.crowding([8000], SPARED, 0.41) == ""
    assert _crowding.crowding([443], SPARED, 0.3) == ""


@pytest.mark.parametrize(
    ("address", "number", "port", "state"),
    [
        ("10.0.0.5", 19, 8000, "established"),  # too few to say anything
        ("10.0.0.5", 50, 8000, "time_wait"),
        ("10.0.0.5", 50, 22, "established"),
        ("127.0.0.1", 50, 8000, "established"),
        ("::1", 50, 8000, "established"),
        ("::ffff:192.0.2.9", 50, 8000, "established"),  # spared, as a socket of IPv6 sees it
    ],
)
def test_what_says_nothing_of_where_users_come_from_does_not_count(
    open_connections: list[Any], address: str, number: int, port: int, state: str
) -> None:
    connect(open_connections, address, number, port, state)
    assert _crowding.crowding([8000], SPARED, 0.3) == ""


def test_a_whole_64_is_one_source(open_connections: list[Any]) -> None:
    for address in [*crowds("2001:db8::1", 10), *crowds("10.1.0.1", 14)]:
        connect(open_connections, address, 1)
    assert _crowding.crowding([8000], [], 0.3).startswith("2001:db8::/64 holds 42% of the 24 connections")
