"""What the monitoring says, and what becomes of one that is away or something else."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.receiver import dripping
from tests.small_service import endpoint

from incidentctl import monitoring, readiness
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


def series(*each: list[str]) -> dict[str, Any]:
    """An answer to a query over a span: of each series what it gave, a quarter of a minute apart."""
    rows = [{"metric": {}, "values": [[15 * n, value] for n, value in enumerate(values)]} for values in each]
    return {"data": {"resultType": "matrix", "result": rows}}


def instant(*values: str) -> dict[str, Any]:
    return {"data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, value]} for value in values]}}


def measured(
    answer: Any, query: str = "x", spans: Sequence[tuple[float, float] | None] = ((0, 60), None)
) -> tuple[list[float | None], list[str]]:
    """What a query gave over a span and now, as text, for nothing equals itself; and the problems."""
    over, now = answer if isinstance(answer, tuple) and isinstance(answer[0], tuple) else (answer, answer)

    def of(_method: str, path: str, _body: bytes) -> Any:
        return over if path.startswith("/api/v1/query_range?") else now

    with endpoint(of) as server:
        found, problems = monitoring.measured(Monitoring(prometheus=server.url, queries={"q": query}), ["shop"], spans)
    ((values,),) = [list(each.values()) for each in found.values()]
    return values, [problem.removeprefix(server.url) for problem in problems]


def test_a_query_is_asked_for_each_service_over_each_span_and_now() -> None:
    def answer(_method: str, path: str, _body: bytes) -> tuple[int, Any]:
        given = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        asked.append((urlsplit(path).path, given.get("start"), given.get("end"), given.get("step"), given["query"]))
        return 200, series(["3"]) if "start" in given else {"data": {"resultType": "scalar", "result": [0, "7"]}}

    asked: list[Any] = []
    with endpoint(answer) as server:
        queries = {"latency": 'p95{job="$service"}', "all": "scalar(x)"}
        settings = Monitoring(prometheus=server.url, queries=queries)
        found, problems = monitoring.measured(settings, ["shop", "stock"], [(1000.0, 2800.0), (2800.0, 38800.0), None])
    assert found == {"latency": {"shop": [3.0, 3.0, 7.0], "stock": [3.0, 3.0, 7.0]}, "all": {"": [3.0, 3.0, 7.0]}}
    assert problems == []
    assert sorted(one for one in asked if "shop" in one[-1]) == [
        ("/api/v1/query", None, None, None, 'p95{job="shop"}'),  # now, by the server's own clock
        ("/api/v1/query_range", "1000.000", "2800.000", "15", 'p95{job="shop"}'),
        ("/api/v1/query_range", "2800.000", "38800.000", "300", 'p95{job="shop"}'),
    ]


def test_of_a_span_the_middle_counts_and_of_several_series_the_largest() -> None:
    over = series(["0.1", "0.1", "NaN", "9", "0.2"], ["0.3", "NaN", "NaN", "0.2", "0.1"])
    assert measured(((200, over), (200, instant("0.1", "NaN", "0.3")))) == ([0.3, 0.3], [])
    assert measured((200, series(["+Inf"])), spans=[(0, 60)]) == ([math.inf], [])


@pytest.mark.parametrize("over", [series(), series(["NaN", "NaN"])], ids=["no series", "NaN"])
@pytest.mark.parametrize("now", [instant(), instant("NaN")], ids=["no series now", "NaN now"])
def test_nothing_to_measure_is_told_from_no_answer(over: Any, now: Any) -> None:
    values, problems = measured(((200, over), (200, now)))
    assert [value is not None and math.isnan(value) for value in values] == [True, True]
    assert problems == []


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html><body>Sign in</body></html>"),
        (200, ""),
        (200, "[]"),
        (200, '{"status": "success", "data": {"resultType": "string", "result": [0, "x"]}}'),
        (200, '{"data": {"resultType": "vector", "result": [{"value": [0, "much"], "values": [[0, "much"]]}]}}'),
        (200, '{"data": {"resultType": "vector", "result": [{"value": 7, "values": [7]}]}}'),
        (200, "[" * 100_000),
        (200, "x" * (20 << 20)),
        (500, "{}"),
        (302, ""),
    ],
    ids=["HTML", "empty", "a list", "a string", "no number", "no value", "deep", "20 MB", "500", "redirect"],
)
def test_what_is_no_answer_to_a_query_leaves_it_unknown_and_is_said(answer: tuple[int, str]) -> None:
    values, problems = measured(answer)
    assert values == [None, None]
    assert len(problems) == 1, problems


def test_ten_megabytes_of_series_are_an_answer() -> None:
    many = series(*[[f"{n}.{n:0200}"] * 3 for n in range(15_000)])
    assert len(json.dumps(many)) > 10e6
    values, problems = measured(((200, many), (200, instant("1"))))
    assert (values, problems) == ([14_999.0, 1.0], [])


def test_what_is_wrong_with_a_query_is_said_on_one_plain_line() -> None:
    refusal = {
        "status": "error",
        "errorType": "bad_data",
        "error": "1:5: parse error\n\x1b[31munexpected end" + "." * 500,
    }
    _values, problems = measured((400, refusal))
    assert problems[0].startswith(" answers 400: 1:5: parse error\\n\\x1b[31munexpected end")
    assert len(problems[0]) < 300


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, instant("0.2")), [(True, False, "latency can be asked")]),
        (
            (200, instant()),
            [(True, True, "latency gives nothing for any service"), (True, False, "latency can be asked")],
        ),
        ((400, {"error": "parse error: unclosed"}), [(False, False, "parse error: unclosed")]),
    ],
)
def test_the_doctor_asks_each_query_before_an_incident_does(
    answer: tuple[int, Any], told: list[tuple[bool, bool, str]]
) -> None:
    def serve(_method: str, path: str, _body: Any) -> tuple[int, Any]:
        return (200, instant()) if "up" in path else answer

    with endpoint(serve) as server:
        asked = Monitoring(prometheus=server.url, queries={"latency": 'sum(took{job="$service"})'})
        found = [row for row in readiness._monitoring(Settings(monitoring=asked), ["shop"]) if row.what == "queries"]
    assert [(row.ok, row.warning) for row in found] == [(ok, warning) for ok, warning, _ in told]
    assert all(text in row.told for row, (_ok, _warning, text) in zip(found, told, strict=True))


def test_a_prometheus_that_hangs_costs_its_time_once_and_takes_no_turn_of_another() -> None:
    services = [f"s{n}" for n in range(12)]
    with socket.create_server(("127.0.0.1", 0)) as hangs, endpoint(lambda *_: (200, instant("1"))) as server:
        silent = f"http://127.0.0.1:{hangs.getsockname()[1]}"
        asked = Monitoring(prometheus=[silent, server.url], queries={"q": "x{job='$service'}"})
        started = time.monotonic()
        found, problems = monitoring.measured(asked, services, [None])
        assert time.monotonic() - started < 40  # one after the other they take 48
    assert found == {"q": {name: [1.0] for name in services}}
    assert problems == [f"{silent}: no complete answer within 4 s"]


def test_a_server_is_asked_little_at_once() -> None:
    def answer(*_request: Any) -> tuple[int, Any]:
        time.sleep(0.02)
        return 200, instant("1")

    with endpoint(answer) as server:
        asked = Monitoring(prometheus=server.url, queries={"q": "x{job='$service'}"})
        monitoring.measured(asked, [f"s{n}" for n in range(40)], [None])
    assert 1 < server.most <= 8


def test_a_prometheus_that_is_away_leaves_the_figures_unknown_and_says_so() -> None:
    asked = Monitoring(prometheus="http://127.0.0.1:1", queries={"latency": "x"})
    found, problems = monitoring.measured(asked, ["shop"], [None])
    assert found == {"latency": {"": [None]}}
    assert problems == ["http://127.0.0.1:1: Connection refused"]


def ranges(now: float, *series: tuple[str, list[float]]) -> dict[str, Any]:
    """An answer to a query of a range: of each target the moments (seconds before now) at which it was down."""
    rows = [
        {
            "metric": {"job": "shop", "instance": where},
            "values": [[now - ago, "0"] for ago in sorted(moments, reverse=True)],
        }
        for where, moments in series
    ]
    return {"data": {"resultType": "matrix", "result": rows}}


def down(answer: Any, now: float = 0.0) -> tuple[list[str], list[str]]:
    with endpoint(lambda _method, _path, _body: answer) as server:
        found, problems = monitoring.down_since(Monitoring(prometheus=server.url), {"web1", "10.0.0.2"})
    return [f"{now - datetime.fromisoformat(one.at).timestamp():.0f} {one.source}" for one in found], problems


def test_target_that_went_down_tells_since_when() -> None:
    now, steps = time.time(), [30.0 * n for n in range(20)]
    answer = ranges(now, ("web1:8000", [*steps, 9000.0]), ("10.0.0.2:8000", steps[:4]))
    found, problems = down((200, answer), now)
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
    assert down((200, ranges(time.time(), (where, moments)))) == ([], [])


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
    monkeypatch.setattr("incidentctl.servers.TIMEOUT_S", 0.5)
    with dripping(b"HTTP/1.1 200 OK\r\n") as place:
        started = time.monotonic()
        seen = monitoring.look(Monitoring(prometheus=f"http://{place}"))
        took = time.monotonic() - started
    assert seen["problems"] == [f"http://{place}: no complete answer within 0.5 s"]
    assert took < 60


def test_one_that_is_down_is_said_at_once() -> None:
    started = time.monotonic()
    seen = look("http://127.0.0.1:9")
    assert time.monotonic() - started < 60
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
