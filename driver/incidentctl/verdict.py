"""What a recovery came to, by its figures: recovered, improved, no change or worse. Pure.

The rules, from the first that fits: one figure is worse, and all of it is worse; all that can be judged is as it should
be, and it is recovered; one is better, and it is improved; else nothing has changed. What is worse never helps
(docs/verification.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incidentctl import figures, figures_data
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

    `off` are the services, each with its host, that a containment keeps off. `queries` are {name: {service: (before,
    during, after)}}, as `monitoring.measured` gives them.
    """

    at_issue: tuple[str, ...]
    triage: Rows
    diagnosis: Rows
    after: Rows
    onset: datetime | None = None
    off: frozenset[tuple[str, str]] = frozenset()
    queries: Mapping[str, Mapping[str, Sequence[float | None]]] | None = None


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
    return Verdict(_verdict(found), found, tuple(_reasons(found)))


def _verdict(found: Iterable[Figure]) -> str:
    found = list(found)
    if any(figure.change < 0 for figure in found):
        return WORSE
    if any(figure.what == "health" and figure.well for figure in found) and all(f.well is not False for f in found):
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
    triage, diagnosis = _services(looks.triage, "health_check"), _with_clock(looks.diagnosis)
    seen = _services(looks.after, "health_check")
    for row in looks.after:
        if row.get("outcome") not in _AWAY and not mapping(row.get("facts")).get("services"):
            yield figures.of_health(str(row.get("host")), ", ".join(looks.at_issue), None, None)
    for (host, name), after in seen.items():
        before = triage.get((host, name))
        if (host, name) in looks.off:
            yield figures.of_contained(host, name)
        else:
            yield figures.of_health(host, name, before, after, name in looks.at_issue)
        if "new_errors" in after:
            yield figures.of_errors(host, name, diagnosis.get((host, name)), after, looks.onset)
        yield from figures_data.of_data(host, name, before, after)
    for query, services in (looks.queries or {}).items():
        for name, values in services.items():
            yield figures.of_query(query, name, values)


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
        well = [figure for figure in health if figure.well]
        yield health[0].told if len(health) == 1 else _of_several(health, well)
    rest = sorted((figure for figure in found if figure.what != "health"), key=_weight)
    texts = list(dict.fromkeys(figure.told for figure in rest if not _is_nothing(figure)))
    yield from texts[:_SPOKEN]
    if len(texts) > _SPOKEN:
        yield f"and {len(texts) - _SPOKEN} more figures"


def _is_nothing(figure: Figure) -> bool:
    """Say whether there were no errors, before, during or now: that is no news."""
    return figure.what == "errors" and figure.after == 0 and not figure.before and not figure.during


def _of_several(health: Sequence[Figure], well: Sequence[Figure]) -> str:
    times = [figure.after for figure in well if figure.after is not None]
    took = f", p50 {max(times):.0f} ms at most" if times else ""
    sick = next((figure for figure in health if figure.well is False), None)
    why = f" ({sick.host}: {sick.told})" if sick else ""
    return f"{len(well)} of {len(health)} healthy{took}{why}"
