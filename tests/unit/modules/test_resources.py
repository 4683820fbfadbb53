"""What a host is short of: figures that are its own, and a finding for what there is too little of."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _findings, _procfs, _resources
from tests.unit.modules.host_figures import CALM


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resources, "APART_S", 0.0)


def shop(*paths: str) -> list[dict[str, Any]]:
    """Return the services of a host: one, which has its data at these places."""
    return [{"name": "shop", "data": [{"kind": "files", "path": path} for path in paths]}]


def test_resources_of_this_host_are_read(tmp_path: Path) -> None:
    found = _resources.look(shop(str(tmp_path / "not" / "there"), "/proc/self"), _resources.begin())
    assert set(found) == set(CALM)
    assert 0 < found["memory"]["available_bytes"] <= found["memory"]["total_bytes"]
    assert "/" in {disk["path"] for disk in found["disks"]}
    assert "/proc" not in {disk["path"] for disk in found["disks"]}
    assert all(0 <= disk["used_percent"] <= 100 and disk["free_bytes"] >= 0 for disk in found["disks"])
    assert len(found["processes"]["by_memory"]) == _resources.TOP
    assert all(p["pid"] != os.getpid() and p["name"] for p in found["processes"]["by_cpu"])


def test_two_paths_of_one_disk_are_one_disk(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    here = [str(tmp_path / "a"), str(tmp_path)]
    looks = [_resources.look(shop(*paths), _resources.begin())["disks"] for paths in (here, here[1:])]
    assert [disk["path"] for disk in looks[0]] == [disk["path"] for disk in looks[1]]


def test_disk_that_does_not_answer_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resources, "DISK_S", 0.1)
    monkeypatch.setattr(_resources.os, "statvfs", lambda _path: time.sleep(0.5))
    disks = _resources.look([], _resources.begin())["disks"]
    assert disks == [{"path": "/", "used_percent": None, "free_bytes": None, "inodes_used_percent": None}]
    assert "does not answer" in _findings.rank({}, {**CALM, "disks": disks}, {})[0]["text"]
    time.sleep(0.5)  # the thread ends with the test, not with the next one


def test_host_without_proc_has_unknown_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    found = _resources.look([], _resources.begin())
    assert found["memory"] == {"total_bytes": None, "available_bytes": None}
    assert found["oom_kills"] is None
    assert _findings.rank({}, {**found, "disks": [], "load1": None}, {}) == []


def disk(used: float, inodes: float | None = 1.0) -> dict[str, Any]:
    return {"path": "/srv", "used_percent": used, "free_bytes": 1 << 30, "inodes_used_percent": inodes}


@pytest.mark.parametrize(
    ("change", "severity", "words"),
    [
        ({"disks": [disk(97.2)]}, "critical", "disk /srv: 97.2 % full, 1.0 GiB free"),
        ({"disks": [disk(86)]}, "warning", "disk /srv: 86 % full, 1.0 GiB free"),
        ({"disks": [disk(10, 99.5)]}, "critical", "disk /srv: 99.5 % of its inodes used"),
        (
            {"memory": {"total_bytes": 100 << 30, "available_bytes": 4 << 30}},
            "critical",
            "memory: 4.0 % available (4.0 GiB)",
        ),
        ({"memory": {"total_bytes": 100, "available_bytes": 9}}, "warning", "memory: 9.0 % available (0.0 GiB)"),
        ({"load1": 4.5}, "warning", "load 4.5 on 2 CPUs, of which 3 % are busy"),
        ({"oom_kills": 3}, "info", "the kernel killed processes for want of memory 3 times since boot"),
    ],
)
def test_host_that_is_short_of_something_is_a_finding(change: dict[str, Any], severity: str, words: str) -> None:
    found = _findings.rank({}, {**CALM, **change}, {})
    assert [(f["severity"], f["text"], f["service"]) for f in found] == [(severity, words, None)]


def test_calm_host_has_no_findings() -> None:
    assert _findings.rank({}, {**CALM, "disks": [disk(50, None)]}, {}) == []
