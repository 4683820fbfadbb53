"""How well we respond: figures over all closed incidents, drills apart, each with its definition. Pure.

A figure says how many incidents it was made from and how many had none: an average that leaves the unresolved out
without a word is worth nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentctl.incident import SEVERITIES, Event, Incident, fold
from incidentctl.report.blocks import UNKNOWN
from incidentctl.report.content import span
from incidentctl.settings import Sla

TOLD_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True)
class Duration:
    """A span that incidents took, in seconds. `targeted` of the `count` had a target, `in_time` of those met it."""

    name: str
    definition: str
    count: int
    missing: int
    median_s: float | None
    worst_s: float | None
    targeted: int
    in_time: int


@dataclass(frozen=True)
class Share:
    """How many of `total` there are."""

    name: str
    definition: str
    count: int
    total: int


@dataclass(frozen=True)
class Measured:
    """The figures of one group of closed incidents."""

    closed: int
    durations: tuple[Duration, ...]
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Metrics:
    """All figures. `cancelled` and `open` incidents are in none of them, `drills` have figures of their own."""

    cancelled: int
    open: int
    incidents: Measured
    drills: Measured


@dataclass(frozen=True)
class _Closed:
    incident: Incident
    events: Sequence[Event]

    @property
    def severity(self) -> str:
        """The highest that it had: an incident that was calmed down later was held to that, too."""
        named = [str(e.data.get("severity")) for e in self.events if e.kind in ("declared", "severity_changed")]
        return min(named, key=lambda name: SEVERITIES.index(name) if name in SEVERITIES else len(SEVERITIES))


_DURATIONS: tuple[tuple[str, str, Callable[[Incident], float | None], Callable[[Sla], float]], ...] = (
    (
        "time to acknowledge (MTTA)",
        "from declared to the first acknowledged",
        lambda incident: incident.milestones.acknowledged,
        lambda sla: sla.acknowledge,
    ),
    (
        "time to contain",
        "from declared to the end of the first containment that went well everywhere",
        lambda incident: incident.milestones.contained,
        lambda sla: sla.contain,
    ),
    (
        "time to resolve (MTTR)",
        "from declared to the last resolved; closed without it counts as missing",
        lambda incident: incident.milestones.resolved if incident.resolved_at else None,
        lambda sla: sla.resolve,
    ),
)


def measure(
    histories: Iterable[Sequence[Event]], targets: Mapping[str, Sla], complete: Callable[[str], bool]
) -> Metrics:
    """Given the events of each incident, the targets by severity, and who knows whether a report is complete, measure."""
    cancelled = still_open = 0
    groups: dict[bool, list[_Closed]] = {False: [], True: []}
    for events in histories:
        incident = fold(events)
        if incident.status == "cancelled":
            cancelled += 1
        elif incident.status != "closed":
            still_open += 1
        else:
            groups[incident.drill is not None].append(_Closed(incident, events))
    return Metrics(
        cancelled,
        still_open,
        incidents=_measured(groups[False], targets, complete),
        drills=_measured(groups[True], targets, complete),
    )


def in_words(metrics: Metrics) -> str:
    """Return the figures for a person, each with its definition."""
    lines = []
    for name, group in (("Incidents", metrics.incidents), ("Drills", metrics.drills)):
        lines.append(f"{name}: {group.closed} closed")
        for d in group.durations if group.closed else ():
            met = f"{d.in_time} of {d.targeted} in time" if d.targeted else "no target"
            spans = f"median {span(d.median_s)}, worst {span(d.worst_s)}, {met}" if d.count else UNKNOWN
            missing = f", {d.missing} without" if d.missing else ""
            lines += [f"  {d.name}: {spans} (from {d.count}{missing})", f"      {d.definition}"]
        for share in group.shares if group.closed else ():
            lines += [f"  {share.name}: {share.count} of {share.total}", f"      {share.definition}"]
    lines.append(f"Left out: {metrics.cancelled} cancelled, {metrics.open} still open.")
    lines.append("In time: within the target (sla) of the highest severity that the incident had.")
    return "\n".join(lines)


def _measured(closed: Sequence[_Closed], targets: Mapping[str, Sla], complete: Callable[[str], bool]) -> Measured:
    told = [in_time for one in closed for in_time in _messages(one.incident)]
    filed = [row for one in closed for row in one.incident.follow_ups if not row.get("done")]
    over = [row for one in closed for row in one.incident.follow_ups if row.get("done")]
    with_some = [one for one in closed if one.incident.follow_ups]
    return Measured(
        len(closed),
        tuple(_duration(closed, targets, *parts) for parts in _DURATIONS),
        (
            Share(
                "communications in time",
                f"messages that were sent within {TOLD_WITHIN.seconds} s of the event, of all messages",
                sum(told),
                len(told),
            ),
            Share(
                "reports complete",
                "closed incidents whose report, HTML report, post-mortem and its calendar file are there",
                sum(complete(one.incident.incident_id) for one in closed),
                len(closed),
            ),
            Share("follow-ups filed", "closed incidents with at least one", len(with_some), len(closed)),
            Share(
                "follow-ups open",
                "action items that the record does not say are done, of all action items",
                max(0, len(filed) - len(over)),
                len(filed),
            ),
        ),
    )


def _duration(
    closed: Sequence[_Closed],
    targets: Mapping[str, Sla],
    name: str,
    definition: str,
    of: Callable[[Incident], float | None],
    target: Callable[[Sla], float],
) -> Duration:
    seconds = [(found, targets.get(one.severity)) for one in closed if (found := of(one.incident)) is not None]
    taken = [found for found, _sla in seconds]
    targeted = [found <= target(sla) for found, sla in seconds if sla is not None]
    return Duration(
        name,
        definition,
        len(taken),
        len(closed) - len(taken),
        statistics.median(taken) if taken else None,
        max(taken, default=None),
        len(targeted),
        sum(targeted),
    )


def _messages(incident: Incident) -> list[bool]:
    """Return for each message of the incident whether it was out in time."""
    queued: dict[str, datetime] = {}
    in_time: dict[str, bool] = {}
    for row in incident.notified:
        key, at = str(row.get("key")), datetime.fromisoformat(str(row["at"]))
        queued.setdefault(key, at)
        in_time.setdefault(key, False)
        if row.get("state") == "sent" and at - queued[key] <= TOLD_WITHIN:
            in_time[key] = True
    return list(in_time.values())
