"""A shop under podman-compose is stopped and started again on a real host: over ssh, with sudo, by playbook."""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
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
    (bundle,) = (tmp_path / "evidence").rglob("*.tar.gz")
    with tarfile.open(bundle) as tar:
        (name,) = [name for name in tar.getnames() if name.startswith("logs/shop/01-compose-shop_")]
        member = tar.extractfile(name)
        assert member
        assert b"sells on port 8000" in member.read()
    facts = incident.play("diagnosis", **own).block(NAME)["facts"]["services"]["shop"]
    assert not [note for note in facts["notes"] if "compose" in note or "container" in note]
