"""What the hosts found, as one list: the worst first, and what several hosts say alike said once. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_WORST_FIRST = ("critical", "warning", "info")
_ANYTHING = "<*>"  # stands in a template for what varies


@dataclass
class Pattern:
    """One error of one service, on all hosts that have it: how often, since when, how many a minute, and one of them."""

    service: str
    template: str
    hosts: list[str] = field(default_factory=list)
    count: int = 0
    per_minute: float = 0.0
    first_seen: str | None = None
    new: bool = False
    sample: str = ""


def ranked(found: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Given (host, finding) in each host's own order, return (severity, text, hosts) for the whole fleet.

    Within a severity, what a host ranks higher comes first: its order is by how likely a cause is. An error that
    several hosts have is one row, with the worst of their severities, in the words of that host, and how often in all.
    """
    found = list(found)
    rank = {name: number for number, name in enumerate(_WORST_FIRST)}
    same = same_templates(str(about.get("error", "")) for _host, finding in found if (about := _about(finding)))
    rows: dict[tuple[str, ...], list[tuple[str, Mapping[str, Any]]]] = {}
    place: dict[tuple[str, ...], int] = {}
    begun: dict[str, int] = {}
    for host, finding in found:
        key = _key(finding, same)
        begun[host] = begun.get(host, 0) + 1
        place[key] = min(place.get(key, begun[host]), begun[host])
        rows.setdefault(key, []).append((host, finding))
    told = [(*_row(each, rank), place[key]) for key, each in rows.items()]
    told.sort(key=lambda row: (rank.get(row[0], len(rank)), row[3]))
    return [row[:3] for row in told]


def patterns(found: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[Pattern]:
    """Given (host, service, error), return one pattern for all hosts that have it: new ones first, then the largest."""
    found = list(found)
    same = same_templates(_template(error) for _host, _service, error in found)
    rows: dict[tuple[str, str], Pattern] = {}
    for host, service, error in found:
        template = same.get(_template(error), _template(error))
        row = rows.setdefault((service, template), Pattern(service, template, sample=_sample(error)))
        row.count += int(_figure(error.get("count")))
        row.per_minute += _figure(_mapping(error.get("rate")).get("per_minute"))
        row.first_seen = min(filter(None, (row.first_seen, error.get("first_seen"))), default=None)
        row.new = row.new or error.get("new") is True
        if host not in row.hosts:
            row.hosts.append(host)
    return sorted(rows.values(), key=lambda row: (not row.new, -row.count))


def _key(finding: Mapping[str, Any], same: Mapping[str, str]) -> tuple[str, ...]:
    about = _about(finding)
    if not about:
        return str(finding.get("severity", "")), str(finding.get("text", ""))
    error = str(about.get("error", ""))
    return "", str(finding.get("service")), same.get(error, error)


def _row(each: list[tuple[str, Mapping[str, Any]]], rank: Mapping[str, int]) -> tuple[str, str, tuple[str, ...]]:
    def severity(finding: Mapping[str, Any]) -> str:
        return str(finding.get("severity", ""))

    worst = min((finding for _host, finding in each), key=lambda finding: rank.get(severity(finding), len(rank)))
    hosts = tuple(dict.fromkeys(host for host, _finding in each))
    counts = [int(_figure(about.get("count"))) for _host, finding in each if (about := _about(finding))]
    text = str(worst.get("text", ""))
    return severity(worst), f"{text}; {sum(counts)} in all" if len(counts) > 1 else text, hosts


def same_templates(templates: Iterable[str]) -> dict[str, str]:
    """Return, for the templates that another one stands for as well, that other one.

    A host that saw one user only calls "user bob is gone" what another calls "user <*> is gone".
    """
    known = sorted(set(templates))
    home: dict[str, str] = {}
    for wide in known:
        if _ANYTHING not in wide or wide in home:
            continue
        parts = wide.split(_ANYTHING)
        for narrow in known[bisect_left(known, parts[0]) :]:
            if not narrow.startswith(parts[0]):
                break
            if narrow != wide and narrow not in home and _stands_for(parts, narrow):
                home[narrow] = wide
    return {narrow: home.get(wide, wide) for narrow, wide in home.items()}


def _stands_for(parts: list[str], text: str) -> bool:
    """Say whether a text is these parts with something between them. In one pass: what a log says may be made to take long."""
    at = len(parts[0])
    for part in parts[1:-1]:
        found = text.find(part, at + 1)
        if found < 0 or text[at].isspace():
            return False
        at = found + len(part)
    return text.endswith(parts[-1]) and at < len(text) - len(parts[-1]) and not text[at].isspace()


def _about(finding: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a finding of an error is about, by which it is known on other hosts; nothing for others."""
    about = _mapping(finding.get("about"))
    return about if "error" in about else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _figure(value: Any) -> float:
    """Return a figure of a host's facts, 0 where it is none: what is told must not end with it."""
    return value if isinstance(value, (int, float)) and abs(value) < float("inf") else 0


def _template(error: Mapping[str, Any]) -> str:
    parts: Iterator[Any] = filter(None, (error.get("template"), error.get("cause_template")))
    return " | ".join(map(str, parts))


def _sample(error: Mapping[str, Any]) -> str:
    return str(error.get("cause") or error.get("sample") or error.get("template") or "")
