"""The lab is what inventories/lab says it is."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.lab.play import INVENTORY, Hosts, lab

GROUPS = {"web": "web", "db": "db", "workers": "worker", "monitoring": "monitoring"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    program = Path(sys.executable).with_name("ansible-inventory")
    argv = [str(program), "-i", str(INVENTORY), "--list"]
    return dict(json.loads(subprocess.run(argv, cwd=lab.REPOSITORY, capture_output=True, check=True).stdout))


def test_the_inventory_has_the_labs_hosts_at_their_addresses(described: dict[str, Any]) -> None:
    addresses = {name: of_host["ansible_host"] for name, of_host in described["_meta"]["hostvars"].items()}
    assert addresses == {name: host.addresses[0] for name, host in lab.HOSTS.items()}
    for group, role in GROUPS.items():
        assert described[group]["hosts"] == [name for name, host in lab.HOSTS.items() if host.role == role]


def test_hosts_are_reached_over_ssh_on_both_families_and_never_as_root(hosts: Hosts) -> None:
    hosts.need("worker1")
    assert lab.ssh("worker1", "whoami").stdout.decode().strip() == lab.USER
    for address in lab.HOSTS["worker1"].addresses:
        options = [
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            f"UserKnownHostsFile={lab.KNOWN_HOSTS}",
            "-i",
            str(lab.KEY),
        ]
        assert lab.run("ssh", *options, f"root@{address}", "true", check=False).returncode == 255
        assert lab.run("ssh", *options, f"{lab.USER}@{address}", "sudo", "id", "-u").stdout == b"0\n"


def test_a_host_that_changed_its_key_is_not_trusted(hosts: Hosts, tmp_path: Path) -> None:
    hosts.need("worker1")
    other = tmp_path / "known_hosts"
    address = lab.HOSTS["worker1"].addresses[0]
    other.write_text(f"{address} {lab.KEY.with_suffix('.pub').read_text()}")
    ssh = f"-o UserKnownHostsFile={other} -o StrictHostKeyChecking=yes -o ControlPath=none"
    play = hosts.play("lift", "worker1", ansible_ssh_common_args=ssh)
    assert play.code == 4
    assert "Host key verification failed" in play.said


def test_a_shop_in_its_container_is_reached_on_both_families(hosts: Hosts) -> None:
    hosts.fresh("web1")
    ipv4, ipv6 = lab.HOSTS["web1"].addresses
    for address in (ipv4, f"[{ipv6}]"):
        with urllib.request.urlopen(f"http://{address}:8000/health", timeout=5) as answer:
            assert json.load(answer)["release"] == "41"


def test_a_reset_host_is_as_it_was(hosts: Hosts) -> None:
    hosts.need("worker1")
    hosts.run("worker1", "touch", "/srv/stain")
    hosts.run("worker1", "systemctl", "stop", "shop-worker.service")
    hosts.fresh("worker1")
    assert hosts.run("worker1", "ls", "/srv") == "shop"
    assert hosts.run("worker1", "systemctl", "is-active", "shop-worker.service") == "active"
