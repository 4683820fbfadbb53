"""Enhanced monitoring: what the rules say, and what becomes of a Prometheus that does not do as it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _lift, _monitoring_rule
from tests.small_service import endpoint

SHOP = {"name": "shop", "hosts": "web", "alerts": [{"name": "Checkout fails", "expr": "errors > 0"}]}
INVENTORY = {"web": ["web1", "web2.example"]}


def params(folder: Path, url: str, **own: Any) -> dict[str, Any]:
    (folder / "rules.d").mkdir(exist_ok=True)
    return {
        "services": [SHOP],
        "only": ["shop"],
        "host_name": "mon1",
        "host_groups": ["monitoring"],
        "incident_id": "INC-1",
        "state_dir": str(folder / "state"),
        "prometheus_hosts": "monitoring",
        "prometheus_url": url,
        "rules_dir": str(folder / "rules.d"),
        "inventory": INVENTORY,
        "alertmanager_url": "",
        "expires_after": 60,
        **own,
    }


def test_the_rules_watch_the_hosts_of_the_service_and_what_it_declares() -> None:
    (group,) = json.loads(_monitoring_rule.rules("incidentctl-INC-1", [SHOP], INVENTORY))["groups"]
    assert group["name"] == "incidentctl-INC-1"
    assert [rule["expr"] for rule in group["rules"]] == [
        r'up{instance=~"(web1|web2\.example)(:[0-9]+)?"} == 0',
        "errors > 0",
    ]
    assert [rule["alert"] for rule in group["rules"]] == ["Incident_shop_a_target_is_down", "Incident_Checkout_fails"]


def test_a_service_on_a_host_instead_of_a_group_watches_that_host() -> None:
    assert 'instance=~\\"(db1)' in _monitoring_rule.rules("g", [{"name": "db", "hosts": "db1"}], INVENTORY)


def test_a_host_without_prometheus_is_skipped_and_says_why(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9", host_groups=["web"]), False)["incident"]
    assert block["outcome"] == "skipped"
    assert block["reason"] == "Prometheus does not run on this host"


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_prometheus_that_answers_html_is_failed_and_leaves_nothing(tmp_path: Path, status: int) -> None:
    with endpoint(lambda *_: (status, "<html>")) as server:
        block = _monitoring_rule.run(params(tmp_path, server.url), False)["incident"]
    assert block["outcome"] == "failed"
    assert "not what Prometheus answers" in block["reason"] or "/-/reload" in block["reason"]
    assert not list((tmp_path / "rules.d").iterdir())


def test_a_prometheus_that_is_down_is_failed_and_leaves_nothing(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9"), False)["incident"]
    assert block["outcome"] == "failed"
    assert not list((tmp_path / "rules.d").iterdir())
    lifted = _lift.run(params(tmp_path, "http://127.0.0.1:9"), False)
    assert not lifted["incident"]["facts"]["open"]


def test_a_rule_folder_that_is_not_there_is_failed_and_named(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9", rules_dir="/nowhere"), True)["incident"]
    assert block["outcome"] == "failed"
    assert "/nowhere" in block["reason"]
