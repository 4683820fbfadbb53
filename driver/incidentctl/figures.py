"""What can be compared before and after a recovery: health, how long answers take, and errors. Pure.

Given is what hosts said, of whatever shape: a figure that is not there is unknown, and never counts as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from incidentctl.clocks import ahead
from incidentctl.onset import moment
from incidentctl.text import plain

FEW_ERRORS = 2  # within one look as many may be chance
_OWN_ERRORS = 2  # as many lines a service may log of one look of ours that fails
TWICE = 2.0  # no more than twice of before is as before; by half is better, more than twice is worse
FEW_MS = 100.0  # so much longer nobody notices, and a busy host measures
_BACK_S = 6 * 3600  # how far before the onset errors are counted
_SLOTS = 200  # more than a host ever tells
_NAMED = 3

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One comparison. `well` is None where it is only told; `change` is 1, 0 or -1 against what it was at the onset."""

    what: str  # health, latency, errors, rows, damage, or query and its name
    service: str
    host: str
    before: float | None
    during: float | None
    after: float | None
    well: bool | None
    change: int
    told: str

    @property
    def judged(self) -> str:
        """Say in a word what it comes to."""
        if self.change < 0:
            return "worse"
        if self.well is None:
            return "not judged"
        return "well" if self.well else ("better" if self.change > 0 else "not well")

    def as_data(self) -> dict[str, Any]:
        """Return it for the record."""
        row = {key: value for key, value in asdict(self).items() if key not in ("well", "change")}
        return {**row, "judged": self.judged}


def of_health(host: str, service: str, during: Facts | None, after: Facts | None, at_issue: bool = True) -> Figure:
    """Compare what health said at triage with how it held now. One that is not `at_issue` may have none to ask."""
    rank = _rank(after)
    change = 0 if during is None else _sign(rank - _rank(during))
    healthy = (after or {}).get("healthy")
    well = True if healthy is True else None if healthy is None and not at_issue and after is not None else False
    told = "no answer" if after is None else _of_window(after)
    # What nobody could tell before, or cannot now, has not changed for all that is known.
    change = 0 if after is None or healthy is None or (during or {}).get("healthy", False) is None else change
    return Figure("health", service, host, None, None, None, well, change, f"{service} {told}")


def of_latency(
    host: str, service: str, earlier: Sequence[float], during: Facts | None, after: Facts | None
) -> Figure | None:
    """Compare how long healthy answers take now with earlier recoveries, and with triage. None: nothing was measured.

    Worse than at triage counts only where it is known how it was before: that was a single look.
    """
    now, since = _ms(after), _ms(during)
    if now is None:
        return None
    before = middle(earlier)
    well = None if before is None else now <= max(TWICE * before, before + FEW_MS)
    change = 0
    if since is not None and now <= since / TWICE and now + FEW_MS < since:
        change = 1
    elif since is not None and well is False and now > max(TWICE * since, since + FEW_MS):
        change = -1
    known = ", ".join([_told_ms(before, " before"), *([] if since is None else [_told_ms(since, " during")])])
    return Figure("latency", service, host, before, since, now, well, change, f"{service} p50 {now:,.0f} ms ({known})")


def _told_ms(value: float | None, when: str) -> str:
    return f"unknown{when}" if value is None else f"{value:,.0f}{when}"


def answered(verified: Iterable[Facts]) -> dict[tuple[str, str], list[float]]:
    """Given earlier verifications as the record keeps them, return by host and service how long healthy answers took (ms)."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in verified:
        for host, services in mapping(one.get("services")).items() if one.get("recovered") is True else ():
            for name, told in mapping(services).items():
                if (took := _ms(mapping(told))) is not None:
                    found.setdefault((str(host), str(name)), []).append(took)
    return found


def middle(values: Iterable[float]) -> float | None:
    """Return the middle one, None where there is none."""
    known = sorted(values)
    return known[len(known) // 2] if known else None


def of_contained(host: str, service: str) -> Figure:
    """Tell of a service that is kept off on purpose: nothing follows from its health."""
    return Figure("health", service, host, None, None, None, None, 0, f"{service} is off on purpose: it is contained")


def _of_window(after: Facts) -> str:
    probes, failures = number(after.get("probes")), number(after.get("failures"))
    if after.get("healthy") is not True or probes is None or failures is None:
        return plain(str(after.get("detail", "unknown")))
    return f"healthy in {probes - failures:.0f} of {probes:.0f} looks"


def of_errors(host: str, service: str, diagnosis: Facts | None, after: Facts | None, onset: datetime | None) -> Figure:
    """Compare the errors that came into the logs while health was watched with those before and since the onset.

    What it may have logged of our own looks, several a second, is nothing that happened to users: it makes nothing worse,
    and that it may be all there is makes nothing better.
    """
    before, during = rates(diagnosis or {}, onset)
    new = mapping((after or {}).get("new_errors"))
    count, seconds = number(new.get("count")), number(new.get("seconds"))
    known = f"({_rate(before)} before, {_rate(during)} during)"
    if count is None or not seconds:
        known_before = (before or 0) > 0 or (during or 0) > 0
        told = f"{service} errors unknown {known}"
        return Figure("errors", service, host, before, during, None, False if known_before else None, 0, told)
    minutes = seconds / 60
    failures = number((after or {}).get("failures")) or 0
    all_of_them = count / minutes
    count = max(0.0, count - _OWN_ERRORS * failures)
    rate = count / minutes
    at_least = new.get("at_least") is True
    well: bool | None = count <= max(FEW_ERRORS, TWICE * (before or 0) * minutes)
    if well and at_least:  # there may be more than could be read
        well = None
    change = 0
    if during is not None and during > 0 and not at_least and all_of_them <= during / TWICE:
        change = 1
    elif during is not None and well is False and rate > TWICE * during:
        change = -1
    kinds = [plain(str(kind.get("template"))) for kind in rows(new.get("kinds"))]
    said = f": {', '.join(kinds[:_NAMED])}" if kinds and well is False else ""
    more = " at least" if at_least else ""
    own = " beside those of our own looks" if failures else ""
    return Figure(
        "errors",
        service,
        host,
        before,
        during,
        rate,
        well,
        change,
        f"{service} errors{more} {_rate(rate)}/min{own} {known}{said}",
    )


def rates(diagnosis: Facts, onset: datetime | None) -> tuple[float | None, float | None]:
    """Return the errors a minute before the onset and since then, as a diagnosis of a host found them for a service.

    `diagnosis` are the facts of the service, with the host's `clock` beside; None where its logs do not say.
    """
    now, since = moment(mapping(diagnosis.get("clock")).get("now")), moment(diagnosis.get("logs_since"))
    began = moment(diagnosis.get("onset")) or (onset and onset + timedelta(seconds=ahead(diagnosis)))
    if now is None or since is None:
        return None, None
    began = min(began or since, now)
    well = moment(diagnosis.get("seen_well"))  # what came before that is of an earlier trouble, and nothing usual
    first = max(since, began - timedelta(seconds=_BACK_S), well if well and well < began else since)
    counts = [0.0, 0.0]
    for error in rows(diagnosis.get("errors")):
        for starts, ends, count in _slots(mapping(error.get("rate"))):
            if ends > began:
                counts[1] += count
            elif starts >= first:
                counts[0] += count
    minutes = (began - first).total_seconds() / 60
    before = round(counts[0] / minutes, 2) if minutes >= 1 else None
    return before, round(counts[1] / max(1.0, (now - began).total_seconds() / 60), 2)


def _slots(rate: Facts) -> Iterator[tuple[datetime, datetime, float]]:
    at, width, counts = moment(rate.get("from")), number(rate.get("width_s")), rate.get("counts")
    if at is None or not width or not isinstance(counts, list):
        return
    for place, count in enumerate(counts[:_SLOTS]):
        begun = at + timedelta(seconds=place * width)
        yield begun, begun + timedelta(seconds=width), number(count) or 0.0


def _rank(seen: Facts | None) -> int:
    """Order looks as the hosts do (_health.py): 2 healthy, 1 answers but not as it should, 0 no answer at all."""
    if (seen or {}).get("healthy") is True:
        return 2
    return 0 if (seen or {}).get("status") is None else 1


def _ms(seen: Facts | None) -> float | None:
    """Return how long a healthy answer took, in the middle of a window: one that fails may do so at once."""
    told = seen or {}
    if (
        told.get("healthy") is not True or told.get("status") is None
    ):  # where the manager says it, nothing was waited for
        return None
    return number(told.get("p50_ms", told.get("latency_ms")))


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def number(value: Any) -> float | None:
    """Return a figure that a host gave, None for anything else."""
    return (
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping that a host gave, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list that a host gave, none for anything else."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
