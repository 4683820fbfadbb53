"""A bad release on real servers, and one command that brings the shop back: seen with our own eyes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import deploy
import pytest
import yaml
from tests.lab.play import INVENTORY, Hosts, lab

RESPONSE_S = 300
ALERT_S = 30  # scraped and evaluated every 2 s; the rest is for a busy machine
Driver = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """incidentctl with the lab's settings, but a record of the test's own."""
    settings = yaml.safe_load((lab.LAB / "incidentctl.yml").read_text())
    own = {"inventory": str(INVENTORY), "state_dir": str(tmp_path / "state"), "memory_bank": str(tmp_path / "memory")}
    config = tmp_path / "incidentctl.yml"
    config.write_text(yaml.safe_dump({**settings, **own}))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "incidentctl", words[0], "--config", str(config), *words[1:]]
        return subprocess.run(
            argv,
            cwd=lab.REPOSITORY,
            capture_output=True,
            text=True,
            timeout=RESPONSE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def broken(hosts: Hosts) -> dict[str, int]:
    """Break the checkout of both shops by release 42; return how many orders each had taken before."""
    hosts.fresh("web1", "web2", "worker1")
    hosts.need("db1", "mon1")
    for name in deploy.WEB:
        assert deploy.checkouts(name, 5) == {201: 5}
        deploy.deploy("42", name)
        assert deploy.checkouts(name, 20) == {500: 20}
    return dict.fromkeys(deploy.WEB, 5)


def alerting() -> set[str]:
    """Return the instances that Alertmanager has an alert for."""
    with urllib.request.urlopen(f"http://{lab.HOSTS['mon1'].addresses[0]}:9093/api/v2/alerts", timeout=5) as answer:
        return {alert["labels"]["instance"] for alert in json.load(answer)}


def test_the_monitoring_sees_that_customers_get_a_500(hosts: Hosts, broken: dict[str, int]) -> None:
    deadline = time.monotonic() + ALERT_S
    while alerting() != {f"{name}:{deploy.PORT}" for name in broken}:
        assert time.monotonic() < deadline, alerting()
        time.sleep(0.5)


def test_one_command_brings_the_shops_back(hosts: Hosts, driver: Driver, broken: dict[str, int]) -> None:
    only = ["--limit", "web,workers"]
    done = driver("run", "--severity", "critical", "--yes", "--option", "rollback", *only, "checkout returns 500")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, orders in broken.items():
        assert hosts.run(name, "readlink", "/srv/shop/current") == "releases/41"
        assert hosts.run(name, "ls", "/srv/shop/releases").split() == ["41", "42"]
        assert deploy.checkouts(name, 3) == {201: 3}
        count = hosts.run(name, "curl", "--silent", "http://127.0.0.1:8000/orders/count")
        assert json.loads(count) == {"orders": orders + 3}
    assert hosts.run("worker1", "systemctl", "is-active", "shop-worker.service") == "active"
    incident = json.loads(driver("status", "--json").stdout)
    assert incident["status"] == "closed"
    assert Path(incident["report"]).is_file()


def test_a_server_switched_off_in_the_middle_is_told_and_finished_when_it_is_back(
    hosts: Hosts, driver: Driver, broken: dict[str, int]
) -> None:
    off = threading.Thread(target=switch_off_when_recovery_begins, args=(driver, "web2"))
    off.start()
    done = driver(
        "run", "--severity", "high", "--yes", "--option", "rollback", "--limit", "web", "checkout returns 500"
    )
    off.join()
    said = done.stdout + done.stderr
    assert done.returncode == 11, said
    assert "web2: rollback unreachable" in said
    assert deploy.checkouts("web1", 3) == {201: 3}
    incident = json.loads(driver("status", "--json").stdout)
    seen = {row["host"]: row["outcome"] for row in incident["outcomes"]["recover"]}
    assert seen == {"web1": "done", "web2": "unreachable"}
    assert incident["status"] not in ("resolved", "closed")
    report = Path(driver("report").stdout.strip()).read_text()
    assert "| web2 | recover | rollback | unreachable |" in report

    lab.podman("start", lab.container("web2"))
    lab.wait_for_boot("web2")
    hosts.run("web2", "systemctl", "restart", "shop.service")  # its containers did not end in their own order
    assert deploy.checkouts("web2", 3) == {500: 3}
    done = driver("resume", "--limit", "web2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deploy.checkouts("web2", 3) == {201: 3}
    assert json.loads(driver("status", "--json").stdout)["status"] == "closed"


def switch_off_when_recovery_begins(driver: Driver, name: str) -> None:
    """Pull the plug of a host as soon as the first one is being recovered."""
    deadline = time.monotonic() + RESPONSE_S
    while time.monotonic() < deadline:
        timeline = driver("timeline")
        if "recover began" in timeline.stdout:
            lab.podman("kill", lab.container(name))
            return
        time.sleep(0.3)
