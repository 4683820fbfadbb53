"""What earlier incidents say: the same pattern, what was decided, whether it helped, how long it took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentctl.incident import Event
from incidentctl.precedents import Attempt, Pattern, alike, drills, pattern, read

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
JUDGED = {"causes": [{"kind": "release", "service": "shop", "about": {"error": "KeyError: <*>"}}, {"kind": "disk"}]}
Row = tuple[str, dict[str, Any]]


def events(*rows: Row, drill: str | None = None, name: str = "INC-1") -> list[Event]:
    """These kinds and data, one every ten seconds, after the declaration."""
    declared = ("declared", {"services": ["shop"], "affected": [], **({"drill": drill} if drill else {})})
    return [
        Event(name, n, (START + timedelta(seconds=10 * n)).isoformat(timespec="milliseconds"), "ada", *row, "", "")
        for n, row in enumerate((declared, *rows))
    ]


def ended(phase: str, outcome: str = "done", **facts: Any) -> Row:
    return "step_finished", {"phase": phase, "outcome": outcome, **facts}


BEGUN = ("step_started", {"phase": "recover"})
DIAGNOSED = ended("diagnose", affected=["shop"], judged=JUDGED)
ROLLBACK = ("decided", {"option": "rollback"})
OWN = ("decided", {"option": "custom", "playbook": "free_space"})
RECOVERED, SICK = ("verified", {"recovered": True}), ("verified", {"recovered": False})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((ROLLBACK, BEGUN, RECOVERED), [("rollback", True, 20.0)]),
        (
            (ROLLBACK, BEGUN, SICK, OWN, BEGUN, RECOVERED),
            [("rollback", False, 20.0), ("custom free_space", True, 20.0)],
        ),
        ((ROLLBACK, BEGUN, ended("recover", "failed")), [("rollback", False, 20.0)]),
        ((ROLLBACK, BEGUN, RECOVERED, ended("lift"), ended("monitor", "failed")), [("rollback", False, 40.0)]),
        ((ROLLBACK, BEGUN, RECOVERED, ended("lift"), ended("monitor")), [("rollback", True, 20.0)]),
        ((OWN, BEGUN, SICK, ("drilled", {"recovered": True})), [("custom free_space", True, 20.0)]),
        ((OWN, BEGUN, RECOVERED, ("drilled", {"recovered": False})), [("custom free_space", False, 20.0)]),
        ((ROLLBACK, BEGUN), [("rollback", None, None)]),
        ((), []),
    ],
)
def test_each_decision_ends_as_it_was_seen_to(rows: tuple[Row, ...], expected: list[Any]) -> None:
    found = read(events(DIAGNOSED, *rows)).attempts
    assert [(attempt.way, attempt.recovered, attempt.seconds) for attempt in found] == expected


def test_a_decision_that_was_replaced_before_it_began_was_not_begun() -> None:
    found = read(events(ROLLBACK, OWN, BEGUN)).attempts
    assert [(attempt.way, attempt.begun) for attempt in found] == [("rollback", False), ("custom free_space", True)]


def test_what_hosts_say_of_runs_and_backups_is_kept_by_service() -> None:
    took = {
        "capability": "rollback",
        "host": "web1",
        "outcome": "done",
        "facts": {"services": {"shop": {"seconds": 4.5}}},
    }
    failed = {**took, "outcome": "failed"}
    backup = {"kind": "files", "path": "/srv", "verified": True, "at": "2026-01-01T11:00:00+00:00"}
    stored = {"capability": "backup", "host": "web1", "outcome": "done", "facts": {"services": {"shop": [backup]}}}
    odd = {"capability": "rollback", "host": "web1", "outcome": "done", "facts": {"services": ["?"]}}
    found = read(events(*(("host_outcome", row) for row in (took, failed, stored, odd))))
    assert found.runs == (("rollback", "shop", 4.5),)
    assert found.backups == (("shop", {**backup, "host": "web1"}),)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Pattern("disk", "shop"), Pattern("disk", "shop"), True),
        (Pattern("disk", "shop"), Pattern("disk", "mail"), False),
        (Pattern("disk", "shop"), Pattern("inodes", "shop"), False),
        (Pattern("release", "shop", "KeyError: <*>"), Pattern("release", "shop", "KeyError: <*>"), True),
        (Pattern("release", "shop", "KeyError: <*>"), Pattern("release", "shop", "KeyError: price"), True),
        (Pattern("release", "shop", "KeyError: <*>"), Pattern("release", "shop", "no such column"), False),
        (Pattern("release", "shop", "KeyError: <*>"), Pattern("release", "shop"), True),
    ],
)
def test_a_pattern_is_the_kind_and_service_of_the_likeliest_cause_and_its_error(
    one: Pattern, other: Pattern, same: bool
) -> None:
    assert one.is_like(other) is other.is_like(one) is same


@pytest.mark.parametrize("judged", [None, {}, {"causes": []}, {"causes": ["?"]}, {"causes": "?"}])
def test_without_a_cause_there_is_no_pattern(judged: Any) -> None:
    assert pattern(judged) is None
    assert alike([read(events(DIAGNOSED, ROLLBACK, BEGUN, RECOVERED))], None) == ()


def test_alike_are_incidents_with_the_same_pattern_the_newest_first_and_no_drills() -> None:
    whole = (DIAGNOSED, ROLLBACK, BEGUN, RECOVERED)
    older, newer = read(events(*whole)), read(events(ended("contain"), *whole, name="INC-2"))
    drill = read(events(*whole, drill="bad_release", name="INC-3"))
    other = {"causes": [{"kind": "disk", "service": "shop"}]}
    disk = read(events(ended("diagnose", judged=other), ROLLBACK, BEGUN, RECOVERED, name="INC-4"))
    unseen = read(events(DIAGNOSED, ROLLBACK, BEGUN, name="INC-5"))
    found: tuple[Attempt, ...] = alike([older, drill, disk, newer, unseen], pattern(JUDGED))
    assert [attempt.incident_id for attempt in found] == ["INC-2", "INC-1"]


def test_drills_count_for_the_services_and_the_kind_of_cause_that_they_were_about() -> None:
    drill = read(events(DIAGNOSED, ROLLBACK, BEGUN, RECOVERED, drill="bad_release"))
    real = read(events(DIAGNOSED, ROLLBACK, BEGUN, RECOVERED, name="INC-2"))
    assert [attempt.incident_id for attempt in drills([drill, real], ["shop", "mail"], pattern(JUDGED))] == ["INC-1"]
    assert drills([drill, real], ["mail"], pattern(JUDGED)) == ()
    assert drills([drill, real], ["shop"], Pattern("disk", "shop")) == ()
    assert drills([drill, real], ["shop"], None) == ()
