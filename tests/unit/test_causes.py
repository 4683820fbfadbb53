"""Which cause is the likeliest, and what speaks for it and against it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl import cause_rules, causes, dependencies, dependency_graph, history, observations
from incidentctl.causes import Cause
from incidentctl.outcome import HostOutcome
from incidentctl.plan import Service

ONSET = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
SHOP = Service("shop", ("web1", "web2"), True, True, ("partner",), {"depends_on": [{"name": "database", "check": "x"}]})
DATABASE = Service("database", ("db1",), True, False, (), {})


def finding(
    severity: str, kind: str, text: str, service: str | None = None, at: str | None = None, **about: Any
) -> Any:
    return {"severity": severity, "kind": kind, "text": text, "service": service, "at": at, "about": about}


def error(said: str, meaning: str | None = None, service: str = "shop", new: bool = False, **names: str) -> Any:
    about = {"error": said, "said": said, "count": 9, "new": new, "meaning": meaning, "names": names}
    return finding("warning", "errors", f"{service}: '{said}' 9 times", service, "2026-01-01T03:00:00+00:00", **about)


def release(said: str, meaning: str | None = None, **names: str) -> Any:
    about = {"error": said, "said": said, "count": 9, "new": True, "meaning": meaning, "names": names}
    text, at = f"shop: release 42 was deployed, 60 s before the first '{said}'", "2026-01-01T02:59:00+00:00"
    return finding("critical", "release", text, "shop", ONSET.isoformat(), release="42", deployed_at=at, **about)


UNHEALTHY = finding("critical", "unhealthy", "shop: health check fails: 500", "shop")
FULL = finding("critical", "disk", "disk /srv: 100 % full", path="/srv", percent=100)
NEEDS = [{"name": "database", "check": "tcp://db1:5432", "ok": False}]


def facts(*findings: Any, healthy: bool = False, changes: Any = (), service: str = "shop", needs: Any = NEEDS) -> Any:
    health = {"healthy": healthy, "depends_on": needs}
    return {"services": {service: {"health": health}}, "findings": list(findings), "changes": list(changes)}


def change(kind: str, name: str, at: str, service: str | None = None, path: str | None = None) -> Any:
    return {
        "kind": kind,
        "name": name,
        "text": f"had {kind} {name} changed",
        "at": at,
        "service": service,
        "path": path,
    }


def weigh(hosts: Any, silent: tuple[str, ...] = (), onset: datetime | None = ONSET) -> tuple[Cause, ...]:
    rows = [
        HostOutcome(host, "diagnosis", "unchanged", facts=told)
        for host, told in hosts.items()
        if isinstance(told, dict)
    ]
    told = history.read(rows)
    seen = observations.read(hosts, silent, (SHOP, DATABASE))
    roots = dependencies.failing(dependency_graph.graph((SHOP, DATABASE)), {row.host: row.facts for row in rows})
    return causes.weigh(seen, (SHOP, DATABASE), onset, told.changes, roots)


def test_a_full_disk_that_the_errors_name_is_likelier_than_the_release_before_them() -> None:
    said = error("no space left on device", "no_space", path="/srv/shop/data")
    about = release("no space left on device", "no_space", path="/srv/shop/data")
    found = weigh({"web1": facts(FULL, about, said, UNHEALTHY)})
    assert [cause.kind for cause in found][:2] == ["disk", "release"]
    assert "web1: shop says 'no space left on device' 9 times since 03:00:00 UTC" in found[0].supports
    assert "web1: explained by 'disk /srv: 100 % full'" in found[1].against


def test_of_an_error_that_came_again_the_count_is_not_said_to_be_since_then() -> None:
    said = error("no space left on device", "no_space", path="/srv/shop/data")
    said["about"]["again"] = True
    found = weigh({"web1": facts(FULL, said)})
    assert "web1: shop says 'no space left on device' 9 times in all, again since 03:00:00 UTC" in found[0].supports


def test_a_full_disk_of_which_nobody_speaks_is_less_likely_than_the_release_just_before() -> None:
    found = weigh({"web1": facts(FULL, release("no such column: total", "schema"), UNHEALTHY)})
    assert found[0].kind == "release"
    assert "web1: changed 02:59:00 UTC, 60 s before the trouble began" in found[0].supports


def test_an_error_that_names_another_place_does_not_speak_of_the_disk() -> None:
    there = weigh({"web1": facts(FULL, error("no space left", "no_space", path="/srv/x"), UNHEALTHY)})
    elsewhere = weigh({"web1": facts(FULL, error("no space left", "no_space", path="/boot/x"), UNHEALTHY)})
    assert score(there, "disk") > score(elsewhere, "disk")


def test_a_database_that_stands_still_explains_what_its_dependents_say() -> None:
    refused = error("connection refused", "connection_refused", host="db1", port="5432")
    fails = finding("critical", "dependency", "shop: its dependency database fails", "shop", name="database", check="x")
    stopped = finding("critical", "not_running", "database: not running", "database")
    hosts = {"web1": facts(fails, refused, UNHEALTHY), "db1": facts(stopped, service="database", needs=[])}
    found = weigh(hosts)
    assert [cause.kind for cause in found][:2] == ["not_running", "dependency"]
    assert "web1: shop, which is sick, needs database" in found[0].supports
    assert "db1: explained by 'database: not running'" in found[1].against


def test_a_host_that_does_not_answer_and_is_needed_is_the_likeliest() -> None:
    fails = finding("critical", "dependency", "shop: its dependency database fails", "shop", name="database", check="x")
    found = weigh({"web1": facts(fails, UNHEALTHY)}, silent=("db1",))
    assert (found[0].kind, found[0].hosts) == ("silent", ("db1",))


def test_what_several_hosts_have_is_one_row_with_all_of_them() -> None:
    found = weigh({"web2": facts(FULL, UNHEALTHY), "web1": facts(FULL, UNHEALTHY)})
    assert [cause.hosts for cause in found if cause.kind == "disk"] == [("web1", "web2")]


def test_a_change_on_just_the_sick_hosts_is_likelier_than_one_that_a_well_host_has_as_well() -> None:
    at = "2026-01-01T02:58:00+00:00"
    ours, both = change("configuration", "app.ini", at, "shop"), change("configuration", "log.ini", at, "shop")
    hosts = {"web1": facts(UNHEALTHY, changes=[ours, both]), "web2": facts(healthy=True, changes=[both])}
    found = weigh(hosts)
    assert [cause.title for cause in found[:2]] == ["configuration app.ini changed", "configuration log.ini changed"]
    assert "web2: shop is well with it" in found[1].against


@pytest.mark.parametrize(
    ("nearer", "farther"), [("02:58:00", "02:20:00"), ("02:20:00", "2025"), ("02:58:00", "03:00:50")]
)
def test_a_change_counts_more_the_shorter_before_the_trouble_it_was(nearer: str, farther: str) -> None:
    def at(time: str) -> str:
        return "2025-12-31T10:00:00+00:00" if time == "2025" else f"2026-01-01T{time}+00:00"

    changes = [change("configuration", time, at(time), "shop") for time in (farther, nearer)]
    found = [cause for cause in weigh({"web1": facts(UNHEALTHY, changes=changes)}) if cause.kind == "configuration"]
    assert found[0].about["name"] == nearer or found[0].score == found[1].score


def test_a_change_after_the_trouble_began_is_no_suspect() -> None:
    late = change("configuration", "app.ini", "2026-01-01T03:02:00+00:00", "shop")
    assert "configuration" not in {cause.kind for cause in weigh({"web1": facts(UNHEALTHY, changes=[late])})}


@pytest.mark.parametrize("is_denied", [False, True])
def test_mode_changed_just_before_counts_for_it_only_where_somebody_is_shut_out(is_denied: bool) -> None:
    denied = error("permission denied: /srv/shop/x", "permission", path="/srv/shop/x")

    def score(at: str) -> int:
        changed = change("permission", "/srv/shop", f"2026-01-01T{at}:00+00:00", "shop", "/srv/shop")
        seen = facts(UNHEALTHY, *([denied] if is_denied else []), changes=[changed])
        return next(cause.score for cause in weigh({"web1": seen}) if cause.kind == "permission")

    assert (score("02:55") > score("02:30")) is is_denied


@pytest.mark.parametrize("is_denied", [False, True])
def test_that_others_need_a_service_speaks_for_its_modes_only_where_somebody_is_shut_out(is_denied: bool) -> None:
    denied = [error("permission denied: /srv/db/x", "permission", "database", path="/srv/db/x")] if is_denied else []
    changed = change("permission", "/srv/db", "2026-01-01T02:55:00+00:00", "database", "/srv/db")
    seen = {"web1": facts(UNHEALTHY), "db1": facts(*denied, service="database", needs=[], changes=[changed])}
    cause = next(cause for cause in weigh(seen) if cause.kind == "permission")
    assert ("web1: shop, which is sick, needs database" in cause.supports) is is_denied


@pytest.mark.parametrize(
    ("failing", "detail", "kind"),
    [
        ("answer", "no complete answer within 3 s", "dependency_slow"),
        ("answer", "answered 500", "dependency"),
        ("connect", "no complete answer within 3 s", "dependency"),
    ],
)
def test_a_dependency_that_takes_the_request_and_answers_too_late_is_slow(failing: str, detail: str, kind: str) -> None:
    about = {"name": "database", "check": "x", "failing": failing, "detail": detail}
    fails = finding("critical", "dependency", "shop: its dependency database fails", "shop", **about)
    assert weigh({"web1": facts(fails, UNHEALTHY)})[0].kind == kind


def test_a_change_that_a_finding_is_about_is_suspected_once() -> None:
    at, path = "2026-01-01T02:59:00+00:00", "/srv/shop/data"
    found = finding("critical", "changed", "shop may not write there", "shop", at, path=path)
    seen = facts(UNHEALTHY, found, changes=[change("permission", path, at, "shop", path)])
    titles = [cause.title for cause in weigh({"web1": seen}) if cause.kind == "permission"]
    assert titles == ["shop may not write there"]


def test_what_this_incident_has_stopped_is_no_cause() -> None:
    stopped = finding("info", "contained", "shop: stopped by isolation of this incident", "shop", by="isolation")
    assert weigh({"web1": facts(stopped)}) == ()


def test_a_busy_host_on_which_nothing_is_sick_is_not_the_cause() -> None:
    busy = finding("warning", "load", "load 30 on 2 CPUs")
    found = weigh({"web1": facts(UNHEALTHY), "mon1": facts(busy, healthy=True, service="prometheus", needs=[])})
    load = next(cause for cause in found if cause.kind == "load")
    assert load.against == ("mon1: nothing that is sick runs there or needs it",)
    assert load == found[-1]


def test_an_error_that_says_where_to_look_is_a_cause_of_that_kind_and_before_one_that_says_nothing() -> None:
    found = weigh({"web1": facts(error("gone"), error("too many clients already", "too_many_connections"), UNHEALTHY)})
    assert [cause.kind for cause in found] == ["connections", "errors", "unhealthy"]


def test_a_full_disk_of_the_host_that_runs_what_is_needed_counts_whatever_name_it_is_called_by() -> None:
    said = error("could not extend file: no space left on device", "no_space", service="database")
    needs = [{"name": "database", "check": "tcp://db.example:5432", "ok": False}]
    hosts = {
        "web1": facts(UNHEALTHY, needs=needs),
        "db1": facts(FULL, said, service="database", healthy=True, needs=[]),
    }
    found = weigh(hosts)
    assert (found[0].kind, found[0].hosts) == ("disk", ("db1",))
    assert "web1: shop, which is sick, needs database" in found[0].supports


def test_what_a_database_says_itself_comes_before_what_those_say_that_it_turns_away() -> None:
    full = "remaining connection slots are reserved"
    check = finding("critical", "dependency", f"shop: its dependency database fails: {full}", "shop",
                    name="database", check="postgresql://db1/shop", detail=full, meaning="too_many_connections")  # fmt: skip
    ours, theirs = error(full, "too_many_connections"), error(f"FATAL: {full}", "too_many_connections", "database")
    needs = [{**NEEDS[0], "ok": False}]
    hosts = {"web1": facts(check, ours, UNHEALTHY, needs=needs), "db1": facts(theirs, service="database", needs=[])}
    found = weigh(hosts)
    assert [(cause.kind, cause.hosts) for cause in found[:2]] == [
        ("connections", ("db1",)),
        ("connections", ("web1",)),
    ]
    assert found[1].against == (
        "db1: explained by 'database: 'FATAL: remaining connection slots are reserved' 9 times'",
    )


def test_a_change_of_the_host_is_not_meant_by_an_error_that_names_another_place() -> None:
    at = "2026-01-01T02:58:00+00:00"
    said = error("permission denied: /srv/shop/data/x", "permission", path="/srv/shop/data/x")
    changes = [
        change("configuration", "hosts", at, path="/etc/hosts"),
        change("permission", "x", at, path="/srv/shop/data"),
    ]
    found = {c.about.get("path"): c for c in weigh({"web1": facts(said, UNHEALTHY, changes=changes)})}
    line = "web1: shop says 'permission denied: /srv/shop/data/x' 9 times since 03:00:00 UTC"
    assert line in found["/srv/shop/data"].supports
    assert line not in found["/etc/hosts"].supports


def test_an_error_that_floods_the_log_is_likelier_than_one_that_came_once() -> None:
    once, flood = error("cannot be mailed"), error("cannot be sent")
    once["about"]["count"], flood["about"]["count"] = 1, 41_000
    found = weigh({"web1": facts(once, flood, UNHEALTHY)})
    assert found[0].about["said"] == "cannot be sent"
    assert found[0].supports == ("web1: shop says 'cannot be sent' 41000 times since 03:00:00 UTC",)


def test_of_the_errors_that_a_release_brought_the_one_that_says_where_to_look_stands_for_it() -> None:
    vague, plain = release("an order failed"), release('column "voucher" does not exist', "schema")
    found = weigh({"web1": facts(vague, plain, UNHEALTHY), "web2": facts(vague, UNHEALTHY)})
    assert (found[0].title, found[0].hosts) == (plain["text"], ("web1", "web2"))


def test_what_comes_again_and_again_is_not_said_to_have_begun_with_its_last_time() -> None:
    last = "2026-01-01T03:10:00+00:00"
    killed = finding(
        "critical", "oom", "shop was killed for want of memory 5 times", "shop", last, count=5, last_at=last
    )
    found = weigh({"web1": facts(killed, UNHEALTHY)})
    assert (found[0].kind, found[0].against) == ("oom", ())


@pytest.mark.parametrize(("began", "told"), [("02:59:39", "21 s before"), ("03:00:21", "21 s after")])
def test_of_what_began_about_when_the_trouble_did_it_is_said_which_was_first(began: str, told: str) -> None:
    job = finding("warning", "process", "python takes a CPU", None, f"2026-01-01T{began}+00:00", name="python")
    (found,) = (cause for cause in weigh({"web1": facts(job, error("slow"), UNHEALTHY)}) if cause.kind == "process")
    assert f"web1: began {began} UTC, {told} the trouble began" in found.supports


def test_what_came_again_and_again_and_was_over_before_the_trouble_began_did_not_begin_it() -> None:
    def score(last: str) -> tuple[int, tuple[str, ...]]:
        killed = finding("warning", "oom", "shop was killed 5 times", "shop", last, count=5, last_at=last)
        (found,) = (cause for cause in weigh({"web1": facts(killed, error("gone"), UNHEALTHY)}) if cause.kind == "oom")
        return found.score, found.against

    shortly, early = score("2026-01-01T02:50:00+00:00"), score("2026-01-01T02:40:00+00:00")
    assert shortly[1] == ()
    assert early[1] == ("web1: the last time was 02:40:00 UTC, 20 min before the trouble began",)
    assert early[0] == shortly[0] + cause_rules.OVER_BEFORE


def killed_beside(said: Any, ok: bool = True, needs: bool = True) -> tuple[Cause, ...]:
    """A database that was killed and runs again, and what a service says that needs it, or does not."""
    last = "2026-01-01T03:00:30+00:00"
    text = "database: postgres was killed for want of memory 2 times"
    killed = finding("critical", "oom", text, "database", last, count=2, last_at=last)
    hosts = {
        "web1": facts(said, UNHEALTHY, needs=[{**NEEDS[0], "ok": ok}] if needs else []),
        "db1": facts(killed, service="database", healthy=True, needs=[]),
        "web2": facts(healthy=True, needs=[]),
    }
    return weigh(hosts)


@pytest.mark.parametrize("names", [{}, {"host": "db1"}, {"host": "db.example.internal"}])
@pytest.mark.parametrize("ok", [True, False])
def test_a_kill_is_what_those_say_who_need_the_service_and_were_refused(ok: bool, names: dict[str, str]) -> None:
    found = killed_beside(error("could not connect: connection refused", "connection_refused", **names), ok)
    assert found[0].kind == "oom"
    assert "web1: shop says 'could not connect: connection refused' 9 times since 03:00:00 UTC" in found[0].supports
    (refused,) = (cause for cause in found if cause.kind == "errors")
    assert refused.against[0].startswith("db1: explained by 'database: postgres was killed")


@pytest.mark.parametrize(
    ("said", "needs"),
    [
        (error("connection refused", "connection_refused"), False),
        (error("connection refused", "connection_refused", host="web2"), True),
        (error("an order failed"), True),
    ],
    ids=["it does not need it", "another host refused", "nobody was refused"],
)
def test_a_kill_is_not_what_others_say_of_something_else(said: Any, needs: bool) -> None:
    oom = next(cause for cause in killed_beside(said, needs=needs) if cause.kind == "oom")
    assert not any("shop says" in line for line in oom.supports)


def test_a_check_that_is_refused_is_explained_by_the_kill_of_what_it_asks() -> None:
    check = finding(
        "critical", "dependency", "shop: its dependency database fails: Connection refused", "shop", name="database",
        check="tcp://db1:5432", failing="connect", meaning="connection_refused", host="db1",
    )  # fmt: skip
    found = killed_beside(check, ok=False)
    assert found[0].kind == "oom"
    (refused,) = (cause for cause in found if cause.kind == "dependency")
    assert refused.against[0].startswith("db1: explained by 'database: postgres was killed")


def test_connections_that_run_out_while_all_wait_for_a_lock_are_explained_by_it() -> None:
    full = finding(
        "critical", "database_connections", "database: 37 of 37 connections are in use", "database", name="orders"
    )
    held = finding("critical", "lock", "database: 36 sessions wait for a lock", "database", name="database", user="ann")
    late = error("too many clients already", "too_many_connections")
    hosts = {"web1": facts(late), "db1": facts(full, held, healthy=True, service="database", needs=())}
    first, second, *_rest = weigh(hosts)
    assert (first.kind, second.kind) == ("lock", "database_connections")
    assert second.against[0] == "db1: explained by 'database: 36 sessions wait for a lock'"
    alone = weigh({**hosts, "db1": facts(full, healthy=True, service="database", needs=())})
    assert (alone[0].kind, alone[0].against) == ("database_connections", ())


def test_files_of_the_host_that_nothing_speaks_of_are_less_likely_than_a_slow_dependency() -> None:
    slow = finding("warning", "dependency_slow", "shop: its dependency database is slow", "shop", name="database")
    late = error("read timed out", "timeout")
    files = change("configuration", "/etc", "2026-01-01T02:58:00+00:00", path="/etc")
    found = weigh({"web1": facts(slow, late, UNHEALTHY, changes=[files])})
    assert found[0].kind == "dependency_slow"


def test_a_database_that_its_manager_calls_well_is_suspected_by_those_who_need_it_in_vain() -> None:
    full = finding(
        "critical", "database_connections", "database: 37 of 37 connections are in use", "database", host="db1"
    )
    hosts = {
        "web1": facts(UNHEALTHY, needs=[{**NEEDS[0], "ok": False}]),
        "db1": facts(full, service="database", healthy=True, needs=[]),
    }
    first = weigh(hosts)[0]
    assert (first.kind, first.against) == ("database_connections", ())
    assert first.supports[:2] == ("web1: shop, which is sick, needs database", "shop is sick on web1")


def test_that_a_host_is_needed_says_nothing_of_each_of_its_files() -> None:
    files = change("configuration", "/etc", "2026-01-01T02:58:00+00:00", path="/etc")
    needs = [{**NEEDS[0], "ok": False}]
    hosts = {"web1": facts(UNHEALTHY, needs=needs), "db1": facts(service="database", needs=[], changes=[files])}
    cause = next(cause for cause in weigh(hosts) if cause.kind == "configuration")
    assert "web1: shop, which is sick, needs database" not in cause.supports


def test_modes_of_one_service_that_nothing_speaks_of_are_one_row_and_less_likely_than_a_slow_dependency() -> None:
    modes = [finding("critical", "changed", f"shop: mode of {p} changed", "shop", path=p) for p in ("/srv/a", "/srv/b")]
    slow = finding("warning", "dependency_slow", "shop: its dependency database is slow", "shop", name="database")
    found = weigh({"web1": facts(*modes, slow, healthy=True)})
    assert [cause.kind for cause in found] == ["dependency_slow", "permission"]


def test_a_service_that_only_suffers_says_from_what() -> None:
    stopped = finding("critical", "not_running", "database: not running", "database")
    needs = [{**NEEDS[0], "ok": False}]
    hosts = {"web1": facts(UNHEALTHY, needs=needs), "db1": facts(stopped, service="database", needs=[])}
    found = weigh(hosts)
    assert found[0].supports[1] == "nothing deeper fails: database: fails from web1; not well on db1"
    assert found[1].against == ("web1: suffers from 'database: fails from web1; not well on db1'",)


def test_a_kind_that_is_not_known_yet_is_told_all_the_same() -> None:
    assert [cause.kind for cause in weigh({"web1": facts(finding("critical", "gremlins", "gremlins"))})] == ["gremlins"]


@pytest.mark.parametrize(
    ("head", "rules", "other"),
    [
        ("a finding for a start", cause_rules.RULES, cause_rules.OTHER),
        ("a change by itself", cause_rules.CHANGES, cause_rules.OTHER_CHANGE),
    ],
)
def test_the_documentation_has_the_points_of_every_kind(head: str, rules: Any, other: Any) -> None:
    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    rows = text.partition(f"| {head} | points |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    told = {
        kind: int(points)
        for kinds, points in (row.strip("| ").split(" | ") for row in rows)
        for kind in kinds.split(", ")
    }
    assert told == {**{kind: rule.prior for kind, rule in rules.items()}, "any other": other.prior}


# --- properties ----------------------------------------------------------------------------------

HOSTS = ("web1", "web2", "db1")
KNOWN = [
    FULL, UNHEALTHY, release("no such column", "schema"), error("no space left", "no_space", path="/srv/shop"),
    error("refused", "connection_refused", host="db1"), finding("info", "oom", "the kernel killed", kills=1),
    finding("critical", "not_running", "database: not running", "database"),
    finding("critical", "dependency", "database fails", "shop", name="database", check="tcp://db1:5432"),
    finding("warning", "load", "load 9", load1=9.0),
]  # fmt: skip
SITES = st.dictionaries(
    st.sampled_from(HOSTS),
    st.builds(
        lambda found, healthy, service: facts(*found, healthy=healthy, service=service),
        st.lists(st.sampled_from(KNOWN), max_size=5),
        st.booleans(),
        st.sampled_from(("shop", "database")),
    ),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("0001-01-01T00:00:00+14:00"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KEYS = ("severity", "kind", "text", "service", "at", "about", "name", "path", "check", "health", "host", "depends_on")
ROWS = st.dictionaries(st.sampled_from(KEYS), ANYTHING | st.sampled_from(("disk", "errors", "release", "dependency")))
ODD = st.dictionaries(
    st.sampled_from(("services", "findings", "changes")),
    ANYTHING | st.lists(ROWS, max_size=3) | st.dictionaries(st.text(max_size=3), ROWS, max_size=2),
)


@given(st.dictionaries(st.sampled_from(HOSTS), ODD | ANYTHING))
def test_whatever_hosts_say_causes_are_weighed(hosts: dict[str, Any]) -> None:
    for cause in weigh(hosts):
        assert 0 <= cause.score <= 100
        assert all(text.isprintable() for text in (cause.title, *cause.supports, *cause.against))


@given(SITES, st.randoms())
def test_the_order_does_not_hang_on_which_host_was_asked_first(hosts: dict[str, Any], chance: random.Random) -> None:
    names = list(hosts)
    chance.shuffle(names)
    assert weigh({name: hosts[name] for name in names}, ("mon1",)) == weigh(hosts, ("mon1",))


@given(SITES)
def test_every_line_names_a_host_and_says_what_the_facts_say(hosts: dict[str, Any]) -> None:
    known = {*HOSTS, *(said for row in KNOWN for said in (row["text"], row["about"].get("said")) if said)}
    for cause in weigh(hosts):
        assert cause.title in {row["text"] for row in KNOWN}
        for text in (*cause.supports, *cause.against):
            assert any(name in text for name in (*hosts, "shop")), text
            assert "'" not in text or any(said in text for said in known)


@settings(max_examples=50)
@given(SITES, st.data())
def test_one_more_thing_that_speaks_for_a_cause_never_lowers_its_place(
    hosts: dict[str, Any], data: st.DataObject
) -> None:
    """The disk's own error on its own host, which speaks for nothing else."""
    hosts = {**hosts, "web1": facts(FULL, UNHEALTHY, *(hosts.get("web1") or facts())["findings"])}
    more = error("disk quota exceeded", "no_space", path="/srv/" + data.draw(st.sampled_from(["a", "b"])))
    with_it = {**hosts, "web1": {**hosts["web1"], "findings": [*hosts["web1"]["findings"], more]}}
    before, after = (
        [c.kind for c in weigh(each) if c.about.get("said") != more["about"]["said"]] for each in (hosts, with_it)
    )
    assert after.index("disk") <= before.index("disk")


def score(found: tuple[Cause, ...], kind: str) -> int:
    return next(cause.score for cause in found if cause.kind == kind)
