"""Diagnosis: what is wrong on a host and what changed lately, without changing anything itself."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _change,
    _changes,
    _diagnosis,
    _findings,
    _fitting,
    _ledger,
    _release_history,
    _releases_info,
    _resources,
)
from tests.unit.modules.host_figures import CALM

HEALTHY = {
    "healthy": True,
    "status": 200,
    "latency_ms": 1.0,
    "detail": "200 in 1 ms",
    "running": True,
    "depends_on": [],
}


class Host:
    """A folder that stands for a host: it has one service, shop, with a log and releases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "shop.log"
        self.log.touch()
        for name in ("9", "41", "42"):
            (folder / "releases" / name).mkdir(parents=True)
        (folder / "current").symlink_to("releases/42")
        self.params = {
            "capability": "diagnosis", "only": [], "host_name": "here", "host_groups": [],
            "incident_id": "INC-1", "state_dir": str(folder / "state"), "log_bytes": 1 << 20, "changes_hours": 48,
            "window_s": 0, "within_s": 10, "seen_well": {}, "looks": [],
        }  # fmt: skip

    def shop(self, status: str = "true", **more: Any) -> dict[str, Any]:
        service = {
            "name": "shop", "hosts": "here", "manager": "command",
            "control": {"start": ["true"], "stop": ["true"], "status": [status]},
            "logs": [{"kind": "file", "path": str(self.log)}],
            "releases": {"kind": "symlink", "root": str(self.folder / "releases"), "current": str(self.folder / "current")},
        }  # fmt: skip
        return {**service, **more}

    def deployed(self, when: datetime) -> None:
        os.utime(self.folder / "current", (when.timestamp(), when.timestamp()), follow_symlinks=False)

    def diagnose(self, *services: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
        return _diagnosis.run({**self.params, "services": list(services or [self.shop()])}, check_mode)["incident"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(_resources, "APART_S", 0.0)
    return Host(tmp_path)


def texts(incident: dict[str, Any]) -> list[str]:
    return [finding["text"] for finding in incident["facts"]["findings"] if finding["service"]]


def test_error_right_after_a_release_is_the_first_finding(host: Host) -> None:
    deployed = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=60)
    host.deployed(deployed)
    first = deployed + timedelta(seconds=14)
    trace = "Traceback (most recent call last):\n  File\nsqlite3.OperationalError: no such column: unit_price\n"
    error = f"{first:%Y-%m-%dT%H:%M:%SZ} ERROR order 1 failed\n{trace}"
    host.log.write_text("2025-01-01T00:00:00Z ERROR an old acquaintance\n" + error * 63)
    incident = host.diagnose(host.shop(status="false"))
    shop = incident["facts"]["services"]["shop"]
    assert incident["outcome"] == "unchanged"
    assert shop["onset"] == first.isoformat(timespec="milliseconds")
    assert shop["release"] == {
        "kind": "symlink", "current": "42", "previous": "41", "available": ["9", "41", "42"],
        "deployed_at": deployed.isoformat(timespec="milliseconds"),
    }  # fmt: skip
    assert texts(incident)[0].endswith("UTC, 14 s before the first 'no such column: unit_price' (63 times)")
    assert texts(incident)[0].startswith("shop: release 42 was deployed")
    assert texts(incident)[1:] == [
        "shop: not running",
        "shop: 'an old acquaintance' once since 2025-01-01 00:00:00 UTC",
    ]


def came_back(host: Host) -> datetime:
    """Have the release bring its errors a second time, 100 s after the first; return when it was deployed again."""
    deployed = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=60)
    host.deployed(deployed)
    times = [deployed + timedelta(seconds=begun + number) for begun in (-100, 14) for number in range(20)]
    said = "".join(f"{at:%Y-%m-%dT%H:%M:%SZ} ERROR no such column: unit_price\n" for at in times)
    host.log.write_text("2025-01-01T00:00:00Z INFO begin\n" + said)
    return deployed


@pytest.mark.parametrize("by", ["this host", "whoever verified it", "nobody"])
def test_release_that_came_back_is_blamed_if_the_service_was_seen_well_in_between(
    host: Host, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    deployed = came_back(host)
    well = deployed - timedelta(seconds=30)
    if by == "this host":
        monkeypatch.setattr(_ledger, "now", lambda: well.isoformat(timespec="milliseconds"))
        _release_history.note(host.params, "shop", "41", healthy=True)
    elif by == "whoever verified it":
        host.params["seen_well"] = {"shop": [90.0, "odd", -5], "other": None}
    shop = host.diagnose(host.shop(status="false"))["facts"]["services"]["shop"]
    blamed = [text for text in texts(host.diagnose()) if "release 42" in text]
    if by == "nobody":
        assert (shop["seen_well"], blamed) == (None, [])
        assert shop["onset"] == (deployed - timedelta(seconds=100)).isoformat(timespec="milliseconds")
        return
    assert abs(datetime.fromisoformat(shop["seen_well"]) - well) < timedelta(seconds=5)
    assert shop["onset"] == (deployed + timedelta(seconds=14)).isoformat(timespec="milliseconds")
    assert "UTC, 14 s before 'no such column: unit_price' came again (40 times in all" in blamed[0]


@pytest.mark.parametrize(
    ("noted_s", "release", "until_s", "blamed"),
    [
        (-300, "42", -80, True),
        (-300, "41", -80, False),  # it is not known that this release was here before
        (30, "42", -80, False),  # nor that it was before it came this time
        (-300, "42", -10, False),  # it went on until the release was switched, and that stops errors for a moment
    ],
)
@pytest.mark.parametrize("how", ["bad", "sick"])
def test_release_that_was_bad_here_before_is_blamed_once_more_though_nobody_looked_in_between(
    host: Host, monkeypatch: pytest.MonkeyPatch, how: str, noted_s: float, release: str, until_s: float, blamed: bool
) -> None:
    deployed = came_back(host)
    noted = deployed + timedelta(seconds=noted_s)
    with monkeypatch.context() as then:
        then.setattr(_ledger, "now", lambda: noted.isoformat(timespec="milliseconds"))
        if how == "bad":
            _release_history.condemn(host.params, "shop", release)
        else:
            _release_history.note(host.params, "shop", release, healthy=False)
    more = [deployed + timedelta(seconds=at) for at in range(-79, int(until_s))]
    with host.log.open("a") as log:
        log.writelines(f"{at:%Y-%m-%dT%H:%M:%SZ} ERROR no such column: unit_price\n" for at in more)
    shop = host.diagnose(host.shop(status="false"))["facts"]["services"]["shop"]
    assert shop["seen_well"] is None, "nobody did"
    began = deployed + timedelta(seconds=14 if blamed else -100)
    assert shop["onset"] == began.isoformat(timespec="milliseconds")
    told = [text for text in texts(host.diagnose()) if "release 42" in text]
    assert ["came again" in text for text in told] == [True] * blamed


@pytest.mark.parametrize(("status", "told"), [("true", False), ("false", True)])
def test_what_only_our_own_looks_provoke_is_told_of_a_sick_service_alone(host: Host, status: str, told: bool) -> None:
    """A log that goes back for an hour, and errors in each of two looks before."""
    now = datetime.now(timezone.utc)
    times = [now - timedelta(seconds=ago) for ago in (598, 597, 298)]
    said = "".join(f"{at:%Y-%m-%dT%H:%M:%SZ} ERROR no role for a check\n" for at in times)
    host.log.write_text(f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ} INFO begin\n{said}")
    host.params["looks"] = [[600, 595], [300, 295]]
    shop = host.shop(status=status)
    incident = host.diagnose(shop)
    looked = incident["facts"]["services"]["shop"]
    assert [error["ours"] for error in looked["errors"]] == [True]
    assert looked["onset"] is None
    assert any("only while we looked" in text for text in texts(incident)) is told
    host.params["looks"] = []
    assert host.diagnose(shop)["facts"]["services"]["shop"]["onset"] is not None


def test_memory_of_a_service_that_cannot_be_read_says_nothing_of_when_it_was_well(host: Host) -> None:
    (host.folder / "state" / "releases").mkdir(parents=True)
    (host.folder / "state" / "releases" / "shop.json").write_text('{"seen": [{"release": "41", "healthy_at": "noon"}]}')
    assert host.diagnose()["facts"]["services"]["shop"]["seen_well"] is None


def test_release_long_before_the_error_is_not_blamed(host: Host) -> None:
    host.deployed(datetime(2025, 1, 1, tzinfo=timezone.utc))
    host.log.write_text("2024-12-31T00:00:00Z INFO begin\n2025-03-01T00:00:00Z ERROR out of paper\n")
    assert texts(host.diagnose()) == ["shop: 'out of paper' once since 2025-03-01 00:00:00 UTC"]


def test_error_that_lasts_is_told_with_how_often_it_comes_and_what_it_is_on_every_host(host: Host) -> None:
    host.deployed(datetime(2025, 1, 1, tzinfo=timezone.utc))
    begin = datetime(2025, 3, 1, tzinfo=timezone.utc)
    lines = [f"{begin + timedelta(seconds=6 * n):%Y-%m-%dT%H:%M:%SZ} ERROR user {n} is locked\n" for n in range(50)]
    host.log.write_text("2024-12-31T00:00:00Z INFO begin\n" + "".join(lines))
    finding = next(finding for finding in host.diagnose()["facts"]["findings"] if finding["service"])
    assert finding["text"] == "shop: 'user <n> is locked' 50 times since 2025-03-01 00:00:00 UTC, 10 a minute"
    assert (finding["about"]["error"], finding["about"]["count"]) == ("user <n> is locked", 50)


def test_check_mode_sees_the_same_and_nothing_is_written(host: Host) -> None:
    before = sorted(host.folder.rglob("*"))
    looks = [host.diagnose(check_mode=mode)["facts"]["services"] for mode in (False, True)]
    assert looks[0] == looks[1]
    assert sorted(host.folder.rglob("*")) == before


def test_log_that_cannot_be_read_is_the_failure(host: Host) -> None:
    host.log.unlink()
    host.log.symlink_to("/etc/passwd")
    incident = host.diagnose()
    assert incident["outcome"] == "failed"
    assert "symbolic link" in incident["reason"]
    assert "symbolic link" in incident["facts"]["services"]["shop"]["notes"][0]


def test_what_is_not_there_or_not_known_is_a_note(host: Host) -> None:
    logs = [{"kind": "file", "path": "/nonexistent/x.log"}, {"kind": "compose"}]
    releases = {"kind": "command", "rollback": ["true"], "current": ["false"]}
    incident = host.diagnose(host.shop(logs=logs, releases=releases))
    assert incident["outcome"] == "unchanged"
    assert incident["facts"]["services"]["shop"]["release"] is None
    assert len(incident["facts"]["services"]["shop"]["notes"]) == 3


def test_manager_that_cannot_tell_is_the_failure_where_nothing_else_tells(host: Host) -> None:
    incident = host.diagnose(host.shop(status="/nonexistent/status"))
    assert incident["outcome"] == "failed"
    assert "/nonexistent/status" in incident["reason"]


def test_service_without_anything_to_look_at_is_no_failure(host: Host) -> None:
    incident = host.diagnose({"name": "shop", "hosts": "here"})
    assert incident["outcome"] == "unchanged"
    assert incident["facts"]["services"]["shop"] == {
        "health": {
            "healthy": None, "status": None, "latency_ms": 0.0, "running": None, "depends_on": [],
            "detail": "neither health nor manager is declared: nothing tells whether it is healthy",
        },
        "errors": [], "onset": None, "onset_source": None, "logs_since": None, "release": None, "seen": None,
        "seen_well": None, "notes": [],
    }  # fmt: skip


def test_what_the_incident_itself_stopped_is_no_fault(host: Host) -> None:
    undo = {"kind": "service_start", "service": {"name": "shop"}}
    entry = _ledger.intend(host.params, "scale_down", "shop", {"running": True}, undo)
    assert texts(host.diagnose(host.shop(status="false"))) == ["shop: stopped by scale_down of this incident"]
    _ledger.mark(_ledger.mark(entry, "applied"), "lifted")
    assert texts(host.diagnose(host.shop(status="false"))) == ["shop: not running"]


def test_logs_are_left_when_the_time_is_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_diagnosis, "LOGS_S", -1)
    assert "took all the time there was" in host.diagnose()["reason"]


def test_facts_of_many_noisy_services_stay_small(host: Host) -> None:
    host.log.write_text("".join(f"ERROR {chr(97 + i) * 5} " + "\u20ac" * 400 + "\n" for i in range(12)))
    few = host.diagnose(*[host.shop(name=f"shop-{i}") for i in range(12)])["facts"]
    assert len(json.dumps(few)) <= _fitting.FACTS_LIMIT
    assert all(0 < len(told["errors"]) < 10 for told in few["services"].values())
    many = host.diagnose(*[{"name": f"shop-{i}", "hosts": "here"} for i in range(1500)])["facts"]
    assert len(json.dumps(many)) <= _fitting.FACTS_LIMIT
    assert many["left_out"] == 1500 - len(many["services"])


def test_many_long_changes_leave_room_for_the_services(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "\u20ac" * 150
    changes = [_change.change("configuration", f"{n}{long}", long, 1e9, long, "shop", f"/{long}") for n in range(100)]
    monkeypatch.setattr(_changes, "look", lambda *_given: _changes.Looked(changes, []))
    facts = host.diagnose()["facts"]
    assert len(json.dumps(facts)) <= _fitting.FACTS_LIMIT
    assert list(facts["services"]) == ["shop"]
    assert facts["changes"] == changes[: len(facts["changes"])] != []
    assert "older changes are left out" in facts["changes_notes"][-1]


def test_previous_release_is_the_one_before_in_natural_order(host: Host) -> None:
    shop = host.shop()
    (host.folder / "releases" / ".tmp").mkdir()
    (host.folder / "releases" / "100").symlink_to("42")
    found, note = _releases_info.look(shop)
    assert note is None
    assert found is not None
    assert (found["previous"], found["available"]) == ("41", ["9", "41", "42"])
    (host.folder / "current").unlink()
    (host.folder / "current").symlink_to("releases/9")
    found, note = _releases_info.look(shop)
    assert found is not None
    assert (found["current"], found["previous"]) == ("9", None)


def test_current_that_points_nowhere_is_noted(host: Host) -> None:
    (host.folder / "releases" / "42").rmdir()
    found, note = _releases_info.look(host.shop())
    assert found is not None
    assert (found["current"], found["previous"]) == ("42", "41")
    assert "no such release" in str(note)
    (host.folder / "current").unlink()
    assert _releases_info.look(host.shop())[0] is None


def test_release_of_a_command_is_what_it_says_last() -> None:
    said = {"kind": "command", "rollback": ["false"], "current": ["printf", "warning: x\nv1.2.3\n"]}
    assert _releases_info.look({"releases": said})[0] == {
        "kind": "command", "current": "v1.2.3", "previous": None, "available": [], "deployed_at": None,
    }  # fmt: skip
    found, note = _releases_info.look({"releases": {**said, "current": ["false"]}})
    assert found is None
    assert "exited 1" in str(note)


def disk(used: float, inodes: float | None = 1.0) -> dict[str, Any]:
    return {
        "path": "/srv", "used_percent": used, "total_bytes": 10 << 30, "free_bytes": 1 << 30, "inodes_used_percent": inodes,
        "bytes_per_minute": 0,
    }  # fmt: skip


def test_findings_come_most_severe_first_and_causes_before_symptoms() -> None:
    failing = {"name": "db", "check": "tcp://db:5432", "ok": False, "detail": "refused"}
    sick = {**HEALTHY, "healthy": False, "detail": "500 (expected 200): x", "depends_on": [failing]}
    error = {"template": "t", "count": 2, "first_seen": None, "cause": None, "new": None}
    shop = {"health": sick, "errors": [error], "release": None}
    cart = {"health": {**HEALTHY, "running": False}, "errors": [], "release": None}
    found = _findings.rank({"cart": cart, "shop": shop}, {**CALM, "disks": [disk(99)], "oom_kills": 1, "oom": None}, {})
    assert [(f["severity"], f["service"], f["text"].partition(": ")[2][:20]) for f in found] == [
        ("critical", None, "99 % full, 1.0 GiB f"),
        ("critical", "shop", "its dependency db (t"),
        ("critical", "shop", "health check fails: "),
        ("warning", "cart", "answers, but its man"),
        ("warning", "shop", "'t' 2 times"),
        ("info", None, ""),
    ]
