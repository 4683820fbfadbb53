"""A host whose clock is hours off: what it says is put right wherever it is told, weighed or ranked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentctl import clocks, console_diagnosis, history, judgement, notify, report
from incidentctl.desk import Desk
from incidentctl.options import assess
from incidentctl.outcome import HostOutcome
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings
from incidentctl.situation import situation

ONE = "INC-20260101-0000-aaaa"
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DEPLOYED, BEGAN = NOW - timedelta(minutes=10), NOW - timedelta(minutes=9)
SITE = Inventory(
    {"web1": frozenset(), "web2": frozenset()}, (Service("shop", ("web1", "web2"), True, True, (), {"releases": {}}),)
)


def facts(off: timedelta) -> dict[str, Any]:
    """What a host says of release 42, which broke the shop a minute later, by a clock that is so far off."""

    def at(moment: datetime) -> str:
        return (moment + off).isoformat(timespec="milliseconds")

    clock = {
        "now": at(NOW),
        "after_s": 0.5,
        "asked_at": (NOW - timedelta(seconds=0.5)).isoformat(),
        "answered_at": NOW.isoformat(),
    }
    deployed = DEPLOYED + off
    day = "" if deployed.date() == (NOW + off).date() else f"{deployed:%Y-%m-%d} "
    release = {
        "severity": "critical", "kind": "release", "service": "shop", "at": at(BEGAN),
        "text": f"shop: release 42 was deployed {day}{deployed:%H:%M:%S} UTC, 60 s before the first 'gone' (9 times)",
        "about": {"release": "42", "deployed_at": at(DEPLOYED), "error": "gone", "said": "gone", "count": 9, "new": True},
    }  # fmt: skip
    error = {"template": "gone", "sample": "gone", "cause": None, "count": 9, "first_seen": at(BEGAN), "new": True, "rate": None,
             "new_since": "release"}  # fmt: skip
    change = {"kind": "release", "name": "42", "text": "got release 42 of shop", "service": "shop", "at": at(DEPLOYED)}
    shop = {"health": {"healthy": False}, "errors": [error], "onset": at(BEGAN), "onset_source": "first 'gone'"}
    return {"services": {"shop": shop}, "findings": [release], "changes": [change], "clock": clock}


def ready(off: timedelta) -> dict[str, Any]:
    at = (DEPLOYED + off).isoformat(timespec="milliseconds")
    return {"services": {"shop": {"feasible": True, "from": "42", "to": "41", "deployed_at": at, "rehearsed": True}}}


@pytest.mark.parametrize("hours", [-30, -5, 0, 3, 13], ids=lambda hours: f"{hours} h")
def test_a_host_hours_off_tells_the_same_story_as_one_that_is_right(tmp_path: Path, hours: int) -> None:
    off = timedelta(hours=hours)
    rows = [HostOutcome("web1", "diagnosis", "unchanged", facts=facts(off))]  # whose sentence stands for both
    rows.append(HostOutcome("web2", "diagnosis", "unchanged", facts=facts(timedelta(0))))
    told = history.read(rows)
    judged = judgement.of(rows, SITE, told)
    first = judged.causes[0]
    assert told.onset is not None
    assert told.onset.at == BEGAN.isoformat(timespec="milliseconds")
    assert (first.kind, first.hosts) == ("release", ("web1", "web2"))
    assert f"release 42 was deployed {DEPLOYED:%H:%M:%S} UTC" in first.title
    assert [(row.hosts, row.seconds_before) for row in told.changes] == [(("web1", "web2"), 60.0)]
    lines = [line.plain for line in console_diagnosis.screen(judged, told, None, 160)]
    said = [line for line in lines if "put right" in line]
    assert [cause.kind for cause in judged.causes].count("clock") == len(said) == (hours != 0)


@pytest.mark.parametrize("hours", [-30, 0, 3])
def test_a_rollback_is_weighed_by_times_of_one_clock_and_the_report_has_no_other(tmp_path: Path, hours: int) -> None:
    off = timedelta(hours=hours)
    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        desk = Desk(ONE, record, settings, SITE, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
        desk.note("declared", title="x", severity="high", services=["shop"], affected=["shop"], hosts=["web2"])
        rows = (("diagnosis", facts(off)), ("prepare_rollback", ready(off)))
        for name, said in rows:
            desk.note("host_outcome", phase="diagnose", host="web2", capability=name, outcome="unchanged", facts=said)
        rollback = next(option for option in assess(situation(desk)) if option.key == "rollback")
        text = report.write(record.events(ONE), tmp_path).read_text().replace("\\", "")
        notify.wait()
    assert "+15  release 42 of shop came 60 s before the onset" in rollback.because
    assert f"| shop | 9 | {BEGAN:%Y-%m-%d}" in text
    wrong = BEGAN + off
    assert (f"{wrong:%H:%M:%S}" in text.partition("## Timeline")[0]) is (hours == 0)
    assert ("put right by that: web2" in text) is (hours != 0)


def test_sentences_are_put_right_over_midnight_and_what_is_no_time_stays() -> None:
    clock = {"clock": {"now": "2026-01-02T01:00:00+00:00"}}
    assert clocks.put_right("at 00:30:00 UTC", clock, 7200) == "at 22:30:00 UTC", "which is the same day for us"
    assert clocks.put_right("at 2026-01-01 22:30:00 UTC", clock, -7200) == "at 00:30:00 UTC, ".rstrip(", ")
    assert clocks.put_right("at 00:30:00 UTC", clock, 3600) == "at 2026-01-01 23:30:00 UTC"
    for text in ("at 99:99:99 UTC", "user 12:00:00", "2026-99-99 10:00:00 UTC"):
        assert clocks.put_right(text, clock, 3600) == text
    assert clocks.put_right("at 00:30:00 UTC", {}, 3600) == "at 00:30:00 UTC"
    assert clocks.moved("noon", 3600) == "noon"


def test_when_a_certificate_ends_is_of_no_clock_of_a_host() -> None:
    found = facts(timedelta(hours=3))
    text = "the certificate of shop expired at 09:00:00 UTC"
    found["findings"] = [{"severity": "critical", "kind": "certificate", "text": text, "about": {"name": "shop"}}]
    rows = [HostOutcome("web1", "diagnosis", "unchanged", facts=found)]
    assert text in [cause.title for cause in judgement.of(rows, SITE, history.read(rows)).causes]
