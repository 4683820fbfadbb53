"""Rule sets that lock everybody out, and a copy of the collection that has the bug of loading one of them.

The copy puts it in as the act itself would: the same role, module, ledger and clocks; only what its chain holds, and
where that hangs, is wrong.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ACTS = {"rate_limit": "_rate_limit", "quarantine": "_quarantine", "circuit_breaker": "_egress"}
_CARRIED = ("plugins", "roles", "playbooks", "meta", "galaxy.yml")


class BadRules(NamedTuple):
    """What a chain holds and where it hangs; `shuts`: whether nobody gets in any more while it is there."""

    table: str
    hooks: tuple[str, ...]
    lines: tuple[str, ...]  # {wrong}: a network that is not the one of those who manage the host
    shuts: bool = True


SETS = {
    "all dropped on the way in": BadRules("filter", ("INPUT",), ("-j DROP",)),
    "all dropped on the way out": BadRules("filter", ("OUTPUT",), ("-j DROP",)),
    "all rejected": BadRules("filter", ("INPUT",), ("-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT")),
    "new ones dropped": BadRules("filter", ("INPUT",), ("-m conntrack --ctstate NEW -j DROP",)),
    "open ones dropped": BadRules("filter", ("INPUT",), ("-p tcp -m conntrack --ctstate ESTABLISHED -j DROP",)),
    "loopback cut": BadRules("filter", ("INPUT",), ("-i lo -j DROP",), shuts=False),
    "another range spared": BadRules("filter", ("INPUT",), ("-i lo -j RETURN", "-s {wrong} -j RETURN", "-j DROP")),
    "another port spared": BadRules("filter", ("INPUT",), ("-p tcp -m tcp --dport 2222 -j RETURN", "-j DROP")),
    "answers dropped": BadRules("mangle", ("POSTROUTING",), ("-p tcp -m tcp --sport 22 -j DROP",)),
    "dropped before all": BadRules("raw", ("PREROUTING",), ("! -i lo -j DROP",)),
    "large packets dropped": BadRules("mangle", ("PREROUTING",), ("-p tcp -m length --length 300:65535 -j DROP",)),
    "a syntax error": BadRules("filter", ("INPUT",), ("-p tcp -m tcp --dport 22 -j DORP",), shuts=False),
}
_WRONG = {"ipv4": "203.0.113.0/24", "ipv6": "2001:db8::/32"}
_BUG = """
_BAD = {lines!r}
KIND = KIND._replace(
    table={table!r}, hooks={hooks!r}, match="", rules=lambda chain, family, _spec: [f"-A {{chain}} {{l}}" for l in _BAD[family]]
)
"""
_NO_CLOCK = "\n_start = lambda *_words: None\n"


def collection(name: str, folder: Path, clocks: bool = True) -> Path:
    """Return a collections path where all acts load the rules of that name; without `clocks` none is ever started."""
    path = folder / f"{name.replace(' ', '-')}{'' if clocks else '-without-clock'}"
    copy = path / "ansible_collections" / "incidentctl" / "response"
    if copy.exists():
        return path
    copy.mkdir(parents=True)
    for part in _CARRIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / part)
    bad = SETS[name]
    lines = {family: [line.format(wrong=_WRONG[family]) for line in bad.lines] for family in _WRONG}
    utils = copy / "plugins" / "module_utils"
    for module in ACTS.values():
        with (utils / f"{module}.py").open("a") as stream:
            stream.write(_BUG.format(lines=lines, table=bad.table, hooks=bad.hooks))
    if not clocks:
        with (utils / "_dead_man.py").open("a") as stream:
            stream.write(_NO_CLOCK)
    return path
