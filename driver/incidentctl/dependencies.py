"""Of all that fails the deepest: what everything above it only suffers from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from incidentctl.dependency_graph import Graph, Node, reached
from incidentctl.text import plain

# Host → what its diagnosis or health check found out: facts, with `services`.
Facts = Mapping[str, Mapping[str, Any]]
_NAMED = 4
_RESOLVERS = "name resolution"
_MUTE = ("silent", "closed", "unreachable", "servfail", "refused", "nonsense", "unknown")


@dataclass(frozen=True)
class Root:
    """What fails while nothing that it depends on does; several services are one root if they wait for each other.

    `contained_by` is the capability of this incident that stopped it: then it is no cause.
    """

    nodes: tuple[Node, ...]
    text: str  # one sentence
    failing: str | None  # the step that does not succeed, where all who asked say the same
    details: tuple[str, ...]  # what was said, each once
    fails_on: tuple[str, ...]  # its own hosts, by its own health
    fine_on: tuple[str, ...]
    fails_from: tuple[str, ...]  # the hosts that depend on it
    fine_from: tuple[str, ...]
    depth: int  # the longest chain of services above it
    downstream: tuple[str, ...]  # services that depend on it, directly or not, user-facing ones first
    suffering: tuple[str, ...]  # those of them that fail, too
    contained_by: str | None = None

    def told(self) -> str:
        """Say what fails, from where, why, and who suffers."""
        above = [f"{name}{'' if name in self.suffering else ' (well)'}" for name in self.downstream]
        more = f" and {len(above) - _NAMED} more" if len(above) > _NAMED else ""
        who = f"; above it: {', '.join(above[:_NAMED])}{more}" if above else ""
        why = f"{self.details[0]}; " if self.details and not self.contained_by else ""
        return f"{self.label}: {why}{self.text[len(self.label) + 2 :]}{who}"

    @property
    def label(self) -> str:
        """Return what it is called."""
        circle = " (they wait for each other)" if len(self.nodes) > 1 else ""
        return " and ".join(node.label for node in self.nodes) + circle

    @property
    def services(self) -> tuple[str, ...]:
        """Return the names of the services of the catalogue among its nodes."""
        return tuple(node.service for node in self.nodes if node.service)


def failing(graph: Graph, facts: Facts) -> tuple[Root, ...]:
    """Given what the hosts found, return what fails and does not do so because of something else, the deepest first.

    A dependency whose name does not resolve stands for the name, or for the resolvers if those do not answer.
    What this incident itself has stopped comes last.
    """
    graph = _with_names(graph, facts)
    seen = _seen(graph, facts)
    bad = {key for key, what in seen.items() if what.on[False] or what.by[False]}
    unknown = {key for key, what in seen.items() if key not in bad and not what.on[True] and not what.by[True]}
    passable = {key: {n for n in needed if n in bad or n in unknown} for key, needed in graph.needs.items()}
    below = {key: reached([key], passable) & bad for key in bad}
    groups = {frozenset({key} | {other for other in below[key] if key in below[other]}) for key in bad}
    heights = _heights(graph)
    roots = [
        _root(graph, seen, tuple(sorted(group)), bad, max(heights[key] for key in group))
        for group in groups
        if all(below[key] <= group for key in group)
    ]
    roots.sort(key=lambda r: (r.contained_by is not None, -r.depth, -len(r.suffering), -len(r.downstream), r.text))
    return tuple(roots)


@dataclass
class _Seen:
    """How a node was seen: on its own hosts by its own health, and by the hosts that depend on it."""

    on: dict[bool, dict[str, str]] = field(default_factory=lambda: {True: {}, False: {}})  # fine? → host → detail
    by: dict[bool, dict[str, str]] = field(default_factory=lambda: {True: {}, False: {}})
    steps: set[str] = field(default_factory=set)
    contained_by: str | None = None


def _seen(graph: Graph, facts: Facts) -> dict[str, _Seen]:
    seen = {key: _Seen() for key in graph.nodes}
    for host, found in sorted(facts.items()):
        contained = dict(_contained(found))
        for name, health in _healths(found):
            if name in seen and health.get("healthy") in (True, False):
                seen[name].on[health["healthy"]].setdefault(host, str(health.get("detail", "")))
            if name in seen and name in contained:
                seen[name].contained_by = contained[name]
            for entry in _asked(health):
                key = _target(graph, name, entry)
                if key in seen:
                    seen[key].by[entry["ok"]].setdefault(host, str(entry.get("detail", "")))
                    seen[key].steps |= {str(entry["failing"])} if entry.get("failing") else set()
                if entry["ok"] and _is_dns(entry):
                    for resolved in {_RESOLVERS, f"name {entry.get('host')}"} & set(seen):
                        seen[resolved].by[True].setdefault(host, "")
    return seen


def _target(graph: Graph, service: str, entry: Mapping[str, Any]) -> str:
    """Return the key of what an answer says something about."""
    if entry.get("failing") == "dns":
        return _RESOLVERS if entry.get("resolver") in _MUTE else f"name {entry.get('host')}"
    return graph.entries.get((service, str(entry.get("name"))), "")


def _with_names(graph: Graph, facts: Facts) -> Graph:
    """Return the graph with a node for each name that does not resolve, and for resolvers that do not answer.

    They need the service that resolves names, where a dns check of the catalogue says which one that is.
    """
    nodes, needs = dict(graph.nodes), dict(graph.needs)
    for found in facts.values():
        for service, health in _healths(found):
            if service not in graph.needs:
                continue
            asked = list(_asked(health))
            keys = {_target(graph, service, entry) for entry in asked if entry.get("failing") == "dns"}
            resolving = {graph.entries.get((service, str(entry.get("name"))), "") for entry in asked if _is_dns(entry)}
            for key in keys:
                nodes.setdefault(key, Node(key, "name resolution" if key == _RESOLVERS else f"the {key}"))
                needs[key] = needs.get(key, frozenset()) | {name for name in resolving if name in graph.needs}
            needs[service] |= keys
    return Graph(nodes, needs, graph.entries)


def _is_dns(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("check", "")).startswith("dns://")


def _root(graph: Graph, seen: Mapping[str, _Seen], group: tuple[str, ...], bad: set[str], depth: int) -> Root:
    nodes = tuple(graph.nodes[key] for key in group)
    above = graph.needed_by(group)
    users = (graph.nodes[key] for key in above if graph.nodes[key].service)
    downstream = sorted(users, key=lambda node: (not node.user_facing, node.label))
    fails_on, fails_from = ({h: t for key in group for h, t in view(key)[False].items()} for view in _views(seen))
    fine_on, fine_from = ({h for key in group for h in view(key)[True]} for view in _views(seen))
    steps = {step for key in group for step in seen[key].steps}
    root = Root(
        nodes=nodes,
        text="",
        failing=steps.pop() if len(steps) == 1 else None,
        details=tuple(dict.fromkeys(plain(text) for text in [*fails_from.values(), *fails_on.values()]))[:_NAMED],
        fails_on=tuple(fails_on),
        fine_on=tuple(sorted(fine_on - set(fails_on))),
        fails_from=tuple(fails_from),
        fine_from=tuple(sorted(fine_from - set(fails_from))),
        depth=depth,
        downstream=tuple(node.label for node in downstream),
        suffering=tuple(node.label for node in downstream if node.key in bad),
        contained_by=next((by for key in group if (by := seen[key].contained_by)), None),
    )
    return replace(root, text=_text(root))


def _views(seen: Mapping[str, _Seen]) -> tuple[Callable[[str], dict[bool, dict[str, str]]], ...]:
    return (lambda key: seen[key].on), (lambda key: seen[key].by)


def _text(root: Root) -> str:
    if root.contained_by:
        return f"{root.label}: stopped by {root.contained_by} of this incident"
    said = []
    if root.fails_from:
        fine = f", fine from {', '.join(root.fine_from)}" if root.fine_from else ""
        said.append(f"fails from {', '.join(root.fails_from)}{fine}")
    if root.fails_on:
        fine = f", well on {', '.join(root.fine_on)}" if root.fine_on else ""
        said.append(f"not well on {', '.join(root.fails_on)}{fine}")
    elif root.fine_on:
        said.append(f"well on {', '.join(root.fine_on)} itself")
    if root.nodes[0].key == _RESOLVERS and root.fine_from:
        said.append("look at /etc/resolv.conf there")
    elif root.failing == "connect" and not root.fails_on and (root.fine_from or root.fine_on):
        said.append("look at the network between them")
    return f"{root.label}: {'; '.join(said)}"


def _heights(graph: Graph) -> dict[str, int]:
    """Return for each node the longest chain of services above it; a circle is one link of it."""
    below = {key: reached([key], graph.needs) for key in graph.nodes}
    circle = {key: {key} | {other for other in below[key] if key in below[other]} for key in graph.nodes}
    heights = dict.fromkeys(graph.nodes, 0)
    moved = True
    while moved:  # ends: without the circles there is a longest chain
        moved = False
        for user, needed in graph.needs.items():
            for key in needed - circle[user]:
                if heights[key] <= heights[user]:
                    heights.update(dict.fromkeys(circle[key], heights[user] + 1))
                    moved = True
    return heights


def _healths(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the health of each service, as a diagnosis or a health check has it."""
    for name, told in _mapping(found.get("services")).items():
        yield str(name), _mapping(_mapping(told).get("health", told))


def _asked(health: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the dependencies of which it is known how they are."""
    answers = health.get("depends_on")
    for answer in map(_mapping, answers if isinstance(answers, list) else ()):
        if answer.get("ok") in (True, False):
            yield answer


def _contained(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return which services this host says that the incident itself has stopped, and by what."""
    findings = found.get("findings")
    for finding in map(_mapping, findings if isinstance(findings, list) else ()):
        if finding.get("kind") == "contained":
            yield str(finding.get("service")), str(_mapping(finding.get("about")).get("by"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
