"""A hotfix is deployed once, seen healthy, and switched back when it is no better."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _health,
    _ledger,
    _release,
    _release_health,
)
from tests.small_service import SmallService

DEPLOY = """
import os, pathlib, subprocess, sys, time
home, name = pathlib.Path(sys.argv[1]), sys.argv[2]
draft = home / "draft"
draft.symlink_to(pathlib.Path("releases") / name)
os.replace(draft, home / "current")
with (home / "deployed").open("a") as deployed:
    deployed.write(name + "\\n")
pid = home / "pid"
os.kill(int(pid.read_text()), 15)
while pid.exists():
    time.sleep(0.02)
subprocess.run(["sh", home / "start.sh"], check=True)
while not pid.exists():
    time.sleep(0.02)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallService]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_control, "WAIT_S", 3.0)
    monkeypatch.setattr(_health, "INTERVAL_S", 0.05)
    service = SmallService(tmp_path / "shop")
    yield service
    service.end()


def params(shop: SmallService, hotfix: list[str] | None, **more: Any) -> dict[str, Any]:
    entry = shop.entry("health", "releases")
    if hotfix is not None:
        entry["releases"] = {**entry["releases"], "hotfix": hotfix}
    return {
        "state": "hotfixed",
        "to": None,
        "remember": False,
        "within_s": 1.0,
        "window_s": 0.2,
        "build_within_s": 60.0,
        "reserve_mb": 0,
        "number": 1,
        "reviewed": {},
        "services": [entry],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(shop.home.parent / "state"),
        **more,
    }


def act(given: dict[str, Any], check_mode: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    block = _release.run(given, check_mode)["incident"]
    assert block["capability"] == "hotfix"
    (row,) = block["actions"]
    return row, block["facts"].get("services", {}).get("shop", {})


def to_release(shop: SmallService, name: str) -> list[str]:
    """The words of a hotfix command that installs a release and restarts the service, as a team's own would."""
    script = shop.home.parent / "hotfix.py"
    script.write_text(DEPLOY)
    return [sys.executable, str(script), str(shop.home), name]


def current(shop: SmallService) -> str:
    return shop.current.readlink().name


def sick(shop: SmallService) -> None:
    shop.release("42", "500")
    shop.release("43", "200")
    shop.release("44", "500")
    shop.point("42")
    shop.start()


def test_a_hotfix_that_heals_stays_and_is_deployed_once(shop: SmallService) -> None:
    sick(shop)
    given = params(shop, to_release(shop, "43"))
    row, facts = act(given, check_mode=True)
    assert (row["outcome"], current(shop)) == ("done", "42")
    row, facts = act(given)
    assert (row["outcome"], row["verified"], current(shop)) == ("done", True, "43")
    assert (facts["from"], facts["to"], facts["switched_back"]) == ("42", "43", False)
    assert facts["seconds"] > 0
    row, facts = act(given)
    assert (row["outcome"], row["verified"]) == ("unchanged", True)
    assert (shop.home / "deployed").read_text() == "43\n"


def test_where_a_hotfix_leads_is_unknown_and_told_by_its_command_and_the_files_that_it_names(
    shop: SmallService,
) -> None:
    sick(shop)
    argv = to_release(shop, "43")
    row, _facts = act(params(shop, argv), check_mode=True)
    assert row["before"] == {"release": "42"}
    assert (row["after"]["release"], row["after"]["command"]) == ("unknown", argv)
    script = shop.home / "another-hotfix.sh"
    told = []
    for text in ("exit 0\n", "exit 1\n"):
        script.write_text(text)
        told.append(act(params(shop, ["/bin/sh", str(script)]), check_mode=True)[0]["after"]["files"][str(script)])
    assert told[0] != told[1]


def test_a_hotfix_that_is_no_better_is_switched_back(shop: SmallService) -> None:
    sick(shop)
    row, facts = act(params(shop, to_release(shop, "44")))
    assert (row["outcome"], current(shop), facts["switched_back"]) == ("failed", "42", True)
    assert "back to 42" in row["summary"]


def test_a_hotfix_that_was_cut_off_after_it_switched_is_switched_back_to_what_was_before(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick(shop)
    given = params(shop, to_release(shop, "44"))

    class Killed(BaseException):
        pass

    def die(*_words: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_release_health, "verify", die)
        with pytest.raises(Killed):
            act(given)
    assert (current(shop), [e["state"] for e in _ledger.entries(given)[0]]) == ("44", ["intended"])
    row, facts = act(given)
    assert (row["outcome"], facts["from"], facts["switched_back"]) == ("failed", "42", True)
    assert (current(shop), [e["state"] for e in _ledger.entries(given)[0]]) == ("42", ["lifted"])


def test_under_which_release_a_hotfix_helped_is_remembered(shop: SmallService) -> None:
    sick(shop)
    act(params(shop, to_release(shop, "43")))
    shop.point("44")
    block = _release.run({**params(shop, None), "state": "prepared"}, False)["incident"]
    facts = block["facts"]["services"]["shop"]
    assert (facts["to"], facts["why"].startswith("the last one seen healthy here, 20")) == ("43", True)


def test_a_hotfix_command_that_fails_changes_nothing_and_says_what_it_said(shop: SmallService) -> None:
    sick(shop)
    row, _facts = act(params(shop, [sys.executable, "-c", "raise SystemExit('no space to build')"]))
    assert (row["outcome"], current(shop)) == ("failed", "42")
    assert "no space to build" in row["summary"]


def test_a_service_without_a_hotfix_command_is_skipped_and_says_so(shop: SmallService) -> None:
    sick(shop)
    row, _facts = act(params(shop, None))
    assert row["outcome"] == "skipped"
    assert "declares no hotfix" in row["summary"]


def test_without_a_named_service_nothing_is_deployed(shop: SmallService) -> None:
    sick(shop)
    block = _release.run(params(shop, to_release(shop, "43"), only=[]), False)["incident"]
    assert block["outcome"] == "refused"
    assert current(shop) == "42"
