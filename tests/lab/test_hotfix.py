"""A hotfix of a site under podman-compose is built on real hosts from what lies there: reviewed, one first, then the rest."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.action.release import ActionModule
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo
from tests.lab.play import INVENTORY, Hosts, Play, lab

HOSTS = {"hot1": lab.Host(55, "web"), "hot2": lab.Host(56, "web")}
FOLDER, SOURCE = "/srv/site", "/srv/site/src"
URL = "http://127.0.0.1:8600/health"
APP = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
http.server.HTTPServer(("", 8600), Handler).serve_forever()
"""
RUN = 'RUN ["/usr/bin/python3", "-c", "{what}"]\n'
CONTAINERFILE = """FROM localhost/python
COPY app.py /srv/app.py
{run}CMD ["/usr/bin/python3", "/srv/app.py"]
"""
QUICK, SLOW, NEVER = (RUN.format(what=f"import time; time.sleep({s})") for s in (0, 3, 600))
SITE = {"image": "localhost/site:${SITE_TAG}", "ports": ["8600:8600"]}
CACHE = {"image": "localhost/python", "command": ["/usr/bin/python3", "-c", "import signal; signal.pause()"]}
FILE = {"services": {"site": SITE, "cache": CACHE}, "networks": {"default": {"external": True, "name": "shop"}}}
SERVICE = {
    "name": "site",
    "hosts": "web",
    "manager": "compose",
    "compose_file": f"{FOLDER}/compose.yml",
    "health": {"url": URL, "timeout_s": 3},
    "releases": {
        "kind": "compose_image",
        "image": "localhost/site",
        "variable": "SITE_TAG",
        "build": {"context": SOURCE},
    },
}


class Site:
    """The site on its hosts, in an incident of a test's own."""

    def __init__(self, hosts: Hosts, inventory: Path) -> None:
        self.hosts, self.inventory, self.id = hosts, inventory, f"INC-{secrets.token_hex(4)}"
        self.tag = f"hotfix-{self.id.lower()}-1"

    def play(self, playbook: str, *flags: str, limit: str = "hot1", **variables: Any) -> Play:
        own = {"incident_id": self.id, "incident_only": ["site"], "incident_services": [SERVICE]}
        quick = {"hotfix_within_s": 20, "hotfix_window_s": 1} if playbook == "hotfix" else {}
        return self.hosts.play(playbook, limit, "-i", str(self.inventory), *flags, **{**own, **quick, **variables})

    def source(self, host: str, status: int, run: str = QUICK) -> None:
        """Let a site that answers so lie in the context."""
        for name, text in (("app.py", APP.format(status=status)), ("Containerfile", CONTAINERFILE.format(run=run))):
            lab.ssh(host, f"sudo tee {SOURCE}/{name} >/dev/null", feed=text.encode())

    def at(self, host: str, tag: str) -> None:
        """Let the site run at a tag, with nothing of other tests here."""
        self.says(host, "podman-compose", "-f", f"{FOLDER}/compose.yml", "down", "-t", "0")
        lab.ssh(host, f"sudo tee {FOLDER}/.env >/dev/null", feed=f"SECRET=s3cret\nSITE_TAG={tag}\n".encode())
        self.hosts.run(host, "podman-compose", "-f", f"{FOLDER}/compose.yml", "up", "-d")
        self.says(host, "rm", "-rf", "/var/lib/incidentctl/releases")

    def says(self, host: str, *words: str) -> str:
        return self.hosts.says(host, *words)

    def runs(self, host: str) -> dict[str, str]:
        """What runs: the image of each container, by name."""
        lines = self.hosts.run(host, "podman", "ps", "--format='{{.Names}} {{.Image}}'").splitlines()
        return dict(line.split() for line in lines)

    def tags(self, host: str) -> list[str]:
        lines = self.hosts.run(host, "podman", "images", "--format={{.Tag}}", "localhost/site").splitlines()
        return [tag for tag in lines if self.id.lower() in tag]

    def leftovers(self, host: str) -> str:
        """What an ended build left: containers that it worked in, and processes."""
        containers = self.hosts.run(host, "podman", "ps", "--all", "--external", "--format='{{.Status}} {{.Command}}'")
        working = [line for line in containers.splitlines() if line == "Storage buildah"]
        return "\n".join([*working, self.says(host, "pgrep", "--list-full", "--full", "'podman [b]uild|[t]ime.sleep'")])

    def states(self, host: str) -> list[str]:
        folder = f"/var/lib/incidentctl/ledger/{self.id}"
        names = self.says(host, "ls", folder).split()
        return [json.loads(self.hosts.run(host, "cat", f"{folder}/{name}"))["state"] for name in names]


SICK = {"site_site_1": "localhost/site:42", "site_cache_1": "localhost/python:latest"}


@pytest.fixture(scope="module")
def hot_hosts(hosts: Hosts) -> Iterator[Hosts]:
    """Two more web servers, with a site of their own, whose release 42 is sick."""
    lab.HOSTS.update(HOSTS)
    try:
        hosts.fresh(*HOSTS)
        for host in HOSTS:
            hosts.run(host, "systemctl", "disable", "--quiet", "--now", "shop.service")
            # What the lab's image says of run and create, for what a build runs as well.
            hosts.run(host, "sed", "-i", "'s/run | create)/run | create | build)/'", "/usr/local/bin/podman")
            hosts.run(host, "mkdir", "-p", SOURCE)
            site = Site(hosts, Path())
            for tag, status in (("41", 200), ("42", 500)):
                site.source(host, status)
                hosts.run(host, "podman", "build", "--quiet", "--tag", f"localhost/site:{tag}", SOURCE)
            lab.ssh(host, f"sudo tee {FOLDER}/compose.yml >/dev/null", feed=yaml.safe_dump(FILE).encode())
        yield hosts
        lab.remove(list(HOSTS))
    finally:
        for host in HOSTS:
            del lab.HOSTS[host]


@pytest.fixture
def site(hot_hosts: Hosts, tmp_path: Path) -> Site:
    inventory = tmp_path / "more.yml"
    hosts = {name: {"ansible_host": host.addresses[0], "lab_dir": str(lab.STATE)} for name, host in HOSTS.items()}
    inventory.write_text(yaml.safe_dump({"all": {"children": {"web": {"hosts": hosts}}}}))
    site = Site(hot_hosts, inventory)
    for host in HOSTS:
        site.at(host, "42")
        site.source(host, 200)
    return site


def test_by_hand_it_is_built_and_seen_healthy_and_a_second_run_finds_it(site: Site) -> None:
    check = site.play("hotfix", "--check", "--diff")
    assert f"{site.tag} would be built from 2 file(s) in {SOURCE}" in check.block("hot1")["actions"][0]["summary"]
    assert (site.runs("hot1"), site.tags("hot1"), site.states("hot1")) == (SICK, [], [])
    block = site.play("hotfix").block("hot1")
    facts = block["facts"]["services"]["site"]
    assert (block["outcome"], block["actions"][0]["verified"]) == ("done", True), block
    assert (facts["health_before"]["status"], facts["health_after"]["status"]) == (500, 200)
    print(f"built in {facts['build']['seconds']} s, healthy {facts['seconds']} s after the switch")
    assert site.runs("hot1") == {**SICK, "site_site_1": f"localhost/site:{site.tag}"}
    again = site.play("hotfix")
    assert (again.results["hot1"]["changed"], again.block("hot1")["outcome"]) == (False, "unchanged")
    assert site.tags("hot1") == [site.tag]
    back = site.play("prepare_rollback").block("hot1")["facts"]["services"]["site"]
    assert (back["from"], back["to"]) == (site.tag, "41")


def test_a_build_that_does_not_end_is_ended_with_all_that_it_started(site: Site) -> None:
    site.source("hot1", 200, NEVER)
    began = time.monotonic()
    answer = site.play("hotfix", hotfix_build_within_s=3)
    assert time.monotonic() - began < 60
    assert "did not end in 3 s and was ended: still at 42" in answer.block("hot1")["actions"][0]["summary"]
    assert (site.runs("hot1"), site.tags("hot1"), site.leftovers("hot1")) == (SICK, [], "")
    assert site.states("hot1") == ["lifted"]


def test_what_cannot_be_built_is_said_and_changes_nothing(site: Site) -> None:
    lab.ssh("hot1", f"sudo tee {SOURCE}/Containerfile >/dev/null", feed=b"FROM docker.io/library/python:3.12\n")
    summary = site.play("hotfix").block("hot1")["actions"][0]["summary"]
    assert "it builds on docker.io/library/python:3.12, not on this host, and nothing is pulled" in summary
    site.source("hot1", 200, RUN.format(what="raise SystemExit('no such module')"))
    summary = site.play("hotfix").block("hot1")["actions"][0]["summary"]
    assert "podman build exited 1: " in summary
    assert "no such module" in summary
    assert (site.runs("hot1"), site.tags("hot1"), site.leftovers("hot1")) == (SICK, [], "")


# What a host shows at the moment at which the module is killed; @TAG@ is the one that is built.
SWITCHED = f"grep -q SITE_TAG=hotfix {FOLDER}/.env"
MOMENTS = {
    "while it builds": "pgrep -f 'podman [b]uild' && sleep 1",
    "once it is built": "podman image exists localhost/site:@TAG@",
    "after the switch": SWITCHED,
    "while nothing runs": SWITCHED + " && ! podman ps --format '{{.Names}}' | grep -q site_site_1",
    "once it runs": "podman ps --format '{{.Image}}' | grep -q @TAG@",
}


def killed(site: Site, moment: str, **more: Any) -> str:
    """Kill the module at this moment; return what is left of its build then."""
    cargo = ActionModule.cargo
    given = {
        "state": "hotfixed", "to": None, "remember": False, "within_s": 20.0, "window_s": 1.0, "build_within_s": 60.0,
        "reserve_mb": 200, "number": 1, "reviewed": {}, "services": [SERVICE], "only": ["site"], "host_name": "hot1",
        "host_groups": ["web"], "incident_id": site.id, "keep_going": True, "state_dir": "/var/lib/incidentctl", **more,
    }  # fmt: skip
    message = {
        "module": "release", "run": cargo.run, "capability": "hotfix", "params": given, "paths": cargo.paths,
        "check_mode": False, "environment": {}, "log": False,
    }  # fmt: skip
    lab.ssh("hot1", "sudo tee /root/cut.py >/dev/null", feed=_cargo.program("cut", cargo.library, message))
    shows = MOMENTS[moment].replace("@TAG@", site.tag)
    script = (
        f"python3 -I -S -B - </root/cut.py & pid=$!\nuntil {shows}; do sleep 0.02; done >/dev/null\nkill -KILL $pid\n"
    )
    said = lab.ssh("hot1", "sudo timeout 120 bash -s", feed=script.encode()).stdout
    assert b'"outcome"' not in said, "it was over before it was killed"
    return site.says("hot1", "pgrep", "--count", "--full", "'podman [b]uild'").strip() or "0"


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_is_gone_on_with_and_never_built_twice_at_once(site: Site, moment: str) -> None:
    site.source("hot1", 200, SLOW)
    left = killed(site, moment)
    block = site.play("hotfix").block("hot1")
    print(f"killed {moment}: {left} process(es) of the build left; then {block['actions'][0]['summary']}")
    assert block["outcome"] == "done", block
    assert site.runs("hot1") == {**SICK, "site_site_1": f"localhost/site:{site.tag}"}
    assert (site.tags("hot1"), site.states("hot1"), site.leftovers("hot1")) == ([site.tag], ["applied"], "")


def test_a_build_of_which_the_module_was_killed_is_still_ended_at_its_clock(site: Site) -> None:
    site.source("hot1", 200, NEVER)
    assert killed(site, "while it builds", build_within_s=8.0) != "0"
    until = time.monotonic() + 60
    while left := site.says(
        "hot1", "pgrep", "--list-full", "--full", "'podman [b]uild|[t]ime.sleep|python3 -I -S -B [-]'"
    ):
        assert time.monotonic() < until, left
    site.source("hot1", 200)
    assert site.play("hotfix").block("hot1")["outcome"] == "done"
    assert (site.tags("hot1"), site.leftovers("hot1")) == ([site.tag], "")


class Driver:
    """incidentctl on these hosts, with a record of the test's own."""

    def __init__(self, folder: Path) -> None:
        variables = yaml.safe_load((INVENTORY / "group_vars" / "all.yml").read_text())
        own = {"lab_dir": str(lab.STATE), "incident_services": [{**SERVICE, "user_facing": True}]}
        kept = {key: value for key, value in variables.items() if key != "incident_alertmanager_url"}
        hosts = {name: {"ansible_host": host.addresses[0]} for name, host in HOSTS.items()}
        inventory, self.config = folder / "site.yml", folder / "incidentctl.yml"
        inventory.write_text(yaml.safe_dump({"all": {"vars": {**kept, **own}, "children": {"web": {"hosts": hosts}}}}))
        settings = {
            "inventory": str(inventory), "state_dir": str(folder / "state"), "memory_bank": str(folder / "bank"),
            "severities": {"medium": {"contain": [], "watch": False}}, "verify": {"window": "2s", "within": "20s"},
        }  # fmt: skip
        self.config.write_text(yaml.safe_dump(settings))

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "incidentctl", words[0], "--config", str(self.config), *words[1:]]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words),
            cwd=lab.REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        print(f"$ incidentctl {' '.join(words)}\n{done.stderr}[exit code {done.returncode}]")
        return done

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.run("status", "--json").stdout))


@pytest.fixture
def driver(site: Site, tmp_path: Path) -> Driver:
    return Driver(tmp_path)


def test_in_a_terminal_it_is_decided_reviewed_deployed_to_one_then_to_the_rest_and_closed(
    site: Site, driver: Driver, tmp_path: Path
) -> None:
    first, *rest = driver.argv("run", "-s", "medium", "--service", "site", "the site answers 500")
    seen = pexpect.spawn(first, rest, cwd=str(lab.REPOSITORY), encoding="utf-8", timeout=240, dimensions=(40, 110))
    with (tmp_path / "terminal.txt").open("w") as seen.logfile_read:
        seen.expect("Which way")
        seen.sendline("b")
        seen.expect("Reviewed by whom")
        assert {host: site.runs(host) for host in HOSTS} == dict.fromkeys(HOSTS, SICK)
        seen.sendline("Ada")
        seen.expect(pexpect.EOF)
        seen.close()
    print((tmp_path / "terminal.txt").read_text())
    assert seen.exitstatus == 0
    status = driver.status()
    assert status["status"] == "closed"
    site.id = status["incident_id"]
    for host in HOSTS:
        assert site.tags(host) == [f"hotfix-{site.id.lower()}-1"]
        assert site.runs(host)["site_site_1"] == f"localhost/site:hotfix-{site.id.lower()}-1"
    rows = [row["host"] for row in status["outcomes"]["recover"]]
    assert rows == ["hot1", "hot2"]


def test_one_that_does_not_help_is_switched_back_on_the_first_host_and_the_other_never_touched(
    site: Site, driver: Driver
) -> None:
    for host in HOSTS:
        site.source(host, 503)
    assert driver.run("run", "-s", "medium", "--service", "site", "the site answers 500").returncode == 10
    site.id = str(driver.status()["incident_id"])
    waits = driver.run("decide", "hotfix")
    assert waits.returncode == 10
    assert "by whom was the hotfix reviewed?" in waits.stderr
    assert [site.tags(host) for host in HOSTS] == [[], []]
    worse = driver.run("decide", "hotfix", "--reviewed-by", "Ada")
    assert worse.returncode == 12
    assert "the hotfix is no better (503): back to 42, as before (500)" in worse.stderr
    tag = f"hotfix-{site.id.lower()}-"
    assert [site.runs(host) for host in HOSTS] == [SICK, SICK]
    assert [site.tags(host) for host in HOSTS] == [[f"{tag}1"], []]
    assert [site.states(host) for host in HOSTS] == [["lifted"], []]

    site.source("hot1", 200)
    # What was put to the question was the files of before.
    assert driver.run("decide", "hotfix", "--reviewed-by", "Ada").returncode == 14
    differs = driver.run("decide", "hotfix", "--reviewed-by", "Ada")
    assert differs.returncode == 15
    assert "not the same on all hosts" in differs.stderr
    assert "hot2 would be given sha256" in differs.stderr
    site.source("hot2", 200)
    anew = driver.run("resume", "--reviewed-by", "Ada")  # these files were not there when it was decided
    assert anew.returncode == 14
    assert "hotfix is not what was approved any more" in anew.stderr
    assert driver.run("decide", "hotfix", "--reviewed-by", "Ada").returncode == 0
    assert driver.status()["status"] == "closed"
    # It is numbered by the decisions, of which two came to nothing.
    assert [site.runs(host)["site_site_1"] for host in HOSTS] == [f"localhost/site:{tag}4"] * 2
