"""Recovery options: what counts for each, what is recommended, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentctl import options
from incidentctl.errors import UsageError
from incidentctl.options import Backup, Cause, Errors, Look, Mitigation, Option, Own, Situation, Writes, assess, points
from incidentctl.precedents import Attempt

NOW = datetime(2026, 1, 13, 3, 0, tzinfo=UTC)
READY = {
    "feasible": True,
    "from": "42",
    "to": "41",
    "rehearsed": True,
    "migrations": [],
    "schema": {"state": "none", "reversible": True, "reason": "", "operations": []},
    "deployed_at": (NOW - timedelta(minutes=10)).isoformat(),
}
RELEASE = Cause("release", "shop", "release 42 of shop was deployed 60 s before the first 'KeyError'", 80)
DISK = Cause("disk", "shop", "disk /srv/shop/data: 100 % full", 90)
FLOOD = Cause("connections", None, "10.0.0.9 has 486 of the 487 connections to port 8443", 85)
LIMIT = Mitigation("rate_limit", "limit new connections", ("shop",))
WATCH = Mitigation("enhanced_monitoring", "load alerting rules", ("shop",))
SPACE = Own("free_space", frozenset({"disk", "inodes"}), "Remove what is safe to remove")
SHOP = Situation(
    affected=("shop",),
    now=NOW,
    specs={"shop": {"releases": {"kind": "symlink"}, "maintenance": {}}},
    rollback={"shop": READY},
    mitigations=(WATCH, LIMIT),
    onset={"shop": (NOW - timedelta(minutes=9)).isoformat()},
)


def schema(state: str, reason: str = "", operations: Sequence[str] = ()) -> dict[str, Any]:
    return {"state": state, "reversible": None, "reason": reason, "operations": list(operations)}


def option(situation: Situation, key: str) -> Option:
    return next(o for o in assess(situation) if o.key == key)


def best(situation: Situation) -> str | None:
    return next((o.key for o in assess(situation) if o.recommended), None)


def with_rollback(**facts: Any) -> Situation:
    return replace(SHOP, rollback={"shop": {**READY, **facts}})


def tried_before(way: str, recovered: bool, days: int = 12, seconds: float | None = 41.0) -> Attempt:
    name, _space, playbook = way.partition(" ")
    at = (NOW - timedelta(days=days)).isoformat()
    return Attempt("INC-20260101-0300-aaaa", at, name, playbook or None, recovered, seconds)


def test_a_rehearsed_rollback_of_the_release_before_the_onset_is_recommended() -> None:
    rollback = assess(SHOP)[0]
    assert (rollback.key, rollback.recommended) == ("rollback", True)
    assert rollback.confidence == 40 + 15 + 5 + 5
    assert "+15  release 42 of shop came 60 s before the onset" in rollback.because


def test_each_option_keeps_its_letter_and_the_recommended_one_comes_first() -> None:
    found = assess(replace(SHOP, causes=(DISK,), custom=(SPACE,)))
    assert {o.key: o.letter for o in found} == dict(zip(options.KEYS, "ABCDE", strict=True))
    assert found[0].recommended
    assert [o.feasible for o in found] == sorted((o.feasible for o in found), reverse=True)
    sure = [o.confidence for o in found if o.feasible and not o.recommended and o.confidence is not None]
    assert sure == sorted(sure, reverse=True)


def test_what_the_hosts_refuse_is_impossible_and_the_next_best_is_recommended() -> None:
    refused = {"rollback": "web1: the switch is held by another incident"}
    found = assess(replace(SHOP, causes=(FLOOD,), refused=refused))
    assert (found[0].key, found[0].recommended) == ("mitigate", True)
    assert found[-1].key in ("rollback", "hotfix", "custom")
    assert option(replace(SHOP, refused={"rollback": "held"}), "rollback").why_not == "held"


def test_it_says_why_it_is_that_release() -> None:
    why = "the last one seen healthy here, 2026-01-01 02:11 UTC"
    (step,) = option(with_rollback(why=why), "rollback").steps
    assert f"({why}), restart, see health hold" in step
    (step,) = option(with_rollback(to=None, why="the service's own command chooses it"), "rollback").steps
    assert "→ the service's own command chooses it, restart" in step


def test_without_a_release_to_go_back_to_it_says_why() -> None:
    rollback = option(with_rollback(feasible=False, reason="no earlier release than 41"), "rollback")
    assert not rollback.feasible
    assert "no earlier release than 41" in rollback.why_not


def test_a_service_without_releases_says_that_the_catalogue_names_none() -> None:
    assert "names no releases" in option(replace(SHOP, rollback={}, specs={"shop": {}}), "rollback").why_not


# --- the likeliest cause --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("causes", "fact"),
    [
        ((RELEASE,), "+16  a rollback touches the likeliest cause ("),
        ((RELEASE, DISK._replace(score=71)), " +8  a rollback touches the likeliest cause ("),
        ((RELEASE, DISK._replace(score=70)), "+16  a rollback touches the likeliest cause ("),
        (
            (DISK,),
            "-22  a rollback does not touch the likeliest cause (90 of 100): disk /srv/shop/data: 100 % full",
        ),
        ((DISK, RELEASE._replace(score=81)), "-11  a rollback does not touch the likeliest cause ("),
        ((RELEASE._replace(service="mail"),), "-20  a rollback does not touch the likeliest cause ("),
        ((), " +0  no cause is known"),
        (
            (Cause("errors", "shop", "KeyError", 50),),
            " +0  what lies behind the likeliest cause, KeyError, is not known",
        ),
    ],
)
def test_a_rollback_is_weighed_by_whether_it_touches_the_likeliest_cause(causes: tuple[Cause, ...], fact: str) -> None:
    assert any(line.startswith(fact) for line in option(replace(SHOP, causes=causes), "rollback").because)


def test_of_a_symptom_the_cause_behind_it_counts() -> None:
    symptom = Cause("errors", "shop", "KeyError: 'price'", 90)
    (line,) = (x for x in option(replace(SHOP, causes=(symptom, DISK)), "rollback").because if "likeliest" in x)
    assert "does not touch the likeliest cause (90 of 100): disk" in line


def test_a_mitigation_is_narrowed_to_what_touches_the_cause_and_says_why() -> None:
    breaker = Mitigation("circuit_breaker", "open the circuit breakers", ("shop",))
    found = option(replace(SHOP, mitigations=(WATCH, LIMIT, breaker), causes=(FLOOD,)), "mitigate")
    assert found.capabilities == ("enhanced_monitoring", "rate_limit")
    assert found.steps[0] == "shop: load alerting rules"
    assert found.steps[1].startswith(
        "shop: limit new connections, because it touches the likeliest cause: 10.0.0.9 has 486"
    )
    assert any("rate_limit touches the likeliest cause" in line for line in found.because)


def test_a_mitigation_that_touches_no_known_cause_stays_whole_and_is_no_advice() -> None:
    found = option(replace(SHOP, causes=(DISK,)), "mitigate")
    assert found.capabilities == ("enhanced_monitoring", "rate_limit")
    assert found.confidence == points.LEAST
    assert best(replace(SHOP, rollback={}, causes=(DISK,))) is None
    assert best(replace(SHOP, rollback={}, causes=(FLOOD,))) == "mitigate"


# --- nothing recommended ------------------------------------------------------------------------------


def guessed(score: int) -> Situation:
    return replace(SHOP, rollback={}, mitigations=(), causes=(DISK._replace(score=score),), custom=(SPACE,))


def test_that_a_mere_guess_is_touched_is_no_reason_to_do_anything() -> None:
    found = option(guessed(12), "custom")
    assert (found.confidence, found.recommended, found.reason) == (32, False, "")
    assert best(guessed(points.KNOWN_FROM - 1)) is None
    assert best(guessed(points.KNOWN_FROM)) == "custom"


def test_with_nothing_known_nothing_is_recommended_unless_it_helped_before() -> None:
    unknown = replace(SHOP, rollback={"shop": {**READY, "deployed_at": None}}, custom=(SPACE,))
    assert option(unknown, "rollback").confidence == 40 + 5 + 5
    assert best(unknown) is None
    assert best(replace(unknown, solved=(tried_before("rollback", True),))) == "rollback"
    assert best(replace(unknown, solved=(tried_before("rollback", True), tried_before("rollback", False)))) is None
    assert best(replace(unknown, drilled=(tried_before("rollback", True),))) == "rollback"


CAUSE = {"title": "disk /srv: 100 % full", "score": 12, "hosts": ["web1", "web2"]}


@pytest.mark.parametrize(
    ("ways_out", "judged", "told"),
    [
        (
            [],
            {"causes": [CAUSE]},
            "None is recommended: too little is known. Look first at the likeliest cause (12 of 100) on web1, web2: disk /srv: "
            "100 % full.",
        ),
        (
            [],
            {"causes": [{**CAUSE, "score": 90, "hosts": []}]},
            "None is recommended: too little speaks for what is possible. Look first at the likeliest cause (90 of 100): disk "
            "/srv: 100 % full.",
        ),
        ([], None, "None is recommended: no cause is known, and nothing else speaks for one of them."),
        ([], {"causes": "x"}, "None is recommended: no cause is known, and nothing else speaks for one of them."),
        (
            [{"letter": "E", "reason": ""}, {"letter": "A", "reason": "A release came."}],
            {"causes": [CAUSE]},
            "None is recommended: A would be, but a guard refuses it.",
        ),
    ],
)
def test_it_says_why_nothing_is_recommended_and_what_to_look_at(ways_out: Any, judged: Any, told: str) -> None:
    assert options.unadvised(ways_out, judged) == told


# --- playbooks of one's own -------------------------------------------------------------------------


def test_a_playbook_for_the_likeliest_cause_is_recommended_before_a_rollback_that_does_not_touch_it() -> None:
    found = assess(replace(SHOP, causes=(DISK,), custom=(Own("failover"), SPACE)))
    assert (found[0].key, found[0].playbook) == ("custom", "free_space")
    assert found[0].title == "Remove what is safe to remove (free_space)"
    assert found[0].steps[1] == "or incidentctl decide custom --playbook failover"


def test_of_several_that_fit_the_one_that_helped_before_comes_first_and_the_others_can_be_chosen() -> None:
    other = Own("archive_logs", frozenset({"disk"}))
    both = replace(SHOP, causes=(DISK,), custom=(other, SPACE))
    assert option(both, "custom").playbook == "archive_logs"
    helped = replace(both, solved=(tried_before("custom free_space", True),))
    assert option(helped, "custom").playbook == "free_space"
    assert "or incidentctl decide custom --playbook archive_logs" in option(helped, "custom").steps
    assert option(replace(both, tried=("custom archive_logs",)), "custom").playbook == "free_space"


def test_a_playbook_for_the_symptom_that_comes_first_goes_before_one_for_a_cause_that_is_less_likely() -> None:
    symptom, near = (
        Cause("errors", "shop", "not an address", 36),
        Cause("configuration", None, "/etc/x put in place", 33),
    )
    site = replace(SHOP, rollback={}, mitigations=(), causes=(symptom, near))
    restore, quiet = Own("restore", frozenset({"configuration"})), Own("quiet", frozenset({"errors"}))
    assert option(replace(site, custom=(restore, quiet)), "custom").playbook == "quiet"
    assert option(replace(site, custom=(restore,)), "custom").playbook == "restore", "nobody knows what lies behind it"


@pytest.mark.parametrize("causes", [(), (RELEASE,), (Cause("errors", "shop", "KeyError", 50),)])
def test_of_a_playbook_that_does_not_fit_nothing_is_known(causes: tuple[Cause, ...]) -> None:
    custom = option(replace(SHOP, affected=(), rollback={}, causes=causes, custom=(SPACE, Own("failover"))), "custom")
    assert custom.feasible
    assert not custom.recommended
    assert custom.confidence is None
    assert custom.playbook is None


# --- waiting ----------------------------------------------------------------------------------------

WELL = (Look("2026-01-13T02:58:00+00:00", "shop", True), Look("2026-01-13T02:59:00+00:00", "shop", True))


def test_waiting_is_recommended_only_where_every_look_was_healthy() -> None:
    assert best(replace(SHOP, looks=WELL)) == "wait"
    assert "every look since the triage was healthy, 2 of 2" in " ".join(
        option(replace(SHOP, looks=WELL), "wait").because
    )
    for looks in ((), (*WELL, Look("2026-01-13T02:57:00+00:00", "shop", False)), (WELL[0]._replace(service="mail"),)):
        found = replace(SHOP, looks=looks, rollback={}, mitigations=())
        assert best(found) is None
        assert option(found, "wait").feasible


def test_waiting_is_not_recommended_while_the_likeliest_cause_is_still_there() -> None:
    flood = Cause("connections", "shop", "10.0.0.9 has 490 of 491 connections to port 8443", 70)
    found = replace(SHOP, rollback={}, looks=WELL[:1], causes=(flood,))
    assert best(found) == "mitigate"
    assert option(found, "mitigate").confidence == option(replace(found, looks=()), "mitigate").confidence
    over = (Cause("oom", "shop", "it was killed", 70), flood._replace(score=30))
    for cause in over:
        assert best(replace(found, causes=(cause,))) == "wait"


def test_every_affected_service_must_have_been_looked_at() -> None:
    assert best(replace(SHOP, affected=("shop", "mail"), looks=WELL)) != "wait"


def test_what_recovers_by_itself_counts_against_touching_it() -> None:
    before, after = (option(found, "rollback").confidence for found in (SHOP, replace(SHOP, looks=WELL)))
    assert (before, after) == (65, 25)


def test_no_known_affected_service_means_no_option() -> None:
    assert not any(o.feasible for o in assess(replace(SHOP, affected=(), rollback={}, mitigations=())))


# --- what was done before ---------------------------------------------------------------------------


def test_what_solved_the_same_pattern_before_is_told_with_when_and_how_long() -> None:
    found = replace(SHOP, solved=(tried_before("rollback", True), tried_before("hotfix", False, days=20)))
    line = "+20  the same pattern was on INC-20260101-0300-aaaa, 12 days ago: a rollback recovered it in 41 s"
    assert line in option(found, "rollback").because
    assert option(found, "rollback").reason == (
        "The same pattern was on INC-20260101-0300-aaaa, 12 days ago: a rollback recovered it in 41 s, and release 42 of shop "
        "came 60 s before the onset."
    )


def test_of_what_is_less_than_two_days_old_the_time_is_told_which_stays_as_it_is() -> None:
    found = replace(SHOP, solved=(tried_before("rollback", True, days=1),))
    assert "on INC-20260101-0300-aaaa, at 2026-01-12 03:00 UTC: a rollback" in " ".join(
        option(found, "rollback").because
    )
    assert assess(found) == assess(replace(found, now=NOW + timedelta(minutes=5)))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([False], "-20  the same pattern was on INC-20260101-0300-aaaa, 12 days ago: a rollback did not recover it"),
        (
            [False, True],
            " +0  the same pattern was on INC-20260101-0300-aaaa, 12 days ago: a rollback recovered it in 41 s; 1",
        ),
        (
            [True, True, False],
            " +7  the same pattern was on INC-20260101-0300-aaaa, 12 days ago: a rollback recovered it in",
        ),
    ],
)
def test_what_did_not_help_before_counts_against_it(ends: list[bool], said: str) -> None:
    found = replace(SHOP, solved=tuple(tried_before("rollback", end) for end in ends))
    assert any(line.startswith(said) for line in option(found, "rollback").because)


def test_drills_count_less_than_what_really_happened() -> None:
    found = replace(SHOP, drilled=(tried_before("rollback", True), tried_before("rollback", True)))
    assert "+10  a rollback recovered 2 of 2 drills" in option(found, "rollback").because
    assert points.DRILLED < points.SOLVED


def test_what_was_tried_in_vain_is_not_recommended_again() -> None:
    again = replace(SHOP, causes=(FLOOD,), tried=("rollback",))
    assert best(again) == "mitigate"
    assert "-40  it was tried in this incident and did not recover it" in option(again, "rollback").because


# --- errors, schema, downtime, data -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "fact"),
    [
        ({"shop": Errors(214, 1)}, " +5  1 error of shop, in 214 lines, is new since its release"),
        ({"shop": Errors(214, 3)}, " +5  3 kinds of errors of shop, in 214 lines, are new since its release"),
        ({"shop": Errors(0, 0)}, "-5  no error of shop is new since its release"),
        ({"shop": None}, "+0  it is not known whether errors of shop are new since its release"),
        ({}, "+0  it is not known whether errors of shop are new since its release"),
    ],
)
def test_errors_that_are_new_since_the_release_speak_for_a_rollback(
    errors: dict[str, Errors | None], fact: str
) -> None:
    assert any(fact in line for line in option(replace(SHOP, new_errors=errors), "rollback").because)


def test_of_several_services_the_worst_counts() -> None:
    two = replace(
        SHOP, affected=("shop", "mail"), rollback={"shop": READY, "mail": {**READY, "schema": schema("breaking", "x")}}
    )
    because = option(two, "rollback").because
    assert any("the older release of mail may not run" in line for line in because)
    assert not any("schema migration of shop" in line for line in because)


def test_a_rollback_that_helps_one_of_two_says_so() -> None:
    found = option(replace(SHOP, affected=("shop", "mail")), "rollback")
    assert "-20  it does not help mail: no release to go back to" in found.because


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        (schema("none"), "no schema migration of shop lies in between"),
        (
            schema("compatible", operations=["adds column orders.note"]),
            "the schema of shop changed, and the older release can run on it: adds column orders.note",
        ),
        (
            schema("breaking", "drops column orders.note in 0003.sql"),
            "the older release of shop may not run on the schema: drops column orders.note in 0003.sql",
        ),
        (
            schema("unknown", "0003.py: its expressions are nested too deeply"),
            "ask: it is not known whether the older release of shop can run on the schema: 0003.py: its expressions are "
            "nested too deeply",
        ),
        (None, "ask: it is not known whether the older release of shop can run on the schema: nothing is known of its"),
        ({"state": "fine"}, "ask: it is not known whether the older release of shop can run on the schema: nothing is"),
    ],
)
def test_each_state_of_the_schema_has_its_figure_and_its_fact(told: dict[str, Any] | None, fact: str) -> None:
    state = (told or {}).get("state", "unknown")
    figure = points.SCHEMA.get(state, points.SCHEMA["unknown"])
    because = option(with_rollback(schema=told), "rollback").because
    assert any(line.startswith(f"{figure:+3d}  {fact}") for line in because)


def test_downtime_is_median_and_worst_of_past_runs_else_a_default_that_says_so() -> None:
    found = option(replace(SHOP, past={"rollback": {"shop": [4, 30, 8]}}), "rollback")
    assert found.downtime == "8.0 s (worst 30 s)"
    assert "downtime: median and worst of 3 past run(s) of shop" in found.because
    assert option(SHOP, "rollback").downtime == "2 min (default)"
    assert any(
        line.startswith("downtime: a default, for there was no past run of shop")
        for line in option(SHOP, "rollback").because
    )


def test_of_several_services_downtime_is_that_of_the_slowest_and_who_never_ran_is_named() -> None:
    both = replace(SHOP, affected=("shop", "mail"), rollback={"shop": READY, "mail": READY})
    slow = option(replace(both, past={"rollback": {"shop": [4], "mail": [9, 11]}}), "rollback")
    assert slow.downtime == "10 s (worst 11 s)"
    one = option(replace(both, past={"rollback": {"shop": [4]}}), "rollback")
    assert "downtime: median and worst of 1 past run(s) of shop; none of mail" in one.because


def test_data_at_risk_of_a_schema_change_is_what_came_since_the_last_verified_backup() -> None:
    risky = with_rollback(schema=schema("breaking", "drops column orders.note in 0003.sql"))
    assert option(risky, "rollback").data_at_risk == "unknown: no verified backup"
    assert "shop: drops column orders.note in 0003.sql" in option(risky, "rollback").because[-1]
    new, old = ((NOW - timedelta(minutes=minutes)).isoformat() for minutes in (5, 50))
    backups = {"shop": [Backup("web1 files /srv", old), Backup("web1 files /srv", new)]}
    found = option(replace(risky, backups=backups), "rollback")
    assert found.data_at_risk == "unknown since 02:55 UTC"
    assert found.because[-2] == (
        "data: web1 files /srv: last verified backup 2026-01-13 02:55 UTC; what was written since is not known"
    )


def risky(*there: Backup, data: int = 1) -> Situation:
    """A rollback across a breaking schema, with these backups of so many items that the catalogue names."""
    specs = {"shop": {"releases": {"hotfix": ["x"]}, "data": [{}] * data}}
    return replace(with_rollback(schema=schema("breaking")), backups={"shop": there}, specs=specs)


AT = (NOW - timedelta(hours=1)).isoformat()
LATER = (NOW - timedelta(minutes=5)).isoformat()
ROWS = Backup("postgresql db1/shop", AT, Writes(1200, "rows"), "by the server's statistics")
FEW = Backup("web1 files /srv", LATER, Writes(4, "files", False, 3_400_000), "by when its files changed")


def test_data_at_risk_are_the_writes_since_the_backup_of_all_items_with_each_under_it() -> None:
    for key in ("rollback", "hotfix"):  # a hotfix, too, may leave no way but that backup
        found = option(risky(ROWS, FEW, data=2), key)
        assert found.data_at_risk == "1,204 writes since 02:00 UTC"
        lines = "\n".join(found.because)
        assert (
            "data: postgresql db1/shop: 1,200 rows written since the last verified backup, 2026-01-13 02:00 UTC,"
            " by the server's statistics"
        ) in lines
        assert "data: web1 files /srv: 4 files (3.4 MB) written since" in lines


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (ROWS._replace(writes=Writes(0, "rows")), "0 writes since 02:00 UTC"),
        (ROWS._replace(writes=Writes(1, "rows")), "1 write since 02:00 UTC"),
        (ROWS._replace(writes=Writes(1, "rows", at_least=True)), "1+ writes since 02:00 UTC"),
        (ROWS._replace(writes=None), "unknown since 02:00 UTC"),
        (ROWS._replace(at=(NOW - timedelta(days=3)).isoformat()), "1,200 writes since 2026-01-10"),
        (ROWS._replace(at=None), "unknown: no verified backup"),
        (ROWS._replace(at="garbage"), "unknown: no verified backup"),
    ],
)
def test_what_is_not_known_of_the_writes_is_told_as_that(there: Backup, told: str) -> None:
    assert option(risky(there), "rollback").data_at_risk == told


def test_writes_that_nobody_counted_make_all_of_them_unknown() -> None:
    assert option(risky(FEW, ROWS._replace(writes=None), data=2), "rollback").data_at_risk == "unknown since 02:00 UTC"


def test_a_newer_backup_counts_though_nobody_counted_since_it() -> None:
    newer = ROWS._replace(at=LATER, writes=None)
    assert option(risky(ROWS, newer), "rollback").data_at_risk == "unknown since 02:55 UTC"


def test_of_one_backup_that_two_tell_of_the_writes_that_were_counted_are_told() -> None:
    record = ROWS._replace(writes=None, source="")
    for both in ((ROWS, record), (record, ROWS)):
        assert option(risky(*both), "rollback").data_at_risk == "1,200 writes since 02:00 UTC"


def test_data_that_two_services_share_are_counted_once() -> None:
    found = replace(
        risky(ROWS), affected=("shop", "mail"), backups={"shop": [ROWS], "mail": [ROWS]},
        rollback={name: {**READY, "schema": schema("breaking")} for name in ("shop", "mail")},
    )  # fmt: skip
    assert option(found, "rollback").data_at_risk == "1,200 writes since 02:00 UTC"


def test_the_backup_is_told_also_where_no_data_is_at_risk() -> None:
    found = option(replace(risky(ROWS), rollback={"shop": READY}), "rollback")
    assert found.data_at_risk == "none: the data stays"
    assert any("1,200 rows written since" in line for line in found.because)


def test_the_figure_of_data_at_risk_does_not_move_while_one_reads_it() -> None:
    before = risky(ROWS, FEW, data=2)
    assert assess(replace(before, now=NOW + timedelta(minutes=7))) == assess(before)


def test_an_item_of_the_data_without_a_verified_backup_makes_it_unknown() -> None:
    risky = with_rollback(schema=schema("breaking"))
    at = (NOW - timedelta(minutes=5)).isoformat()
    one = Backup("web1 files /srv", at)
    beside = replace(risky, backups={"shop": [one, Backup("web1 sqlite /srv/shop.db", None)]})
    missing = replace(risky, backups={"shop": [one]}, specs={"shop": {"releases": {}, "data": [{}, {}]}})
    for found in (beside, missing):
        assert option(found, "rollback").data_at_risk == "unknown: no verified backup"
        assert "data: 1 of 2 data item(s) of shop in a verified backup" in option(found, "rollback").because


def test_of_a_schema_that_the_older_release_can_run_on_no_data_is_lost() -> None:
    found = option(with_rollback(schema=schema("compatible", operations=["adds column orders.note"])), "rollback")
    assert found.data_at_risk == "none lost: new data stays, unseen"
    assert "data: the schema changed for shop: adds column orders.note" in found.because


def test_a_hotfix_is_possible_where_every_affected_service_declares_one_and_asks_for_a_review() -> None:
    declared = replace(SHOP, specs={"shop": {"releases": {"kind": "command", "hotfix": ["deploy"]}}})
    hotfix = option(declared, "hotfix")
    assert hotfix.feasible
    assert any("reviewed" in fact for fact in hotfix.because)
    assert not option(replace(declared, affected=("shop", "mail")), "hotfix").feasible
    assert option(replace(declared, affected=()), "hotfix").why_not == "no affected service is known"


def test_a_misspelt_option_is_told_the_nearest() -> None:
    assert options.known("wait") == "wait"
    with pytest.raises(UsageError, match="did you mean rollback"):
        options.known("rolback")
