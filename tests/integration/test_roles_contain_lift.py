"""The roles that contain, roll back and lift, run as an operator runs them: ansible-playbook and a name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.small_service import SmallService

ROOT = Path(__file__).resolve().parents[2]
HOST = "here"


@dataclass
class Run:
    """How one ansible-playbook ended: its exit code, changed tasks, the incident block, all it said."""

    code: int
    changed: int
    block: dict[str, Any]
    said: str

    @property
    def outcome(self) -> str:
        return str(self.block["outcome"])


class Site:
    """An inventory with two small services on this machine: shop, and extra, which is not essential."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.shop, self.extra = SmallService(folder / "shop"), SmallService(folder / "extra", "extra")
        self.shop.release("41", migrations={"V1.sql": ""})
        self.shop.release("42", health="500", migrations={"V1.sql": "", "V2.sql": ""})
        self.shop.point("42")
        shop = self.shop.entry("health", "releases", "maintenance", "circuit_breakers")
        shop["releases"]["migrations"] = "migrations"
        self.variables: dict[str, Any] = {
            "incident_become": False,
            "incident_state_dir": str(self.state),
            "incident_services": [shop, self.extra.entry("health", essential=False)],
            "rollback_within_s": 2,
            "rollback_window_s": 0.5,
        }
        for service in (self.shop, self.extra):
            service.start()

    def play(self, name: str, *flags: str, **more: Any) -> Run:
        """Run a playbook by its full name, with more variables in the inventory."""
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory, tree = self.folder / "inventory.yml", self.folder / "tree"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {HOST: host}, "vars": {**self.variables, **more}}}))
        own = {"ANSIBLE_CALLBACKS_ENABLED": "tree", "ANSIBLE_CALLBACK_TREE_DIR": str(tree), "ANSIBLE_NOCOLOR": "1"}
        program = Path(sys.executable).with_name("ansible-playbook")
        finished = subprocess.run(
            [str(program), f"incidentctl.response.{name}", "-i", str(inventory), *flags],
            cwd=ROOT,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = finished.stdout + finished.stderr
        recap = re.search(r"changed=(\d+)", said)
        assert recap, said
        block = json.loads((tree / HOST).read_text()).get("incident")
        assert block, said
        return Run(finished.returncode, int(recap.group(1)), block, said)

    def in_maintenance(self) -> bool:
        return bool(self.asked("maintenance")["enabled"])

    def asked(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.shop.port}/{path}", timeout=5) as answer:
            return dict(json.load(answer))

    def seen(self) -> tuple[bool, bool, str]:
        """Return all that the roles change: who runs, and which release is current."""
        return self.shop.running(), self.extra.running(), str(self.shop.current.readlink())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.shop.end()
    made.extra.end()


def act_and_run_again(site: Site, name: str, **more: Any) -> Run:
    """See the check change nothing, the act act, and a second run change nothing; return the act."""
    before = site.seen()
    check = site.play(name, "--check", "--diff", **more)
    assert (check.code, check.changed, check.outcome) == (0, 1, "done"), check.said
    assert site.seen() == before
    assert not site.state.exists()
    done = site.play(name, **more)
    assert (done.code, done.changed, done.outcome) == (0, 1, "done"), done.said
    again = site.play(name, **more)
    assert (again.code, again.changed, again.outcome) == (0, 0, "unchanged"), again.said
    return done


def lift_and_lift_again(site: Site) -> None:
    """See the check change nothing, lift lift, and a second lift change nothing."""
    before = site.seen()
    check = site.play("lift", "--check", "--diff")
    assert (check.code, check.changed) == (0, 1), check.said
    assert site.seen() == before
    done = site.play("lift")
    assert (done.code, done.changed, done.block["facts"]["open"]) == (0, 1, []), done.said
    again = site.play("lift")
    assert (again.code, again.changed, again.outcome) == (0, 0, "unchanged"), again.said


def test_isolation_stops_what_is_named_and_lift_starts_it(site: Site) -> None:
    act_and_run_again(site, "isolation", incident_only=["shop"])
    assert site.seen()[:2] == (False, True)
    lift_and_lift_again(site)
    assert site.seen()[:2] == (True, True)


def test_scale_down_stops_what_is_not_essential_and_lift_starts_it(site: Site) -> None:
    done = act_and_run_again(site, "scale_down")
    assert done.block["actions"][0]["entry"] == "000001-scale-down-extra"
    assert site.seen()[:2] == (True, False)
    lift_and_lift_again(site)
    assert site.seen()[:2] == (True, True)


def test_maintenance_mode_is_turned_on_and_lift_turns_it_off(site: Site) -> None:
    done = act_and_run_again(site, "maintenance_mode")
    assert done.block["actions"][0]["verified"] is True
    assert site.in_maintenance()
    lift_and_lift_again(site)
    assert not site.in_maintenance()


def test_circuit_breakers_are_opened_and_lift_closes_them(site: Site) -> None:
    done = act_and_run_again(site, "circuit_breaker")
    (row,) = done.block["actions"]
    assert (row["entry"], row["verified"]) == ("000001-circuit-breaker-shop-payments", True)
    assert site.asked("breaker") == {"state": "open"}
    lift_and_lift_again(site)
    assert site.asked("breaker") == {"state": "closed"}


def test_a_breaker_that_would_cut_the_host_itself_is_refused_and_the_others_are_opened(site: Site) -> None:
    cut = {"name": "cache", "egress": {"host": "127.0.0.1", "port": 9200}}
    site.variables["incident_services"][0]["circuit_breakers"].append(cut)
    refused = site.play("circuit_breaker")
    assert (refused.code, refused.outcome) == (2, "refused"), refused.said
    assert "loopback is never cut" in refused.said or "install iptables" in refused.said
    assert site.asked("breaker") == {"state": "open"}


def test_a_rollback_is_rehearsed_done_once_and_left_alone_by_lift(site: Site) -> None:
    ready = site.play("prepare_rollback")
    assert (ready.code, ready.changed, ready.outcome) == (0, 0, "unchanged"), ready.said
    told = ready.block["facts"]["services"]["shop"]
    assert (told["from"], told["to"], told["rehearsed"], told["migrations"]) == ("42", "41", True, ["V2.sql"])
    assert not site.state.exists()
    done = act_and_run_again(site, "rollback", incident_only=["shop"])
    assert done.block["facts"]["services"]["shop"]["health_after"]["healthy"] is True
    lift = site.play("lift")
    assert (lift.code, lift.changed, lift.outcome) == (0, 0, "unchanged"), lift.said
    assert site.seen() == (True, True, "releases/41")


def test_a_named_release_reaches_the_module(site: Site) -> None:
    site.shop.release("40")
    done = site.play("rollback", incident_only=["shop"], rollback_to="40")
    assert (done.code, done.changed, site.seen()[2]) == (0, 1, "releases/40"), done.said


def test_everything_at_once_is_lifted_at_once(site: Site) -> None:
    for name in ("maintenance_mode", "scale_down"):
        site.play(name)
    site.play("isolation", incident_only=["shop"])
    assert site.seen()[:2] == (False, False)
    lift = site.play("lift")
    assert [row["target"] for row in lift.block["actions"]] == ["shop", "extra", "shop"]
    assert (lift.code, site.seen()[:2], site.in_maintenance()) == (0, (True, True), False), lift.said


@pytest.mark.parametrize("name", ["isolation", "rollback"])
def test_without_a_name_the_play_fails_and_going_on_hands_the_refusal_back(site: Site, name: str) -> None:
    refused = site.play(name)
    assert (refused.code, refused.outcome) == (2, "refused"), refused.said
    handed_back = site.play(name, incident_continue=True)
    assert (handed_back.code, handed_back.changed, handed_back.outcome) == (0, 0, "refused"), handed_back.said
    assert site.seen() == (True, True, "releases/42")


def test_a_rollback_that_goes_forward_again_fails_the_play(site: Site) -> None:
    (site.shop.home / "releases" / "41" / "health").write_text("silent")
    done = site.play("rollback", incident_only=["shop"])
    assert (done.code, done.outcome) == (2, "failed"), done.said
    assert "forward again to 42" in done.said
    assert site.seen() == (True, True, "releases/42")


def test_an_entry_that_cannot_be_lifted_fails_the_play_and_the_rest_is_lifted(site: Site) -> None:
    site.play("scale_down")
    torn = site.state / "ledger" / "adhoc" / "000002-isolation-shop.json"
    torn.write_text("{")
    lift = site.play("lift")
    assert (lift.code, lift.outcome, lift.block["facts"]["open"]) == (2, "failed", [torn.stem]), lift.said
    assert (site.seen()[:2], torn.exists()) == ((True, True), True)
