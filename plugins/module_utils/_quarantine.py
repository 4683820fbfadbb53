"""The quarantine of a host: nothing comes in or goes out but what manages it. What a chain of this kind holds."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _rule_removal,
    _sockets,
    _ssh_session,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host

TARGET = "host"
_INTERFACES = Path("/sys/class/net")
_MOUNTS = Path("/proc/mounts")
_OVER_THE_NETWORK = ("ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "nfs", "nfs4", "smb3")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_TO_US, _FROM_US = "-m addrtype --dst-type LOCAL", "-m addrtype --src-type LOCAL"
# Without these a host loses its address, or its neighbours, or large packets of those who manage it. Nothing that is
# forwarded passes here: it is neither to nor from an address of ours, not of link scope, and its hop limit was lowered.
_NEEDED = {
    "ipv4": (
        f"{_FROM_US} -p udp -m udp --sport 68 --dport 67",  # DHCP; where an address is still missing it is not filtered
        f"{_TO_US} -p udp -m udp --sport 67 --dport 68",
        f"{_TO_US} -p icmp -m icmp --icmp-type fragmentation-needed",
    ),
    "ipv6": (
        "-s fe80::/10 -p udp -m udp --sport 546 --dport 547",
        "-s fe80::/10 -p udp -m udp --sport 547 --dport 546",
        # Router and neighbour discovery, for which a hop limit of 255 proves that it comes from the link.
        *(f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255" for kind in (133, 134, 135, 136)),
        # Listeners of multicast, without whom a switch keeps neighbour discovery from us.
        *(f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 1" for kind in (130, 131, 132, 143)),
        f"{_TO_US} -p ipv6-icmp -m icmp6 --icmpv6-type packet-too-big",
    ),
}


def rules(chain: str, family: str, cut: _chain.Spec) -> list[str]:
    """Given a quarantine {spared, bridges}, return the chain's rules in one family.

    Resets pass, so that the other side lets go of the connections that are ended here.
    """
    version = _chain.VERSIONS[family]
    networks = sorted({n for n in map(_chain.network, cut["spared"]) if n.version == version}, key=str)
    inside = [f"-i {name} {_TO_US}" for name in cut["bridges"]] + [f"-o {name} {_FROM_US}" for name in cut["bridges"]]
    inside += [f"-i {name} -o {name}" for name in cut["bridges"]]
    spared = [f"-{way} {network}" for network in networks for way in "sd"]
    resets = "-p tcp -m tcp --tcp-flags RST RST"
    passing = ["-i lo", "-o lo", *inside, *spared, *_NEEDED[family], resets]
    return [*(f"-A {chain} {packets} -j RETURN" for packets in passing), f"-A {chain} -j DROP"]


def _declared(params: dict[str, Any], _session: str) -> list[tuple[str, Any]]:
    """Return the host itself, if it runs one of the named services; also where none is named, so that it is refused."""
    return [(TARGET, None)] if not params["only"] or services_of_host(params) else []


def _wanted(_nothing: Any, earlier: Any, here: _chain.Here) -> _chain.Wanted:
    params = here.params
    if not params["only"]:
        raise _chain.NotDone("refused", "no service was named: set quarantine_only to those whose hosts are meant")
    if missing := [text for text in here.told if "NOT" in text]:
        raise _chain.NotDone("refused", f"{'; '.join(missing)}. Fix: install iptables on this host")
    if wide := [text for text in params["management_cidrs"] if _chain.network(text).prefixlen == 0]:
        raise _chain.NotDone("refused", f"{wide[0]} in the management networks would leave everything open")
    # Who was logged in when it was cut off first stays spared when somebody else runs it again.
    peers = sorted({*((earlier or {}).get("peers") or []), *filter(None, [_ssh_session.peer(here.session)])})
    spec = {"spared": [*params["management_cidrs"], *peers], "bridges": _bridges()}
    return _chain.Wanted(spec, here.able, {"peers": peers}, [*here.told, *_hanging()])


def _hanging() -> list[str]:
    """Return a sentence for each disk of another host: what reads it waits until the quarantine ends, or it is spared."""
    try:
        mounts = [line.split() for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return []
    found = [(source, place) for source, place, kind, *_more in mounts if kind in _OVER_THE_NETWORK]
    return [f"{place} is on {source}, and hangs unless that is in the management networks" for source, place in found]


def _bridges() -> list[str]:
    """Return the bridges that lead to this host's own containers alone: what stays on the host is not cut."""
    if not _rule_removal.tool("ip"):
        return []
    virtual = set(re.findall(r"^\d+: ([^@:\s]+)", _ip("link", "show", "type", "veth"), re.MULTILINE))
    ways_out = set(re.findall(r"\bdev (\S+)", "".join(_ip(f, "route", "show", "default") for f in ("-4", "-6"))))
    found = []
    for bridge in sorted(path.parent for path in _INTERFACES.glob("*/bridge")):
        ports = {path.name for path in (bridge / "brif").iterdir()}
        if _PLAIN.fullmatch(bridge.name) and ports and ports <= virtual and bridge.name not in ways_out:
            found.append(bridge.name)
    return found


def _inside(bridges: list[str]) -> list[str]:
    """Return this host's own addresses, and the networks of its containers."""
    if not _rule_removal.tool("ip"):
        return []
    found = []
    for _number, interface, _family, text, *_more in map(str.split, _ip("address", "show").splitlines()):
        address = ipaddress.ip_interface(text)
        wide = interface in bridges and not address.is_link_local
        found.append(str(address.network if wide else address.ip))
    return found


def _ip(*words: str) -> str:
    return _rule_removal.call(["ip", "-oneline", *words])


def _identity(cut: _chain.Spec) -> tuple[str, ...]:
    return ",".join(sorted({str(_chain.network(text)) for text in cut["spared"]})), ",".join(cut["bridges"])


def _told(cut: _chain.Spec) -> str:
    spared = sorted({str(_chain.network(text)) for text in cut["spared"]})
    return f"in and out, but for {', '.join(spared)}" if spared else "in and out"


def _begin(cut: _chain.Spec) -> None:
    """End what is open while packets still pass: behind one that was dropped, the other side does not believe a reset."""
    cut["ended"] = _sockets.end(_beyond(cut))


def _finish(cut: _chain.Spec) -> str:
    return _sockets.told(cut["ended"], _sockets.end(_beyond(cut)))


def _beyond(cut: _chain.Spec) -> str:
    return _sockets.beyond([*cut["spared"], *_inside(cut["bridges"])])


KIND = _chain.Kind(
    table="mangle",  # before filter: what others accept there, now or later, does not get past it
    hooks=("INPUT", "FORWARD", "OUTPUT"),  # FORWARD has what containers publish, after DNAT, and what they send
    match="",
    words=_chain.Words(
        "", "cut off", "cut off", "no named service runs on this host", "quarantined", "target", "packet"
    ),
    families=lambda: _chain.families("cut off"),
    problems=lambda params: _chain.not_networks(params["management_cidrs"]),
    declared=_declared,
    wanted=_wanted,
    rules=rules,
    identity=_identity,
    told=_told,
    begin=_begin,
    finish=_finish,
)
