"""What a host is short of: figures that are its own, and a finding for what there is too little of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _findings, _memory, _procfs, _resources
from tests.unit.modules.host_figures import CALM


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resources, "APART_S", 0.0)


def look(*paths: str) -> dict[str, Any]:
    """Return the resources of this host, where one service has its data at these places."""
    services = [{"name": "shop", "data": [{"kind": "files", "path": path} for path in paths]}]
    return _resources.look(services, _resources.begin(services))


def test_resources_of_this_host_are_read(tmp_path: Path) -> None:
    found = look(str(tmp_path / "not" / "there"), "/proc/self")
    assert set(found) == set(CALM)
    assert 0 < found["memory"]["available_bytes"] <= found["memory"]["total_bytes"]
    assert "/" in {disk["path"] for disk in found["disks"]}
    assert "/proc" not in {disk["path"] for disk in found["disks"]}
    assert all(0 <= disk["used_percent"] <= 100 and disk["free_bytes"] >= 0 for disk in found["disks"])
    assert len(found["processes"]["by_memory"]) == _memory.TOP
    assert all(p["pid"] != os.getpid() and p["name"] for p in found["processes"]["by_cpu"])


def test_host_without_proc_has_unknown_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    found = look()
    assert found["memory"] == {"total_bytes": None, "available_bytes": None}
    assert found["oom_kills"] is None
    told = {**found, "disks": [], "load1": None, "mounts": CALM["mounts"], "oom": []}
    assert _findings.rank({}, told, {}) == []


def disk(used: float, inodes: float | None = 1.0) -> dict[str, Any]:
    return {
        "path": "/srv", "used_percent": used, "total_bytes": 10 << 30, "free_bytes": 1 << 30, "inodes_used_percent": inodes,
        "bytes_per_minute": 0,
    }  # fmt: skip


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
        ({"oom_kills": 3, "oom": None}, "info", "the kernel killed processes for want of memory 3 times since boot"),
    ],
)
def test_host_that_is_short_of_something_is_a_finding(change: dict[str, Any], severity: str, words: str) -> None:
    found = _findings.rank({}, {**CALM, **change}, {})
    assert [(f["severity"], f["text"], f["service"]) for f in found] == [(severity, words, None)]


def test_calm_host_has_no_findings() -> None:
    assert _findings.rank({}, {**CALM, "disks": [disk(50, None)]}, {}) == []
