"""What a drill leaves out: it is an incident in everything but that nobody is to hear of it, or to learn from its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from incidentctl import report, trackers
from incidentctl.incident import Event, Incident, fold
from incidentctl.settings import Settings

AT = "2026-01-01T12:00:00.000+00:00"


def declared(**data: Any) -> list[Event]:
    return [Event("INC-1", 1, AT, "ada", "declared", {"title": "t", "severity": "high", **data}, "", "")]


def test_an_incident_is_a_drill_where_its_first_event_says_so() -> None:
    assert fold(declared()).drill is None
    drill = fold(declared(drill="bad_release", drill_told=True))
    assert (drill.drill, drill.drill_told) == ("bad_release", True)
    assert fold(declared(drill="bad_release")).drill_told is False


def test_a_drill_has_no_ticket() -> None:
    assert len(trackers.due(declared(), Settings())) == 1
    assert trackers.due(declared(drill="bad_release"), Settings()) == []


def test_a_drill_is_in_no_memory_bank_and_owes_nothing(tmp_path: Path) -> None:
    incident: Incident = fold(declared(drill="bad_release"))
    report.remember(incident, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert report.usual_follow_ups(incident) == []
    report.remember(replace(incident, drill=None), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
