"""A chain of an incident's own in a table of the packet filter: what iptables-restore is given, and what is there."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

VERSIONS = {"ipv4": 4, "ipv6": 6}
_IF_INET6 = Path("/proc/net/if_inet6")

Spec = dict[str, Any]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Words(NamedTuple):
    """What a kind of chain is called in sentences, and in the module's facts."""

    subject: str  # what stands before a target: nothing, or words and a space
    done: str
    standing: str
    nothing: str
    fact: str
    target: str
    counted: str  # what is held back, one of it


class Here(NamedTuple):
    """What the module is asked, the login it came by, the families that it can act on, and why it cannot on others."""

    params: dict[str, Any]
    session: str
    able: list[str]
    told: list[str]


class Wanted(NamedTuple):
    """What is to be in a chain, in which families; what the ledger keeps of it, and what to tell beside it."""

    spec: Spec
    families: list[str]
    kept: dict[str, Any]
    notes: list[str]


class NotDone(Exception):
    """A target that there is nothing to do for (`skipped`), or that cannot be done (`refused`); the message says why."""

    def __init__(self, outcome: str, why: str) -> None:
        """Keep the outcome beside the reason."""
        super().__init__(why)
        self.outcome = outcome


class Kind(NamedTuple):
    """What one kind of chain is made of: where it hangs, what is in it, and for whom."""

    table: str
    hooks: tuple[str, ...]
    match: str  # of all packets that come by, those that the chain gets to see; "" for all
    words: Words
    families: Callable[[], tuple[list[str], list[str]]]
    problems: Callable[[dict[str, Any]], list[str]]  # of the module's parameters
    declared: Callable[[dict[str, Any], str], list[tuple[str, Any]]]  # (parameters, login) → (target, declaration)
    wanted: Callable[[Any, Any, Here], Wanted]  # (declaration, earlier ledger entry or None, here); raises NotDone
    rules: Callable[[str, str, Spec], list[str]]  # (chain, family, spec)
    identity: Callable[[Spec], tuple[str, ...]]  # what tells one spec from another
    told: Callable[[Spec], str]
    begin: Callable[[Spec], None]  # what has to come just before the rules is done; the spec may note what came of it
    finish: Callable[[Spec], str]  # what has to follow the rules is done; returns what to tell of it


def undo(kind: Kind, params: dict[str, Any], target: str, families: list[str]) -> dict[str, Any]:
    """Return all that lift needs to find and remove a chain."""
    incident, capability = params["incident_id"], params["capability"]
    return {
        "kind": "traffic_rule",
        "table": kind.table,
        "chains": [f"incidentctl-{short(incident, capability, target)}"],  # 24 characters, of 28 that iptables takes
        "jumps": list(kind.hooks),
        "marker": f"incidentctl:{incident}:{capability}:{target}:",
        "families": families,
    }


def jumps(kind: Kind, taken_back: dict[str, Any], spec: Spec) -> list[str]:
    """Return the rules that lead into the chain, before all others; a comment says whose it is, and which spec it has."""
    marker = f"{taken_back['marker']}{fingerprint(kind, spec)}"
    target = f'-m comment --comment "{marker}" -j {taken_back["chains"][0]}'
    return [" ".join(filter(None, ["-I", hook, "1", kind.match, target])) for hook in kind.hooks]


def content(kind: Kind, taken_back: dict[str, Any], family: str, spec: Spec) -> list[str]:
    """Return all lines that a spec takes in one family."""
    return [*kind.rules(taken_back["chains"][0], family, spec), *jumps(kind, taken_back, spec)]


def load(kind: Kind, taken_back: dict[str, Any], family: str, spec: Spec, lines: list[str]) -> list[str]:
    """Given what the table has now, return the lines that put a spec in, in place of an older one of ours."""
    (chain,) = taken_back["chains"]
    older = [f"-D {line[3:]}" for line in _rule_removal.jumps(lines, chain, taken_back["marker"])]
    return [f":{chain} - [0:0]", *older, *content(kind, taken_back, family, spec)]


def in_place(kind: Kind, taken_back: dict[str, Any], family: str, spec: Spec, lines: list[str]) -> bool:
    """Given what the table has now, say whether exactly this spec is in it, and in force."""
    (chain,) = taken_back["chains"]
    marker = f"{taken_back['marker']}{fingerprint(kind, spec)}"
    leading = _rule_removal.jumps(lines, chain, taken_back["marker"])
    ours = [line for line in lines if line.startswith(f"-A {chain} ")]
    right = sorted(line.split()[1] for line in leading) == sorted(kind.hooks) and all(
        marker in line for line in leading
    )
    return right and len(ours) == len(kind.rules(chain, family, spec))


def in_force(taken_back: dict[str, Any], family: str) -> bool:
    """Say whether an entry's chain is in one family, with rules in it and all its jumps, whatever its spec."""
    backends = _rule_removal.backends(family, taken_back["table"])
    return any(_in_force(taken_back, _rule_removal.saved(family, taken_back["table"], b)) for b in backends)


def _in_force(taken_back: dict[str, Any], lines: list[str]) -> bool:
    (chain,) = taken_back["chains"]
    leading = _rule_removal.jumps(lines, chain, taken_back["marker"])
    return sorted(line.split()[1] for line in leading) == sorted(taken_back["jumps"]) and any(
        line.startswith(f"-A {chain} ") for line in lines
    )


def astray(taken_back: dict[str, Any], lines: list[str]) -> list[str]:
    """Of the lines that are to be loaded, return those that its undo would leave behind: a policy, a rule of no chain of ours."""
    (chain,) = taken_back["chains"]
    marker = re.escape(taken_back["marker"])
    ours = re.compile(rf':{chain} - \[0:0\]|-A {chain} .+|-[ID] \S+ .*--comment "?{marker}\S*"? -j {chain}.*')
    return [line for line in lines if not ours.fullmatch(line)]


def own_lines(taken_back: dict[str, Any], lines: list[str]) -> list[str]:
    """Of what a table has, return what is ours."""
    (chain,) = taken_back["chains"]
    ours = [line for line in lines if line.startswith(f"-A {chain} ")]
    return ours + _rule_removal.jumps(lines, chain, taken_back["marker"])


def families(done: str) -> tuple[list[str], list[str]]:
    """Return the address families that rules can be put in here, and why each other one is not `done`, a sentence each."""
    able, told = [], []
    for family, label in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        missing = [n for n in (_rule_removal.SAVE[family], _rule_removal.RESTORE[family]) if not _rule_removal.tool(n)]
        if family == "ipv6" and not has_ipv6():
            told.append("this host has no IPv6")
        elif missing:
            told.append(f"{label} is NOT {done}: {missing[0]} is not installed")
        else:
            able.append(family)
    return able, told


def fingerprint(kind: Kind, spec: Spec) -> str:
    """Return what tells one spec from another, short: it stands in the jumps' comment."""
    return short(*kind.identity(spec))


def short(*words: str) -> str:
    """Return twelve hexadecimal digits that stand for these words."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]


def network(text: Any) -> Network:
    """Return an address or network as a network. Raise ValueError if it is neither."""
    return ipaddress.ip_network(str(text), strict=False)


def not_networks(texts: list[str]) -> list[str]:
    """Return what is wrong with texts that should be addresses or networks, one sentence each."""
    found = []
    for text in texts:
        try:
            network(text)
        except ValueError as error:
            found.append(f"not an address or network: {error}")
    return found


def has_ipv6() -> bool:
    """Say whether this host has any IPv6 address."""
    try:
        return bool(_IF_INET6.read_text().strip())
    except OSError:
        return False
