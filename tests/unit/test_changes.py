"""What changed across the fleet: joined, in words, nearest to the onset first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentctl import changes, clocks, history
from incidentctl.onset import Onset
from incidentctl.outcome import HostOutcome

ONSET = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
TODAY = ONSET.replace(hour=12)


def told(
    text: str, before_s: float, kind: str = "configuration", service: str | None = None, **more: Any
) -> dict[str, Any]:
    at = (ONSET - timedelta(seconds=before_s)).isoformat()
    return {"kind": kind, "name": text, "text": text, "detail": "", "at": at, "service": service, "path": None, **more}


def service(healthy: bool = False, onset: datetime | None = ONSET) -> dict[str, Any]:
    return {"health": {"healthy": healthy}, "onset": onset and onset.isoformat()}


def host(*found: Any, healthy: bool = False, name: str = "shop", **more: Any) -> dict[str, Any]:
    onset = None if healthy else ONSET
    return {"changes": list(found), "services": {name: service(healthy, onset)}, **more}


def read(hosts: dict[str, Any]) -> history.History:
    return history.read(HostOutcome(name, "diagnosis", "unchanged", facts=facts) for name, facts in hosts.items())


def sentences(hosts: dict[str, Any]) -> list[str]:
    return [changes.sentence(row, TODAY) for row in read(hosts).changes]


def test_the_same_release_on_several_hosts_is_one_row() -> None:
    release = told("got release 42 of shop", 540, "release", "shop")
    assert sentences({"web1": host(release), "web2": host(release)}) == [
        "web1 and web2 got release 42 of shop at 02:51:00 UTC, 9 min before the onset"
    ]


def test_rolling_change_has_its_first_and_last_time() -> None:
    found = {f"web{n}": host(told("got release 42", 540 - 100 * n, "release")) for n in range(1, 4)}
    assert sentences(found) == [
        "web1, web2 and web3 got release 42 between 02:52:40 and 02:56:00 UTC, 7 min before the onset"
    ]


def test_same_change_hours_later_elsewhere_is_another() -> None:
    found = {"web1": host(told("had x changed", 60)), "web2": host(told("had x changed", 9000))}
    assert len(sentences(found)) == 2


def test_what_happened_twice_on_one_host_stays_two() -> None:
    assert len(sentences({"web1": host(told("had x changed", 60), told("had x changed", 90))})) == 2


def test_nearest_to_the_onset_comes_first_and_what_came_after_it_last() -> None:
    found = host(told("long before", 3_000), told("after", -60), told("just before", 30))
    assert [row.text for row in read({"web1": found}).changes] == ["just before", "long before", "after"]
    assert "after at 03:01:00 UTC, 60 s after the onset" in sentences({"web1": found})[2]


def test_release_comes_before_a_login_of_the_same_minute() -> None:
    found = host(told("ops logged in", 20, "login"), told("got release 42", 60, "release", "shop"))
    assert [row.kind for row in read({"web1": found}).changes] == ["release", "login"]


def test_what_is_on_the_sick_hosts_alone_comes_before_what_is_everywhere_and_nowhere() -> None:
    everywhere, sick, well = told("everywhere", 60), told("sick", 60), told("well", 60)
    found = {
        "web1": host(everywhere, sick),
        "web2": host(everywhere, well, healthy=True),
    }
    assert [row.text for row in read(found).changes] == ["sick", "everywhere", "well"]


def test_change_is_measured_by_the_onset_of_its_own_service() -> None:
    found = {
        "web1": host(told("mine", 60, service="cart")),
        "db1": {"changes": [], "services": {"cart": service(onset=ONSET - timedelta(seconds=50))}},
    }
    assert read(found).changes[0].seconds_before == 10


def test_without_an_onset_the_newest_comes_first() -> None:
    found = {"web1": host(told("old", 600, "release"), told("new", 60, "login"), healthy=True)}
    assert sentences(found) == ["web1 new at 02:59:00 UTC", "web1 old at 02:50:00 UTC"]


def test_many_hosts_are_counted() -> None:
    found = {f"web{n}": host(told("rebooted", 60, "reboot")) for n in range(20)}
    assert sentences(found)[0].startswith("20 hosts rebooted at")


def clock(now: datetime, asked: datetime, answered: datetime, after_s: float = 0.5) -> dict[str, Any]:
    said = {"now": now.isoformat(), "asked_at": asked.isoformat(), "answered_at": answered.isoformat()}
    return {"clock": {**said, "after_s": after_s}}


@pytest.mark.parametrize(("off_s", "ahead_s"), [(0, 0), (3600, 3598), (-3600, -3600)], ids=["right", "ahead", "behind"])
def test_clock_is_wrong_by_what_lies_outside_of_question_and_answer(off_s: float, ahead_s: float) -> None:
    asked = ONSET
    said = clock(asked + timedelta(seconds=0.5 + off_s), asked, asked + timedelta(seconds=2.5))
    assert clocks.ahead(said) == pytest.approx(ahead_s)


@pytest.mark.parametrize("said", [{}, {"clock": None}, {"clock": {"now": "noon", "asked_at": 3}}, {"clock": "x"}])
def test_clock_that_cannot_be_told_counts_as_right(said: dict[str, Any]) -> None:
    assert clocks.ahead(said) == 0


def test_times_of_a_host_whose_clock_is_hours_off_are_corrected_and_it_is_noted() -> None:
    off = timedelta(hours=2)
    wrong = {**told("got release 42", 540, "release")}
    wrong["at"] = (ONSET - timedelta(seconds=540) + off).isoformat()
    asked = ONSET + timedelta(hours=1)
    found = {
        "web1": host(told("got release 42", 540, "release")),
        "web2": {
            "changes": [wrong],
            "services": {"shop": service(onset=ONSET + off)},
            **clock(asked + off, asked - timedelta(seconds=1), asked),
        },
    }
    assert sentences(found) == ["web1 and web2 got release 42 at 02:51:00 UTC, 9 min before the onset"]
    assert read(found).notes == (
        "clocks that are off ours, and times of these hosts put right by that: web2 2.0 h ahead",
    )


def test_onset_is_the_first_of_all_services_and_says_its_source() -> None:
    later = {"changes": [], "services": {"cart": service(onset=ONSET + timedelta(seconds=9))}}
    assert read({"web1": host(), "web2": later}).onset == Onset(
        "2026-11-29T03:00:00.000+00:00",
        "the first error of shop on web1; later: the first error of cart on web2 at 03:00:09",
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"changes": None, "services": None},
        {"changes": [{}], "services": {"shop": None}},
        {"changes": [{"at": "yesterday"}], "services": {"shop": {"onset": 3, "health": None}}},
        {"changes": ["x", None, {"at": "0001-01-01T00:00:00+00:00"}]},
    ],
)
def test_facts_that_are_not_as_they_should_be_do_no_harm(facts: dict[str, Any]) -> None:
    assert read({"web1": facts}).changes == ()
