"""The verdict of a verification: recovered, improved, no change or worse, and never better for worse facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl import figures, figures_data, figures_queries, verdict
from incidentctl.verdict import IMPROVED, NO_CHANGE, RECOVERED, WORSE, Looks, Verdict

NOW = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
ONSET = NOW - timedelta(minutes=10)
NOTHING, HUGE = float("nan"), float("inf")
BEST_FIRST = [RECOVERED, IMPROVED, NO_CHANGE, WORSE]


def health(healthy: bool | None = True, status: int | None = 200, **more: Any) -> dict[str, Any]:
    return {"healthy": healthy, "status": status, "detail": str(status), "latency_ms": 9.0, **more}


def held(**more: Any) -> dict[str, Any]:
    return health(**{"probes": 20, "failures": 0, "p50_ms": 12.0, "max_ms": 30.0, **more})


def sick(**more: Any) -> dict[str, Any]:
    return health(**{"healthy": False, "status": 500, "probes": 20, "failures": 20, "p50_ms": None, **more})


def database(rows: int | None, exact: bool = True, shrinks: bool = False, **more: Any) -> dict[str, Any]:
    table = {"rows": rows, "exact": exact and rows is not None, "shrinks": shrinks}
    told = {"kind": "postgresql", "name": "shop", "whole": True, "damage": [], "notes": [], "checksum_failures": None}
    return {"data": [{**told, "tables": {"public.orders": table}, **more}]}


def errors(count: int | None, seconds: float = 30.0) -> dict[str, Any]:
    kinds = [{"template": "no such column: price", "count": count}] if count else []
    return {"new_errors": {"count": count, "seconds": seconds, "at_least": False, "kinds": kinds, "notes": []}}


def rows(capability: str = "health_check", **hosts: dict[str, Any]) -> list[dict[str, Any]]:
    """Outcomes of hosts that run the service shop, each with what it says of it."""
    return [{"host": h, "capability": capability, "outcome": "unchanged", "facts": {"services": {"shop": told}}}
            for h, told in hosts.items()]  # fmt: skip


def diagnosed(before: int = 2, during: int = 1400, **more: Any) -> list[dict[str, Any]]:
    """A diagnosis whose logs have so many errors in the hour before the onset, and in the ten minutes since."""
    started = (ONSET - timedelta(minutes=60)).isoformat()
    rate = {"from": started, "width_s": 600, "counts": [before, 0, 0, 0, 0, 0, during]}
    told = {"errors": [{"rate": rate}], "logs_since": started, "onset": ONSET.isoformat(), **more}
    return [{"host": "web1", "capability": "diagnosis", "outcome": "unchanged",
             "facts": {"services": {"shop": told}, "clock": {"now": NOW.isoformat()}}}]  # fmt: skip


def judge(after: dict[str, Any], triage: dict[str, Any] | None = None, diagnosis: Any = None) -> Verdict:
    before = rows(web1=triage or sick())
    return verdict.of(Looks(("shop",), before, diagnosis or diagnosed(), rows(web1=after), ONSET))


def test_all_as_before_is_recovered_and_said_in_one_line_with_figures() -> None:
    found = judge(held(**database(1204), **errors(0)), sick(**database(1204)))
    assert (found.verdict, found.recovered, found.reasons) == (RECOVERED, True, ())
    assert found.told() == (
        "recovered: shop healthy in 20 of 20 looks; shop p50 12 ms (unknown before); "
        "shop errors 0/min (0.0 before, 140 during); shop: orders, 1,204 rows (as before)"
    )


def test_rows_that_are_gone_are_worse_however_healthy_it_is() -> None:
    found = judge(held(**database(1180), **errors(0)), sick(**database(1204)))
    assert found.verdict == WORSE
    assert found.reasons == ("web1: shop: public.orders: 1,204 rows → 1,180 rows: 24 fewer",)


def test_more_rows_are_as_well_as_before() -> None:
    found = judge(held(**database(1300)), sick(**database(1204)))
    assert found.verdict == RECOVERED
    assert "orders, 1,300 rows (1,204 before)" in found.told()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_table_that_loses_rows_by_nature_is_told_and_not_judged(when: str) -> None:
    then, now = database(50, shrinks=when == "before"), database(10, shrinks=when == "after")
    assert judge(held(**now), sick(**then)).verdict == RECOVERED


@pytest.mark.parametrize(("rows_now", "expected"), [(9_500_000, RECOVERED), (8_000_000, WORSE)])
def test_an_estimate_counts_as_lost_rows_only_where_it_fell_far(rows_now: int, expected: str) -> None:
    found = judge(held(**database(rows_now, exact=False)), sick(**database(10_000_000, exact=False)))
    assert found.verdict == expected
    assert "about" in found.told()


def test_a_database_that_was_counted_before_and_cannot_be_now_is_not_recovered() -> None:
    now = database(None, whole=None, tables={}, notes=["not looked at: database is locked"])
    found = judge(held(**now, **errors(0)), sick(**database(1204)))
    assert found.verdict == IMPROVED
    assert "database is locked" in found.reasons[0]


def test_a_table_that_took_too_long_this_time_is_told_and_keeps_nothing_open() -> None:
    now = database(None, notes=["public.orders not counted: it takes longer than 1 s"])
    found = judge(held(**now, **errors(0)), sick(**database(1204)))
    assert found.verdict == RECOVERED
    assert "public.orders not counted: " in found.told()


def test_what_could_be_counted_neither_time_keeps_nothing_from_being_recovered() -> None:
    found = judge(held(**database(None)), sick(**database(None)))
    assert found.verdict == RECOVERED
    assert "not compared" in found.told()


def test_a_table_that_is_gone_is_worse() -> None:
    found = judge(held(data=[{**database(1)["data"][0], "tables": {"public.a": {"rows": 1, "exact": True}}}]),
                  sick(**database(1204)))  # fmt: skip
    assert found.verdict == WORSE
    assert "public.orders is gone" in found.reasons[0]


def test_new_damage_is_worse_and_damage_that_was_there_keeps_it_from_being_recovered() -> None:
    damaged = database(5, whole=False, damage=["row 7 missing from index orders_pkey"])
    assert judge(held(**damaged), sick(**database(5))).verdict == WORSE
    assert judge(held(**damaged), sick(**damaged)).verdict == IMPROVED
    assert judge(held(**database(5)), sick(**damaged)).verdict == RECOVERED


def test_more_wrong_checksums_are_damage() -> None:
    then, now = (database(5, checksum_failures=count) for count in (1, 3))
    found = judge(held(**now), sick(**then))
    assert found.verdict == WORSE
    assert "2 more pages with a wrong checksum" in found.reasons[0]
    assert judge(held(**then), sick(**then)).verdict == RECOVERED


def test_healthy_with_as_many_errors_as_during_is_no_recovery() -> None:
    found = judge(held(**errors(70)))
    assert found.verdict == IMPROVED  # health is better
    assert "no such column: price" in found.reasons[0]
    assert judge(held(**errors(300))).verdict == WORSE


@pytest.mark.parametrize(("count", "expected"), [(2, RECOVERED), (3, IMPROVED)])
def test_a_few_errors_within_a_look_may_be_chance(count: int, expected: str) -> None:
    assert judge(held(**errors(count)), diagnosis=diagnosed(before=0)).verdict == expected


def test_twice_as_many_errors_as_before_the_onset_are_as_before() -> None:
    """600 in the hour before are 10 a minute: 10 in half a minute are twice that."""
    assert judge(held(**errors(10)), diagnosis=diagnosed(before=600)).verdict == RECOVERED
    assert judge(held(**errors(11)), diagnosis=diagnosed(before=600)).verdict == IMPROVED


def test_errors_that_cannot_be_counted_any_more_are_not_taken_for_none() -> None:
    assert judge(held(**errors(None))).verdict == IMPROVED


def test_still_sick_is_no_change_and_no_answer_at_all_is_worse() -> None:
    assert judge(sick()).verdict == NO_CHANGE
    assert judge(sick(status=None)).verdict == WORSE
    assert judge(sick(), sick(status=None)).verdict == IMPROVED


def test_fewer_sick_hosts_are_an_improvement_and_another_sick_one_is_worse() -> None:
    triage = rows(web1=sick(), web2=sick(), web3=health())
    half = verdict.of(Looks(("shop",), triage, [], rows(web1=held(), web2=sick(), web3=held())))
    assert half.verdict == IMPROVED
    assert half.told().startswith("improved: 2 of 3 healthy (web2: shop 500); shop p50 12 ms (unknown before")
    other = verdict.of(Looks(("shop",), triage, [], rows(web1=held(), web2=held(), web3=sick())))
    assert other.verdict == WORSE


def test_what_health_cannot_tell_is_never_counted_as_well() -> None:
    assert judge(health(None, None)).verdict == NO_CHANGE


def test_a_host_that_is_away_is_passed_over_and_one_that_was_lost_is_not() -> None:
    away = [*rows(web1=held()), {"host": "web2", "capability": "health_check", "outcome": "unreachable", "facts": {}}]
    assert verdict.of(Looks(("shop",), rows(web1=sick()), [], away)).verdict == RECOVERED
    lost = [*away[:1], {**away[1], "outcome": "unknown"}]
    assert verdict.of(Looks(("shop",), rows(web1=sick()), [], lost)).verdict == IMPROVED


def test_a_service_that_is_kept_off_on_purpose_is_not_worse_for_it_and_not_recovered_either() -> None:
    looks = Looks(("shop",), rows(web1=sick()), [], rows(web1=sick(status=None)))
    assert verdict.of(looks).verdict == WORSE
    off = verdict.of(Looks(looks.at_issue, looks.triage, [], looks.after, off=frozenset({("web1", "shop")})))
    assert (off.verdict, off.told()) == (NO_CHANGE, "no change: shop is off on purpose: it is contained")


def test_without_any_answer_nothing_is_said_to_have_changed() -> None:
    found = verdict.of(Looks(("shop",), rows(web1=sick()), [], []))
    assert (found.verdict, found.told()) == (NO_CHANGE, "no change: no host answered")


def test_the_same_database_seen_from_two_hosts_is_spoken_of_once() -> None:
    after = rows(web1=held(**database(5)), web2=held(**database(5)))
    before = rows(web1=sick(**database(5)), web2=sick(**database(5)))
    assert verdict.of(Looks(("shop",), before, [], after)).told().count("orders") == 1


def test_rates_are_told_from_the_slots_before_and_since_the_onset() -> None:
    (row,) = diagnosed(before=120, during=1400)
    facts = {**row["facts"]["services"]["shop"], "clock": row["facts"]["clock"]}
    assert figures.rates(facts, None) == (2.0, 140.0)
    assert figures.rates({**facts, "logs_since": None}, ONSET) == (None, None)
    assert figures.rates({**facts, "logs_since": ONSET.isoformat()}, None)[0] is None  # nothing is known of before


def test_errors_before_a_service_was_last_seen_well_are_not_what_is_usual() -> None:
    (row,) = diagnosed(before=1200, during=1400, seen_well=(ONSET - timedelta(minutes=30)).isoformat())
    facts = {**row["facts"]["services"]["shop"], "clock": row["facts"]["clock"]}
    assert figures.rates(facts, None) == (0.0, 140.0)
    assert figures.rates({**facts, "seen_well": NOW.isoformat()}, None) == (20.0, 140.0), (
        "it goes on while health says well"
    )


def test_the_record_keeps_what_decides_when_there_is_not_room_for_all() -> None:
    services = {f"s{n}": held() for n in range(100)} | {"last": sick()}
    row = {"host": "web1", "capability": "health_check", "outcome": "failed", "facts": {"services": services}}
    kept = verdict.of(Looks(tuple(services), [], [], [row])).as_data()
    assert len(kept["figures"]) == 60
    assert kept["figures"][0]["service"] == "last"


@given(facts=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["healthy", "status", "data", "new_errors", "count", "seconds", "tables", "kinds", "probes",
                         "kind", "name", "rows", "damage", "notes", "p50_ms"]), inner, max_size=5),
    max_leaves=20))  # fmt: skip
def test_whatever_a_host_says_is_judged_without_a_fault(facts: Any) -> None:
    after = [
        {"host": "web1", "capability": "health_check", "outcome": "unchanged", "facts": {"services": {"shop": facts}}}
    ]
    found = verdict.of(Looks(("shop",), after, diagnosed(), after, ONSET))
    assert found.verdict in BEST_FIRST
    assert found.as_data()["told"]


steps = st.fixed_dictionaries({
    "health": st.sampled_from([held(), sick(), sick(status=None)]),
    "rows": st.integers(0, 2000),
    "errors": st.integers(0, 3000),
    "damage": st.integers(0, 2),
})  # fmt: skip


def _after(facts: dict[str, Any]) -> dict[str, Any]:
    damage = {"damage": [f"page {n}" for n in range(facts["damage"])], "whole": not facts["damage"]}
    return {**facts["health"], **database(facts["rows"], **damage), **errors(facts["errors"])}


def _worse(facts: dict[str, Any], what: str) -> dict[str, Any]:
    sicker = sick() if facts["health"]["healthy"] else sick(status=None)
    if what == "health" and facts["health"]["healthy"]:  # then each of our own looks is logged, too
        facts = {**facts, "errors": facts["errors"] + 2 * sicker["failures"]}
    return {**facts, what: {"health": sicker, "rows": facts["rows"] // 2,
                            "errors": facts["errors"] * 3 + 1, "damage": facts["damage"] + 1}[what]}  # fmt: skip


@given(triage=steps, after=steps, what=st.sampled_from(["health", "rows", "errors", "damage"]),
       before=st.integers(0, 600), during=st.integers(0, 3000))  # fmt: skip
def test_worse_facts_never_give_a_better_verdict(
    triage: dict[str, Any], after: dict[str, Any], what: str, before: int, during: int
) -> None:
    known = diagnosed(before, during)
    found, worse = (judge(_after(facts), _after(triage), known) for facts in (after, _worse(after, what)))
    assert BEST_FIRST.index(worse.verdict) >= BEST_FIRST.index(found.verdict)


amounts = st.floats(0, 1e6)
known = amounts | st.none() | st.just(NOTHING)


@given(before=known, during=known, after=amounts, more=amounts, time=st.booleans(), healthy=st.booleans())
def test_more_of_what_a_query_counts_never_gives_a_better_verdict(
    before: float | None, during: float | None, after: float, more: float, time: bool, healthy: bool
) -> None:
    looks = Looks(("shop",), rows(web1=sick()), [], rows(web1=held() if healthy else sick()))
    found, worse = (
        verdict.of(replace(looks, queries={"q": {"shop": [before, during, now]}}, times=["q"] if time else []))
        for now in (after, after + more)
    )
    assert BEST_FIRST.index(worse.verdict) >= BEST_FIRST.index(found.verdict)


@given(earlier=st.lists(amounts, max_size=4), during=amounts, after=amounts, more=amounts)
def test_slower_answers_never_give_a_better_verdict(
    earlier: list[float], during: float, after: float, more: float
) -> None:
    looks = Looks(("shop",), rows(web1=health(latency_ms=during)), [], [], answered={("web1", "shop"): earlier})
    found, worse = (verdict.of(replace(looks, after=rows(web1=held(p50_ms=now)))) for now in (after, after + more))
    assert BEST_FIRST.index(worse.verdict) >= BEST_FIRST.index(found.verdict)


@given(triage=steps, after=steps)
def test_recovered_is_only_what_is_healthy_with_no_row_gone_and_no_damage(
    triage: dict[str, Any], after: dict[str, Any]
) -> None:
    if judge(_after(after), _after(triage)).recovered:
        assert after["health"]["healthy"] is True
        assert after["rows"] >= triage["rows"]
        assert after["damage"] == 0


def rate(after: float | None, before: float | None = 0.1, during: float | None = 2.0) -> str:
    return figures_queries.of_query("error_rate", "shop", [before, during, after]).judged


def seconds(after: float | None, before: float | None = 0.012, during: float | None = 2.0) -> str:
    return figures_queries.of_query("latency", "shop", [before, during, after], time=True).judged


def test_a_query_is_as_before_up_to_twice_and_worse_beyond_twice_of_during() -> None:
    assert [rate(value) for value in (0.1, 0.2, 0.5, 1.5, 5.0, None)] == [
        "well", "well", "better", "not well", "worse", "not well",
    ]  # fmt: skip
    assert rate(0.5, before=None) == "not judged"
    assert rate(None, None, None) == "not judged"


def test_errors_whose_series_begins_with_the_first_one_are_none_before_and_none_again() -> None:
    assert rate(NOTHING, before=NOTHING) == "well"
    assert rate(1.9, before=NOTHING) == "not well"
    assert rate(0.5, before=NOTHING) == "better"
    assert rate(1.0, before=NOTHING, during=NOTHING) == "worse"


def test_a_rate_that_was_there_before_and_has_no_series_now_is_not_zero() -> None:
    assert rate(NOTHING, before=0.1) == "not well"


def test_a_query_that_never_gave_anything_is_not_taken_for_well() -> None:
    assert rate(NOTHING, NOTHING, NOTHING) == "not judged"


def test_a_time_that_nobody_measured_is_unknown() -> None:
    assert seconds(NOTHING) == "not well"
    assert seconds(2.2, before=NOTHING) == "not judged"
    assert seconds(0.9, before=NOTHING) == "not judged"


def test_a_tenth_of_a_second_more_is_as_before() -> None:
    assert [seconds(value) for value in (0.011, 0.112, 0.113, 1.5, 4.2)] == [
        "well", "well", "better", "not well", "worse",
    ]  # fmt: skip
    assert seconds(0.05, before=None, during=0.012) == "not judged"


def test_without_end_is_no_improvement_and_can_be_recorded() -> None:
    assert rate(HUGE, during=HUGE) == "not well"
    assert rate(HUGE) == "worse"
    assert figures_queries.of_query("ratio", "shop", [0.1, 2.0, HUGE]).as_data()["after"] is None


def test_times_are_told_in_milliseconds_and_the_rest_as_it_is() -> None:
    def told(*values: float | None, time: bool) -> str:
        return figures_queries.of_query("latency", "shop", values, time=time).told

    assert told(0.0114, 2.31, 0.012, time=True) == "shop latency 12 ms (11 before, 2,310 during)"
    assert told(None, HUGE, NOTHING, time=True) == "shop latency none (unknown before, infinite during)"
    assert told(NOTHING, 3.21, 0.0, time=False) == "shop latency 0 (none before, 3.21 during)"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[30s])))", True),
        ("rate(x_seconds_sum[1m]) / rate(x_seconds_count[1m])", True),
        ('x_seconds{quantile="0.9"}', True),
        ('sum(rate(x_seconds_count{code=~"5.."}[1m]))', False),
        ("rate(process_cpu_seconds_total[1m])", False),
        ("x_milliseconds", False),
    ],
)
def test_what_is_measured_in_seconds_is_known_by_its_name(query: str, expected: bool) -> None:
    assert figures_queries.is_time(query) is expected


def with_queries(after: float, kept_away: bool = False, name: str = "latency", **seen: Any) -> Verdict:
    queries = {name: {"shop": [0.012, 2.0, after]}}
    looks = Looks(("shop",), rows(web1=sick()), [], rows(web1={**held(), **seen}), queries=queries, times=["latency"])
    return verdict.of(replace(looks, kept_away=kept_away))


def test_answers_that_stay_slow_are_an_improvement_and_no_recovery() -> None:
    assert with_queries(0.012).verdict == RECOVERED
    slow = with_queries(1.9)
    assert slow.verdict == IMPROVED  # it is healthy again
    assert slow.reasons == ("shop: shop latency 1,900 ms (12 before, 2,000 during)",)
    assert with_queries(4.2).verdict == WORSE


def test_while_users_are_kept_away_what_is_measured_of_them_is_only_told() -> None:
    for after in (NOTHING, 4.2):
        assert with_queries(after).verdict != RECOVERED
        found = with_queries(after, kept_away=True)
        assert found.verdict == RECOVERED
        assert "while users are kept away" in found.told()


def test_a_query_named_health_is_not_taken_for_health() -> None:
    assert with_queries(0.012, name="health", healthy=None, status=None).verdict != RECOVERED
    queries = {"health": {"shop": [1.0, 1.0, 1.0]}}
    assert verdict.of(Looks(("shop",), [], [], [], queries=queries)).verdict == NO_CHANGE


def latency(
    now: float, earlier: list[float], triage: dict[str, Any] | None = None, **seen: Any
) -> figures.Figure | None:
    return figures.of_latency("web1", "shop", earlier, triage, {**held(p50_ms=now), **seen})


@pytest.mark.parametrize(
    ("now", "earlier", "during", "expected"),
    [
        (12.0, [9.0, 300.0, 8.0], 2310.0, "well"),
        (109.0, [9.0], 2310.0, "well"),
        (110.0, [9.0], 2310.0, "better"),
        (2000.0, [9.0], 2310.0, "not well"),
        (2000.0, [9.0], 900.0, "worse"),
        (2000.0, [], 900.0, "not judged"),
        (2000.0, [], None, "not judged"),
        (2000.0, [1500.0], 900.0, "well"),
    ],
)
def test_how_long_answers_take_is_held_against_earlier_recoveries(
    now: float, earlier: list[float], during: float | None, expected: str
) -> None:
    found = latency(now, earlier, None if during is None else health(latency_ms=during))
    assert found is not None
    assert found.judged == expected


def test_what_is_unknown_of_before_is_said_with_the_figure_of_now() -> None:
    found = [latency(12.0, [], sick(latency_ms=3.0)), latency(12.0, [9.0, 11.0, 8.0], health(latency_ms=2310.0))]
    assert [figure.told for figure in found if figure] == [
        "shop p50 12 ms (unknown before)",
        "shop p50 12 ms (9 before, 2,310 during)",
    ]


def test_only_healthy_answers_have_a_time() -> None:
    assert latency(12.0, [9.0], healthy=False) is None
    assert latency(12.0, [9.0], status=None) is None  # a manager was asked, not the service


def test_healthy_answers_of_earlier_recoveries_are_what_before_is_known_by() -> None:
    well, ill = held(p50_ms=9.0), sick()
    told = [
        {"recovered": True, "services": {"web1": {"shop": well}, "web2": {"shop": ill}}},
        {"recovered": False, "services": {"web1": {"shop": held(p50_ms=900.0)}}},
        {"recovered": True, "services": {"web1": {"shop": {**well, "p50_ms": 11.0}}}},
        {"recovered": True, "services": "no"},
        {"recovered": True, "services": {"web1": ["no"]}},
    ]
    assert figures.answered(told) == {("web1", "shop"): [9.0, 11.0]}


def test_healthy_and_slow_where_it_was_fast_is_no_recovery() -> None:
    slow = health(latency_ms=2000.0)
    looks = Looks(("shop",), rows(web1=slow), [], rows(web1=held(p50_ms=1900.0)), answered={("web1", "shop"): [9.0]})
    assert verdict.of(looks).verdict == NO_CHANGE
    assert verdict.of(replace(looks, after=rows(web1=held(p50_ms=400.0)))).verdict == IMPROVED
    assert verdict.of(replace(looks, after=rows(web1=held(p50_ms=12.0)))).verdict == RECOVERED


def test_of_many_answers_the_slowest_is_spoken_of() -> None:
    after = rows(web1=held(p50_ms=12.0), web2=held(p50_ms=40.0))
    told = verdict.of(Looks(("shop",), rows(web1=sick(), web2=sick()), [], after)).told()
    assert told == "recovered: 2 of 2 healthy; shop p50 40 ms (unknown before) on web2, the slowest of 2"


def test_what_the_monitoring_measured_is_spoken_of_before_what_each_of_many_hosts_tells() -> None:
    hosts = rows(**{f"web{n}": {**held(), **database(n)} for n in range(1, 10)})
    queries = {"latency": {"shop": [0.012, 2.0, 0.011]}}
    told = verdict.of(Looks(("shop",), hosts, [], hosts, queries=queries, times=["latency"])).told()
    assert "slowest of 9; shop latency 11 ms (12 before, 2,000 during)" in told
    assert told.endswith(" more")


def test_what_is_needed_being_well_does_not_speak_for_a_service_that_is_kept_off() -> None:
    services = {"shop": sick(status=None), "database": held()}
    row = {"host": "web1", "capability": "health_check", "outcome": "unchanged", "facts": {"services": services}}
    looks = Looks(("shop",), rows(web1=sick()), [], [row], off=frozenset({("web1", "shop")}))
    assert verdict.of(looks).verdict == NO_CHANGE


@pytest.mark.parametrize(
    ("count", "expected"), [(35, IMPROVED), (36, NO_CHANGE), (40 + 140, NO_CHANGE), (40 + 141, WORSE)]
)
def test_errors_that_our_own_failing_looks_may_have_caused_make_nothing_worse(count: int, expected: str) -> None:
    """140 a minute during: in half a minute more than 140 are twice that; beside two of each of 20 looks."""
    found = judge(sick(**errors(count)), diagnosis=diagnosed(before=0))
    assert found.verdict == expected
    assert "/min beside those of our own looks (" in found.told()


def test_few_errors_of_a_log_too_long_to_be_read_are_neither_well_nor_better() -> None:
    found = errors(0)
    found["new_errors"]["at_least"] = True
    (figure,) = (f for f in judge(held(**found)).figures if f.what == "errors")
    assert (figure.judged, "errors at least 0/min" in figure.told) == ("not judged", True)


def test_errors_of_looks_before_it_was_healthy_keep_nothing_from_being_recovered() -> None:
    assert judge(held(failures=9, **errors(18)), diagnosis=diagnosed(before=0)).verdict == RECOVERED
    assert judge(held(failures=9, **errors(21)), diagnosis=diagnosed(before=0)).verdict == IMPROVED


def test_requests_that_fail_more_often_while_it_is_sick_may_be_our_own_looks() -> None:
    queries = {"error_rate": {"shop": [0.0, 0.4, 2.4]}}
    looks = Looks(("shop",), rows(web1=sick()), [], rows(web1=sick()), queries=queries)
    assert verdict.of(looks).verdict == NO_CHANGE
    assert verdict.of(replace(looks, after=rows(web1=held()))).verdict == WORSE


def test_a_service_for_which_a_host_had_no_room_is_not_taken_for_well() -> None:
    (row,) = rows(web1=held())
    short = {**row, "facts": {**row["facts"], "left_out": 1}}
    assert verdict.of(Looks(("shop", "stock"), [], [], [row])).verdict == RECOVERED
    assert verdict.of(Looks(("shop", "stock"), [], [], [short])).verdict != RECOVERED
    assert verdict.of(Looks(("shop",), [], [], [short])).verdict == RECOVERED


def test_damage_that_was_not_looked_for_again_is_not_taken_for_mended() -> None:
    then, now = database(5, whole=False, damage=["index a: x"]), database(5, whole=None)
    found = judge(held(**now), sick(**then))
    assert found.verdict == IMPROVED
    assert "damaged before, and not checked now" in found.told()


def test_more_wrong_checksums_are_new_though_nothing_else_could_be_checked() -> None:
    then, now = (database(5, whole=None, checksum_failures=count) for count in (0, 2))
    assert judge(held(**now), sick(**then)).verdict == WORSE


def test_an_endless_figure_of_a_host_is_none() -> None:
    assert figures.number(HUGE) is None


def test_only_what_both_looks_name_is_compared() -> None:
    new = list(figures_data.of_data("web1", "shop", sick(), held(**database(7))))
    assert [(figure.judged, "no table was there before" in figure.told) for figure in new] == [("not judged", True)]
