"""The lines of a rate limit: what iptables-restore is given. Pure, but for the asking which families there are."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

TABLE, HOOK = "mangle", "PREROUTING"  # before any DNAT: catches what containers publish, too (docs/contracts.md, 4)
VERSIONS = {"ipv4": 4, "ipv6": 6}
SOURCE_BITS = {"ipv4": 32, "ipv6": 64}  # one customer has a whole /64
_PORTS_A_RULE = 15  # more, multiport does not take
_MAX = 10000
_IF_INET6 = Path("/proc/net/if_inet6")


def chain_name(incident: str, capability: str, service: str) -> str:
    """Return the name of the chain that is this incident's own: 24 characters, of 28 that iptables takes."""
    return f"incidentctl-{_short(incident, capability, service)}"


def undo(incident: str, capability: str, service: str, families: list[str]) -> dict[str, Any]:
    """Return all that lift needs to find and remove a limit."""
    return {
        "kind": "traffic_rule",
        "table": TABLE,
        "chains": [chain_name(incident, capability, service)],
        "jumps": [HOOK],
        "marker": f"incidentctl:{incident}:{capability}:{service}:",
        "families": families,
    }


def rules(taken_back: dict[str, Any], family: str, limit: dict[str, Any]) -> list[str]:
    """Given its undo and a limit {ports, per_minute, burst, exempt}, return the chain's rules in one family."""
    (chain,) = taken_back["chains"]
    version = VERSIONS[family]
    exempt = sorted({n for n in map(_network, limit["exempt"]) if n.version == version}, key=str)
    # A source is forgotten when its burst would be whole again, not sooner: else a pause buys it a new one.
    forget_ms = 1000 * max(60, math.ceil(60 * limit["burst"] / limit["per_minute"]))
    over = (
        f"-m hashlimit --hashlimit-above {limit['per_minute']}/minute --hashlimit-burst {limit['burst']} "
        f"--hashlimit-mode srcip --hashlimit-srcmask {SOURCE_BITS[family]} "
        f"--hashlimit-name ic{_short(chain, fingerprint(limit))} --hashlimit-htable-expire {forget_ms}"
    )
    ports = sorted(set(limit["ports"]))
    groups = [ports[n : n + _PORTS_A_RULE] for n in range(0, len(ports), _PORTS_A_RULE)]
    return [
        f"-A {chain} -i lo -j RETURN",
        *(f"-A {chain} -s {network} -j RETURN" for network in exempt),
        *(
            f"-A {chain} -p tcp --syn -m multiport --dports {','.join(map(str, group))} {over} -j DROP"
            for group in groups
        ),
    ]


def jump(taken_back: dict[str, Any], limit: dict[str, Any]) -> str:
    """Return the rule that leads into the chain: new connections only, so that open ones never meet it."""
    marker = f"{taken_back['marker']}{fingerprint(limit)}"
    return f'-I {HOOK} 1 -p tcp --syn -m comment --comment "{marker}" -j {taken_back["chains"][0]}'


def load(taken_back: dict[str, Any], family: str, limit: dict[str, Any], lines: list[str]) -> list[str]:
    """Given what the table has now, return the lines that put the limit in, in place of an older one of ours."""
    (chain,) = taken_back["chains"]
    older = [f"-D {line[3:]}" for line in _rule_removal.jumps(lines, chain, taken_back["marker"])]
    return [f":{chain} - [0:0]", *older, *rules(taken_back, family, limit), jump(taken_back, limit)]


def in_place(taken_back: dict[str, Any], family: str, limit: dict[str, Any], lines: list[str]) -> bool:
    """Given what the table has now, say whether exactly this limit is in it, and in force."""
    (chain,) = taken_back["chains"]
    leading = _rule_removal.jumps(lines, chain, taken_back["marker"])
    ours = [line for line in lines if line.startswith(f"-A {chain} ")]
    right = len(leading) == 1 and f"{taken_back['marker']}{fingerprint(limit)}" in leading[0]
    return right and len(ours) == len(rules(taken_back, family, limit))


def own_lines(taken_back: dict[str, Any], lines: list[str]) -> list[str]:
    """Of what a table has, return what is ours."""
    (chain,) = taken_back["chains"]
    ours = [line for line in lines if line.startswith(f"-A {chain} ")]
    return ours + _rule_removal.jumps(lines, chain, taken_back["marker"])


def held_back(taken_back: dict[str, Any], family: str) -> int:
    """Return how many requests to connect a limit dropped in one family since it was loaded."""
    start = f"-A {taken_back['chains'][0]} "
    seen = _rule_removal.call([_rule_removal.SAVE[family], "-c", "-t", TABLE]).splitlines()
    counted = [line.partition("] ") for line in seen if line.startswith("[")]
    return sum(
        int(c[1:].split(":")[0]) for c, _, rule in counted if rule.startswith(start) and rule.endswith("-j DROP")
    )


def families() -> tuple[list[str], list[str]]:
    """Return the address families that can be limited here, and why each other one is not, a sentence each."""
    able, told = [], []
    for family, label in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        missing = [n for n in (_rule_removal.SAVE[family], _rule_removal.RESTORE[family]) if not _rule_removal.tool(n)]
        if family == "ipv6" and not _has_ipv6():
            told.append("this host has no IPv6")
        elif missing:
            told.append(f"{label} is NOT limited: {missing[0]} is not installed")
        else:
            able.append(family)
    return able, told


def problems(limit: dict[str, Any]) -> list[str]:
    """Return all that is wrong with a limit, one sentence each."""
    found = [f"{key} must be from 1 to {_MAX}" for key in ("per_minute", "burst") if not 1 <= limit[key] <= _MAX]
    for text in limit["exempt"]:
        try:
            _network(text)
        except ValueError as error:
            found.append(f"not an address or network: {error}")
    return found


def fingerprint(limit: dict[str, Any]) -> str:
    """Return what tells one limit from another: it stands in the jump's comment."""
    ports = ",".join(map(str, sorted(set(limit["ports"]))))
    exempt = ",".join(sorted({str(_network(text)) for text in limit["exempt"]}))
    return _short(ports, str(limit["per_minute"]), str(limit["burst"]), exempt)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(text), strict=False)


def _short(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]


def _has_ipv6() -> bool:
    try:
        return bool(_IF_INET6.read_text().strip())
    except OSError:
        return False
