"""A shop under podman-compose is stopped and started again on a real host: over ssh, with sudo, by playbook."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bundle import contents
from tests.lab.play import Hosts, Play, lab

HOST = lab.Host(53, "web")
NAME = "compose1"
FILE = "/srv/shop/compose.yml"
SERVICE = {"name": "shop", "hosts": "web", "manager": "compose", "compose_file": FILE}
HEALTH = {"url": "http://127.0.0.1:8000/health", "timeout_s": 3}


class Incident:
    """An incident of a test's own on the compose host."""

    def __init__(self, hosts: Hosts, inventory: Path) -> None:
        self.hosts, self.inventory, self.id = hosts, inventory, f"INC-{secrets.token_hex(4)}"

    def play(self, playbook: str, *flags: str, **variables: Any) -> Play:
        own = {"incident_id": self.id, "incident_only": ["shop"], "incident_services": [{**SERVICE, "health": HEALTH}]}
        return self.hosts.play(playbook, NAME, "-i", str(self.inventory), *flags, **{**own, **variables})

    def outcome(self, playbook: str, *flags: str, **variables: Any) -> str:
        return str(self.play(playbook, *flags, **variables).block(NAME)["outcome"])

    def running(self) -> list[str]:
        return sorted(self.hosts.run(NAME, "podman", "ps", "--format={{.Names}}").split())


@pytest.fixture(scope="module")
def compose_host(hosts: Hosts) -> Iterator[Hosts]:
    """One more web server, whose shop no systemd unit looks after."""
    lab.HOSTS[NAME] = HOST
    try:
        hosts.fresh(NAME)
        hosts.run(NAME, "systemctl", "disable", "--quiet", "--now", "shop.service")
        yield hosts
        lab.remove([NAME])
    finally:
        del lab.HOSTS[NAME]


@pytest.fixture
def incident(compose_host: Hosts, tmp_path: Path) -> Incident:
    inventory = tmp_path / "more.yml"
    host = {NAME: {"ansible_host": HOST.addresses[0], "lab_dir": str(lab.STATE)}}
    inventory.write_text(yaml.safe_dump({"all": {"children": {"web": {"hosts": host}}}}))
    compose_host.run(NAME, "podman-compose", "-f", FILE, "up", "-d")
    return Incident(compose_host, inventory)


def test_isolation_stops_it_and_lift_starts_it_healthy(incident: Incident) -> None:
    assert incident.running() == ["shop_shop_1"]
    assert incident.outcome("isolation") == "done"
    assert incident.running() == []
    lift = incident.play("lift").block(NAME)
    assert lift["outcome"] == "done"
    assert "started and healthy" in lift["actions"][0]["summary"]
    assert incident.running() == ["shop_shop_1"]


def test_a_second_run_changes_nothing(incident: Incident) -> None:
    incident.play("isolation")
    again = incident.play("isolation")
    assert (again.code, again.results[NAME]["changed"], again.block(NAME)["outcome"]) == (0, False, "unchanged")
    assert incident.outcome("lift") == "done"
    again = incident.play("lift")
    assert (again.code, again.results[NAME]["changed"], again.block(NAME)["outcome"]) == (0, False, "unchanged")


def test_check_mode_tells_and_changes_nothing(incident: Incident) -> None:
    told = incident.play("isolation", "--check", "--diff")
    assert (told.results[NAME]["changed"], told.block(NAME)["outcome"]) == (True, "done")
    assert incident.running() == ["shop_shop_1"]


def test_one_service_of_a_file_is_stopped_alone_and_a_stopped_one_stays_so(incident: Incident) -> None:
    # The shop's file twice as large: two more services, of which one was stopped by somebody.
    sleeper = {"image": "localhost/python", "command": ["/usr/bin/python3", "-c", "import signal; signal.pause()"]}
    document = {"services": dict.fromkeys(("one", "two", "three"), sleeper)}
    file = "/srv/extra/compose.yml"
    incident.hosts.run(NAME, "mkdir", "-p", "/srv/extra")
    lab.ssh(NAME, f"sudo tee {file} >/dev/null", feed=yaml.safe_dump(document).encode())
    incident.hosts.run(NAME, "podman-compose", "-f", file, "up", "-d")
    incident.hosts.run(NAME, "podman", "stop", "--time=0", "extra_three_1")
    extra = {"name": "shop", "hosts": "web", "manager": "compose", "compose_file": file}
    all_others = ["extra_one_1", "extra_two_1", "shop_shop_1"]
    try:
        assert incident.outcome("isolation", incident_services=[{**extra, "compose_service": "two"}]) == "done"
        assert incident.running() == ["extra_one_1", "shop_shop_1"]
        assert incident.outcome("lift") == "done"
        assert incident.running() == all_others
        assert incident.outcome("isolation", incident_services=[extra]) == "done"
        assert incident.running() == ["shop_shop_1"]
        assert incident.outcome("lift") == "done"
        assert incident.running() == all_others
    finally:
        incident.hosts.says(NAME, "podman-compose", "-f", file, "down", "-t", "0")


@pytest.fixture
def extra(incident: Incident) -> Iterator[dict[str, Any]]:
    """A second file: a web that hears no SIGTERM and is always restarted, needs a db, and a cache that somebody stopped."""
    hears = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"
    sleeper = {"image": "localhost/python", "command": ["/usr/bin/python3", "-c", hears]}
    deaf = {**sleeper, "command": ["/usr/bin/python3", "-c", "import signal; signal.pause()"]}
    web = {**deaf, "depends_on": ["db", "cache"], "restart": "always"}
    document = {"services": {"web": web, "db": sleeper, "cache": sleeper}}
    incident.hosts.run(NAME, "mkdir", "-p", "/srv/extra")
    lab.ssh(NAME, "sudo tee /srv/extra/compose.yml >/dev/null", feed=yaml.safe_dump(document).encode())
    incident.hosts.run(NAME, "podman-compose", "-f", "/srv/extra/compose.yml", "up", "-d")
    incident.hosts.run(NAME, "podman", "stop", "--time=0", "extra_cache_1")
    incident.hosts.run(NAME, "podman-compose", "-f", FILE, "stop")
    yield {"name": "shop", "hosts": "web", "manager": "compose", "compose_file": "/srv/extra/compose.yml"}
    incident.hosts.says(NAME, "podman", "rm", "--force", "--time=0", "extra_web_1", "extra_db_1", "extra_cache_1")


def said(play: Play) -> str:
    (row,) = play.block(NAME)["actions"]
    assert row["outcome"] == "done", row
    return str(row["summary"])


def test_what_was_killed_is_named_and_the_same_containers_are_started_again(
    incident: Incident, extra: dict[str, Any]
) -> None:
    own = {"incident_services": [extra]}
    before = incident.hosts.run(NAME, "podman", "ps", "--quiet", "--no-trunc").split()
    told = said(incident.play("isolation", isolation_grace_s=2, **own))
    assert "had to kill extra_web_1 after 2 s (exit code 137)" in told
    assert incident.running() == []
    # What the file says by now is another service; nothing of it is asked.
    lab.ssh(NAME, "sudo tee /srv/extra/compose.yml >/dev/null", feed=b"services: {}\n")
    told = said(incident.play("lift"))
    assert told == "shop started (extra_db_1, extra_web_1)"
    assert incident.hosts.run(NAME, "podman", "ps", "--quiet", "--no-trunc").split() == before
    assert incident.running() == ["extra_db_1", "extra_web_1"], "what somebody had stopped stays so"


def test_what_was_removed_meanwhile_is_made_anew_alone(incident: Incident, extra: dict[str, Any]) -> None:
    own = {"incident_services": [{**extra, "compose_service": "web"}]}
    incident.play("isolation", isolation_grace_s=1, **own)
    incident.hosts.run(NAME, "podman", "rm", "extra_web_1")
    told = said(incident.play("lift"))
    assert "the containers of web were removed meanwhile: it is made anew" in told
    assert incident.running() == ["extra_db_1", "extra_web_1"], "the cache that it depends on stays stopped"


def test_what_was_deployed_anew_meanwhile_is_started_once(incident: Incident, extra: dict[str, Any]) -> None:
    own = {"incident_services": [{**extra, "compose_service": "web"}]}
    incident.play("isolation", isolation_grace_s=1, **own)
    incident.hosts.run(NAME, "podman", "rm", "extra_web_1")
    incident.hosts.run(NAME, "podman-compose", "-f", extra["compose_file"], "up", "-d", "--no-deps", "web")
    incident.hosts.run(NAME, "podman", "stop", "--time=0", "extra_cache_1")  # which podman-compose 1.0 starts, too
    assert "web was deployed anew meanwhile, and runs" in said(incident.play("lift"))
    assert incident.running() == ["extra_db_1", "extra_web_1"]


def test_a_container_that_flaps_is_stopped_for_good(incident: Incident) -> None:
    flapping = {"image": "localhost/python", "command": ["/usr/bin/python3", "-c", "pass"], "restart": "always"}
    incident.hosts.run(NAME, "mkdir", "-p", "/srv/flap")
    document = {"services": {"flap": flapping}}
    lab.ssh(NAME, "sudo tee /srv/flap/compose.yml >/dev/null", feed=yaml.safe_dump(document).encode())
    incident.hosts.run(NAME, "podman-compose", "-f", "/srv/flap/compose.yml", "up", "-d")
    service = {"name": "shop", "hosts": "web", "manager": "compose", "compose_file": "/srv/flap/compose.yml"}
    try:
        assert incident.outcome("isolation", incident_services=[service]) == "done"
        before = incident.hosts.run(NAME, "podman", "inspect", "--format={{.RestartCount}}", "flap_flap_1")
        time.sleep(3)
        assert incident.hosts.run(NAME, "podman", "inspect", "--format={{.RestartCount}}", "flap_flap_1") == before
        assert incident.outcome("lift") == "done"
    finally:
        incident.hosts.says(NAME, "podman", "rm", "--force", "--time=0", "flap_flap_1")


def test_a_reboot_loses_neither_the_ledger_nor_the_service(incident: Incident) -> None:
    incident.play("isolation")
    incident.hosts.reboot(NAME)
    assert incident.running() == []
    assert incident.outcome("lift") == "done"
    assert incident.running() == ["shop_shop_1"]


def test_what_its_containers_said_is_brought_home_and_searched_for_errors(incident: Incident, tmp_path: Path) -> None:
    service = {**SERVICE, "health": HEALTH, "logs": [{"kind": "compose"}]}
    incident.hosts.run(NAME, "curl", "--silent", "--retry", "9", "--retry-connrefused", HEALTH["url"])
    own = {"incident_services": [service], "incident_evidence_dir": str(tmp_path / "evidence")}
    assert incident.play("log_collection", **own).code == 0
    (bundle,) = (tmp_path / "evidence").rglob("*.tar.*")
    (said,) = [text for name, text in contents(bundle).items() if name.startswith("logs/shop/01-compose-shop_")]
    assert b"sells on port 8000" in said
    facts = incident.play("diagnosis", **own).block(NAME)["facts"]["services"]["shop"]
    assert not [note for note in facts["notes"] if "compose" in note or "container" in note]
