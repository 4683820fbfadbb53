"""What traffic rules held back since they were loaded: the kernel's own figures, and those in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _rule_removal

_RECENT = Path("/proc/net/xt_recent")  # a file for each name, a line for each source
_MOST = Path("/sys/module/xt_recent/parameters/ip_list_tot")  # sources that it remembers of a name
_TIMES = Path("/sys/module/xt_recent/parameters/ip_pkt_list_tot")  # times that it remembers of a source
_USUAL_TIMES = 32  # where that says 0
_BUSIEST = 5  # sources that are named


class Figures(NamedTuple):
    """What is known; None where nobody can tell."""

    packets: dict[str, int | None]  # by address family
    together: int  # of these, what no source by itself was too much for
    sources: int | None
    more: bool  # the kernel remembers no more sources than these
    passed: int = 0  # what came to the same ports, was counted, and let through
    ports: tuple[int, ...] = ()
    busiest: tuple[tuple[str, int | None], ...] = ()  # sources with their packets, those that came most often first

    @property
    def dropped(self) -> int | None:
        """What was held back, in all families."""
        counts = [count for count in self.packets.values() if count is not None]
        return sum(counts) if len(counts) == len(self.packets) else None


def remembers() -> bool:
    """Say whether this kernel can remember who was held back. That is an extension; it is loaded if it is there."""
    if not _RECENT.is_dir() and _rule_removal.tool("modprobe"):
        try:
            _rule_removal.call(["modprobe", "--quiet", "xt_recent"])
        except _rule_removal.RuleError:
            return False
    return _RECENT.is_dir()


def read(undo: dict[str, Any]) -> Figures:
    """Return what an entry's rules held back so far."""
    packets: dict[str, int | None] = {}
    known: list[_Sources | None] = []
    together = passed = 0
    ports: set[int] = set()
    for family in undo["families"]:
        try:
            rules = [rule for chain in undo["chains"] for rule in _counted(family, undo["table"], chain)]
        except OSError:
            packets[family] = None
            continue
        held = [(count, rule) for count, rule in rules if not rule.endswith("-j RETURN")]
        every = sum(count for count, rule in held if "-m hashlimit" in rule and "-mode srcip" not in rule)
        packets[family] = sum(count for count, _rule in held)
        together += every
        passed += sum(count for count, rule in rules if rule.endswith("-j RETURN") and " --dports " in rule)
        ports |= {
            int(port)
            for _count, rule in held
            for port in ",".join(re.findall(r"--dports (\S+)", rule)).split(",")
            if port
        }
        names = {name for _count, rule in held for name in re.findall(r"-m recent --set --name (\S+)", rule)}
        known += [_sources(name, sum(count for count, _rule in held) - every) for name in sorted(names)]
    told = [one for one in known if one is not None]
    return Figures(
        packets,
        together,
        sum(len(one.busiest) for one in told) if told and len(told) == len(known) else None,
        any(one.more for one in told),
        passed,
        tuple(sorted(ports)),
        tuple(sorted((row for one in told for row in one.busiest), key=_rank))[:_BUSIEST],
    )


def as_data(figures: Figures) -> dict[str, Any]:
    """Return the figures for the record: plain numbers and texts, few whatever came."""
    return {
        "ports": list(figures.ports),
        "dropped": figures.dropped,
        "passed": figures.passed,
        "sources": figures.sources,
        "more_sources": figures.more,
        "busiest": [{"source": source, "dropped": count} for source, count in figures.busiest],
    }


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
        whose = f" from {_number_of_sources(figures)}{_chiefly(figures, apart)}"
        parts.append(counted + whose if by_source else counted)
    if figures.together:
        parts.append(f"{figures.together:,} because all sources together were too many")
    return f"held back {', and '.join(parts)}" if parts else "held back nothing"


def _number_of_sources(figures: Figures) -> str:
    if not figures.sources:
        return "an unknown number of sources"
    return f"{'at least ' if figures.more else ''}{figures.sources:,} source{'' if figures.sources == 1 else 's'}"


def _chiefly(figures: Figures, apart: int) -> str:
    """Name the one who sent most of it, where it is known to be one of several."""
    source, count = figures.busiest[0] if figures.busiest else ("", None)
    several = figures.sources is not None and figures.sources > 1
    return f" ({count / apart:.0%} from {source})" if several and count and 2 * count > apart else ""


def _counted(family: str, table: str, chain: str) -> list[tuple[int, str]]:
    """Return the rules of a chain, each with the packets that it was for."""
    seen = [rule for b in _rule_removal.backends(family, table) for rule in _rule_removal.saved(family, table, b, "-c")]
    found = re.findall(rf"^\[(\d+):\d+\] (-A {re.escape(chain)} .+)$", "\n".join(seen), re.MULTILINE)
    return [(int(count), rule) for count, rule in found]


class _Sources(NamedTuple):
    """Who one of the kernel's lists says was held back, with the packets of each, where it knows them."""

    busiest: list[tuple[str, int | None]]
    more: bool  # there is no room for more of them in the list


def _sources(name: str, packets: int) -> _Sources | None:
    """Given the name of the kernel's list, and what it counts all in all, return who is in it; None if that is unknown.

    It keeps the last times of each source, which is how often that one came, unless there is no room for more of them.
    Where that is so of one source alone, it sent what the others did not.
    """
    try:
        lines = [line.split() for line in (_RECENT / name).read_text().splitlines() if line.strip()]
        more = len(lines) >= int(_MOST.read_text())
        times = int(_TIMES.read_text()) or _USUAL_TIMES
    except (OSError, ValueError):
        return None
    counts = {words[0].partition("=")[2]: _stamps(words) for words in lines}
    exact = {source: len(stamps) for source, stamps in counts.items() if len(stamps) < times}
    often = sorted(counts.keys() - exact.keys(), key=lambda source: _span(counts[source]))
    rest = max(0, packets - sum(exact.values())) if len(often) == 1 and not more else None
    return _Sources([*((source, rest) for source in often), *exact.items()], more)


def _stamps(words: list[str]) -> list[int]:
    """Return when a source came last, in the kernel's own time, from a line of its list."""
    place = words.index("oldest_pkt:") if "oldest_pkt:" in words else len(words)
    return [int(word.rstrip(",")) for word in words[place + 2 :]]


def _span(stamps: list[int]) -> int:
    """Return over how long a time these came: the shorter, the more often."""
    return max(stamps) - min(stamps)


def _rank(row: tuple[str, int | None]) -> tuple[bool, int]:
    """Order sources: those that came too often to be counted, then those that came often."""
    return row[1] is not None, -(row[1] or 0)
