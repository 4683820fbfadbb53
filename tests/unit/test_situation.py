"""What the record knows that bears on the options: this incident's facts, and what earlier ones say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl.desk import Desk
from incidentctl.options import Backup, Cause, Errors, Mitigation, Own, assess
from incidentctl.plan import Inventory, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings
from incidentctl.situation import situation, ways_back

ONE, BEFORE, DRILL = "INC-20260113-0300-aaaa", "INC-20260101-0300-bbbb", "INC-20260102-0300-cccc"
SPEC = {"releases": {"kind": "symlink"}, "ports": [80], "data": [{}]}
SHOP, MAIL = (Service(name, ("web1",), True, True, (), spec) for name, spec in (("shop", SPEC), ("mail", {})))
FULL = {"kind": "disk", "service": "shop", "title": "disk /srv: 100 % full", "score": 90, "about": {"path": "/srv"}}
JUDGED = {"causes": [FULL, {"kind": "errors", "service": "shop", "title": "No space left", "score": 40}]}


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "own.yml").touch()
    own = {"free_space": {"playbook": "own.yml", "for": ["disk"], "title": "Remove"}, "failover": "own.yml"}
    settings = {"state_dir": str(tmp_path), "custom_playbooks": own}
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        found = Settings.model_validate(settings, context={"folder": tmp_path})
        desk = Desk(ONE, record, found, Inventory({"web1": frozenset()}, (MAIL, SHOP)), (), "ann", nobody, nobody)
        declared(desk, ONE)
        yield desk


def declared(desk: Desk, name: str, **facts: Any) -> None:
    data = {"title": "x", "severity": "high", "services": ["shop", "mail"], "affected": ["shop"], "hosts": ["web1"]}
    desk.record.append(name, "declared", {**data, **facts}, "ann")


def note(desk: Desk, name: str, kind: str, **data: Any) -> None:
    desk.record.append(name, kind, data, "ann")


def said(desk: Desk, name: str, phase: str, capability: str, told: Any, host: str = "web1") -> None:
    note(
        desk, name, "host_outcome",
        phase=phase, host=host, capability=capability, outcome="done", facts={"services": {"shop": told}},
    )  # fmt: skip


def diagnosed(desk: Desk, name: str) -> None:
    note(desk, name, "step_started", phase="diagnose", capabilities=["diagnosis"], hosts=["web1"])
    note(desk, name, "step_finished", phase="diagnose", outcome="done", judged=JUDGED, affected=["shop"])


def recovered_by(desk: Desk, name: str, **decision: Any) -> None:
    diagnosed(desk, name)
    note(desk, name, "decided", **decision)
    note(desk, name, "step_started", phase="recover", capabilities=[], hosts=[])
    note(desk, name, "verified", recovered=True)
    note(desk, name, "closed")


def test_the_causes_are_those_of_the_newest_diagnosis(desk: Desk) -> None:
    assert situation(desk).causes == ()
    diagnosed(desk, ONE)
    assert situation(desk).causes == (
        Cause("disk", "shop", "disk /srv: 100 % full", 90),
        Cause("errors", "shop", "No space left", 40),
    )


@pytest.mark.parametrize("first", ["web1", "web2"])
def test_of_hosts_with_different_releases_the_one_that_leaves_the_newest_is_weighed(desk: Desk, first: str) -> None:
    told = {"web1": {"feasible": True, "from": "41", "to": "40"}, "web2": {"feasible": True, "from": "42", "to": "41"}}
    for host in sorted(told, key=lambda host: host != first):
        said(desk, ONE, "diagnose", "prepare_rollback", told[host], host)
    assert situation(desk).rollback["shop"]["from"] == "42"
    assert ways_back(desk.incident()) == {"shop": ["40", "41"]}


@pytest.mark.parametrize(
    "told", ["x", {"feasible": True, "to": ["41"]}, {"feasible": False, "to": "41"}, {"feasible": True}]
)
def test_no_way_back_is_read_from_what_tells_none(desk: Desk, told: Any) -> None:
    said(desk, ONE, "diagnose", "prepare_rollback", told)
    assert ways_back(desk.incident()) == {}


def test_what_solved_the_same_before_is_found_in_the_record_and_drills_apart(desk: Desk) -> None:
    declared(desk, BEFORE)
    recovered_by(desk, BEFORE, option="custom", playbook="free_space")
    declared(desk, DRILL, drill="disk_full")
    recovered_by(desk, DRILL, option="custom", playbook="free_space")
    diagnosed(desk, ONE)
    found = situation(desk)
    assert [(attempt.incident_id, attempt.way) for attempt in found.solved] == [(BEFORE, "custom free_space")]
    assert [attempt.incident_id for attempt in found.drilled] == [DRILL]
    assert list(found.past) == ["custom free_space"]
    assert len(found.past["custom free_space"]["shop"]) == 1
    best = assess(found)[0]
    assert (best.playbook, best.recommended) == ("free_space", True)
    assert f"the same pattern was on {BEFORE}" in " ".join(best.because)


def test_past_runs_are_those_of_the_affected_services_by_service_without_drills(desk: Desk) -> None:
    for name, facts in ((BEFORE, {}), (DRILL, {"drill": "x"})):
        declared(desk, name, **facts)
        said(desk, name, "recover", "rollback", {"seconds": 4.5})
    said(desk, ONE, "recover", "rollback", {"seconds": 3.0})
    assert sorted(situation(desk).past["rollback"]["shop"]) == [3.0, 4.5]


def test_backups_are_known_of_every_incident_of_the_record_each_item_by_itself(desk: Desk) -> None:
    declared(desk, BEFORE)
    rows = [{"kind": "files", "path": path, "verified": ok, "at": "T"} for path, ok in (("/a", True), ("/b", False))]
    said(desk, BEFORE, "contain", "backup", rows)
    assert situation(desk).backups == {"shop": [Backup("web1 files /a", "T"), Backup("web1 files /b", None)]}


def since(kind: str, path: str, at: str | None, count: int) -> dict[str, Any]:
    writes = {"count": count, "of": "rows", "at_least": False, "bytes": None}
    return {"kind": kind, "path": path, "at": at, "writes": writes, "source": "by its own counter"}


def test_what_hosts_count_since_their_backups_is_known_each_item_by_itself(desk: Desk) -> None:
    told = [since("sqlite", "/a", "T", 7), since("postgresql", "db1:5432/shop", "T", 3)]
    told += [since("postgresql", "/run/sockets:5433/shop", "T", 2), since("postgresql", "shop", None, 1)]
    said(desk, ONE, "diagnose", "diagnosis", {"since_backup": told})
    rows = {one.item: one.writes and one.writes.count for one in situation(desk).backups["shop"]}
    assert rows == {
        "web1 sqlite /a": 7,
        "postgresql db1:5432/shop": 3,  # the same from every host
        "web1 postgresql /run/sockets:5433/shop": 2,
        "web1 postgresql shop": 1,
    }


@pytest.mark.parametrize(
    "broken",
    [None, "x", {}, [None, 3], [{"at": 5, "writes": 5}], [{"at": None, "writes": {"count": -1}}],
     [{"kind": "sqlite", "path": ["\x1b[31m"], "at": "\x1b", "writes": {"count": True, "of": {}}, "source": None}]],
)  # fmt: skip
def test_what_a_host_says_of_its_backups_may_have_any_shape(desk: Desk, broken: Any) -> None:
    diagnosed(desk, ONE)
    said(desk, ONE, "diagnose", "diagnosis", {"since_backup": broken})
    said(desk, ONE, "diagnose", "prepare_rollback", {"feasible": True, "from": "2", "to": "1"})
    found = {option.key: option for option in assess(situation(desk))}
    assert found["rollback"].data_at_risk == "unknown: no verified backup"
    assert "\x1b" not in "".join(found["rollback"].because)


@pytest.mark.parametrize(
    ("capability", "told"),
    [
        ("prepare_rollback", "x"),
        ("prepare_rollback", [1]),
        ("prepare_rollback", {"feasible": True, "schema": "x"}),
        ("prepare_rollback", {"feasible": True, "schema": {"state": ["a"], "operations": 5}}),
        ("diagnosis", {"errors": [5]}),
        ("diagnosis", {"errors": [{"new": True, "new_since": "release", "count": "x"}]}),
        ("diagnosis", {"errors": [{"new": True, "new_since": "release", "count": [1]}]}),
    ],
)
def test_what_a_host_says_may_have_any_shape_and_the_question_is_put_all_the_same(
    desk: Desk, capability: str, told: Any
) -> None:
    diagnosed(desk, ONE)
    said(desk, ONE, "diagnose", capability, told)
    assert [option.letter for option in assess(situation(desk))]


def test_a_run_that_took_less_than_no_time_is_none(desk: Desk) -> None:
    said(desk, ONE, "recover", "rollback", {"seconds": -5})
    assert situation(desk).past == {}


def test_a_host_that_nobody_heard_of_its_data_makes_them_unknown(desk: Desk) -> None:
    both = Service("shop", ("web1", "web2"), True, True, (), SPEC)
    desk = replace(
        desk, incident_id=BEFORE, inventory=Inventory({"web1": frozenset(), "web2": frozenset()}, (MAIL, both))
    )
    declared(desk, BEFORE, hosts=["web1", "web2"])
    said(desk, BEFORE, "diagnose", "diagnosis", {"since_backup": [since("sqlite", "/a", "T", 7)]})
    found = {one.item: one.at for one in situation(desk).backups["shop"]}
    assert found == {"web1 sqlite /a": "T", "web2, all data": None}


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([{"template": "a", "count": 3, "new": True, "new_since": "release"}] * 2, Errors(6, 1)),
        ([{"template": "a", "count": 30, "again_count": 3, "new": True, "new_since": "release"}] * 2, Errors(6, 1)),
        ([{"template": "a", "count": 3, "new": False, "new_since": None}], Errors(0, 0)),
        ([], Errors(0, 0)),
        ([{"template": "a", "count": 3, "new": None}], None),
        ([{"template": "a", "count": 3, "new": True, "new_since": "onset"}], None),
        (None, None),
    ],
)
def test_errors_that_are_new_since_the_release_are_counted_over_all_hosts(
    desk: Desk, errors: Any, expected: Errors | None
) -> None:
    said(desk, ONE, "diagnose", "diagnosis", {"errors": errors})
    assert situation(desk).new_errors == {"shop": expected}


def test_looks_are_those_after_the_triage_at_what_it_found_sick(desk: Desk) -> None:
    said(desk, ONE, "triage", "health_check", {"healthy": False})
    note(desk, ONE, "step_started", phase="diagnose", capabilities=[], hosts=[])
    said(desk, ONE, "diagnose", "diagnosis", {"health": {"healthy": True}})
    note(desk, ONE, "step_finished", phase="diagnose", outcome="done")
    note(desk, ONE, "note", text="watch", watch={"shop": "down", "mail": "well"})
    assert [(look.service, look.healthy) for look in situation(desk).looks] == [("shop", True), ("shop", False)]


def test_where_no_health_check_saw_the_trouble_none_says_that_it_is_over(desk: Desk) -> None:
    said(desk, ONE, "triage", "health_check", {"healthy": True})
    note(desk, ONE, "step_started", phase="diagnose", capabilities=[], hosts=[])
    said(desk, ONE, "diagnose", "diagnosis", {"health": {"healthy": True}})
    note(desk, ONE, "step_finished", phase="diagnose", outcome="done")
    assert situation(desk).looks == ()


def test_mitigations_and_playbooks_are_those_of_the_settings(desk: Desk) -> None:
    found = situation(desk)
    assert found.custom == (Own("failover"), Own("free_space", frozenset({"disk"}), "Remove"))
    assert [(one.capability, one.services) for one in found.mitigations] == [
        ("enhanced_monitoring", ("shop",)),
        ("rate_limit", ("shop",)),
    ]
    assert isinstance(found.mitigations[0], Mitigation)


def test_what_was_decided_and_replaced_before_it_began_was_not_tried(desk: Desk) -> None:
    note(desk, ONE, "decided", option="rollback")
    note(desk, ONE, "decided", option="custom", playbook="failover")
    note(desk, ONE, "step_started", phase="recover", capabilities=[], hosts=[])
    assert situation(desk).tried == ("custom failover",)
