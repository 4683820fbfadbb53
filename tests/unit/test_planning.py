"""Nothing is done that was not approved: the hosts are looked at once more right before, and two people may have to say yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import engine, notify
from incidentctl.desk import Desk
from incidentctl.errors import DecisionAwaited, IncidentctlError, PlanChangedError, UsageError
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import decision, recovery
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import load

ONE = "INC-20260101-0000-aaaa"
WEB = ("web1", "web2")
SHOP = Service("shop", WEB, True, True, (), {"releases": {"hotfix": ["true"]}})


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


class Site:
    """Hosts that a hotfix brings from one release to another, and what was done there."""

    def __init__(self) -> None:
        self.release = dict.fromkeys(WEB, "42")
        self.away: set[str] = set()
        self.checks = 0
        self.acted: list[str] = []

    def run(self, step: Step, *_words: Any, **_more: Any) -> Outcome:
        self.checks += step.check
        rows = [self._row(host, name, step.check) for host in step.hosts for name in step.capabilities]
        return Outcome(step, tuple(rows), 0.1)

    def _row(self, host: str, name: str, check: bool) -> HostOutcome:
        if host in self.away:
            return HostOutcome(host, name, "unreachable", "no route to it")
        ends = {"before": {"release": self.release[host]}, "after": {"release": "43"}}
        if name == "hotfix" and not check:
            self.acted.append(host)
            self.release[host] = "43"
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
    return str(desk.incident().plans["hotfix"]["hash"])


def test_what_was_approved_is_done_after_one_more_look(desk: Desk, site: Site) -> None:
    decision.answer(replace(desk, plan=shown(desk)[:8]), "hotfix")
    assert kinds(desk, "decided")[0]["plan"] == shown(desk)
    before = site.checks
    recovery.recover(desk)
    assert (site.acted, site.checks - before) == (list(WEB), 1)


def test_another_plan_than_the_one_that_is_named_is_not_decided(desk: Desk, site: Site) -> None:
    with pytest.raises(PlanChangedError, match="hotfix is not plan 00000000") as caught:
        decision.answer(replace(desk, plan="00000000"), "hotfix")
    assert f"--plan {shown(desk)[:12]}" in caught.value.fix
    assert "web1, web2: hotfix of shop: 42 → 43" in caught.value.why
    assert kinds(desk, "decided") == []


def test_what_changed_after_the_decision_is_asked_about_anew_and_nothing_is_done(desk: Desk, site: Site) -> None:
    approved = shown(desk)
    decision.answer(desk, "hotfix")
    site.release["web2"] = "42b"
    with pytest.raises(PlanChangedError, match="Nothing was done") as caught:
        recovery.recover(desk)
    assert caught.value.why == "web2: shop is at 42b now, 42 when it was approved"
    assert (site.acted, desk.incident().decision) == ([], None)
    assert shown(desk) != approved
    assert desk.incident().question is not None
    assert "recover" not in [data["phase"] for data in kinds(desk, "step_started")]
    decision.answer(replace(desk, plan=shown(desk)), "hotfix")
    recovery.recover(desk)
    assert site.acted == list(WEB)


def test_a_host_that_does_not_answer_is_let_be_and_the_others_are_acted_on(desk: Desk, site: Site) -> None:
    decision.answer(desk, "hotfix")
    site.away = {"web1"}
    recovery.recover(desk)
    assert site.acted == ["web2"]
    (row,) = [data for data in kinds(desk, "host_outcome") if data["host"] == "web1"]
    assert (row["outcome"], row["reason"]) == ("unreachable", "when it was looked at: no route to it")
    site.away = set()  # a resume finds it again, as it was approved
    recovery.recover(desk)
    assert site.acted == ["web2", "web1"]


def test_a_host_that_nobody_saw_before_the_decision_is_not_acted_on_unasked(desk: Desk, site: Site) -> None:
    site.away = {"web2"}
    decision.ask_anew(desk)
    decision.answer(desk, "hotfix")
    site.away = set()
    with pytest.raises(PlanChangedError, match="Nothing was done") as caught:
        recovery.recover(desk)
    assert caught.value.why.startswith("web2: hotfix of shop would be done now, and was not among")
    assert site.acted == []


def test_a_recovery_that_was_cut_off_goes_on_where_it_was(desk: Desk, site: Site) -> None:
    decision.answer(desk, "hotfix")
    desk.note("step_started", phase="recover", capabilities=["hotfix"], hosts=list(WEB))
    site.release["web1"] = "43"  # done, and its answer was lost
    recovery.recover(desk)
    assert site.acted == list(WEB)


def test_where_the_hosts_cannot_be_looked_at_nothing_is_done(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision.answer(desk, "hotfix")

    def broken(step: Step, *_words: Any, **_more: Any) -> Outcome:
        raise IncidentctlError(f"Ansible could not begin the phase {step.phase}.")

    monkeypatch.setattr(engine, "run", broken)
    with pytest.raises(IncidentctlError, match="could not begin"):
        recovery.recover(desk)
    assert (site.acted, kinds(desk, "step_started")[-1]["phase"]) == ([], "assess")
    decision.ask_anew(desk)  # the question does not wait for it
    assert set(desk.incident().plans["hotfix"]["silent"]) == set(WEB)


# --- two people ---------------------------------------------------------------------------------------


@pytest.fixture
def critical(desk: Desk) -> Desk:
    desk.note("severity_changed", severity="critical")
    return desk


def test_where_two_must_approve_one_decides_and_nothing_is_done_before_another_says_the_same(
    critical: Desk, site: Site
) -> None:
    named = replace(critical, plan=shown(critical))
    decision.answer(named, "hotfix")
    for act in (decision.decide, recovery.recover):
        with pytest.raises(DecisionAwaited, match=r"hotfix: 1 of 2 approvals, by ada\.") as caught:
            act(critical)
        assert caught.value.fix == f"another person: incidentctl decide {ONE} hotfix --plan {shown(critical)[:12]}"
    with pytest.raises(DecisionAwaited):  # on another machine, the same person
        decision.answer(replace(named, actor="ada@ops2"), "hotfix")
    bob = replace(critical, actor="bob@ops1")
    with pytest.raises(UsageError, match="Which plan"):
        decision.answer(bob, "hotfix")
    with pytest.raises(PlanChangedError):
        decision.answer(replace(bob, plan="00000000"), "hotfix")
    assert (kinds(critical, "approved"), site.acted) == ([], [])
    decision.answer(replace(bob, plan=shown(critical)), "hotfix")
    decision.decide(critical)
    recovery.recover(critical)
    assert (len(kinds(critical, "decided")), site.acted) == (1, list(WEB))


def answering(said: str | None, meanwhile: Callable[[], object] = nobody) -> Callable[..., str | None]:
    def ask(_question: str, **_facts: Any) -> str | None:
        meanwhile()
        return said

    return ask


def test_who_waits_sees_the_approval_arrive_and_goes_on(critical: Desk) -> None:
    decision.answer(critical, "hotfix")
    bob = replace(critical, actor="bob@ops1", plan=shown(critical))
    decision.decide(replace(critical, ask=answering(None, lambda: decision.answer(bob, "hotfix"))))
    assert kinds(critical, "step_finished")[-1]["phase"] == "decide"


def test_who_waits_may_be_the_other_person(critical: Desk) -> None:
    decision.answer(replace(critical, actor="bob@ops1"), "hotfix")
    decision.decide(replace(critical, ask=answering("yes")))
    (approved,) = kinds(critical, "approved")
    assert approved["plan"] == shown(critical)


def test_an_approval_is_for_one_decision_and_void_when_the_plan_changes(critical: Desk, site: Site) -> None:
    decision.answer(critical, "hotfix")
    bob = replace(critical, actor="bob@ops1", plan=shown(critical))
    decision.answer(bob, "hotfix")
    site.release["web1"] = "44"
    with pytest.raises(PlanChangedError):
        recovery.recover(critical)
    decision.answer(critical, "hotfix")
    with pytest.raises(PlanChangedError):  # with the hash from before
        decision.answer(bob, "hotfix")
    with pytest.raises(DecisionAwaited, match="1 of 2"):
        recovery.recover(critical)
    assert site.acted == []
