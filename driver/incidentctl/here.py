"""Which hosts of the inventory are the machine that this runs on. Nothing is sent to them."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl.hosts import LOCAL

PATIENCE_S = 2.0  # for the resolver; ssh would wait for it, too
# Addresses that nobody has (RFC 5737, 3849): where a socket can be bound to one, it can to any, and that tells nothing.
_NOBODYS = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def hosts_here(hosts: Iterable[str], places: Mapping[str, str]) -> frozenset[str]:
    """Given hosts, and of each where a connection would go (hosts.place), return those that are this machine."""
    found: set[str] = set()

    def look(host: str, place: str) -> None:
        if place == LOCAL or any(map(_is_own, _addresses(place))):
            found.add(host)

    # Daemons: a name server that does not answer must not hold up the end of the command either.
    looks = [threading.Thread(target=look, args=(host, places.get(host, "")), daemon=True) for host in hosts]
    until = time.monotonic() + PATIENCE_S
    for thread in looks:
        thread.start()
    for thread in looks:
        thread.join(max(0.0, until - time.monotonic()))
    return frozenset(found)


def _addresses(place: str) -> list[tuple[Any, ...]]:
    try:
        return [info[4] for info in socket.getaddrinfo(place, 0, type=socket.SOCK_DGRAM)] if place else []
    except (OSError, UnicodeError):  # no such name: ssh will not get there either
        return []


def _is_own(address: tuple[Any, ...]) -> bool:
    if ipaddress.ip_address(address[0]).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return _binds(family, address) and not _binds(family, (_NOBODYS[family], 0))


def _binds(family: int, address: tuple[Any, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as taken:
            taken.bind(address)
    except OSError:
        return False
    return True
