"""Services under a real systemd are stopped, recorded and started again: over ssh, with sudo, by playbook."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from tests.lab.play import Hosts, Play

WORKER = "worker1"
UNIT, IDLE = "shop-worker.service", "prometheus.service"  # one that runs, one that is installed and does not


def service(name: str, unit: str) -> dict[str, Any]:
    return {"name": name, "hosts": "workers", "manager": "systemd", "unit": unit, "essential": False}


BOTH = [service("recommendations", UNIT), service("idle", IDLE)]
MISSING = [service("ghost", "ghost.service")]


class Incident:
    """An incident of a test's own on the worker."""

    def __init__(self, hosts: Hosts, name: str) -> None:
        self.hosts, self.id = hosts, name
        self.ledger = f"/var/lib/incidentctl/ledger/{name}"

    def play(self, playbook: str, *flags: str, **variables: Any) -> Play:
        return self.hosts.play(playbook, WORKER, *flags, **{"incident_id": self.id, **variables})

    def outcome(self, playbook: str, *flags: str, **variables: Any) -> str:
        return str(self.play(playbook, *flags, **variables).block(WORKER)["outcome"])

    def state(self, unit: str = UNIT) -> str:
        return self.hosts.says(WORKER, "systemctl", "is-active", unit)

    def entries(self) -> list[str]:
        return self.hosts.says(WORKER, "find", self.ledger, "-type", "f", "2>/dev/null").splitlines()


@pytest.fixture
def incident(hosts: Hosts) -> Incident:
    hosts.need(WORKER)
    hosts.run(WORKER, "systemctl", "start", UNIT)
    return Incident(hosts, f"INC-{secrets.token_hex(4)}")


def test_scale_down_stops_the_unit_and_lift_starts_exactly_that(incident: Incident) -> None:
    assert incident.outcome("scale_down", incident_services=BOTH) == "done"
    assert (incident.state(UNIT), incident.state(IDLE)) == ("inactive", "inactive")
    assert incident.outcome("lift") == "done"
    assert (incident.state(UNIT), incident.state(IDLE)) == ("active", "inactive")


def test_isolation_stops_what_it_is_told_and_lift_starts_it(incident: Incident) -> None:
    assert incident.outcome("isolation", incident_only=["recommendations"]) == "done"
    assert incident.state() == "inactive"
    assert incident.outcome("lift") == "done"
    assert incident.state() == "active"


def test_a_second_run_changes_nothing(incident: Incident) -> None:
    incident.play("scale_down")
    entries = incident.entries()
    again = incident.play("scale_down")
    assert (again.code, again.results[WORKER]["changed"]) == (0, False)
    assert incident.entries() == entries
    assert incident.outcome("lift") == "done"
    again = incident.play("lift")
    assert (again.code, again.results[WORKER]["changed"], again.block(WORKER)["outcome"]) == (0, False, "unchanged")


def test_check_mode_tells_and_changes_nothing(incident: Incident) -> None:
    told = incident.play("scale_down", "--check", "--diff")
    assert (told.results[WORKER]["changed"], told.block(WORKER)["outcome"]) == (True, "done")
    assert (incident.state(), incident.entries()) == ("active", [])
    incident.play("scale_down")
    told = incident.play("lift", "--check", "--diff")
    assert told.results[WORKER]["changed"]
    assert incident.state() == "inactive"
    assert incident.outcome("lift") == "done"


def test_the_ledger_is_roots_alone(incident: Incident) -> None:
    incident.play("scale_down")
    folders = ["/var/lib/incidentctl", "/var/lib/incidentctl/ledger", incident.ledger]
    seen = incident.hosts.run(WORKER, "stat", "--format=%U:%a", *folders, *incident.entries())
    assert seen.splitlines() == ["root:700", "root:700", "root:700", "root:600"]
    assert incident.outcome("lift") == "done"


def test_a_unit_that_does_not_exist_fails_and_says_which(incident: Incident) -> None:
    play = incident.play("scale_down", incident_services=[*MISSING, *BOTH])
    assert play.code != 0
    actions = {row["target"]: row for row in play.block(WORKER)["actions"]}
    assert actions["ghost"]["outcome"] == "failed"
    assert "unit ghost.service: not-found" in play.results[WORKER]["msg"]
    assert actions["recommendations"]["outcome"] == "done"
    assert len(incident.entries()) == 1
    assert incident.outcome("lift") == "done"


def test_a_reboot_loses_neither_the_ledger_nor_the_service(incident: Incident) -> None:
    incident.play("scale_down")
    incident.hosts.reboot(WORKER)
    assert len(incident.entries()) == 1
    assert incident.outcome("lift") == "done"
    assert incident.state() == "active"


def test_what_somebody_started_meanwhile_keeps_running(incident: Incident) -> None:
    incident.play("scale_down")
    incident.hosts.run(WORKER, "systemctl", "start", UNIT)
    before = incident.hosts.run(WORKER, "systemctl", "show", "--property=MainPID", UNIT)
    assert incident.outcome("lift") == "done"
    assert incident.hosts.run(WORKER, "systemctl", "show", "--property=MainPID", UNIT) == before
