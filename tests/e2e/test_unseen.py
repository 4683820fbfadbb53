"""A response whose terminal or reader goes away goes on; one that is told to end does so in order, and tells who responds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.shop import Shop

RUN = ("run", "--severity", "high", "--yes", "checkout returns 500")
DONE = ["triage", "contain", "diagnose", "assess"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.lay_out(
        severities={"high": {"contain": ["maintenance_mode"], "notify": ["on_call"]}},
        audiences={"on_call": {"kind": "on_call", "send": [{"env": "NOWHERE"}]}},
        verify={"window": "1s", "within": "5s"},
    )
    with shop.broken():
        yield shop


def begin(shop: Shop, *words: str, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shop.command(*words), cwd=shop.folder, env=shop.environment, stdin=subprocess.DEVNULL, text=True, **how
    )


def wait_for(shop: Shop, phase: str) -> None:
    """Wait until a phase is under way; the record is made by the command itself."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (shop.folder / "state" / "record.db").exists():
            done = shop.run("status", "--json", inventory=False)
            if done.returncode == 0 and f'"name": "{phase}"' in done.stdout:
                return
        time.sleep(0.1)
    pytest.fail(f"{phase} was never begun")


def done(shop: Shop) -> list[str]:
    return [phase["name"] for phase in shop.status()["phases"] if phase["state"] == "done"]


def notes(shop: Shop) -> list[str]:
    return [event["data"]["text"] for event in shop.events() if event["kind"] == "note"]


def test_a_reader_that_goes_away_ends_nothing(shop: Shop) -> None:
    reading, writing = os.pipe()
    process = begin(shop, *RUN, stdout=writing, stderr=writing)
    os.close(writing)
    wait_for(shop, "triage")
    os.close(reading)
    assert process.wait(timeout=120) == 10, "it did not come to the question"
    assert done(shop) == DONE
    assert any("nobody sees any more what this tells" in text for text in notes(shop))
    assert shop.status()["holder"] is None
    told = [row for row in shop.status()["notified"] if row["about"] == "awaited"]
    assert told, "nobody was told that a decision is awaited"


def test_a_terminal_that_goes_away_ends_nothing(shop: Shop) -> None:
    child = shop.in_terminal(*RUN)
    wait_for(shop, "triage")
    child.ptyproc.fileobj.close()
    child.wait()
    assert (child.exitstatus, child.signalstatus) == (10, None)
    assert done(shop) == DONE
    assert any("nobody sees any more what this tells" in text for text in notes(shop))
    assert shop.run("resume", "--option", "rollback").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_told_to_end_does_so_in_order(shop: Shop, number: signal.Signals) -> None:
    process = begin(shop, *RUN, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(shop, "contain")
    process.send_signal(number)
    time.sleep(0.1)
    process.send_signal(number)  # impatient
    said = process.communicate(timeout=60)[1]
    incident = shop.status()
    assert process.returncode == 130, said
    assert f"to go on: incidentctl resume {incident['incident_id']}" in said
    assert incident["holder"] is None, "it was not let go in order"
    assert incident["waiting"]["waits_for"] == "resume"
    told = [row for row in incident["notified"] if row["about"] == "awaited"]
    if number == signal.SIGTERM:  # whoever presses Ctrl-C knows
        assert any("was told to end (SIGTERM)" in text for text in notes(shop))
        assert told, "nobody was told that somebody must go on"
    else:
        assert not told
    assert shop.run("resume", "--yes", "--option", "rollback").returncode == 0


@pytest.mark.parametrize("command", ["lift", "close"])
def test_taking_back_goes_on_where_nobody_reads_it(shop: Shop, command: str) -> None:
    assert shop.run(*RUN).returncode == 10
    if command == "close":
        assert shop.run("lift", inventory=False).returncode == 0
    reading, writing = os.pipe()
    os.close(reading)
    process = begin(shop, command, stdout=writing, stderr=writing)
    os.close(writing)
    assert process.wait(timeout=120) == 0
    assert not shop.status()["contained"]
    assert shop.status()["status"] == ("closed" if command == "close" else "identified")


def test_a_decision_is_carried_out_where_nobody_reads_it(shop: Shop) -> None:
    assert shop.run(*RUN).returncode == 10
    reading, writing = os.pipe()
    os.close(reading)
    process = begin(shop, "decide", "rollback", stdout=writing, stderr=writing)
    os.close(writing)
    assert process.wait(timeout=120) == 0
    assert shop.status()["status"] == "closed"
