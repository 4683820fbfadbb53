"""Several real Prometheus and Alertmanager servers, some behind TLS and a login: each is told by itself, and left as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _ledger,
    _lift,
    _monitoring_rule,
    _silence,
)
from tests.certificates import Authority
from tests.monitoring_servers import ALERTMANAGER, PASSWORD, PROMETHEUS, USER, Server, needs_the_programs, servers
from tests.small_service import endpoint, free_port

from incidentctl import monitoring, series
from incidentctl.settings import Monitoring, Settings

ROOT = Path(__file__).resolve().parents[2]
SHOP = {"name": "shop", "hosts": "web", "alerts": [{"name": "Checkout fails", "expr": "vector(1)"}]}
FIRING = {"alertname": "CheckoutFails", "service": "shop", "instance": "web1.example:8000"}
HOST = {"alertname": "DiskFull", "instance": "web1.example"}
OTHER = {"alertname": "DiskFull", "instance": "web1Xexample"}


@dataclass
class Site:
    """Two of each: the first behind TLS and a login, the second without."""

    folder: Path
    prometheus: list[Server]
    alertmanager: list[Server]

    @property
    def secret(self) -> Path:
        return self.folder / "password"

    def login(self, server: Server) -> dict[str, Any]:
        """Return what the inventory says of a server."""
        if server.ca_file is None:
            return {"url": f"{server.url}/"}
        return {
            "url": server.url,
            "ca_file": str(server.ca_file),
            "secret_ref": {"file": str(self.secret), "scheme": "basic", "user": USER},
        }

    def params(
        self, prometheus: dict[str, Any], rules: Path, *alertmanagers: dict[str, Any], **own: Any
    ) -> dict[str, Any]:
        """Return the parameters of the module."""
        return {
            "services": [SHOP], "only": ["shop"], "host_name": "mon1", "host_groups": [], "prometheus_hosts": "mon1",
            "incident_id": self.folder.name, "state_dir": str(self.folder / "state"),
            "prometheus_url": prometheus["url"], "prometheus_secret_ref": prometheus.get("secret_ref", {}),
            "prometheus_ca_file": prometheus.get("ca_file", ""), "rules_dir": str(rules),
            "alertmanager_url": "", "alertmanagers": list(alertmanagers), "expires_after": 600,
            "inventory": {"web": ["web1.example"]}, **own,
        }  # fmt: skip


def lift(given: dict[str, Any]) -> dict[str, Any]:
    """Lift all that the incident did; return the block."""
    return _lift.run({**given, "only": []}, False)["incident"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Server], list[Server]]]:
    """Servers for all tests of this file; the second Prometheus has more rules than fit into a small answer."""
    needs_the_programs()
    folder = tmp_path_factory.mktemp("monitoring")
    authority = Authority(folder / "authority")
    both = (PROMETHEUS, ALERTMANAGER)
    with servers(folder / "secure", authority, *both) as secure, servers(folder / "plain", None, *both) as plain:
        many = [{"alert": f"Of_others_{number}", "expr": "vector(0) > 1"} for number in range(800)]
        document = {"groups": [{"name": "others", "rules": many}]}
        (plain[0].rules / "others.yml").write_text(yaml.safe_dump(document))
        plain[0].ask("/-/reload", {})
        yield [secure[0], plain[0]], [secure[1], plain[1]]


@pytest.fixture
def site(tmp_path: Path, running: tuple[list[Server], list[Server]], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    made = Site(tmp_path, *running)
    made.secret.write_text(f"{PASSWORD}\n")
    for server in made.alertmanager:
        for labels in (FIRING, HOST, OTHER):
            server.alert(**labels)
    return made


def play(site: Site, name: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Run a playbook on two hosts of this machine, each with a Prometheus; return each one's block, and all that was said."""
    hosts = {}
    for host, server in zip(("mon1", "mon2"), site.prometheus, strict=True):
        said = {f"incident_prometheus_{key}": value for key, value in site.login(server).items()}
        own = {"enhanced_monitoring_rules_dir": str(server.rules), "incident_state_dir": str(site.folder / host)}
        hosts[host] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **said, **own}
    variables = {
        "incident_become": False, "incident_services": [SHOP], "incident_only": ["shop"], "incident_id": site.folder.name,
        "incident_alertmanagers": [site.login(server) for server in site.alertmanager],
    }  # fmt: skip
    children = {"monitoring": {"hosts": hosts}, "web": {"hosts": {"web1.example": None}}}
    inventory, tree = site.folder / "inventory.yml", site.folder / "tree"
    inventory.write_text(yaml.safe_dump({"all": {"children": children, "vars": variables}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    finished = subprocess.run(
        [str(program), f"incidentctl.response.{name}", "-i", str(inventory), "-l", "monitoring", "--diff", "-vvv"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "tree", "ANSIBLE_CALLBACK_TREE_DIR": str(tree)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, said
    return {host: json.loads((tree / host).read_text())["incident"] for host in hosts}, said


def test_each_server_is_given_its_rules_and_its_silences_once_and_lift_takes_exactly_these_away(site: Site) -> None:
    theirs: dict[str, Any] = {
        "matchers": [{"name": n, "value": v, "isRegex": False} for n, v in (("x", "y"), ("z", "1"))]
    }
    theirs |= {
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "incidentctl", "comment": "Ann's",
    }  # fmt: skip
    ids = [server.ask("/api/v2/silences", theirs)["silenceID"] for server in site.alertmanager]
    before = [(server.groups(), sorted(server.rules.iterdir())) for server in site.prometheus]
    silent = [server.silences() for server in site.alertmanager]
    group = f"incidentctl-{site.folder.name}"

    blocks, said = play(site, "enhanced_monitoring")
    assert {block["outcome"] for block in blocks.values()} == {"done"}, blocks
    assert all(block["actions"][0]["verified"] for block in blocks.values())
    assert [set(server.groups()) for server in site.prometheus] == [{*groups, group} for groups, _files in before]
    for server, were in zip(site.alertmanager, silent, strict=True):
        ours = [labels for labels in server.silences() if labels not in were]
        assert sorted(ours, key=str) == sorted([FIRING, HOST], key=str), (
            "one for each alert, though two hosts were at it"
        )

    blocks, _said = play(site, "enhanced_monitoring")
    assert {block["outcome"] for block in blocks.values()} == {"unchanged"}

    kept = "".join(path.read_text() for host in ("mon1", "mon2") for path in (site.folder / host).rglob("*.json"))
    assert site.prometheus[0].url in kept
    blocks, more = play(site, "lift")
    assert all(row["outcome"] == "done" for block in blocks.values() for row in block["actions"]), blocks
    assert not [name for block in blocks.values() for name in block["facts"]["open"]]
    assert [(server.groups(), sorted(server.rules.iterdir())) for server in site.prometheus] == before
    assert [server.silences() for server in site.alertmanager] == silent
    assert PASSWORD not in said + more + kept
    for server, number in zip(site.alertmanager, ids, strict=True):
        server.ask(f"/api/v2/silence/{number}", method="DELETE")


def test_two_hosts_at_the_same_moment_leave_one_silence_for_each_alert(site: Site) -> None:
    server = site.alertmanager[1]
    hosts = [
        site.params({"url": ""}, site.folder, site.login(server), state_dir=str(site.folder / name)) for name in "abcd"
    ]
    with ThreadPoolExecutor(len(hosts)) as pool:
        for _round in range(3):
            list(
                pool.map(
                    lambda given: _silence.silence(given, "enhanced_monitoring", {"shop": ["web1.example"]}, False),
                    hosts,
                )
            )
            assert sorted(server.silences(), key=str) == sorted([FIRING, HOST], key=str)
            told = list(pool.map(lift, hosts))
            assert {block["outcome"] for block in told} <= {"done", "unchanged"}, told
            assert server.silences() == []


def hang(_method: str, _path: str, _body: Any) -> tuple[int, str]:
    OVER.wait(20)
    return 200, ""


OVER = threading.Event()
SICK = {
    "html": ((200, "<html>"), "it answers, but not as it should"),
    "an error page": ((500, "<html>"), "500 <html>"),
    "elsewhere": ((302, ""), "302 (a redirect is not followed)"),
    "other json": ((200, {"status": "ok"}), "it answers, but not as it should"),
    "silence": (None, "no complete answer within 2 s"),
}


@pytest.mark.parametrize("kind", SICK)
def test_a_sick_one_is_told_and_the_others_go_on(site: Site, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, told = SICK[kind]
    if answer is None:
        monkeypatch.setattr(_monitoring_rule, "_RELOADED_WITHIN_S", 0.3)
        monkeypatch.setattr(_monitoring_rule._monitoring_api, "_TIMEOUT_S", 2.0)
    healthy, rules = site.login(site.prometheus[1]), site.prometheus[1].rules
    well = site.login(site.alertmanager[0])
    OVER.clear()
    with endpoint(hang if answer is None else lambda *_: answer) as sick:
        folder = site.folder / "rules"
        folder.mkdir()
        # A sick Prometheus, and a healthy Alertmanager.
        given = site.params({"url": sick.url}, folder, well)
        watched, silenced = _monitoring_rule.run(given, False)["incident"]["actions"]
        assert (watched["outcome"], silenced["outcome"]) == ("failed", "done")
        assert told in watched["summary"] or "/-/reload" in watched["summary"], watched
        assert sick.url in watched["summary"]
        assert list(folder.iterdir()) == []
        assert {row["outcome"] for row in lift(given)["actions"]} == {"done"}
        # And the other way round.
        monkeypatch.setattr(_monitoring_rule, "_RELOADED_WITHIN_S", 30)
        given = site.params(healthy, rules, {"url": sick.url}, well)
        watched, away, silenced = _monitoring_rule.run(given, False)["incident"]["actions"]
        assert (watched["outcome"], away["outcome"], silenced["outcome"]) == ("done", "failed", "done")
        assert f"{sick.url}/api/v2/alerts: " in away["summary"]
        assert told in away["summary"]
        assert {row["outcome"] for row in lift(given)["actions"]} == {"done"}
        OVER.set()
    assert site.alertmanager[0].silences() == []
    assert not [name for name in site.prometheus[1].groups() if name.startswith("incidentctl")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"secret_ref": {}}, "401 (it wants a login: see secret_ref)"),
        ({"secret_ref": {"file": "wrong", "scheme": "basic", "user": USER}}, "401 (it wants a login"),
        ({"secret_ref": {"file": "missing", "scheme": "basic", "user": USER}}, "No such file or directory"),
        ({"ca_file": ""}, "its certificate is not trusted"),
        ({"url": "http"}, "/-/reload: 400"),
    ],
    ids=["no login", "a wrong password", "no password", "an unknown authority", "http"],
)
def test_a_login_that_is_not_right_is_said_and_leaves_nothing(site: Site, change: dict[str, Any], told: str) -> None:
    (site.folder / "wrong").write_text("hunter2")
    given = {**site.login(site.prometheus[0]), **change}
    if "file" in given["secret_ref"]:
        given["secret_ref"] = {**given["secret_ref"], "file": str(site.folder / given["secret_ref"]["file"])}
    if given["url"] == "http":
        given["url"] = site.prometheus[0].url.replace("https", "http")
    params = site.params(given, site.prometheus[0].rules, site.login(site.alertmanager[1]))
    watched, silenced = _monitoring_rule.run(params, False)["incident"]["actions"]
    assert (watched["outcome"], silenced["outcome"]) == ("failed", "done")
    assert told in watched["summary"]
    assert "hunter2" not in str(watched)
    assert list(site.prometheus[0].rules.iterdir()) == []
    lift(params)
    assert site.alertmanager[1].silences() == []


def test_rules_that_are_wrong_leave_those_that_were_there(site: Site) -> None:
    server = site.prometheus[0]
    given = site.params(site.login(server), server.rules)
    assert _monitoring_rule.run(given, False)["incident"]["outcome"] == "done"
    (file,) = server.rules.iterdir()
    loaded = file.read_text()
    bad = {**SHOP, "alerts": [{"name": "bad", "expr": "this is ( not promql"}]}
    assert _monitoring_rule.run({**given, "services": [bad]}, False)["incident"]["outcome"] == "failed"
    assert (list(server.rules.iterdir()), file.read_text()) == ([file], loaded)
    assert server.groups() == [f"incidentctl-{site.folder.name}"]
    assert lift(given)["outcome"] == "done"
    assert (server.groups(), list(server.rules.iterdir())) == ([], [])


def test_a_lift_that_a_server_refuses_is_kept_and_tried_again(site: Site) -> None:
    server = site.prometheus[0]
    given = site.params(site.login(server), server.rules, site.login(site.alertmanager[0]))
    _monitoring_rule.run(given, False)
    site.secret.write_text("hunter2")
    block = lift(given)
    assert ([row["outcome"] for row in block["actions"]], len(block["facts"]["open"])) == (["failed", "failed"], 2)
    assert all("401" in row["summary"] for row in block["actions"])
    site.secret.write_text(PASSWORD)
    block = lift(given)
    assert (block["outcome"], block["facts"]["open"]) == ("done", [])
    assert (server.groups(), site.alertmanager[0].silences()) == ([], [])


def test_what_is_wrong_with_the_servers_is_told_all_at_once(site: Site) -> None:
    given = site.params({"url": "mon1:9090", "secret_ref": {"env": "A", "file": "/b"}}, site.folder, {"ulr": "x"})
    block = _monitoring_rule.run(given, False)["incident"]
    assert block["outcome"] == "failed"
    for told in (
        "Prometheus: url is not an http or https address",
        "Prometheus: secret_ref needs file or env",
        "Alertmanager: unknown key ulr",
        "Alertmanager: url is not an http",
    ):
        assert told in block["reason"]


def look(folder: Path, prometheus: list[Any], alertmanager: list[Any]) -> dict[str, Any]:
    about = {"monitoring": {"prometheus": prometheus, "alertmanager": alertmanager}}
    return monitoring.look(Settings.model_validate(about, context={"folder": folder}).monitoring)


def test_the_driver_asks_all_of_them_and_tells_who_does_not_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITORING_PASSWORD", PASSWORD)
    (site.folder / "two").write_text("hunter2\nhunter3")
    secure = [
        {"url": server.url, "user": USER, "password": {"env": "MONITORING_PASSWORD"}, "ca_file": str(server.ca_file)}
        for server in (site.prometheus[0], site.alertmanager[0])
    ]
    monkeypatch.setattr("incidentctl.servers.TIMEOUT_S", 6.0)
    seen = look(site.folder, [secure[0], site.prometheus[1].url], [secure[1], site.alertmanager[1].url])
    assert seen == {
        "down": [],
        "alerts": ["CheckoutFails web1.example:8000", "DiskFull web1.example", "DiskFull web1Xexample"],
        "problems": [],
    }
    OVER.clear()
    with (
        endpoint(hang) as hanging,
        endpoint(lambda *_: (200, "<html>")) as html,
        endpoint(lambda *_: (302, "")) as away,
    ):
        started = time.monotonic()
        refused = f"http://127.0.0.1:{free_port()}"
        sick = [
            {"url": secure[0]["url"], "token": {"file": str(site.folder / "two")}},
            {**secure[0], "password": {"env": "NOT_THERE"}},
            {"url": secure[0]["url"], "token": {"env": "MONITORING_PASSWORD"}, "ca_file": secure[0]["ca_file"]},
            {"url": secure[0]["url"]},
            {"url": secure[0]["url"], "ca_file": "missing.pem"},
            secure[0]["url"].replace("https", "http"),
            hanging.url, html.url, away.url, refused,
        ]  # fmt: skip
        seen = look(site.folder, [*sick, secure[0]], [site.alertmanager[1].url])
        took = time.monotonic() - started
        OVER.set()
        assert away.requests[1:] == [], "the redirect was followed"
    url = secure[0]["url"]
    assert seen["down"] == []
    assert len(seen["alerts"]) == 3
    for told, problem in zip(
        (
            f"{url}: The secret in file {site.folder}/two cannot go in a header",
            f"{url}: There is no secret in environment variable NOT_THERE",
            f"{url} answers 401: it wants another login. Fix: ",
            f"{url}: its certificate is not trusted: unable to get local issuer certificate. Fix: name the file",
            f"{url}: ca_file {site.folder}/missing.pem cannot be read No such file",
            f"{url.replace('https', 'http')} answers 400",
            f"{hanging.url}: no complete answer within 6 s",
            f"{html.url} does not answer as it should: is it really there?",
            f"{away.url} answers 302, a redirect, which is not followed",
            f"{refused}: Connection refused",
        ),
        seen["problems"],
        strict=True,
    ):
        assert problem.startswith(told)
    assert "hunter" not in str(seen)
    assert PASSWORD not in str(seen)
    assert took < 15


def test_a_real_one_gives_a_range_within_what_was_asked_for(site: Site) -> None:
    asked = Monitoring.model_validate({"prometheus": [site.prometheus[1].url]}, context={"folder": site.folder})
    now = time.time()
    texts = {"a": "vector(7)", "b": "time()", "c": "vector(0) / 0", "d": "up{job='nobody'}", "e": "7 +"}
    questions = [series.Question(series.QUERY, name, "", text) for name, text in texts.items()]
    span = (now - 3600.5, now)
    found = {one.question.name: one for one in monitoring.over(asked, questions, [span])()[0]}
    (seven,), (times,), (nothing,) = (found[name].series for name in "abc")
    assert {value for _at, value in seven.points} == {7.0}
    assert 200 < len(seven.points) <= 240
    assert all(value == pytest.approx(at, abs=0.01) for at, value in times.points)
    assert (nothing.points, found["d"].series) == ((), ())
    assert "parse error" in found["e"].problem
