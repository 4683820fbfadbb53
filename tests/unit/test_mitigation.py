"""A mitigation acts on the service that is behind the trouble, never on all for want of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import mitigation, single
from incidentctl.errors import RefusedError
from incidentctl.plan import Inventory, Service


def service(name: str, *hosts: str, **spec: Any) -> Service:
    return Service(name, hosts, True, True, (), {"name": name, "manager": "systemd", **spec})


ORDERS = service("orders", "worker1", "web2")
FRONT = service("front", "web1", ports=[8443])
DATABASE = service("database", "db1")
SCOPE = (DATABASE, FRONT, ORDERS)
HOSTS = ("db1", "mon1", "web1", "web2", "worker1")


def step(
    *names: str, affected: tuple[Service, ...] = (ORDERS,), **cause: Any
) -> tuple[tuple[str, ...], tuple[str, ...], Any]:
    found, only = mitigation.step(names, {"causes": [cause]} if cause else None, affected, SCOPE, HOSTS)
    return found.capabilities, found.hosts, only


def test_the_service_behind_it_is_restarted_and_not_the_one_that_suffers() -> None:
    assert step("restart", kind="not_running", service="database", hosts=["db1"]) == (
        ("restart",),
        ("db1",),
        {"restart_only": ["database"]},
    )


def test_of_a_symptom_the_cause_behind_it_counts() -> None:
    symptom, cause = ({"kind": kind, "service": name} for kind, name in (("errors", "orders"), ("oom", "database")))
    assert mitigation.services("restart", {"causes": [symptom, cause]}, (ORDERS,), SCOPE) == (DATABASE,)
    assert mitigation.services("restart", {"causes": [{"kind": "disk"}, cause]}, (ORDERS,), SCOPE) == (ORDERS,)


def test_without_a_known_cause_the_affected_services_are_meant() -> None:
    for cause in ({}, {"kind": "not_running", "service": None, "hosts": ["db1"]}, {"kind": "oom", "service": "gone"}):
        assert step("restart", **cause)[2] == {"restart_only": ["orders"]}


def test_a_cause_that_the_act_does_not_touch_is_no_reason_to_act_on_its_service() -> None:
    assert step("restart", kind="certificate", service="front", hosts=["web1"])[2] == {"restart_only": ["orders"]}


def test_what_fits_no_service_is_left_out_for_an_empty_list_would_mean_all() -> None:
    assert step("rate_limit", "restart") == (("restart",), ("web2", "worker1"), {"restart_only": ["orders"]})
    assert step("rate_limit") == ((), (), {})


def test_hosts_where_the_cause_was_seen_come_first_and_all_take_part_where_prometheus_may_be_any() -> None:
    capabilities, hosts, only = step(
        "enhanced_monitoring", "rate_limit", "restart", kind="oom", service="orders", hosts=["worker1"]
    )
    assert hosts == ("worker1", "db1", "mon1", "web1", "web2")
    assert capabilities == ("enhanced_monitoring", "restart")
    assert only == {"enhanced_monitoring_only": ["orders"], "restart_only": ["orders"]}


def test_of_circuit_breakers_the_one_of_the_slow_dependency_is_opened_by_its_name_or_place() -> None:
    names = [{"name": "stock"}, {"name": "mail"}, {"name": "search", "egress": {"host": "10.0.0.9", "port": 9200}}]
    orders = service("orders", "worker1", circuit_breakers=names)
    stock, search = {"name": "stock", "host": "10.0.0.8"}, {"name": "x", "host": "10.0.0.9", "port": 9200}
    for about, named in ((stock, ["stock"]), (search, ["search"]), ({}, None)):
        cause = {"kind": "dependency_slow", "service": "orders", "hosts": ["worker1"], "about": about}
        found, only = mitigation.step(("circuit_breaker",), {"causes": [cause]}, (orders,), (orders,), HOSTS)
        assert (found.capabilities, only["circuit_breaker_only"]) == (("circuit_breaker",), ["orders"])
        assert only.get("circuit_breaker_named") == named


def test_guards_are_told_of_the_very_services_that_are_acted_on() -> None:
    judged = {"causes": [{"kind": "not_running", "service": "database", "hosts": ["db1"]}]}
    found, _only = mitigation.step(("restart",), judged, (ORDERS,), SCOPE, HOSTS)
    assert found.targets == (("db1", "restart", "database"),)


def test_by_hand_a_service_must_be_named_and_is_restarted_each_time() -> None:
    play = single.Play("restart")
    with pytest.raises(RefusedError, match="of which service"):
        single._planned(play, Inventory({"db1": frozenset()}, (DATABASE,)), None)
    assert single._variables(replace(play, services=("database",))) == {
        "incident_evidence_dir": str(Path.cwd() / "evidence"),
        "incident_continue": False,
        "restart_again": True,
        "incident_only": ["database"],
    }
    assert "restart_again" not in single._variables(replace(play, name="rollback"))
