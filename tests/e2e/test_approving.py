"""What is approved is what was shown: another deployment in between is asked about anew, and a second person has to agree."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.shop import Shop

COMMAND = Shop.command


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose newer release is broken; two people must approve what is done about it."""
    shop = Shop(tmp_path)
    shop.lay_out(severities={"low": {"approvals": 2}}, mitigate=[])
    with shop.broken(3):
        yield shop


def act_as(monkeypatch: pytest.MonkeyPatch, person: str) -> None:
    """Have who logged in be somebody: what the kernel knows no test can change for itself."""
    code = (
        "import sys\nfrom incidentctl import identity\nfrom incidentctl.cli import main\n"
        "person = sys.argv.pop(1)\nidentity.whoami = lambda: person + '@vm'\nmain()\n"
    )

    def instead(shop: Shop, *words: str, **how: Any) -> list[str]:
        python, flag, module, *rest = COMMAND(shop, *words, **how)
        assert (flag, module) == ("-m", "incidentctl")
        return [python, "-c", code, person, *rest]

    monkeypatch.setattr(Shop, "command", instead)


def plan(shop: Shop) -> str:
    return str(shop.status()["plans"]["rollback"]["hash"])


def kinds(shop: Shop, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in shop.events() if event["kind"] == kind]


def at(shop: Shop) -> str:
    return (shop.root / "current").readlink().name


def test_only_what_two_people_saw_is_done(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(monkeypatch, "ada")
    asked = shop.run("run", "--severity", "low", "checkout returns 500")
    assert asked.returncode == 10, asked.stderr
    shown = plan(shop)
    assert f"A  plan {shown[:12]}" in asked.stderr
    assert "this-machine: rollback of shop: 42 → 41" in asked.stderr

    other = shop.run("decide", "rollback", "--plan", "00000000")
    assert (other.returncode, kinds(shop, "decided")) == (14, []), other.stderr
    first = shop.run("decide", "rollback", "--plan", shown[:12])
    assert first.returncode == 10, first.stderr
    assert "1 of 2 approvals, by ada" in first.stderr
    assert shop.status()["waiting"]["waits_for"] == "approval"

    # Somebody deploys before the second one agrees to what is not so any more.
    shutil.copytree(shop.root / "releases/42", shop.root / "releases/43")
    shop.deploy("43")
    act_as(monkeypatch, "bob")
    second = shop.run("decide", "rollback", "--plan", shown[:12])
    assert second.returncode == 14, second.stderr
    assert "this-machine: shop is at 43 now, 42 when it was approved" in second.stderr
    assert at(shop) == "43"
    assert "rollback" not in [data["capability"] for data in kinds(shop, "host_outcome")]
    assert plan(shop) != shown
    assert shop.status()["waiting"]["waits_for"] == "decision"
