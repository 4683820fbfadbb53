"""Which way out touches which kind of cause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl import plan, remedies
from incidentctl.cause_rules import KINDS

MITIGATIONS = ("enhanced_monitoring", "rate_limit", "circuit_breaker")


def test_every_kind_that_is_touched_is_one_that_a_diagnosis_can_name() -> None:
    for way, kinds in remedies.TOUCHED.items():
        assert kinds <= KINDS, way


def test_every_way_is_an_option_or_something_that_can_be_done_to_contain() -> None:
    assert set(remedies.TOUCHED) | remedies.WATCHING <= {"rollback", "hotfix", *plan.MITIGATIONS}


@pytest.mark.parametrize(
    ("way", "kind", "told"),
    [
        ("rollback", "release", True),
        ("rollback", "disk", False),
        ("rollback", "errors", None),  # what is logged does not say what lies behind it
        ("rollback", "not_running", None),
        ("restart", "not_running", True),
        ("rate_limit", "connections", True),
        ("circuit_breaker", "dependency", True),
        ("enhanced_monitoring", "connections", False),
        ("rollback", "a kind of a newer collection", False),
    ],
)
def test_a_way_touches_a_cause_or_does_not_or_nobody_can_tell(way: str, kind: str, told: bool | None) -> None:
    assert remedies.touches(way, kind) is told


def test_a_custom_playbook_touches_what_it_is_for() -> None:
    assert remedies.touches("custom", "disk", ("disk", "inodes")) is True
    assert remedies.touches("custom", "release", ("disk", "inodes")) is False


def test_nothing_is_restarted_for_a_cause_that_is_known_not_to_be_touched_by_it() -> None:
    every = (*MITIGATIONS, "restart")
    assert remedies.fitting(every, "disk") == MITIGATIONS
    for kind in ("errors", None):  # what lies behind it is not known
        assert remedies.fitting(every, kind) == every


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("connections", ("enhanced_monitoring", "rate_limit")),
        ("dependency_slow", ("enhanced_monitoring", "circuit_breaker")),
        ("disk", MITIGATIONS),
        (None, MITIGATIONS),
    ],
)
def test_of_the_mitigations_those_are_kept_that_touch_the_cause(kind: str | None, kept: tuple[str, ...]) -> None:
    assert remedies.fitting(MITIGATIONS, kind) == kept


@given(st.lists(st.sampled_from(sorted(plan.CONTAINMENTS)), unique=True), st.sampled_from(sorted(KINDS)))
def test_none_is_invented_and_their_order_stays(names: list[str], kind: str) -> None:
    kept = remedies.fitting(names, kind)
    assert [name for name in names if name in kept] == list(kept)
    assert bool(kept) == bool(names)
