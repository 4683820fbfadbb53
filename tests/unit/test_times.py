"""Times as people are told them: to the second, in UTC, wherever they read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from incidentctl import audiences, briefing, wording
from incidentctl.audiences import status_page
from incidentctl.cli import cli
from incidentctl.incident import Event, Incident, fold
from incidentctl.record import LockedError, open_record
from incidentctl.times import moment, when

START = datetime(2026, 1, 1, 12, 0, 4, 468_000, tzinfo=UTC)
MACHINES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
DECLARED = {"title": "x", "severity": "high", "services": ["shop"], "affected": ["shop"], "user_facing": ["shop"]}
OPTION = {"letter": "A", "key": "rollback", "title": "Roll back", "feasible": True, "recommended": True, "why_not": ""}
FIGURES = {"confidence": 89, "downtime": "20 s", "data_at_risk": "none"}
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("declared", DECLARED),
    ("step_started", {"phase": "triage"}),
    ("step_finished", {"phase": "triage", "outcome": "done", "affected": ["shop"]}),
    ("step_finished", {"phase": "diagnose", "onset": {"at": START.isoformat(), "source": "the first error"}}),
    ("options_assessed", {"options": [{**OPTION, **FIGURES}]}),
    ("question_asked", {"question": "Which recovery?"}),
    ("decided", {"option": "rollback"}),
    ("locked", {"pid": 7, "host": "here"}),
    ("step_started", {"phase": "recover", "hosts": ["web1"]}),
)


def events(upto: int) -> list[Event]:
    """The first rows of an incident, each a second after the one before."""
    return [
        Event("INC-1", n, (START + timedelta(seconds=n)).isoformat(timespec="milliseconds"), "ada", *row, "", "")
        for n, row in enumerate(ROWS[:upto])
    ]


def incident(upto: int) -> Incident:
    return fold(events(upto))


@pytest.mark.parametrize("upto", range(1, len(ROWS) + 1))
def test_no_words_tell_milliseconds(upto: int) -> None:
    found = incident(upto)
    told = [wording.status(found), wording.listed([found]), briefing.of(found, START).text()]
    told += [
        audiences.message(kind, found, about, "KEY", "HEAD").body
        for kind in audiences.KINDS
        for about in audiences.EVENTS
        if audiences.concerned(kind, found, about)
    ]
    for text in told:
        assert not MACHINES.search(text), text
    assert "declared 2026-01-01 12:00:04 UTC by ada" in told[0]


def test_the_status_page_has_them_for_people_and_for_machines() -> None:
    html = status_page.page([status_page.document(incident(len(ROWS)), events(len(ROWS)))])
    assert '<time datetime="2026-01-01T12:00:04.468+00:00">2026-01-01 12:00:04 UTC</time>' in html


def test_who_holds_an_incident_does_so_since_a_second(tmp_path: Path) -> None:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append("INC-1", "declared", DECLARED, "ada")
        with record.hold("INC-1", "ada"), pytest.raises(LockedError, match=r"since \d{4}-\d\d-\d\d \S{8} UTC"):  # noqa: SIM117
            with record.hold("INC-1", "ada"):
                pass


def test_the_timeline_has_seconds_and_its_json_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCIDENTCTL_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        at = record.append("INC-1", "declared", DECLARED, "ada").at
    words, data = (CliRunner().invoke(cli, ["timeline", *more]).stdout for more in ((), ("--json",)))
    assert words.startswith(f"{when(at)}  ada")
    assert at in data


def test_what_is_no_time_is_told_as_it_stands() -> None:
    assert (when("2026-01-01T14:00:04.999+02:00"), when("not yet")) == ("2026-01-01 12:00:04 UTC", "not yet")
    assert moment("2026-01-01T12:00:04.468+00:00") == "2026-01-01 12:00:04"
