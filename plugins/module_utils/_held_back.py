"""What traffic rules held back since they were loaded: the kernel's own figures, and those in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

_RECENT = Path("/proc/net/xt_recent")  # a file for each name, a line for each source
_MOST = Path("/sys/module/xt_recent/parameters/ip_list_tot")  # sources that it remembers of a name


class Figures(NamedTuple):
    """What is known; None where nobody can tell."""

    packets: dict[str, int | None]  # by address family
    together: int  # of these, what no source by itself was too much for
    sources: int | None
    more: bool  # the kernel remembers no more sources than these


def remembers() -> bool:
    """Say whether this kernel can remember who was held back. That is an extension; it is loaded if it is there."""
    if not _RECENT.is_dir() and _rule_removal.tool("modprobe"):
        try:
            _rule_removal.call(["modprobe", "--quiet", "xt_recent"])
        except _rule_removal.RuleError:
            return False
    return _RECENT.is_dir()


def read(undo: dict[str, Any]) -> Figures:
    """Return what an entry's rules held back so far; those that let something through do not count."""
    packets: dict[str, int | None] = {}
    together, names = 0, set()
    for family in undo["families"]:
        try:
            rules = [rule for chain in undo["chains"] for rule in _counted(family, undo["table"], chain)]
        except OSError:
            packets[family] = None
            continue
        packets[family] = sum(count for count, _rule in rules)
        together += sum(count for count, rule in rules if "-m hashlimit" in rule and "-mode srcip" not in rule)
        names |= {name for _count, rule in rules for name in re.findall(r"-m recent --set --name (\S+)", rule)}
    sources, more = _sources(names)
    return Figures(packets, together, sources, more)


def told(figures: Figures, what: str, by_source: bool) -> str:
    """Return the figures in words; `what` is one thing that is held back, `attempt to connect` or `packet`."""
    noun, space, rest = what.partition(" ")
    several = f"{noun}s{space}{rest}"
    if None in figures.packets.values():
        return f"held back an unknown number of {several}"
    apart = sum(count or 0 for count in figures.packets.values()) - figures.together
    parts = []
    if apart:
        counted = f"{apart:,} {what if apart == 1 else several}"
        parts.append(f"{counted} from {_number_of_sources(figures)}" if by_source else counted)
    if figures.together:
        parts.append(f"{figures.together:,} because all sources together were too many")
    return f"held back {', and '.join(parts)}" if parts else "held back nothing"


def _number_of_sources(figures: Figures) -> str:
    if not figures.sources:
        return "an unknown number of sources"
    return f"{'at least ' if figures.more else ''}{figures.sources:,} source{'' if figures.sources == 1 else 's'}"


def _counted(family: str, table: str, chain: str) -> list[tuple[int, str]]:
    """Return the rules of a chain that hold something back, each with the packets that it did so with."""
    seen = [rule for b in _rule_removal.backends(family, table) for rule in _rule_removal.saved(family, table, b, "-c")]
    found = re.findall(rf"^\[(\d+):\d+\] (-A {re.escape(chain)} .+)$", "\n".join(seen), re.MULTILINE)
    return [(int(count), rule) for count, rule in found if not rule.endswith("-j RETURN")]


def _sources(names: set[str]) -> tuple[int | None, bool]:
    """Given the kernel's names for who was held back, return how many those are, and whether they may be more."""
    try:
        counts = [len((_RECENT / name).read_text().splitlines()) for name in sorted(names)]
        return (sum(counts) if names else None), any(count >= int(_MOST.read_text()) for count in counts)
    except (OSError, ValueError):
        return None, False
