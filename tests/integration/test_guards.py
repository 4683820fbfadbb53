"""What a guard refuses is refused before any connection, and done once it is named: on real hosts, over ssh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import light_hosts
from tests.light_hosts import LightHosts
from tests.typed import Typed

from incidentctl.guards import NAMES

# All but the last run; that one has the address of the machine that the commands are given on.
GROUPS = {"web": ["h1", "h2", "h3"], "db": ["h4"], "ops": ["h5"]}
LIMITS = {"max_hosts_changed": 3, "max_fraction_changed": 0.6, "never_isolate": ["db"]}
REFUSED = {
    "play isolation --service spare": "max_hosts_changed max_fraction_changed never_isolate controller",
    "play isolation --service spare -l web,ops": "max_hosts_changed max_fraction_changed controller",
    "play isolation --service spare -l db": "never_isolate",
    "play isolation --service spare -l h1,ops": "controller",
    "play isolation --service lamp": "last_instance",
    "play isolation --service lamp --override controller": "last_instance",
    "play isolation --service spare -l db,ops --override controller": "never_isolate",
    "play rate_limit -l web,db --override never_isolate": "max_hosts_changed max_fraction_changed",
}

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


class Site:
    """An inventory of light hosts that burn a lamp each, and incidentctl beside it."""

    def __init__(self, hosts: LightHosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        known: dict[str, Any] = {name: hosts.variables(name, "free") for name in hosts.names()}
        known["h5"] = {**known["h1"], "ansible_host": light_hosts.address(0)}
        services = [
            {"name": name, "hosts": place, "essential": name == "lamp", "manager": "command", "ports": [80], "control": {
                "start": ["touch", f"/run/{name}"],
                "stop": ["rm", "-f", f"/run/{name}"],
                "status": ["test", "-e", f"/run/{name}"],
            }}
            for name, place in {"lamp": "web", "spare": "all"}.items()
        ]  # fmt: skip
        content = {
            "hosts": known,
            "children": {group: {"hosts": {name: {} for name in members}} for group, members in GROUPS.items()},
            "vars": {"incident_services": services, "incident_state_dir": "/root/state"},
        }
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": content}))
        settings = {
            "inventory": "inventory.yml",
            "state_dir": "state",
            "guards": LIMITS,
            "severities": {"high": {"contain": ["isolation"]}},
        }
        (folder / "incidentctl.yml").write_text(yaml.safe_dump(settings))
        for name in hosts.names():
            for service in ("lamp", "spare"):
                hosts.path(name, f"/run/{service}").touch()

        self.typed = Typed(hosts, folder)

    def run(self, words: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, its data, and on one line what it said to a person."""
        code, data, said = self.typed.run(*words.split())
        return code, data, " ".join(said.split())

    def seen(self) -> dict[str, tuple[int, int]]:
        """Return how many connections and commands of ours each host has seen."""
        return {name: (self.hosts.connections(name), self.hosts.sessions(name)) for name in self.hosts.names()}

    def dark(self, service: str) -> set[str]:
        """Return the hosts on which a service was stopped."""
        return {name for name in self.hosts.names() if not self.hosts.path(name, f"/run/{service}").exists()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with light_hosts.running(4) as hosts, light_hosts.short_folder() as folder:
        made = Site(hosts, folder)
        yield made
        made.typed.end()


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_makes_no_connection_and_tells_every_guard_and_both_ways_out(site: Site, words: str) -> None:
    before, names = site.seen(), REFUSED[words].split()
    code, _, said = site.run(words)
    assert code == 15, said
    assert [name for name in NAMES if f"{name}: " in said] == names
    _, ways_out = said.split("Fix: narrow it: ")
    assert [name for name in NAMES if f"--override {name}" in ways_out] == names
    assert site.seen() == before


def test_a_misspelt_guard_is_an_error_before_any_connection(site: Site) -> None:
    before = site.seen()
    code, _, said = site.run("play isolation --service lamp --override last_instence")
    assert (code, "did you mean last_instance" in said) == (2, True), said
    assert site.seen() == before


def test_a_look_is_taken_all_the_same_and_says_what_would_be_refused(site: Site) -> None:
    code, _, said = site.run("play isolation --service lamp --check")
    assert code == 0, said
    assert (
        "Without --check it would be refused by last_instance (--override last_instance): nothing healthy of lamp"
        in said
    )
    assert site.dark("lamp") == set()


def test_what_is_named_is_done_and_no_more(site: Site) -> None:
    code, _, said = site.run("play isolation --service spare -l h4 --override never_isolate")
    assert code == 0, said
    assert site.dark("spare") == {"h4"}
    assert site.run("play lift -l h4")[0] == 0
    assert site.dark("spare") == set()


def test_in_an_incident_it_is_remembered_who_overrode_what_and_lift_forgets_it(site: Site) -> None:
    before = site.seen()
    code, _, said = site.run("run -s high --yes --service lamp -l web the lamps flicker")
    assert (code, "contain is refused by the guard last_instance" in said) == (15, True), said
    assert site.dark("lamp") == set()
    assert site.seen() != before  # the triage looked

    code, _, said = site.run("resume --yes --override last_instance")
    assert code == 10, said
    assert site.dark("lamp") == {"h1", "h2", "h3"}
    (told,) = [line for line in site.run("timeline")[1].splitlines() if "overridden" in line]
    assert "guard last_instance overridden: nothing healthy of lamp" in told
    state = json.loads(site.run("status --json")[1])
    assert [row["guard"] for row in state["overrides"]] == ["last_instance"]

    assert site.run("lift")[0] == 0
    assert site.dark("lamp") == set()
    assert json.loads(site.run("status --json")[1])["overrides"] == []
    assert site.run("cancel done")[0] == 0


def test_plan_and_doctor_say_beforehand_what_would_be_refused(site: Site) -> None:
    told = site.run("plan -s high --service lamp")[1]
    assert "Refused by the guard last_instance: nothing healthy of lamp" in told
    assert "if just that is meant: --override last_instance" in told
    (made,) = json.loads(site.run("plan -s high --json")[1])
    asked_first = ("stale_backup", "proxy")  # of these nothing is known before the hosts were asked
    assert list(made["refused"]) == [name for name in NAMES if name not in asked_first]
    rows = json.loads(site.run("doctor --json -l h1")[1])
    found = [row for row in rows if row["what"].startswith("guards")]
    assert [(row["what"], row["ok"]) for row in found] == [("guards", True)]


def test_a_plan_that_is_checked_says_what_each_host_would_do_and_changes_none(site: Site) -> None:
    code, told, said = site.run("plan -s high --service lamp -l web --check")
    assert code == 0, said
    assert told.count("isolation of lamp: runs lamp → stopped") == 1
    assert "Refused by the guard last_instance" in told
    site.hosts.path("h2", "/run/lamp").unlink()
    site.hosts.break_("h3", "refusing")
    try:
        code, told, said = site.run("plan -s high --service lamp -l web --check --diff --json")
    finally:
        site.hosts.mend("h3", "refusing")
        site.hosts.path("h2", "/run/lamp").touch()
    assert code == 11, said
    (made,) = json.loads(told)
    seen = {row["host"]: (row["before"]["runs"], row["after"]["runs"]) for row in made["checked"]["rows"]}
    assert seen == {"h1": (["lamp"], []), "h2": ([], [])}
    assert list(made["checked"]["silent"]) == ["h3"]
    assert site.dark("lamp") == set()


def test_what_is_checked_of_a_plan_is_of_the_services_that_are_meant_alone(site: Site) -> None:
    _, told, _ = site.run("plan --service spare -l h4 -C")
    assert "isolation of spare: runs spare → stopped" in told
    assert "isolation of lamp" not in told
    assert told.count("as the hosts are now") == told.count("  contain\n")


def test_a_diff_of_a_plan_is_for_what_the_hosts_say(site: Site) -> None:
    before = site.seen()
    code, _, said = site.run("plan --diff")
    assert (code, "Fix: --check --diff" in said) == (2, True), said
    assert site.seen() == before
