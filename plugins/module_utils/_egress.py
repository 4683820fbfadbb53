"""A circuit breaker by egress: nothing on this host reaches an address and port. What a chain of this kind holds."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any, Union

from ansible_collections.incidentctl.response.plugins.module_utils import _chain, _sockets, _ssh_session
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def egress_of(service: dict[str, Any], names: Collection[str] = ()) -> list[tuple[str, dict[str, Any]]]:
    """Return the breakers of a service that cut traffic, each with the target that the ledger knows it by.

    With `names`, only those of these names.
    """
    breakers = [one for one in service.get("circuit_breakers", []) if not names or one["name"] in names]
    return [(f"{service['name']}/{b['name']}", b["egress"]) for b in breakers if "egress" in b]


def rules(chain: str, family: str, cut: _chain.Spec) -> list[str]:
    """Given a cut {addresses, port}, return the chain's rules in one family.

    A reset is what makes TCP fail at once, in connections that are open as in new ones. An ICMP answer would
    not do: Linux goes on trying after one in a connection that is open.
    """
    addresses = [address for address in cut["addresses"] if _family(ipaddress.ip_address(address)) == family]
    reset = f"-p tcp -m tcp --dport {cut['port']} -j REJECT --reject-with tcp-reset"
    # Our own resets go out, so that the other side, which may be sick of too many connections, lets go of them as well.
    spared = [f"-A {chain} -o lo -j RETURN", f"-A {chain} -p tcp -m tcp --tcp-flags RST RST -j RETURN"]
    return [*spared, *(f"-A {chain} -d {address} {reset}" for address in addresses)]


def _declared(params: dict[str, Any], _session: str) -> list[tuple[str, Any]]:
    return [pair for service in services_of_host(params) for pair in egress_of(service, params.get("breakers") or ())]


def _wanted(egress: dict[str, Any], earlier: Any, here: _chain.Here) -> _chain.Wanted:
    host, port = str(egress["host"]), int(egress["port"])
    literal = _literal(host)
    if literal is None:
        before = (earlier or {}).get("egress") or {}
        addresses = _resolved(host, port, before.get("addresses", []) if before.get("host") == host else [])
        families = here.able  # a name may come to have an address of either
    else:
        addresses, families = [literal], [f for f in here.able if f == _family(literal)]
    for address in addresses:
        if why := _untouchable(address, port, here):
            raise _chain.NotDone("refused", f"{host} port {port} must not be cut off: {why}")
    if not families:
        outcome = "refused" if any("NOT" in text for text in here.told) else "skipped"
        raise _chain.NotDone(outcome, "; ".join(here.told))
    kept = {"host": host, "port": port, "addresses": [str(a) for a in addresses]}
    notes = here.told if literal is None else []
    return _chain.Wanted(kept, families, {"egress": kept}, notes)


def _literal(host: str) -> Address | None:
    try:
        return _plain(ipaddress.ip_address(host))
    except ValueError:
        return None


def _resolved(name: str, port: int, known: list[str]) -> list[Address]:
    """Return all addresses that a name has on this host, and those that it is `known` to have had in this incident.

    Where a name server gives out some of many addresses at a time, what was cut stays cut.
    """
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        if not known:
            raise _chain.NotDone("failed", f"{name} has no address on this host: {error}") from error
        found = set()
    addresses = {_plain(ipaddress.ip_address(text.partition("%")[0])) for text in {*found, *known}}
    return sorted(addresses, key=lambda a: (a.version, a))


def _untouchable(address: Address, port: int, here: _chain.Here) -> str:
    """Return why an address must not be cut off; nothing if it may."""
    networks = [_chain.network(text) for text in here.params["management_cidrs"]]
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        return f"{address} is no host's address"
    if str(address) == _ssh_session.peer(here.session):
        return f"{address} is where this login comes from"
    if any(address in network for network in networks):
        return f"{address} is in incident_management_cidrs. Fix: leave it out, or name narrower networks there"
    if address.is_loopback or _is_own(address, port):
        return f"{address} is this host itself, and loopback is never cut"
    return ""


def _is_own(address: Address, port: int) -> bool:
    """Say whether packets to an address would stay on this host. A UDP socket tells without sending any."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), port))
            return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:  # no way leads there
        return False


def _plain(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address


def _family(address: Address) -> str:
    return next(family for family, version in _chain.VERSIONS.items() if version == address.version)


def _identity(cut: _chain.Spec) -> tuple[str, ...]:
    return (*cut["addresses"], str(cut["port"]))


def _told(cut: _chain.Spec) -> str:
    addresses = ", ".join(cut["addresses"])
    where = cut["host"] if addresses == cut["host"] else f"{cut['host']} ({addresses})"
    return f"for {where} port {cut['port']}: connections are refused"


KIND = _chain.Kind(
    table="filter",
    hooks=("OUTPUT", "FORWARD"),  # the host's own processes, and its containers
    match="-p tcp",
    words=_chain.Words(
        "circuit breaker ",
        "opened",
        "open",
        "no service on this host has a breaker by egress",
        "cuts",
        "breaker",
        "packet",
    ),
    families=lambda: _chain.families("cut"),
    problems=lambda params: _chain.not_networks(params["management_cidrs"]),
    declared=_declared,
    wanted=_wanted,
    rules=rules,
    identity=_identity,
    told=_told,
    begin=lambda _cut: None,  # the rules themselves answer with a reset
    finish=lambda cut: _sockets.told(_sockets.end(_sockets.to(cut["addresses"], cut["port"]))),
)
