"""Events → state: every status a person sees follows from the events alone."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl.errors import UsageError
from incidentctl.incident import (
    KINDS,
    Event,
    Incident,
    Phase,
    fold,
    interrupted,
    new_incident_id,
    parse_severity,
    phase_done,
)

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SEVERITIES = ("critical", "high", "medium", "low")
DECLARED = (
    "declared",
    {"title": "Checkout down", "severity": "critical", "services": ["shop"], "affected": ["shop"], "hosts": ["web1"]},
)
LOCKED = ("locked", {"pid": 1, "host": "here", "boot_id": "b", "started": 2})
UNLOCKED = ("unlocked", {"pid": 1, "host": "here", "boot_id": "b", "started": 2})


def told(*rows: tuple[str, dict[str, Any]]) -> Incident:
    """Fold these kinds and data, one every ten seconds, by ada."""
    number = count(1)
    return fold([event(next(number), kind, data) for kind, data in rows])


def event(seq: int, kind: str, data: dict[str, Any]) -> Event:
    at = (START + timedelta(seconds=10 * (seq - 1))).isoformat(timespec="milliseconds")
    return Event("INC-1", seq, at, "ada", kind, data, "", "")


def started(phase: str, *hosts: str) -> tuple[str, dict[str, Any]]:
    return "step_started", {"phase": phase, "capabilities": ["backup"], "hosts": list(hosts)}


def finished(phase: str, outcome: str = "done", **data: Any) -> tuple[str, dict[str, Any]]:
    return "step_finished", {"phase": phase, "outcome": outcome, **data}


def outcome(host: str, outcome: str, capability: str = "backup") -> tuple[str, dict[str, Any]]:
    return "host_outcome", {"phase": "contain", "host": host, "capability": capability, "outcome": outcome}


def test_a_declared_incident_is_investigated() -> None:
    incident = told(DECLARED)
    assert (incident.incident_id, incident.title, incident.severity) == ("INC-1", "Checkout down", "critical")
    assert (incident.status, incident.declared_by) == ("investigating", "ada")
    assert incident.declared_at == "2026-01-01T12:00:00.000+00:00"
    assert (incident.services, incident.affected, incident.hosts) == (("shop",), ("shop",), ("web1",))


def test_without_events_there_is_no_incident() -> None:
    with pytest.raises(UsageError, match="no events"):
        fold([])


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([("options_assessed", {"options": []})], "identified"),
        ([("decided", {"option": "rollback"})], "identified"),
        ([("decided", {"option": "rollback"}), ("verified", {"recovered": True})], "monitoring"),
        ([("decided", {"option": "rollback"}), ("verified", {"recovered": False})], "identified"),
        ([started("monitor", "web1")], "monitoring"),
        ([("resolved", {})], "resolved"),
        ([("resolved", {}), ("verified", {"recovered": True})], "resolved"),
        ([("resolved", {}), ("closed", {})], "closed"),
        ([("cancelled", {"reason": "false alarm"})], "cancelled"),
        ([("closed", {}), ("reopened", {})], "investigating"),
        ([("note", {"text": "x"}), ("acknowledged", {}), ("notified", {})], "investigating"),
    ],
)
def test_the_status_follows_the_events(rows: list[tuple[str, dict[str, Any]]], status: str) -> None:
    assert told(DECLARED, *rows).status == status


def test_a_finished_phase_is_done_with_its_outcome_and_seconds() -> None:
    incident = told(DECLARED, LOCKED, started("triage", "web1", "web2"), finished("triage", "failed", affected=["db"]))
    assert incident.phases == (
        Phase(
            "triage",
            "done",
            "2026-01-01T12:00:20.000+00:00",
            "2026-01-01T12:00:30.000+00:00",
            10.0,
            "failed",
            ("backup",),
            ("web1", "web2"),
        ),
    )
    assert phase_done(incident, "triage")
    assert not phase_done(incident, "contain")
    assert incident.affected == ("db",), "the latest health findings count"
    assert incident.hosts == ("web1", "web2")


def test_a_phase_runs_while_somebody_holds_the_lock() -> None:
    incident = told(DECLARED, LOCKED, started("contain", "web1"))
    assert incident.phases[0].state == "running"
    assert incident.holder is not None
    assert (incident.holder["pid"], incident.holder["actor"]) == (1, "ada")
    assert interrupted(incident) is None
    assert not phase_done(incident, "contain")


def test_what_was_cut_off_stays_so_until_its_end_is_recorded() -> None:
    cut_off = [DECLARED, LOCKED, started("rate_limit", "web1"), LOCKED, ("resumed", {"phase": "rate_limit"})]
    assert interrupted(told(*cut_off)) is not None
    gone_on = [*cut_off, started("diagnose"), finished("diagnose"), ("decided", {"option": "rollback"})]
    assert interrupted(told(*gone_on)) is not None, "also where the incident went on to its decision"
    for rows in (cut_off, gone_on):
        incident = told(*rows, finished("rate_limit", "unknown"))
        assert interrupted(incident) is None
        (phase,) = (phase for phase in incident.phases if phase.name == "rate_limit")
        assert (phase.state, phase.outcome, phase.seconds) == ("done", "unknown", None)


@pytest.mark.parametrize("after", [[UNLOCKED], [LOCKED], [("resumed", {})], [started("diagnose")]])
def test_a_phase_without_its_end_is_interrupted(after: list[tuple[str, dict[str, Any]]]) -> None:
    incident = told(DECLARED, LOCKED, started("contain", "web1"), *after)
    found = interrupted(incident)
    assert found is not None
    assert (found.name, found.state) == ("contain", "interrupted")
    assert not phase_done(incident, "contain")


def test_a_phase_that_nobody_ever_held_a_lock_for_is_interrupted() -> None:
    assert interrupted(told(DECLARED, started("contain"))) is not None


def test_an_interrupted_phase_that_was_run_again_is_done() -> None:
    rows = [DECLARED, LOCKED, started("contain"), LOCKED, started("contain"), finished("contain")]
    incident = told(*rows)
    assert [phase.state for phase in incident.phases] == ["interrupted", "done"]
    assert phase_done(incident, "contain")
    assert interrupted(incident) is None


def test_a_retry_changes_the_outcomes_of_its_own_hosts_alone() -> None:
    incident = told(
        DECLARED,
        outcome("web1", "done"),
        outcome("web2", "failed"),
        outcome("web2", "done", "other"),
        outcome("web2", "done"),
    )
    kept = {(row["host"], row["capability"]): row["outcome"] for row in incident.outcomes["contain"]}
    assert kept == {("web1", "backup"): "done", ("web2", "backup"): "done", ("web2", "other"): "done"}
    assert len(incident.outcomes["contain"]) == 3


def test_a_containment_is_open_until_its_own_entry_is_lifted() -> None:
    def entry(host: str, name: str) -> dict[str, Any]:
        return {"host": host, "capability": "isolation", "entry": name, "target": "x", "summary": "y"}

    rows = [("containment_applied", entry(host, name)) for host in ("web1", "web2") for name in ("1", "2")]
    again = ("containment_applied", entry("web1", "1"))
    incident = told(DECLARED, *rows, again, ("containment_lifted", entry("web1", "1")), ("reopened", {}))
    assert [(row["host"], row["entry"]) for row in incident.contained] == [("web1", "2"), ("web2", "1"), ("web2", "2")]


def test_a_question_is_open_until_it_is_decided() -> None:
    asked = ("question_asked", {"question": "Which recovery?", "options": ["rollback"]})
    waiting = told(DECLARED, ("options_assessed", {"options": [{"key": "rollback"}, "junk"]}), asked)
    assert waiting.options == ({"key": "rollback"},)
    assert waiting.question is not None
    assert waiting.question["question"] == "Which recovery?"
    assert waiting.decision is None
    decided = told(DECLARED, asked, ("decided", {"option": "rollback"}))
    assert decided.question is None
    assert decided.decision is not None
    assert (decided.decision["option"], decided.decision["actor"]) == ("rollback", "ada")
    assert told(DECLARED, asked, ("decided", {"option": "rollback"}), asked).decision is None


def test_a_second_decision_is_carried_out_like_the_first() -> None:
    before = [started("triage"), finished("triage"), ("decided", {"option": "rollback"})]
    tried = [started("recover"), finished("recover", "failed"), ("verified", {"recovered": False})]
    incident = told(DECLARED, LOCKED, *before, *tried, ("decided", {"option": "mitigate"}))
    assert phase_done(incident, "triage")
    assert not phase_done(incident, "recover")
    assert incident.verified is None


def test_a_reopened_incident_begins_anew_but_keeps_what_was_learned() -> None:
    rows = [
        started("triage"),
        finished("triage"),
        ("decided", {"option": "x"}),
        ("note", {"text": "n"}),
        ("resolved", {}),
    ]
    incident = told(DECLARED, LOCKED, *rows, ("closed", {}), ("reopened", {}))
    assert not phase_done(incident, "triage")
    assert (incident.decision, incident.resolved_at, incident.closed_at) == (None, None, None)
    assert [note["text"] for note in incident.notes] == ["n"]


def test_milestones_are_seconds_from_the_declaration() -> None:
    detected = ("declared", {**DECLARED[1], "detected_at": "2026-01-01T11:59:00+00:00"})
    rows = [started("contain"), finished("contain"), ("resolved", {})]
    incident = told(detected, ("acknowledged", {}), ("acknowledged", {}), LOCKED, *rows)
    found = incident.milestones
    assert (found.detected, found.acknowledged, found.contained, found.resolved) == (-60.0, 10.0, 50.0, 60.0)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("ada", "2026-01-01T12:00:10.000+00:00")
    assert incident.resolved_at == "2026-01-01T12:01:00.000+00:00"


@pytest.mark.parametrize("how", ["failed", "skipped", "unreachable"])
def test_a_containment_that_did_not_happen_is_no_milestone(how: str) -> None:
    assert told(DECLARED, LOCKED, started("contain"), finished("contain", how)).milestones.contained is None


def test_what_was_collected_written_and_told_is_listed_with_its_time_and_author() -> None:
    files = {"host": "web1", "files": [{"path": "a.log", "sha256": "0", "bytes": 1}, {"path": "b.log"}]}
    rows = [
        ("note", {"text": "n"}),
        ("ticketed", {"reference": "T-1"}),
        ("notified", {"key": "k"}),
        ("follow_up", {"text": "f"}),
    ]
    incident = told(DECLARED, ("evidence_collected", files), ("approved", {"what": "contain"}), *rows)
    assert [(row["host"], row["path"]) for row in incident.evidence] == [("web1", "a.log"), ("web1", "b.log")]
    for rows_of_one_kind in (
        incident.notes,
        incident.tickets,
        incident.notified,
        incident.follow_ups,
        incident.approvals,
    ):
        assert len(rows_of_one_kind) == 1
        assert rows_of_one_kind[0]["actor"] == "ada"
        assert rows_of_one_kind[0]["at"].startswith("2026-01-01T12:")


def test_who_joins_while_a_phase_goes_on_is_not_forgotten_at_its_end() -> None:
    joined = ("note", {"text": "x", "joined": True, "affected": ["worker"]})
    incident = told(DECLARED, LOCKED, started("triage"), joined, finished("triage", "done", affected=["db", "shop"]))
    assert incident.affected == ("db", "shop", "worker")


def test_a_lock_that_was_taken_over_is_not_let_go_by_its_former_holder() -> None:
    mine = ("locked", {"pid": 2, "host": "here"})
    assert told(DECLARED, LOCKED, mine, UNLOCKED).holder is not None
    assert told(DECLARED, LOCKED, UNLOCKED).holder is None


def test_the_severity_can_change() -> None:
    assert told(DECLARED, ("severity_changed", {"severity": "high"})).severity == "high"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
KEYS = [
    "phase",
    "outcome",
    "host",
    "entry",
    "capability",
    "affected",
    "hosts",
    "files",
    "options",
    "pid",
    "detected_at",
]
ROWS = st.lists(
    st.tuples(st.sampled_from([*sorted(KINDS), "from the future"]), st.dictionaries(st.sampled_from(KEYS), JSON))
)


@given(rows=ROWS.filter(bool))
@settings(max_examples=300)
def test_no_record_however_odd_breaks_the_fold(rows: list[tuple[str, dict[str, Any]]]) -> None:
    incident = told(*rows)
    interrupted(incident)
    assert all(phase.state in ("done", "running", "interrupted") for phase in incident.phases)
    assert sum(phase.state == "running" for phase in incident.phases) <= 1


def test_an_incident_s_id_tells_when_in_utc() -> None:
    now = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert re.fullmatch(r"INC-20251231-2330-[a-z2-7]{4}", new_incident_id(now))
    assert len({new_incident_id(now) for _ in range(50)}) > 40


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("critical", "critical"),
        ("SEV1", "critical"),
        ("p1", "critical"),
        (" High ", "high"),
        ("sev3", "medium"),
        ("P4", "low"),
    ],
)
def test_a_severity_is_known_by_its_name_and_its_aliases(text: str, name: str) -> None:
    assert parse_severity(text, SEVERITIES) == name


@pytest.mark.parametrize(
    ("text", "near"), [("critcal", "critical"), ("sev5", "sev"), ("hgih", "high"), ("xyz", "higher one")]
)
def test_an_unknown_severity_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_severity(text, SEVERITIES)
    assert near in caught.value.fix
    assert "critical, high, medium, low" in caught.value.why


def test_a_large_fleet_is_told_in_time_that_grows_with_it_and_not_with_its_square() -> None:
    hosts = [f"web{number}" for number in range(3000)]
    entries = [("containment_applied", {"host": host, "entry": "1", "target": "shop"}) for host in hosts]
    began = time.process_time()
    incident = told(DECLARED, started("contain", *hosts), *(outcome(host, "done") for host in hosts), *entries)
    assert time.process_time() - began < 1  # 0.05 s; with the square of it, 3 s
    assert [row["host"] for row in incident.outcomes["contain"]] == hosts
    assert [row["host"] for row in incident.contained] == hosts
