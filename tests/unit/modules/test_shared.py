"""What two incidents want contained stays contained until both are lifted, in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _http_toggle,
    _ledger,
    _lift,
    _service_state,
    _shared,
)
from tests.small_service import SmallService


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SmallService]:
    service = SmallService(tmp_path / "shop")
    service.start()
    yield service
    service.end()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_http_toggle, "WAIT_S", 0.3)
    return {"state_dir": str(tmp_path / "state"), "host_name": "h1", "host_groups": []}


def isolate(host: dict[str, Any], shop: SmallService, incident: str, check: bool = False) -> dict[str, Any]:
    """Let an incident isolate the shop; return its action."""
    own = {"capability": "isolation", "non_essential": False, "only": ["shop"], "services": [shop.entry("health")]}
    return row(_service_state.run({**host, **own, "incident_id": incident}, check))


def maintain(host: dict[str, Any], shop: SmallService, incident: str) -> dict[str, Any]:
    services = [shop.entry("health", "maintenance")]
    own = {"capability": "maintenance_mode", "only": [], "services": services, "incident_id": incident}
    return row(_http_toggle.run({**host, **own}, False))


def lift(host: dict[str, Any], incident: str, check: bool = False) -> dict[str, Any]:
    return row(_lift.run({"state_dir": host["state_dir"], "incident_id": incident}, check))


def held(host: dict[str, Any], incident: str) -> dict[str, str]:
    """Return what others still hold of what an incident has lifted."""
    answer = _lift.run({"state_dir": host["state_dir"], "incident_id": incident}, True)
    return dict(answer["incident"]["facts"].get("held", {}))


def row(answer: dict[str, Any]) -> dict[str, Any]:
    (action,) = answer["incident"]["actions"]
    return dict(action)


def open_entries(host: dict[str, Any]) -> list[str]:
    return [entry["incident"] for entry in _ledger.elsewhere({**host, "incident_id": "none"})]


@pytest.mark.parametrize("order", list(permutations(["INC-A", "INC-B", "INC-C"])))
def test_the_last_to_be_lifted_starts_it(host: dict[str, Any], shop: SmallService, order: tuple[str, ...]) -> None:
    assert isolate(host, shop, "INC-A")["outcome"] == "done"
    for incident in ("INC-B", "INC-C"):
        told = isolate(host, shop, incident)
        assert (told["outcome"], told["entry"]) == ("unchanged", "000001-isolation-shop")
        assert "shop is not running, by isolation of INC-A" in told["summary"]
        assert f"until {incident} is lifted as well" in told["summary"]
    for incident in order[:2]:
        told = lift(host, incident)
        assert (told["outcome"], shop.running()) == ("done", False)
        assert f"isolation of {order[2]}" in told["summary"]
        assert "stays as it is" in told["summary"]
    assert lift(host, order[2])["outcome"] == "done"
    assert shop.running()
    assert open_entries(host) == []


def test_a_second_run_and_a_second_lift_change_nothing(host: dict[str, Any], shop: SmallService) -> None:
    isolate(host, shop, "INC-A")
    isolate(host, shop, "INC-B")
    again = isolate(host, shop, "INC-B")
    assert (again["outcome"], "entry" in again, open_entries(host)) == ("unchanged", False, ["INC-A", "INC-B"])
    lift(host, "INC-A")
    assert lift(host, "INC-A")["outcome"] == "unchanged"
    assert not shop.running()
    assert held(host, "INC-A") == {"shop": "isolation of INC-B"}
    lift(host, "INC-B")
    assert held(host, "INC-A") == held(host, "INC-B") == {}


def test_the_check_says_whose_it_is_and_holds_nothing(host: dict[str, Any], shop: SmallService) -> None:
    isolate(host, shop, "INC-A")
    told = isolate(host, shop, "INC-B", check=True)
    assert (told["outcome"], told["summary"]) == ("unchanged", "shop is not running, by isolation of INC-A")
    assert open_entries(host) == ["INC-A"]
    isolate(host, shop, "INC-B")
    assert "would stay as it is: isolation of INC-B" in lift(host, "INC-A", check=True)["summary"]
    assert open_entries(host) == ["INC-A", "INC-B"]


def test_what_stood_still_before_any_incident_is_held_by_none(host: dict[str, Any], shop: SmallService) -> None:
    shop.end()
    for incident in ("INC-A", "INC-B"):
        assert isolate(host, shop, incident)["summary"] == "shop is not running"
    assert open_entries(host) == []


def test_what_a_lifted_incident_did_counts_no_more(host: dict[str, Any], shop: SmallService) -> None:
    isolate(host, shop, "INC-A")
    lift(host, "INC-A")
    shop.end()
    assert "entry" not in isolate(host, shop, "INC-B")


def test_maintenance_goes_off_with_the_last_one(host: dict[str, Any], shop: SmallService) -> None:
    assert maintain(host, shop, "INC-A")["outcome"] == "done"
    told = maintain(host, shop, "INC-B")
    assert (told["outcome"], told["verified"]) == ("unchanged", True)
    assert "by maintenance_mode of INC-A" in told["summary"]
    assert "stays as it is" in lift(host, "INC-A")["summary"]
    assert maintain(host, shop, "INC-C")["outcome"] == "unchanged", "it is still on"
    lift(host, "INC-B")
    assert lift(host, "INC-C")["summary"] == "maintenance of shop turned off"


def test_rules_and_silences_are_each_incidents_own(host: dict[str, Any]) -> None:
    for kind in ("traffic_rule", "silence", "monitoring_rule", "release_switch"):
        _ledger.intend({**host, "incident_id": "INC-A"}, "x", "shop", {}, {"kind": kind})
        assert _shared.holders({**host, "incident_id": "INC-B"}, kind, "shop") == []


def test_what_cannot_be_read_of_another_incident_keeps_nobody_from_a_lift(
    host: dict[str, Any], shop: SmallService, tmp_path: Path
) -> None:
    isolate(host, shop, "INC-A")
    isolate(host, shop, "INC-B")
    (tmp_path / "state" / "ledger" / "INC-B" / "000001-isolation-shop.json").write_text("{")
    (tmp_path / "state" / "ledger" / "not an incident").write_text("")
    assert lift(host, "INC-A")["outcome"] == "done"
    assert shop.running()
