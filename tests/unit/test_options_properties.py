"""What holds for the options whatever the situation is."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl import remedies
from incidentctl.cause_rules import KINDS, RULES
from incidentctl.options import (
    Backup,
    Cause,
    Errors,
    Look,
    Mitigation,
    Option,
    Own,
    Situation,
    Writes,
    assess,
    points,
)
from incidentctl.options.words import clock, span
from incidentctl.precedents import Attempt

# A situation takes milliseconds to make.
QUICK = settings(max_examples=50, deadline=None)
NOW = datetime(2026, 1, 13, 3, 0, tzinfo=UTC)
SERVICES = ("mail", "shop", "stock")
PLAYBOOKS = ("failover", "free_space")
WAYS = ("rollback", "hotfix", "mitigate", "wait", *(f"custom {name}" for name in PLAYBOOKS))
SCHEMAS = ("none", "compatible", "unknown", "breaking")  # by how risky they are

names = st.lists(st.sampled_from(SERVICES), unique=True).map(tuple)
times = st.one_of(
    st.just("garbage"), st.integers(-90_000, 90_000).map(lambda s: (NOW + timedelta(seconds=s)).isoformat())
)
seconds = st.floats(0.1, 90_000)


def by_service(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(SERVICES), values)


releases = st.fixed_dictionaries(
    {"feasible": st.sampled_from((True, True, False))},
    optional={
        "from": st.just("42"),
        "to": st.just("41"),
        "reason": st.just("no release"),
        "rehearsed": st.booleans(),
        "deployed_at": times,
        "schema": st.one_of(st.none(), st.sampled_from((*SCHEMAS, "?")).map(lambda state: {"state": state})),
    },
)
specs = st.sampled_from(({}, {"releases": {}}, {"releases": {"hotfix": ["x"]}}, {"releases": {}, "data": [{}, {}]}))
causes = st.lists(
    st.builds(
        Cause,
        st.sampled_from(sorted(KINDS)),
        st.sampled_from((None, *SERVICES)),
        st.just("a title"),
        st.integers(0, 100),
    ),
    max_size=4,
).map(lambda found: tuple(sorted(found, key=lambda cause: -cause.score)))


def attempt(way: str, at: str, recovered: bool, took: float | None) -> Attempt:
    option, _space, playbook = way.partition(" ")
    return Attempt("INC-20260101-0300-aaaa", at, option, playbook or None, recovered, took)


writes = st.one_of(
    st.none(), st.builds(Writes, st.integers(0, 99_999), st.sampled_from(("rows", "files")), st.booleans())
)
attempts = st.lists(
    st.builds(attempt, st.sampled_from(WAYS), times, st.booleans(), st.one_of(st.none(), seconds)), max_size=4
).map(tuple)
situations = st.builds(
    Situation,
    affected=names,
    now=st.just(NOW),
    specs=by_service(specs),
    rollback=by_service(releases),
    onset=by_service(times),
    causes=causes,
    new_errors=by_service(
        st.one_of(st.none(), st.builds(Errors, st.integers(1, 99), st.integers(1, 9)), st.just(Errors(0, 0)))
    ),
    looks=st.lists(st.builds(Look, times, st.sampled_from(SERVICES), st.booleans()), max_size=4).map(tuple),
    backups=by_service(
        st.lists(st.builds(Backup, st.sampled_from("ab"), st.one_of(st.none(), times), writes), max_size=3)
    ),
    past=st.dictionaries(st.sampled_from(WAYS), by_service(st.lists(seconds, max_size=3))),
    solved=attempts,
    drilled=attempts,
    within_s=st.sampled_from((30.0, 120.0)),
    mitigations=st.lists(
        st.builds(
            Mitigation,
            st.sampled_from(("enhanced_monitoring", "rate_limit", "circuit_breaker")),
            st.just("do something"),
            names.filter(bool),
        ),
        unique_by=lambda one: one.capability,
    ).map(tuple),
    custom=st.lists(
        st.builds(Own, st.sampled_from(PLAYBOOKS), st.frozensets(st.sampled_from(sorted(KINDS)))),
        unique_by=lambda own: own.name,
    ).map(tuple),
    refused=st.dictionaries(st.sampled_from(("rollback", "hotfix", "mitigate", "custom")), st.just("no"), max_size=1),
    tried=st.lists(st.sampled_from(WAYS), max_size=2).map(tuple),
)


def named(option: Option) -> str:
    return f"{option.key} {option.playbook}" if option.playbook else option.key


def of(situation: Situation, key: str) -> Option:
    return next(option for option in assess(situation) if option.key == key)


def weight(option: Option) -> int:
    """How sure it is; what is impossible, or of which nothing is known, is less than anything."""
    return -1 if option.confidence is None else option.confidence


@QUICK
@given(situations)
def test_where_nothing_is_known_nothing_is_recommended(situation: Situation) -> None:
    guesses = tuple(cause._replace(score=cause.score % points.KNOWN_FROM) for cause in situation.causes)
    unknown = replace(situation, causes=guesses, onset={}, looks=(), solved=(), drilled=())
    assert not any(option.recommended for option in assess(unknown))


@QUICK
@given(situations)
def test_at_most_one_is_recommended_and_never_what_is_impossible_or_was_tried(situation: Situation) -> None:
    found = assess(situation)
    chosen = [option for option in found if option.recommended]
    assert chosen == list(found[:1])[: len(chosen)]
    for option in chosen:
        assert option.feasible
        assert named(option) not in situation.tried
        assert option.confidence is not None
        assert option.confidence >= points.RECOMMENDED_FROM
        assert option.reason.endswith(".")
        assert len(option.reason) > 1
    for option in found:
        assert option.feasible == (not option.why_not)
        assert option.recommended == bool(option.reason)


@QUICK
@given(situations)
def test_waiting_is_recommended_only_when_each_service_was_seen_well_and_none_sick(situation: Situation) -> None:
    if of(situation, "wait").recommended:
        seen = {look.service: look.healthy for look in sorted(situation.looks, key=lambda look: not look.healthy)}
        assert all(seen[name] for name in situation.affected)


@QUICK
@given(situations)
def test_a_confidence_is_the_sum_of_the_facts_that_are_told_with_it(situation: Situation) -> None:
    for option in assess(situation):
        if option.confidence is not None:
            figures = [re.match(r" *([+-]?\d+)  ", line) for line in option.because]
            total = sum(int(figure[1]) for figure in figures if figure)
            assert option.confidence == max(points.LEAST, min(points.MOST, total))


@QUICK
@given(situations)
def test_each_number_of_downtime_and_data_at_risk_is_one_of_the_inputs_or_it_says_unknown(situation: Situation) -> None:
    for option in assess(situation):
        known = {span(situation.within_s)}
        for runs in situation.past.get(named(option), {}).values():
            known |= {span(figure) for figure in runs} | ({span(statistics.median(runs))} if runs else set())
        said = re.findall(r"\d[\d.]* (?:s|min|h|days)\b", option.downtime)
        assert set(said) <= known
        assert "".join(re.findall(r"\d", option.downtime)) == "".join(re.findall(r"\d", "".join(said)))
        assert said or not option.feasible or re.match(r"unknown|none", option.downtime)
        _is_traced(option, [backup for rows in situation.backups.values() for backup in rows])


def _is_traced(option: Option, there: list[Backup]) -> None:
    """The writes are the sum of some that were counted, one for each item, and the time is that of the oldest of these."""
    found = re.fullmatch(r"(?:([\d,]+)\+? writes?|unknown) since (.*)", option.data_at_risk)
    if found is None:
        assert not option.feasible or re.match(r"unknown: |none", option.data_at_risk)
        return
    timed = [backup for backup in there if backup.at not in (None, "garbage")]
    assert any(found[2] in clock(str(backup.at)).split(" ", 1) for backup in timed)
    if found[1]:
        sums = {0}
        for item in {backup.item for backup in timed}:
            counts = {backup.writes.count for backup in timed if backup.item == item and backup.writes}
            sums |= {before + count for before in sums for count in counts}
        assert int(found[1].replace(",", "")) in sums


@QUICK
@given(situations, st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_makes_no_difference(situation: Situation, random: Any) -> None:
    def shuffled(values: Any) -> Any:
        mixed = list(values.items() if isinstance(values, dict) else values)
        random.shuffle(mixed)
        return dict(mixed) if isinstance(values, dict) else tuple(mixed)

    fields = ("affected", "specs", "rollback", "onset", "new_errors", "looks", "backups", "past", "custom", "tried")
    other = replace(situation, **{name: shuffled(getattr(situation, name)) for name in fields})
    assert assess(other) == assess(situation)


def _without_rehearsal(situation: Situation) -> Situation:
    return replace(situation, rollback={n: {**facts, "rehearsed": False} for n, facts in situation.rollback.items()})


def _schema_one_worse(situation: Situation) -> Situation:
    def worse(facts: dict[str, Any]) -> dict[str, Any]:
        state = (facts.get("schema") or {}).get("state")
        at = SCHEMAS.index(state) if state in SCHEMAS else SCHEMAS.index("unknown")
        return {**facts, "schema": {"state": SCHEMAS[min(at + 1, 3)]}}

    return replace(situation, rollback={name: worse(dict(facts)) for name, facts in situation.rollback.items()})


def _no_new_errors(situation: Situation) -> Situation:
    return replace(situation, new_errors=dict.fromkeys(SERVICES, Errors(0, 0)))


def _after_the_onset(situation: Situation) -> Situation:
    late = (NOW + timedelta(days=3)).isoformat()
    told = {name: {**facts, "deployed_at": late} for name, facts in situation.rollback.items()}
    return replace(situation, rollback=told, onset=dict.fromkeys(SERVICES, NOW.isoformat()))


def _more_writes(situation: Situation) -> Situation:
    def worse(backup: Backup) -> Backup:
        known = backup.writes
        return backup._replace(writes=known and replace(known, count=known.count * 100 + 1, at_least=True))

    return replace(situation, backups={n: [worse(one) for one in rows] for n, rows in situation.backups.items()})


def _writes_unknown(situation: Situation) -> Situation:
    return replace(
        situation, backups={n: [one._replace(writes=None) for one in rows] for n, rows in situation.backups.items()}
    )


def _no_backup(situation: Situation) -> Situation:
    return replace(situation, backups={})


def _one_more_service(situation: Situation) -> Situation:
    return replace(situation, affected=(*situation.affected, "new"))


def _all_tried(situation: Situation) -> Situation:
    return replace(situation, tried=WAYS)


def _failed_again(field: str) -> Callable[[Situation], Situation]:
    def worse(situation: Situation) -> Situation:
        more = [attempt(way, NOW.isoformat(), False, None) for way in WAYS]
        return replace(situation, **{field: (*more, *getattr(situation, field))})

    return worse


RISKS = {
    "not rehearsed": _without_rehearsal,
    "a riskier schema": _schema_one_worse,
    "no error is new": _no_new_errors,
    "released after the onset": _after_the_onset,
    "one more service, which it does not help": _one_more_service,
    "tried": _all_tried,
    "more writes since the backup": _more_writes,
    "nobody counted the writes": _writes_unknown,
    "no backup": _no_backup,
    "failed before": _failed_again("solved"),
    "failed in a drill": _failed_again("drilled"),
}


@QUICK
@given(situations.filter(lambda situation: situation.affected))  # else there is nothing to wait for
def test_more_risk_never_raises_confidence(situation: Situation) -> None:
    situation = replace(situation, looks=(), custom=situation.custom[:1])  # of several the best speaks
    before = {option.key: weight(option) for option in assess(situation)}
    for risk, worsened in RISKS.items():
        for option in assess(worsened(situation)):
            assert weight(option) <= before[option.key], (risk, option.key)


@QUICK
@given(situations, st.sampled_from(sorted(remedies.TOUCHED["rollback"])), st.integers(0, 100), st.integers(0, 100))
def test_a_cause_that_is_not_touched_never_raises_confidence(
    situation: Situation, kind: str, score: int, other: int
) -> None:
    high, low = max(score, other), min(score, other)
    elsewhere = sorted(k for k in KINDS if remedies.touches("rollback", k) is False and k in RULES)
    for beside in elsewhere[:3]:
        touched = (Cause(kind, None, "a", high), Cause(beside, None, "b", low))
        missed = (Cause(beside, None, "b", high), Cause(kind, None, "a", low))
        for key in ("rollback", "hotfix"):
            sure = [weight(of(replace(situation, causes=found), key)) for found in (touched, (), missed)]
            assert sure == sorted(sure, reverse=True)
