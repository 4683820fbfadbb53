"""What this incident itself has stopped is no fault, nor what went down with it or waits for it; and what a service lacks is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _contained,
    _dependency_findings,
    _ledger,
    _state_findings,
)
from ansible_collections.incidentctl.response.plugins.module_utils._contained import Contained


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    return {"incident_id": "INC-1", "state_dir": str(tmp_path / "state")}


def unit(name: str) -> dict[str, Any]:
    return {"name": name, "hosts": "all", "manager": "systemd", "unit": f"{name}.service"}


def test_what_went_down_with_a_service_is_known_by_its_unit_or_container(params: dict[str, Any]) -> None:
    units = {"kind": "service_start", "units": ["database.service", "reports.service"]}
    _ledger.intend(params, "isolation", "database", {}, units)
    containers = {
        "kind": "service_start", "service": {"compose_file": "/srv/c.yml"}, "containers": [{"service": "cart"}],
    }  # fmt: skip
    _ledger.intend(params, "scale_down", "cart", {}, containers)
    _ledger.intend(params, "isolation", "odd", {}, {"kind": "service_start", "units": 5})  # damaged
    lifted = _ledger.intend(params, "isolation", "mail", {}, {"kind": "service_start", "units": ["mail.service"]})
    _ledger.mark(_ledger.mark(lifted, "applied"), "lifted")
    compose = {"name": "baskets", "hosts": "all", "manager": "compose", "compose_file": "/srv/c.yml"}
    own = [
        *map(unit, ("database", "reports", "mail", "shop")),
        compose,
        {**compose, "name": "one", "compose_service": "x"},
        {"name": "plain", "hosts": "all"},
    ]
    assert _contained.services(own, _ledger.entries(params)[0]) == {
        "database": Contained("isolation"),
        "reports": Contained("isolation", "database"),
        "cart": Contained("scale_down"),
        "baskets": Contained("scale_down", "cart"),
        "odd": Contained("isolation"),
    }


def answer(name: str = "db", ok: bool | None = False, **more: Any) -> dict[str, Any]:
    return {"name": name, "check": "tcp://db:1", "ok": ok, "detail": "Connection refused", "failing": "connect", **more}


def state(*answers: dict[str, Any], **more: Any) -> list[tuple[str, str, str]]:
    health = {"healthy": False, "detail": "503 (expected 200)", "running": True, "depends_on": list(answers)}
    contained = more.pop("contained", {})
    found = _state_findings.of_state("shop", {"health": {**health, **more}}, contained)
    return [(one["severity"], one["kind"], one["text"]) for one in found]


def test_service_that_waits_for_what_was_stopped_is_no_fault_and_says_so() -> None:
    by = {"database": Contained("isolation")}
    assert state(answer(service="database"), contained=by) == [
        ("info", "contained", "shop: its dependency db was stopped by isolation of this incident"),
        (
            "info",
            "contained",
            "shop: 503 (expected 200); db, which it depends on: stopped by isolation of this incident",
        ),
    ]
    assert [kind for _severity, kind, _text in state(answer("cache"), contained=by)] == ["dependency", "unhealthy"]


def test_service_that_went_down_with_another_is_told_as_that() -> None:
    by = {"shop": Contained("isolation", "database")}
    assert state(contained=by) == [
        ("info", "contained", "shop: went down with database, which was stopped by isolation of this incident")
    ]


def test_dependency_that_fails_is_critical_and_tells_its_step() -> None:
    (found,) = _dependency_findings.of_dependencies(
        "shop", {"depends_on": [answer(host="db", port=1, latency_ms=0.2)]}, {}
    )
    assert found["text"] == "shop: its dependency db (tcp://db:1) fails: Connection refused"
    assert found["about"] == {
        "name": "db", "check": "tcp://db:1", "detail": "Connection refused", "failing": "connect", "host": "db", "port": 1,
        "latency_ms": 0.2,
    }  # fmt: skip


def test_what_could_not_be_asked_is_no_fault_of_the_dependency() -> None:
    assert state(answer(ok=None), healthy=True) == []


@pytest.mark.parametrize(
    ("seen", "severity", "kind", "words"),
    [
        (
            {"slow": True, "probes": [1900, None, 2100], "connect_ms": 2.1, "detail": "PONG in 1900 ms"},
            "warning",
            "dependency_slow",
            "is slow: PONG in 1900 ms (connected in 2 ms); 1900, no answer, 2100 ms",
        ),
        ({"connections": {"used": 88, "max": 97}}, "warning", "database_connections", "88 of 97 connections in use"),
        (
            {"certificate": {"days": 10.2}},
            "info",
            "certificate",
            "the certificate of its dependency db ends in 10.2 days",
        ),
        ({"certificate": {"days": 1.2}}, "warning", "certificate", "ends in 1.2 days"),
    ],
)
def test_dependency_that_answers_may_still_be_short_of_something(
    seen: dict[str, Any], severity: str, kind: str, words: str
) -> None:
    ((found_severity, found_kind, text),) = state(answer(ok=True, **seen), healthy=True)
    assert (found_severity, found_kind) == (severity, kind)
    assert words in text


def test_dependency_that_is_short_of_nothing_is_no_finding() -> None:
    fine = answer(ok=True, slow=False, connections={"used": 50, "max": 97}, certificate={"days": 30})
    assert state(fine, healthy=True) == []
