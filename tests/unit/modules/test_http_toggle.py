"""Maintenance mode is seen on before it is told, and can always be taken back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _egress, _http_toggle, _ledger, _lift
from tests.certificates import Authority
from tests.small_service import Answer, Endpoint, endpoint, free_port

ROOT = Path(__file__).resolve().parents[3]
Script = Callable[[str, str, Any], Answer]


class App:
    """An application with a maintenance switch; `answers` overrides what a path answers."""

    def __init__(self, enabled: bool = False) -> None:
        self.enabled = enabled
        self.answers: dict[str, Answer] = {}

    def __call__(self, _method: str, path: str, _body: Any) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path in ("/on", "/off"):
            self.enabled = path == "/on"
        return 200, {"enabled": self.enabled, "since": "today"}


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_http_toggle, "WAIT_S", 0.3)


def service(url: str, *, status: bool = True, name: str = "shop", **on: Any) -> dict[str, Any]:
    toggle: dict[str, Any] = {
        "on": {"url": f"{url}/on", "json": {"enabled": True}, **on},
        "off": {"url": f"{url}/off", "method": "POST"},
    }
    if status:
        toggle["status"] = {"url": f"{url}/status"}
    return {"name": name, "hosts": "all", "maintenance": toggle}


def params(tmp_path: Path, *services: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "capability": "maintenance_mode",
        "services": list(services),
        "only": list(only),
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
    }


def turn_on(given: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    return _http_toggle.run(given, check_mode)["incident"]["actions"][0]


def paths(app: Endpoint) -> list[str]:
    return [path for _method, path, _body, _headers in app.requests]


def states(given: dict[str, Any]) -> list[str]:
    return [entry["state"] for entry in _ledger.entries(given)[0]]


def test_maintenance_is_turned_on_and_seen_on(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url))
        answer = _http_toggle.run(given, False)
    row = answer["incident"]["actions"][0]
    assert (row["outcome"], row["verified"], row["entry"]) == ("done", True, "000001-maintenance-mode-shop")
    assert app.requests[1][:3] == ("POST", "/on", {"enabled": True})
    assert paths(app) == ["/status", "/on", "/status"]
    entry = _ledger.entries(given)[0][0]
    assert entry["prior"] == {"status": {"on": False, "said": {"enabled": False}}}
    assert entry["undo"]["request"]["url"] == f"{app.url}/off"
    assert answer["diff"][0]["after"] == "maintenance of shop on\n"


def test_the_intent_is_on_disk_when_the_endpoint_is_called(tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    seen: list[list[str]] = []
    real = App()

    def script(method: str, path: str, body: Any) -> Answer:
        if path == "/on":
            seen.append(states(given))
        return real(method, path, body)

    with endpoint(script) as app:
        given.update(params(tmp_path, service(app.url)))
        turn_on(given)
    assert (seen, states(given)) == ([["intended"]], ["applied"])


def test_a_service_in_maintenance_already_gets_no_entry_so_that_lift_leaves_it_so(tmp_path: Path) -> None:
    with endpoint(App(enabled=True)) as app:
        given = params(tmp_path, service(app.url))
        row = turn_on(given)
    assert (row["outcome"], row["verified"]) == ("unchanged", True)
    assert paths(app) == ["/status"]
    assert states(given) == []


def test_the_check_only_reads_the_status(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url))
        row = turn_on(given, check_mode=True)
    assert (row["outcome"], paths(app), states(given)) == ("done", ["/status"], [])
    assert (row["before"]["on"], row["after"]) == (False, {"on": True, "url": f"{app.url}/on"})


def test_a_second_run_changes_nothing_with_a_status_or_without(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url), service(app.url, status=False, name="blind"))
        first = _http_toggle.run(given, False)
        called = len(app.requests)
        second = _http_toggle.run(given, False)
    assert [row["outcome"] for row in first["incident"]["actions"]] == ["done", "done"]
    assert (second["changed"], states(given)) == (False, ["applied", "applied"])
    assert paths(app)[called:] == ["/status"]


def test_without_a_status_the_act_is_not_verified_and_says_so(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        row = turn_on(params(tmp_path, service(app.url, status=False)))
    assert (row["outcome"], row["verified"]) == ("done", False)
    assert "not verified" in row["summary"]


@pytest.mark.parametrize(
    "said", ["no json", "[1]", {"other": 1}, "[" * 60_000], ids=["text", "list", "nothing shared", "nested too deep"]
)
def test_a_status_that_cannot_be_compared_verifies_nothing(tmp_path: Path, said: Any) -> None:
    script = App()
    script.answers["/status"] = (200, said)
    with endpoint(script) as app:
        row = turn_on(params(tmp_path, service(app.url)))
    assert (row["outcome"], row["verified"]) == ("done", False)
    assert "nothing about enabled" in row["summary"]


def test_what_status_expects_comes_before_the_body_of_on(tmp_path: Path) -> None:
    def script(method: str, path: str, _body: Any) -> Answer:
        return 200, {"mode": "maintenance", "enabled": False}

    with endpoint(script) as app:
        shop = service(app.url)
        shop["maintenance"]["status"]["expect"] = {"mode": "maintenance"}
        row = turn_on(params(tmp_path, shop))
    assert (row["outcome"], paths(app)) == ("unchanged", ["/status"])


def test_an_on_that_is_accepted_and_has_no_effect_is_a_failure_with_an_undo(tmp_path: Path) -> None:
    script = App()
    script.answers["/on"] = (200, {})
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url))
        row = turn_on(given)
        again = turn_on(given)
    assert (row["outcome"], row["verified"]) == ("failed", False)
    assert "status says {'enabled': False}" in row["summary"]
    # The second try took up the entry of the first.
    assert (again["entry"], states(given)) == (row["entry"], ["intended"])


def test_a_refused_on_that_left_it_off_leaves_nothing_to_take_back(tmp_path: Path) -> None:
    script = App()
    script.answers["/on"] = (403, {"error": "no"})
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url))
        row = turn_on(given)
    assert (row["outcome"], row["summary"]) == ("failed", "on of shop answered 403")
    assert states(given) == ["lifted"]
    assert "entry" not in row, "what an action names as its entry is open"


def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path: Path) -> None:
    script = App()
    script.answers["/on"] = (302, {})
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url, status=False))
        row = turn_on(given)
    assert row["outcome"] == "failed"
    assert f"302 (a redirect to {app.url}/elsewhere is not followed)" in row["summary"]
    assert paths(app) == ["/on"]
    # Without a status nobody knows whether it came on: lift has to call off.
    assert states(given) == ["intended"]


@pytest.mark.parametrize(
    ("status", "expect", "outcome"), [(204, None, "done"), (302, 302, "done"), (200, 202, "failed")]
)
def test_what_status_a_request_expects(tmp_path: Path, status: int, expect: int | None, outcome: str) -> None:
    script = App()
    script.answers["/on"] = (status, "")
    with endpoint(script) as app:
        more = {} if expect is None else {"expect_status": expect}
        assert turn_on(params(tmp_path, service(app.url, status=False, **more)))["outcome"] == outcome


def test_one_dead_endpoint_fails_alone(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        dead = service(f"http://127.0.0.1:{free_port()}", name="dead")
        answer = _http_toggle.run(params(tmp_path, dead, service(app.url)), False)
    assert [row["outcome"] for row in answer["incident"]["actions"]] == ["failed", "done"]
    assert "Connection refused" in answer["incident"]["reason"]


def test_a_missing_secret_stops_it_before_anything_is_recorded(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        shop = service(app.url)
        shop["maintenance"]["off"]["secret_ref"] = {"file": str(tmp_path / "missing")}
        given = params(tmp_path, shop)
        row = turn_on(given)
    assert (row["outcome"], paths(app), states(given)) == ("failed", ["/status"], [])
    assert "secret file" in row["summary"]


def test_a_secret_goes_out_in_its_header_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer canary\n")
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url, secret_ref={"file": str(tmp_path / "token")}))
        answer = _http_toggle.run(given, False)
    assert app.requests[1][3]["Authorization"] == "Bearer canary"
    assert "canary" not in str(answer)
    assert "canary" not in Path(_ledger.entries(given)[0][0]["path"]).read_text()


def test_only_what_is_named_is_turned_on_and_what_has_no_maintenance_says_so(tmp_path: Path) -> None:
    plain = {"name": "plain", "hosts": "all"}
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url), plain, only=("plain",))
        answer = _http_toggle.run(given, False)
        assert app.requests == []
    assert answer["incident"]["outcome"] == "skipped"
    assert answer["incident"]["reason"] == "plain declares no maintenance"


def entry_of(given: dict[str, Any]) -> _ledger.Entry:
    return _ledger.entries(given)[0][-1]


def test_off_is_called_and_seen_off(tmp_path: Path) -> None:
    script = App()
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url))
        turn_on(given)
        assert _http_toggle.turn_off(entry_of(given), True) == ("maintenance of shop would be turned off", False)
        assert script.enabled
        assert _http_toggle.turn_off(entry_of(given), False) == ("maintenance of shop turned off", True)
        assert not script.enabled
        assert _http_toggle.turn_off(entry_of(given), False) == ("maintenance of shop was already off", True)
    assert paths(app).count("/off") == 1


def test_off_without_a_status_is_not_verified(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        given = params(tmp_path, service(app.url, status=False))
        turn_on(given)
        summary, verified = _http_toggle.turn_off(entry_of(given), False)
    assert "no status to verify" in summary
    assert verified is False


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/off", (500, {}), "off of shop answered 500"),
        ("/off", (301, {}), "301 \\(a redirect to .*/elsewhere is not followed\\)"),
        ("/off", (200, {}), "but status says {'enabled': True}"),
        ("/status", (503, {}), "but status says 503"),
    ],
)
def test_an_off_that_is_not_seen_off_is_no_lift(tmp_path: Path, path: str, answer: Answer, words: str) -> None:
    script = App()
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url))
        turn_on(given)
        script.answers[path] = answer
        with pytest.raises(_http_toggle.ToggleError, match=words):
            _http_toggle.turn_off(entry_of(given), False)


def lift(given: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    return _lift.run(given, check_mode)["incident"]["actions"][0]


def test_an_endpoint_that_was_never_reached_leaves_nothing_to_take_back(tmp_path: Path) -> None:
    with endpoint(App()) as app:
        shop = service(app.url)
        shop["maintenance"]["on"]["url"] = f"http://127.0.0.1:{free_port()}/on"
        given = params(tmp_path, shop, service(app.url, name="other"))
        rows = _http_toggle.run(given, False)["incident"]["actions"]
    assert [row["outcome"] for row in rows] == ["failed", "done"]
    assert rows[0]["summary"] == "on of shop answered nothing (Connection refused)"
    assert states(given) == ["lifted", "applied"]
    assert paths(app) == ["/status", "/status", "/on", "/status"], "who was never asked is not waited for"


def test_what_an_earlier_try_may_have_turned_on_is_kept_when_a_later_one_cannot_be_sent(tmp_path: Path) -> None:
    script = App()
    script.answers["/on"] = (500, "")
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url, status=False))
        turn_on(given)
    row = turn_on(given)  # nobody is there any more
    assert (row["outcome"], states(given)) == ("failed", ["intended"])


@pytest.mark.parametrize("said", [(500, "oops"), (302, "")])
def test_what_came_on_in_spite_of_its_answer_is_done_and_says_so(tmp_path: Path, said: Answer) -> None:
    script = App()

    def odd(method: str, path: str, body: Any) -> Answer:
        answer = script(method, path, body)
        return said if path in ("/on", "/off") else answer

    with endpoint(odd) as app:
        given = params(tmp_path, service(app.url))
        row = turn_on(given)
        off = lift(given)
    assert (row["outcome"], row["verified"]) == ("done", True)
    assert f"on of shop answered {said[0]}" in row["summary"]
    assert "but status says so" in row["summary"]
    assert (off["outcome"], states(given)) == ("done", ["lifted"])
    assert f"off of shop answered {said[0]}" in off["summary"]


def test_an_answer_that_comes_too_late_is_settled_by_the_status(tmp_path: Path) -> None:
    script, over = App(), threading.Event()

    def slow(method: str, path: str, body: Any) -> Answer:
        answer = script(method, path, body)
        if path == "/on":
            over.wait(10)
        return answer

    with endpoint(slow) as app:
        given = params(tmp_path, service(app.url, timeout_s=1))
        row = turn_on(given)
        over.set()
    assert (row["outcome"], row["verified"], states(given)) == ("done", True, ["applied"])
    assert "no complete answer within 1 s" in row["summary"]


def test_a_status_may_take_its_time_as_long_as_it_says(tmp_path: Path) -> None:
    script = App()
    asked: list[str] = []

    def lazy(method: str, path: str, body: Any) -> Answer:
        asked.append(path)
        answer = script(method, path, body)
        return (200, {"enabled": False}) if path == "/status" and len(asked) < 7 else answer

    with endpoint(lazy) as app:
        shop = service(app.url)
        shop["maintenance"]["status"]["within_s"] = 20
        started = time.monotonic()
        row = turn_on(params(tmp_path, shop))
    assert (row["outcome"], row["verified"]) == ("done", True)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"state": {"mode": "on", "since": "today"}, "more": 1}, "unchanged"),
        ({"state": {"mode": "off"}}, "failed"),
        ({"state": {"other": 1}}, "done"),  # cannot tell
        ({"state": "on"}, "failed"),
    ],
)
def test_what_is_expected_is_compared_within_mappings_too(tmp_path: Path, said: Any, outcome: str) -> None:
    script = App()
    script.answers["/status"] = (200, said)
    with endpoint(script) as app:
        shop = service(app.url)
        shop["maintenance"]["status"]["expect"] = {"state": {"mode": "on"}}
        assert turn_on(params(tmp_path, shop))["outcome"] == outcome


def test_a_status_too_large_to_read_verifies_nothing_and_says_so(tmp_path: Path) -> None:
    script = App()
    script.answers["/status"] = (200, {"enabled": True, "more": "x" * 100_000})
    with endpoint(script) as app:
        row = turn_on(params(tmp_path, service(app.url)))
    assert (row["outcome"], row["verified"]) == ("done", False)
    assert "more than is read of a status" in row["summary"]


@pytest.mark.parametrize(("key", "calls"), [("on", ["/status"]), ("off", ["/status"]), ("status", [])])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_missing_secret_fails_that_service_alone(
    tmp_path: Path, key: str, calls: list[str], check_mode: bool
) -> None:
    with endpoint(App()) as app, endpoint(App()) as healthy:
        shop = service(app.url)
        shop["maintenance"][key]["secret_ref"] = {"file": str(tmp_path / "missing"), "scheme": "bearer"}
        answer = _http_toggle.run(params(tmp_path, shop, service(healthy.url, name="other")), check_mode)
    assert [row["outcome"] for row in answer["incident"]["actions"]] == ["failed", "done"]
    assert paths(app) == calls


def test_a_secret_that_is_gone_at_the_lift_keeps_the_entry_and_says_why(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("sesame")
    script = App()
    with endpoint(script) as app:
        shop = service(app.url)
        shop["maintenance"]["off"]["secret_ref"] = {"file": str(secret)}
        given = params(tmp_path, shop)
        turn_on(given)
        secret.unlink()
        row = lift(given)
        assert (row["outcome"], states(given)) == ("failed", ["applied"])
        assert f"secret file {secret}: No such file or directory; 000001-" in row["summary"]
        secret.write_text("sesame")
        assert lift(given)["outcome"] == "done"
    assert not script.enabled


def test_lift_calls_off_what_was_never_seen_on_whatever_the_status_says(tmp_path: Path) -> None:
    script = App()
    with endpoint(script) as app:
        shop = service(app.url)
        shop["maintenance"]["status"]["expect"] = {"enabled": "yes"}  # it says true
        given = params(tmp_path, shop)
        assert turn_on(given)["outcome"] == "failed"
        assert script.enabled
        lift(given, check_mode=True)
        assert script.enabled
        lift(given)
    assert not script.enabled


def test_an_entry_is_taken_up_again_when_somebody_turned_it_off_midway(tmp_path: Path) -> None:
    script = App()
    with endpoint(script) as app:
        given = params(tmp_path, service(app.url))
        turn_on(given)
        script.enabled = False
        assert turn_on(given)["outcome"] == "done"
    assert (script.enabled, states(given)) == (True, ["applied"])


def test_a_second_call_that_may_yet_be_heard_is_called_off_whatever_the_status_says(tmp_path: Path) -> None:
    script, again, over = App(), threading.Event(), threading.Event()

    def slow(method: str, path: str, body: Any) -> Answer:
        if path == "/on" and again.is_set():
            over.wait(10)
        return script(method, path, body)

    with endpoint(slow) as app:
        given = params(tmp_path, service(app.url, timeout_s=1))
        turn_on(given)
        script.enabled = False  # the application was restarted
        again.set()
        assert (turn_on(given)["outcome"], states(given)) == ("failed", ["intended"])
        row = lift(given)
        over.set()
    assert (row["outcome"], paths(app).count("/off"), states(given)) == ("done", 1, ["lifted"])


_RUN = """
import json, sys
from ansible_collections.incidentctl.response.plugins.module_utils import _http_toggle, _ledger
given = json.loads(sys.argv[1])
_ledger.VOLATILE_DIR = given["state_dir"] + "/run"
_http_toggle.run(given, False)
"""


@pytest.mark.parametrize("heard", [True, False], ids=["after it came on", "before it came on"])
def test_one_that_was_killed_while_it_called_does_not_toggle_twice(tmp_path: Path, heard: bool) -> None:
    script, began, caller = App(), threading.Event(), []

    def deadly(method: str, path: str, body: Any) -> Answer:
        if path != "/on" or not caller:
            return script(method, path, body)
        if heard:
            script(method, path, body)
        began.wait(30)
        caller.pop().kill()
        return 200, {}

    with endpoint(deadly) as app:
        given = params(tmp_path, service(app.url))
        caller.append(subprocess.Popen([sys.executable, "-c", _RUN, json.dumps(given)], cwd=ROOT))
        victim = caller[0]
        began.set()
        assert victim.wait(60) == -signal.SIGKILL
        assert states(given) == ["intended"]
        row = turn_on(given)
        again = lift(given)
    assert paths(app).count("/on") == (1 if heard else 2)
    assert row["outcome"] == ("unchanged" if heard else "done")
    assert (again["outcome"], states(given), script.enabled) == ("done", ["lifted"], False)


def test_a_form_with_a_password_over_tls_is_verified_and_leaves_the_password_nowhere(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3same-canary\n")
    authority = Authority(tmp_path / "authority")
    script = App()
    with endpoint(script, authority.vouch("IP:127.0.0.1").server()) as app:
        login = {"secret_ref": {"file": str(tmp_path / "password"), "scheme": "basic", "user": "ops"}}
        common = {**login, "ca_file": str(authority.file)}
        shop = {"name": "shop", "hosts": "all", "maintenance": {
            "on": {"url": f"{app.url}/on", "form": {"mode": "on"}, "expect_status": [200, 204], **common},
            "off": {"url": f"{app.url}/off", "body": "off", "headers": {"X-Reason": "over"}, **common},
            "status": {"url": f"{app.url}/status", "expect": {"enabled": True}, **common},
        }}  # fmt: skip
        given = params(tmp_path, shop)
        told = [_http_toggle.run(given, check_mode) for check_mode in (True, False)]
        told.append(_lift.run(given, False))
    assert [answer["incident"]["outcome"] for answer in told] == ["done", "done", "done"]
    assert [request[:3] for request in app.requests if request[0] != "GET"] == [
        ("POST", "/on", "mode=on"),
        ("POST", "/off", "off"),
    ]
    assert all(headers["Authorization"] == "Basic b3BzOnMzc2FtZS1jYW5hcnk=" for *_others, headers in app.requests)
    kept = str(told) + "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
    assert "000001-maintenance-mode-shop" in kept
    assert "canary" not in kept
    assert "b3BzOnMzc2FtZS1jYW5hcnk" not in kept


class Breakers:
    """An application with circuit breakers that are opened and closed by name; those in `deaf` do not react."""

    def __init__(self, *deaf: str) -> None:
        self.open: set[str] = set()
        self.deaf = deaf

    def __call__(self, method: str, path: str, body: Any) -> Answer:
        name = path.strip("/")
        if method == "POST" and name not in self.deaf:
            (self.open.add if body["state"] == "open" else self.open.discard)(name)
        return 200, {"state": "open" if name in self.open else "closed"}


def breaker(url: str, name: str, *, status: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "open": {"url": f"{url}/{name}", "json": {"state": "open"}},
        "close": {"url": f"{url}/{name}", "json": {"state": "closed"}},
    }
    return {**made, "status": {"url": f"{url}/{name}"}} if status else made


def breaking(tmp_path: Path, *services: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    return {**params(tmp_path, *services, only=only), "capability": "circuit_breaker"}


def shop_with(*breakers: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shop", "hosts": "all", "circuit_breakers": list(breakers)}


def test_every_breaker_is_opened_seen_open_and_closed_again(tmp_path: Path) -> None:
    script = Breakers()
    with endpoint(script) as app:
        given = breaking(tmp_path, shop_with(breaker(app.url, "payments"), breaker(app.url, "search")))
        check = _http_toggle.run(given, True)
        assert (check["incident"]["outcome"], script.open, states(given)) == ("done", set(), [])
        answer = _http_toggle.run(given, False)
        assert script.open == {"payments", "search"}
        again = _http_toggle.run(given, False)
        assert (again["incident"]["outcome"], states(given)) == ("unchanged", ["applied", "applied"])
        payments = _ledger.entries(given)[0][0]
        told = [_http_toggle.turn_off(payments, check_mode) for check_mode in (True, False, False)]
        assert script.open == {"search"}
    row = answer["incident"]["actions"][0]
    assert (row["target"], row["entry"], row["verified"]) == (
        "shop/payments",
        "000001-circuit-breaker-shop-payments",
        True,
    )
    assert row["summary"] == "circuit breaker shop/payments opened"
    assert answer["diff"][0]["before"] == "circuit breaker shop/payments closed\n"
    assert told == [
        ("circuit breaker shop/payments would be closed", False),
        ("circuit breaker shop/payments closed", True),
        ("circuit breaker shop/payments was already closed", True),
    ]


def test_a_breaker_that_was_open_before_is_left_alone(tmp_path: Path) -> None:
    script = Breakers()
    script.open.add("payments")
    with endpoint(script) as app:
        given = breaking(tmp_path, shop_with(breaker(app.url, "payments")))
        row = turn_on(given)
    assert (row["outcome"], row["summary"]) == ("unchanged", "circuit breaker shop/payments is already open")
    assert states(given) == []


def test_a_breaker_that_does_not_open_fails_alone(tmp_path: Path) -> None:
    script = Breakers("payments")
    with endpoint(script) as app:
        given = breaking(tmp_path, shop_with(breaker(app.url, "payments"), breaker(app.url, "search", status=False)))
        answer = _http_toggle.run(given, False)
    assert [(row["outcome"], row["verified"]) for row in answer["incident"]["actions"]] == [
        ("failed", False),
        ("done", False),
    ]
    assert "status says {'state': 'closed'}" in answer["incident"]["reason"]


def test_of_a_services_breakers_those_that_are_named_are_opened_alone(tmp_path: Path) -> None:
    script = Breakers()
    cut = {"name": "cache", "egress": {"host": "10.0.0.9", "port": 9200}}
    with endpoint(script) as app:
        given = breaking(tmp_path, shop_with(cut, breaker(app.url, "payments"), breaker(app.url, "search")))
        answer = _http_toggle.run({**given, "breakers": ["search"]}, False)
        assert (script.open, answer["incident"]["facts"]) == ({"search"}, {})
        other = _http_toggle.run({**given, "breakers": ["mail"], "only": ["shop"]}, False)["incident"]
    assert (other["outcome"], other["reason"]) == ("skipped", "shop declares no circuit_breakers named mail")
    shop = given["services"][0]
    assert [target for target, _egress in _egress.egress_of(shop, ["cache"])] == ["shop/cache"]
    assert _egress.egress_of(shop, ["search"]) == []


def test_a_breaker_that_cuts_traffic_is_handed_over_and_the_others_open(tmp_path: Path) -> None:
    script = Breakers()
    cut = {"name": "cache", "egress": {"host": "10.0.0.9", "port": 9200}}
    with endpoint(script) as app:
        given = breaking(tmp_path, shop_with(cut, breaker(app.url, "search")))
        answer = _http_toggle.run(given, False)
    assert [(row["target"], row["outcome"]) for row in answer["incident"]["actions"]] == [("shop/search", "done")]
    assert answer["incident"]["facts"] == {"egress": ["shop/cache"]}
    assert script.open == {"search"}


def test_a_service_without_breakers_is_skipped_and_says_so_when_it_was_named(tmp_path: Path) -> None:
    plain = {"name": "plain", "hosts": "all"}
    assert _http_toggle.run(breaking(tmp_path, plain), False)["incident"]["reason"] == (
        "no service on this host declares circuit_breakers"
    )
    named = _http_toggle.run(breaking(tmp_path, plain, only=("plain",)), False)["incident"]
    assert (named["outcome"], named["reason"]) == ("skipped", "plain declares no circuit_breakers")
