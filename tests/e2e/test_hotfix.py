"""Option B: the shop's own hotfix command, and the review before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.shop import INVENTORY, TOOLS, Shop

# Release 43 is 42 without its mistake.
COMMAND = """
import pathlib, shutil, subprocess, sys
root, tools, control = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
new = root / "releases" / "43"
shutil.rmtree(new, ignore_errors=True)
shutil.copytree(root / "releases" / "42", new)
app = new / "app.py"
app.write_text(app.read_text().replace("SELECT unit_price", "SELECT price"))
switch = [f"{tools}/deploy.py", "switch", "43", "--root", str(root)]
for words in ([*control, "stop", "shop"], switch, [*control, "start", "shop"]):
    subprocess.run([sys.executable, *words], check=True)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.lay_out(severities={"medium": {"contain": [], "watch": False}})
    hotfix = tmp_path / "hotfix.py"
    hotfix.write_text(COMMAND)
    services = yaml.safe_load((INVENTORY / "group_vars" / "all.yml").read_text())["incident_services"]
    words = [sys.executable, str(hotfix), str(shop.root), str(TOOLS), *shop.control()[1:]]
    next(one for one in services if one["name"] == "shop")["releases"]["hotfix"] = words
    here = yaml.safe_load(shop.override.read_text())
    here["all"]["hosts"]["this-machine"]["incident_services"] = services
    shop.override.write_text(yaml.safe_dump(here))
    with shop.broken():
        yield shop


def test_a_hotfix_waits_for_the_name_of_who_reviewed_it_and_then_brings_the_shop_back(shop: Shop) -> None:
    done = shop.run("run", "-s", "medium", "--option", "hotfix", "--service", "shop", "checkout returns 500")
    assert done.returncode == 10, done.stderr
    assert "by whom was the hotfix reviewed?" in done.stderr
    assert f"{shop.folder}/hotfix.py" in done.stderr, "what would be run is shown"
    assert shop.checkout() == 500
    done = shop.run("decide", "hotfix", "--reviewed-by", "Ada", inventory=False)
    assert done.returncode == 0, done.stderr
    assert shop.checkout() == 201
    events = shop.events()
    assert events[-2]["kind"] == "closed", events[-2:]
    (approved,) = [event["data"] for event in events if event["kind"] == "approved"]
    assert (approved["what"], approved["reviewer"]) == ("review", "Ada")
