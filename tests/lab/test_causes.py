"""The machinery that scores a diagnosis: a fault that is there is named first, and one that is not there is not named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab.play import Hosts, lab

sys.path.insert(0, str(lab.LAB / "faults"))  # its programs are no package
import score
import site_on_lab


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[None]:
    hosts.fresh(*lab.HOSTS)
    site_on_lab.lay_out()
    score.see_healthy(score.told("disk_full"))
    yield
    hosts.fresh(*lab.HOSTS)


def test_on_a_healthy_site_no_fault_is_called_the_cause(site: None) -> None:
    causes = score.diagnose()
    for name in (*score.known(), *score.known(score.FURTHER)):
        truth = score.told(name)
        assert not [cause for cause in causes if score.is_right(cause, truth)], name


def test_the_cause_of_a_full_disk_comes_first(site: None) -> None:
    truth = score.told("disk_full")
    try:
        score.inject(truth)
        score.see_symptom("disk_full", truth)
        first = score.diagnose()[0]
    finally:
        score.lift(truth)
    assert score.is_right(first, truth), first
    score.see_healthy(truth)


ELSEWHEN = "/usr/local/bin/python3-elsewhen"
AHEAD = timedelta(hours=2)


@pytest.fixture
def ahead(site: None, tmp_path: Path) -> Iterator[Path]:
    """worker1 two hours ahead: what its service logs, and what our module reads of its clock and its files."""
    library = lab.inside("worker1", "sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1")
    wrapper = f'#!/bin/sh\nexec faketime -f "+{AHEAD.seconds}s" /usr/bin/python3 "$@"\n'
    lab.inside("worker1", "install", "--mode=755", "/dev/stdin", ELSEWHEN, feed=wrapper.encode())
    words = f"LD_PRELOAD={library} FAKETIME=+{AHEAD.seconds}s FAKETIME_DONT_FAKE_MONOTONIC=1"
    unit = f"[Service]\nEnvironment={words}\n"
    place = "/etc/systemd/system/orders.service.d"
    lab.inside("worker1", "mkdir", "-p", place)
    lab.inside("worker1", "tee", f"{place}/elsewhen.conf", feed=unit.encode())
    lab.inside("worker1", "systemctl", "daemon-reload")
    lab.inside("worker1", "systemctl", "restart", "orders.service")
    hosts = tmp_path / "elsewhen.yml"
    hosts.write_text(yaml.safe_dump({"all": {"hosts": {"worker1": {"ansible_python_interpreter": ELSEWHEN}}}}))
    score.see_healthy(score.told("bad_release"))
    site_on_lab.age()
    yield hosts
    lab.inside("worker1", "rm", "-r", place, ELSEWHEN)
    lab.inside("worker1", "systemctl", "daemon-reload")
    lab.inside("worker1", "systemctl", "restart", "orders.service")


def test_on_a_host_two_hours_ahead_the_same_release_is_blamed_at_the_same_time(ahead: Path, capsys: Any) -> None:
    truth = score.told("bad_release")
    began = datetime.now(UTC)
    try:
        score.inject(truth)
        score.see_symptom("bad_release", truth)
        program = Path(sys.executable).with_name("incidentctl")
        inventory = score.HERE / "inventory"
        words = ["--config", str(score.HERE / "incidentctl.yml"), "-i", str(inventory), "-i", str(ahead)]
        looked, said = (
            subprocess.run(
                [str(program), "play", "diagnosis", *words, *how], capture_output=True, text=True, check=False
            )
            for how in (["--json"], [])
        )
    finally:
        score.lift(truth)
    found = json.loads(looked.stdout)
    first = found["causes"][0]
    with capsys.disabled():
        print(
            f"\n{first['title']} ({', '.join(first['hosts'])}); onset {found['onset']['at']}: {found['onset']['source']}"
        )
    assert (first["kind"], sorted(first["hosts"])) == ("release", ["web2", "worker1"])
    told = datetime.fromisoformat(found["onset"]["at"])
    assert timedelta(0) <= told - began + timedelta(seconds=1) < timedelta(minutes=2)
    (release,) = [row for row in found["changes"] if row["kind"] == "release"]
    assert sorted(release["hosts"]) == ["web2", "worker1"]
    assert "put right by that: worker1 2.0 h ahead" in said.stdout
    assert f"deployed {told + AHEAD:%H}:" not in said.stdout
    assert any(cause["kind"] == "clock" and cause["hosts"] == ["worker1"] for cause in found["causes"])
    score.see_healthy(truth)
