"""An incident in which nothing is sick and nothing says that it is: no cause is named, but where to look next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentctl import briefing, console_diagnosis, engine, history, judgement, notify, options, report
from incidentctl.desk import Desk
from incidentctl.onset import Onset
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import investigation
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings

ONE = "INC-20260101-0000-aaaa"
LOGS = {"logs": [{"kind": "journal"}]}
NEEDS = {**LOGS, "depends_on": [{"name": "database", "check": "tcp://db1:5432"}]}
SHOP = Service("shop", ("web1",), True, True, (), NEEDS)
CATALOGUE = (
    SHOP,
    Service("database", ("db1",), True, False, (), LOGS),
    Service("mail", ("mon1",), True, False, (), LOGS),
)
SITE = Inventory({name: frozenset[str]() for name in ("web1", "db1", "mon1")}, CATALOGUE)
SET_UP = "2026-01-01T02:54:00+00:00"
CHANGED = {"kind": "unit", "name": "shop.service", "text": "had shop.service enabled", "at": SET_UP}
CLOCK = {"severity": "info", "kind": "clock", "text": "nothing keeps the clock right", "about": {}}
ERROR = {"severity": "warning", "kind": "errors", "text": "shop: 'gone' once", "service": "shop",
         "about": {"error": "gone", "new": False}}  # fmt: skip
FULL = {"severity": "warning", "kind": "disk", "text": "disk /srv: 90 % full", "about": {"path": "/srv"}}
FIRST = "All that was looked at is well: shop on 1 host (web1), and no error is in the logs"
NEXT = (
    "its neighbours, which were not looked at: database on db1",
    "the rest of the site: mail",
    "what those who report it did, when and from where; and all of this once more while they see it",
)


def looked(*findings: Any, healthy: bool | None = True, outcome: str = "unchanged", **more: Any) -> HostOutcome:
    services = {"shop": {"health": {"healthy": healthy, **more}}}
    facts = {"services": services, "findings": list(findings), "changes": [CHANGED]}
    return HostOutcome("web1", "diagnosis", outcome, facts=facts)


def judged(*rows: HostOutcome, onset: Onset | None = None, **monitoring: list[str]) -> judgement.Judgement:
    return judgement.of(rows, SITE, history.read(rows, [onset] if onset else []), monitoring)


def test_where_all_is_well_no_cause_is_named_but_where_to_look_next() -> None:
    found = judged(looked(CLOCK))
    assert found.causes == ()
    assert found.all_well is not None
    assert (found.all_well.told, found.all_well.next) == (FIRST, NEXT)
    assert found.all_well.noted == ("nothing keeps the clock right (web1)",)


def test_what_could_not_be_seen_comes_first() -> None:
    dumb = Inventory(SITE.hosts, (Service("shop", ("web1",), True, True, (), {}), *CATALOGUE[1:]))
    rows = [looked(healthy=None)]
    found = judgement.of(rows, dumb, history.read(rows))
    assert found.all_well is not None
    assert found.all_well.next[:2] == (
        "how shop is: neither a health check nor a manager tells it",
        "what shop logs: the catalogue names no logs",
    )


@pytest.mark.parametrize(
    "rows",
    [
        [looked(healthy=False)],
        [looked(depends_on=[{"name": "database", "check": "tcp://db1:5432", "ok": False}])],
        [looked(ERROR)],
        [looked(FULL)],
        [looked(outcome="failed")],
        [looked(), HostOutcome("db1", "diagnosis", "unreachable", "timed out")],
        [looked(), HostOutcome("db1", "diagnosis", "unknown", "cut off")],
        [],
    ],
    ids=["sick", "dependency", "error", "disk", "a log not read", "no answer", "cut off", "nobody asked"],
)
def test_it_is_not_said_where_something_is_wrong_or_was_not_seen(rows: list[HostOutcome]) -> None:
    assert judged(*rows).all_well is None


def test_it_is_not_said_where_others_say_that_there_is_trouble() -> None:
    alert = Onset("2026-01-01T03:00:00+00:00", "the alert ShopSlow")
    found = judged(looked(), onset=alert)
    assert found.all_well is None
    assert found.causes[0].title.startswith("shop.service enabled"), "what changed before it may be why"
    assert judged(looked(), alerts=["ShopSlow web1"]).all_well is None


def test_the_screen_says_so_and_lists_what_changed() -> None:
    rows = [looked(CLOCK)]
    lines = [line.plain for line in console_diagnosis.screen(judged(*rows), history.read(rows), "low", 120)]
    assert lines[:3] == [FIRST, "  noted  nothing keeps the clock right (web1)", f"Look next  {NEXT[0]}"]
    place = lines.index("What changed, newest first")
    assert lines[place + 1].startswith("  unit          web1 had shop.service enabled at ")
    assert not any("likeliest" in line for line in lines)


def test_the_question_says_that_there_is_nothing_to_recover_from() -> None:
    told = f"None is recommended: there is nothing to recover from. {FIRST}. Look next at {NEXT[0]}."
    assert options.unadvised([], judged(looked()).as_data()) == told


class Hosts:
    """Ansible's place is taken by what each look of a healthy host answers."""

    healthy = True

    def run(self, step: Step, *_args: Any, **_more: Any) -> Outcome:
        return Outcome(step, tuple(row for name in step.capabilities for row in self._rows(name)), 0.1)

    def _rows(self, name: str) -> list[HostOutcome]:
        if name == "diagnosis":
            return [looked(healthy=self.healthy)]
        facts = {"services": {"shop": {"healthy": self.healthy}}} if name == "health_check" else {}
        return [HostOutcome("web1", name, "unchanged", facts=facts)]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    found = Hosts()
    monkeypatch.setattr(engine, "run", found.run)
    return found


@pytest.fixture
def desk(tmp_path: Path, hosts: Hosts) -> Iterator[Desk]:
    """A low incident of which a person says that it affects the shop."""
    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        found = Desk(ONE, record, settings, SITE, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
        found.note("declared", title="x", severity="low", services=["shop"], affected=["shop"], hosts=["web1"])
        yield found
        notify.wait()


def test_that_a_person_calls_a_service_affected_is_no_onset(desk: Desk, tmp_path: Path) -> None:
    investigation.triage(desk)
    investigation.diagnose(desk)
    incident = desk.incident()
    assert incident.onset is None
    assert (incident.judged or {})["causes"] == []
    told = briefing.of(incident, datetime.now(UTC) + timedelta(minutes=1)).conditions
    assert f"likeliest cause: none. {FIRST}" in told
    assert f"look next at {NEXT[0]}" in told
    text = report.write(desk.record.events(ONE), tmp_path).read_text().replace("\\", "")
    assert f"{FIRST}." in text
    assert NEXT[0] in text


def test_what_triage_saw_sick_was_sick_then(desk: Desk, hosts: Hosts) -> None:
    hosts.healthy = False
    investigation.triage(desk)
    hosts.healthy = True
    investigation.diagnose(desk)
    assert (desk.incident().onset or {})["source"] == "the look of triage"
