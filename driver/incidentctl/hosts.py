"""Which hosts a pattern of --limit means, and which names are one machine. Pure.

Patterns are read as Ansible does, but a part that means nothing is an error: Ansible passes over it with a warning, and of
`web:!wbe2` all of web would be left, web2 too.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from incidentctl.errors import UsageError
from incidentctl.text import nearest

# Words, and what stands in brackets as a whole, between colons and spaces.
_WORDS = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_POSITION = re.compile(r"[^~].*\[(?:-?\d+|\d+[:-]\d*)\]")
_SHOWS = "incidentctl plan shows the hosts there are"
_SIGNS = ("", "&", "!")
_WAYS = ("ansible_ssh_common_args", "ansible_ssh_args", "ansible_ssh_extra_args", "ansible_ssh_executable")
_GATEWAY = re.compile(r"(?:^|\s)-[FJW]|[Pp]roxy")
_BY_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
LOCAL = "(local)"  # in the place of an address: no connection at all


def parts(limit: str) -> list[str]:
    """Split a pattern at its commas; only where it has none, at colons and spaces. Raise UsageError if it is empty."""
    if "," not in limit and _WORDS.sub("", limit).strip(": \t\n"):
        raise UsageError(f"--limit {limit!r}: its brackets do not pair.", fix=_SHOWS)
    found = limit.split(",") if "," in limit else _WORDS.findall(limit)
    found = [part.strip() for part in found if part.strip()]
    if not found:  # --limit "$UNSET" must not mean everything
        raise UsageError("--limit is empty.", fix="leave it out to mean all hosts")
    return found


def matching(hosts: Mapping[str, frozenset[str]], limit: str) -> set[str]:
    """Given hosts with their groups, return those that the pattern means.

    Raise UsageError if a part of it means none, or may mean two things, and if none is left.
    """
    signed = [(part[0], part[1:].strip()) if part[0] in "&!" else ("", part) for part in parts(limit)]
    chosen = set() if any(not sign for sign, _ in signed) else set(hosts)
    # As in Ansible: what is named comes first, then what it must also be in, then what is left out.
    for sign, name in sorted(signed, key=lambda pair: _SIGNS.index(pair[0])):
        matched = _matched(hosts, limit, name)
        chosen = chosen - matched if sign == "!" else chosen & matched if sign == "&" else chosen | matched
    if not chosen:
        raise UsageError(f"--limit {limit!r} leaves no host.", fix=_SHOWS)
    return chosen


def machine(host: str, variables: Mapping[str, Any]) -> str:
    """Return where ssh would end up for a host; its name where that cannot be told without looking.

    One address behind two gateways is two machines, and so are two ports of one address (containers, forwarded ones).
    """
    place = _address(host, variables)
    port = str(variables.get("ansible_port", variables.get("ansible_ssh_port", 22)))
    on_the_way = _on_the_way(variables)
    if _connection(variables) not in ("ssh", "smart") or "{{" in "".join([place, port, *on_the_way]):
        return host
    return " ".join([place, *([] if port == "22" else ["port", port]), *on_the_way])


def place(host: str, variables: Mapping[str, Any]) -> str:
    """Return the name or address that a connection to a host goes to straight from here, LOCAL where none is made.

    "" where that cannot be told: behind a gateway an address is another machine's, and a container has its own ways.
    """
    connection, address = _connection(variables), _address(host, variables)
    if connection == "local":
        return LOCAL
    behind = any(_GATEWAY.search(words) for words in _on_the_way(variables))
    return "" if connection not in _BY_SSH or behind or "{{" in address else address


def _connection(variables: Mapping[str, Any]) -> str:
    """Return how a host is connected to; Ansible's own ways have a longer name, too."""
    return str(variables.get("ansible_connection", "ssh")).removeprefix("ansible.builtin.")


def _address(host: str, variables: Mapping[str, Any]) -> str:
    """Return the address of a host as it is compared: a name in small letters, an IP in its shortest form."""
    written = str(variables.get("ansible_host", variables.get("ansible_ssh_host", host)))
    try:
        return str(ipaddress.ip_address(written.strip("[]")))
    except ValueError:
        return written.lower().rstrip(".")


def _on_the_way(variables: Mapping[str, Any]) -> list[str]:
    return [str(variables[key]) for key in _WAYS if variables.get(key)]


def _matched(hosts: Mapping[str, frozenset[str]], limit: str, name: str) -> set[str]:
    fits = _test(limit, name)
    members = {host for host, groups in hosts.items() if any(fits(group) for group in (*groups, "all"))}
    if name in hosts and members and members != {name}:
        raise UsageError(
            f"--limit {limit!r}: {name!r} is a host and also a group of {', '.join(sorted(members))}.",
            "Which one is meant cannot be told.",
            "name the hosts themselves; rename the group or the host when there is time",
        )
    found = members | {host for host in hosts if fits(host)}
    if not found:
        known = {*hosts, *(group for groups in hosts.values() for group in groups)}
        why = f"no host matches {name!r}, and no group that has hosts{nearest(name, known)}"
        raise UsageError(f"--limit {limit!r}: {why}.", fix=_SHOWS)
    return found


def _test(limit: str, name: str) -> Callable[[str], object]:
    """Return what says whether the name of a host or a group is meant."""
    if name in ("", "~"):  # the second would mean every host
        raise UsageError(f"--limit {limit!r}: a part of it is empty.", fix=_SHOWS)
    if _POSITION.fullmatch(name):
        raise UsageError(
            f"--limit {limit!r}: {name!r} is a place in a group.",
            "Who stands there changes with the inventory.",
            "name the hosts themselves, or a pattern: web[ab], web*, ~web[12]",
        )
    try:
        return re.compile(name[1:] if name.startswith("~") else fnmatch.translate(name)).match
    except re.error as error:
        raise UsageError(f"--limit {limit!r}: {name!r} is no regular expression: {error}.", fix=_SHOWS) from error
