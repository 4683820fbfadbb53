"""Take traffic rules out again: exactly those that an entry's undo names.

Modules use it, and it is the first half of the dead-man script (_dead_man.py): so it imports nothing but the standard
library, and is tested once for both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}
_NFT = {"ipv4": "ip", "ipv6": "ip6"}
# The two that iptables can be made to mean, and the tables that the older one has: to ask it for another makes that one.
_BACKENDS = ("nft", "legacy")
_LEGACY_TABLES = {"ipv4": "/proc/net/ip_tables_names", "ipv6": "/proc/net/ip6_tables_names"}
# How nft says that there is no such chain, or that the kernel has no such thing at all, or lets us have none.
_NONE = re.compile("No such file or directory|does not exist|not supported|Invalid argument|Operation not permitted")
_COMMAND_S = 20.0


class RuleError(OSError):
    """A packet filter did not do what it was asked; the message says which and what it said."""


def tool(name: str) -> str | None:
    """Return where a program is, also where an ordinary user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")


def call(argv: list[str], feed: str = "") -> str:
    """Run a program with `feed` as its input; return all it printed. Raise RuleError if it fails.

    A packet filter prints the comments of others as they stand, in whatever encoding: they come through as they are.
    """
    program = tool(argv[0])
    if program is None:
        raise RuleError(f"{argv[0]} is not installed on this host")
    try:
        given = feed.encode(errors="surrogateescape")
        done = subprocess.run([program, *argv[1:]], input=given, capture_output=True, timeout=_COMMAND_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuleError(f"{argv[0]} did not finish in {_COMMAND_S:.0f} s and was ended") from error
    if done.returncode != 0:
        raise RuleError(f"{argv[0]} exited {done.returncode}: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return done.stdout.decode(errors="surrogateescape")


def backends(family: str, table: str) -> list[str]:
    """Return the packet filters of this host that may hold rules in a table, "" for the one that iptables means now.

    What iptables means can be switched while there are rules in the other one, which stay in force.
    """
    found = {os.path.realpath(tool(SAVE[family]) or ""): ""}
    for backend in _BACKENDS:
        program = tool(_named(SAVE[family], backend))
        if program and os.path.realpath(program) not in found and _is_used(family, table, backend):
            found[os.path.realpath(program)] = backend
    return list(found.values())


def saved(family: str, table: str, backend: str = "", *flags: str) -> list[str]:
    """Return a table's rules as iptables-save prints them, comments left out."""
    lines = call([_named(SAVE[family], backend), *flags, "-t", table]).splitlines()
    return [line for line in lines if not line.startswith("#")]


def restore(family: str, table: str, lines: list[str], backend: str = "") -> None:
    """Give a table new lines beside those it has: all of them, or none. Raise RuleError then."""
    program = _named(RESTORE[family], backend)
    call([program, "--noflush", "--wait", "10"], "\n".join([f"*{table}", *lines, "COMMIT", ""]))


def jumps(lines: list[str], chain: str, marker: str) -> list[str]:
    """Return the rules that lead into `chain` and bear our marker, as `-A …`, wherever they stand."""
    target = re.compile(rf"-j {re.escape(chain)}(?= |$)")
    return [line for line in lines if line.startswith("-A ") and marker in line and target.search(line)]


def left(undo: dict[str, Any], family: str, backend: str) -> tuple[list[str], list[str]]:
    """Return what is still there of an undo in one family and packet filter: (jumps, chains)."""
    lines = saved(family, undo["table"], backend)
    found = [line for chain in undo["chains"] for line in jumps(lines, chain, undo["marker"])]
    return found, [chain for chain in undo["chains"] if any(line.startswith(f":{chain} ") for line in lines)]


def remove(undo: dict[str, Any]) -> bool:
    """Remove exactly what an undo names; say whether anything of it was there.

    Raise RuleError if something remains, after all families were tried.
    """
    there, problems = False, {}
    # First the effect goes, in all families: the rest takes seconds on a host that is busy.
    for step in (_end_effect, _remove):
        for family in undo["families"]:
            problems.pop(family, None)
            try:
                there = step(undo, family) or there
            except RuleError as error:
                problems[family] = str(error)
    if problems:
        raise RuleError("; ".join(problems.values()))
    return there


def remove_elsewhere(undo: dict[str, Any], family: str) -> None:
    """Remove what an undo names from packet filters that iptables does not mean now: there it would count everything twice."""
    for backend in filter(None, backends(family, undo["table"])):
        _remove_from(backend, undo, family)


def there(undo: dict[str, Any]) -> bool:
    """Say whether anything of an undo is still there."""
    return any(_left_anywhere(undo, family) for family in undo["families"])


def _remove(undo: dict[str, Any], family: str) -> bool:
    was_there = [_remove_from(backend, undo, family) for backend in backends(family, undo["table"])]
    was_there.append(_remove_from_nft(undo, family))
    if _left_anywhere(undo, family):
        raise RuleError(f"{family}: something put {', '.join(undo['chains'])} back")
    return any(was_there)


def _end_effect(undo: dict[str, Any], family: str) -> bool:
    emptied = [_empty(backend, undo, family) for backend in backends(family, undo["table"])]
    return any(emptied)


def _empty(backend: str, undo: dict[str, Any], family: str) -> list[str]:
    """Take out the jumps, and what is in the chains; return the empty chains, which somebody else's rule may hold on to."""
    found, chains = left(undo, family, backend)
    if found or chains:
        lines = [f"-D {line[3:]}" for line in found] + [f"-F {chain}" for chain in chains]
        restore(family, undo["table"], lines, backend)
    return chains


def _remove_from(backend: str, undo: dict[str, Any], family: str) -> bool:
    chains = _empty(backend, undo, family)
    if chains:
        try:
            restore(family, undo["table"], [f"-X {chain}" for chain in chains], backend)
        except RuleError:  # of jumps that nft has loaded without their marker it knows better
            if not _remove_from_nft(undo, family):
                raise
    return bool(chains)


def _remove_from_nft(undo: dict[str, Any], family: str) -> bool:
    unseen = _left_in_nft(undo, family)
    if unseen:
        call(["nft", "-f", "-"], "\n".join([*unseen, ""]))
    return bool(unseen)


def _left_anywhere(undo: dict[str, Any], family: str) -> bool:
    table = undo["table"]
    return any(any(left(undo, family, backend)) for backend in backends(family, table)) or bool(
        _left_in_nft(undo, family)
    )


def _named(program: str, backend: str) -> str:
    return program.replace("tables-", f"tables-{backend}-") if backend else program


def _is_used(family: str, table: str, backend: str) -> bool:
    """Say whether a packet filter that iptables does not mean now is there at all, and has this table."""
    try:
        if backend == "legacy":
            return table in Path(_LEGACY_TABLES[family]).read_text().split()
        saved(family, table, backend)
    except RuleError as error:
        if "generation id" not in str(error):  # as nft says where the kernel has none, or where we may not ask
            raise
        return False
    except OSError:  # the kernel has no legacy filter
        return False
    return True


def _left_in_nft(undo: dict[str, Any], family: str) -> list[str]:
    """Return nft's commands for what is left, which iptables may not see, or not know as ours.

    A table that was loaded from what `nft list ruleset` had saved may be closed to iptables-save, which says nothing of
    it and exits 0; and the jumps in it have lost their marker. What jumps to our chain goes with it.
    """
    commands: list[str] = []
    table = f"{_NFT[family]} {undo['table']}"
    if not tool("nft"):
        return commands
    for chain in undo["chains"]:
        try:
            call(["nft", "list", "chain", *table.split(), chain])
        except RuleError as error:
            if not _NONE.search(str(error)):  # it did not say: a chain that is there must not be taken for gone
                raise
            continue
        inside = ""
        for line in call(["nft", "-a", "list", "table", *table.split()]).splitlines():
            opened = re.match(r"\s*chain (\S+) \{", line)
            leads = re.search(rf"\b(?:jump|goto) {re.escape(chain)}\b.* handle (\d+)$", line)
            inside = opened.group(1) if opened else inside
            commands += [f"delete rule {table} {inside} handle {leads.group(1)}"] if leads else []
        commands += [f"flush chain {table} {chain}", f"delete chain {table} {chain}"]
    return commands
