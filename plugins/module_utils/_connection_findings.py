"""Who floods a port, what no longer takes connections or does not close them, and what runs out of ports. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding

_MANY = 200  # connections of one peer to one port
_OF_OUR_OWN = 1000  # as many, where the peer is this host: a proxy has many, too
_WITH_ENDED = 6000  # the same with those that have just ended, and are kept for a minute
_SHARE = 0.5
_NEW_PER_S = 300.0
_NEW_OF_ONE_PER_S = 200.0  # where one peer has more than half of them
_TURNED_AWAY = 10
_HALF_OPEN = 128
_WAITING = 32
_LEFT_OPEN = 100
_USED_UP = ((0.95, "critical"), (0.8, "warning"))

Facts = dict[str, Any]


def of_connections(connections: Facts, services: dict[str, str]) -> Iterator[Finding]:
    """Given what _connections saw, and which service has which port, say what stands out."""
    told = False
    for port in connections["ports"]:
        found = list(_of_port(port, connections, port["service"] or services.get(str(port["port"]))))
        told = told or any(one["kind"] == "connections" for one in found)
        yield from found
    if not told and connections["new_per_s"] >= _NEW_OF_ONE_PER_S:
        yield from _rate(connections, services)
    elif connections["turned_away"] >= _TURNED_AWAY and not told:
        text = f"{connections['turned_away']} connections were turned away while we looked: a queue of a port was full"
        yield finding("critical", "sockets", text, turned_away=connections["turned_away"])
    for row in connections["outgoing"]:
        yield from _of_outgoing(row, connections["local_ports"])
    used, limit = connections["tracked"], connections["tracked_limit"]
    for part, severity in _USED_UP if used and limit else ():
        if used >= part * limit:
            text = f"the packet filter keeps track of {used} connections, {limit} at most: it drops new ones when it is full"
            yield finding(severity, "sockets", text, count=used, limit=limit)
            break


def _of_port(port: Facts, connections: Facts, service: str | None) -> Iterator[Finding]:
    number, peer, count = port["port"], port["peer"], port["peer_count"]
    full = port["turned_away"] >= _TURNED_AWAY
    severity = "critical" if full else "warning"
    words = f"; {port['turned_away']} were turned away while we looked" if full else ""
    many = peer and (port["peer_alive"] >= _many(peer) or count >= _WITH_ENDED)
    if many and count > _SHARE * port["count"]:
        new = f", {connections['new_per_s']:.0f} new ones a second" if connections["new_per_s"] >= _NEW_PER_S else ""
        text = f"{peer} has {count} of the {port['count']} connections to port {number}{new}{words}"
        about = {"peer": peer, "count": count, "port": number, "share": round(count / port["count"], 2)}
        yield finding(severity, "connections", text, service, **about)
    if port["half_open"] >= _HALF_OPEN:
        text = f"{port['half_open']} connections to port {number} are half open (SYN-RECV): who began them does not answer{words}"
        yield finding(severity, "sockets", text, service, port=number, state="syn_recv", count=port["half_open"])
    if port["waiting"] >= _WAITING:
        text = f"{port['waiting']} connections to port {number} wait to be accepted: what listens there does not keep up{words}"
        yield finding(severity, "sockets", text, service, port=number, state="waiting", count=port["waiting"])
    if port["close_wait"] >= _LEFT_OPEN:
        text = f"{port['close_wait']} connections to port {number} were ended by the other side, and stay open here (CLOSE-WAIT)"
        yield finding("warning", "sockets", text, service, port=number, state="close_wait", count=port["close_wait"])


def _rate(connections: Facts, services: dict[str, str]) -> Iterator[Finding]:
    busiest = max(connections["ports"], key=lambda port: port["count"], default=None)
    about: Facts = {"count": connections["new_per_s"]}
    text, service = f"{connections['new_per_s']:.0f} new connections a second come in", None
    if busiest and busiest["peer"]:
        share = busiest["peer_count"] / busiest["count"]
        text += f", the most to port {busiest['port']}"
        about["port"] = busiest["port"]
        service = busiest["service"] or services.get(str(busiest["port"]))
        if share > _SHARE:
            text += f"; {busiest['peer']} has {busiest['peer_count']} of {busiest['count']} there now"
            about.update(peer=busiest["peer"], share=round(share, 2))
    if connections["new_per_s"] >= _NEW_PER_S or "peer" in about:
        severity = "critical" if connections["turned_away"] >= _TURNED_AWAY else "warning"
        yield finding(severity, "connections", text, service, **about)


def _of_outgoing(row: Facts, local_ports: int | None) -> Iterator[Finding]:
    where = f"{row['peer']} port {row['port']}"
    about = {"host": row["peer"], "port": row["port"]}
    for part, severity in _USED_UP if local_ports else ():
        if row["count"] >= part * (local_ports or 0):
            text = f"{row['count']} of {local_ports} local ports are taken by connections to {where}: new ones fail without one"
            yield finding(severity, "sockets", text, **about, count=row["count"], limit=local_ports)
            break
    if row["close_wait"] >= _LEFT_OPEN:
        text = f"{row['close_wait']} connections to {where} were ended there, and stay open here (CLOSE-WAIT)"
        yield finding("warning", "sockets", text, **about, state="close_wait", count=row["close_wait"])


def _many(peer: str) -> int:
    return _OF_OUR_OWN if ipaddress.ip_address(peer).is_loopback else _MANY
