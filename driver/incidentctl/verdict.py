"""What a recovery came to, by its figures: recovered, improved, no change or worse. Pure.

The rules, from the first that fits: one figure is worse, and all of it is worse; all that can be judged is as it should
be, and it is recovered; one is better, and it is improved; else nothing has changed. What is worse never helps
(docs/verification.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from incidentctl import figures, figures_data, figures_queries
from incidentctl.figures import Facts, Figure, mapping

RECOVERED, IMPROVED, NO_CHANGE, WORSE = "recovered", "improved", "no_change", "worse"
_AWAY = ("unreachable", "not_attempted")  # nobody got there: it is told, and looked at when it is back
_KEPT = 60  # figures in the record; those that decide come first
_REASONS = 5
_SPOKEN = 6

Rows = Sequence[Mapping[str, Any]]  # outcomes of hosts, as the record keeps them


@dataclass(frozen=True)
class Looks:
    """What hosts said at triage, in the diagnosis, and now; of which services it is about, and what the monitoring gives.

    `off` are the services, each with its host, that a containment keeps off; `kept_away` says that one keeps users away.
    `answered` are {(host, service): [how long healthy answers took in earlier recoveries, ms]}. `queries` are {name:
    {service: (before, during, after)}}, as `monitoring.measured` gives them; those in `times` give seconds.
    """

    at_issue: tuple[str, ...]
    triage: Rows
    diagnosis: Rows
    after: Rows
    onset: datetime | None = None
    off: frozenset[tuple[str, str]] = frozenset()
    kept_away: bool = False
    answered: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    times: Collection[str] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict, its figures, and why it is no better."""

    verdict: str
    figures: tuple[Figure, ...]
    reasons: tuple[str, ...]

    @property
    def recovered(self) -> bool:
        """Say whether nothing is left to be recovered."""
        return self.verdict == RECOVERED

    def told(self) -> str:
        """Say it in one line, with figures."""
        return f"{self.verdict.replace('_', ' ')}: {'; '.join(_spoken(self.figures)) or 'no host answered'}"

    def as_data(self) -> dict[str, Any]:
        """Return it for the record."""
        kept = sorted(self.figures, key=_weight)[:_KEPT]
        return {
            "verdict": self.verdict,
            "recovered": self.recovered,
            "told": self.told(),
            "reasons": list(self.reasons),
            "figures": [figure.as_data() for figure in kept],
        }


def of(looks: Looks) -> Verdict:
    """Given what was seen before, during and after, return what it came to."""
    found = tuple(_figures(looks))
    return Verdict(_verdict(found, looks.at_issue), found, tuple(_reasons(found)))


def _verdict(found: Sequence[Figure], at_issue: Collection[str]) -> str:
    if any(figure.change < 0 for figure in found):
        return WORSE
    held = any(figure.what == "health" and figure.well and figure.service in at_issue for figure in found)
    if held and all(figure.well is not False for figure in found):
        return RECOVERED
    return IMPROVED if any(figure.change > 0 for figure in found) else NO_CHANGE


def _reasons(found: Iterable[Figure]) -> list[str]:
    bad = sorted((f for f in found if f.change < 0 or f.well is False), key=_weight)
    told = [f"{f.host}: {f.told}" if f.host else f"{f.service}: {f.told}" for f in bad]
    more = len(told) - _REASONS
    return [*told[:_REASONS], *([f"and {more} more"] if more > 0 else [])]


def _weight(figure: Figure) -> tuple[int, bool]:
    return figure.change if figure.change < 0 else 0, figure.well is not False


def _figures(looks: Looks) -> Iterator[Figure]:
    of_hosts = list(_of_hosts(looks))
    yield from of_hosts
    sick = any(figure.what == "health" and figure.well is False for figure in of_hosts)
    for query, services in looks.queries.items():
        for name, values in services.items():
            found = figures_queries.of_query(query, name, values, query in looks.times, looks.kept_away)
            # What is sick may count our own looks, several a second, as requests that failed.
            yield replace(found, change=max(0, found.change)) if sick else found


def _of_hosts(looks: Looks) -> Iterator[Figure]:
    triage, diagnosis = _services(looks.triage, "health_check"), _with_clock(looks.diagnosis)
    seen = _services(looks.after, "health_check")
    for row in looks.after:
        facts = mapping(row.get("facts"))
        told = mapping(facts.get("services"))
        short = facts.get("left_out") and any(name not in told for name in looks.at_issue)  # there was no room for it
        if row.get("outcome") not in _AWAY and (not told or short):
            yield figures.of_health(str(row.get("host")), ", ".join(looks.at_issue), None, None)
    for (host, name), after in seen.items():
        before = triage.get((host, name))
        if (host, name) in looks.off:
            yield figures.of_contained(host, name)
        else:
            yield figures.of_health(host, name, before, after, name in looks.at_issue)
            latency = figures.of_latency(host, name, looks.answered.get((host, name), ()), before, after)
            yield from [latency] if latency else []
        if "new_errors" in after:
            yield figures.of_errors(host, name, diagnosis.get((host, name)), after, looks.onset)
        yield from figures_data.of_data(host, name, before, after)


def _services(rows: Rows, capability: str) -> dict[tuple[str, str], Facts]:
    return {
        (str(row.get("host")), str(name)): facts
        for row in rows
        if row.get("capability") == capability
        for name, facts in mapping(mapping(row.get("facts")).get("services")).items()
        if isinstance(facts, Mapping)
    }


def _with_clock(rows: Rows) -> dict[tuple[str, str], Facts]:
    clocks = {str(row.get("host")): mapping(row.get("facts")).get("clock") for row in rows}
    return {key: {**facts, "clock": clocks[key[0]]} for key, facts in _services(rows, "diagnosis").items()}


def _spoken(found: Sequence[Figure]) -> Iterator[str]:
    """Say the figures in few words: health first, what decides next; and never the same of two hosts twice."""
    health = [figure for figure in found if figure.what == "health"]
    if health:
        yield health[0].told if len(health) == 1 else _of_several(health)
    rest = [figure for figure in found if figure.what not in ("health", "latency") and not _is_nothing(figure)]
    latency = sorted((f for f in found if f.what == "latency"), key=lambda f: (*_weight(f), -(f.after or 0)))
    rest.sort(key=lambda figure: not figure.what.startswith("query "))  # what users notice, before what each host tells
    told = sorted([*latency[:1], *rest], key=_weight)  # of answers the slowest; the others are in the record
    more = f" on {latency[0].host}, the slowest of {len(latency)}" if len(latency) > 1 else ""
    texts = list(dict.fromkeys(f.told + (more if f.what == "latency" else "") for f in told))
    yield from texts[:_SPOKEN]
    if len(texts) > _SPOKEN:
        yield f"and {len(texts) - _SPOKEN} more"


def _is_nothing(figure: Figure) -> bool:
    """Say whether there were no errors, before, during or now: that is no news."""
    return figure.what == "errors" and figure.after == 0 and not figure.before and not figure.during


def _of_several(health: Sequence[Figure]) -> str:
    well = sum(figure.well is True for figure in health)
    sick = next((figure for figure in health if figure.well is False), None)
    why = f" ({sick.host}: {sick.told})" if sick else ""
    return f"{well} of {len(health)} healthy{why}"
