"""Health and dependency checks against real listeners: what is sick is said, and nothing that hangs holds us."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _diagnosis, _fitting, _health, _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import CatalogueError
from tests.certificates import Authority
from tests.small_service import endpoint
from tests.unit.modules import own_clock
from tests.unit.modules.own_clock import OwnClock

COMMON = {
    "capability": "health_check",
    "only": [],
    "host_name": "here",
    "host_groups": [],
    "incident_id": "adhoc",
    "state_dir": "/nonexistent",
    "window_s": 0,
    "within_s": 10,
    "figures": False,
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        {"/hang": self._hang, "/redirect": self._redirect, "/large": self._large}.get(self.path, self._scripted)()

    def _hang(self) -> None:
        self.server.released.wait(20)  # type: ignore[attr-defined]

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/")
        self.end_headers()

    def _large(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _chunk in range(160):
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True  # nobody reads 10 MB

    def _scripted(self) -> None:
        statuses = self.server.statuses  # type: ignore[attr-defined]
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.end_headers()
        self.wfile.write(b"boom \x1b[31mred\x07")

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def web(*statuses: int) -> Iterator[Any]:
    """A server that answers with each status in turn, then with the last one for ever."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.statuses, server.asked, server.released = list(statuses or (200,)), [], threading.Event()  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def shop() -> Iterator[Any]:
    with web() as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def service(url: str = "", name: str = "shop", **more: Any) -> dict[str, Any]:
    health = {"health": {"url": url, "timeout_s": 1}} if url else {}
    return {"name": name, "hosts": "here", **health, **more}


def answer_of(*services: dict[str, Any], check_mode: bool = False, **params: Any) -> dict[str, Any]:
    return _diagnosis.run({**COMMON, "services": list(services), **params}, check_mode)


def check(*services: dict[str, Any], **params: Any) -> dict[str, Any]:
    return answer_of(*services, **params)["incident"]


def seen(incident: dict[str, Any], name: str = "shop") -> dict[str, Any]:
    return incident["facts"]["services"][name]


def test_healthy_service_passes(shop: Any) -> None:
    incident = check(service(f"{shop.url}/health"))
    assert incident["outcome"] == "unchanged"
    assert {key: seen(incident)[key] for key in ("healthy", "status", "running", "depends_on")} == {
        "healthy": True, "status": 200, "running": None, "depends_on": [],
    }  # fmt: skip


def test_check_mode_asks_just_the_same(shop: Any) -> None:
    answer = answer_of(service(f"{shop.url}/health"), check_mode=True)
    assert (answer["changed"], answer["incident"]["outcome"]) == (False, "unchanged")
    assert shop.asked == ["/health"]


def test_sick_service_fails_with_what_it_said_and_without_its_control_characters() -> None:
    with web(500) as shop:
        incident = check(service(f"{shop.url}/health"))
    assert incident["outcome"] == "failed"
    assert incident["reason"] == "shop: 500 (expected 200): boom red\ufffd"
    assert seen(incident)["healthy"] is False


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<html><head><title>x</title></head>\n<body><h1>502 Bad\n Gateway</h1></body></html>", "502 Bad Gateway"),
        ('{"reason": "a < b > c"}', '{"reason": "a < b > c"}'),
        ("<head" * 800, "<head" * 40),
        ("", ""),
    ],
)
def test_of_a_page_what_people_read_is_told(page: str, told: str) -> None:
    with endpoint(lambda *_: (500, page)) as shop:
        detail = seen(check(service(shop.url)))["detail"]
    assert detail == "500 (expected 200)" + (f": {told}" if told else "")


def test_any_other_status_can_be_the_expected_one() -> None:
    with web(204) as shop:
        health = {"url": shop.url, "expect_status": 204}
        assert check(service(health=health))["outcome"] == "unchanged"


def test_redirect_is_not_followed(shop: Any) -> None:
    incident = check(service(f"{shop.url}/redirect"))
    assert seen(incident)["status"] == 302
    assert set(shop.asked) == {"/redirect"}


def test_large_body_does_not_matter(shop: Any) -> None:
    assert check(service(f"{shop.url}/large"))["outcome"] == "unchanged"


def test_refused_connection_is_no_answer(closed_port: int) -> None:
    incident = check(service(f"http://127.0.0.1:{closed_port}/health"))
    assert seen(incident)["status"] is None
    assert "refused" in incident["reason"]


def test_many_services_that_hang_take_the_time_of_one(shop: Any) -> None:
    started = time.monotonic()
    incident = check(*[service(f"{shop.url}/hang", f"shop-{i}") for i in range(40)])
    assert time.monotonic() - started < 20  # one after the other they take forty
    assert [row["outcome"] for row in incident["actions"]] == ["failed"] * 40


def test_answer_that_never_comes_is_given_up() -> None:
    release = threading.Event()
    answers = _parallel.each(lambda item: release.wait(20) if item else "there", [0, 1], 2.0)
    release.set()
    assert answers == ["there", _parallel.LATE]


def test_what_goes_wrong_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        _parallel.each(lambda item: 1 // item, [1, 0], 5)


def test_without_a_health_check_the_manager_is_asked() -> None:
    def managed(name: str, status: str) -> dict[str, Any]:
        return service(name=name, manager="command", control={"start": ["true"], "stop": ["true"], "status": [status]})

    incident = check(managed("up", "true"), managed("down", "false"), managed("unknown", "/nonexistent/status"))
    assert {name: (s["healthy"], s["running"]) for name, s in incident["facts"]["services"].items()} == {
        "up": (True, True), "down": (False, False), "unknown": (None, None),
    }  # fmt: skip
    assert [row["outcome"] for row in incident["actions"]] == ["unchanged", "failed", "failed"]
    assert "no health check is declared" in seen(incident, "up")["detail"]


def test_service_of_which_nothing_can_tell_does_not_pass() -> None:
    incident = check(service())
    assert seen(incident)["healthy"] is None
    assert incident["outcome"] == "failed"


def test_endpoint_that_answers_although_the_manager_says_no_is_told(shop: Any) -> None:
    control = {"start": ["true"], "stop": ["true"], "status": ["false"]}
    incident = check(service(shop.url, manager="command", control=control))
    assert seen(incident)["healthy"] is True
    assert seen(incident)["running"] is False
    assert "does not run" in seen(incident)["detail"]


def test_dependencies_are_checked_over_tcp_and_http(shop: Any, closed_port: int) -> None:
    wanted = {
        "open": f"tcp://127.0.0.1:{shop.server_port}",
        "closed": f"tcp://127.0.0.1:{closed_port}",
        "web": f"{shop.url}/",
        "moved": f"{shop.url}/redirect",
        "refused": f"http://127.0.0.1:{closed_port}/",
    }
    depends_on = [{"name": name, "check": address} for name, address in wanted.items()]
    incident = check(service(f"{shop.url}/health", depends_on=depends_on))
    found = {d["name"]: d["ok"] for d in seen(incident)["depends_on"]}
    assert found == {**dict.fromkeys(wanted, False), "open": True, "web": True}


def test_failing_dependency_of_a_healthy_service_is_a_warning_and_no_failure(shop: Any, closed_port: int) -> None:
    depends_on = [{"name": "db", "check": f"tcp://127.0.0.1:{closed_port}"}]
    answer = answer_of(service(shop.url, depends_on=depends_on))
    assert answer["incident"]["outcome"] == "unchanged"
    assert "dependency db fails: Connection refused" in answer["warnings"][0]


def test_password_in_an_address_is_not_told(closed_port: int) -> None:
    address = f"http://shop:hunter2@127.0.0.1:{closed_port}/"
    with pytest.raises(
        CatalogueError, match=r"health\.url holds a user or a password.*depends_on\.check holds"
    ) as caught:
        check(service(address, depends_on=[{"name": "db", "check": address}]))
    assert "hunter2" not in str(caught.value)


def test_health_and_dependencies_over_tls_are_asked_under_an_authority_of_their_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with endpoint(lambda *_: (200, {}), authority.vouch("IP:127.0.0.1").server()) as app:
        trusted = {"ca_file": str(authority.file)}
        needed = [{"name": "payments", "check": app.url, **trusted}, {"name": "search", "check": app.url}]
        health = {"url": app.url, "timeout_s": 5}
        found = seen(check({"name": "shop", "hosts": "here", "health": {**health, **trusted}, "depends_on": needed}))
        assert (found["healthy"], [one["ok"] for one in found["depends_on"]]) == (True, [True, False])
        found = seen(check({"name": "shop", "hosts": "here", "health": health}))
    assert found["healthy"] is False
    assert "its certificate is not trusted" in found["detail"]
    wrong = {"url": app.url, "ca_file": "ca.pem"}
    needed = [
        {"name": "db", "check": "tcp://db:5432", "ca_file": "/x"},
        {"name": "payments", "check": "https://a:x", "ca_file": "y"},
    ]
    with pytest.raises(CatalogueError) as caught:
        check({"name": "shop", "hosts": "here", "health": wrong, "depends_on": needed})
    for told in (
        "health.ca_file must be",
        "depends_on.ca_file belongs to a check that speaks TLS",
        "depends_on.check has a port",
        "depends_on.ca_file must",
    ):
        assert told in str(caught.value)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> OwnClock:
    return own_clock.given(monkeypatch, _health)


def test_health_that_holds_passes_the_window(shop: Any, clock: OwnClock) -> None:
    incident = check(service(shop.url), window_s=1, within_s=1)
    assert incident["outcome"] == "unchanged"
    assert "held for 1 s" in seen(incident)["detail"]
    assert (len(shop.asked), clock.now) == (3, 1.0)


@pytest.mark.parametrize("within_s", [0.0, 0.3, 5.0])
def test_health_that_came_when_the_time_to_wait_was_over_may_hold_as_long_as_any(
    clock: OwnClock, within_s: float
) -> None:
    def slow(_health_check: dict[str, Any]) -> dict[str, Any]:
        clock.sleep(0.3)
        return {"healthy": True, "status": 200, "latency_ms": 300.0, "detail": "200"}

    found = _health.hold({}, window_s=1.0, within_s=within_s, ask=slow)
    assert (found["healthy"], found["failures"]) == (True, 0)
    assert 1.3 <= clock.now < 2.0


def test_window_waits_for_a_service_that_is_still_starting(clock: OwnClock) -> None:
    with web(503, 503, 200) as shop:
        assert check(service(shop.url), window_s=0.6, within_s=5)["outcome"] == "unchanged"


def test_health_that_fails_midway_in_the_window_does_not_pass(clock: OwnClock) -> None:
    with web(200, 200, 500) as shop:
        incident = check(service(shop.url), window_s=3, within_s=0.1)
    assert clock.now == 1.0
    assert incident["outcome"] == "failed"
    assert "not healthy for 3 s on end" in incident["reason"]


def test_of_what_only_its_manager_says_no_latency_is_known(clock: OwnClock) -> None:
    seen = {"healthy": True, "status": None, "latency_ms": None, "detail": "running"}
    found = _health.hold({}, window_s=0.3, within_s=1.0, ask=lambda _health_check: seen)
    assert found["probes"] > 1
    assert (found["healthy"], found["p50_ms"], found["max_ms"]) == (True, None, None)


def test_without_a_health_check_the_manager_must_hold_for_the_window(tmp_path: Any) -> None:
    control = {"start": ["true"], "stop": ["true"], "status": ["mkdir", str(tmp_path / "once")]}  # succeeds once
    incident = check(service(manager="command", control=control), window_s=0.6, within_s=0.1)
    assert incident["outcome"] == "failed"


def test_only_narrows_and_other_hosts_services_are_passed_over(shop: Any) -> None:
    elsewhere = {**service(shop.url, "far"), "hosts": "there"}
    incident = check(service(shop.url), service(shop.url, "cart"), elsewhere, only=["cart"])
    assert list(incident["facts"]["services"]) == ["cart"]
    assert check(elsewhere)["outcome"] == "skipped"


@pytest.mark.parametrize(
    "wrong",
    [
        {"depends_on": ["db"]},
        {"depends_on": [{"name": "db"}]},
        {"depends_on": [{"name": "db", "check": "udp://127.0.0.1:53"}]},
        {"health": {"url": "http://127.0.0.1", "timeout_s": "soon"}},
        {"health": {"url": "http://127.0.0.1", "expect_status": None}},
    ],
)
def test_check_that_cannot_be_made_is_a_catalogue_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(CatalogueError, match="shop: "):
        check(service(**wrong))


def test_facts_stay_small_and_keep_the_sick(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fitting, "FACTS_LIMIT", 10_000)  # reached with few services: each asks the host's podman
    many = [service(name=f"s{i}" + "x" * 50, manager="compose", compose_file="/x" * 200) for i in range(80)]
    facts = check(*many, service(shop.url))["facts"]
    assert 5_000 < _fitting.size(facts) <= 10_000
    assert facts["left_out"] == 81 - len(facts["services"])
    assert "shop" not in facts["services"]  # the only healthy one is the last to be told of
