"""One list of what all hosts found."""

from __future__ import annotations

from incidentctl.findings import ranked


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
