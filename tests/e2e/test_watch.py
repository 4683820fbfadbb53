"""The severity: suggested from what is seen before the declaration, and watched after it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from tests.receiver import Receiver
from tests.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that is well."""
    shop = Shop(tmp_path)
    shop.lay_out()
    shop.start()
    try:
        yield shop
    finally:
        shop.stop()


def control(shop: Shop, *words: str) -> None:
    subprocess.run([*shop.control(), *words], check=True, capture_output=True)


def kinds(shop: Shop, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in shop.events() if event["kind"] == kind]


def watch(shop: Shop) -> tuple[int, dict[str, Any], str]:
    done = shop.run("watch", "--times", "1", "--json")
    return done.returncode, json.loads(done.stdout), done.stderr


def test_without_a_severity_and_a_terminal_it_suggests_one_and_declares_nothing(shop: Shop) -> None:
    control(shop, "stop", "shop")
    done = shop.run("run", "the shop is gone")
    assert done.returncode == 2, done.stderr
    assert "--severity is missing" in done.stderr
    assert "shop: user-facing and down on all its hosts" in done.stderr
    assert "Fix: --severity critical" in done.stderr
    assert shop.run("status", inventory=False).returncode == 2, "something was declared"


def test_in_a_terminal_the_suggestion_is_the_default_and_a_person_chooses(shop: Shop) -> None:
    control(shop, "stop", "worker")
    child = shop.in_terminal("run", "the worker is gone")
    try:
        child.expect("suggests medium: worker: down, but not user-facing")
        child.expect(r"Which severity\?.*medium")
        child.sendline("hihg")
        child.expect("did you mean high")
        child.sendline("")
        child.expect("Which way")
        child.sendline("q")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 10
    assert shop.status()["severity"] == "medium"
    assert "suggests medium" in kinds(shop, "note")[0]["text"]


def test_watch_records_a_change_once_and_proposes_what_it_means(shop: Shop) -> None:
    control(shop, "stop", "worker")
    assert shop.run("run", "-s", "medium", "--yes", "the worker is gone").returncode == 10
    before = len(shop.events())
    code, look, _ = watch(shop)
    assert (code, look["changed"], look["services"]) == (0, False, {"shop": "well", "worker": "down"})
    assert len(shop.events()) == before, "nothing changed, and it was recorded"

    control(shop, "stop", "shop")
    for _ in range(2):
        code, look, said = watch(shop)
        assert (code, look["proposed"]) == (10, "critical"), said
        assert f"Fix: incidentctl severity critical --incident {look['incident_id']}" in said
    (note,) = kinds(shop, "note")
    assert "shop is down, was well" in note["text"]
    assert "critical is proposed" in note["text"]
    assert shop.status()["severity"] == "medium", "it was only proposed"

    control(shop, "start", "shop")
    code, look, _ = watch(shop)
    assert (code, look["proposed"], look["services"]["shop"]) == (0, None, "well")
    assert len(kinds(shop, "note")) == 2


def test_watch_raises_the_severity_where_the_policy_says_so_and_tells_of_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{receiver.port}")
    hook = [{"env": "HOOK"}]
    settings = yaml.safe_load(shop.config.read_text())
    settings["audiences"] = {"on_call": {"kind": "on_call", "send": hook}, "boss": {"kind": "management", "send": hook}}
    settings["severities"] = {
        "medium": {"escalate": True, "notify": ["on_call"]},
        "critical": {"notify": ["on_call", "boss"]},
    }
    shop.config.write_text(yaml.safe_dump(settings))
    try:
        assert shop.run("run", "-s", "medium", "--yes", "something is odd").returncode == 10
        control(shop, "stop", "shop")
        code, look, said = watch(shop)
    finally:
        receiver.stop()
    assert (code, look["severity"], look["raised_from"]) == (0, "critical", "medium"), said
    assert shop.status()["severity"] == "critical"
    assert [content["title"].partition(" ")[0] for _path, _headers, content in receiver.got[1:]] == [
        "[medium]",
        "Incident",
        "[critical]",
    ]
    assert receiver.got[1][2]["title"].endswith(" waits for a decision")
    assert "severity changed" in receiver.got[3][2]["title"]
