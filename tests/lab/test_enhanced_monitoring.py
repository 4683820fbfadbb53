"""Alerting rules in a real Prometheus for the time of an incident: loaded, fired, removed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.lab.play import Hosts

RULES = "/etc/prometheus/rules.d"
SHOP = {
    "name": "shop",
    "hosts": "web",
    "alerts": [{"name": "always", "expr": "vector(1)"}],
}


def eventually(seen: Callable[[], Any], within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if seen():
            return True
        time.sleep(0.5)
    return False


class Monitoring:
    """Prometheus and Alertmanager of the lab, seen with our own eyes."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.id = hosts, f"INC-{secrets.token_hex(4)}"

    def outcome(self, playbook: str, *flags: str, services: list[dict[str, Any]]) -> str:
        variables = {"incident_id": self.id, "incident_services": services, "incident_only": [services[0]["name"]]}
        play = self.hosts.play(playbook, "mon1", *flags, **variables)
        return str(play.block("mon1")["outcome"])

    def api(self, port: int, path: str) -> Any:
        return json.loads(self.hosts.run("mon1", "curl", "-s", f"http://127.0.0.1:{port}{path}"))

    def groups(self) -> list[str]:
        return [group["name"] for group in self.api(9090, "/api/v1/rules")["data"]["groups"]]

    def alerts(self) -> list[str]:
        found = self.api(9093, "/api/v2/alerts")
        return [a["labels"]["alertname"] for a in found if a["labels"].get("incident") == f"incidentctl-{self.id}"]

    def post(self, path: str, document: Any) -> None:
        words = ["-s", "--fail", "-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(document)}'"]
        self.hosts.run("mon1", "curl", *words, f"http://127.0.0.1:9093{path}")

    def heard(self, labels: dict[str, str]) -> bool | None:
        """Say whether an alert is active and not silenced; None where there is no such alert."""
        found = [alert for alert in self.api(9093, "/api/v2/alerts") if alert["labels"] == labels]
        return found[0]["status"]["state"] == "active" if found else None

    def files(self) -> list[str]:
        return self.hosts.run("mon1", "ls", "-l", "--time-style=+", RULES).splitlines()


@pytest.fixture
def monitoring(hosts: Hosts) -> Monitoring:
    hosts.need("mon1")
    return Monitoring(hosts)


def test_rules_are_loaded_fire_and_are_gone_after_lift(monitoring: Monitoring) -> None:
    group = f"incidentctl-{monitoring.id}"
    before = monitoring.files()
    assert monitoring.outcome("enhanced_monitoring", "--check", services=[SHOP]) == "done"
    assert monitoring.files() == before
    assert monitoring.outcome("enhanced_monitoring", services=[SHOP]) == "done"
    assert group in monitoring.groups()
    assert eventually(lambda: "Incident_always" in monitoring.alerts()), "the alert did not reach Alertmanager"
    assert monitoring.outcome("enhanced_monitoring", services=[SHOP]) == "unchanged"
    assert monitoring.outcome("lift", services=[SHOP]) == "done"
    assert group not in monitoring.groups()
    assert monitoring.files() == before
    assert monitoring.outcome("lift", services=[SHOP]) == "unchanged"


def test_what_fires_already_is_silenced_until_lift_and_what_another_silenced_stays_so(monitoring: Monitoring) -> None:
    """The alert is posted to Alertmanager as Prometheus does it: this is about silences, not about how it came to fire."""
    labels = {"alertname": f"Slow{monitoring.id[-8:]}", "service": "shop", "instance": "web1:8000"}
    theirs = {**labels, "alertname": f"Known{monitoring.id[-8:]}"}
    now = datetime.now(UTC)
    monitoring.post("/api/v2/alerts", [{"labels": labels}, {"labels": theirs}])
    matchers = [{"name": "alertname", "value": theirs["alertname"], "isRegex": False}]
    span = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=5)).isoformat()}
    monitoring.post("/api/v2/silences", {"matchers": matchers, **span, "createdBy": "ann", "comment": "known"})
    assert eventually(lambda: monitoring.heard(labels) is True and monitoring.heard(theirs) is False)

    assert monitoring.outcome("enhanced_monitoring", services=[SHOP]) == "done"
    assert (monitoring.heard(labels), monitoring.heard(theirs)) == (False, False)
    assert monitoring.outcome("enhanced_monitoring", services=[SHOP]) == "unchanged"
    assert monitoring.outcome("lift", services=[SHOP]) == "done"
    assert eventually(lambda: monitoring.heard(labels) is True)
    assert monitoring.heard(theirs) is False
    assert monitoring.outcome("lift", services=[SHOP]) == "unchanged"


def test_a_rule_that_prometheus_would_refuse_is_never_loaded(monitoring: Monitoring) -> None:
    before = monitoring.files()
    bad = {**SHOP, "alerts": [{"name": "bad", "expr": "this is ( not promql"}]}
    variables = {"incident_id": monitoring.id, "incident_services": [bad], "incident_continue": True}
    looked = monitoring.hosts.play("enhanced_monitoring", "mon1", "--check", **variables).block("mon1")
    assert looked["outcome"] == "failed"
    assert "shop: the expression of alert 'bad' cannot be used: " in looked["reason"]
    assert "parse error" in looked["reason"]
    block = monitoring.hosts.play("enhanced_monitoring", "mon1", **variables).block("mon1")
    assert block["outcome"] == "failed"
    assert "promtool" in block["reason"]
    assert monitoring.files() == before
    assert f"incidentctl-{monitoring.id}" not in monitoring.groups()


def test_a_file_that_somebody_else_changed_is_kept_and_said(monitoring: Monitoring) -> None:
    assert monitoring.outcome("enhanced_monitoring", services=[SHOP]) == "done"
    path = f"{RULES}/incidentctl-{monitoring.id}.yml"
    monitoring.hosts.run("mon1", "sh", "-c", f"'echo >> {path}'")
    variables = {"incident_id": monitoring.id, "incident_continue": True}
    block = monitoring.hosts.play("lift", "mon1", **variables).block("mon1")
    assert block["outcome"] == "failed"
    assert "changed by somebody else" in block["reason"]
    monitoring.hosts.run("mon1", "rm", path)
    assert monitoring.outcome("lift", services=[SHOP]) == "done"
