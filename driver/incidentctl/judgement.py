"""What a diagnosis comes to: the likeliest causes, whom it concerns, and a severity to think about. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from incidentctl import all_well, causes, dependencies, dependency_graph, intermittent, observations, suggestion
from incidentctl.all_well import AllWell
from incidentctl.causes import Cause
from incidentctl.dependencies import Root
from incidentctl.dependency_graph import Graph
from incidentctl.history import History
from incidentctl.options import backups
from incidentctl.outcome import SUCCESS, HostOutcome
from incidentctl.plan import Inventory, Service
from incidentctl.suggestion import Suggestion
from incidentctl.text import plain

_NAMED = 4


@dataclass(frozen=True)
class Impact:
    """Whom it concerns: hosts and services that are sick, those that need them, users and partners."""

    hosts: tuple[str, ...]
    asked: int
    silent: tuple[str, ...]
    services: tuple[str, ...]
    downstream: tuple[str, ...]  # well so far, but they need what is sick
    user_facing: tuple[str, ...]
    integrations: tuple[str, ...]

    def told(self) -> Iterator[str]:
        """Say whom it concerns, in one line or two."""
        silent = f", no answer from {listed(self.silent)}" if self.silent else ""
        where = f"{len(self.hosts)} of {self.asked} hosts" + (f" ({listed(self.hosts)})" if self.hosts else "")
        yield f"{where}{silent}; services: {listed(self.services) or 'none is sick'}"
        names = (("downstream", self.downstream), ("users", self.user_facing), ("integrations", self.integrations))
        if more := "; ".join(f"{what}: {listed(each)}" for what, each in names if each):
            yield more


@dataclass(frozen=True)
class Judgement:
    """The likeliest cause first, the impact, and the severity that they suggest, with its rule."""

    causes: tuple[Cause, ...]
    impact: Impact
    suggested: Suggestion
    roots: tuple[Root, ...] = ()  # what fails deepest
    affected: tuple[str, ...] = ()  # services with a critical finding, else all that are sick: who is to be mended
    data: tuple[str, ...] = ()  # by service what is in no verified backup, where the catalogue names data
    all_well: AllWell | None = None  # then no cause is named

    def as_data(self) -> dict[str, Any]:
        """Return it for the record and for --json: bounded lists of plain texts and figures."""
        told: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return told

    def severity(self, current: str | None = None) -> str:
        """Say which severity is suggested, and by which rule; with `current`, what it is now if that differs."""
        now = f" (now {current})" if current and current != self.suggested.severity else ""
        return f"{self.suggested.severity}{now}: {plain(self.suggested.rule)}"


def of(
    rows: Sequence[HostOutcome],
    inventory: Inventory,
    told: History,
    monitoring: Mapping[str, Any] | None = None,
    triage: Iterable[Mapping[str, Any]] = (),
) -> Judgement:
    """Given how the capability diagnosis ended on each host, and when and after what, return what it comes to.

    `triage` is what the record has of the look that went before it, if there was one.
    """
    looked = [row for row in rows if row.capability == "diagnosis"]
    hosts = intermittent.dependencies({row.host: row.facts for row in looked if row.facts}, triage)
    # One that was cut off, as all are at the deadline, or where the look failed, may answer well; nobody knows.
    silent = tuple(row.host for row in looked if not row.facts and row.outcome == "unreachable")
    unknown = tuple(row.host for row in looked if not row.facts and row.outcome != "unreachable")
    seen = observations.read(hosts, silent, inventory.services, inventory.addresses, told.ahead)
    graph = dependency_graph.graph(inventory.services, inventory.addresses)
    deepest = dependencies.failing(graph, hosts)
    found = causes.weigh(seen, inventory.services, told.began, told.changes, deepest)
    health = {host: _health(facts) for host, facts in hosts.items()}
    scope = [*seen.hosts, *silent, *unknown]
    meant = [service for service in inventory.services if set(service.hosts) & set(scope)]
    suggested = suggestion.suggest(meant, scope, health, monitoring, found)
    known = {service.name for service in meant}
    affected = {f.service for f in seen.findings if f.severity == "critical" and f.service in known}
    # Where their health checks see nothing of it, and what is critical is a host's, their errors say who suffers.
    affected = affected or {name for _host, name in seen.sick} & known
    concerned = impact(seen, meant, len(looked), graph)
    well = None
    # Who else says that there is trouble, or a log that could not be read, leaves something to be explained.
    if suggested.severity == "low" and told.onset is None and all(row.outcome in SUCCESS for row in looked):
        well = all_well.look(seen, inventory.services, graph, health)
    sick = tuple(sorted(filter(None, affected)))
    return Judgement(() if well else found, concerned, suggested, deepest, sick, tuple(_data(hosts)), well)


def roots(rows: Iterable[HostOutcome], inventory: Inventory) -> tuple[Root, ...]:
    """Given how health_check ended on each host, return what fails deepest (`dependencies.failing`)."""
    looked = {row.host: row.facts for row in rows if row.capability == "health_check" and row.facts}
    return dependencies.failing(dependency_graph.graph(inventory.services, inventory.addresses), looked)


def impact(seen: observations.Observations, services: Iterable[Service], asked: int, graph: Graph) -> Impact:
    """Return whom it concerns; a service of a host that does not answer counts as sick there."""
    services = tuple(services)
    sick = {name for _host, name in seen.sick}
    sick |= {service.name for service in services if set(service.hosts) & set(seen.silent)}
    downstream = set(graph.needed_by(sick)) - sick
    concerned = [service for service in services if service.name in sick | downstream]
    return Impact(
        hosts=tuple(sorted({host for host, _name in seen.sick} | set(seen.silent))),
        asked=asked,
        silent=seen.silent,
        services=tuple(sorted(sick)),
        downstream=tuple(sorted(downstream)),
        user_facing=tuple(sorted(service.name for service in concerned if service.user_facing)),
        integrations=tuple(sorted({name for service in concerned for name in service.integrations})),
    )


def _data(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say of each service what was written to its data since their last verified backup, as the hosts that answered say."""
    found: dict[str, list[backups.Backup]] = {}
    for host, facts in sorted(hosts.items()):
        for name, look in observations.services_of(facts):
            found.setdefault(name, []).extend(backups.told(host, look))
    for name, there in sorted(found.items()):
        if there:
            yield f"{name}: {backups.figure(backups.newest(there).values())}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return plain(", ".join(names[:_NAMED]) + more)


def _health(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    services = facts.get("services")
    if not isinstance(services, Mapping):
        return {}
    looks = {str(name): look.get("health") for name, look in services.items() if isinstance(look, Mapping)}
    return {name: health for name, health in looks.items() if isinstance(health, Mapping)}
