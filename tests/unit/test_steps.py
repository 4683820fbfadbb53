"""Steps: who goes on from host to host, and who does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from incidentctl import engine, processes
from incidentctl.desk import Desk
from incidentctl.errors import LockedError
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.record import open_record
from incidentctl.settings import Settings
from incidentctl.steps import run_rolling

ONE = "INC-20260101-0000-aaaa"
WEB = ("web1", "web2", "web3")


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


@pytest.mark.parametrize(("taken_after", "reached"), [(None, WEB), (1, ("web1",)), (2, ("web1", "web2"))])
def test_who_was_taken_over_goes_to_no_further_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_after: int | None, reached: tuple[str, ...]
) -> None:
    gone_to: list[str] = []
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append(ONE, "declared", {"severity": "high", "hosts": list(WEB)}, "bob")
        settings = Settings(state_dir=tmp_path, memory_bank=tmp_path)
        inventory = Inventory({host: frozenset() for host in WEB}, ())
        desk = Desk(ONE, record, settings, inventory, (), "bob", nobody, nobody)

        def run(step: Step, *_args: Any, **_kwargs: Any) -> Outcome:
            gone_to.extend(step.hosts)
            if len(gone_to) == taken_after:
                elsewhere = {**processes.myself(), "host": "another.example", "pid": 1}
                record.append(ONE, "locked", elsewhere, "ada")
            return Outcome(step, tuple(HostOutcome(host, "rollback", "done") for host in step.hosts), 0.1)

        monkeypatch.setattr(engine, "run", run)
        with record.hold(ONE, "bob"):
            if taken_after is None:
                run_rolling(desk, PlannedStep("recover", ("rollback",), WEB, ()), {})
            else:
                with pytest.raises(LockedError, match="taken over"):
                    run_rolling(desk, PlannedStep("recover", ("rollback",), WEB, ()), {})
        outcomes = [event.data["host"] for event in record.events(ONE) if event.kind == "host_outcome"]
    assert tuple(gone_to) == reached
    assert tuple(outcomes) == reached
