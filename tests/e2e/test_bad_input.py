"""Bad input through the command line: what, why, Fix; the right exit code; no traceback; nothing changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.shop import Shop

HOSTILE = (
    "{{ lookup('pipe','touch CANARY') }} {% for x in [1] %}${IFS}`touch CANARY` $(touch CANARY) ; touch CANARY\n"
    "'quoted' \"twice\" \\ %s %(x)s {0} __ansible_unsafe !!python/object/apply:os.system ['touch CANARY']\r\n"
    "\x1b[31mred\x1b[2J\x1b]0;title\x07 \u202egnirts @/etc/passwd ../../etc "
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.lay_out()
    return shop


@pytest.fixture
def running(shop: Shop) -> Iterator[Shop]:
    shop.start()
    try:
        yield shop
    finally:
        shop.stop()


def nothing_happened(shop: Shop) -> bool:
    return shop.run("status", inventory=False).returncode == 2 and not (shop.folder / "host").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["run", "-s", "hgih", "x"], 2, ["no severity 'hgih'", "high"]),
        (["run", "-s", "high", "-l", "this-machin", "x"], 2, ["this-machine"]),
        (["run", "-s", "high", "-l", "this-machine:!tpyo", "x"], 2, ["'tpyo'"]),
        (["run", "-s", "high", "-l", "", "x"], 2, ["--limit is empty"]),
        (["run", "-s", "high", "--service", "shpo", "x"], 2, ["did you mean shop"]),
        (["run", "-s", "high", "--option", "rolback", "x"], 2, ["rollback"]),
        (["status", "INC-nope"], 2, []),
        (["resume"], 2, []),
        (["play", "isolatoin", "--service", "shop"], 2, ["did you mean isolation"]),
        (["play", "isolation"], 15, ["of which service"]),
    ],
)
def test_words_that_mean_nothing_here(shop: Shop, words: list[str], code: int, told: list[str]) -> None:
    done = shop.run(*words, inventory=words[0] in ("run", "play"))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Fix: " in done.stderr
    for text in told:
        assert text in done.stderr
    assert nothing_happened(shop)


def test_everything_that_is_wrong_in_the_settings_is_told_at_once(shop: Shop) -> None:
    shop.config.write_text(
        "verfy: {window: 2s}\nguards:\n  max_hosts_changed: many\nseverities:\n  high: {notify: [on_cal]}\n"
    )
    done = shop.run("run", "-s", "high", "x")
    assert done.returncode == 3
    for told in (
        f"{shop.config}:1: verfy",
        f"{shop.config}:3: guards.max_hosts_changed",
        f"{shop.config}:5: severities.high",
    ):
        assert told in done.stderr
    assert done.stderr.count("Fix: ") >= 3
    assert "Traceback" not in done.stderr


def test_without_an_inventory_it_says_how_to_name_one(shop: Shop) -> None:
    done = shop.run("run", "-s", "high", "x", inventory=False)
    assert done.returncode == 3
    assert "-i INVENTORY" in done.stderr


def test_a_catalogue_that_is_wrong_is_told_at_once(shop: Shop) -> None:
    services = [{"name": "Shop", "hosts": "nowhere", "essential": "yes"}, {"hosts": "this-machine"}]
    here = yaml.safe_load(shop.override.read_text())
    here["all"]["hosts"]["this-machine"]["incident_services"] = services
    shop.override.write_text(yaml.safe_dump(here))
    done = shop.run("run", "-s", "high", "x")
    assert done.returncode == 3
    for told in ("essential", "nowhere", "name is missing"):
        assert told in done.stderr


def test_a_service_without_an_earlier_release_says_why_it_cannot_go_back(running: Shop) -> None:
    shutil.rmtree(running.root / "releases" / "42")
    done = running.run("run", "-s", "high", "--service", "shop", "--yes", "--option", "rollback", "checkout is slow")
    assert done.returncode == 15, done.stderr
    assert "rollback is not possible" in done.stderr
    assert "no release before 41" in done.stderr
    assert (running.root / "current").resolve().name == "41"


def test_a_description_is_shown_harmless_kept_whole_and_run_by_nobody(running: Shop) -> None:
    canary = running.folder / "CANARY"
    title = HOSTILE.replace("CANARY", str(canary)) + "x" * 10_000
    done = running.run("run", "-s", "high", "--yes", "--", title)
    assert done.returncode == 10, done.stderr
    assert running.status()["title"] == title
    assert running.run("note", "--", "-rf " + title, inventory=False).returncode == 0
    assert running.status()["notes"][-1]["text"] == "-rf " + title
    shown = [done.stderr, *(running.run(*words, inventory=False).stdout for words in (["status"], ["timeline"]))]
    shown.append(Path(running.run("report", inventory=False).stdout.strip()).read_text())
    for text in shown:
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\r"}
        assert "x" * 5_000 not in text
    assert not list(running.folder.rglob("*CANARY*"))
    assert not canary.exists()
