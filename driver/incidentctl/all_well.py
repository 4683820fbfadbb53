"""That nothing of what was looked at is wrong: then there is no cause to name, but somewhere else to look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from incidentctl.dependency_graph import Graph
from incidentctl.observations import Observations
from incidentctl.plan import Service
from incidentctl.suspects import listed
from incidentctl.text import plain

_NOTED = 3  # of what is only information


@dataclass(frozen=True)
class AllWell:
    """What was looked at, what was noted there all the same, and where to look next, the nearest first."""

    told: str
    noted: tuple[str, ...]
    next: tuple[str, ...]


def look(seen: Observations, catalogue: Iterable[Service], graph: Graph, health: Mapping[str, Any]) -> AllWell | None:
    """Given what was seen, and each host's health by service, return that all of it is well; None where something is not."""
    if seen.sick or seen.silent or any(f.severity != "info" or "error" in f.about for f in seen.findings):
        return None
    looked = sorted({name for looks in health.values() for name in looks})
    if not looked:
        return None
    where = f"{len(seen.hosts)} host{'s' if len(seen.hosts) != 1 else ''} ({listed(seen.hosts)})"
    return AllWell(
        plain(f"All that was looked at is well: {listed(looked)} on {where}, and no error is in the logs"),
        tuple(f"{f.text} ({f.host})" for f in seen.findings[:_NOTED]),
        tuple(map(plain, _next(looked, tuple(catalogue), graph, health))),
    )


def _next(looked: list[str], catalogue: tuple[Service, ...], graph: Graph, health: Mapping[str, Any]) -> Iterator[str]:
    """Give what could not be seen, then what was not looked at, then who knows more."""
    mute = {name for looks in health.values() for name, look in looks.items() if look.get("healthy") is None}
    if mute:
        yield f"how {listed(sorted(mute))} is: neither a health check nor a manager tells it"
    if unlogged := [s.name for s in catalogue if s.name in looked and not s.spec.get("logs")]:
        yield f"what {listed(unlogged)} logs: the catalogue names no logs"
    needed = {key for name in looked for key in graph.needs.get(name, ())}
    near = (needed | graph.needed_by(looked)) - set(looked)
    left = [service for service in catalogue if service.name not in looked]
    if beside := [f"{s.name} on {listed(s.hosts)}" for s in left if s.name in near]:
        yield f"its neighbours, which were not looked at: {listed(beside)}"
    if rest := [s.name for s in left if s.name not in near]:
        yield f"the rest of the site: {listed(rest)}"
    yield "what those who report it did, when and from where; and all of this once more while they see it"
