"""Which rule fires for what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from incidentctl.plan import Service
from incidentctl.suggestion import Seen, states, suggest

HOSTS = ("web1", "web2")
SERVICES = tuple(
    Service(name, HOSTS, essential=True, user_facing=user_facing, integrations=(), spec={})
    for name, user_facing in (("shop", True), ("worker", False))
)
WELL = {"healthy": True, "depends_on": [{"name": "db", "ok": True}]}
DOWN = {"healthy": False}
LACKS = {"healthy": True, "depends_on": [{"name": "db", "ok": False}]}
MUTE = {"healthy": None}


def seen(shop: tuple[Any, Any] = (WELL, WELL), worker: tuple[Any, Any] = (WELL, WELL)) -> Seen:
    return {host: {"shop": shop[n], "worker": worker[n]} for n, host in enumerate(HOSTS)}


@pytest.mark.parametrize(
    ("looks", "severity", "told"),
    [
        (seen(), "low", "nothing is seen to be wrong"),
        (seen(shop=(DOWN, DOWN)), "critical", "shop: user-facing and down on all its hosts"),
        (seen(shop=(WELL, DOWN)), "high", "shop: user-facing and down on some"),
        (seen(shop=(WELL, LACKS)), "high", "shop: user-facing, and something that it depends on fails"),
        (seen(worker=(DOWN, DOWN)), "medium", "worker: down, but not user-facing"),
        (seen(worker=(DOWN, WELL)), "medium", "worker: down on some"),
        (seen(worker=(LACKS, WELL)), "medium", "worker: something that it depends on fails"),
        (seen(shop=(DOWN, DOWN), worker=(DOWN, DOWN)), "critical", "shop"),
        (seen(worker=(MUTE, WELL)), "low", "nothing tells how worker is"),
        ({"web1": seen()["web1"]}, "high", "no answer from web2: counted as down"),
        ({}, "critical", "no answer from web1, web2"),
    ],
)
def test_the_worst_that_was_seen_decides(looks: Seen, severity: str, told: str) -> None:
    found = suggest(SERVICES, HOSTS, looks)
    assert found.severity == severity
    assert told in found.rule


def test_an_alert_counts_where_nothing_else_is_seen() -> None:
    alarm = {"down": None, "alerts": ["HighErrorRate web1"], "problems": []}
    found = suggest(SERVICES, HOSTS, seen(), alarm)
    assert (found.severity, "HighErrorRate web1" in found.rule) == ("medium", True)
    assert suggest(SERVICES, HOSTS, seen(shop=(DOWN, DOWN)), alarm).severity == "critical"
    silent = {"down": None, "alerts": None, "problems": ["http://mon: refused"]}
    assert suggest(SERVICES, HOSTS, seen(), silent).severity == "low"


def test_only_the_hosts_that_are_meant_count() -> None:
    assert states(SERVICES, ("web1",), {"web1": {"shop": DOWN, "worker": WELL}}) == {"shop": "down", "worker": "well"}
    assert states(SERVICES, ("db1",), {}) == {}
