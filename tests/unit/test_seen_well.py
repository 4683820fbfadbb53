"""When services were last seen well: what lies before that is another trouble, and what is told of it counts for no onset."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentctl import history, onset, seen_well
from incidentctl.desk import Desk
from incidentctl.incident import Event
from incidentctl.onset import Onset
from incidentctl.outcome import HostOutcome
from incidentctl.phases import investigation
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings

ONE, TWO = "INC-20260101-0000-aaaa", "INC-20260101-0010-bbbb"
NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
ALERT = Onset("2026-11-29T02:40:00+00:00", "the alert ShopErrors")
LOOK = Onset("2026-11-29T02:58:00+00:00", "the look of triage")


def verified(minutes_ago: float, **data: Any) -> Event:
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds")
    return Event(ONE, 1, at, "ann", "verified", {"recovered": True, "window_s": 30, **data}, "", "")


def told(healthy: bool = False, **facts: Any) -> dict[str, Any]:
    return {"services": {"shop": {"health": {"healthy": healthy}, **facts}}}


def began(*others: Onset, **hosts: Any) -> str | None:
    rows = [HostOutcome(name, "diagnosis", "unchanged", facts=facts) for name, facts in hosts.items()]
    found = history.read(rows, others).onset
    return None if found is None else found.at[11:16]


def test_a_service_was_well_when_the_window_began_in_which_it_held() -> None:
    health = {"shop": {"healthy": True}, "database": {"healthy": None}, "search": {"healthy": False}}
    found = seen_well.ago([verified(2, services={"web1": health, "web2": {"shop": {"healthy": True}}})], NOW)
    assert found == {"web1": {"shop": [150.0]}, "web2": {"shop": [150.0]}}


@pytest.mark.parametrize(
    "data",
    [
        {"recovered": False, "services": {"web1": {"shop": {"healthy": True}}}},
        {"services": {"web1": {"shop": {"healthy": None}}}},
        {"services": {"web1": ["shop"]}},
        {"services": None},
    ],
)
def test_what_was_not_seen_to_recover_was_not_seen_well(data: dict[str, Any]) -> None:
    assert seen_well.ago([verified(2, **data)], NOW) == {}


def test_time_that_is_ahead_of_ours_is_none() -> None:
    assert seen_well.ago([verified(-2, services={"web1": {"shop": {"healthy": True}}})], NOW) == {}


def test_alert_that_stands_from_an_earlier_trouble_is_no_onset_of_this_one() -> None:
    sick = told(onset="2026-11-29T02:55:00+00:00", seen_well="2026-11-29T02:50:00+00:00")
    assert began(ALERT, LOOK, web1=sick) == "02:55"
    assert began(ALERT, LOOK, web1=told(onset="2026-11-29T02:55:00+00:00")) == "02:40", "nobody saw it well since"


def test_of_several_that_are_sick_the_one_that_was_seen_well_first_counts() -> None:
    lately, before = told(seen_well="2026-11-29T02:50:00+00:00"), told(seen_well="2026-11-29T02:35:00+00:00")
    assert began(ALERT, LOOK, web1=lately, web2=lately) == "02:58"
    assert began(ALERT, LOOK, web1=lately, web2=before) == "02:40"
    assert began(ALERT, LOOK, web1=lately, web2=told()) == "02:40"


def test_where_health_sees_nothing_that_it_was_well_says_nothing() -> None:
    blind = told(healthy=True, seen_well="2026-11-29T02:50:00+00:00")
    assert began(ALERT, LOOK, web1=blind) == "02:40"


def test_errors_that_went_on_while_the_service_was_seen_well_are_an_onset_all_the_same() -> None:
    """The host tells of its logs which errors had stopped then (`_bursts`): what it says stands."""
    sick = told(onset="2026-11-29T02:30:00+00:00", seen_well="2026-11-29T02:50:00+00:00")
    assert began(ALERT, LOOK, web1=sick) == "02:30"


def test_clock_that_is_ahead_is_taken_back() -> None:
    clock = {"now": "2026-11-29T04:00:00+00:00", "asked_at": "2026-11-29T03:00:00+00:00",
             "answered_at": "2026-11-29T03:00:01+00:00"}  # fmt: skip
    sick = {**told(seen_well="2026-11-29T03:35:00+00:00"), "clock": clock}
    assert began(ALERT, LOOK, web1=sick) == "02:40"


def test_health_that_was_noted_as_sick_before_it_was_seen_well_is_no_onset() -> None:
    seen = {"release": "42", "healthy_at": None, "sick_at": "2026-11-29T02:41:00+00:00"}
    facts = {"onset": "2026-11-29T02:55:00+00:00", "seen": seen}
    assert onset.of_services({"web1": told(**facts)}, {})["shop"].at[11:16] == "02:41"
    known = told(**facts, seen_well="2026-11-29T02:50:00+00:00")
    assert onset.of_services({"web1": known}, {})["shop"].at[11:16] == "02:55"


class Asked(Exception):
    """The variables with which the hosts were to be asked."""


def test_a_diagnosis_tells_the_hosts_what_earlier_incidents_saw_recover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_step(_desk: Desk, _step: Any, variables: dict[str, Any], **_finish: bool) -> None:
        raise Asked(variables)

    monkeypatch.setattr(investigation, "run_step", run_step)
    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    service = Service("shop", ("web1",), True, True, (), {})
    facts = {"title": "x", "severity": "high", "services": ["shop"], "hosts": ["web1"], "affected": ["shop"]}
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        inventory = Inventory({"web1": frozenset()}, (service,))
        desk = Desk(TWO, record, settings, inventory, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
        well = {"web1": {"shop": {"healthy": True}}}
        record.append(ONE, "declared", facts, "ann")
        record.append(ONE, "verified", {"recovered": True, "window_s": 60, "services": well}, "ann")
        time.sleep(0.002)  # times are kept in milliseconds, and it is one before the declaration that counts
        desk.note("declared", **facts)
        with pytest.raises(Asked) as asked:
            investigation.diagnose(desk)
    (seconds,) = asked.value.args[0]["diagnosis_seen_well"]["web1"]["shop"]
    assert 60 <= seconds < 120
