"""A record that fails in the middle: what happened is told, and nothing beside it makes noise."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentctl import engine, files, notify
from incidentctl.desk import Desk
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.record import Record, RecordError, open_record
from incidentctl.settings import Settings
from incidentctl.steps import run_rolling, run_step

ONE = "INC-20260101-0000-aaaa"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as opened:
        opened.append(ONE, "declared", {"severity": "high"}, "ada")
        yield opened


def spoil(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "record.db")
    with raw:
        raw.execute("DROP TABLE event")
    raw.close()


def test_what_went_wrong_is_told_also_when_the_lock_cannot_be_given_back(record: Record, tmp_path: Path) -> None:
    def work() -> None:
        with record.hold(ONE, "ada"):
            spoil(tmp_path)
            raise KeyError("this")

    with pytest.raises(KeyError, match="this"):
        work()


def test_a_lock_that_cannot_be_given_back_after_all_went_well_is_told(record: Record, tmp_path: Path) -> None:
    def work() -> None:
        with record.hold(ONE, "ada"):
            spoil(tmp_path)

    with pytest.raises(RecordError):
        work()


def test_an_outbox_without_a_record_says_nothing(record: Record, tmp_path: Path) -> None:
    spoil(tmp_path)
    settings = Settings(state_dir=tmp_path, memory_bank=tmp_path)
    with pytest.raises(RecordError):
        notify.deliver(record, ONE, settings)
    notify._beside(record, ONE, settings)


def test_an_outbox_without_a_folder_says_nothing(record: Record, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    settings = Settings(state_dir=tmp_path / "state", memory_bank=tmp_path)
    with pytest.raises(OSError, match="state"):
        notify.deliver(record, ONE, settings)
    notify._beside(record, ONE, settings)


def test_a_disk_is_asked_what_its_trouble_is(tmp_path: Path) -> None:
    assert files.trouble(tmp_path) is None
    assert list(tmp_path.iterdir()) == [], "nothing of the probe stays"
    gone = files.trouble(tmp_path / "gone")
    assert gone is not None
    assert gone.errno == errno.ENOENT
    assert files.way_out(gone) == ""
    for number in (errno.ENOSPC, errno.EROFS, errno.EIO):
        assert "INCIDENTCTL_STATE_DIR" in files.way_out(OSError(number, os.strerror(number)))


def test_an_intent_that_is_refused_starts_nothing(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(engine, "run", lambda *words, **_more: started.append(words))
    desk = Desk(
        ONE,
        record,
        Settings(state_dir=tmp_path, memory_bank=tmp_path),
        Inventory({"web1": frozenset()}, ()),
        (),
        "ada",
        show=lambda _kind, **_facts: None,
        ask=lambda _question, **_facts: None,
    )
    spoil(tmp_path)
    for run in (run_step, run_rolling):
        with pytest.raises(RecordError):
            run(desk, PlannedStep("contain", ("isolation",), ("web1",), ()), {})
    assert started == []
