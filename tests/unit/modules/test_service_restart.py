"""A service is restarted once in an incident, seen well, and never where an incident keeps it from running."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _ledger,
    _lift,
    _service_restart,
    _service_state,
    _systemd_state,
)
from tests.small_service import SmallService
from tests.unit.modules.units import Systemd


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: SmallService) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return {
        "state": "restarted",
        "capability": "isolation",
        "services": [shop.entry("health")],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
        "restart_again": False,
        "within_s": 20.0,
        "window_s": 0.0,
    }


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(_systemd_state, "_STEADY_S", 0)
    return Systemd(tmp_path)


def of_units(params: dict[str, Any], *units: str, **more: Any) -> dict[str, Any]:
    services = [{"name": u.split(".")[0], "hosts": "all", "manager": "systemd", "unit": u, **more} for u in units]
    return {**params, "services": services, "only": [one["name"] for one in services], "within_s": 0.0}


def restart(given: dict[str, Any], check: bool = False) -> tuple[str, str]:
    (row,) = _service_state.run(given, check)["incident"]["actions"]
    return row["outcome"], row["summary"]


def test_a_running_service_is_another_process_afterwards_and_healthy(
    shop: SmallService, params: dict[str, Any]
) -> None:
    shop.start()
    before = shop.pid.read_text()
    answer = _service_state.run(params, False)
    (row,) = answer["incident"]["actions"]
    assert (row["outcome"], row["verified"], answer["changed"]) == ("done", True, True)
    assert row["summary"].startswith("shop restarted: 200")
    assert shop.pid.read_text() != before
    told = answer["incident"]["facts"]["services"]["shop"]
    assert (told["was"], told["health_before"]["healthy"], told["health_after"]["healthy"]) == ("running", True, True)
    assert told["seconds"] > 0


def test_one_that_stands_still_is_started(shop: SmallService, params: dict[str, Any]) -> None:
    assert restart(params)[0] == "done"
    assert shop.running()


def test_without_a_name_nothing_is_restarted(shop: SmallService, params: dict[str, Any]) -> None:
    shop.start()
    before = shop.pid.read_text()
    assert restart({**params, "only": []})[0] == "refused"
    assert shop.pid.read_text() == before


def test_the_check_says_what_it_would_do_and_does_nothing(shop: SmallService, params: dict[str, Any]) -> None:
    assert restart(params, check=True) == ("done", "shop would be started")
    shop.start()
    before = shop.pid.read_text()
    assert restart(params, check=True) == ("done", "shop would be restarted")
    assert shop.pid.read_text() == before
    assert _ledger.entries(params) == ([], [])


def test_the_intent_is_on_disk_when_the_act_happens(shop: SmallService, params: dict[str, Any], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    stop = f"cat {params['state_dir']}/ledger/INC-1/*.json > {seen}; kill $(cat {shop.pid})"
    params["services"][0]["control"]["stop"] = ["sh", "-c", stop]
    shop.start()
    assert restart(params)[0] == "done"
    entry = json.loads(seen.read_text())
    assert (entry["state"], entry["capability"], entry["undo"]["kind"]) == ("intended", "restart", "service_restart")


def test_once_in_an_incident_unless_that_is_asked_for(shop: SmallService, params: dict[str, Any]) -> None:
    restart(params)
    first = shop.pid.read_text()
    outcome, summary = restart(params)
    assert (outcome, "in this incident already: 200" in summary) == ("unchanged", True)
    assert shop.pid.read_text() == first
    assert restart({**params, "restart_again": True})[0] == "done"
    second = shop.pid.read_text()
    assert restart({**params, "incident_id": "INC-2"})[0] == "done"
    assert len({first, second, shop.pid.read_text()}) == 3


def test_a_lift_leaves_it_in_place(shop: SmallService, params: dict[str, Any]) -> None:
    restart(params)
    before = shop.pid.read_text()
    block = _lift.run({**params, "only": []}, False)["incident"]
    assert (block["facts"]["open"], shop.pid.read_text()) == ([], before)


def test_one_that_does_not_get_well_fails_and_may_be_tried_again(shop: SmallService, params: dict[str, Any]) -> None:
    shop.release("1", "500")
    shop.current.symlink_to("releases/1")
    shop.start()
    outcome, summary = restart({**params, "within_s": 0.0})
    assert outcome == "failed"
    assert "shop restarted, but it is not well: 500 (expected 200)" in summary
    assert _ledger.latest_open(params, "restart", "shop") is None
    shop.current.unlink()
    assert restart(params)[0] == "done"


def test_one_that_ran_and_comes_up_no_more_is_left_for_lift_to_start(
    shop: SmallService, params: dict[str, Any]
) -> None:
    shop.start()
    good = params["services"][0]["control"]["start"]
    params["services"][0]["control"] = {**params["services"][0]["control"], "start": ["false"]}
    assert restart(params)[0] == "failed"
    entry = _ledger.latest_open(params, "restart", "shop") or {}
    assert entry["state"] == "intended"
    params["services"][0]["control"]["start"] = good
    assert restart(params)[0] == "done"
    assert shop.running()
    assert (_ledger.latest_open(params, "restart", "shop") or {})["undo"]["keep"] is True


def test_one_that_ends_later_than_it_was_given_time_for_is_started_by_lift(
    shop: SmallService, params: dict[str, Any], tmp_path: Path
) -> None:
    later = tmp_path / "later"
    ends = f"until [ -e {later} ]; do sleep 0.02; done; kill $(cat {shop.pid})"
    params["services"][0]["control"]["stop"] = ["sh", "-c", f"({ends}) >/dev/null 2>&1 &"]
    shop.start()
    outcome, summary = restart({**params, "grace_s": 0.1})
    assert (outcome, "may yet go down" in summary) == ("failed", True), summary
    later.touch()
    while shop.running():
        time.sleep(0.05)
    assert _lift.run({**params, "only": []}, False)["incident"]["outcome"] == "done"
    assert shop.running()


def test_what_was_cut_off_between_stop_and_start_is_started_by_lift(
    shop: SmallService, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_words: Any) -> list[str]:
        raise KeyboardInterrupt

    shop.start()
    with monkeypatch.context() as cut:
        cut.setattr(_service_restart._stopping, "start", cut_off)
        with pytest.raises(KeyboardInterrupt):
            _service_state.run(params, False)
    assert not shop.running()
    block = _lift.run({**params, "only": []}, False)["incident"]
    assert (block["outcome"], shop.running()) == ("done", True)


@pytest.mark.parametrize("holder", ["INC-1", "INC-7"])
def test_what_an_incident_stopped_stays_stopped(shop: SmallService, params: dict[str, Any], holder: str) -> None:
    shop.start()
    isolation = {**params, "state": "stopped", "non_essential": False, "incident_id": holder}
    assert _service_state.run(isolation, False)["incident"]["outcome"] == "done"
    outcome, summary = restart(params)
    assert outcome == "refused"
    assert "stopped by isolation of" in summary
    assert "Fix: lift that first" in summary
    assert not shop.running()


def test_a_unit_that_failed_too_often_is_started_once_more(systemd: Systemd, params: dict[str, Any]) -> None:
    systemd.has("shop.service", "failed", Result="start-limit-hit")
    assert restart(of_units(params, "shop.service"))[0] == "done"
    assert systemd.calls() == ["reset-failed shop.service", "start shop.service"]
    assert systemd.up() == ["shop.service"]


def test_what_goes_down_with_a_unit_comes_up_with_it_and_what_an_incident_stopped_does_not(
    systemd: Systemd, params: dict[str, Any]
) -> None:
    systemd.has("database.service")
    systemd.has("orders.service", Requires=["database.service"])
    systemd.has("reports.service", Requires=["database.service"])
    reports = of_units(params, "reports.service")
    isolation = {**reports, "state": "stopped", "non_essential": False}
    assert _service_state.run(isolation, False)["incident"]["outcome"] == "done"
    given = of_units(params, "database.service")
    assert restart(given) == (
        "done",
        "database restarted (database.service, orders.service): it runs; no health is declared",
    )
    assert systemd.up() == ["database.service", "orders.service"]


def test_a_unit_that_is_masked_is_told_and_left_alone(systemd: Systemd, params: dict[str, Any]) -> None:
    systemd.has("shop.service", "inactive", LoadState="masked")
    outcome, summary = restart(of_units(params, "shop.service"))
    assert outcome == "failed"
    assert "Fix: systemctl unmask shop.service" in summary
    assert systemd.calls() == []


def test_a_unit_that_does_not_come_up_says_what_it_said_last(systemd: Systemd, params: dict[str, Any]) -> None:
    journal = systemd.home / "bin" / "journalctl"
    journal.write_text("#!/bin/sh\necho first\necho cannot bind to port 8000, password=hunter2\n")
    journal.chmod(0o755)
    systemd.has("shop.service", "failed", broken=True)
    outcome, summary = restart(of_units(params, "shop.service"))
    assert outcome == "failed"
    assert "shop.service did not start" in summary
    assert "It said last: first | cannot bind to port 8000, password=<hidden>" in summary


def test_one_that_crashes_and_is_started_anew_by_its_manager_is_not_well(
    systemd: Systemd, params: dict[str, Any]
) -> None:
    """Each life of the unit is another one: whenever somebody looks, it has crashed in between."""
    systemd.has("shop.service", InvocationID="crashing")
    outcome, summary = restart(of_units(params, "shop.service"))
    assert outcome == "failed"
    assert "shop.service crashed and was started again" in summary


def test_a_plan_is_the_same_whether_what_crashes_again_and_again_runs_just_now_or_not(
    systemd: Systemd, params: dict[str, Any]
) -> None:
    ends = []
    for state in ("active", "failed"):
        systemd.has("shop.service", state)
        (row,) = _service_state.run(of_units(params, "shop.service"), True)["incident"]["actions"]
        ends.append((row["before"], row["after"]))
    assert ends[0] == ends[1]
    assert ends[0][1] == {"restarted": True, "parts": ["shop.service"]}


def test_what_depends_on_one_that_does_not_come_up_is_left_as_it_is(systemd: Systemd, params: dict[str, Any]) -> None:
    systemd.has("orders.service")
    systemd.has("database.service", "failed", broken=True)
    given = of_units(params, "orders.service", "database.service")
    given["services"][0]["depends_on"] = [{"name": "database", "check": "tcp://127.0.0.1:1"}]
    rows = {row["target"]: row for row in _service_state.run(given, False)["incident"]["actions"]}
    assert {name: row["outcome"] for name, row in rows.items()} == {"database": "failed", "orders": "refused"}
    assert "database, which it depends on, did not get well" in rows["orders"]["summary"]
    assert systemd.up() == ["orders.service"]
    assert [call for call in systemd.calls() if "orders" in call] == []


def test_what_others_depend_on_is_restarted_first(systemd: Systemd, params: dict[str, Any]) -> None:
    systemd.has("orders.service")
    systemd.has("database.service")
    given = of_units(params, "orders.service", "database.service")
    given["services"][0]["depends_on"] = [{"name": "database", "check": "tcp://127.0.0.1:1"}]
    assert _service_state.run(given, False)["incident"]["outcome"] == "done"
    assert [call for call in systemd.calls() if call.startswith("start")] == [
        "start database.service",
        "start orders.service",
    ]
