"""When we ourselves were at work on hosts, by the record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from incidentctl import causes, observations, own_looks
from incidentctl.incident import Event

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


def event(seq: int, ago_s: float, kind: str, phase: str, *hosts: str, incident: str = "INC-1") -> Event:
    at = (NOW - timedelta(seconds=ago_s)).isoformat(timespec="milliseconds")
    data: dict[str, Any] = {"phase": phase, "hosts": list(hosts)} if hosts else {"phase": phase}
    return Event(incident, seq, at, "ann", f"step_{kind}", data, "", "")


def test_a_step_was_on_its_hosts_from_its_beginning_to_its_end() -> None:
    started = [event(3, 40, "started", "diagnose", "web1"), event(1, 90, "started", "triage", "web1", "db1")]
    other = [event(7, 500, "started", "triage", "web1", incident="INC-0")]
    finished = [event(2, 80, "finished", "triage"), event(8, 470, "finished", "triage", incident="INC-0")]
    found = own_looks.ago([*started, *other], finished, NOW)
    assert found == {"web1": [[500.0, 470.0], [90.0, 80.0]], "db1": [[90.0, 80.0]]}


def test_of_a_step_that_was_cut_off_nobody_knows_how_long_it_went_on() -> None:
    started = [event(1, 90, "started", "triage", "web1"), event(2, 50, "started", "triage", "web1")]
    assert own_looks.ago(started, [event(3, 40, "finished", "triage")], NOW) == {"web1": [[50.0, 40.0]]}
    assert own_looks.ago([], [event(3, 40, "finished", "triage")], NOW) == {}
    assert own_looks.ago([event(1, 20, "started", "triage", "web1")], [event(2, -5, "finished", "triage")], NOW) == {}


def test_what_our_looks_provoke_is_no_beginning_of_the_trouble() -> None:
    """So what changed before our first look is not suspected because of that look."""
    said = {"error": "gone", "said": "gone", "count": 3, "new": None, "meaning": None, "names": {}}
    changed = observations.moment("2026-11-29T02:50:00+00:00")
    assert changed is not None
    for ours in (True, False):
        found = {"severity": "warning", "kind": "errors", "text": "shop: 'gone'", "service": "shop",
                 "at": "2026-11-29T02:55:00+00:00", "about": {**said, **({"ours": True} if ours else {})}}  # fmt: skip
        facts = {"services": {"shop": {"health": {"healthy": False}}}, "findings": [found]}
        assert (causes._first_trouble(observations.read({"web1": facts})) is None) is ours
