"""How often something came: bounded, nothing lost, and the burst told apart from what was there before."""

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _rate
from hypothesis import given
from hypothesis import strategies as st

BEGIN = 1_763_891_400  # a whole minute


def counted(times: list[float]) -> _rate.Rate:
    rate = _rate.Rate()
    rate.add(times)
    return rate


@given(st.lists(st.floats(-1e9, 4e9), min_size=1, max_size=200), st.lists(st.floats(0, 4e9), min_size=1, max_size=50))
def test_slots_are_few_and_nothing_is_lost_however_far_apart(times: list[float], others: list[float]) -> None:
    rate = counted(times)
    rate.join(counted(others))
    told = rate.told(min(times + others), max(times + others))
    assert len(told["counts"]) <= _rate.SLOTS
    assert sum(told["counts"]) == len(times) + len(others)
    assert told["since"] <= told["until"]
    assert math.isfinite(told["per_minute"])


def test_burst_is_told_apart_from_what_was_there_before_and_after() -> None:
    background = [BEGIN + 60.0 * minute for minute in range(25)]
    burst = [BEGIN + 600 + 1.5 * number for number in range(400)]  # forty a minute for ten minutes
    told = counted(background + burst).told(BEGIN, BEGIN + 24 * 60)
    assert told["since"] == "2025-11-23T10:00:00.000+00:00"
    assert told["until"] == "2025-11-23T10:10:00.000+00:00"
    assert told["per_minute"] == pytest.approx(41, abs=1)
    assert told["counts"][:11] == [1] * 10 + [41]


def test_one_quiet_minute_does_not_end_a_burst() -> None:
    times = [BEGIN + 60.0 * minute + second for minute in (0, 1, 3, 4) for second in range(10)]
    told = counted(times).told(times[0], times[-1])
    assert (told["counts"], told["since"]) == ([10, 10, 0, 10, 10], "2025-11-23T09:50:00.000+00:00")


def test_width_doubles_as_time_grows() -> None:
    times = [BEGIN + 60.0 * minute for minute in range(100)]
    told = counted(times).told(times[0], times[-1])
    assert told["width_s"] == 240
    assert sum(told["counts"]) == 100


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=80), st.integers(0, 80), st.randoms())
def test_same_is_counted_in_whatever_order_and_in_how_many_rows(
    times: list[float], cut: int, draw: random.Random
) -> None:
    mixed = draw.sample(times, len(times))
    rate = counted(mixed[:cut])
    rate.add(mixed[cut:])
    assert rate.told(min(times), max(times)) == counted(times).told(min(times), max(times))
