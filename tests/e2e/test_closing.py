"""Closing asks the hosts: refused while a ledger has an open entry, which is named; left so only for a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.shop import Shop

HOST = "this-machine"
REASON = 'the worker "moves" {{ lookup("pipe", "touch moved") }} tomorrow'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with an incident that contained two things, and waits for a person."""
    shop = Shop(tmp_path)
    shop.lay_out(severities={"high": {"contain": ["scale_down", "maintenance_mode"]}})
    with shop.broken(3):
        done = shop.run("run", "-s", "high", "--yes", "checkout returns 500")
        assert done.returncode == 10, done.stderr
        yield shop


def contained(shop: Shop) -> list[str]:
    return [row["entry"] for row in shop.status()["contained"]]


def unreachable(shop: Shop) -> None:
    described = yaml.safe_load(shop.override.read_text())
    described["all"]["hosts"][HOST] |= {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    shop.override.write_text(yaml.safe_dump(described))


def test_close_names_all_that_is_open_on_the_hosts_and_leaves_it_only_for_a_reason(shop: Shop) -> None:
    incident_id = shop.status()["incident_id"]
    worker, maintenance = contained(shop)
    torn = next(shop.folder.rglob(f"ledger/{incident_id}/{worker}.json"))
    # What is done by hand in the incident's name is in no record.
    by_hand = torn.with_name("000003-isolation-worker.json")
    by_hand.write_text(json.dumps({**json.loads(torn.read_text()), "seq": 3, "capability": "isolation"}))

    refused = shop.run("close")
    assert refused.returncode == 15, refused.stderr
    for entry, what in ((worker, "scale_down of worker"), (maintenance, "maintenance_mode of shop")):
        assert f"{HOST}: {entry} ({what})" in refused.stderr
    assert f"{HOST}: {by_hand.stem} (isolation of worker)" in refused.stderr

    unknown = shop.run("lift", "--only", "maintenance_mode/shopp")
    assert unknown.returncode == 2, unknown.stderr
    assert "did you mean maintenance_mode/shop?" in unknown.stderr
    assert f"{worker} (scale_down of worker)" in unknown.stderr
    one = shop.run("lift", "--only", "maintenance_mode/shop")
    assert one.returncode == 0, one.stderr
    assert contained(shop) == [worker, by_hand.stem]

    whole = torn.read_text()
    torn.write_text("{")
    lifted = shop.run("lift")
    assert lifted.returncode == 11, lifted.stderr
    assert contained(shop) == [worker]
    for said in (lifted.stderr, shop.run("status", inventory=False).stdout):
        assert str(torn) in said
        assert "move the file out" in said

    here = shop.override.read_text()
    unreachable(shop)
    refused = shop.run("close")
    assert refused.returncode == 15, refused.stderr
    assert "1 ledger entry is open, and 1 host(s) did not say what is open there" in refused.stderr
    assert str(torn) in refused.stderr
    assert f"{HOST}: unreachable" in refused.stderr
    assert shop.run("close", "--leave-contained", "  ").returncode == 2
    closed = shop.run("close", "--leave-contained", REASON)
    assert closed.returncode == 0, closed.stderr
    incident = shop.status()
    assert (incident["status"], incident["left_contained"]) == ("closed", REASON)
    assert [row["entry"] for row in incident["contained"]] == [worker]
    (event,) = [event for event in shop.events() if event["kind"] == "closed"]
    assert event["data"]["left_contained"] == REASON
    assert str(torn) in event["data"]["left"][0]
    report = (shop.folder / "state" / "incidents" / incident_id / "report.md").read_text()
    assert "still contained" in report
    assert "the worker" in report
    assert not list(shop.folder.rglob("moved"))

    shop.override.write_text(here)
    torn.write_text(whole)  # a person mended it
    assert shop.run("lift").returncode == 0
    assert contained(shop) == []
