"""Who depends on whom, as the catalogue has it. Pure.

A service's dependency is a service of the catalogue where its entry says so (`service`), has its name, or leads to a
host and port of its; else it is something outside. Services that depend on each other in a circle are allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from incidentctl.plan import Service

_LOCAL = ("127.0.0.1", "::1", "localhost")
_PORTS = {"http": 80, "https": 443, "tls": 443, "postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True)
class Node:
    """A service of the catalogue, or something outside of it that services depend on."""

    key: str
    label: str
    service: str | None = None
    user_facing: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes by key, which of them each one needs, and the node that an entry of `depends_on` means."""

    nodes: Mapping[str, Node]
    needs: Mapping[str, frozenset[str]]
    entries: Mapping[tuple[str, str], str]  # (service, name of the entry) → key

    def needed_by(self, keys: Iterable[str]) -> frozenset[str]:
        """Return the keys of all that depends on one of these, directly or through others; not themselves."""
        keys = frozenset(keys)
        users: dict[str, set[str]] = {}
        for user, needed in self.needs.items():
            for key in needed:
                users.setdefault(key, set()).add(user)
        return frozenset(reached(keys, users) - keys)


def graph(services: Iterable[Service], addresses: Mapping[str, str] | None = None) -> Graph:
    """Given the catalogue, and the hosts' addresses where they are known, return who depends on whom."""
    services = tuple(services)
    nodes = {s.name: Node(s.name, s.name, s.name, s.user_facing) for s in services}
    places = _places(services, addresses or {})
    needs: dict[str, frozenset[str]] = {}
    entries: dict[tuple[str, str], str] = {}
    for service in services:
        for entry in _entries(service.spec):
            key = _meant(service, entry, nodes, places)
            nodes.setdefault(key, Node(key, str(entry.get("name", key))))
            entries[service.name, str(entry.get("name"))] = key
        needs[service.name] = frozenset(k for (name, _entry), k in entries.items() if name == service.name)
    return Graph(nodes, needs, entries)


def reached(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all that can be reached by one step or more."""
    found: set[str] = set()
    new = {n for key in start for n in edges.get(key, ())}
    while new:
        found |= new
        new = {n for key in new for n in edges.get(key, ())} - found
    return found


def _meant(
    service: Service, entry: Mapping[str, Any], nodes: Mapping[str, Node], places: Mapping[tuple[str, int], set[str]]
) -> str:
    """Return the key of what an entry of `depends_on` leads to."""
    named = str(entry.get("service", entry.get("name")))
    if named in nodes and nodes[named].service:
        return named
    where = _where(str(entry.get("check", "")))
    if where is None:
        return f"check {entry.get('check')}"
    host, port = where
    here = service.hosts if host in _LOCAL else (host,)
    there = {name for one in here for name in places.get((one, port), ())}
    if len(there) == 1:
        return there.pop()
    # One that is local is another one on each host; they are told as one, as a service on several hosts is.
    return f"{host}:{port}" if host not in _LOCAL else f"{service.name}: {host}:{port}"


def _places(services: Iterable[Service], addresses: Mapping[str, str]) -> dict[tuple[str, int], set[str]]:
    """Return which services may be meant by a host's name or address with a port."""
    places: dict[tuple[str, int], set[str]] = {}
    for service in services:
        for port in service.spec.get("ports") or ():
            if str(port).isdigit():
                for host in service.hosts:
                    for name in {host, addresses.get(host, host)}:
                        places.setdefault((name, int(port)), set()).add(service.name)
    return places


def _where(check: str) -> tuple[str, int] | None:
    """Return host and port of a check; None if it has none that could be a service's."""
    try:
        parts = urlsplit(check)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.scheme != "dns" and parts.hostname and port else None


def _entries(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = spec.get("depends_on")
    yield from (entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict))
