"""What the monitoring says, and what becomes of one that is away or something else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.small_service import endpoint

from incidentctl import monitoring
from incidentctl.settings import Monitoring

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
