"""Nothing is done that was not approved: the hosts are looked at once more right before, and two people may have to say yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import engine, notify
from incidentctl.desk import Desk
from incidentctl.errors import DecisionAwaited, IncidentctlError, Partial, PlanChangedError, UsageError
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import decision, recovery
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import load

ONE = "INC-20260101-0000-aaaa"
WEB = ("web1", "web2")
SHOP = Service("shop", WEB, True, True, (), {"releases": {}})


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


class Site:
    """Hosts that a rollback brings from one release to another, and what was done there."""

    def __init__(self) -> None:
        self.release = dict.fromkeys(WEB, "42")
        self.away: set[str] = set()
        self.why_away = ("unreachable", "no route to it")
        self.checks = 0
        self.acted: list[str] = []

    def run(self, step: Step, *_words: Any, **_more: Any) -> Outcome:
        self.checks += step.check
        rows = [self._row(host, name, step.check) for host in step.hosts for name in step.capabilities]
        return Outcome(step, tuple(rows), 0.1)

    def _row(self, host: str, name: str, check: bool) -> HostOutcome:
        if host in self.away:
            return HostOutcome(host, name, *self.why_away)
        ends = {"before": {"release": self.release[host]}, "after": {"release": "41"}}
        if name == "rollback" and not check:
            self.acted.append(host)
            self.release[host] = "41"
        return HostOutcome(host, name, "done", actions=({"target": "shop", "outcome": "done", "summary": "…", **ends},))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    monkeypatch.setattr(engine, "run", site.run)
    return site


@pytest.fixture
def desk(tmp_path: Path, site: Site) -> Iterator[Desk]:
    """An incident at its question; a critical one wants two approvals."""
    (tmp_path / "incidentctl.yml").write_text(
        "{state_dir: state, severities: {critical: {approvals: 2, notify: []}}, mitigate: []}\n"
    )
    settings = load(tmp_path / "incidentctl.yml", {}, tmp_path)
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        facts = {"title": "x", "severity": "medium", "services": ["shop"], "affected": ["shop"], "hosts": list(WEB)}
        record.append(ONE, "declared", facts, "ada@ops1")
        ready = {"feasible": True, "rehearsed": True, "from": "42", "to": "41", "schema": {"state": "none"}}
        for host in WEB:
            row = {"host": host, "capability": "prepare_rollback", "outcome": "unchanged"}
            record.append(
                ONE, "host_outcome", {"phase": "contain", **row, "facts": {"services": {"shop": ready}}}, "ada@ops1"
            )
        hosts = {host: frozenset[str]() for host in WEB}
        found = Desk(ONE, record, settings, Inventory(hosts, (SHOP,)), (), "ada@ops1", nobody, nobody)
        decision.assess(found)
        put(found)
        yield found
        notify.wait()


def put(desk: Desk) -> None:
    with pytest.raises(DecisionAwaited):
        decision.decide(desk)


def kinds(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in desk.record.events(ONE) if event.kind == kind]


def shown(desk: Desk) -> str:
    return str(desk.incident().plans["rollback"]["hash"])


def test_what_was_approved_is_done_after_one_more_look(desk: Desk, site: Site) -> None:
    decision.answer(replace(desk, plan=shown(desk)[:8]), "rollback")
    assert kinds(desk, "decided")[0]["plan"] == shown(desk)
    before = site.checks
    recovery.recover(desk)
    assert (site.acted, site.checks - before) == (list(WEB), 1)


def test_another_plan_than_the_one_that_is_named_is_not_decided(desk: Desk, site: Site) -> None:
    with pytest.raises(PlanChangedError, match="rollback is not plan 00000000") as caught:
        decision.answer(replace(desk, plan="00000000"), "rollback")
    assert f"--plan {shown(desk)[:12]}" in caught.value.fix
    assert "web1, web2: rollback of shop: 42 → 41" in caught.value.why
    assert kinds(desk, "decided") == []


def test_where_the_record_has_another_plan_than_the_one_approved_nothing_is_done(desk: Desk, site: Site) -> None:
    decision.answer(desk, "rollback")
    for plans in ({}, {"rollback": {**desk.incident().plans["rollback"], "hash": "0" * 64}}):
        if desk.incident().decision is None:
            decision.answer(desk, "rollback")
        desk.note("planned", plans=plans)
        with pytest.raises(PlanChangedError, match="Nothing was done"):
            recovery.recover(desk)
    assert site.acted == []


def test_what_changed_after_the_decision_is_asked_about_anew_and_nothing_is_done(desk: Desk, site: Site) -> None:
    approved = shown(desk)
    decision.answer(desk, "rollback")
    site.release["web2"] = "42b"
    with pytest.raises(PlanChangedError, match="Nothing was done") as caught:
        recovery.recover(desk)
    assert caught.value.why == "web2: shop is at 42b now, 42 when it was approved"
    assert (site.acted, desk.incident().decision) == ([], None)
    assert shown(desk) != approved
    assert desk.incident().question is not None
    assert "recover" not in [data["phase"] for data in kinds(desk, "step_started")]
    decision.answer(replace(desk, plan=shown(desk)), "rollback")
    recovery.recover(desk)
    assert site.acted == list(WEB)


def test_people_hear_of_a_decision_once_it_is_carried_out_and_of_none_that_is_not(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(recovery, "tell", lambda _desk, about: told.append((about, list(site.acted))))
    decision.answer(desk, "rollback")
    site.release["web2"] = "42b"
    with pytest.raises(PlanChangedError):
        recovery.recover(desk)
    assert told == []
    decision.answer(desk, "rollback")
    recovery.recover(desk)
    assert told == [("decided", [])]


def test_a_host_that_does_not_answer_is_let_be_and_the_others_are_acted_on(desk: Desk, site: Site) -> None:
    decision.answer(desk, "rollback")
    site.away = {"web1"}
    recovery.recover(desk)
    assert site.acted == ["web2"]
    (row,) = [data for data in kinds(desk, "host_outcome") if (data["host"], data["phase"]) == ("web1", "recover")]
    assert (row["outcome"], row["reason"]) == ("unreachable", "when it was looked at: no route to it")
    site.away = set()  # a resume finds it again, as it was approved
    recovery.recover(desk)
    assert site.acted == ["web2", "web1"]


def test_a_host_that_nobody_saw_before_the_decision_is_not_acted_on_unasked(desk: Desk, site: Site) -> None:
    site.away = {"web2"}
    decision.ask_anew(desk)
    decision.answer(desk, "rollback")
    site.away = set()
    with pytest.raises(PlanChangedError, match="Nothing was done") as caught:
        recovery.recover(desk)
    assert caught.value.why.startswith("web2: rollback of shop would be done now, and was not among")
    assert site.acted == []


def test_a_recovery_that_was_cut_off_goes_on_where_it_was(desk: Desk, site: Site) -> None:
    decision.answer(desk, "rollback")
    desk.note("step_started", phase="recover", capabilities=["rollback"], hosts=list(WEB))
    site.release["web1"] = "41"  # done, and its answer was lost
    recovery.recover(desk)
    assert site.acted == list(WEB)


@pytest.mark.parametrize("now", ["unknown", "unreachable"])
def test_no_other_host_is_risked_while_one_on_which_it_was_begun_does_not_tell_what_came_of_it(
    desk: Desk, site: Site, now: str
) -> None:
    decision.answer(desk, "rollback")
    desk.note("step_started", phase="recover", capabilities=["rollback"], hosts=list(WEB))
    if now == "unreachable":  # it was seen to be begun there
        lost = {"host": "web1", "capability": "rollback", "outcome": "unknown", "facts": {}}
        desk.note("host_outcome", phase="recover", **lost)
    site.away, site.why_away = {"web1"}, (now, "timed out after 60 s")
    with pytest.raises(Partial, match="what came of it is not known") as caught:
        recovery.recover(desk)
    assert (site.acted, "web1: " in caught.value.why) == ([], True)
    site.away = set()
    recovery.recover(desk)
    assert site.acted == list(WEB)


def test_where_the_hosts_cannot_be_looked_at_nothing_is_done(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision.answer(desk, "rollback")

    def broken(step: Step, *_words: Any, **_more: Any) -> Outcome:
        raise IncidentctlError(f"Ansible could not begin the phase {step.phase}.")

    monkeypatch.setattr(engine, "run", broken)
    with pytest.raises(IncidentctlError, match="could not begin"):
        recovery.recover(desk)
    assert (site.acted, kinds(desk, "step_started")[-1]["phase"]) == ([], "assess")
    decision.ask_anew(desk)  # the question does not wait for it
    assert set(desk.incident().plans["rollback"]["silent"]) == set(WEB)


# --- two people ---------------------------------------------------------------------------------------


@pytest.fixture
def critical(desk: Desk) -> Desk:
    desk.note("severity_changed", severity="critical")
    return desk


def test_where_two_must_approve_one_decides_and_nothing_is_done_before_another_says_the_same(
    critical: Desk, site: Site
) -> None:
    named = replace(critical, plan=shown(critical))
    decision.answer(named, "rollback")
    for act in (decision.decide, recovery.recover):
        with pytest.raises(DecisionAwaited, match=r"rollback: 1 of 2 approvals, by ada\.") as caught:
            act(critical)
        assert caught.value.fix == f"another person: incidentctl decide {ONE} rollback --plan {shown(critical)[:12]}"
    with pytest.raises(DecisionAwaited):  # on another machine, the same person
        decision.answer(replace(named, actor="ada@ops2"), "rollback")
    bob = replace(critical, actor="bob@ops1")
    with pytest.raises(UsageError, match="Which plan"):
        decision.answer(bob, "rollback")
    with pytest.raises(PlanChangedError):
        decision.answer(replace(bob, plan="00000000"), "rollback")
    assert (kinds(critical, "approved"), site.acted) == ([], [])
    decision.answer(replace(bob, plan=shown(critical)), "rollback")
    decision.decide(critical)
    recovery.recover(critical)
    assert (len(kinds(critical, "decided")), site.acted) == (1, list(WEB))


def answering(said: str | None, meanwhile: Callable[[], object] = nobody) -> Callable[..., str | None]:
    def ask(_question: str, **_facts: Any) -> str | None:
        meanwhile()
        return said

    return ask


def test_who_waits_sees_the_approval_arrive_and_goes_on(critical: Desk) -> None:
    decision.answer(critical, "rollback")
    bob = replace(critical, actor="bob@ops1", plan=shown(critical))
    decision.decide(replace(critical, ask=answering(None, lambda: decision.answer(bob, "rollback"))))
    assert kinds(critical, "step_finished")[-1]["phase"] == "decide"


def test_who_waits_may_be_the_other_person(critical: Desk) -> None:
    decision.answer(replace(critical, actor="bob@ops1"), "rollback")
    decision.decide(replace(critical, ask=answering("yes")))
    (approved,) = kinds(critical, "approved")
    assert approved["plan"] == shown(critical)


def test_an_approval_is_for_one_decision_and_void_when_the_plan_changes(critical: Desk, site: Site) -> None:
    decision.answer(critical, "rollback")
    bob = replace(critical, actor="bob@ops1", plan=shown(critical))
    decision.answer(bob, "rollback")
    site.release["web1"] = "44"
    with pytest.raises(PlanChangedError):
        recovery.recover(critical)
    decision.answer(critical, "rollback")
    with pytest.raises(PlanChangedError):  # with the hash from before
        decision.answer(bob, "rollback")
    with pytest.raises(DecisionAwaited, match="1 of 2"):
        recovery.recover(critical)
    assert site.acted == []


def test_a_recovery_goes_to_the_sick_hosts_first(desk: Desk, site: Site) -> None:
    sick = {"web1": True, "web2": False}
    for host, well in sick.items():
        facts = {"services": {"shop": {"healthy": well}}}
        desk.note("host_outcome", phase="triage", host=host, capability="health_check", outcome="done", facts=facts)
    decision.answer(desk, "rollback")
    recovery.recover(desk)
    assert site.acted == ["web2", "web1"]
