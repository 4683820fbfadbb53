"""When it began: the first of what several say, and who says it."""

from __future__ import annotations

from typing import Any

import pytest

from incidentctl import onset
from incidentctl.onset import Onset


def at(clock: str) -> str:
    return f"2026-11-29T{clock}.000+00:00"


def host(service: str = "shop", healthy: bool = False, **facts: Any) -> dict[str, Any]:
    return {"services": {service: {"health": {"healthy": healthy}, **facts}}}


def test_of_several_hosts_the_first_counts() -> None:
    found = {"web1": host(onset=at("02:55:00")), "web2": host(onset=at("02:51:00"))}
    assert onset.of_services(found, {}) == {"shop": Onset(at("02:51:00"), "the first error of shop on web2")}


def test_source_is_what_the_host_says_it_is() -> None:
    found = {"web1": host(onset=at("02:51:00"), onset_source="the burst of errors")}
    assert onset.of_services(found, {})["shop"].source == "the burst of errors on web1"


def test_clock_that_is_ahead_is_taken_back() -> None:
    assert onset.of_services({"web1": host(onset=at("04:51:00"))}, {"web1": 7200})["shop"].at == at("02:51:00")


def test_old_errors_of_a_host_that_is_well_do_not_count_while_another_is_sick() -> None:
    found = {"web1": host(healthy=True, onset=at("01:00:00")), "web2": host(onset=at("02:51:00"))}
    assert onset.of_services(found, {})["shop"].at == at("02:51:00")


def test_health_that_was_noted_is_an_onset_too() -> None:
    seen = {"release": "42", "healthy_at": at("02:40:00"), "sick_at": at("02:50:00")}
    found = onset.of_services({"web1": host(onset=at("02:51:00"), seen=seen)}, {})["shop"]
    assert found == Onset(at("02:50:00"), "shop was seen sick under its release, 02:40:00 still healthy, on web1")


@pytest.mark.parametrize(
    ("healthy", "seen"),
    [
        (True, {"healthy_at": None, "sick_at": at("02:00:00")}),
        (False, {"healthy_at": at("02:30:00"), "sick_at": at("02:00:00")}),
        (False, {"healthy_at": None, "sick_at": None}),
        (False, "nothing"),
    ],
    ids=["it is well now", "it was well since", "never noted", "no mapping"],
)
def test_health_that_says_nothing_of_now_is_none(healthy: bool, seen: Any) -> None:
    found = onset.of_services({"web1": host(healthy=healthy, onset=at("02:51:00"), seen=seen)}, {})
    assert found["shop"].at == at("02:51:00")


def test_alerts_tell_when_they_began_and_those_that_do_not_are_left_out() -> None:
    told = [{"alerts": [{"name": "ShopErrors", "since": at("02:53:00")}, {"name": "Odd", "since": None}]}, None, "x"]
    assert list(onset.of_alerts(told)) == [Onset(at("02:53:00"), "the alert ShopErrors")]


def test_the_first_of_all_is_chosen_and_the_others_are_named() -> None:
    services = {"shop": Onset(at("02:51:00"), "the first error of shop on web1")}
    others = [Onset(at("02:53:00"), "the alert ShopErrors"), Onset(at("02:52:00"), "Prometheus misses shop web1:8000")]
    assert onset.of_all(services, {"shop"}, others) == Onset(
        at("02:51:00"),
        "the first error of shop on web1; later: Prometheus misses shop web1:8000 at 02:52:00, the alert ShopErrors at 02:53:00",
    )


def test_errors_of_a_service_that_is_well_do_not_count_while_another_is_sick() -> None:
    services = {"noisy": Onset(at("00:10:00"), "old"), "shop": Onset(at("02:51:00"), "new")}
    assert onset.of_all(services, {"shop"}) == Onset(at("02:51:00"), "new")
    assert (onset.of_all(services, set()) or Onset("", "")).at == at("00:10:00")


def test_nobody_who_says_it_is_no_onset() -> None:
    assert onset.of_all({}, set()) is None


@pytest.mark.parametrize("data", [None, {}, {"at": "noon"}, {"at": 5}, "x", []])
def test_what_the_record_keeps_is_read_with_care(data: Any) -> None:
    assert onset.kept(data) is None


def test_what_the_record_keeps_comes_back() -> None:
    one = Onset(at("02:51:00"), "the alert ShopErrors")
    assert onset.kept(one.told()) == one
