"""A bad release on real servers, and one command that brings the shop back: seen with our own eyes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import deploy
import pytest
import yaml
from tests.lab.play import INVENTORY, Hosts, lab

RESPONSE_S = 300
ALERT_S = 30  # scraped and evaluated every 2 s; the rest is for a busy machine
TOLD_WITHIN_S = 5
LOOK = (lab.REPOSITORY / "molecule" / "shared" / "state.sh").read_bytes()
# What an incident leaves behind on purpose: the rollback itself, what was sold meanwhile, the backups, the ledger; and
# what systemd and podman note about a process that was started anew.
STAYS = (
    "/srv/shop/current",
    "/srv/shop/data/shop.db",
    "/srv/shop/run/",
    "/var/backups/",
    "/var/lib/incidentctl",
    "/run/systemd/transient/run-r",
    "process MainPID=",
)
# A container that was started anew has another id, and another address of its network.
NEW_EACH_TIME = re.compile(r"[0-9a-f]{64}|10\.213\.78\.\d+|fd1c:7e4b:9a21::[0-9a-f]+")
Driver = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """incidentctl with the lab's settings, but a record of the test's own."""
    return installed(tmp_path, INVENTORY)


def installed(folder: Path, inventory: Path) -> Driver:
    """Return incidentctl with the lab's settings, its record in `folder`, for this inventory."""
    settings = yaml.safe_load((lab.LAB / "incidentctl.yml").read_text())
    at_home = {key: str(folder / key) for key in ("state_dir", "memory_bank")}
    own = {"inventory": str(inventory), **at_home, "status_page": {"folder": str(folder / "status_page")}}
    addresses = lab.STATE / "addresses"
    settings["audiences"] = {
        name: {**audience, "send": [{"file": str(addresses / name)}]}
        for name, audience in settings["audiences"].items()
    }
    settings["tracker"] = {"kind": "webhook", "url": {"file": str(addresses / "tickets")}}
    config = folder / "incidentctl.yml"
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
    return {alert["labels"]["instance"] for alert in monitoring(9093, "/api/v2/alerts")}


def inbox(name: str, since: float) -> list[dict[str, Any]]:
    """Return what was sent to one audience, or to the tracker, since a moment: each {received, content}."""
    return [row for row in monitoring(lab.INBOX_PORT, f"/{name}") if row["received"] >= since]


def monitoring(port: int, path: str) -> Any:
    """Return the JSON that a port of the monitoring host answers with."""
    with urllib.request.urlopen(f"http://{lab.HOSTS['mon1'].addresses[0]}:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def looks(hosts: Hosts) -> dict[str, set[str]]:
    """Return all that an act could have changed on each host, but for what is meant to stay changed."""
    seen = {name: lab.ssh(name, "sudo", "sh", feed=LOOK).stdout.decode().splitlines() for name in lab.HOSTS}
    return {
        name: {NEW_EACH_TIME.sub("…", line) for line in lines if not any(path in line for path in STAYS)}
        for name, lines in seen.items()
    }


def test_the_monitoring_sees_that_customers_get_a_500(hosts: Hosts, broken: dict[str, int]) -> None:
    deadline = time.monotonic() + ALERT_S
    while alerting() != {f"{name}:{deploy.PORT}" for name in broken}:
        assert time.monotonic() < deadline, alerting()
        time.sleep(0.5)


def test_one_command_brings_the_shops_back_and_leaves_nothing_else_changed(
    hosts: Hosts, driver: Driver, broken: dict[str, int], tmp_path: Path
) -> None:
    before, began = looks(hosts), time.time()
    done = driver("run", "--severity", "critical", "--yes", "--option", "rollback", "checkout returns 500")
    assert done.returncode == 0, done.stdout + done.stderr

    for name, orders in broken.items():
        assert hosts.run(name, "readlink", "/srv/shop/current") == "releases/41"
        assert hosts.run(name, "ls", "/srv/shop/releases").split() == ["41", "42"]
        assert deploy.checkouts(name, 3) == {201: 3}
        count = hosts.run(name, "curl", "--silent", "http://127.0.0.1:8000/orders/count")
        assert json.loads(count) == {"orders": orders + 3}
    after = looks(hosts)
    assert {name: sorted(after[name] ^ before[name]) for name in before} == {name: [] for name in before}
    assert alerting() == set()

    incident = json.loads(driver("status", "--json").stdout)
    assert incident["status"] == "closed"
    events = [json.loads(line) for line in driver("timeline", "--json").stdout.splitlines()]
    evidence_comes_first(incident, events)
    backups_are_restored(incident)
    containment_is_taken_back(events)
    one_after_the_other(events)
    assert incident["verified"]["recovered"]
    looked = incident["verified"]["services"]  # what the shop needs was looked at, too
    assert {host: seen["shop"]["healthy"] for host, seen in looked.items() if "shop" in seen} == dict.fromkeys(
        deploy.WEB, True
    )
    assert incident["monitoring"]["monitor"] == {"down": [], "alerts": [], "problems": []}
    everybody_is_told(incident, events, began)
    what_is_left_to_read(incident, driver, tmp_path)


def evidence_comes_first(incident: dict[str, Any], events: list[dict[str, Any]]) -> None:
    bundles = {row["host"]: row for row in incident["evidence"]}
    assert sorted(bundles) == sorted(lab.HOSTS)
    for row in bundles.values():
        assert hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest() == row["sha256"]
    collected = max(e["seq"] for e in events if e["kind"] == "evidence_collected" and "host" in e["data"])
    assert collected < min(e["seq"] for e in events if e["data"].get("phase") == "contain")


def backups_are_restored(incident: dict[str, Any]) -> None:
    backups = {
        (row["host"], kept["kind"]): kept["verified"]
        for row in incident["outcomes"]["contain"]
        if row["capability"] == "backup"
        for found in row["facts"].get("services", {}).values()
        for kept in found
    }
    assert backups == {("web1", "sqlite"): True, ("web2", "sqlite"): True, ("db1", "postgresql"): True}


def containment_is_taken_back(events: list[dict[str, Any]]) -> None:
    acts = {
        kind: {(e["data"]["host"], e["data"]["capability"], e["data"]["target"]) for e in events if e["kind"] == kind}
        for kind in ("containment_applied", "containment_lifted")
    }
    breakers = {(name, "circuit_breaker", "shop/recommendations") for name in deploy.WEB}
    assert acts["containment_applied"] == {*breakers, ("worker1", "scale_down", "recommendations")}
    assert acts["containment_lifted"] == acts["containment_applied"]


def one_after_the_other(events: list[dict[str, Any]]) -> None:
    switched = [
        (e["data"]["host"], e["data"]["outcome"], datetime.fromisoformat(e["at"]))
        for e in events
        if e["kind"] == "host_outcome" and e["data"]["capability"] == "rollback"
    ]
    (first, how, at), (second, how_then, later) = switched
    assert (first, how, second, how_then) == ("web1", "done", "web2", "done")
    assert later - at > timedelta(seconds=1), "the second one takes as long as the first"


def everybody_is_told(incident: dict[str, Any], events: list[dict[str, Any]], began: float) -> None:
    declared = datetime.fromisoformat(incident["declared_at"]).timestamp()
    first = inbox("on_call", began)[0]
    assert first["received"] - declared < TOLD_WITHIN_S
    contained = next(e for e in events if e["data"].get("phase") == "contain")
    assert first["received"] < datetime.fromisoformat(contained["at"]).timestamp()
    (ticket,) = inbox("tickets", began)
    assert ticket["content"]["incident"] == incident["incident_id"]
    for audience, said in (("customers", "shop: investigating"), ("partners", "Integration coffee-club: a problem")):
        titles = [row["content"]["title"] for row in inbox(audience, began)]
        assert (len(titles), titles[0]) == (3, said)


def what_is_left_to_read(incident: dict[str, Any], driver: Driver, tmp_path: Path) -> None:
    report = Path(incident["report"]).read_text()
    for told in ("unit\\_price", "worker1: recommendations stopped", "alerting: nothing", "restic", "LAB-"):
        assert told in report, told
    folder = Path(incident["report"]).parent
    assert {"report.md", "report.html", "post-mortem.md", "post-mortem.ics"} <= {p.name for p in folder.iterdir()}
    start = next(
        line.removeprefix("DTSTART:")
        for line in (folder / "post-mortem.ics").read_text().splitlines()
        if line.startswith("DTSTART:")
    )
    ended = datetime.fromisoformat(incident["closed_at"])
    assert datetime.strptime(f"{start}+0000", "%Y%m%dT%H%M%SZ%z") - ended < timedelta(hours=24)
    assert len(incident["follow_ups"]) >= 2
    for name in ("activeContext.md", "progress.md"):
        assert incident["incident_id"] in (tmp_path / "memory_bank" / name).read_text()
    timeline = driver("timeline").stdout
    for act in (
        "web1: rollback: shop went back from 42 to 41",
        "db1: backup: shop: ",
        "contained on worker1: recommendations stopped",
        "lifted on worker1: scale_down recommendations",
    ):
        line = next(line for line in timeline.splitlines() if act in line)
        assert datetime.fromisoformat(line.split()[0]).utcoffset() == timedelta(0)
        assert line.split()[1] == incident["declared_by"]


def test_a_mitigation_holds_the_flood_back_until_it_is_lifted(
    hosts: Hosts, driver: Driver, broken: dict[str, int]
) -> None:
    before = looks(hosts)
    done = driver("run", "--severity", "high", "--yes", "--option", "mitigate", "checkout returns 500")
    assert done.returncode == 10, done.stdout + done.stderr
    incident = json.loads(driver("status", "--json").stdout)
    held = {(row["host"], row["capability"]) for row in incident["contained"]}
    assert held == {("mon1", "enhanced_monitoring"), *((name, "rate_limit") for name in deploy.WEB)}
    assert [row["text"] for row in incident["follow_ups"]] == ["Schedule the proper fix, then lift the mitigation"]
    groups = {group["name"] for group in monitoring(9090, "/api/v1/rules")["data"]["groups"]}
    assert any(incident["incident_id"].lower() in name.lower() for name in groups), groups
    for name in deploy.WEB:
        for family in ("iptables", "ip6tables"):
            assert "hashlimit-above 10/min" in hosts.run(name, f"{family}-save", "-t", "mangle")
    refused = driver("close")
    assert refused.returncode == 15, refused.stdout + refused.stderr

    assert driver("lift").returncode == 0
    after = looks(hosts)
    assert {name: sorted(after[name] ^ before[name]) for name in before} == {name: [] for name in before}
    groups = {group["name"] for group in monitoring(9090, "/api/v1/rules")["data"]["groups"]}
    assert not any(incident["incident_id"].lower() in name.lower() for name in groups)
    assert driver("close").returncode == 0


def test_a_server_switched_off_in_the_middle_is_told_and_finished_when_it_is_back(
    hosts: Hosts, tmp_path: Path, broken: dict[str, int]
) -> None:
    began = time.time()
    driver = installed(tmp_path, for_ourselves_alone(tmp_path))
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
    deploy.restart("web2")  # its containers did not end in their own order
    assert deploy.checkouts("web2", 3) == {500: 3}
    done = driver("resume", "--limit", "web2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deploy.checkouts("web2", 3) == {201: 3}
    assert json.loads(driver("status", "--json").stdout)["status"] == "closed"
    assert inbox("on_call", began)
    assert (inbox("customers", began), inbox("partners", began)) == ([], []), "nobody outside uses this shop"


def for_ourselves_alone(folder: Path) -> Path:
    """Return an inventory of the lab in which no service has users or partners outside."""
    catalogue = yaml.safe_load((INVENTORY / "group_vars" / "all.yml").read_text())
    for service in catalogue["incident_services"]:
        service.pop("integrations", None)
        service["user_facing"] = False
    catalogue["lab_dir"] = str(lab.STATE)
    inventory = folder / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "group_vars" / "all.yml").write_text(yaml.safe_dump(catalogue))
    (inventory / "hosts.yml").write_text((INVENTORY / "hosts.yml").read_text())
    return inventory


def switch_off_when_recovery_begins(driver: Driver, name: str) -> None:
    """Pull the plug of a host as soon as the first one is being recovered."""
    deadline = time.monotonic() + RESPONSE_S
    while time.monotonic() < deadline:
        timeline = driver("timeline")
        if "recover began" in timeline.stdout:
            lab.podman("kill", lab.container(name))
            return
        time.sleep(0.3)
