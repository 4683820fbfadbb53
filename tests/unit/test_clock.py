"""A clock that is set in the middle of an incident: no time it took is negative, and the record stays in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentctl import metrics, record, wording
from incidentctl.incident import Incident, fold
from incidentctl.record import Record, open_record
from incidentctl.report import content
from incidentctl.settings import Settings

ONE = "INC-20260101-0000-aaaa"
START = datetime(2026, 1, 1, 3, tzinfo=UTC)
EVENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("declared", {"title": "x", "severity": "high", "services": ["shop"], "hosts": ["web1"]}),
    ("locked", {"pid": 1, "host": "h"}),
    ("acknowledged", {}),
    ("step_started", {"phase": "contain", "hosts": ["web1"]}),
    ("step_finished", {"phase": "contain", "outcome": "done"}),
    ("question_asked", {"question": "Which recovery?"}),
    ("decided", {"option": "rollback"}),
    ("resolved", {}),
    ("unlocked", {"pid": 1, "host": "h"}),
    ("closed", {}),
)


@pytest.fixture
def opened() -> Iterator[Record]:
    with open_record("sqlite://") as memory:
        yield memory


def incident(opened: Record, monkeypatch: pytest.MonkeyPatch, jump: timedelta, after: int) -> Incident:
    """An incident with a second between two events, but for a jump of the clock after that many."""

    class Clock(datetime):
        now_is = START

        @classmethod
        def now(cls, _tz: Any = None) -> datetime:  # type: ignore[override]  # what the record calls
            return cls.now_is

    monkeypatch.setattr(record, "datetime", Clock)
    for number, (kind, data) in enumerate(EVENTS):
        Clock.now_is = START + timedelta(seconds=number) + (jump if number >= after else timedelta(0))
        opened.append(ONE, kind, data, "ada")
    return fold(opened.events(ONE))


@pytest.mark.parametrize("after", range(1, len(EVENTS)))
@pytest.mark.parametrize("hours", [-5, 5])
def test_no_time_is_negative(opened: Record, monkeypatch: pytest.MonkeyPatch, hours: int, after: int) -> None:
    found = incident(opened, monkeypatch, timedelta(hours=hours), after)
    reached = found.milestones
    for seconds in (reached.acknowledged, reached.contained, reached.resolved, *(one.seconds for one in found.phases)):
        assert seconds is None or seconds >= 0
    if hours < 0 and after <= 2:
        assert reached.acknowledged is None, "nobody knows"
    assert opened.verify(ONE) is None
    assert [event.seq for event in opened.events(ONE)] == list(range(1, len(EVENTS) + 1))
    assert found.status == "closed"
    assert "-" not in content.span(reached.resolved).replace("–", "")
    wording.status(found)
    sla = {name: policy.sla for name, policy in Settings().severities.items()}
    metrics.measure([opened.events(ONE)], sla, lambda _name: True)
