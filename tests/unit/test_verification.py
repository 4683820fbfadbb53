"""What follows a verdict: on with it, the question anew, or forward again; and what only holds is not taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentctl import monitoring, notify, standing
from incidentctl.desk import Desk
from incidentctl.errors import DecisionAwaited, NotRecovered
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import recovery, verification
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings

ONE = "INC-20260101-0000-aaaa"
DATABASE = Service("database", ("db1",), True, False, (), {"manager": "systemd", "unit": "postgresql.service"})
OUTSIDE = Service("quiet", ("db1",), True, False, (), {})
NEEDS = [{"name": "database", "check": "tcp://db1:5432"}, {"name": "quiet", "check": "tcp://db1:1"}]
SHOP = Service("shop", ("web1",), True, True, (), {"releases": {}, "depends_on": NEEDS})
SERVICES = (SHOP, DATABASE, OUTSIDE)


def seen(rows: int = 1204, healthy: bool = True) -> dict[str, Any]:
    table = {"rows": rows, "exact": True, "shrinks": False}
    data = [{"kind": "sqlite", "name": "/srv/shop.db", "whole": True, "damage": [], "tables": {"orders": table}}]
    return {"healthy": healthy, "status": 200 if healthy else 500, "detail": "", "depends_on": [], "data": data}


def row(host: str, name: str, facts: Any, capability: str = "health_check", outcome: str = "unchanged") -> HostOutcome:
    return HostOutcome(host, capability, outcome, facts={"services": {name: facts}})


class Hosts:
    """What the hosts answer, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[PlannedStep, dict[str, Any]]] = []
        self.rows: tuple[HostOutcome, ...] = (row("web1", "shop", seen()),)

    def run_step(self, _desk: Desk, step: PlannedStep, variables: dict[str, Any], **_finish: bool) -> Outcome:
        self.asked.append((step, variables))
        rows = self.rows
        if step.phase == "forward":
            told = {"summary": "shop went forward again from 41 to 42: 500"}
            rows = (HostOutcome("web1", "rollback", "done", actions=(told,)),)
        return Outcome(Step(step.phase, step.capabilities, step.hosts, deadline_s=1.0), rows, 1.0)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    hosts = Hosts()
    monkeypatch.setattr(verification, "run_step", hosts.run_step)
    return hosts


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A shop that was sick at triage, with 1204 orders, and was rolled back from 42 to 41."""
    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        names = [service.name for service in SERVICES]
        facts = {"title": "x", "severity": "medium", "services": names, "hosts": ["web1", "db1"]}
        inventory = Inventory({"web1": frozenset(), "db1": frozenset()}, SERVICES)
        found = Desk(ONE, record, settings, inventory, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
        found.note("declared", **facts, affected=["shop"])
        of_triage = row("web1", "shop", seen(healthy=False))
        found.note("host_outcome", phase="triage", **of_triage.__dict__)
        found.note("decided", option="rollback")
        done = row("web1", "shop", {"from": "42", "to": "41"}, "rollback", "done")
        found.note("step_started", phase="recover", capabilities=["rollback"], hosts=["web1"])
        found.note("host_outcome", phase="recover", **done.__dict__)
        found.note("step_finished", phase="recover", outcome="done")
        yield found
        notify.wait()


def events(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in desk.record.events(ONE) if event.kind == kind]


def test_what_a_service_needs_is_looked_at_with_it_if_it_can_be_asked(desk: Desk, hosts: Hosts) -> None:
    verification.verify(desk)
    ((step, variables),) = hosts.asked
    assert (step.phase, set(step.hosts)) == ("verify", {"web1", "db1"})
    assert variables["health_check_only"] == ["shop", "database"]
    assert variables["health_check_figures"] is True


def test_recovered_is_recorded_with_its_figures_and_goes_on(desk: Desk, hosts: Hosts) -> None:
    verification.verify(desk)
    (verified,) = events(desk, "verified")
    assert (verified["verdict"], verified["recovered"]) == ("recovered", True)
    assert {figure["what"] for figure in verified["figures"]} == {"health", "rows"}
    assert "data" not in verified["services"]["web1"]["shop"]  # it stands in the outcome of the host
    assert events(desk, "question_asked") == []
    assert desk.incident().status == "monitoring"


def test_rows_that_are_gone_put_the_question_anew_and_say_how_to_go_forward(desk: Desk, hosts: Hosts) -> None:
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    with pytest.raises(NotRecovered) as caught:
        verification.verify(desk)
    assert "worse after rollback" in caught.value.what
    assert "24 fewer" in caught.value.why
    assert '"rollback_forward": true' in caught.value.why
    assert [step.phase for step, _ in hosts.asked] == ["verify"]
    assert desk.incident().decision is None
    assert events(desk, "question_asked")
    assert desk.incident().status == "identified"


@pytest.mark.parametrize("by", ["settings", "a person"])
def test_worse_after_a_rollback_goes_forward_again_if_that_is_wanted(desk: Desk, hosts: Hosts, by: str) -> None:
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    if by == "settings":
        policy = desk.settings.verify.model_copy(update={"on_worse": "forward"})
        desk = replace(desk, settings=desk.settings.model_copy(update={"verify": policy}))
    else:
        desk = replace(desk, ask=lambda question, **_: "yes" if question == "forward" else None)
    with pytest.raises(NotRecovered) as caught:
        verification.verify(desk)
    assert "went forward again from 41 to 42" in caught.value.why
    step, variables = hosts.asked[-1]
    assert (step.phase, step.capabilities, step.hosts) == ("forward", ("rollback",), ("web1",))
    assert (variables["rollback_only"], variables["rollback_forward"]) == (["shop"], True)
    assert len(events(desk, "approved")) == (by == "a person")
    assert desk.incident().question is not None


def test_a_service_that_only_a_host_knows_is_not_gone_forward_with(desk: Desk, hosts: Hosts) -> None:
    forged = '{{ lookup("pipe", "id") }}'
    both = {"services": {name: {"from": "42", "to": "41"} for name in ("shop", forged)}}
    desk.note("host_outcome", phase="recover", **HostOutcome("web1", "rollback", "done", facts=both).__dict__)
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    policy = desk.settings.verify.model_copy(update={"on_worse": "forward"})
    desk = replace(desk, settings=desk.settings.model_copy(update={"verify": policy}))
    with pytest.raises(NotRecovered):
        verification.verify(desk)
    assert hosts.asked[-1][1]["rollback_only"] == ["shop"]


@pytest.mark.parametrize(
    "facts", [{}, {"services": ["shop"]}, {"services": {"shop": "41"}}, {"services": {"shop": {"from": ["\x1b[31m"]}}}]
)
def test_whatever_a_host_says_of_its_rollback_the_verdict_is_told(desk: Desk, hosts: Hosts, facts: Any) -> None:
    desk.note("host_outcome", phase="recover", **HostOutcome("web1", "rollback", "done", facts=facts).__dict__)
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    with pytest.raises(NotRecovered, match="worse after rollback"):
        verification.verify(desk)


@pytest.mark.parametrize("facts", [{"services": ["shop"]}, {"services": {"shop": "well"}}, {"services": None}])
def test_whatever_a_host_says_of_health_is_judged(desk: Desk, hosts: Hosts, facts: Any) -> None:
    hosts.rows = (HostOutcome("web1", "health_check", "unchanged", facts=facts),)
    with pytest.raises(NotRecovered):
        verification.verify(desk)


def test_what_came_after_a_rollback_is_not_answered_by_undoing_that(desk: Desk, hosts: Hosts) -> None:
    desk.note("decided", option="hotfix")
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    with pytest.raises(NotRecovered) as caught:
        verification.verify(desk)
    assert "forward" not in caught.value.why
    assert [step.phase for step, _ in hosts.asked] == ["verify"]


def test_no_change_after_a_rollback_does_not_go_forward(desk: Desk, hosts: Hosts) -> None:
    hosts.rows = (row("web1", "shop", seen(healthy=False), outcome="failed"),)
    policy = desk.settings.verify.model_copy(update={"on_worse": "forward"})
    desk = replace(desk, settings=desk.settings.model_copy(update={"verify": policy}))
    with pytest.raises(NotRecovered, match="no change after rollback"):
        verification.verify(desk)
    assert [step.phase for step, _ in hosts.asked] == ["verify"]


class Monitored:
    """A monitoring that gives a latency of 0.01 s before, 2 s during, and now one value after the other."""

    def __init__(self, *now: float | None) -> None:
        self.now, self.asked = list(now), list[Any]()

    def measured(self, _settings: Any, services: Any, spans: Any) -> Any:
        self.asked.append(list(spans))
        if None in spans:
            values: list[float | None] = [self.now.pop(0) if len(self.now) > 1 else self.now[0]]
        else:
            values = [0.01, 2.0][-len(spans) :]
        return {"latency": {name: list(values) for name in services}}, []


@pytest.fixture
def queried(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Desk, Monitored]]:
    def given(*now: float | None, within: float = 0.0) -> tuple[Desk, Monitored]:
        monitored = Monitored(*now)
        monkeypatch.setattr(monitoring, "measured", monitored.measured)
        monkeypatch.setattr(verification, "_LOOK_S", 0.01)
        asked = desk.settings.monitoring.model_copy(update={"queries": {"latency": "x_seconds"}})
        verify = desk.settings.verify.model_copy(update={"within": within})
        settings = desk.settings.model_copy(update={"monitoring": asked, "verify": verify})
        return replace(desk, settings=settings), monitored

    return given


def test_queries_are_asked_over_half_an_hour_before_the_onset_then_until_the_recovery_and_now(
    hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]]
) -> None:
    desk, monitored = queried(0.012)
    desk.note("step_finished", phase="diagnose", onset={"at": "2026-01-01T09:00:00+00:00", "source": "x"})
    verification.verify(desk)
    began = datetime(2026, 1, 1, 9, tzinfo=UTC).timestamp()
    recovery = next(phase.started_at for phase in desk.incident().phases if phase.name == "recover")
    until = datetime.fromisoformat(recovery).timestamp()
    assert monitored.asked == [[(began - 1800, began), (began, until)], [None]]
    assert "shop latency 12 ms (10 before, 2,000 during)" in events(desk, "verified")[0]["told"]


def test_without_a_known_onset_before_is_unknown(hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]]) -> None:
    desk, _monitored = queried(1.9)
    verification.verify(desk)
    assert "shop latency 1,900 ms (unknown before, 2,000 during)" in events(desk, "verified")[0]["told"]


def with_onset(desk: Desk, minutes_ago: int = 5) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
    desk.note("step_finished", phase="diagnose", onset={"at": at, "source": "x"})


def test_a_rate_that_forgets_slowly_is_waited_for(hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]]) -> None:
    desk, monitored = queried(1.9, 1.2, 0.012, within=60)
    with_onset(desk)
    verification.verify(desk)
    assert events(desk, "verified")[0]["verdict"] == "recovered"
    assert monitored.asked[1:] == [[None]] * 3


def test_what_stays_slow_is_no_recovery(hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]]) -> None:
    desk, _monitored = queried(1.9, within=0.1)
    with_onset(desk)
    with pytest.raises(NotRecovered, match="improved after rollback"):
        verification.verify(desk)
    assert desk.incident().question is not None


def test_what_is_sick_anyway_is_not_waited_for(hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]]) -> None:
    desk, monitored = queried(1.9, within=60)
    with_onset(desk)
    hosts.rows = (row("web1", "shop", seen(healthy=False), outcome="failed"),)
    with pytest.raises(NotRecovered):
        verification.verify(desk)
    assert monitored.asked[1:] == [[None]]


@pytest.mark.parametrize(("capability", "verdict"), [("maintenance_mode", "recovered"), ("rate_limit", "improved")])
def test_what_is_measured_of_users_who_are_kept_away_is_not_judged(
    hosts: Hosts, queried: Callable[..., tuple[Desk, Monitored]], capability: str, verdict: str
) -> None:
    desk, _monitored = queried(float("nan"))
    with_onset(desk)
    desk.note("containment_applied", host="web1", entry="000001-shop", capability=capability, target="shop")
    with contextlib.suppress(NotRecovered):
        verification.verify(desk)
    assert events(desk, "verified")[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("minutes_ago", "drill", "before", "verdict"),
    # What is noted in one millisecond has no order, so the onset that comes after is a minute ahead.
    [
        (-1, None, "9 before", "improved"),
        (5, None, "unknown before", "recovered"),
        (-1, "x", "unknown before", "recovered"),
    ],
)
def test_answers_are_held_against_recoveries_that_were_verified_before_the_onset(
    desk: Desk, hosts: Hosts, minutes_ago: int, drill: str | None, before: str, verdict: str
) -> None:
    def answering(ms: float) -> dict[str, Any]:
        return {**seen(), "p50_ms": ms, "probes": 20, "failures": 0}

    well = {"recovered": True, "services": {"web1": {"shop": answering(9.0)}}}
    desk.record.append("INC-20251231-0000-bbbb", "declared", {"drill": drill}, "ann")
    desk.record.append("INC-20251231-0000-bbbb", "verified", well, "ann")
    with_onset(desk, minutes_ago)
    hosts.rows = (row("web1", "shop", answering(900.0)),)
    with contextlib.suppress(NotRecovered):
        verification.verify(desk)
    (verified,) = events(desk, "verified")
    assert f"shop p50 900 ms ({before})" in verified["told"]
    assert verified["verdict"] == verdict


def mitigated(desk: Desk, contained: bool) -> None:
    desk.note("decided", option="mitigate")
    desk.note("step_started", phase="recover", capabilities=["rate_limit"], hosts=["web1"])
    entry = {"host": "web1", "entry": "000001-rate_limit-shop", "capability": "rate_limit", "target": "shop"}
    if contained:
        desk.note("containment_applied", **entry)
    desk.note("step_finished", phase="recover", outcome="done")


@pytest.mark.parametrize("healthy", [True, False])
def test_a_mitigation_that_is_in_place_is_verified_and_held_whatever_its_verdict(
    desk: Desk, hosts: Hosts, healthy: bool
) -> None:
    mitigated(desk, contained=True)
    hosts.rows = (row("web1", "shop", seen(healthy=healthy), outcome="unchanged" if healthy else "failed"),)
    verification.verify(desk)
    assert events(desk, "verified")[-1]["verdict"] == ("recovered" if healthy else "no_change")
    assert events(desk, "follow_up")[0]["text"] == "Schedule the proper fix, then lift the mitigation"
    with pytest.raises(DecisionAwaited, match="mitigated, not solved"):
        recovery.lift_unless_held(desk)


def test_a_mitigation_that_leaves_nothing_in_place_goes_on_if_it_helped(desk: Desk, hosts: Hosts) -> None:
    mitigated(desk, contained=False)
    verification.verify(desk)
    verification.unless_held(desk)
    assert events(desk, "follow_up")[0]["text"] == "Schedule the proper fix"


def test_the_proper_fix_is_followed_up_once_beside_whatever_else_is_to_be_followed_up(desk: Desk, hosts: Hosts) -> None:
    desk.note("follow_up", text="Ask the partner", owner="ada")
    mitigated(desk, contained=False)
    verification.verify(desk)
    verification.verify(desk)
    assert [row["text"] for row in events(desk, "follow_up")] == ["Ask the partner", "Schedule the proper fix"]


def test_a_mitigation_that_leaves_nothing_and_did_not_help_puts_the_question_anew(desk: Desk, hosts: Hosts) -> None:
    mitigated(desk, contained=False)
    hosts.rows = (row("web1", "shop", seen(healthy=False), outcome="failed"),)
    with pytest.raises(NotRecovered):
        verification.verify(desk)
    assert desk.incident().question is not None


def test_a_worse_mitigation_puts_the_question_anew_though_it_is_in_place(desk: Desk, hosts: Hosts) -> None:
    mitigated(desk, contained=True)
    hosts.rows = (row("web1", "shop", seen(rows=3)),)
    with pytest.raises(NotRecovered, match="worse after mitigate"):
        verification.verify(desk)


def by_playbook(desk: Desk, capability: str) -> None:
    desk.note("decided", option="custom", playbook="shed_load")
    desk.note("step_started", phase="recover", capabilities=["/srv/shed_load.yml"], hosts=["web1"])
    desk.note("host_outcome", phase="recover", host="web1", capability=capability, outcome="done")
    desk.note("containment_applied", host="web1", entry="000001-shop", capability=capability, target="shop")
    desk.note("step_finished", phase="recover", outcome="done")


def test_what_a_playbook_of_the_users_own_holds_a_cause_off_with_stays(desk: Desk, hosts: Hosts) -> None:
    by_playbook(desk, "rate_limit")
    verification.verify(desk)
    assert events(desk, "follow_up")[0]["text"] == "Schedule the proper fix, then lift the mitigation"
    with pytest.raises(DecisionAwaited, match="mitigated, not solved"):
        recovery.lift_unless_held(desk)
    assert standing.standing(desk.incident()).waits_for == "fix"


def test_what_it_only_secured_itself_with_is_lifted(desk: Desk, hosts: Hosts) -> None:
    by_playbook(desk, "maintenance_mode")
    verification.verify(desk)
    verification.unless_held(desk)


def test_a_playbook_of_the_users_own_that_did_not_help_puts_the_question_anew(desk: Desk, hosts: Hosts) -> None:
    by_playbook(desk, "rate_limit")
    hosts.rows = (row("web1", "shop", seen(healthy=False), outcome="failed"),)
    with pytest.raises(NotRecovered):
        verification.verify(desk)


def test_what_is_named_while_it_is_looked_at_after_the_lift_is_looked_at_as_well(
    desk: Desk, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.rows += (row("db1", "database", {"healthy": True}),)

    def joined(*words: Any, **how: Any) -> Outcome:
        if not events(desk, "note"):
            desk.note("note", text="slow", joined=True, affected=["database"])
        return hosts.run_step(*words, **how)

    monkeypatch.setattr(verification, "run_step", joined)
    verification.monitor(desk)
    assert [step.phase for step, _variables in hosts.asked] == ["monitor", "monitor"]
    assert "database" in hosts.asked[-1][1]["health_check_only"]


def test_what_is_seen_after_the_lift_is_the_last_word(desk: Desk, hosts: Hosts) -> None:
    verification.verify(desk)
    hosts.rows = (row("web1", "shop", seen(rows=1180)),)
    with pytest.raises(NotRecovered, match="worse after the containment was lifted"):
        verification.monitor(desk)
    verified = desk.incident().verified
    assert verified is not None
    assert (verified["verdict"], verified["recovered"]) == ("worse", False)
    assert "at" in verified


@pytest.mark.parametrize(("lifted", "window"), [(True, 30.0), (False, 1.0)])
def test_the_look_after_a_lift_is_as_long_as_the_one_before_it(
    desk: Desk, hosts: Hosts, lifted: bool, window: float
) -> None:
    if lifted:
        desk.note(
            "containment_lifted", host="web1", entry="000001-isolation-shop", capability="isolation", target="shop"
        )
    verification.monitor(desk)
    assert hosts.asked[-1][1]["health_check_window_s"] == window
