"""Enhanced monitoring: what the rules say, and what becomes of a Prometheus that does not do as it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _ledger, _lift, _monitoring_rule
from tests.small_service import endpoint

SHOP = {"name": "shop", "hosts": "web", "alerts": [{"name": "Checkout fails", "expr": "errors > 0"}]}
INVENTORY = {"web": ["web1", "web2.example"]}


@pytest.fixture(autouse=True)
def no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))


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
        "prometheus_secret_ref": {},
        "prometheus_ca_file": "",
        "rules_dir": str(folder / "rules.d"),
        "inventory": INVENTORY,
        "alertmanager_url": "",
        "alertmanagers": [],
        "expires_after": 60,
        **own,
    }


def lift(about: dict[str, Any]) -> dict[str, Any]:
    """Lift all that the incident did; return the block."""
    return _lift.run({**about, "only": []}, False)["incident"]


def test_the_rules_watch_the_hosts_of_the_service_and_what_it_declares() -> None:
    (group,) = json.loads(_monitoring_rule.rules("incidentctl-INC-1", [SHOP], INVENTORY))["groups"]
    assert group["name"] == "incidentctl-INC-1"
    assert [rule["expr"] for rule in group["rules"]] == [
        r'up{instance=~"(web1|web2\\.example)(:[0-9]+)?"} == 0',
        "errors > 0",
    ]
    assert [rule["alert"] for rule in group["rules"]] == ["Incident_shop_a_target_is_down", "Incident_Checkout_fails"]


def test_a_service_on_a_host_instead_of_a_group_watches_that_host() -> None:
    assert 'instance=~\\"(db1)' in _monitoring_rule.rules("g", [{"name": "db", "hosts": "db1"}], INVENTORY)


def test_a_host_without_prometheus_is_skipped_and_says_why(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9", host_groups=["web"]), False)["incident"]
    assert block["outcome"] == "skipped"
    assert block["reason"] == "Prometheus does not run on this host"


class Prometheus:
    """As much of Prometheus as rule files take: it loads those of its folder when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.groups, self.reloads = folder, [], 0

    def __call__(self, method: str, path: str, _body: Any) -> tuple[int, Any]:
        if (method, path) == ("POST", "/-/reload"):
            self.reloads += 1
            files = [json.loads(file.read_text()) for file in self.folder.glob("*.yml")]
            self.groups = [group for document in files for group in document["groups"]]
            return 200, ""
        return 200, {"data": {"groups": self.groups}}


def test_what_a_killed_try_left_is_taken_up_and_lifted_with_its_draft(tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path / "rules.d")
    with endpoint(prometheus) as server:
        about = params(tmp_path, server.url)
        _monitoring_rule.run(about, False)
        (entry,) = _ledger.entries(about)[0]
        # Killed after Prometheus had loaded it, and a later try while it wrote.
        _ledger.mark(entry, "intended")
        draft = tmp_path / "rules.d" / "incidentctl-INC-1.draft"
        draft.write_text("{")
        assert _monitoring_rule.run(about, True)["incident"]["outcome"] == "unchanged"
        assert _ledger.entries(about)[0][0]["state"] == "intended"
        assert _monitoring_rule.run(about, False)["incident"]["outcome"] == "unchanged"
        assert [entry["state"] for entry in _ledger.entries(about)[0]] == ["applied"]
        assert prometheus.reloads == 1
        assert lift(about)["outcome"] == "done"
    assert (list((tmp_path / "rules.d").iterdir()), prometheus.groups) == ([], [])


def test_a_file_that_somebody_else_changed_stays(tmp_path: Path) -> None:
    with endpoint(Prometheus(tmp_path / "rules.d")) as server:
        about = params(tmp_path, server.url)
        _monitoring_rule.run(about, False)
        (file,) = (tmp_path / "rules.d").iterdir()
        file.write_bytes(b"theirs \xff")
        block = lift(about)
    assert (block["outcome"], file.read_bytes()) == ("failed", b"theirs \xff")
    assert "was changed by somebody else" in block["reason"]


def test_a_reload_that_fails_brings_back_the_rules_of_before(tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path / "rules.d")
    sick = []
    with endpoint(lambda *asked: (500, "no") if sick and asked[0] == "POST" else prometheus(*asked)) as server:
        about = params(tmp_path, server.url)
        _monitoring_rule.run(about, False)
        (file,) = (tmp_path / "rules.d").iterdir()
        before = file.read_text()
        sick.append(True)
        more = {**SHOP, "alerts": []}
        assert "/-/reload: 500" in _monitoring_rule.run({**about, "services": [more]}, False)["incident"]["reason"]
        assert file.read_text() == before
        assert [entry["state"] for entry in _ledger.entries(about)[0]] == ["applied", "lifted"]
        sick.clear()
        assert lift(about)["outcome"] == "done"
    assert not file.exists()


def test_a_check_asks_prometheus_for_each_expression_and_tells_all_that_it_does_not_take(tmp_path: Path) -> None:
    asked: list[str] = []

    def serve(method: str, path: str, _body: Any) -> tuple[int, Any]:
        assert method == "GET", "a check changes nothing"
        asked.append(path)
        wrong = {"errors+%3E": (400, "1:9: parse error:\nunexpected end of input"), "a+%2B+b": (422, "many-to-many")}
        status, said = next((told for query, told in wrong.items() if path.endswith(query)), (200, ""))
        return status, {"status": "error", "error": said} if said else {"data": {"result": []}}

    alerts = [{"name": name, "expr": expr} for name, expr in (("A", "errors >"), ("B", "a + b"), ("C", "up == 0"))]
    with endpoint(serve) as server:
        about = params(tmp_path, server.url, services=[{**SHOP, "alerts": alerts}])
        block = _monitoring_rule.run(about, True)["incident"]
        assert block["outcome"] == "failed"
        assert block["reason"] == (
            "shop: the expression of alert 'A' cannot be used: 1:9: parse error: unexpected end of input; "
            "shop: the expression of alert 'B' cannot be used: many-to-many"
        )
        assert len(asked) == 3
        about = params(tmp_path, server.url, services=[{**SHOP, "alerts": alerts[2:]}])
        assert _monitoring_rule.run(about, True)["incident"]["outcome"] == "done"


def test_a_check_of_a_prometheus_that_is_away_says_so_once(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:1"), True)["incident"]
    assert block["outcome"] == "failed"
    assert block["reason"].startswith("http://127.0.0.1:1/api/v1/query: nothing (")


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_prometheus_that_answers_html_is_failed_and_leaves_nothing(tmp_path: Path, status: int) -> None:
    with endpoint(lambda *_: (status, "<html>")) as server:
        block = _monitoring_rule.run(params(tmp_path, server.url), False)["incident"]
    assert block["outcome"] == "failed"
    assert "not as it should" in block["reason"] or "/-/reload: " in block["reason"]
    assert not list((tmp_path / "rules.d").iterdir())


def test_a_prometheus_that_is_down_is_failed_and_leaves_nothing(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9"), False)["incident"]
    assert block["outcome"] == "failed"
    assert not list((tmp_path / "rules.d").iterdir())
    lifted = lift(params(tmp_path, "http://127.0.0.1:9"))
    assert not lifted["facts"]["open"]


def test_a_rule_folder_that_is_not_there_is_failed_and_named(tmp_path: Path) -> None:
    block = _monitoring_rule.run(params(tmp_path, "http://127.0.0.1:9", rules_dir="/nowhere"), True)["incident"]
    assert block["outcome"] == "failed"
    assert "/nowhere" in block["reason"]


@pytest.mark.parametrize("seconds", [-1, 0, 10**12])
def test_a_silence_that_no_calendar_has_is_refused_before_anything_is_done(tmp_path: Path, seconds: int) -> None:
    about = params(tmp_path, "http://127.0.0.1:9", alertmanager_url="http://127.0.0.1:9", expires_after=seconds)
    block = _monitoring_rule.run(about, False)["incident"]
    assert (block["outcome"], block["reason"]) == (
        "failed",
        "expires_after must be from 1 to 31622400, which is a year",
    )
    assert _ledger.entries(about) == ([], [])
    assert list((tmp_path / "rules.d").iterdir()) == []
