"""An incident that waits for a person, as long as it takes. A hundred times and in every way: `make faults`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import waiting


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[waiting.Waiting]:
    """An incident at its question, which nobody waits at."""
    found = waiting.Waiting(tmp_path, random.Random(1))  # noqa: S311 - moments, no secrets
    try:
        yield found
    finally:
        found.shop.end()


def test_only_a_person_decides_whoever_is_killed_at_the_question(incident: waiting.Waiting) -> None:
    for way in (
        waiting.killed_with_a_half_typed_answer,
        waiting.killed_after_an_answer_was_typed_ahead,
        waiting.input_ends_in_a_half_typed_answer,
        waiting.standard_input_is_closed,
    ):
        assert waiting.cycle(incident, way) == [], way.__name__
    assert waiting.decided_while_somebody_waits(incident) == []


def test_a_decision_is_carried_out_when_nobody_waits(incident: waiting.Waiting) -> None:
    assert waiting.decided_while_nobody_waits(incident) == []
