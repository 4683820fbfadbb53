"""Hosts that do not answer, or not well: what is not known of them is told, and neither forgotten nor in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import engine, notify, session, unrecorded, workflow
from incidentctl.desk import Desk
from incidentctl.errors import Partial, RefusedError, UsageError
from incidentctl.incident import interrupted
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import recovery
from incidentctl.plan import Inventory
from incidentctl.record import RecordError, open_record
from incidentctl.session import Session
from incidentctl.settings import Settings
from incidentctl.steps import Interrupted

SHOP = "isolation/shop"
ONE = "INC-20260101-0000-aaaa"
CUT_OFF = {"phase": "isolation", "capabilities": ["isolation"], "hosts": ["web1", "web2"]}


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


@dataclass
class Fleet:
    """Ansible's place is taken by what each host answers: its open entries, or None where it does not."""

    open: dict[str, list[str] | None]
    fails: set[str] = field(default_factory=set)  # what cannot be taken back
    stopped: bool = False
    runs: list[Step] = field(default_factory=list)

    def run(self, step: Step, *_args: Any, **_kwargs: Any) -> Outcome:
        assert step.hosts, "Ansible would say that there is none"
        self.runs.append(step)
        return Outcome(step, tuple(self._row(host, step) for host in step.hosts), 0.1, interrupted=self.stopped)

    def _row(self, host: str, step: Step) -> HostOutcome:
        there = self.open[host]
        if there is None:
            return HostOutcome(host, "lift", "unreachable", "no route to host")
        entries = [{"entry": name, "capability": name.split("-")[1], "target": "shop"} for name in there]
        meant = [one["entry"] for one in entries if _is_meant(one, step.variables.get("lift_only"))]
        lifted = [] if step.check else [name for name in meant if name not in self.fails]
        left = [name for name in there if name not in lifted]
        failed = not step.check and set(meant) & self.fails
        self.open[host] = left
        facts = {"open": left, "entries": entries, "lifted": lifted}
        return HostOutcome(host, "lift", "failed" if failed else "done", "it is stuck" if failed else "", facts=facts)


def _is_meant(entry: dict[str, str], only: list[str] | None) -> bool:
    return not only or f"{entry['capability']}/{entry['target']}" in only


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    found = Fleet({"web1": [], "web2": []})
    monkeypatch.setattr(engine, "run", found.run)
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append(ONE, "declared", {"severity": "high", "hosts": ["web1", "web2"]}, "ann")
        settings = Settings(state_dir=tmp_path, memory_bank=tmp_path / "memory")
        inventory = Inventory({"web1": frozenset(), "web2": frozenset()}, ())
        yield Desk(ONE, record, settings, inventory, (), "ann", nobody, nobody)
        notify.wait()  # what is on its way reads the record


def asked(desk: Desk) -> None:
    with workflow.at_work(desk):
        pass


def cancel(desk: Desk) -> None:
    session.remark(Session(desk.settings, desk.record, "ann"), ONE, "cancelled", reason="a false alarm")


def test_a_cut_off_isolation_stays_so_until_all_its_hosts_have_answered(desk: Desk, fleet: Fleet) -> None:
    desk.note("step_started", **CUT_OFF)
    fleet.open["web2"] = None
    for _again in range(2):
        asked(desk)
        assert interrupted(desk.incident()) is not None
        with pytest.raises(RefusedError, match="isolation was cut off"):
            cancel(desk)
    assert len(fleet.runs) == 2, "each command asks anew"
    fleet.open["web2"] = []
    asked(desk)
    assert interrupted(desk.incident()) is None
    asked(desk)
    assert len(fleet.runs) == 3, "and none once all is known"
    cancel(desk)


def test_whom_ctrl_c_kept_from_asking_the_hosts_asks_them_the_next_time(desk: Desk, fleet: Fleet) -> None:
    desk.note("step_started", **CUT_OFF)
    fleet.stopped = True
    with pytest.raises(Interrupted):
        asked(desk)
    with pytest.raises(RefusedError, match="isolation was cut off"):
        cancel(desk)
    fleet.stopped = False
    fleet.open["web2"] = ["000001-isolation-shop"]
    asked(desk)
    with pytest.raises(RefusedError, match="1 containment"):
        cancel(desk)


@pytest.mark.parametrize("stay", [(), ("web1",)])
def test_an_incident_can_be_closed_though_its_hosts_are_gone_from_the_inventory(
    desk: Desk, fleet: Fleet, stay: tuple[str, ...]
) -> None:
    desk.note("step_started", **CUT_OFF)
    left = replace(desk, inventory=Inventory({host: frozenset() for host in (*stay, "db1")}, ()))
    gone = [f"{host}: not_attempted: not in the inventory" for host in ("web1", "web2") if host not in stay]
    asked(left)
    with pytest.raises(RefusedError, match=rf"{len(gone)} host\(s\) did not say") as refused:
        recovery.close(left)
    assert refused.value.why.splitlines() == gone
    recovery.close(left, "they were taken down")
    (closed,) = (event.data for event in desk.record.events(ONE) if event.kind == "closed")
    assert closed == {"left_contained": "they were taken down", "left": [], "not_asked": gone}
    assert [step.hosts for step in fleet.runs] == ([stay] * 3 if stay else [])


def without_record(desk: Desk, *only: str) -> None:
    unrecorded.lift(unrecorded.of_desk(desk), desk.settings, RecordError("The disk is full"), nobody, only)


def with_record(desk: Desk, *only: str) -> None:
    recovery.lift_only(desk, only)


@pytest.mark.parametrize("lift", [without_record, with_record])
def test_an_entry_that_may_be_on_a_silent_host_is_not_said_to_be_nowhere(desk: Desk, fleet: Fleet, lift: Any) -> None:
    fleet.open["web2"] = None
    with pytest.raises(Partial, match="no such entry is open on the hosts that answered") as partial:
        lift(desk, SHOP)
    assert "web2: unreachable: no route to host" in partial.value.why
    fleet.open["web2"] = []
    with pytest.raises(UsageError, match="no such entry is open"):
        lift(desk, SHOP)
    assert all(step.check for step in fleet.runs), "nothing was done"


def test_lifting_without_the_record_tells_who_did_not_answer_though_the_entry_was_found_elsewhere(
    desk: Desk, fleet: Fleet
) -> None:
    fleet.open.update({"web1": ["000001-isolation-shop", "000002-rate_limit-shop"], "web2": None})
    with pytest.raises(Partial, match="not everything could be taken back") as partial:
        without_record(desk, SHOP)
    assert partial.value.why == "web2: unreachable: no route to host"
    assert partial.value.fix == f"incidentctl lift {ONE} --only {SHOP} tries again"
    assert fleet.open["web1"] == ["000002-rate_limit-shop"]


@pytest.mark.parametrize("lift", [without_record, with_record])
def test_an_entry_that_cannot_be_taken_back_keeps_no_other_from_it(desk: Desk, fleet: Fleet, lift: Any) -> None:
    fleet.open["web1"] = ["000001-isolation-shop", "000002-rate_limit-shop"]
    fleet.fails.add("000001-isolation-shop")
    with pytest.raises(Partial, match="not everything could be taken back") as partial:
        lift(desk, SHOP, "rate_limit/shop")
    assert partial.value.why == "web1: failed: it is stuck"
    assert partial.value.fix.startswith(f"incidentctl lift {ONE} --only {SHOP} tries again")
    assert fleet.open["web1"] == ["000001-isolation-shop"]
    assert lift is without_record or [row["target"] for row in desk.incident().contained] == ["shop"]


def test_what_was_lifted_later_is_no_trouble_any_more(desk: Desk, fleet: Fleet) -> None:
    fleet.open["web1"] = ["000001-isolation-shop"]
    fleet.fails.add("000001-isolation-shop")
    with pytest.raises(Partial):
        with_record(desk, SHOP)
    trouble = ["web1: lift failed: it is stuck"]
    assert workflow._left_behind(desk.incident()) == trouble
    recovery.lift(replace(desk, limit=("web2",)))
    assert workflow._left_behind(desk.incident()) == trouble, "it was another host"
    fleet.fails.clear()
    recovery.lift(desk)
    assert workflow._left_behind(desk.incident()) == []
    fleet.open["web1"] = ["000002-isolation-shop"]
    fleet.fails.add("000002-isolation-shop")
    with pytest.raises(Partial):
        with_record(desk, SHOP)
    assert workflow._left_behind(desk.incident()) == trouble, "it was contained anew"
