"""One list of what all hosts found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl.findings import Pattern, patterns, ranked


def finding(severity: str, text: str) -> dict[str, str]:
    return {"severity": severity, "text": text}


def test_the_worst_comes_first_whichever_host_was_asked_first() -> None:
    busy, sick = finding("warning", "load 8"), finding("critical", "shop is sick")
    assert ranked([("db1", busy), ("web1", sick)]) == [
        ("critical", "shop is sick", ("web1",)),
        ("warning", "load 8", ("db1",)),
    ]


def test_what_several_hosts_say_alike_is_said_once() -> None:
    busy = finding("warning", "load 8")
    assert ranked([("db1", busy), ("web1", busy)]) == [("warning", "load 8", ("db1", "web1"))]


def test_a_host_s_own_first_choice_stays_before_another_s_second() -> None:
    cause, symptom, other = (finding("critical", text) for text in ("release 42", "health fails", "release 42 too"))
    assert [row[1] for row in ranked([("web1", cause), ("web1", symptom), ("web2", other)])] == [
        "release 42",
        "release 42 too",
        "health fails",
    ]


def test_a_severity_of_another_version_comes_last() -> None:
    assert [row[0] for row in ranked([("a", finding("odd", "x")), ("a", finding("info", "y"))])] == ["info", "odd"]


def of_error(severity: str, error: str, count: int, service: str = "shop") -> dict[str, Any]:
    text = f"{service}: '{error}' {count} times"
    return {"severity": severity, "text": text, "service": service, "about": {"error": error, "count": count}}


def test_an_error_that_several_hosts_have_is_one_row_in_the_words_of_the_worst() -> None:
    found = [("web1", of_error("warning", "no such column", 3)), ("web2", of_error("critical", "no such column", 40))]
    assert ranked(found) == [("critical", "shop: 'no such column' 40 times; 43 in all", ("web1", "web2"))]


def test_an_error_of_another_service_is_another_row() -> None:
    found = [("web1", of_error("warning", "gone", 3)), ("web1", of_error("warning", "gone", 4, "cart"))]
    assert [row[1] for row in ranked(found)] == ["shop: 'gone' 3 times", "cart: 'gone' 4 times"]


def test_a_host_that_saw_one_name_only_has_the_error_of_those_that_saw_many() -> None:
    found = [
        ("web1", of_error("warning", "user bob is gone", 3)),
        ("web2", of_error("warning", "user <*> is gone", 4)),
        ("web3", of_error("warning", "user is gone", 5)),
    ]
    assert [(row[1].rpartition("; ")[2], row[2]) for row in ranked(found)] == [
        ("7 in all", ("web1", "web2")),
        ("shop: 'user is gone' 5 times", ("web3",)),
    ]


def error(template: str, count: int, **more: Any) -> dict[str, Any]:
    return {
        "template": template,
        "count": count,
        "sample": f"ERROR {template}",
        "cause": None,
        "first_seen": None,
        **more,
    }


def test_patterns_of_the_fleet_are_one_row_each_new_ones_first() -> None:
    early, late = "2026-01-01T09:51:16.000+00:00", "2026-01-01T09:52:16.000+00:00"
    found = [
        ("web1", "shop", error("disk full", 900)),
        ("web1", "shop", error("order <n> failed", 3, first_seen=late, new=True, rate={"per_minute": 2.5})),
        ("web2", "shop", error("order <n> failed", 4, first_seen=early, new=None, rate={"per_minute": 4.0})),
        ("web2", "cart", error("order <n> failed", 5, rate=None)),
    ]
    assert patterns(found) == [
        Pattern("shop", "order <n> failed", ["web1", "web2"], 7, 6.5, early, True, "ERROR order <n> failed"),
        Pattern("shop", "disk full", ["web1"], 900, 0.0, None, False, "ERROR disk full"),
        Pattern("cart", "order <n> failed", ["web2"], 5, 0.0, None, False, "ERROR order <n> failed"),
    ]


@pytest.mark.parametrize("about", [None, {}, {"error": "x"}, {"count": 3}, "x", {"count": "n/a"}, {"count": 1e999}])
def test_finding_of_another_version_is_shown_all_the_same(about: Any) -> None:
    assert ranked([("a", {**finding("info", "y"), "about": about})]) == [("info", "y", ("a",))]


def test_an_error_of_another_version_is_shown_all_the_same() -> None:
    (row,) = patterns([("a", "shop", {"template": "gone", "count": "n/a", "rate": "often"})])
    assert (row.template, row.count, row.per_minute) == ("gone", 0, 0.0)


@pytest.mark.parametrize(
    ("wide", "narrow", "same"),
    [
        ("<*> is gone", "bob is gone", True),
        ("<*> is gone", " is gone", False),
        ("a <*> b <*>", "a x b y", True),
        ("a <*> b <*>", "a x b ", False),
        ("<*><*>", "xy", True),
        ("a <*> a", "a a", False),
        # What one who can write to a log could make to hold everybody up.
        ("a" + " <*>" * 30 + " x", "a" + " b" * 60 + " y", False),
    ],
)
def test_a_template_stands_for_what_has_words_in_its_gaps(wide: str, narrow: str, same: bool) -> None:
    found = patterns([("a", "shop", error(wide, 1)), ("b", "shop", error(narrow, 1))])
    assert len(found) == (1 if same else 2)


WORDS = st.lists(st.sampled_from(["user", "<*>", "gone", "(", "bob"]), max_size=5).map(" ".join)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), WORDS, st.integers(1, 9)), max_size=8))
def test_no_host_and_no_error_gets_lost(seen: list[tuple[str, str, int]]) -> None:
    found = [(host, of_error("info", words, count)) for host, words, count in seen]
    assert {host for row in ranked(found) for host in row[2]} == {host for host, _words, _count in seen}
    rows = patterns((host, "shop", error(words, count)) for host, words, count in seen)
    assert sum(row.count for row in rows) == sum(count for _host, _words, count in seen)
