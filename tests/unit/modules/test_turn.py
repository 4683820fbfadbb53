"""One act at a time on a host: who comes next waits, says for whom, and takes over at once when the other dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _act, _command, _ledger, _turn
from tests.small_service import as_nobody, open_folder

ROOT = next(path for path in sys.path if (Path(path) / "ansible_collections" / "incidentctl").is_dir())
# What another process does with its turn is its last word: hold it, or run a command that outlives it.
HOLDER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.incidentctl.response.plugins.module_utils import _command, _ledger, _turn
_ledger.VOLATILE_DIR = sys.argv[3]
with _turn.held({"incident_id": "INC-1", "state_dir": sys.argv[2]}, "isolation", True):
    print("held", flush=True)
    _command.run(json.loads(sys.argv[4]))
"""
HOLD = ["sleep", "60"]
AT_ONCE_S = 20.0  # mostly 0.1, but a machine may be busy; what is not at once takes one or two minutes

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return {"incident_id": "INC-2", "state_dir": str(tmp_path / "state")}


@pytest.fixture
def start(params: dict[str, Any]) -> Iterator[Start]:
    """Start another process that has its turn on this host, in INC-1, and runs a command in it."""
    started: list[subprocess.Popen[str]] = []

    def holder(command: list[str] | None = None) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", HOLDER, ROOT, params["state_dir"], _ledger.VOLATILE_DIR]
        process = subprocess.Popen([*argv, json.dumps(command or HOLD)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield holder
    for process in started:
        told = Path(params["state_dir"], "turn").read_text() or "{}"
        process.kill()
        process.communicate()
        for pid in filter(None, [json.loads(told).get("command", {}).get("pid")]):
            end(pid)


class Held:
    """A command that goes on until whoever waits here for the turn of its act has looked for it so many times."""

    def __init__(self, go_on: Path) -> None:
        self.go_on, self.looks, self.most = go_on, 0, 5
        self.command = ["sh", "-c", f"until [ -e {go_on} ]; do sleep 0.02; done"]

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        self.looks += 1
        if self.looks % self.most == 0:
            self.go_on.touch()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held(tmp_path / "go-on")
    monkeypatch.setattr(_turn, "time", types.SimpleNamespace(monotonic=time.monotonic, sleep=held.sleep))
    return held


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def command_of(params: dict[str, Any]) -> int:
    """Wait until the holder says which command it runs; return that one's id."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = json.loads(Path(params["state_dir"], "turn").read_text() or "{}")
        if "command" in told:
            return int(told["command"]["pid"])
        time.sleep(0.01)
    raise TimeoutError("the holder does not say what it runs")


@pytest.mark.parametrize("acts", [True, False])
def test_who_comes_while_an_act_is_under_way_waits_for_its_end_and_says_for_whom(
    params: dict[str, Any], start: Start, held: Held, acts: bool
) -> None:
    other = start(held.command)
    with _turn.held(params, "lift", acts) as waited:
        assert held.go_on.exists()
        assert other.wait(60) == 0
    assert waited is not None
    assert waited["seconds"] >= 0.4
    assert f"isolation of INC-1 (pid {other.pid}, since " in waited["for"]
    assert "killed" not in waited["for"]


def test_who_does_not_wait_says_nothing(params: dict[str, Any]) -> None:
    for _ in range(2):
        with _turn.held(params, "isolation", True) as waited:
            assert waited is None


def test_an_act_that_does_not_end_is_told_by_its_name(
    params: dict[str, Any], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start()
    monkeypatch.setattr(_turn, "_WAIT_S", 0.2)
    told = rf"^isolation of INC-1 \(pid {other.pid}, since 20.* UTC\) is still at work on this host.*Fix: wait"
    with pytest.raises(OSError, match=told), _turn.held(params, "rollback", True):
        pytest.fail("two at a time")


def test_who_resumes_an_incident_waits_as_long_as_what_it_began_may_take(
    params: dict[str, Any], start: Start, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_turn, "_WAIT_S", 1.0)
    held.most = 15
    for is_killed in (False, True):
        held.go_on.unlink(missing_ok=True)
        other = start(held.command)
        command_of(params)
        if is_killed:
            other.kill()
            other.wait()
        with _turn.held({**params, "incident_id": "INC-1"}, "hotfix", True) as waited:
            assert waited is not None
            assert waited["seconds"] > 1.0


def test_a_moment_in_which_the_holder_has_no_name_ends_no_wait(
    params: dict[str, Any], start: Start, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_turn, "_WAIT_S", 1.0)
    held.most = 25
    start(held.command)
    command_of(params)
    read = _turn._may_take_longer

    def once_lost(descriptor: int, incident: str) -> bool:  # as when it has cleared its name, and not yet let go
        return not 15 < held.looks < 18 and read(descriptor, incident)

    monkeypatch.setattr(_turn, "_may_take_longer", once_lost)
    with _turn.held({**params, "incident_id": "INC-1"}, "hotfix", True) as waited:
        assert waited is not None
    assert held.looks >= 25


def test_no_one_waits_for_ever_whatever_the_file_says(
    params: dict[str, Any], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_turn, "_WAIT_S", 0.2)
    monkeypatch.setattr(_turn, "_OWN_WAIT_S", 0.4)
    start()
    command_of(params)
    with (
        pytest.raises(OSError, match="still at work"),
        _turn.held({**params, "incident_id": "INC-1"}, "hotfix", True),
    ):
        pytest.fail("two at a time")


def test_who_is_killed_is_replaced_at_once_twenty_times(params: dict[str, Any], start: Start) -> None:
    for _ in range(20):
        other = start()
        command = command_of(params)
        os.kill(other.pid, signal.SIGKILL)
        end(command)
        began = time.monotonic()
        with _turn.held(params, "isolation", True):
            assert time.monotonic() - began < AT_ONCE_S
            assert json.loads(Path(params["state_dir"], "turn").read_text())["pid"] == os.getpid()


def test_the_command_that_a_killed_act_left_running_is_waited_for(
    params: dict[str, Any], start: Start, held: Held, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    other = start(["sh", "-c", f"{held.command[-1]}; touch {ended}"])
    command_of(params)
    other.kill()
    other.wait()
    with _turn.held(params, "lift", False) as waited:
        assert ended.exists()
    assert waited is not None
    assert "INC-1" in waited["for"]
    assert "killed, but what it started goes on" in waited["for"]


def test_a_command_that_would_have_been_ended_long_ago_holds_nobody_up(params: dict[str, Any], start: Start) -> None:
    other = start()
    command_of(params)
    other.kill()
    other.wait()
    path = Path(params["state_dir"], "turn")
    told = json.loads(path.read_text())
    told["command"]["until"] = time.monotonic() - 1
    path.write_text(json.dumps(told))
    with _turn.held(params, "lift", True) as waited:
        assert waited is None
    end(told["command"]["pid"])


def test_a_daemon_that_a_command_left_holds_nobody_up(params: dict[str, Any], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with _turn.held(params, "lift", True):
        assert _command.run(["sh", "-c", f"sleep 30 & echo $! > {pid}"]).ok
    try:
        with _turn.held(params, "isolation", True) as waited:
            assert waited is None
    finally:
        end(int(pid.read_text()))


def test_the_file_says_who_is_at_work_and_is_empty_after(params: dict[str, Any]) -> None:
    path = Path(params["state_dir"], "turn")
    with _turn.held(params, "isolation", True):
        told = json.loads(path.read_text())
        assert (told["incident"], told["capability"], told["pid"]) == ("INC-2", "isolation", os.getpid())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == ""


def test_who_only_looks_leaves_nothing(params: dict[str, Any]) -> None:
    with _turn.held(params, "lift", False):
        assert not Path(params["state_dir"]).exists()
    assert not Path(_ledger.VOLATILE_DIR).exists()


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"\xff", b'{"pid": "x"}', b"null", b'{"pid": 1}', b'{"pid": Infinity}',
        *(b'{"incident": "I", "capability": "lift", "since": "2", "pid": 1, "command": %s}' % left
          for left in (b"1", b'"x"', b"{}", b'{"pid": 1, "born": "1"}', b'{"pid": 1, "born": "1", "until": "soon"}')),
    ],
)  # fmt: skip
def test_a_torn_file_keeps_nobody_from_a_turn(params: dict[str, Any], text: bytes) -> None:
    path = Path(params["state_dir"], "turn")
    path.parent.mkdir()
    path.write_bytes(text)
    with _turn.held(params, "isolation", True) as waited:
        assert waited is None
        assert json.loads(path.read_text())["capability"] == "isolation"


def test_who_cannot_write_the_state_folder_meets_the_others_all_the_same(params: dict[str, Any]) -> None:
    """The first began while the disk took no writes; the second comes when it does again."""
    state, free = Path(params["state_dir"]), threading.Event()
    state.write_text("a file in the folder's place, as little to be written in as a full disk")
    first, second = _turn.held(params, "isolation", True), _turn.held({**params, "incident_id": "INC-3"}, "lift", True)
    with first:
        assert Path(_ledger.VOLATILE_DIR, "turn").exists()
        state.unlink()

        def next_one() -> None:
            with second:
                free.set()

        thread = threading.Thread(target=next_one)
        thread.start()
        assert not free.wait(0.5), "two at a time"
        assert (state / "turn").exists()
    thread.join()
    assert free.is_set()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody who owns nothing")
def test_another_user_has_a_ledger_and_a_turn_of_its_own() -> None:
    def ask() -> str:
        with _turn.held({"incident_id": "INC-1", "state_dir": str(folder / "nobody" / "state")}, "isolation", True):
            return (folder / "nobody" / "state" / "turn").read_text()

    with open_folder() as folder:
        (folder / "nobody").mkdir()
        os.chown(folder / "nobody", 65534, 65534)
        with _turn.held({"incident_id": "INC-1", "state_dir": str(folder / "root")}, "isolation", True):
            assert json.loads(as_nobody(ask))["capability"] == "isolation"


def test_what_was_waited_for_is_in_the_facts(params: dict[str, Any], start: Start, held: Held) -> None:
    start(held.command)
    answer = _act.act(lambda _p, _c: {"incident": {"outcome": "done", "facts": {}}}, "lift", params, True)
    assert "isolation of INC-1" in answer["incident"]["facts"]["waited"]["for"]


def test_a_backup_holds_nobody_up_and_waits_for_nobody(params: dict[str, Any], start: Start) -> None:
    start()
    answer = _act.act(lambda _p, _c: {"incident": {"outcome": "done", "facts": {}}}, "backup", params, False)
    assert answer["incident"]["facts"] == {}
