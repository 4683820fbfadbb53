"""Silences: only what fires for the affected services, and only ours are ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _ledger, _lift, _silence
from tests.small_service import endpoint

SERVICES = {"shop": ["web1", "web2"]}
SHOP = {"alertname": "CheckoutFails", "service": "shop", "instance": "web1:8000"}
HOST = {"alertname": "DiskFull", "instance": "web2:9100"}
OTHER = {"alertname": "DiskFull", "instance": "db1:9100", "service": "shopping"}
OWN = {"alertname": "Incident_shop_down", "service": "shop", "incident": "incidentctl-INC-1"}


class Alertmanager:
    """As much of Alertmanager's API as silences take: filters are anchored, as its matchers are."""

    def __init__(self, *alerts: dict[str, str]) -> None:
        self.alerts, self.silences, self.url = alerts, [], ""

    def answer(self, method: str, target: str, body: Any) -> tuple[int, str]:
        parts = urlsplit(target)
        filtered = parse_qs(parts.query).get("filter", [""])[0]
        if (method, parts.path) == ("GET", "/api/v2/alerts"):
            found = [labels for labels in self.alerts if self._matches(filtered, labels) and not self._silent(labels)]
            return 200, json.dumps([{"labels": labels, "fingerprint": json.dumps(labels)} for labels in found])
        if (method, parts.path) == ("POST", "/api/v2/silences"):
            self.silences.append({"id": str(len(self.silences)), "status": {"state": "active"}, **body})
            return 200, "{}"
        if (method, parts.path) == ("GET", "/api/v2/silences"):
            return 200, json.dumps(self.silences)
        if method == "DELETE":
            self.silences[int(parts.path.rpartition("/")[2])]["status"] = {"state": "expired"}
            return 200, ""
        return 404, "no such page"

    def _matches(self, filtered: str, labels: dict[str, str]) -> bool:
        name, _sign, pattern = re.fullmatch(r'(\w+)(=~)"(.*)"', filtered).groups()
        return re.fullmatch(pattern, labels.get(name, "")) is not None

    def _silent(self, labels: dict[str, str]) -> bool:
        return any(
            {m["name"]: m["value"] for m in one["matchers"]} == labels and one["status"]["state"] == "active"
            for one in self.silences
        )


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    served = Alertmanager(SHOP, HOST, OTHER, OWN)
    with endpoint(served.answer) as server:
        served.url = server.url
        yield served


def params(folder: Path, url: str, **own: Any) -> dict[str, Any]:
    about = {"incident_id": "INC-1", "state_dir": str(folder), "expires_after": 60}
    return {**about, "alertmanager_url": url, "alertmanagers": [], "only": ["shop"], **own}


def test_what_fires_for_the_services_and_their_hosts_is_silenced_and_nothing_else(
    tmp_path: Path, alertmanager: Alertmanager
) -> None:
    (row,) = _silence.silence(params(tmp_path, alertmanager.url), "enhanced_monitoring", SERVICES, check_mode=False)
    assert (row["outcome"], row["verified"]) == ("done", True)
    place = alertmanager.url.partition("://")[2]
    assert row["target"] == f"alerts at {place}"
    assert row["summary"] == f"silenced at {place} until it is lifted: CheckoutFails web1:8000, DiskFull web2:9100"
    silent = [{m["name"]: m["value"] for m in one["matchers"]} for one in alertmanager.silences]
    assert silent == [SHOP, HOST]


def test_a_second_run_finds_nothing_left_to_silence(tmp_path: Path, alertmanager: Alertmanager) -> None:
    about = params(tmp_path, alertmanager.url)
    _silence.silence(about, "enhanced_monitoring", SERVICES, check_mode=False)
    assert _silence.silence(about, "enhanced_monitoring", SERVICES, check_mode=False) == []
    assert len(alertmanager.silences) == 2


def test_lift_ends_ours_and_leaves_those_of_others(tmp_path: Path, alertmanager: Alertmanager) -> None:
    about = params(tmp_path, alertmanager.url)
    _silence.silence(about, "enhanced_monitoring", SERVICES, check_mode=False)
    theirs = {"id": "2", "createdBy": "ann", "comment": "maintenance", "matchers": [], "status": {"state": "active"}}
    alertmanager.silences.append(theirs)
    block = _lift.run({**about, "only": []}, check_mode=False)["incident"]
    told = f"2 silence(s) at {alertmanager.url.partition('://')[2]} ended"
    assert [(row["outcome"], row["summary"]) for row in block["actions"]] == [("done", told)]
    assert [one["status"]["state"] for one in alertmanager.silences] == ["expired", "expired", "active"]


def test_an_alert_without_a_name_is_silenced_by_its_other_labels_and_heard_again(
    tmp_path: Path, alertmanager: Alertmanager
) -> None:
    nameless = {"service": "shop"}
    alertmanager.alerts = (nameless,)
    about = params(tmp_path, alertmanager.url)
    (row,) = _silence.silence(about, "enhanced_monitoring", SERVICES, check_mode=False)
    assert (row["outcome"], row["summary"].endswith(": one without a name")) == ("done", True)
    assert [{m["name"]: m["value"] for m in one["matchers"]} for one in alertmanager.silences] == [nameless]
    assert _lift.run({**about, "only": []}, check_mode=False)["incident"]["outcome"] == "done"
    assert [one["status"]["state"] for one in alertmanager.silences] == ["expired"]


def test_check_mode_says_what_and_changes_nothing(tmp_path: Path, alertmanager: Alertmanager) -> None:
    (row,) = _silence.silence(params(tmp_path, alertmanager.url), "enhanced_monitoring", SERVICES, check_mode=True)
    assert row["summary"].startswith("would be silenced")
    assert alertmanager.silences == []
    assert _ledger.entries(params(tmp_path, alertmanager.url)) == ([], [])


@pytest.mark.parametrize("own", [{"alertmanager_url": ""}, {"only": []}])
def test_without_an_alertmanager_or_for_a_whole_site_nothing_is_silenced(
    tmp_path: Path, alertmanager: Alertmanager, own: dict[str, Any]
) -> None:
    about = params(tmp_path, alertmanager.url, **own)
    assert _silence.silence(about, "enhanced_monitoring", SERVICES, check_mode=False) == []


def test_a_storm_of_alerts_is_left_to_a_person(tmp_path: Path, alertmanager: Alertmanager) -> None:
    alertmanager.alerts = tuple({**SHOP, "instance": f"web1:{port}"} for port in range(51))
    (row,) = _silence.silence(params(tmp_path, alertmanager.url), "enhanced_monitoring", SERVICES, check_mode=False)
    assert (row["outcome"], alertmanager.silences) == ("failed", [])
    assert "51 alerts" in row["summary"]


@pytest.mark.parametrize("answer", [(200, "<html>"), (500, "oops"), (302, "elsewhere")])
def test_what_is_no_alertmanager_is_failed_with_its_answer(tmp_path: Path, answer: tuple[int, str]) -> None:
    with endpoint(lambda *_: answer) as server:
        (row,) = _silence.silence(params(tmp_path, server.url), "enhanced_monitoring", SERVICES, check_mode=False)
    assert row["outcome"] == "failed"
    assert "/api/v2/alerts: " in row["summary"]
