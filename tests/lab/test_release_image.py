"""A service under podman-compose is moved between the tags of its image on a real host: over ssh, with sudo, by playbook."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.action.release import ActionModule
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo
from tests.lab.play import Hosts, Play, lab

HOST = lab.Host(54, "web")
NAME = "compose2"
FOLDER = "/srv/site"
URL = "http://127.0.0.1:8600/health"
# Answers with the health that its image was given, once it has the port.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ["HEALTH"]))
        self.end_headers()
http.server.HTTPServer(("", 8600), Handler).serve_forever()
"""
SITE = {"image": "localhost/site:${SITE_TAG}", "command": ["/usr/bin/python3", "-c", SERVER], "ports": ["8600:8600"]}
CACHE = {"image": "localhost/python", "command": ["/usr/bin/python3", "-c", "import signal; signal.pause()"]}
FILE = {"services": {"site": SITE, "cache": CACHE}, "networks": {"default": {"external": True, "name": "shop"}}}
TAGS = {"40": 200, "41": 200, "42": 500, "43": 500}
SERVICE = {
    "name": "site",
    "hosts": "web",
    "manager": "compose",
    "compose_file": f"{FOLDER}/compose.yml",
    "health": {"url": URL, "timeout_s": 3},
    "releases": {"kind": "compose_image", "image": "localhost/site", "variable": "SITE_TAG"},
}


class Site:
    """The site on its host, in an incident of a test's own."""

    def __init__(self, hosts: Hosts, inventory: Path) -> None:
        self.hosts, self.inventory, self.id = hosts, inventory, f"INC-{secrets.token_hex(4)}"

    def play(self, playbook: str, *flags: str, **variables: Any) -> Play:
        own = {"incident_id": self.id, "incident_only": ["site"], "incident_services": [SERVICE]}
        quick = {f"{playbook}_within_s": 20, f"{playbook}_window_s": 1} if playbook == "rollback" else {}
        return self.hosts.play(playbook, NAME, "-i", str(self.inventory), *flags, **{**own, **quick, **variables})

    def at(self, tag: str) -> None:
        """Let the site run at a tag, however it was left."""
        self.says("podman-compose", "-f", f"{FOLDER}/compose.yml", "down", "-t", "0")
        lab.ssh(NAME, f"sudo tee {FOLDER}/.env >/dev/null", feed=f"SECRET=s3cret\nSITE_TAG={tag}\n".encode())
        self.hosts.run(NAME, "chmod", "640", f"{FOLDER}/.env")
        self.hosts.run(NAME, "podman-compose", "-f", f"{FOLDER}/compose.yml", "up", "-d")
        self.says("rm", "-rf", "/var/lib/incidentctl/releases")

    def says(self, *words: str) -> str:
        return self.hosts.says(NAME, *words)

    def running(self) -> dict[str, str]:
        """What runs: the image of each container, by name."""
        lines = self.hosts.run(NAME, "podman", "ps", "--format='{{.Names}} {{.Image}}'").splitlines()
        return dict(line.split() for line in lines)

    def container(self, service: str) -> str:
        return self.hosts.run(NAME, "podman", "inspect", "--format={{.Id}}", f"site_{service}_1")

    def env(self) -> str:
        return self.hosts.run(NAME, "sh", "-c", f"'stat -c %a:%U {FOLDER}/.env; cat {FOLDER}/.env; ls -A {FOLDER}'")


BACK = {"site_site_1": "localhost/site:41", "site_cache_1": "localhost/python:latest"}
FORWARD = {**BACK, "site_site_1": "localhost/site:42"}


@pytest.fixture(scope="module")
def compose_host(hosts: Hosts) -> Iterator[Hosts]:
    """One more web server, with a site of its own beside nothing."""
    lab.HOSTS[NAME] = HOST
    try:
        hosts.fresh(NAME)
        hosts.run(NAME, "systemctl", "disable", "--quiet", "--now", "shop.service")
        hosts.run(NAME, "mkdir", "-p", FOLDER)
        for tag, health in TAGS.items():
            change = ["--change", f"ENV=HEALTH={health}"]
            hosts.run(NAME, "podman", "import", "--quiet", *change, "/opt/python.tar", f"localhost/site:{tag}")
        lab.ssh(NAME, f"sudo tee {FOLDER}/compose.yml >/dev/null", feed=yaml.safe_dump(FILE).encode())
        yield hosts
        lab.remove([NAME])
    finally:
        del lab.HOSTS[NAME]


@pytest.fixture
def site(compose_host: Hosts, tmp_path: Path) -> Site:
    inventory = tmp_path / "more.yml"
    host = {NAME: {"ansible_host": HOST.addresses[0], "lab_dir": str(lab.STATE)}}
    inventory.write_text(yaml.safe_dump({"all": {"children": {"web": {"hosts": host}}}}))
    site = Site(compose_host, inventory)
    site.at("42")
    return site


def test_it_goes_back_healthy_and_nothing_else_is_touched(site: Site) -> None:
    assert site.running() == FORWARD
    cache, before = site.container("cache"), site.env()
    told = site.play("prepare_rollback").block(NAME)["facts"]["services"]["site"]
    assert (told["from"], told["to"], told["rehearsed"]) == ("42", "41", True), told
    assert told["deployed_at"][:2] == "20"
    check = site.play("rollback", "--check", "--diff")
    assert check.block(NAME)["actions"][0]["summary"] == "site would go back from 42 to 41"
    assert (site.running(), site.env()) == (FORWARD, before)
    block = site.play("rollback").block(NAME)
    facts = block["facts"]["services"]["site"]
    assert (block["outcome"], block["actions"][0]["verified"]) == ("done", True), block
    assert (facts["health_before"]["status"], facts["health_after"]["status"]) == (500, 200)
    assert (site.running(), site.container("cache")) == (BACK, cache)
    assert site.env() == before.replace("SITE_TAG=42", "SITE_TAG=41")
    assert "640:root" in before
    assert "localhost/site:42" in site.hosts.run(NAME, "podman", "images", "--format={{.Repository}}:{{.Tag}}")
    again = site.play("rollback")
    assert (again.results[NAME]["changed"], again.block(NAME)["outcome"]) == (False, "unchanged")
    found = site.play("diagnosis").block(NAME)["facts"]["services"]["site"]["release"]
    assert (found["current"], found["previous"], found["available"]) == ("41", "40", ["40", "41", "42", "43"])


def test_one_that_is_as_sick_goes_forward_again(site: Site) -> None:
    cache, before = site.container("cache"), site.env()
    answer = site.play("rollback", rollback_to="43", rollback_within_s=3)
    row = answer.block(NAME)["actions"][0]
    assert (answer.code, row["outcome"]) == (2, "failed")
    assert row["summary"] == "site: release 43 is no better (500) than 42 (500): forward again to 42"
    assert (site.running(), site.container("cache"), site.env()) == (FORWARD, cache, before)


def test_without_the_image_it_is_refused_and_nothing_is_pulled(site: Site) -> None:
    answer = site.play("rollback", rollback_to="7").block(NAME)
    assert answer["outcome"] == "refused"
    assert "localhost/site:7 is not on this host, and none is pulled in an incident" in answer["reason"]
    assert site.running() == FORWARD


# Seconds after which the module is killed: before it began, and at each thing that it does until it is done.
@pytest.mark.parametrize("after_s", [0.4, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0])
def test_killed_at_any_moment_it_is_gone_on_with(site: Site, after_s: float) -> None:
    cache = site.container("cache")
    cargo = ActionModule.cargo
    given = {
        "state": "rolled_back", "to": None, "remember": False, "within_s": 20.0, "window_s": 1.0, "services": [SERVICE],
        "only": ["site"], "host_name": NAME, "host_groups": ["web"], "incident_id": site.id, "keep_going": True,
        "state_dir": "/var/lib/incidentctl",
    }  # fmt: skip
    message = {
        "module": "release", "run": cargo.run, "capability": "rollback", "params": given, "paths": cargo.paths,
        "check_mode": False, "environment": {}, "log": False,
    }  # fmt: skip
    program = _cargo.program("cut", cargo.library, message)
    said = lab.ssh(
        NAME, f"sudo timeout --signal=KILL {after_s} python3 -I -S -B - || true", feed=program
    ).stdout.decode()
    tag = site.env().split("SITE_TAG=")[1].split()[0]
    assert tag in ("41", "42"), "the file is whole at any moment"
    assert "s3cret" in site.env()
    block = site.play("rollback").block(NAME)
    assert block["outcome"] in (("unchanged",) if '"outcome"' in said else ("done",)), block
    assert (site.running(), site.container("cache")) == (BACK, cache)
    folder = f"/var/lib/incidentctl/ledger/{site.id}"
    entries = [json.loads(site.hosts.run(NAME, "cat", f"{folder}/{name}")) for name in site.says("ls", folder).split()]
    assert [entry["state"] for entry in entries] == ["applied"]
