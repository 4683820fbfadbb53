"""The question and its answers: what counts as a decision, what does not, and who is told."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import desk as desks
from incidentctl import engine, notify, workflow
from incidentctl import session as sessions
from incidentctl.desk import Desk, record_decision
from incidentctl.errors import (
    AlreadyDecided,
    DecisionAwaited,
    IncidentctlError,
    LockedError,
    NotRecovered,
    Partial,
    RefusedError,
    UsageError,
)
from incidentctl.outcome import Outcome
from incidentctl.phases import decision, recovery
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.session import Session
from incidentctl.settings import Settings
from incidentctl.times import when

ONE = "INC-20260101-0000-aaaa"
SHOP = Service("shop", ("web1",), True, True, (), {"releases": {"hotfix": ["true"]}})


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An incident of a shop that may be mitigated or get a hotfix, just before the question."""
    # What would be done is no matter here.
    monkeypatch.setattr(engine, "run", lambda step, *_words, **_more: Outcome(step, (), 0.0))
    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        facts = {"title": "x", "severity": "medium", "services": ["shop"], "affected": ["shop"], "hosts": ["web1"]}
        record.append(ONE, "declared", facts, "ann")
        found = Desk(ONE, record, settings, Inventory({"web1": frozenset()}, (SHOP,)), (), "ann", nobody, nobody)
        decision.assess(found)
        yield found
        notify.wait()  # what is on its way writes to the record


def put(desk: Desk) -> None:
    """Put the question; nobody answers it."""
    with pytest.raises(DecisionAwaited):
        decision.decide(desk)


def kinds(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in desk.record.events(ONE) if event.kind == kind]


def answering(choice: str | None, before: Callable[[], object] = nobody) -> Callable[..., str | None]:
    """Somebody who types this at the question, after something else has happened."""

    def ask(*_words: Any, **_facts: Any) -> str | None:
        before()
        return choice

    return ask


def test_a_question_without_an_answer_is_asked_once_and_left_open(desk: Desk) -> None:
    for _ in range(3):
        put(desk)
    assert len(kinds(desk, "question_asked")) == len(kinds(desk, "options_assessed")) == 1
    assert kinds(desk, "decided") == []
    assert desk.incident().question is not None


def test_figures_that_have_changed_are_asked_about_anew(desk: Desk) -> None:
    put(desk)
    other = Service("shop", ("web1",), True, True, (), {})  # its hotfix command is gone
    put(replace(desk, inventory=Inventory({"web1": frozenset()}, (other,))))
    assert len(kinds(desk, "question_asked")) == len(kinds(desk, "options_assessed")) == 2
    with pytest.raises(RefusedError, match="hotfix is not possible") as caught:
        record_decision(desk, "hotfix")
    assert "no hotfix command" in caught.value.why
    assert kinds(desk, "decided") == []


def test_an_answer_to_the_question_before_does_not_count(desk: Desk) -> None:
    put(desk)
    asked = desk.incident().question
    decision.ask_anew(desk)
    with pytest.raises(RefusedError, match="the question was put anew") as caught:
        record_decision(desk, "hotfix", asked=asked)
    assert "incidentctl status" in caught.value.fix
    assert kinds(desk, "decided") == []


def test_what_is_typed_counts_and_says_which_question_it_answers(desk: Desk) -> None:
    decision.decide(replace(desk, ask=answering("hotfix")))
    (question,) = [event for event in desk.record.events(ONE) if event.kind == "question_asked"]
    plan = desk.incident().plans["hotfix"]["hash"]
    assert kinds(desk, "decided") == [{"option": "hotfix", "question": question.seq, "plan": plan}]


def test_who_joins_at_the_question_is_told_and_the_ways_out_are_weighed_anew(session: Session, desk: Desk) -> None:
    two = "INC-20260101-0000-bbbb"
    both = replace(desk.inventory, services=(SHOP, replace(SHOP, name="stock")))
    desk = replace(desk, incident_id=two, inventory=both)
    desk.note("declared", title="x", severity="medium", services=["shop", "stock"], affected=["shop"], hosts=["web1"])
    asked: list[str] = []
    heard: list[str] = []

    def ask(_question: str, **facts: Any) -> str | None:
        asked.append(next(str(option["steps"]) for option in facts["options"] if option["key"] == "hotfix"))
        if len(asked) > 1:
            return "hotfix"
        sessions.join(replace(session, actor="bob"), two, "no stock either", None, ["stock"])
        return None  # as a terminal does once somebody has joined

    def show(kind: str, **facts: Any) -> None:
        heard.extend(
            event.data["text"] for event in facts["events"] if event.kind == "note"
        ) if kind == "heard" else None

    desk = replace(desk, ask=ask, show=show)
    decision.assess(desk)
    decision.decide(desk)
    assert heard == ["no stock either"]
    assert ["stock" in steps for steps in asked] == [False, True]
    put, made = [
        [event for event in desk.record.events(two) if event.kind == kind] for kind in ("question_asked", "decided")
    ]
    assert len(put) == 2
    assert made[0].data["question"] == put[1].seq


@pytest.mark.parametrize("typed", ["mitigate", "hotfix"])
def test_who_types_after_another_has_decided_is_told_and_nothing_follows(desk: Desk, typed: str) -> None:
    elsewhere = replace(desk, actor="bob")
    with pytest.raises(AlreadyDecided, match="bob decided hotfix at") as caught:
        decision.decide(replace(desk, ask=answering(typed, lambda: record_decision(elsewhere, "hotfix"))))
    assert f"Your answer, {typed}, is not recorded" in caught.value.why
    assert len(kinds(desk, "decided")) == 1
    assert "decide" not in [data["phase"] for data in kinds(desk, "step_started")]


def test_who_waits_and_types_nothing_carries_out_what_was_decided_elsewhere(desk: Desk) -> None:
    decision.decide(replace(desk, ask=answering(None, lambda: record_decision(desk, "hotfix"))))
    assert kinds(desk, "step_started")[-1]["phase"] == "decide"


def test_what_ended_meanwhile_is_not_decided(desk: Desk) -> None:
    def cancelled() -> None:
        desk.note("cancelled", reason="a test alert")

    for choice in (None, "hotfix"):
        with pytest.raises(UsageError, match="cancelled"):
            decision.decide(replace(desk, ask=answering(choice, cancelled)))
    assert kinds(desk, "decided") == []


def test_where_nothing_is_asked_yet_nothing_is_decided(desk: Desk) -> None:
    desk.note("closed")
    with pytest.raises(UsageError, match="is closed"):
        record_decision(desk, "hotfix")
    desk.note("reopened")
    with pytest.raises(UsageError, match="nothing is asked yet"):
        record_decision(desk, "hotfix")


def test_another_decision_counts_once_the_first_has_failed(desk: Desk) -> None:
    put(desk)
    record_decision(desk, "hotfix")
    desk.note("step_started", phase="recover", capabilities=["hotfix"], hosts=["web1"])
    with pytest.raises(AlreadyDecided):
        record_decision(desk, "mitigate")
    decision.ask_anew(desk)
    record_decision(desk, "mitigate")
    assert [data["option"] for data in kinds(desk, "decided")] == ["hotfix", "mitigate"]


def test_a_decision_is_replaced_only_by_who_names_it(desk: Desk) -> None:
    put(desk)
    record_decision(desk, "hotfix")
    with pytest.raises(AlreadyDecided, match="hotfix") as caught:
        record_decision(desk, "mitigate", instead_of="rollback")
    assert f"incidentctl decide {ONE} mitigate --instead-of hotfix" in caught.value.fix
    record_decision(desk, "mitigate", instead_of="hotfix")
    assert kinds(desk, "decided")[-1]["instead_of"] == "hotfix"


def test_nothing_is_decided_while_somebody_looks_whether_a_mitigation_helped(desk: Desk) -> None:
    """They go on with what follows that one, up to the lift: what is decided meanwhile would be carried out by nobody."""
    put(desk)
    record_decision(desk, "mitigate")
    with desk.record.hold(ONE, "bob"):
        desk.note("step_started", phase="recover", capabilities=["enhanced_monitoring"], hosts=["web1"])
        desk.note("step_finished", phase="recover", outcome="done")
        desk.note("step_started", phase="verify", capabilities=["health_check"], hosts=["web1"])
        with open_record(f"sqlite:///{desk.settings.state_dir}/record.db") as elsewhere:
            ada = replace(desk, record=elsewhere, actor="ada")
            with pytest.raises(AlreadyDecided, match="bob still looks whether mitigate helped"):
                record_decision(ada, "hotfix")
    record_decision(desk, "hotfix")
    assert [data["option"] for data in kinds(desk, "decided")] == ["mitigate", "hotfix"]


def test_an_option_that_comes_with_the_command_does_not_replace_what_was_decided(desk: Desk) -> None:
    put(desk)
    record_decision(desk, "hotfix")
    with pytest.raises(AlreadyDecided, match="hotfix"):
        workflow.drive(replace(desk, option="mitigate"))
    assert [data["option"] for data in kinds(desk, "decided")] == ["hotfix"]
    assert kinds(desk, "step_started")[-1]["phase"] == "assess", "something of it was carried out"


def test_from_whom_an_incident_was_taken_over_stands_in_the_timeline(desk: Desk) -> None:
    held = desk.record.append(ONE, "locked", {"pid": 7, "host": "web9.example"}, "bob")
    with pytest.raises(LockedError), workflow.at_work(desk):
        pytest.fail("held by two")
    desk.note("closed")  # so that no host is asked
    with workflow.at_work(replace(desk, take_over=held.seq)):
        assert [note["text"] for note in desk.incident().notes] == [
            f"taken over from process 7 on web9.example, held since {when(held.at)} by bob"
        ]


def test_a_decision_is_left_to_who_waits_at_the_question_once_they_begin(desk: Desk) -> None:
    put(desk)
    with desk.record.hold(ONE, "bob"):
        decided = record_decision(desk, "hotfix")
        with pytest.raises(LockedError, match="hotfix is recorded, and not carried out yet"):
            decision.taken_up(desk, decided, patience_s=0)
        threading.Timer(0.3, lambda: desk.note("step_started", phase="decide", capabilities=[], hosts=[])).start()
        assert decision.taken_up(desk, decided)


def test_a_decision_that_nobody_takes_up_is_ours_to_carry_out(desk: Desk) -> None:
    put(desk)
    with desk.record.hold(ONE, "bob"):
        decided = record_decision(desk, "hotfix")
    assert not decision.taken_up(desk, decided)


def test_waiting_acts_on_no_host_and_leaves_it_to_the_verification(desk: Desk) -> None:
    put(desk)
    record_decision(desk, "wait")
    recovery.recover(desk)
    assert kinds(desk, "step_started")[-1] == {"phase": "recover", "capabilities": [], "hosts": []}
    assert kinds(desk, "step_finished")[-1]["outcome"] == "skipped"
    assert kinds(desk, "host_outcome") == []
    step, variables = decision.planned(desk, "wait", None)
    assert (step.hosts, step.targets, variables) == ((), (), {})


@pytest.fixture
def with_playbooks(desk: Desk, tmp_path: Path) -> Desk:
    """The same, with playbooks of one's own, of which one is for what the diagnosis found."""
    (tmp_path / "own.yml").touch()
    own = {"failover": "own.yml", "free_space": {"playbook": "own.yml", "for": ["disk"]}}
    found = Settings.model_validate({"state_dir": str(tmp_path), "custom_playbooks": own}, context={"folder": tmp_path})
    return replace(desk, settings=found)


def test_of_playbooks_of_ones_own_the_one_that_fits_is_taken_unless_another_is_named(with_playbooks: Desk) -> None:
    cause = {"kind": "disk", "service": "shop", "title": "disk /srv: 100 % full", "score": 90}
    with_playbooks.note("step_finished", phase="diagnose", outcome="done", judged={"causes": [cause]})
    decision.ask_anew(with_playbooks)
    decision.answer(with_playbooks, "custom")
    decision.answer(with_playbooks, "custom", "failover", instead_of="custom")
    assert [data["playbook"] for data in kinds(with_playbooks, "decided")] == ["free_space", "failover"]


def typing(**answers: str | None) -> Callable[..., str | None]:
    """Somebody who answers each question by its name."""
    return lambda question, **_facts: answers.get(question)


@pytest.mark.parametrize(
    ("fits", "answers", "decided"),
    [
        (True, {"decide": "custom"}, ["free_space"]),
        (False, {"decide": "custom", "playbook": "failover"}, ["failover"]),
        (False, {"decide": "custom", "playbook": None}, []),
    ],
)
def test_at_the_question_the_playbook_that_fits_is_taken_or_it_is_asked_which(
    with_playbooks: Desk, fits: bool, answers: dict[str, str | None], decided: list[str]
) -> None:
    cause = {"kind": "disk" if fits else "clock", "service": "shop", "title": "x", "score": 90}
    with_playbooks.note("step_finished", phase="diagnose", outcome="done", judged={"causes": [cause]})
    desk = replace(with_playbooks, ask=typing(**answers))
    decision.weigh(desk)
    with contextlib.nullcontext() if decided else pytest.raises(DecisionAwaited):
        decision.decide(desk)
    assert [data["playbook"] for data in kinds(desk, "decided")] == decided


def test_where_no_playbook_is_known_to_fit_a_person_must_name_one(with_playbooks: Desk) -> None:
    decision.ask_anew(with_playbooks)
    with pytest.raises(UsageError, match="Which playbook") as caught:
        decision.answer(with_playbooks, "custom")
    assert "failover, free_space" in caught.value.fix
    assert kinds(with_playbooks, "decided") == []


def test_a_mitigation_does_what_the_question_said_of_it(desk: Desk) -> None:
    shop = Service("shop", ("web1",), True, True, (), {"ports": [80]})
    desk = replace(desk, inventory=Inventory({"web1": frozenset()}, (shop,)))
    flood = {"kind": "connections", "service": None, "title": "10.0.0.9 has 486 of 487", "score": 90}
    breaker = desk.settings.model_copy(update={"mitigate": ("enhanced_monitoring", "rate_limit", "isolation")})
    desk = replace(desk, settings=breaker)
    desk.note("step_finished", phase="diagnose", outcome="done", judged={"causes": [flood]})
    decision.ask_anew(desk)
    step, variables = decision.planned(desk, "mitigate", None)
    assert step.capabilities == ("enhanced_monitoring", "rate_limit")
    assert set(variables) == {"enhanced_monitoring_only", "rate_limit_only"}


# --- joining --------------------------------------------------------------------------------------


@pytest.fixture
def session(desk: Desk) -> Session:
    return Session(desk.settings, desk.record, "bob")


def test_who_joins_adds_what_they_see_and_raises_the_severity_never_lowers_it(session: Session, desk: Desk) -> None:
    for wanted, severity in (("low", "medium"), ("p2", "high"), (None, "high"), ("high", "high")):
        assert sessions.join(session, ONE.lower(), "the basket, too", wanted, ["shop"]).severity == severity
    (raised,) = [event for event in desk.record.events(ONE) if event.kind == "severity_changed"]
    assert (raised.actor, raised.data) == ("bob", {"severity": "high", "by": "join"})
    notes = desk.incident().notes
    assert [(note["actor"], note["text"]) for note in notes] == [("bob", "the basket, too")] * 4


def test_who_joins_says_that_a_service_is_sick_though_it_says_well(session: Session, desk: Desk) -> None:
    desk.note("step_finished", phase="triage", affected=[])
    assert desk.at_issue() == ()
    assert sessions.join(session, ONE, "", None, ["shop"]).affected == ("shop",)
    assert [note["text"] for note in desk.incident().notes] == ["counts as affected: shop"]
    assert [service.name for service in desk.at_issue()] == ["shop"]


@pytest.mark.parametrize("error", [DecisionAwaited, NotRecovered, Partial, RefusedError])
def test_who_responds_is_told_what_is_left_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[IncidentctlError]
) -> None:
    told: list[str | None] = []

    def left_open(_desk: Desk) -> None:
        raise error("which recovery?")

    monkeypatch.setattr(workflow, "_drive", left_open)
    monkeypatch.setattr(workflow, "tell", lambda _desk, about: told.append(about))
    with pytest.raises(error):
        workflow.drive(desk)
    assert told == ["awaited"]


@pytest.mark.parametrize(
    ("incident", "severity", "services", "told"),
    [
        (ONE, "hgih", [], "no severity"),
        (ONE, None, ["shop", "search"], "is not about search"),
        ("INC-9", None, [], "No incident begins"),
    ],
)
def test_who_cannot_join_is_told_before_anything_is_recorded(
    session: Session, desk: Desk, incident: str, severity: str | None, services: list[str], told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        sessions.join(session, incident, "x", severity, services)
    assert caught.value.fix
    assert not desk.incident().notes


def test_what_has_ended_is_not_joined(session: Session, desk: Desk) -> None:
    desk.note("closed")
    with pytest.raises(UsageError, match="is closed: it cannot be joined") as caught:
        sessions.join(session, ONE, "x", "critical", [])
    assert f"incidentctl reopen {ONE}" in caught.value.fix
    assert not desk.incident().notes


def test_what_somebody_acts_on_is_not_cancelled_beside_them(session: Session, desk: Desk) -> None:
    with desk.record.hold(ONE, "ann"):
        with pytest.raises(LockedError, match="ann is at work on"):
            sessions.remark(session, ONE, "cancelled", reason="a test alert")
        put(desk)
        sessions.remark(session, ONE, "cancelled", reason="a test alert")  # who is at the question is told
    with pytest.raises(RefusedError, match="is cancelled"):
        sessions.remark(session, ONE, "acknowledged")
    sessions.remark(session, ONE, "note", text="it was a test")


def test_what_is_reopened_has_ended_and_no_other_is_open_for_its_services(session: Session, desk: Desk) -> None:
    with pytest.raises(RefusedError, match="is open"):
        sessions.remark(session, ONE, "reopened")
    desk.note("closed")
    other = workflow.declare(desk.record, "eve", title="x", severity="low", services=["shop"])
    with pytest.raises(LockedError, match=f"{other} is already open for shop"):
        sessions.remark(session, ONE, "reopened")
    desk.record.append(other, "cancelled", {}, "eve")
    assert sessions.remark(session, ONE, "reopened").kind == "reopened"


def test_the_words_that_refuse_a_decision_name_the_nearest_option(desk: Desk) -> None:
    put(desk)
    with pytest.raises(UsageError, match="did you mean hotfix"):
        desks.record_decision(desk, "hotfx")


def test_a_severity_is_raised_only_above_the_one_that_stands_by_then(desk: Desk) -> None:
    session = Session(desk.settings, desk.record, "alertmanager")
    raised = [sessions.raise_severity(session, ONE, severity, {}) for severity in ("low", "high", "high", "medium")]
    assert raised == [False, True, False, False]
    assert [data["severity"] for data in kinds(desk, "severity_changed")] == ["high"]


def test_a_playbook_for_a_dependency_is_run_where_that_runs_and_not_where_it_is_missed(with_playbooks: Desk) -> None:
    stock = Service("stock", ("web2",), True, False, (), {})
    shop = Service("shop", ("web1",), True, True, (), {})
    both = Inventory({"web1": frozenset(), "web2": frozenset()}, (shop, stock))
    own = with_playbooks.settings.custom_playbooks["free_space"].model_copy(update={"causes": ("dependency_slow",)})
    settings = with_playbooks.settings.model_copy(update={"custom_playbooks": {"free_space": own}})
    desk = replace(with_playbooks, incident_id="INC-20260101-0000-bbbb", inventory=both, settings=settings)
    facts = {"title": "x", "severity": "medium", "services": ["shop", "stock"], "affected": ["shop"]}
    desk.note("declared", **facts, hosts=["web1", "web2"])
    slow = {"kind": "dependency_slow", "service": "shop", "hosts": ["web1"], "title": "x", "about": {"name": "stock"}}
    desk.note("step_finished", phase="diagnose", outcome="done", judged={"causes": [slow]})
    step, variables = decision.planned(desk, "custom", "free_space")
    assert step.hosts == ("web2",)
    assert variables["incident_cause"] == {"kind": "dependency_slow", "hosts": ["web2"], "service": "stock"}


def test_a_rollback_leaves_hosts_alone_that_are_where_others_go_back_to(desk: Desk) -> None:
    told = {"web1": {"from": "42", "to": "{{ 41 }}"}, "web2": {"from": "{{ 41 }}", "to": "40"}}
    for host, facts in told.items():
        outcome = {"host": host, "capability": "prepare_rollback", "outcome": "done"}
        desk.note(
            "host_outcome", phase="diagnose", **outcome, facts={"services": {"shop": {**facts, "feasible": True}}}
        )
    _step, variables = decision.planned(desk, "rollback", None)
    hidden = [hashlib.sha256(name.encode()).hexdigest() for name in ("40", "{{ 41 }}")]
    assert variables["rollback_stay_at"] == {"shop": hidden}
    assert "rollback_stay_at" not in decision.planned(desk, "hotfix", None)[1]
