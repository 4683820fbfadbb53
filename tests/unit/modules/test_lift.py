"""Lift takes back what the ledger says, newest first, and nothing else."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _http_toggle,
    _ledger,
    _lift,
    _service_state,
)
from tests.small_service import SmallService

Made = Callable[[str], SmallService]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_http_toggle, "WAIT_S", 0.3)
    return {"incident_id": "INC-1", "state_dir": str(tmp_path / "state")}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Made]:
    made: list[SmallService] = []

    def make(name: str) -> SmallService:
        made.append(SmallService(tmp_path / name, name))
        made[-1].start()
        return made[-1]

    yield make
    for service in made:
        service.end()


def given(params: dict[str, Any], capability: str, *services: dict[str, Any]) -> dict[str, Any]:
    names = [service["name"] for service in services]
    own = {"capability": capability, "non_essential": False, "host_name": "h1", "host_groups": []}
    return {**params, **own, "services": list(services), "only": names}


def isolate(params: dict[str, Any], *services: SmallService) -> None:
    entries = [service.entry("health") for service in services]
    assert _service_state.run(given(params, "isolation", *entries), False)["incident"]["outcome"] == "done"


def record(params: dict[str, Any], undo: dict[str, Any], target: str = "x", state: str = "applied") -> str:
    entry = _ledger.intend(params, "isolation", target, {}, undo)
    return _ledger.mark(entry, state)["name"] if state != "intended" else entry["name"]


def states(params: dict[str, Any]) -> list[str]:
    return [entry["state"] for entry in _ledger.entries(params)[0]]


def test_everything_is_taken_back_newest_first(params: dict[str, Any], running: Made) -> None:
    shop, extra = running("shop"), running("extra")
    toggled = given(params, "maintenance_mode", shop.entry("health", "maintenance"))
    assert _http_toggle.run(toggled, False)["incident"]["outcome"] == "done"
    isolate(params, extra)
    answer = _lift.run(params, False)
    block = answer["incident"]
    assert [row["target"] for row in block["actions"]] == ["extra", "shop"]
    assert [row["verified"] for row in block["actions"]] == [True, True]
    assert block["facts"] == {
        "open": [],
        "lifted": ["000002-isolation-extra", "000001-maintenance-mode-shop"],
        "entries": [
            {"entry": "000002-isolation-extra", "capability": "isolation", "target": "extra"},
            {"entry": "000001-maintenance-mode-shop", "capability": "maintenance_mode", "target": "shop"},
        ],
    }
    assert answer["changed"] is True
    assert extra.running()
    assert _http_toggle.run(toggled, True)["incident"]["outcome"] == "done", "maintenance is off again"
    assert states(params) == ["lifted", "lifted"]


def test_a_second_lift_changes_nothing_and_still_says_what_is_lifted(params: dict[str, Any], running: Made) -> None:
    isolate(params, running("shop"))
    _lift.run(params, False)
    answer = _lift.run(params, False)
    assert (answer["incident"]["outcome"], answer["changed"]) == ("unchanged", False)
    assert answer["incident"]["facts"] == {"open": [], "lifted": ["000001-isolation-shop"], "entries": []}


def test_a_host_without_a_ledger_has_nothing_to_lift(params: dict[str, Any]) -> None:
    answer = _lift.run(params, False)
    assert answer["incident"]["outcome"] == "unchanged"
    assert not Path(params["state_dir"]).exists()


def test_the_check_says_what_would_be_lifted_and_lifts_nothing(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    answer = _lift.run(params, True)
    assert (answer["incident"]["outcome"], answer["changed"]) == ("done", True)
    assert answer["incident"]["actions"][0]["summary"] == "shop would be started"
    assert answer["incident"]["facts"] == {
        "open": ["000001-isolation-shop"],
        "lifted": [],
        "entries": [{"entry": "000001-isolation-shop", "capability": "isolation", "target": "shop"}],
    }
    assert answer["diff"] == [{"before_header": "000001-isolation-shop", "before": "open\n", "after": "lifted\n"}]
    assert (shop.running(), states(params)) == (False, ["applied"])


def test_an_act_that_was_interrupted_is_taken_back_too(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    record(params, {"kind": "service_start", "service": shop.entry()}, "shop", "intended")
    shop.end()
    assert _lift.run(params, False)["incident"]["outcome"] == "done"
    assert shop.running()


def test_what_others_took_back_already_is_closed(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    shop.start()
    row = _lift.run(params, False)["incident"]["actions"][0]
    assert (row["outcome"], row["summary"]) == ("done", "shop was already running")
    assert states(params) == ["lifted"]


def test_another_incidents_entries_stay(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    assert _lift.run({**params, "incident_id": "INC-2"}, False)["incident"]["outcome"] == "unchanged"
    assert not shop.running()


@pytest.mark.parametrize(
    ("undo", "words"),
    [
        ({"kind": "from_the_future"}, "nothing here can undo 'from_the_future'"),
        ({}, "nothing here can undo None"),
        ({"kind": "service_start"}, "cannot be used (KeyError"),
        ({"kind": "service_start", "service": "shop"}, "cannot be used (TypeError"),
        ({"kind": "http_call", "request": {"url": "http://127.0.0.1:1/off"}}, "answered nothing"),
        ({"kind": "http_call", "request": {"url": "http://127.0.0.1:1/", "secret_ref": {"env": "NO_SUCH"}}}, "NO_SUCH"),
    ],
)
def test_an_entry_that_cannot_be_undone_is_kept_and_the_others_are_lifted(
    params: dict[str, Any], running: Made, undo: dict[str, Any], words: str
) -> None:
    shop = running("shop")
    isolate(params, shop)
    name = record(params, undo)
    block = _lift.run(params, False)["incident"]
    assert [row["outcome"] for row in block["actions"]] == ["failed", "done"]
    assert words in block["reason"]
    assert "is kept" in block["reason"]
    assert (block["facts"]["open"], block["facts"]["lifted"]) == ([name], ["000001-isolation-shop"])
    assert (shop.running(), states(params)) == (True, ["lifted", "applied"])


def test_an_unreadable_entry_is_reported_and_kept(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    torn = Path(params["state_dir"], "ledger", "INC-1", "000002-isolation-other.json")
    torn.write_text("{")
    block = _lift.run(params, False)["incident"]
    assert block["outcome"] == "failed"
    assert (block["facts"]["open"], block["facts"]["lifted"]) == ([torn.stem], ["000001-isolation-shop"])
    assert block["facts"]["damaged"] == [{"entry": torn.stem, "path": str(torn)}]
    assert str(torn) in block["reason"]
    assert "move the file out" in block["reason"]
    assert (shop.running(), torn.read_text()) == (True, "{")


def test_a_rollback_is_left_alone_and_does_not_count_as_open(params: dict[str, Any]) -> None:
    undo = {"kind": "release_switch", "keep": True, "from": "41", "to": "42"}
    name = record(params, undo, "shop")
    path = Path(params["state_dir"], "ledger", "INC-1", f"{name}.json")
    before = path.read_bytes()
    answer = _lift.run(params, False)
    assert (answer["incident"]["outcome"], answer["changed"]) == ("unchanged", False)
    assert answer["incident"]["facts"] == {"open": [], "lifted": [], "entries": []}
    assert path.read_bytes() == before


def test_an_interrupted_rollback_is_told(params: dict[str, Any]) -> None:
    record(params, {"kind": "release_switch", "keep": True}, "shop", "intended")
    assert "interrupted" in _lift.run(params, False)["incident"]["actions"][0]["summary"]


def test_an_undo_that_cannot_be_recorded_is_done_and_said(
    params: dict[str, Any], running: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = running("shop")
    isolate(params, shop)

    def full(*_words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_ledger._durable, "write", full)
    block = _lift.run(params, False)["incident"]
    assert block["outcome"] == "failed"
    assert "started and healthy" in block["reason"]
    assert "could not be closed: [Errno 28] No space left on device" in block["reason"]
    assert block["facts"]["open"] == ["000001-isolation-shop"]
    assert shop.running()


def test_only_the_ledger_is_needed(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    entry = json.loads(Path(_ledger.entries(params)[0][0]["path"]).read_bytes())
    assert set(entry["undo"]["service"]) == {"name", "manager", "control", "health"}
    assert set(params) == {"incident_id", "state_dir"}
    assert _lift.run(params, False)["incident"]["outcome"] == "done"


@pytest.mark.parametrize("word", ["000002-isolation-extra", "isolation/extra"])
def test_one_entry_is_taken_back_alone_and_a_second_time_it_is_unchanged(
    params: dict[str, Any], running: Made, word: str
) -> None:
    shop, extra = running("shop"), running("extra")
    isolate(params, shop, extra)
    block = _lift.run({**params, "only": [word]}, False)["incident"]
    assert ([row["target"] for row in block["actions"]], block["facts"]["open"]) == (
        ["extra"],
        ["000001-isolation-shop"],
    )
    assert (shop.running(), extra.running()) == (False, True)
    again = _lift.run({**params, "only": [word]}, False)["incident"]
    assert (again["outcome"], again["actions"][0]["summary"]) == ("unchanged", f"{word} is lifted already")


def test_one_that_is_not_there_is_an_error_that_names_what_is_open(params: dict[str, Any], running: Made) -> None:
    shop = running("shop")
    isolate(params, shop)
    torn = Path(params["state_dir"], "ledger", "INC-1", "000002-isolation-other.json")
    torn.write_text("{")
    block = _lift.run({**params, "only": ["isolation/shop", "isolation/shopp"]}, False)["incident"]
    assert block["outcome"] == "failed"
    assert block["reason"] == (
        "isolation/shopp is in no ledger entry of INC-1 here; "
        "open: 000001-isolation-shop (isolation/shop), 000002-isolation-other"
    )
    assert (shop.running(), states(params)) == (False, ["applied"])
    damaged = _lift.run({**params, "only": [torn.stem]}, False)["incident"]
    assert (damaged["outcome"], [row["target"] for row in damaged["actions"]]) == ("failed", [torn.stem])


def test_what_an_act_left_that_was_killed_while_it_wrote_is_cleared_up(params: dict[str, Any]) -> None:
    record(params, {"kind": "release_switch", "keep": True})
    folder = Path(params["state_dir"], "ledger", "INC-1")
    (folder / "000002-isolation-shop.draft").write_text("{")
    _lift.run(params, True)
    assert len(list(folder.iterdir())) == 2, "the check changes nothing"
    _lift.run(params, False)
    assert [path.name for path in folder.iterdir()] == ["000001-isolation-x.json"]
    (folder / "000001-isolation-x.json").rename(folder / "000001-isolation-x.draft")
    _lift.run(params, False)
    assert not folder.exists(), "nothing was ever intended there"


def test_the_ledgers_of_others_are_forgotten_when_all_was_lifted_long_ago(params: dict[str, Any]) -> None:
    def other(incident: str, state: str, days: float, undo: dict[str, Any]) -> None:
        entry = _ledger.intend({**params, "incident_id": incident}, "isolation", "x", {}, undo)
        _ledger._write({**entry, "state": state, "lifted_at": _ledger.now(-days) if state == "lifted" else None})

    rows: list[tuple[str, str, float, dict[str, Any]]] = [
        ("long-ago", "lifted", 31, {"kind": "x"}),
        ("lately", "lifted", 29, {"kind": "x"}),
        ("still-open", "applied", 0, {"kind": "x"}),
        ("kept", "applied", 0, {"kind": "release_switch", "keep": True}),
        ("torn", "lifted", 31, {"kind": "x"}),
        ("half", "lifted", 31, {"kind": "x"}),
        ("INC-1", "lifted", 31, {"kind": "x"}),
    ]
    for row in rows:
        other(*row)
    other("half", "applied", 0, {"kind": "x"})
    ledger = Path(params["state_dir"], "ledger")
    (ledger / "torn" / "000002-y.json").write_text("{")
    beside = Path(params["state_dir"], "releases", "shop.json")
    beside.parent.mkdir()
    beside.write_text("{}")
    for days, forgotten in ((0, set()), (30, {"long-ago"})):
        _lift.run({**params, "forget_after_days": days}, True)
        assert {path.name for path in ledger.iterdir()} == {row[0] for row in rows}, "the check changes nothing"
        _lift.run({**params, "forget_after_days": days}, False)
        assert {path.name for path in ledger.iterdir()} == {row[0] for row in rows} - forgotten
    assert beside.exists()


@pytest.mark.parametrize("days", [999999.0, float("inf"), float("nan")])
def test_a_number_of_days_that_no_calendar_has_keeps_nothing_from_being_lifted(
    params: dict[str, Any], running: Made, days: float
) -> None:
    shop = running("shop")
    isolate(params, shop)
    assert _lift.run({**params, "forget_after_days": days}, False)["incident"]["outcome"] == "done"
    assert (shop.running(), states(params)) == (True, ["lifted"])


def test_a_broken_disk_does_not_keep_what_is_in_run_from_being_lifted(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def take_away(entry: _ledger.Entry, _check_mode: bool) -> tuple[str, bool]:
        taken.append(entry["target"])
        return "removed", True

    monkeypatch.setitem(_lift.UNDO, "traffic_rule", take_away)
    rules = record(params, {"kind": "traffic_rule"}, "rules")
    toggle = record(params, {"kind": "http_call", "request": {}}, "toggle")
    (tmp_path / "run").mkdir()
    (tmp_path / "state" / "ledger").rename(tmp_path / "run" / "ledger")
    (tmp_path / "state" / "ledger").mkdir()
    read, write = Path.iterdir, _ledger._durable.write

    def fail(path: Path) -> None:
        if tmp_path / "state" in path.parents:
            raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "iterdir", lambda path: fail(path) or read(path))
    monkeypatch.setattr(_ledger._durable, "write", lambda path, *words: fail(path) or write(path, *words))
    block = _lift.run({**params, "forget_after_days": 30}, False)["incident"]
    assert taken == ["rules"]
    rows = [(row["target"], row["outcome"]) for row in block["actions"]]
    assert rows == [("toggle", "failed"), ("rules", "done"), ("INC-1", "failed")]
    assert (block["facts"]["open"], block["facts"]["lifted"]) == ([toggle, "INC-1"], [rules])
