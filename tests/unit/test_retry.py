"""What is left to be done after a run that did not go well everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from incidentctl import retry
from incidentctl.incident import Event, fold
from incidentctl.outcome import HostOutcome

PLAYED = retry.Left(("a", "b"), ("shop",), "isolation", ("/srv/inventory",))


def row(host: str, outcome: str) -> HostOutcome:
    return HostOutcome(host, "isolation", outcome)


def events(*told: tuple[str, dict[str, Any]]) -> list[Event]:
    return [
        Event("INC-1", n, "2026-01-01T00:00:00.000Z", "me", kind, data, "", "") for n, (kind, data) in enumerate(told)
    ]


def begun(phase: str, *hosts: str, **services: list[str]) -> tuple[str, dict[str, Any]]:
    return "step_started", {"phase": phase, "capabilities": list(services), "hosts": list(hosts), "services": services}


def ended(phase: str, **outcomes: str) -> list[tuple[str, dict[str, Any]]]:
    rows = [
        ("host_outcome", {"phase": phase, "host": h, "capability": phase, "outcome": o}) for h, o in outcomes.items()
    ]
    return [*rows, ("step_finished", {"phase": phase, "outcome": "done"})]


def test_a_play_is_kept_where_it_went_wrong_and_only_we_may_read_it(tmp_path: Path) -> None:
    retry.keep(tmp_path, PLAYED, [row("a", "done"), row("b", "unreachable")])
    assert retry.by_hand(tmp_path, "isolation") == retry.Left(("b",), ("shop",), "isolation", ("/srv/inventory",))
    assert (tmp_path / "plays" / "isolation.json").stat().st_mode & 0o777 == 0o600


def test_a_play_that_went_well_leaves_nothing(tmp_path: Path) -> None:
    retry.keep(tmp_path, PLAYED, [row("a", "done"), row("b", "unchanged")])
    assert retry.by_hand(tmp_path, "isolation") is None


def test_what_is_done_on_some_of_the_hosts_leaves_the_others(tmp_path: Path) -> None:
    retry.keep(tmp_path, PLAYED, [row("a", "unknown"), row("b", "unreachable")])
    retry.keep(tmp_path, retry.Left(("a",), ("shop",), "isolation"), [row("a", "done")])
    left = retry.by_hand(tmp_path, "isolation")
    assert left is not None
    assert left.hosts == ("b",)
    retry.keep(tmp_path, retry.Left(("b",), ("shop",), "isolation"), [row("b", "done")])
    assert retry.by_hand(tmp_path, "isolation") is None


def test_another_service_that_goes_well_is_no_answer_for_this_one(tmp_path: Path) -> None:
    retry.keep(tmp_path, PLAYED, [row("a", "failed"), row("b", "done")])
    retry.keep(tmp_path, retry.Left(("a", "b"), ("mail",), "isolation"), [row("a", "done"), row("b", "done")])
    left = retry.by_hand(tmp_path, "isolation")
    assert left is not None
    assert (left.hosts, left.services) == (("a",), ("shop",))


def test_of_an_incident_the_record_says_where_and_for_whom() -> None:
    told = events(
        ("declared", {"hosts": ["a", "b"]}),
        begun("contain", "a", "b", isolation=["shop"]),
        ("host_outcome", {"phase": "contain", "host": "a", "capability": "isolation", "outcome": "done"}),
        ("host_outcome", {"phase": "contain", "host": "b", "capability": "isolation", "outcome": "unknown"}),
    )
    assert retry.of_incident(fold(told), told, "isolation") == retry.Left(("b",), ("shop",), "contain")
    assert retry.of_incident(fold(told), told, "scale_down") is None


def test_what_went_well_is_settled_until_something_is_begun_or_decided_anew() -> None:
    lifted = [begun("lift", "a", "b", lift=[]), *ended("lift", a="done", b="unreachable")]
    assert retry.settled(events(*lifted), "lift") == {"a"}
    assert retry.settled(events(*lifted, begun("isolation", "a", isolation=["shop"])), "lift") == set()
    assert retry.settled(events(*lifted, ("containment_applied", {"host": "a"})), "lift") == set()
    assert retry.settled(events(*lifted, ("decided", {"option": "rollback"})), "lift") == set()
    assert retry.settled(events(*lifted, begun("lift", "b", lift=[]), *ended("lift", b="done")), "lift") == {"a", "b"}


def test_a_run_that_was_cut_off_settles_nothing() -> None:
    rows = ended("recover", a="done")[:-1]
    assert retry.settled(events(begun("recover", "a", rollback=["shop"]), *rows), "recover") == set()
