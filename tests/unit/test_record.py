"""The record: nothing is lost, tampering shows, two responders never act at once, errors are words."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl import processes
from incidentctl.errors import ConfigurationError, LockedError, UsageError
from incidentctl.incident import Event, fold
from incidentctl.processes import is_alive
from incidentctl.record import GENESIS, Record, RecordError, chain_hash, first_broken, open_record
from incidentctl.times import when

DRIVER = Path(__file__).resolve().parents[2] / "driver"
ONE = "INC-20260101-0000-aaaa"
NOBODY = 65534
COLUMNS = ("incident_id", "seq", "at", "actor", "kind", "data", "prev_hash", "hash")


@pytest.fixture
def record(url: str) -> Iterator[Record]:
    with open_record(url) as opened:
        yield opened


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """A file with an incident of 40 events, its rows as stored, and the head."""
    file = tmp_path_factory.mktemp("forty") / "record.db"
    with open_record(f"sqlite:///{file}") as opened:
        opened.append(ONE, "declared", {"title": "Kasse brennt — ✓"}, "ada")
        for number in range(39):
            opened.append(ONE, "note", {"text": f"Note {number}"}, "ada")
        head = opened.head(ONE)
        with sqlite3.connect(file) as raw:
            found = raw.execute(f"SELECT {', '.join(COLUMNS)} FROM event ORDER BY seq").fetchall()  # noqa: S608
        raw.close()
    return file, [dict(zip(COLUMNS, row, strict=True)) for row in found], head


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write everywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that everybody may enter and nobody but its owner may write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o700)


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write(file: Path, statement: str, *values: Any) -> None:
    """Change the file behind the record's back."""
    raw = sqlite3.connect(file)
    with raw:
        raw.execute(statement, values)
    raw.close()


def damage(file: Path, column: str, value: Any, rowid: int) -> None:
    """Put a value into one column, also a text that is no UTF-8."""
    if isinstance(value, str):
        raw, place = value.encode("utf-8", "surrogateescape"), "CAST(? AS TEXT)"
        write(file, f"UPDATE event SET {column} = {place} WHERE rowid = ?", raw, rowid)  # noqa: S608
    else:
        write(file, f"UPDATE event SET {column} = ? WHERE rowid = ?", value, rowid)  # noqa: S608


# --- appending and reading ------------------------------------------------------------------------


def test_what_was_appended_is_read_back_in_order(record: Record) -> None:
    written = [
        record.append(ONE, "declared", {"title": "Checkout down"}, "ada"),
        record.append(ONE, "note", {"text": "looking", "nested": {"b": [1, None, True], "a": 1.5}}, "bob"),
    ]
    assert record.events(ONE) == written
    assert [event.seq for event in written] == [1, 2]
    assert written[0].prev_hash == GENESIS
    assert written[1].prev_hash == written[0].hash == record.events(ONE)[0].hash
    assert record.head(ONE) == written[1].hash
    assert record.verify(ONE) is None


def test_times_are_utc_with_milliseconds(record: Record) -> None:
    at = record.append(ONE, "declared", {}, "ada").at
    assert at.endswith("+00:00")
    assert len(at) == len("2026-01-01T00:00:00.000+00:00")


@pytest.mark.parametrize(
    "text", ["a\0b", "\udc80\udcff", "\u202e\x1b[31m", "{{ lookup('pipe','id') }}", "'; DROP TABLE event;--"]
)
def test_typed_text_comes_back_as_it_was_typed(record: Record, text: str) -> None:
    record.append(ONE, "note", {"text": text, text: 1}, "ada")
    assert record.events(ONE)[0].data == {"text": text, text: 1}
    assert record.verify(ONE) is None


def test_an_actor_that_no_database_stores_is_spelled_out(record: Record) -> None:
    event = record.append(ONE, "note", {}, "a\0b\udc80")
    assert event.actor == "a\\x00b\\udc80"
    assert record.events(ONE) == [event]


PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


def test_any_plain_data_survives_the_round_trip() -> None:
    with open_record("sqlite://") as memory:

        @given(data=st.dictionaries(st.text(), PLAIN))
        @settings(max_examples=200)
        def survives(data: dict[str, Any]) -> None:
            assert memory.append(ONE, "note", data, "ada").data == data
            assert memory.events(ONE)[-1].data == data

        survives()
        assert memory.verify(ONE) is None


@pytest.mark.parametrize("data", [{"a": float("nan")}, {"a": object()}, {"a": {1, 2}}])
def test_data_that_is_not_json_is_an_error_in_words_and_leaves_nothing_behind(record: Record, data: Any) -> None:
    with pytest.raises(RecordError, match="cannot be recorded"):
        record.append(ONE, "note", data, "ada")
    assert record.events(ONE) == []
    assert record.incidents() == []


def test_an_unknown_kind_is_a_mistake_of_the_program(record: Record) -> None:
    with pytest.raises(ValueError, match="no such kind"):
        record.append(ONE, "nothing", {}, "ada")


def test_an_incident_is_declared_once(record: Record) -> None:
    record.append(ONE, "declared", {}, "ada")
    with pytest.raises(UsageError, match="declared already"):
        record.append(ONE, "declared", {}, "bob")
    assert len(record.events(ONE)) == 1


def test_the_record_outlives_its_process(path: Path) -> None:
    script = "import os, sys; from incidentctl.record import open_record\n"
    script += f"open_record(sys.argv[1]).append('{ONE}', 'note', {{'n': 1}}, 'ada'); os.kill(os.getpid(), 9)"
    process = run(script, f"sqlite:///{path}")
    process.communicate()
    assert process.returncode == -9
    with open_record(f"sqlite:///{path}") as opened:
        assert [event.data for event in opened.events(ONE)] == [{"n": 1}]
        assert opened.verify(ONE) is None


def test_every_commit_is_synced_and_readers_do_not_wait(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened, opened._engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


# --- finding --------------------------------------------------------------------------------------


def declare(record: Record, *names: str) -> None:
    for name in names:
        record.append(name, "declared", {}, "ada")


def test_earlier_events_of_a_kind_are_found_over_all_incidents_the_newest_first(record: Record) -> None:
    moments = []
    for name, text in ((ONE, "a"), ("INC-20260102-0000-bbbb", "b"), (ONE, "c")):
        moments.append(datetime.fromisoformat(record.append(name, "verified", {"told": text}, "ann").at))
        record.append(name, "note", {"text": "x"}, "ann")
        time.sleep(0.002)  # times are kept in milliseconds

    def found(before: datetime, most: int) -> list[Any]:
        return [event.data["told"] for event in record.earlier("verified", before, most, drills=True)]

    later = moments[-1] + timedelta(minutes=1)
    assert [found(later, 9), found(later, 2), found(moments[-1], 9)] == [["c", "b", "a"], ["c", "b"], ["b", "a"]]


def test_earlier_events_of_drills_can_be_left_out(record: Record) -> None:
    said = {"title": 'a "drill" of "drill"', "drill": None}
    for name, facts in (
        (ONE, said),
        ("INC-20260102-0000-bbbb", {"drill": "disk_full"}),
        ("INC-20260103-0000-cccc", {}),
    ):
        record.append(name, "declared", facts, "ada")
        record.append(name, "verified", {"told": name[-1]}, "ada")
    later = datetime.now(UTC) + timedelta(minutes=1)

    def found(most: int, drills: bool) -> list[Any]:
        return sorted(event.data["told"] for event in record.earlier("verified", later, most, drills=drills))

    assert found(2, drills=False) == ["a", "c"], "two that are none, however many drills came beside them"
    assert found(9, drills=True) == ["a", "b", "c"]


def test_the_newest_open_incident_is_meant_when_none_is_named(record: Record) -> None:
    declare(record, "INC-20260101-0000-aaaa", "INC-20260102-0000-bbbb", "INC-20260103-0000-cccc")
    assert record.incidents()[0] == "INC-20260103-0000-cccc"
    record.append("INC-20260103-0000-cccc", "closed", {}, "ada")
    assert record.find() == "INC-20260102-0000-bbbb"
    record.append("INC-20260103-0000-cccc", "reopened", {}, "ada")
    assert record.find() == "INC-20260103-0000-cccc"
    for name in record.incidents():
        record.append(name, "cancelled", {}, "ada")
    assert record.find() == "INC-20260103-0000-cccc"


def test_a_drill_is_meant_only_where_nothing_real_is_open(record: Record) -> None:
    """Else the decision about what burns would be carried out on what is practised."""
    declare(record, "INC-20260101-0000-aaaa")
    record.append("INC-20260102-0000-bbbb", "declared", {"drill": "disk_full"}, "bob")
    assert record.find() == "INC-20260101-0000-aaaa"
    assert record.find("INC-20260102") == "INC-20260102-0000-bbbb"
    record.append("INC-20260101-0000-aaaa", "closed", {}, "ada")
    assert record.find() == "INC-20260102-0000-bbbb"


def test_a_unique_beginning_names_an_incident_in_any_case(record: Record) -> None:
    declare(record, "INC-20260101-0000-aaaa", "INC-20260102-0000-bbbb")
    assert record.find("inc-20260101") == "INC-20260101-0000-aaaa"
    assert record.find("INC-20260102-0000-bbbb") == "INC-20260102-0000-bbbb"


@pytest.mark.parametrize("prefix", ["INC-2026", "INC-9", "%", ""])
def test_a_beginning_that_is_not_unique_names_what_there_is(record: Record, prefix: str) -> None:
    declare(record, "INC-20260101-0000-aaaa", "INC-20260102-0000-bbbb")
    with pytest.raises(UsageError) as caught:
        record.find(prefix)
    assert "INC-20260101-0000-aaaa" in caught.value.why
    assert caught.value.fix


def test_an_empty_record_says_how_to_begin(record: Record) -> None:
    with pytest.raises(UsageError, match="no incident yet"):
        record.find()


# --- tampering ------------------------------------------------------------------------------------


def flipped(value: Any, bit: int) -> Any:
    if isinstance(value, int):
        return value ^ (1 << bit)
    raw = bytearray(value.encode("utf-8"))
    raw[bit // 8] ^= 1 << (bit % 8)
    return raw.decode("utf-8", "surrogateescape")


def bits(value: Any) -> int:
    return 31 if isinstance(value, int) else 8 * len(value.encode("utf-8"))


def test_every_flipped_bit_shows(forty: tuple[Path, list[dict[str, Any]], str]) -> None:
    _file, rows, head = forty
    unnoticed = []
    for index, row in enumerate(rows):
        for column in COLUMNS[1:]:
            for bit in range(bits(row[column])):
                changed = [*rows[:index], {**row, column: flipped(row[column], bit)}, *rows[index + 1 :]]
                if first_broken(changed, head) != index + 1:
                    unnoticed.append((index, column, bit))
    assert unnoticed == []


def test_a_flipped_bit_in_the_file_shows_in_each_column_of_each_row(
    forty: tuple[Path, list[dict[str, Any]], str], tmp_path: Path
) -> None:
    file, rows, head = forty
    copy = tmp_path / "record.db"
    raw = sqlite3.connect(file)
    raw.execute("VACUUM INTO ?", (str(copy),))
    raw.close()
    chance = random.Random(40)  # noqa: S311
    with open_record(f"sqlite:///{copy}") as opened:
        assert opened.verify(ONE, head) is None
        for row in rows:
            for column in COLUMNS:
                # The low bits of a seq are other rows' seqs: there the database itself refuses.
                lowest = 6 if column == "seq" else 0
                value = flipped(row[column], chance.randrange(lowest, bits(row[column])))
                damage(copy, column, value, row["seq"])
                assert opened.verify(ONE, head) in (row["seq"], row["seq"] + 1)
                damage(copy, column, row[column], row["seq"])
        assert opened.verify(ONE, head) is None


@given(data=st.data())
@settings(max_examples=200)
def test_deleting_inserting_and_reordering_show(forty: Any, data: st.DataObject) -> None:
    _file, rows, head = forty
    at = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(st.integers(0, len(rows) - 1).filter(lambda index: index != at))
    swapped = list(rows)
    swapped[at], swapped[other] = rows[other], rows[at]
    forged = {**rows[at], "data": '{"text":"forged"}'}
    forged["hash"] = chain_hash(forged["prev_hash"], forged)
    for changed in (
        [*rows[:at], *rows[at + 1 :]],
        [*rows[:at], rows[other], *rows[at:]],
        [*rows[:at], forged, *rows[at:]],
        [*rows[:at], forged, *rows[at + 1 :]],
        swapped,
        [{**row, "seq": index} for index, row in enumerate(swapped, start=1)],
    ):
        assert first_broken(changed, head) is not None


@given(kept=st.integers(0, 39))
def test_a_cut_tail_shows_against_a_head_that_went_out(forty: Any, kept: int) -> None:
    _file, rows, head = forty
    assert first_broken(rows[:kept], head) == kept + 1
    assert first_broken(rows, rows[kept]["hash"]) is None, "a head from before is still part of the chain"


def test_a_chain_written_anew_shows_against_a_head_that_went_out(forty: Any) -> None:
    _file, rows, head = forty
    previous, anew = GENESIS, []
    for row in rows:
        forged = {**row, "actor": "eve", "prev_hash": previous}
        previous = forged["hash"] = chain_hash(previous, forged)
        anew.append(forged)
    assert first_broken(anew) is None
    assert first_broken(anew, head) is not None


def test_an_incident_whose_events_are_all_gone_is_broken(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        opened.append(ONE, "declared", {}, "ada")
        write(path, "DELETE FROM event")
        assert opened.verify(ONE) == 1


@pytest.mark.parametrize("data", ["{", "[]", "\ufffd", "[" * 100_000])
def test_damaged_data_is_an_error_in_words(path: Path, data: str) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        opened.append(ONE, "declared", {}, "ada")
        write(path, "UPDATE event SET data = ?", data)
        with pytest.raises(RecordError, match=f"Event 1 of {ONE} is damaged"):
            opened.events(ONE)
        assert opened.verify(ONE) == 1


# --- several at once ------------------------------------------------------------------------------


WRITER = f"""
import sys
from incidentctl.record import open_record
with open_record(sys.argv[1]) as record:
    for number in range(100):
        record.append({ONE!r}, "note", {{"n": number}}, sys.argv[2])
"""


def test_three_writers_at_once_leave_no_gap_and_no_collision(path: Path) -> None:
    writers = [run(WRITER, f"sqlite:///{path}", name) for name in ("ada", "bob", "eve")]
    for writer in writers:
        _said, complaints = writer.communicate(timeout=120)
        assert (writer.returncode, complaints) == (0, "")
    with open_record(f"sqlite:///{path}") as opened:
        events = opened.events(ONE)
        assert [event.seq for event in events] == list(range(1, 301))
        for name in ("ada", "bob", "eve"):
            assert [event.data["n"] for event in events if event.actor == name] == list(range(100))
        assert opened.verify(ONE, opened.head(ONE)) is None


HOLDER = f"""
import sys
from incidentctl.record import open_record
with open_record(sys.argv[1]) as record, record.hold({ONE!r}, "bob"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder_of(events: list[Event]) -> Any:
    return fold(events).holder


def test_a_lock_is_held_for_the_body_and_let_go_after_an_error(record: Record) -> None:
    declare(record, ONE)
    held = []

    def work() -> None:
        with record.hold(ONE, "ada") as locked:
            held.append((locked.kind, holder_of(record.events(ONE))["pid"]))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert held == [("locked", os.getpid())]
    assert holder_of(record.events(ONE)) is None
    assert record.events(ONE)[-1].kind == "unlocked"


def test_a_second_responder_is_told_who_is_at_work(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        other = run(HOLDER, f"sqlite:///{path}")
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        before = len(opened.events(ONE))
        with pytest.raises(LockedError) as caught, opened.hold(ONE, "ada"):
            pytest.fail("held by two")
        assert caught.value.exit_code == 13
        for word in ("bob", str(other.pid), os.uname().nodename, when(opened.events(ONE)[-1].at)):
            assert word in str(caught.value)
        assert caught.value.fix
        assert len(opened.events(ONE)) == before
        other.communicate("\n", timeout=30)
        with opened.hold(ONE, "ada"):
            pass


@pytest.mark.parametrize("reaped", [True, False])
def test_the_lock_of_a_killed_process_is_taken_over(path: Path, reaped: bool) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        other = run(HOLDER, f"sqlite:///{path}")
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        if reaped:
            other.communicate()
        else:
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with opened.hold(ONE, "ada"):
            assert holder_of(opened.events(ONE))["actor"] == "ada"
        other.communicate()


def test_an_incident_whose_responder_was_killed_is_cut_off_and_free(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        other = run(HOLDER, f"sqlite:///{path}")
        assert other.stdout is not None
        other.stdout.readline()
        opened.append(ONE, "step_started", {"phase": "contain"}, "bob")
        assert opened.incident(ONE).holder is not None
        assert opened.incident(ONE).phases[-1].state == "running"
        other.kill()
        other.communicate()
        assert opened.incident(ONE).holder is None
        assert opened.incident(ONE).phases[-1].state == "interrupted"
        with opened.hold(ONE, "ada") as locked:
            assert locked.data["cut_off"] == other.pid
        with opened.hold(ONE, "ada") as locked:
            assert "cut_off" not in locked.data


ELSEWHERE = {"host": "another.example", "machine": "another", "boot_id": "another", "pid": 2**22 + 1}


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({}, True),
        ({"host": "another.example"}, True),
        ({"host": "another.example", "pid": 2**22 + 1}, True),
        (ELSEWHERE, True),
        ({"machine": "another of the same name", "boot_id": "its own"}, True),
        ({"pids": "pid:[1]"}, True),  # another container
        ({"pids": "pid:[1]", "pid": 2**22 + 1}, True),
        ({"boot_id": "before the reboot"}, False),
        ({"boot_id": "before the reboot", "pids": "pid:[1]"}, False),
        ({"started": 1}, False),  # its number was given to another process
        ({"pid": 2**22 + 1}, False),
        ({"pid": None}, False),
        ({"pid": "../self"}, False),
    ],
)
def test_a_holder_counts_as_alive_unless_its_process_is_known_to_be_gone(
    record: Record, change: dict[str, Any], alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_machine_with_an_id(monkeypatch)
    declare(record, ONE)
    with record.hold(ONE, "ada") as mine:
        pass
    record.append(ONE, "locked", {**mine.data, **change}, "bob")
    if alive:
        with pytest.raises(LockedError, match="bob is at work"), record.hold(ONE, "ada"):
            pytest.fail("held by two")
    else:
        with record.hold(ONE, "ada"):
            pass


def on_a_machine_with_an_id(monkeypatch: pytest.MonkeyPatch, number: str = "4711") -> None:
    read = processes._read
    monkeypatch.setattr(processes, "_read", lambda path: number if path == "/etc/machine-id" else read(path))


def test_without_a_machine_id_another_boot_may_be_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine_with_an_id(monkeypatch, "")
    assert is_alive({**processes.myself(), "boot_id": "another"})


def test_a_lock_from_another_host_is_taken_over_by_who_names_it(record: Record) -> None:
    declare(record, ONE)
    first = record.append(ONE, "locked", {**processes.myself(), **ELSEWHERE}, "bob")
    for wrong in (None, first.seq + 1):
        with pytest.raises(LockedError) as caught, record.hold(ONE, "ada", take_over=wrong):
            pytest.fail("held by two")
        assert f"incidentctl resume {ONE} --take-over" in caught.value.fix
    with record.hold(ONE, "ada", take_over=first.seq) as locked:
        assert locked.data["taken_from"] == {
            "actor": "bob", "pid": ELSEWHERE["pid"], "host": ELSEWHERE["host"], "at": first.at,
        }  # fmt: skip
        assert locked.data["cut_off"] == ELSEWHERE["pid"]
    record.append(ONE, "locked", {**processes.myself(), **ELSEWHERE}, "bob")
    with pytest.raises(LockedError, match="bob"), record.hold(ONE, "ada", take_over=first.seq):
        pytest.fail("it was given for the lock before this one")


def test_who_lives_on_this_machine_is_never_taken_over(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        other = run(HOLDER, f"sqlite:///{path}")
        assert other.stdout is not None
        other.stdout.readline()
        holder = holder_of(opened.events(ONE))
        with pytest.raises(LockedError) as caught, opened.hold(ONE, "ada", take_over=holder["seq"]):
            pytest.fail("held by two")
        assert "--take-over" not in caught.value.fix
        other.communicate("\n", timeout=30)


def test_who_was_taken_over_after_all_begins_and_decides_nothing_more(record: Record) -> None:
    declare(record, ONE)
    with record.hold(ONE, "bob"):
        record.append(ONE, "step_started", {"phase": "contain"}, "bob")
        taken = record.append(ONE, "locked", {**processes.myself(), **ELSEWHERE}, "ada")
        for write in (
            lambda: record.append(ONE, "step_started", {"phase": "recover"}, "bob"),
            lambda: record.append_if(ONE, "decided", {"option": "rollback"}, "bob", lambda _: True),
            lambda: record.must_be_ours(ONE),
        ):
            with pytest.raises(LockedError, match="taken over"):
                write()
        record.append(ONE, "host_outcome", {"phase": "contain"}, "bob")  # what was done is true all the same
    assert record.events(ONE)[-1].kind == "unlocked"
    assert holder_of(record.events(ONE))["seq"] == taken.seq


def test_where_there_is_no_proc_a_process_is_alive_while_its_number_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incidentctl.processes._read", lambda _path: "")
    mine = {"host": os.uname().nodename, "boot_id": "", "started": None}
    assert is_alive({**mine, "pid": os.getpid()})
    assert is_alive({**mine, "pid": 1})
    assert not is_alive({**mine, "pid": 2**22 + 1})
    assert not is_alive({**mine, "pid": None})
    assert is_alive({**mine, "host": "another.example", "pid": None})


def test_of_many_who_want_the_lock_one_at_a_time_has_it(path: Path) -> None:
    script = f"""
import sys, time
from incidentctl.errors import LockedError
from incidentctl.record import open_record
done = 0
with open_record(sys.argv[1]) as record:
    while done < 10:
        try:
            with record.hold({ONE!r}, sys.argv[2]):
                done += 1
        except LockedError:
            time.sleep(0.001)
"""
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        processes = [run(script, f"sqlite:///{path}", name) for name in ("ada", "bob", "eve")]
        for process in processes:
            _said, complaints = process.communicate(timeout=120)
            assert (process.returncode, complaints) == (0, "")
        kinds = [(event.kind, event.actor) for event in opened.events(ONE)[1:]]
    assert len(kinds) == 60
    for locked, unlocked in zip(kinds[::2], kinds[1::2], strict=True):
        assert (locked[0], unlocked[0], locked[1]) == ("locked", "unlocked", unlocked[1])


# --- files and their errors -----------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_can_read_whatever_the_umask(path: Path, umask: int) -> None:
    earlier = os.umask(umask)
    try:
        with open_record(f"sqlite:///{path.parent / 'deeper' / path.name}") as opened:
            declare(opened, ONE)
            files = sorted(file for file in path.parent.rglob("*") if file.is_file())
            assert [file.name for file in files] == ["record.db", "record.db-shm", "record.db-wal"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            folders = {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent / "deeper")}
            assert folders == {0o700}
    finally:
        os.umask(earlier)


def test_a_file_that_others_could_read_is_closed_to_them_and_a_folder_of_others_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "record.db"
    file.touch(0o644)
    file.chmod(0o644)
    with open_record(f"sqlite:///{file}"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_opening_it_again_keeps_the_locks_of_the_first(path: Path) -> None:
    """Closing any descriptor of a file drops all its POSIX locks, also those that SQLite holds."""
    with open_record(f"sqlite:///{path}") as first:
        declare(first, ONE)
        with first._transaction(writes=True) as connection:
            connection.exec_driver_sql("DELETE FROM event WHERE 0")
            with open_record(f"sqlite:///{path}"):
                pass
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
            _said, complaints = run(script, str(path)).communicate()
            other.close()
    assert "locked" in complaints


def expect_words(url: str, word: str) -> None:
    with pytest.raises(RecordError, match="cannot be used") as caught, open_record(url) as opened:
        opened.append(ONE, "note", {}, "ada")
    assert word in str(caught.value).lower()
    assert caught.value.fix
    assert caught.value.exit_code == 1


def test_a_read_only_folder_is_an_error_in_words(readable_folder: Path) -> None:
    with unprivileged():
        expect_words(f"sqlite:///{readable_folder}/record.db", "permission denied")
        expect_words(f"sqlite:///{readable_folder}/state/record.db", "permission denied")


def test_a_read_only_file_is_an_error_in_words(readable_folder: Path) -> None:
    readable_folder.chmod(0o755)
    file = readable_folder / "record.db"
    with open_record(f"sqlite:///{file}") as opened:
        declare(opened, ONE)
    file.chmod(0o444)
    readable_folder.chmod(0o555)
    with unprivileged(), pytest.raises(RecordError) as caught, open_record(f"sqlite:///{file}") as opened:
        opened.append(ONE, "note", {}, "ada")
    assert caught.value.fix


def test_a_file_in_the_folder_s_place_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    expect_words(f"sqlite:///{tmp_path}/state/record.db", "")


def test_a_link_in_the_file_s_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "record.db").symlink_to(tmp_path / "elsewhere")
    expect_words(f"sqlite:///{tmp_path}/record.db", "not a regular file")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_no_database_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "record.db").write_bytes(b"no database at all\n" * 100)
    expect_words(f"sqlite:///{tmp_path}/record.db", "not a database")


def test_a_full_disk_is_an_error_in_words_and_loses_nothing(path: Path) -> None:
    with open_record(f"sqlite:///{path}") as opened:
        declare(opened, ONE)
        sa.event.listen(opened._engine, "begin", lambda c: c.exec_driver_sql("PRAGMA max_page_count = 8"))
        with pytest.raises(RecordError, match="full") as caught:
            opened.append(ONE, "note", {"text": "x" * 100_000}, "ada")
        assert "free some space" in caught.value.fix
        assert [event.kind for event in opened.events(ONE)] == ["declared"]
        assert opened.verify(ONE) is None


@pytest.mark.parametrize(
    "url", ["", "record.db", "mysql://x/y", "sqlite:///file:x?uri=true", "nothing://", "postgresql+nodriver://h/d"]
)
def test_a_url_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_record(url)
    assert caught.value.fix


def test_the_url_s_password_is_never_told() -> None:
    for url in ("mysql://ada:hunter2@host/db", "postgresql+psycopg://ada:hunter2@localhost:1/db", "://ada:hunter2@"):
        with pytest.raises((ConfigurationError, RecordError)) as caught:
            open_record(url)
        assert "hunter2" not in str(caught.value)
