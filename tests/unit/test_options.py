"""Recovery options: figures only from facts, nothing infeasible recommended, more risk never more confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl.options import Option, Situation, assess

NOW = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
READY = {
    "feasible": True,
    "from": "42",
    "to": "41",
    "rehearsed": True,
    "migrations": [],
    "schema": {"state": "none", "reversible": True, "reason": "", "operations": []},
    "deployed_at": (NOW - timedelta(minutes=10)).isoformat(),
}
SHOP = Situation(
    affected=("shop",),
    now=NOW,
    specs={"shop": {"releases": {"kind": "symlink"}, "maintenance": {}}},
    rollback={"shop": READY},
    mitigations={"limit new connections": ["shop"]},
    onset={"shop": (NOW - timedelta(minutes=9)).isoformat()},
)


def schema(state: str, reason: str = "", operations: Sequence[str] = ()) -> dict[str, Any]:
    return {"state": state, "reversible": None, "reason": reason, "operations": list(operations)}


def option(situation: Situation, key: str) -> Option:
    return next(o for o in assess(situation) if o.key == key)


def with_rollback(**facts: Any) -> Situation:
    return replace(SHOP, rollback={"shop": {**READY, **facts}})


def test_a_rehearsed_rollback_of_the_release_before_the_onset_is_recommended() -> None:
    rollback = option(SHOP, "rollback")
    assert rollback.recommended
    assert rollback.confidence == 95
    assert any("1.0 min" in fact or "60 s" in fact for fact in rollback.because)


def test_options_come_in_the_order_of_their_letters() -> None:
    assert [o.letter for o in assess(SHOP)] == ["A", "B", "C", "D"]


def test_it_says_why_it_is_that_release() -> None:
    why = "the last one seen healthy here, 2026-01-01 02:11 UTC"
    (step,) = option(with_rollback(why=why), "rollback").steps
    assert f"({why}), restart, see health hold" in step
    (step,) = option(with_rollback(to=None, why="the service's own command chooses it"), "rollback").steps
    assert "→ the service's own command chooses it, restart" in step


def test_without_a_release_to_go_back_to_it_says_why() -> None:
    rollback = option(with_rollback(feasible=False, reason="no earlier release than 41"), "rollback")
    assert not rollback.feasible
    assert "no earlier release than 41" in rollback.why_not


def test_a_service_without_releases_says_that_the_catalogue_names_none() -> None:
    assert "names no releases" in option(replace(SHOP, rollback={}, specs={"shop": {}}), "rollback").why_not


def test_downtime_without_past_runs_says_unknown() -> None:
    assert option(SHOP, "rollback").downtime.startswith("unknown")


def test_downtime_is_median_and_worst_of_past_runs() -> None:
    assert option(replace(SHOP, past_seconds={"rollback": [4, 30, 8]}), "rollback").downtime == "8.0 s (worst 30 s)"


def test_data_at_risk_of_a_schema_change_is_the_age_of_the_last_verified_backup() -> None:
    risky = with_rollback(schema=schema("breaking", "drops column orders.note in 0003.sql"))
    assert option(risky, "rollback").data_at_risk == "unknown: no verified backup"
    assert "shop: drops column orders.note in 0003.sql" in option(risky, "rollback").because[-1]
    backups = {
        "shop": [{"verified": True, "at": (NOW - timedelta(minutes=5)).isoformat()}, {"verified": False, "at": NOW}]
    }
    assert option(replace(risky, backups=backups), "rollback").data_at_risk == "at most 5 min of writes"


def test_of_a_schema_that_the_older_release_can_run_on_no_data_is_lost() -> None:
    found = option(with_rollback(schema=schema("compatible", operations=["adds column orders.note"])), "rollback")
    assert found.data_at_risk == "none lost: what is new stays, unseen by the older release"
    assert "adds column orders.note" in found.because[-1]


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        (schema("none"), "+10  shop: no schema migration in between"),
        (
            schema("compatible", operations=["adds column orders.note"]),
            "-5  shop: the schema changed, and the older release can run on it: adds column orders.note",
        ),
        (
            schema("breaking", "drops column orders.note in 0003.sql"),
            "-30  shop: the older release may not run on the schema: drops column orders.note in 0003.sql",
        ),
        (
            schema("unknown", "0003.py: its expressions are nested too deeply"),
            "-10  shop: ask: unknown whether the older release can run on the schema: 0003.py: its expressions are "
            "nested too deeply",
        ),
        (
            None,
            "-10  shop: ask: unknown whether the older release can run on the schema: nothing is known of its migrations",
        ),
        (
            {"state": "fine"},
            "-10  shop: ask: unknown whether the older release can run on the schema: nothing is known of its migrations",
        ),
    ],
)
def test_each_state_of_the_schema_has_its_figure_and_its_fact(told: dict[str, Any] | None, fact: str) -> None:
    assert fact in option(with_rollback(schema=told), "rollback").because


def test_no_known_affected_service_means_no_option() -> None:
    assert not any(o.feasible for o in assess(replace(SHOP, affected=(), rollback={}, mitigations={})))


def test_what_was_tried_in_vain_is_not_recommended_again() -> None:
    again = assess(replace(SHOP, tried=("rollback",)))
    assert [o.key for o in again if o.recommended] == ["mitigate"]


def test_a_custom_playbook_is_possible_and_never_recommended() -> None:
    custom = option(replace(SHOP, affected=(), rollback={}, custom=("restart-cache",)), "custom")
    assert custom.feasible
    assert not custom.recommended
    assert custom.confidence is None


schemas = st.one_of(
    st.none(),
    st.sampled_from(("none", "compatible", "unknown", "breaking", "?")).map(schema),
    st.just({"state": "compatible", "operations": ["adds table notes"] * 5}),
)
facts = st.fixed_dictionaries(
    {
        "feasible": st.booleans(),
        "rehearsed": st.booleans(),
        "schema": schemas,
        "deployed_at": st.one_of(
            st.none(),
            st.just("garbage"),
            st.integers(-9999, 9999).map(lambda s: (NOW + timedelta(seconds=s)).isoformat()),
        ),
    }
)


@given(facts)
def test_nothing_infeasible_is_recommended_and_confidence_is_a_percentage(found: dict[str, Any]) -> None:
    for o in assess(with_rollback(**found)):
        assert o.feasible or not o.recommended
        assert o.confidence is None or 1 <= o.confidence <= 95
        assert o.feasible == (not o.why_not)


@given(facts)
def test_more_risk_never_raises_confidence(found: dict[str, Any]) -> None:
    found = {**found, "feasible": True}
    confidence = option(with_rollback(**found), "rollback").confidence
    assert option(with_rollback(**{**found, "rehearsed": False}), "rollback").confidence <= confidence
    by_risk = [
        option(with_rollback(**{**found, "schema": schema(state)}), "rollback").confidence
        for state in ("none", "compatible", "unknown", "breaking")
    ]
    assert by_risk == sorted(by_risk, reverse=True)


def test_a_hotfix_is_possible_where_every_affected_service_declares_one_and_asks_for_a_review() -> None:
    declared = replace(SHOP, specs={"shop": {"releases": {"kind": "command", "hotfix": ["deploy"]}}})
    hotfix = option(declared, "hotfix")
    assert hotfix.feasible
    assert any("reviewed" in fact for fact in hotfix.because)
    assert not option(replace(declared, affected=("shop", "mail")), "hotfix").feasible
