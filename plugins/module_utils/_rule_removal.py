"""Take traffic rules out again: exactly those that an entry's undo names.

Modules use it, and it is the first half of the dead-man script (_dead_man.py): so it imports nothing but the standard
library, and is tested once for both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}
_NFT = {"ipv4": "ip", "ipv6": "ip6"}
_COMMAND_S = 20.0


class RuleError(OSError):
    """A packet filter did not do what it was asked; the message says which and what it said."""


def tool(name: str) -> str | None:
    """Return where a program is, also where an ordinary user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")


def call(argv: list[str], feed: str = "") -> str:
    """Run a program with `feed` as its input; return all it printed. Raise RuleError if it fails."""
    program = tool(argv[0])
    if program is None:
        raise RuleError(f"{argv[0]} is not installed on this host")
    try:
        done = subprocess.run(
            [program, *argv[1:]], input=feed, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuleError(f"{argv[0]} did not finish in {_COMMAND_S:.0f} s and was ended") from error
    if done.returncode != 0:
        raise RuleError(f"{argv[0]} exited {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def saved(family: str, table: str) -> list[str]:
    """Return a table's rules as iptables-save prints them, comments left out."""
    return [line for line in call([SAVE[family], "-t", table]).splitlines() if not line.startswith("#")]


def restore(family: str, table: str, lines: list[str]) -> None:
    """Give a table new lines beside those it has: all of them, or none. Raise RuleError then."""
    call([RESTORE[family], "--noflush", "--wait", "10"], "\n".join([f"*{table}", *lines, "COMMIT", ""]))


def jumps(lines: list[str], chain: str, marker: str) -> list[str]:
    """Return the rules that lead into `chain` and bear our marker, as `-A …`, wherever they stand."""
    target = re.compile(rf"-j {re.escape(chain)}(?= |$)")
    return [line for line in lines if line.startswith("-A ") and marker in line and target.search(line)]


def left(undo: dict[str, Any], family: str) -> tuple[list[str], list[str]]:
    """Return what is still there of an undo in one family: (jumps, chains)."""
    lines = saved(family, undo["table"])
    found = [line for chain in undo["chains"] for line in jumps(lines, chain, undo["marker"])]
    return found, [chain for chain in undo["chains"] if any(line.startswith(f":{chain} ") for line in lines)]


def remove(undo: dict[str, Any]) -> bool:
    """Remove exactly what an undo names; say whether anything of it was there.

    Raise RuleError if something remains, after all families were tried.
    """
    there, problems = False, []
    for family in undo["families"]:
        try:
            there = _remove(undo, family) or there
        except RuleError as error:
            problems.append(str(error))
    if problems:
        raise RuleError("; ".join(problems))
    return there


def there(undo: dict[str, Any]) -> bool:
    """Say whether anything of an undo is still there."""
    return any(any(left(undo, family)) or any(_left_in_nft(undo, family)) for family in undo["families"])


def _remove(undo: dict[str, Any], family: str) -> bool:
    found, chains = left(undo, family)
    if found or chains:
        # First the effect goes; the empty chain after it, which somebody else's rule may hold on to.
        restore(family, undo["table"], [f"-D {line[3:]}" for line in found] + [f"-F {chain}" for chain in chains])
        if chains:
            restore(family, undo["table"], [f"-X {chain}" for chain in chains])
    unseen = _left_in_nft(undo, family)
    if unseen:
        call(["nft", "-f", "-"], "\n".join([*unseen, ""]))
    if any(left(undo, family)) or _left_in_nft(undo, family):
        raise RuleError(f"{family}: something put {', '.join(undo['chains'])} back")
    return bool(found or chains or unseen)


def _left_in_nft(undo: dict[str, Any], family: str) -> list[str]:
    """Return nft's commands for what is left, which iptables may not see.

    A table that was loaded from what `nft list ruleset` had saved is closed to iptables-save, which says nothing of
    it and exits 0. There the jumps have lost their marker; what jumps to our chain goes with it.
    """
    commands: list[str] = []
    table = f"{_NFT[family]} {undo['table']}"
    if not tool("nft"):
        return commands
    for chain in undo["chains"]:
        try:
            call(["nft", "list", "chain", *table.split(), chain])
        except RuleError:  # there is none
            continue
        inside = ""
        for line in call(["nft", "-a", "list", "table", *table.split()]).splitlines():
            opened = re.match(r"\s*chain (\S+) \{", line)
            leads = re.search(rf"\b(?:jump|goto) {re.escape(chain)}\b.* handle (\d+)$", line)
            inside = opened.group(1) if opened else inside
            commands += [f"delete rule {table} {inside} handle {leads.group(1)}"] if leads else []
        commands += [f"flush chain {table} {chain}", f"delete chain {table} {chain}"]
    return commands
