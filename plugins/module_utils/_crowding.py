"""Who holds the connections to a port: one source that holds many is a proxy, or whoever attacks."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from typing import Union

from ansible_collections.incidentctl.response.plugins.module_utils import _connections

ENOUGH = 20  # fewer connections say nothing of where users come from
_BITS = {4: 32, 6: 64}  # one customer has a whole /64

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def crowding(ports: Iterable[int], spared: Iterable[Network], fraction: float) -> str:
    """Return, in words, which source holds more than `fraction` of a port's established connections; "" if none does.

    Not counted are loopback and the networks that are `spared`. Seen are the ports as the services themselves listen: also in
    containers, but not where a container's own port is another than the one that it publishes.
    """
    networks = list(spared)
    held = [
        (one.port, _connections.address(one.peer))
        for network in _connections.read().networks.values()
        for one in network.sockets
        if one.state == "established"
    ]
    for port in ports:
        sources = Counter(source for at, text in held if at == port for source in _source(text, networks))
        total = sum(sources.values())
        for source, number in sources.most_common(1):
            if total >= ENOUGH and number > fraction * total:
                return f"{source} holds {number / total:.0%} of the {total} connections to port {port}, as a proxy does"
    return ""


def _source(text: str, spared: list[Network]) -> list[str]:
    found = ipaddress.ip_address(text)
    if found.is_loopback or any(found in network for network in spared if network.version == found.version):
        return []
    network = ipaddress.ip_network(f"{text}/{_BITS[found.version]}", strict=False)
    return [text if found.version == 4 else str(network)]
