"""Whatever is written after -l, -i and --service: touched is what is shown, or nothing at all. On real hosts, over ssh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import light_hosts
from tests.typed import Typed

# Names of the inventory → the light host that each is. Two names of one machine: web1 and alias.
MACHINES = {
    "db1": "h1", "web1": "h2", "web2": "h3", "Web2": "h4", "same": "h5", "solo": "h6", "ported": "h7", "six": "h8",
    "web-10.site": "h9", "alias": "h2",
}  # fmt: skip
GROUPS: dict[str, Any] = {
    "web": {"hosts": {"web1": {}, "web2": {}}},
    "db": {"hosts": {"db1": {}, "web2": {}}},
    "site": {"children": {"web": {}, "db": {}}},
    "empty": {"hosts": {}},
    "same": {"hosts": {"db1": {}}},
    "twins": {"hosts": {"same": {}}},
    "solo": {"hosts": {"solo": {}}},
    "dépôt": {"hosts": {"six": {}}},
}
# A touched host is named once for all the names that it has.
TOUCHED = {
    "web": "web1 web2",
    "site": "db1 web1 web2",
    "web1": "web1",
    "alias,db1": "alias db1",
    "web:db": "db1 web1 web2",
    "web db": "db1 web1 web2",
    " web1 , web1 ": "web1",
    "web:!web2": "web1",
    "!web2:web": "web1",
    "web:&db": "web2",
    "web*:!alias": "web-10.site web1 web2",
    "~[Ww]eb2": "Web2 web2",
    "web[12]*": "web1 web2",
    "all:!alias:!site:!twins": "Web2 ported six solo web-10.site",
    "ungrouped:!alias": "Web2 ported web-10.site",
    "solo": "solo",
    "dépôt": "six",
    "@few": "ported web1",
    "web-10.site": "web-10.site",
}
REFUSED = {
    "wbe": "did you mean web",
    "web:!wbe2": "'wbe2'",
    "web,nope": "'nope'",
    "empty": "'empty'",
    "web:!empty": "'empty'",
    "WEB": "'WEB'",
    "web:&solo": "leaves no host",
    "!all": "leaves no host",
    "": "is empty",
    " , ": "is empty",
    "~": "is empty",
    "~web(": "no regular expression",
    "web[0]": "a place in a group",
    "web[0:1]": "a place in a group",
    "web[": "brackets do not pair",
    "web:&db,solo": "'web:&db'",
    "same": "a host and also a group of db1",
    "all": "web1 are all",
    "web1,alias": "web1 are all",
    "localhost": "'localhost'",
    "-web": "'-web'",
    "wéb": "'wéb'",
    "fd1c:231::9": "'fd1c'",
    "ported:2222": "'2222'",
    "@nowhere": "cannot be read",
    "@blank": "names no host",
    "{{ groups.web }}": "no host matches",
    "web;reboot": "'web;reboot'",
}

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


class Site:
    """An inventory of light hosts, and incidentctl with it."""

    def __init__(self, hosts: light_hosts.LightHosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        known: dict[str, Any] = {name: hosts.variables(machine) for name, machine in MACHINES.items()}
        known["ported"]["ansible_port"] = 2222
        known["six"]["ansible_host"] = light_hosts.address(8, 6)
        control = {verb: ["true"] for verb in ("start", "stop", "status")}
        services = [
            {"name": name, "hosts": place, "manager": "command", "control": control}
            for name, place in {"shop": "web", "mail": "all"}.items()
        ]
        common = {"incident_services": services, "incident_become": False}
        content = {"all": {"hosts": known, "children": GROUPS, "vars": common}}
        (folder / "inventory.yml").write_text(yaml.safe_dump(content, allow_unicode=True))
        (folder / "incidentctl.yml").write_text(yaml.safe_dump({"state_dir": str(folder / "state")}))
        (folder / "few").write_text("web1\n\n  ported\n")
        (folder / "blank").write_text("\n \n")
        self.typed = Typed(hosts, folder)

    def run(self, *words: str, inventory: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """Run a command; return its exit code, its data, and what it said to a person."""
        given = [word for source in ("inventory.yml", *inventory) for word in ("-i", source)]
        return self.typed.run(*words, *given)

    def played(self, *words: str, inventory: tuple[str, ...] = ()) -> tuple[set[str], set[str]]:
        """Return the machines that a read-only play said it looked at, and those that were sent a command meanwhile."""
        before = {name: self.hosts.sessions(name) for name in self.hosts.names()}
        code, data, said = self.run("play", "health_check", *words, "--json", inventory=inventory)
        assert code == 0, said
        touched = {name for name in self.hosts.names() if self.hosts.sessions(name) > before[name]}
        return {row["host"] for row in json.loads(data)}, touched

    def connections(self) -> dict[str, int]:
        return {name: self.hosts.connections(name) for name in self.hosts.names()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Not pytest's own folder: ssh's sockets lie below it, and their paths must be short.
    with light_hosts.running(9) as hosts, light_hosts.short_folder() as folder:
        made = Site(hosts, folder)
        yield made
        made.typed.end()


def test_the_cases_are_as_many_as_promised() -> None:
    assert len(TOUCHED) + len(REFUSED) >= 30


@pytest.mark.parametrize("limit", TOUCHED)
def test_touched_is_what_is_shown(site: Site, limit: str) -> None:
    shown, touched = site.played("--limit", limit)
    assert shown == set(TOUCHED[limit].split())
    assert touched == {MACHINES[name] for name in shown}


def test_a_service_is_looked_at_where_it_runs(site: Site) -> None:
    shown, touched = site.played("--service", "shop", "-l", "all:!alias")
    assert shown == {"web1", "web2"}
    assert touched == {"h2", "h3"}


def test_hosts_may_be_written_down_with_the_command(site: Site) -> None:
    later = ",".join(f"{name}:2222" for name in ("late1", "late2"))
    variables = {name: site.hosts.variables(machine) for name, machine in {"late1": "h1", "late2": "h4"}.items()}
    for name, about in variables.items():
        del about["ansible_python_interpreter"]
        folder = site.folder / "more" / "host_vars"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yml").write_text(yaml.safe_dump(about))
    (site.folder / "more" / "hosts.yml").write_text("all: {}")
    shown, touched = site.played("-l", "late1,late2", inventory=("more", later))
    assert shown == {"late1", "late2"}
    assert touched == {"h1", "h4"}


def test_what_means_nothing_or_two_things_is_an_error_before_any_connection(site: Site) -> None:
    before = site.connections()
    for limit, why in REFUSED.items():
        code, _, said = site.run("play", "health_check", f"--limit={limit}")
        assert (code, why in said, "Fix: " in said, "Traceback" in said) == (2, True, True, False), (limit, said)
    for words, expected in {("--service", "shpo"): 2, ("--service", ""): 2}.items():
        assert site.run("play", "health_check", "-l", "web", *words)[0] == expected, words
    assert site.run("play", "health_check", "-l", "web", inventory=("fd1c:231::9,",))[0] == 3
    assert site.connections() == before
