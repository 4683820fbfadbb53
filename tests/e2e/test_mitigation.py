"""Option C: held, not solved. The mitigation stays until a person lifts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.lay_out(severities={"high": {"contain": []}}, verify={"window": "1s", "within": "2s"})
    with shop.broken():
        yield shop


def mode(shop: Shop) -> str:
    return str(shop.ask("GET", "/admin/maintenance-mode")[1]["mode"])


def test_a_mitigation_stays_says_so_and_is_lifted_by_a_person(shop: Shop) -> None:
    done = shop.run("run", "-s", "high", "--yes", "--option", "mitigate", "checkout returns 500")
    assert done.returncode == 10, done.stderr
    assert "mitigated, not solved" in done.stderr
    assert mode(shop) == "enabled"
    incident = shop.status()
    assert [c["capability"] for c in incident["contained"]] == ["maintenance_mode"]
    assert "Schedule the proper fix" in incident["follow_ups"][0]["text"]
    assert shop.run("close", inventory=False).returncode == 15
    lifted = shop.run("lift", "--json", inventory=False)
    assert lifted.returncode == 0, lifted.stderr
    assert json.loads(lifted.stdout)["contained"] == []
    assert mode(shop) == "disabled"
    closed = shop.run("close", inventory=False)
    assert closed.returncode == 0, closed.stderr
    assert shop.status()["status"] == "closed"


def test_a_mitigation_that_a_guard_refuses_is_not_decided_until_the_guard_is_named(shop: Shop) -> None:
    """The shop runs on the machine that the commands are given on: to stop it might stop them."""
    settings = yaml.safe_load(shop.config.read_text())
    shop.config.write_text(yaml.safe_dump({**settings, "mitigate": ["isolation"]}))
    done = shop.run("run", "-s", "high", "--option", "mitigate", "checkout returns 500")
    assert done.returncode == 15, done.stderr
    assert "recover is refused by the guard controller" in done.stderr
    assert "this-machine is the machine that this runs on" in done.stderr
    assert shop.checkout() == 500  # it answers

    done = shop.run("decide", "mitigate", "--override", "controller", inventory=False)
    assert done.returncode == 10, done.stderr
    assert "mitigated, not solved" in done.stderr
    told = [(event["kind"], event["data"].get("guard", event["data"].get("option"))) for event in shop.events()]
    assert [row for row in told if row[0] in ("overridden", "decided")] == [
        ("overridden", "controller"),
        ("decided", "mitigate"),
    ]
    with pytest.raises(ConnectionRefusedError):
        shop.checkout()
