"""The matrix of a phase: what each host is at, and how far; calm where nobody watches."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from incidentctl.console import Console
from incidentctl.console_diagnosis import MANY_HOSTS
from incidentctl.outcome import HostOutcome, Outcome, Step


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is shown be shown as in a terminal of 80 columns, whatever the tests run in."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def show(console: Console) -> None:
    console.show("phase", phase="triage", capabilities=["log_collection"], hosts=["web1", "web2"])
    console.show("cell", host="web1", capability="log_collection", outcome="running", told="120 of 240 MB")
    console.show("cell", host="web2", capability="log_collection", outcome="running", told="7 of 90 MB")
    console.show("cell", host="web2", capability="log_collection", outcome="done")
    console.show("cell", host="not asked", capability="log_collection", outcome="running", told="1 of 2 MB")


def test_in_a_terminal_it_says_how_far_a_transfer_is_until_that_has_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_terminal(monkeypatch)
    console = Console(interactive=False)
    show(console)
    console.close()  # shows it as it is by then, once
    shown = capsys.readouterr().err.splitlines()
    web1, web2 = ([line for line in shown if name in line][-1] for name in ("web1", "web2"))
    assert "… 120 of 240 MB" in web1
    assert "✓ done" in web2


def test_in_a_log_file_nothing_of_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(interactive=False)
    show(console)
    console.close()
    assert capsys.readouterr() == ("", "")


def test_where_there_are_many_hosts_a_sum_is_told_in_their_row_until_it_has_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_terminal(monkeypatch)
    console = Console(interactive=False)
    hosts = [f"h{n}" for n in range(MANY_HOSTS)]
    console.show("phase", phase="triage", capabilities=["log_collection"], hosts=hosts)
    for host in hosts:
        console.show("cell", host=host, capability="log_collection", outcome="running", told="7 of 90 MB")
    console.show("sum", capability="log_collection", told=f"{7 * MANY_HOSTS} of {90 * MANY_HOSTS} MB")
    console.close()
    (row,) = [line for line in capsys.readouterr().err.splitlines() if f"{MANY_HOSTS} hosts" in line][-1:]
    assert f"…{MANY_HOSTS}  {7 * MANY_HOSTS} of {90 * MANY_HOSTS} MB" in row
    step = Step("triage", ("log_collection",), tuple(hosts), deadline_s=1.0)
    rows = tuple(HostOutcome(host, "log_collection", "done") for host in hosts)
    console.show("phase_done", outcome=Outcome(step, rows, 1.0))
    assert " MB" not in capsys.readouterr().err


@pytest.mark.parametrize("forced", ["", "1"])
def test_what_is_drawn_in_place_is_never_in_a_pipe(forced: str) -> None:
    script = (
        "import time; from incidentctl.console import Console; c = Console(); c.show('busy', text='asking'); "
        "time.sleep(0.2); c.show('phase', phase='triage', capabilities=['x'], hosts=['web1']); c.show('note', text='done'); "
        "c.close()"
    )
    env = {**os.environ, "FORCE_COLOR": forced}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "done\n")


@pytest.mark.parametrize(("width", "whole"), [(160, True), (70, False)])
def test_names_that_have_no_room_beside_each_other_are_broken_and_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, whole: bool
) -> None:
    in_terminal(monkeypatch)
    console = Console(interactive=False)
    console._rich.width = width
    names = ("health_check", "log_collection", "prepare_rollback", "enhanced_monitoring")
    console.show("phase", phase="contain", capabilities=names, hosts=["web1"])
    console.show("phase_done", outcome=Outcome(Step("contain", names, ("web1",), deadline_s=1.0), (), 1.0))
    shown = capsys.readouterr().err
    assert all(name in shown for name in names) is whole
    assert all(part in shown for name in names for part in name.split("_")), shown
