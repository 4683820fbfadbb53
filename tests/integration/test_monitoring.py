"""What the monitoring says, and what becomes of one that is away or something else."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.small_service import endpoint

from incidentctl import monitoring
from incidentctl.desk import Desk
from incidentctl.phases import verification
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import Monitoring, Settings

UP = {"data": {"result": [{"metric": {"job": "shop", "instance": "web2:8000"}, "value": [0, "0"]}]}}
ALERTS = [{"labels": {"alertname": "CheckoutFails", "instance": "web1:8000"}}, {"labels": {"alertname": "Odd"}}]


def look(url: str) -> dict[str, Any]:
    return monitoring.look(Monitoring(prometheus=url, alertmanager=url))


def test_down_targets_and_alerts_are_named() -> None:
    with endpoint(lambda _method, path, _body: (200, UP if path.startswith("/api/v1/query") else ALERTS)) as server:
        assert look(server.url) == {
            "down": ["shop web2:8000"],
            "alerts": ["CheckoutFails web1:8000", "Odd"],
            "problems": [],
        }


def test_nothing_configured_is_no_problem() -> None:
    assert monitoring.look(Monitoring()) == {"down": None, "alerts": None, "problems": []}


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (200, "[]"), (200, '{"data": 1}'), (500, "{}"), (302, ""), (200, "")]
)
def test_something_else_in_its_place_is_said_and_not_fatal(answer: tuple[int, str]) -> None:
    with endpoint(lambda _method, path, _body: answer if path.startswith("/api/v1") else (200, "null")) as server:
        seen = look(server.url)
        assert len(server.requests) == 2, "a redirect was followed"
    assert seen["down"] is None
    assert seen["alerts"] is None
    assert len(seen["problems"]) == 2


def test_a_query_is_asked_for_each_service_at_each_time_and_the_largest_series_counts() -> None:
    def answer(_method: str, path: str, _body: bytes) -> tuple[int, Any]:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        numbers = {"1.000": ["0.1", "0.3"], "2.000": ["NaN"]}.get(asked["time"], [])
        vector = {"resultType": "vector", "result": [{"value": [0, number]} for number in numbers]}
        return 200, {"data": vector if "shop" in asked["query"] else {"resultType": "scalar", "result": [0, "7"]}}

    with endpoint(answer) as server:
        asked = Monitoring(prometheus=server.url, queries={"latency": 'p95{job="$service"}', "all": "scalar(x)"})
        found, problems = monitoring.measured(asked, ["shop"], [1.0, 2.0, 3.0])
    assert found == {"latency": {"shop": [0.3, None, None]}, "all": {"": [7.0, 7.0, 7.0]}}
    assert problems == []


def test_a_prometheus_that_is_away_leaves_the_figures_unknown_and_says_so() -> None:
    asked = Monitoring(prometheus="http://127.0.0.1:1", queries={"latency": "x"})
    found, problems = monitoring.measured(asked, ["shop"], [1.0])
    assert found == {"latency": {"": [None]}}
    assert problems == ["http://127.0.0.1:1: Connection refused"]


def ranges(*series: tuple[str, list[float]]) -> dict[str, Any]:
    """An answer to a query of a range: of each target the moments (seconds before now) at which it was down."""
    now = time.time()
    rows = [
        {
            "metric": {"job": "shop", "instance": where},
            "values": [[now - ago, "0"] for ago in sorted(moments, reverse=True)],
        }
        for where, moments in series
    ]
    return {"data": {"resultType": "matrix", "result": rows}}


def down(answer: Any) -> tuple[list[str], list[str]]:
    with endpoint(lambda _method, _path, _body: answer) as server:
        found, problems = monitoring.down_since(Monitoring(prometheus=server.url), {"web1", "10.0.0.2"})
    return [f"{time.time() - datetime.fromisoformat(one.at).timestamp():.0f} {one.source}" for one in found], problems


def test_target_that_went_down_tells_since_when() -> None:
    steps = [30.0 * n for n in range(20)]
    found, problems = down((200, ranges(("web1:8000", [*steps, 9000.0]), ("10.0.0.2:8000", steps[:4]))))
    assert (found, problems) == (
        ["570 Prometheus misses shop web1:8000", "90 Prometheus misses shop 10.0.0.2:8000"],
        [],
    )


@pytest.mark.parametrize(
    ("where", "moments"),
    [
        ("other:8000", [0.0, 30.0]),
        ("web1:8000", [600.0, 630.0]),
        ("web1:8000", [30.0 * n for n in range(720)]),
    ],
    ids=["of another host", "up again", "down for ever"],
)
def test_target_that_says_nothing_of_this_onset_is_left_out(where: str, moments: list[float]) -> None:
    assert down((200, ranges((where, moments)))) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html>"),
        (200, '{"data": {"result": [{"metric": {}, "values": []}]}}'),
        (200, '{"data": {"result": [{"metric": {}, "values": [["x", "0"]]}]}}'),
        (200, '{"data": {"result": [{"metric": {}, "values": [[1e400, "0"]]}]}}'),
        (200, '{"data": {"result": "x"}}'),
        (200, "[" * 100_000),
        (200, "x" * (20 << 20)),
        (500, "{}"),
        (302, ""),
    ],
    ids=["HTML", "no values", "no time", "no moment", "no list", "deep", "20 MB", "500", "redirect"],
)
def test_range_that_is_none_is_a_problem_and_no_more(answer: tuple[int, str]) -> None:
    found, problems = down(answer)
    assert found == []
    assert len(problems) == 1


def test_no_prometheus_tells_no_onset() -> None:
    assert monitoring.down_since(Monitoring(), {"web1"}) == ([], [])


def test_one_that_drips_for_ever_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "_TIMEOUT_S", 0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        client, _address = server.accept()
        with client, contextlib.suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.1):
                client.sendall(b"X")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        started = time.monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        seen = monitoring.look(Monitoring(prometheus=url))
        took = time.monotonic() - started
        over.set()
        thread.join()
    assert seen["problems"] == [f"{url}: no complete answer within 0.5 s"]
    assert took < 10


def test_one_that_is_down_is_said_at_once() -> None:
    started = time.monotonic()
    seen = look("http://127.0.0.1:9")
    assert time.monotonic() - started < 5
    assert all("127.0.0.1:9" in problem for problem in seen["problems"])
    assert json.dumps(seen)


def test_a_thousand_alerts_are_counted_not_listed() -> None:
    many = [{"labels": {"alertname": f"A{number}"}} for number in range(1000)]
    with endpoint(lambda *_: (200, many)) as server:
        seen = monitoring.look(Monitoring(alertmanager=server.url))
    assert len(seen["alerts"]) == 51
    assert seen["alerts"][-1] == "and 950 more"


class Site:
    """An incident on web1 whose triage saw these alerts, and an Alertmanager that is asked after the lift."""

    def __init__(self, folder: Path, *alerts: str) -> None:
        self.folder, self.alerts, self.left = folder, alerts, list(alerts)
        self.asked = 0

    def answer(self, *_request: Any) -> tuple[int, Any]:
        self.asked += 1
        pairs = (text.split() for text in self.left)
        return 200, [{"labels": dict(zip(("alertname", "instance"), pair, strict=False))} for pair in pairs]

    def calm(self) -> tuple[dict[str, Any], list[str]]:
        """Return what is seen after the lift, and the follow-ups."""
        shop = Service("shop", ("web1",), True, True, (), {})
        with endpoint(self.answer) as server, open_record(f"sqlite:///{self.folder}/record.db") as record:
            about = {"monitoring": {"alertmanager": server.url}, "verify": {"within": "2s"}}
            settings = Settings.model_validate(about, context={"folder": self.folder})
            record.append("INC-1", "declared", {"title": "x", "severity": "high", "hosts": ["web1"]}, "ann")
            seen = {"alerts": list(self.alerts), "down": None, "problems": []}
            record.append("INC-1", "step_finished", {"phase": "triage", "monitoring": seen}, "ann")
            inventory = Inventory({"web1": frozenset({"web"})}, (shop,), {"web1": "192.0.2.7"})
            desk = Desk("INC-1", record, settings, inventory, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
            for _again in range(2):  # a phase that was cut off is run again, and owes nothing twice
                told = verification.calmed(desk, (shop,))
            return told, [str(row["text"]) for row in desk.incident().follow_ups]


@pytest.mark.parametrize("alert", ["CheckoutFails web1:8000", "Slow 192.0.2.7:8000", "shop_is_down"])
def test_what_still_alerts_after_the_lift_is_waited_for_and_then_followed_up_once(tmp_path: Path, alert: str) -> None:
    site = Site(tmp_path, alert, "Watchdog")
    told, owed = site.calm()
    assert site.asked > 2, "nobody waited"
    assert told["alerts"] == sorted([alert, "Watchdog"])
    assert owed == [f"Find out why the monitoring still reports {alert}"]


def test_an_alert_that_ends_is_waited_for_and_owes_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, "CheckoutFails web1:8000")
    answer = site.answer

    def soon_over(*request: Any) -> tuple[int, Any]:
        if site.asked == 1:
            site.left.clear()
        return answer(*request)

    site.answer = soon_over
    told, owed = site.calm()
    assert (told["alerts"], owed) == ([], [])
    assert site.asked == 3, "looked at twice, and once when the phase was run again"


def test_an_alert_that_is_always_there_or_of_other_hosts_is_not_waited_for(tmp_path: Path) -> None:
    site = Site(tmp_path, "Watchdog", "DiskFull db1:9100")
    told, owed = site.calm()
    assert site.asked == 2
    assert (told["alerts"], owed) == (["DiskFull db1:9100", "Watchdog"], [])
