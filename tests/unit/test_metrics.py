"""Every figure against incidents whose times are known by heart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from incidentctl.incident import Event
from incidentctl.metrics import Metrics, in_words, measure
from incidentctl.settings import Settings

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TARGETS = {name: policy.sla for name, policy in Settings().severities.items()}
Row = tuple[float, str, dict[str, Any]]


def history(*rows: Row, severity: str = "critical", **declared: Any) -> list[Event]:
    number = count(1)
    every = ((0, "declared", {"severity": severity, **declared}), *rows)
    return [
        Event("INC-1", next(number), (START + timedelta(seconds=s)).isoformat(), "ada", kind, data, "", "")
        for s, kind, data in every
    ]


def closed(acknowledged: float, resolved: float, **declared: Any) -> list[Event]:
    return history((acknowledged, "acknowledged", {}), (resolved, "resolved", {}), (resolved, "closed", {}), **declared)


def measured(*histories: list[Event], complete: bool = True) -> Metrics:
    return measure(histories, TARGETS, lambda _: complete)


def test_median_worst_and_target() -> None:
    acknowledge, contain, resolve = measured(closed(60, 600), closed(120, 900), closed(360, 20000)).incidents.durations
    assert (acknowledge.count, acknowledge.median_s, acknowledge.worst_s) == (3, 120, 360)
    assert (acknowledge.targeted, acknowledge.in_time) == (3, 2), "5 minutes at critical"
    assert (resolve.median_s, resolve.worst_s, resolve.in_time) == (900, 20000, 2), "4 hours at critical"
    assert (contain.count, contain.missing, contain.median_s) == (0, 3, None)


def test_containment_counts_when_it_went_well() -> None:
    rows: list[Row] = [
        (30, "step_started", {"phase": "contain"}),
        (90, "step_finished", {"phase": "contain", "outcome": "done"}),
        (99, "closed", {}),
    ]
    assert measured(history(*rows)).incidents.durations[1].median_s == 90


def test_the_unresolved_are_said_not_hidden() -> None:
    found = measured(closed(1, 2), history((5, "closed", {})))
    assert [(d.count, d.missing) for d in found.incidents.durations] == [(1, 1), (0, 2), (1, 1)]
    assert "1 without" in in_words(found)


def test_what_was_resolved_and_taken_up_again_counts_to_its_last_end() -> None:
    again: list[Row] = [
        (10, "resolved", {}), (11, "closed", {}), (20, "reopened", {}), (50, "resolved", {}), (51, "closed", {}),
    ]  # fmt: skip
    assert measured(history(*again)).incidents.durations[2].median_s == 50
    unresolved = measured(history(*again[:3], (60, "closed", {})))
    assert unresolved.incidents.durations[2].missing == 1


def test_drills_cancelled_and_open_ones_are_in_no_figure_of_incidents() -> None:
    found = measured(closed(1, 2), closed(100, 200, drill="bad-release"), history((1, "cancelled", {})), history())
    assert (found.incidents.closed, found.drills.closed, found.cancelled, found.open) == (1, 1, 1, 1)
    assert found.incidents.durations[0].worst_s == 1
    assert found.drills.durations[0].worst_s == 100


def test_it_is_held_to_the_highest_severity_that_it_had() -> None:
    calmed: list[Row] = [(1, "severity_changed", {"severity": "low"}), (400, "acknowledged", {}), (500, "closed", {})]
    assert measured(history(*calmed)).incidents.durations[0].in_time == 0
    assert measured(history(*calmed[1:], severity="low")).incidents.durations[0].in_time == 1


def test_messages_follow_ups_and_reports() -> None:
    rows: list[Row] = [
        (1, "notified", {"key": "a", "state": "queued"}),
        (2, "notified", {"key": "a", "state": "sent"}),
        (1, "notified", {"key": "b", "state": "queued"}),
        (9, "notified", {"key": "b", "state": "failed"}),
        (70, "notified", {"key": "b", "state": "sent"}),
        (1, "notified", {"key": "c", "state": "queued"}),
        (71, "follow_up", {"text": "mend it"}),
        (72, "follow_up", {"text": "test it"}),
        (73, "follow_up", {"text": "mend it", "done": True}),
        (74, "closed", {}),
    ]
    shares = {s.name: (s.count, s.total) for s in measured(history(*rows), complete=False).incidents.shares}
    assert shares == {
        "communications in time": (1, 3),
        "reports complete": (0, 1),
        "follow-ups filed": (1, 1),
        "follow-ups open": (1, 2),
    }


def test_without_any_incident_there_are_words_too() -> None:
    assert "0 closed" in in_words(measured())


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_the_median_is_never_worse_than_the_worst(seconds: list[float]) -> None:
    figure = measured(*(closed(s, s) for s in seconds)).incidents.durations[2]
    assert figure.median_s is not None
    assert figure.worst_s is not None
    assert figure.median_s <= figure.worst_s
    assert figure.count == len(seconds)
    assert all(d.definition for d in measured().incidents.durations)
