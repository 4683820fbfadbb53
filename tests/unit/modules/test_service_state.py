"""Services are stopped with their undo on record, and started again by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _health, _ledger, _lift, _service_state
from tests.small_service import SmallService
from tests.unit.modules import own_clock


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: SmallService) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return {
        "capability": "isolation",
        "non_essential": False,
        "services": [shop.entry("health")],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
    }


def lift(given: dict[str, Any]) -> dict[str, Any]:
    return dict(_lift.run({**given, "only": []}, False))


def block(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return answer["incident"]["outcome"], answer["incident"]["actions"][0]


def test_a_running_service_is_stopped_and_its_undo_is_on_record(shop: SmallService, params: dict[str, Any]) -> None:
    shop.start()
    answer = _service_state.run(params, False)
    assert block(answer) == (
        "done",
        {
            "target": "shop",
            "outcome": "done",
            "summary": "shop stopped",
            "entry": "000001-isolation-shop",
            "verified": True,
            "before": {"runs": ["shop"]},
            "after": {"runs": []},
        },
    )
    assert answer["changed"] is True
    assert not shop.running()
    entry = _ledger.latest(params, "isolation", "shop") or {}
    assert (entry["state"], entry["prior"]) == ("applied", {"running": True})
    assert entry["undo"]["service"]["control"] == shop.entry()["control"]


def test_the_intent_is_on_disk_when_the_act_happens(shop: SmallService, params: dict[str, Any], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    stop = f"cat {params['state_dir']}/ledger/INC-1/*.json > {seen}; kill $(cat {shop.pid})"
    params["services"][0]["control"]["stop"] = ["sh", "-c", stop]
    shop.start()
    assert block(_service_state.run(params, False))[0] == "done"
    assert json.loads(seen.read_text())["state"] == "intended"


def test_a_service_that_does_not_run_stays_so_and_lift_will_not_start_it(params: dict[str, Any]) -> None:
    answer = _service_state.run(params, False)
    assert (block(answer)[0], answer["changed"]) == ("unchanged", False)
    assert _ledger.entries(params) == ([], [])


def test_the_check_stops_nothing_and_records_nothing(shop: SmallService, params: dict[str, Any]) -> None:
    shop.start()
    answer = _service_state.run(params, True)
    assert (block(answer)[0], answer["changed"]) == ("done", True)
    assert answer["diff"] == [{"before_header": "shop", "before": "running\n", "after": "stopped\n"}]
    (row,) = answer["incident"]["actions"]
    assert (row["before"], row["after"]) == ({"runs": ["shop"]}, {"runs": []})
    assert shop.running()
    assert not Path(params["state_dir"]).exists()


def test_without_a_name_nothing_is_stopped(shop: SmallService, params: dict[str, Any]) -> None:
    shop.start()
    outcome, row = block(_service_state.run({**params, "only": []}, False))
    assert (outcome, shop.running()) == ("refused", True)
    assert "no service was named" in row["summary"]


def test_without_a_record_nothing_is_stopped(shop: SmallService, params: dict[str, Any], tmp_path: Path) -> None:
    shop.start()
    (tmp_path / "file").write_text("")
    outcome, _row = block(_service_state.run({**params, "state_dir": str(tmp_path / "file")}, False))
    assert (outcome, shop.running()) == ("failed", True)


def test_scaling_down_takes_only_what_is_marked(shop: SmallService, params: dict[str, Any], tmp_path: Path) -> None:
    extra = SmallService(tmp_path / "extra", "extra")
    try:
        shop.start()
        extra.start()
        services = [shop.entry(), extra.entry(essential=False)]
        scale = {**params, "capability": "scale_down", "non_essential": True, "only": [], "services": services}
        answer = _service_state.run(scale, False)
        assert [row["target"] for row in answer["incident"]["actions"]] == ["extra"]
        assert (shop.running(), extra.running()) == (True, False)
        assert _service_state.run(scale, False)["incident"]["outcome"] == "unchanged"
    finally:
        extra.end()


def test_one_service_that_will_not_stop_leaves_the_others_to_be_stopped(
    shop: SmallService, params: dict[str, Any], tmp_path: Path
) -> None:
    deaf = SmallService(tmp_path / "deaf", "deaf")
    try:
        shop.start()
        deaf.start()
        entry = deaf.entry()
        entry["control"]["stop"] = ["true"]
        services = {"services": [entry, shop.entry()], "only": ["deaf", "shop"]}
        answer = _service_state.run({**params, **services, "grace_s": 0.3}, False)
        assert [row["outcome"] for row in answer["incident"]["actions"]] == ["failed", "done"]
        assert "nothing came of it" in answer["incident"]["reason"]
        # It was tried, so lift has to look at it.
        assert (_ledger.latest(params, "isolation", "deaf") or {})["state"] == "intended"
    finally:
        deaf.end()


def test_a_service_is_started_again_and_its_health_told(shop: SmallService, params: dict[str, Any]) -> None:
    shop.start()
    _service_state.run(params, False)
    entry = _ledger.latest(params, "isolation", "shop") or {}
    assert _service_state.start_again(entry, True) == ("shop would be started", False)
    assert not shop.running()
    summary, verified = _service_state.start_again(entry, False)
    assert summary.startswith("shop started and healthy: 200")
    assert (verified, shop.running()) == (True, True)
    assert _service_state.start_again(entry, False) == ("shop was already running", True)


def test_a_service_that_starts_but_is_not_healthy_was_started(
    shop: SmallService, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_service_state, "HEALTH_WITHIN_S", 0.2)
    shop.release("1", health="500")
    shop.point("1")
    shop.start()
    _service_state.run(params, False)
    summary, verified = _service_state.start_again(_ledger.latest(params, "isolation", "shop") or {}, False)
    assert "started but not healthy within 0.2 s: 500" in summary
    assert (verified, shop.running()) == (True, True)


def test_what_others_need_is_stopped_last_and_started_first(params: dict[str, Any], tmp_path: Path) -> None:
    names = ["worker", "shop", "db"]
    needs = {"worker": "shop", "shop": "db"}
    made, log = {name: SmallService(tmp_path / "made" / name, name) for name in names}, tmp_path / "order"
    services = {}
    for name, service in made.items():
        entry = service.entry(depends_on=[{"name": needs[name], "check": "tcp://127.0.0.1:1"}] if name in needs else [])
        for verb in ("start", "stop"):
            argv = entry["control"][verb]
            entry["control"][verb] = ["sh", "-c", f'echo {verb} {name} >>{log}; exec "$0" "$@"', *argv]
        services[name] = entry
        service.start()
    try:
        given = {**params, "services": [services[name] for name in ("db", "worker", "shop")], "only": names}
        answer = _service_state.run(given, False)
        assert [row["target"] for row in answer["incident"]["actions"]] == ["db", "worker", "shop"]
        assert log.read_text().split("\n")[:-1] == ["stop worker", "stop shop", "stop db"]
        log.unlink()
        assert lift(given)["incident"]["outcome"] == "done"
        assert log.read_text().split("\n")[:-1] == ["start db", "start shop", "start worker"]
        # One by one, the other way round: the newest is not what the others need.
        for name in ("db", "shop", "worker"):
            _service_state.run({**given, "only": [name]}, False)
        log.unlink()
        lift(given)
        assert log.read_text().split("\n")[:-1] == ["start db", "start shop", "start worker"]
    finally:
        for service in made.values():
            service.end()


def test_those_that_stay_sick_hold_up_a_lift_for_a_time_only(
    shop: SmallService, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_service_state, "HEALTH_WITHIN_S", 0.4)
    monkeypatch.setattr(_service_state, "HEALTH_IN_ALL_S", 0.6)
    monkeypatch.setattr(_service_state, "_waited", [])
    clock = own_clock.given(monkeypatch, _health, _service_state)
    sick = [SmallService(tmp_path / name, name) for name in ("one", "two", "three")]
    for service in sick:
        service.release("1", health="500")
        service.point("1")
        service.start()
    try:
        services = [service.entry("health") for service in sick]
        _service_state.run({**params, "services": services, "only": ["one", "two", "three"]}, False)
        rows = lift(params)["incident"]["actions"]
        assert [row["outcome"] for row in rows] == ["done"] * 3
        assert all("but not healthy within" in row["summary"] for row in rows)
        assert (sum(_service_state._waited), clock.now) == (1.0, 1.0)  # of two, half a second each
    finally:
        for service in sick:
            service.end()
