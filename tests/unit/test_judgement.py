"""What a diagnosis comes to, and how it is told: on one screen, in the record, in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import console_diagnosis, history, judgement, report
from incidentctl.incident import Event, fold
from incidentctl.judgement import Judgement
from incidentctl.outcome import HostOutcome
from incidentctl.plan import Inventory, Service

NEEDS = [{"name": "database", "check": "tcp://db1:5432"}]
SITE = Inventory(
    {name: frozenset({"all"}) for name in ("web1", "web2", "db1")},
    (
        Service("shop", ("web1", "web2"), True, True, ("partner",), {"depends_on": NEEDS}),
        Service("database", ("db1",), True, False, (), {}),
    ),
)
FULL = {"severity": "critical", "kind": "disk", "text": "disk /srv: 100 % full", "about": {"path": "/srv"}}
RELEASE = {
    "severity": "critical",
    "kind": "release",
    "text": "shop: release 42 was deployed 60 s before the first 'gone'",
    "service": "shop",
    "at": "2026-01-01T03:00:00+00:00",
    "about": {"release": "42", "error": "gone", "said": "gone", "count": 9, "deployed_at": "2026-01-01T02:59:00+00:00"},
}


def looked(
    host: str, service: str, *findings: Any, healthy: bool = True, needs: Any = (), changes: Any = ()
) -> HostOutcome:
    health = {"healthy": healthy, "depends_on": list(needs)}
    facts = {"services": {service: {"health": health}}, "findings": list(findings), "changes": list(changes)}
    return HostOutcome(host, "diagnosis", "unchanged", facts=facts)


def judged_of(rows: list[HostOutcome]) -> Judgement:
    return judgement.of(rows, SITE, history.read(rows))


def unreachable(host: str) -> HostOutcome:
    return HostOutcome(host, "diagnosis", "unreachable", "timed out")


def test_what_fails_deepest_is_told_with_all_that_depends_on_it() -> None:
    needs = {"depends_on": [{"name": "orders", "check": "tcp://web2:1"}]}
    deep = {"depends_on": [{"name": "database", "check": "tcp://db1:5432"}]}
    site = Inventory(
        SITE.hosts,
        (
            Service("shop", ("web1",), True, True, (), needs),
            Service("orders", ("web2",), True, False, (), deep),
            Service("database", ("db1",), True, False, (), {}),
        ),
    )
    refused = {**NEEDS[0], "ok": False, "detail": "Connection refused", "failing": "connect"}
    rows = [
        looked("web1", "shop", needs=[{"name": "orders", "check": "tcp://web2:1", "ok": True}]),
        looked("web2", "orders", healthy=False, needs=[refused]),
        looked("db1", "database", healthy=False),
    ]
    judged = judgement.of(rows, site, history.read(rows))
    told = "database: Connection refused; fails from web2; not well on db1; above it: shop (well), orders"
    assert [root.told() for root in judged.roots] == [told]
    assert judged.impact.downstream == ("shop",)
    lines = [line.plain for line in console_diagnosis.screen(judged, history.read(rows), None, 200)]
    assert f"Deepest  {told}" in lines
    alone = [HostOutcome("db1", "health_check", "failed", facts={"services": {"database": {"healthy": False}}})]
    assert [root.nodes[0].label for root in judgement.roots(alone, SITE)] == ["database"]
    assert not list(console_diagnosis.deepest(judgement.roots(alone, Inventory(SITE.hosts, SITE.services[1:]))))


SLOW = {
    "name": "database",
    "check": "tcp://db1:5432",
    "ok": False,
    "failing": "answer",
    "detail": "no complete answer within 3 s",
}


@pytest.mark.parametrize(
    ("now", "causes"),
    [({**SLOW, "ok": True}, ["dependency_slow"]), (SLOW, []), ({**SLOW, "ok": None}, [])],
)
def test_a_dependency_that_failed_in_triage_and_answers_now_fails_now_and_then(now: Any, causes: list[str]) -> None:
    looks = {"shop": {"depends_on": [SLOW]}, "odd": 1}
    triage = [{"host": host, "capability": "health_check", "facts": {"services": looks}} for host in ("web1", "web9")]
    rows = [looked("web1", "shop", needs=[now]), looked("web2", "shop")]
    found = judgement.of(rows, SITE, history.read(rows), None, [*triage, {"host": "web1", "facts": 1}])
    assert [cause.kind for cause in found.causes] == causes
    if causes:
        text = "shop: its dependency database (tcp://db1:5432) fails now and then: no complete answer within 3 s"
        assert (found.causes[0].title, found.affected) == (text, ("shop",))


def test_the_impact_names_who_is_sick_who_needs_it_and_whom_that_concerns() -> None:
    rows = [looked("web1", "shop", needs=NEEDS), looked("db1", "database", FULL, healthy=False)]
    impact = judged_of(rows).impact
    assert (impact.hosts, impact.asked, impact.services) == (("db1",), 2, ("database",))
    assert (impact.downstream, impact.user_facing, impact.integrations) == (("shop",), ("shop",), ("partner",))
    assert list(impact.told()) == [
        "1 of 2 hosts (db1); services: database",
        "downstream: shop; users: shop; integrations: partner",
    ]


def test_a_host_that_does_not_answer_counts_as_sick_and_is_a_cause() -> None:
    judged = judged_of([looked("web1", "shop", needs=NEEDS, healthy=False), unreachable("db1")])
    assert judged.impact.services == ("database", "shop")
    assert judged.causes[0].hosts == ("db1",)
    assert "no answer from db1" in next(judged.impact.told())


@pytest.mark.parametrize(("outcome", "why"), [("unknown", "cut off in the middle"), ("failed", "no privilege: x")])
def test_a_host_that_nobody_could_look_at_is_no_cause_but_counts_as_down(outcome: str, why: str) -> None:
    blind = HostOutcome("web2", "diagnosis", outcome, why)
    judged = judged_of([looked("web1", "shop"), blind])
    assert judged.causes == ()
    assert judged.suggested.severity == "high"
    alone = judged_of([blind])
    assert alone.suggested.severity == "critical"
    assert "every service says that it is healthy" not in alone.suggested.rule


def test_a_phase_that_never_reached_a_host_says_nothing_of_it() -> None:
    skipped = HostOutcome("db1", "diagnosis", "not_attempted", "stopped")
    assert judged_of([looked("web1", "shop"), skipped]).impact.silent == ()


@pytest.mark.parametrize(("healthy", "severity", "rule"), [
    (True, "high", "shop: user-facing, and its errors or state are critical, though it answers"),
    (False, "critical", "shop: user-facing and down on all its hosts"),
])  # fmt: skip
def test_a_likely_and_critical_cause_raises_what_is_suggested_even_if_the_service_answers(
    healthy: bool, severity: str, rule: str
) -> None:
    judged = judged_of([looked("web1", "shop", RELEASE, healthy=healthy)])
    assert (judged.suggested.severity, judged.suggested.rule) == (severity, rule)
    assert judged.severity("low") == f"{severity} (now low): {rule}"
    assert judged.severity(severity) == f"{severity}: {rule}"


def crowded() -> list[HostOutcome]:
    kinds = ("disk", "inodes", "memory", "clock", "process", "connections", "odd", "load")
    each = [{"severity": "critical", "kind": kind, "text": f"{kind} {'x' * 400}", "about": {}} for kind in kinds]
    errors = [
        {"severity": "warning", "kind": "errors", "text": f"e{n}", "service": "shop", "at": RELEASE["at"],
         "about": {"error": f"e{n}", "said": f"e{n}", "count": n, "meaning": word, "names": {}}}
        for n, word in enumerate(("no_space", "memory", "timeout", "descriptors"))
    ]  # fmt: skip
    web = looked("web1", "shop", RELEASE, *each, *errors, healthy=False, needs=NEEDS)
    web.facts["services"]["shop"]["onset"] = RELEASE["at"]
    changes = [
        {"kind": "package", "name": f"p{n}", "text": f"had p{n} upgraded", "at": RELEASE["at"]} for n in range(30)
    ]
    return [web, looked("web2", "shop", *each, changes=changes), unreachable("db1")]


def shown(rows: list[HostOutcome], width: int, current: str | None = None) -> list[str]:
    found = console_diagnosis.screen(judged_of(rows), history.read(rows), current, width)
    return [line.plain for line in found]


@pytest.mark.parametrize("width", [80, 160])
def test_what_a_person_reads_first_fits_one_screen(width: int) -> None:
    lines = shown(crowded(), width, "low")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= width
    assert lines[0] == "What is likeliest"
    assert [line[:2] for line in lines if line[:1].isdigit()] == ["1.", "2.", "3."]
    assert any(line.startswith("        + ") for line in lines)
    assert any(line.startswith("Suggested severity  high (now low): shop") for line in lines)
    assert any(line.startswith("What changed, nearest to the onset first") for line in lines)
    assert lines[-1].endswith(" more")


def test_a_larger_terminal_shows_more_of_what_changed_but_never_a_long_list() -> None:
    rows = crowded()
    found = console_diagnosis.screen(judged_of(rows), history.read(rows), None, 160, height=1000)
    lines = [line.plain for line in found]
    title = lines.index("What changed, nearest to the onset first")
    assert len(lines[title + 1 :]) == 7
    assert len(lines) <= 31


def test_what_speaks_against_a_cause_is_shown_as_well() -> None:
    brought = {**RELEASE, "about": {**RELEASE["about"], "meaning": "no_space"}}
    told = shown([looked("web1", "shop", brought, FULL, healthy=False)], 160)
    assert "        - web1: explained by 'disk /srv: 100 % full'" in told


def test_what_is_much_less_likely_than_the_first_has_one_line() -> None:
    judged, told = judged_of(crowded()), history.read(crowded())
    first, second, third, *rest = judged.causes
    scored = (replace(first, score=90), replace(second, score=45), replace(third, score=44), *rest)
    found = console_diagnosis.screen(replace(judged, causes=scored), told, None, 80)
    lines = [line.plain for line in found]
    follows = [lines[n + 1].lstrip()[:1] for n, line in enumerate(lines) if line[:2] in ("1.", "2.", "3.")]
    assert follows == ["+", "+", "6"]


def test_a_title_stands_over_what_changed_only_where_there_is_room_for_some_of_it() -> None:
    judged, told = judged_of(crowded()), history.read(crowded())
    first = replace(judged.causes[0], supports=("one", "two", "three"), against=())
    full = replace(judged, causes=(first, *judged.causes[1:]), data=["database: 156 writes since 02:00 UTC"])
    found = console_diagnosis.screen(full, replace(told, notes=["web2: its clock is wrong"]), None, 80)
    assert [line.plain for line in found][-1] == "  web2: its clock is wrong"


def test_where_nothing_was_found_the_screen_says_so() -> None:
    unread = replace(looked("web1", "shop"), outcome="failed")
    assert shown([unread], 80)[0] == "No cause was found in logs, resources, dependencies and releases."


def test_the_record_the_status_and_the_report_have_the_causes_and_what_speaks_for_them(tmp_path: Path) -> None:
    judged = judged_of([looked("web1", "shop", RELEASE, healthy=False)]).as_data()
    assert len(json.dumps(judged)) < 20_000
    told = [("declared", {"title": "x", "severity": "high"}), ("step_started", {"phase": "diagnose"})]
    told.append(("step_finished", {"phase": "diagnose", "outcome": "unchanged", "judged": judged}))
    at = "2026-01-01T00:00:00.000+00:00"
    events = [Event("INC-1", n, at, "ada", kind, data, "", "") for n, (kind, data) in enumerate(told)]
    assert fold(events).judged == judged
    text = report.write(events, tmp_path).read_text().replace("\\", "")
    assert f"| {RELEASE['text']} | web1 | web1: changed 02:59:00 UTC, 60 s before the trouble began" in text
    assert "Suggested severity: critical: shop: user-facing and down on all its hosts" in text


def test_services_with_a_critical_finding_are_affected_and_names_that_no_catalogue_has_are_not() -> None:
    odd = {**RELEASE, "service": "../../etc"}
    found = judged_of([looked("web1", "shop", RELEASE, odd, {**FULL, "service": "database", "severity": "warning"})])
    assert found.affected == ("shop",)


def test_where_only_a_host_is_critical_who_is_sick_there_is_affected_though_its_health_check_sees_nothing() -> None:
    """A full file system is a host's: that nobody were affected, nothing could be offered but runbooks, nor verified."""
    fails = {"severity": "warning", "kind": "errors", "text": "shop says 'no space'", "service": "shop",
             "about": {"error": "no space", "new": True}}  # fmt: skip
    found = judged_of([looked("web1", "shop", FULL, fails), looked("db1", "database")])
    assert found.affected == found.impact.services == ("shop",)
    known = {**fails, "about": {"error": "no space", "new": False}}
    assert judged_of([looked("web1", "shop", FULL, known)]).affected == (), "what it always says"


def test_figures_that_the_record_cannot_hold_are_left_out() -> None:
    odd = {**FULL, "about": {"path": "/srv", "percent": float("nan"), "bytes": 10**40, "more": {"a": 1}}}
    data = judged_of([looked("web1", "shop", odd)]).as_data()
    assert data["causes"][0]["about"] == {"path": "/srv"}


def test_what_came_since_the_backups_is_told_by_service_on_the_screen_and_in_the_report(tmp_path: Path) -> None:
    written = {"count": 1204, "of": "transactions", "at_least": False, "bytes": None}
    row = {
        "kind": "sqlite",
        "path": "/srv/shop.db",
        "at": "2026-01-01T02:00:00+00:00",
        "writes": written,
        "source": "x",
    }
    found = looked("web1", "shop")
    found.facts["services"]["shop"]["since_backup"] = [row]
    judged = judged_of([found])
    assert judged.as_data()["data"] == ["shop: 1,204 writes since 2026-01-01 02:00 UTC"]
    lines = [line.plain for line in console_diagnosis.screen(judged, history.read([found]), None, 80)]
    assert "Data    shop: 1,204 writes since 2026-01-01 02:00 UTC" in lines
    events = [
        Event("INC-1", 1, "2026-01-01T03:00:00+00:00", "ann", "declared", {"title": "x", "severity": "low"}, "", ""),
        Event("INC-1", 2, "2026-01-01T03:00:01+00:00", "ann", "host_outcome",
              {"phase": "diagnose", "host": "web1", "capability": "diagnosis", "outcome": "unchanged", "facts": found.facts},
              "", ""),
    ]  # fmt: skip
    text = report.write(events, tmp_path).read_text().replace("\\", "")
    assert (
        "web1 sqlite /srv/shop.db: 1,204 transactions written since the last verified backup, 2026-01-01 02:00 UTC"
        in text
    )


def test_without_data_in_the_catalogue_nothing_is_said_of_them() -> None:
    judged = judged_of([looked("web1", "shop")])
    assert judged.data == ()
    assert not any("Data" in line.plain for line in console_diagnosis.screen(judged, history.read([]), None, 80))
