"""A rule that really fires, in a real Prometheus, through a real Alertmanager: one incident, and its alert's end in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deploy
import pytest
import yaml
from tests.lab.play import INVENTORY, Hosts, lab
from tests.small_service import free_port

CONTROLLER = f"{lab.IPV4}1"  # this machine, as the hosts of the lab reach it
CONFIGURED = "/etc/prometheus/alertmanager.yml"
KEPT = "/etc/prometheus/incidentctl_token"
TOKEN = "sesame"  # noqa: S105 - of a test
PATIENCE_S = 240  # the rule looks back a minute, and the machine may be busy


class Listener:
    """`watch --listen` with the lab's settings, and a record of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "token").write_text(TOKEN)
        settings = yaml.safe_load((lab.LAB / "incidentctl.yml").read_text())
        own = {
            "inventory": str(INVENTORY),
            "state_dir": str(folder / "state"),
            "memory_bank": str(folder / "memory"),
            "monitoring": settings["monitoring"],
            "alerts": {"token": {"file": str(folder / "token")}},
        }
        (folder / "incidentctl.yml").write_text(yaml.safe_dump(own))

    def argv(self, *words: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "incidentctl",
            words[0],
            "--config",
            str(self.folder / "incidentctl.yml"),
            *words[1:],
        ]

    def run(self, *words: str) -> str:
        done = subprocess.run(self.argv(*words), cwd=lab.REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout

    @contextmanager
    def listening(self) -> Iterator[None]:
        with (self.folder / "log").open("w") as log:
            argv = self.argv("watch", "--listen", f"{CONTROLLER}:{self.port}")
            process = subprocess.Popen(argv, cwd=lab.REPOSITORY, env=os.environ, stderr=log, stdin=subprocess.DEVNULL)
            try:
                self.until(lambda: "Alerts are taken at" in self.said())
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(PATIENCE_S)
            assert code == 0, self.said()

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("timeline", "--json").splitlines()]

    def notes(self) -> list[str]:
        return [event["data"]["text"] for event in self.events() if event["kind"] == "note"]

    def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, self.said()
            time.sleep(1)


@pytest.fixture
def listener(hosts: Hosts, tmp_path: Path) -> Iterator[Listener]:
    """Give a listener that mon1's Alertmanager posts to, at every repetition too; put back what it had after."""
    hosts.need("web1", "db1", "mon1")
    listener = Listener(tmp_path)
    before = hosts.run("mon1", "cat", CONFIGURED)
    receiver = {
        "name": "incidentctl",
        "webhook_configs": [
            {
                "url": f"http://{CONTROLLER}:{listener.port}/alerts",
                "http_config": {"authorization": {"credentials_file": KEPT}},
            }
        ],
    }
    route = {
        "receiver": "incidentctl",
        "group_by": ["alertname"],
        "group_wait": "1s",
        "group_interval": "5s",
        "repeat_interval": "10s",
        "matchers": ["alertname = CheckoutFails"],
    }
    configured = yaml.safe_load(before)
    configured["route"]["routes"] = [route]
    configured["receivers"].append(receiver)
    lab.ssh("mon1", "sudo", "install", "--owner=prometheus", "--mode=600", "/dev/stdin", KEPT, feed=TOKEN.encode())
    try:
        configure(yaml.safe_dump(configured))
        yield listener
    finally:
        configure(before)
        hosts.run("mon1", "rm", KEPT)
        assert hosts.run("mon1", "cat", CONFIGURED) == before


def configure(text: str) -> None:
    """Give Alertmanager other settings, and see that it took them."""
    lab.ssh("mon1", "sudo", "tee", CONFIGURED, ">/dev/null", feed=f"{text.rstrip()}\n".encode())
    lab.ssh("mon1", "curl", "--silent", "--fail", "-X", "POST", "http://127.0.0.1:9093/-/reload")


def test_a_bad_release_declares_one_incident_and_its_end_is_recorded(hosts: Hosts, listener: Listener) -> None:
    hosts.fresh("web1")
    assert deploy.checkouts("web1", 5) == {201: 5}
    with listener.listening():
        deploy.deploy("42", "web1")
        assert deploy.checkouts("web1", 20) == {500: 20}
        listener.until(lambda: "declared: CheckoutFails" in listener.said())
        listener.until(lambda: sum("1 firing" in note for note in listener.notes()) >= 2)
        listener.until(lambda: "diagnosed" in listener.said())
        assert lab.ssh("web1", "readlink", "/srv/shop/current").stdout == b"releases/42\n", "it acted by itself"

        deploy.deploy("41", "web1")
        listener.until(lambda: "the alert ended: CheckoutFails" in listener.notes())
    assert listener.said().count(": declared: ") == 1
    incident = json.loads(listener.run("status", "--json"))
    assert (incident["severity"], incident["affected"]) == ("critical", ["shop"])
    assert (incident["status"], incident["closed_at"], incident["decision"]) == ("investigating", None, None)
    assert incident["milestones"]["detected"] < 0
    assert "Customers get a 500 from the checkout of web1:8000" in incident["title"]
    assert {phase["name"]: phase["state"] for phase in incident["phases"]} == {"triage": "done", "diagnose": "done"}
    (declared,) = [event["data"] for event in listener.events() if event["kind"] == "declared"]
    assert declared["alert"]["hosts"] == ["web1"]
    assert hosts.says("web1", "ls", "/var/lib/incidentctl/ledger") == "", "something was done to the host"
