"""One drill on the lab's larger site, and one that is killed: what was broken is taken back in each case. By hand: minutes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.play import Hosts, lab

sys.path.insert(0, str(lab.LAB / "faults"))  # its programs are no package
import score
import site_on_lab

FAULTS = lab.LAB / "faults"
WELL = score.told("disk_full")


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[None]:
    hosts.fresh(*lab.HOSTS)
    site_on_lab.lay_out()
    score.see_healthy(WELL)
    yield
    hosts.fresh(*lab.HOSTS)


def start(state: Path, *words: str, command: str = "drill") -> subprocess.Popen[str]:
    program = str(Path(sys.executable).with_name("incidentctl"))
    return subprocess.Popen(
        [program, command, *words, "--config", str(FAULTS / "incidentctl.yml")],
        env={**os.environ, "INCIDENTCTL_STATE_DIR": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    )


def told(state: Path, command: str, *words: str) -> Any:
    with start(state, *words, "--json", command=command) as process:
        return json.loads(process.communicate(timeout=60)[0])


def test_a_full_disk_is_found_and_freed_by_the_runbook_that_is_recommended(site: None, tmp_path: Path) -> None:
    with start(tmp_path, "disk_full", "--json") as process:
        out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, out
    (found,) = json.loads(out)
    assert (found["result"], found["option"]) == ("recovered", "custom (free_space)")
    assert 0 < found["diagnosed_s"] <= found["asked_s"] <= found["recovered_s"]
    score.see_healthy(WELL)
    incident = told(tmp_path, "status", found["incident_id"])
    assert (incident["status"], incident["drill"]) == ("closed", "disk_full")
    assert incident["drilled"]["rank"] == found["rank"], "the record has the score"
    assert (incident["tickets"], incident["notified"]) == ([], [])
    metrics = told(tmp_path, "metrics")
    assert (metrics["incidents"]["closed"], metrics["drills"]["closed"]) == (0, 1)
    assert not (tmp_path / "drills" / "under_way.json").exists()


def test_what_a_drill_that_was_killed_had_broken_is_taken_back_by_clean(site: None, tmp_path: Path) -> None:
    under_way = tmp_path / "drills" / "under_way.json"
    with start(tmp_path, "disk_full") as process:
        until = time.monotonic() + 300
        while not list((tmp_path / "incidents").glob("INC-*")):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.1)
        assert json.loads(under_way.read_text())["drill"] == "disk_full"
        process.send_signal(signal.SIGKILL)
    with start(tmp_path, "bad_release") as process:
        assert process.wait(60) == 15, "no other begins before"
    with start(tmp_path, "--clean") as process:
        assert process.wait(600) == 0
    assert not under_way.exists()
    assert told(tmp_path, "status")["status"] == "closed"
    score.see_healthy(WELL)
