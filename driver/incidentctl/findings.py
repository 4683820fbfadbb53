"""What the hosts found, as one list: the worst first, and what several hosts say alike said once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_WORST_FIRST = ("critical", "warning", "info")


def ranked(found: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Given (host, finding) in each host's own order, return (severity, text, hosts) for the whole fleet.

    Within a severity, what a host ranks higher comes first: its order is by how likely a cause is.
    """
    hosts: dict[tuple[str, str], list[str]] = {}
    place: dict[tuple[str, str], int] = {}
    begun: dict[str, int] = {}
    for host, finding in found:
        row = (str(finding.get("severity", "")), str(finding.get("text", "")))
        begun[host] = begun.get(host, 0) + 1
        place[row] = min(place.get(row, begun[host]), begun[host])
        hosts.setdefault(row, []).append(host)
    rank = {name: number for number, name in enumerate(_WORST_FIRST)}
    rows = sorted(hosts, key=lambda row: (rank.get(row[0], len(rank)), place[row]))
    return [(*row, tuple(hosts[row])) for row in rows]
