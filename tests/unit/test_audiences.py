"""What each audience reads: the right facts, and never those of another audience."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from incidentctl import audiences
from incidentctl.incident import Event, Incident, fold

DECLARED = {
    "title": "POST /checkout\n500 \x1b[31mon web1",
    "severity": "high",
    "services": ["payout", "shop"],
    "hosts": ["web1", "web2"],
    "user_facing": ["shop"],
    "integrations": {"payout": ["bank"], "shop": ["courier", "bank"], "worker": ["nobody"]},
}
OPTIONS = {
    "options": [
        {"key": "rollback", "feasible": True, "downtime": "8 s (worst 12 s)"},
        {"key": "hotfix", "feasible": False, "downtime": "–"},
    ]
}
TRIAGED = (
    ("step_started", {"phase": "triage"}),
    ("step_finished", {"phase": "triage", "outcome": "done", "affected": ["shop"]}),
)
DECIDED = (("options_assessed", OPTIONS), ("decided", {"option": "rollback"}))


def incident(*rows: tuple[str, dict[str, Any]], **declared: Any) -> Incident:
    number = count(1)
    every = (("declared", {**DECLARED, **declared}), *rows)
    return fold(
        [
            Event("INC-1", n := next(number), f"2026-01-01T12:{n:02}:00.000+00:00", "anna@laptop", kind, data, "", "")
            for kind, data in every
        ]
    )


def body(kind: str, about: str, *rows: tuple[str, dict[str, Any]], **declared: Any) -> str:
    return audiences.message(kind, incident(*rows, **declared), about, "INC-1:KEY", "HEAD").body


def test_on_call_read_the_facts_and_the_next_command() -> None:
    text = body("on_call", "declared", *TRIAGED)
    for told in (
        "POST /checkout\\n500 \\x1b[31mon web1",
        "high",
        "2026-01-01 12:01:00 UTC",
        "web1, web2",
        "Affected: shop",
    ):
        assert told in text, told
    assert "Next: incidentctl acknowledge INC-1" in text
    question = (("acknowledged", {}), ("options_assessed", OPTIONS), ("question_asked", {"question": "Which?"}))
    asked = body("internal", "declared", *TRIAGED, *question)
    assert "Being done: waiting for a decision" in asked
    assert "Next: incidentctl decide INC-1 rollback\n" in asked


def test_what_is_waited_for_is_for_those_who_respond_alone() -> None:
    best = {**OPTIONS["options"][0], "recommended": True, "confidence": 80}
    asked = (
        *TRIAGED,
        ("options_assessed", {"options": [best]}),
        ("question_asked", {"question": "Which recovery?"}),
    )
    concerned = {kind for kind in audiences.KINDS if audiences.concerned(kind, incident(*asked), "awaited")}
    assert concerned == {"internal", "on_call"}
    text = body("on_call", "awaited", *asked)
    assert "It waits for a decision: which recovery.\nRecommended: rollback (80 %).\n" in text
    assert (
        audiences.message("on_call", incident(*asked), "awaited", "", "").title == "[high] INC-1 waits for a decision"
    )
    assert "Next: incidentctl decide INC-1 rollback" in text


@pytest.mark.parametrize(("severity", "told"), [("critical", True), ("high", True), ("medium", False), ("low", False)])
def test_management_is_told_from_high_on(severity: str, told: bool) -> None:
    assert audiences.concerned("management", incident(severity=severity), "declared") is told


def test_management_reads_one_page_of_plain_words() -> None:
    text = body("management", "decided", *TRIAGED, *DECIDED)
    assert "Impact: Customers cannot rely on shop since 2026-01-01 12:01 UTC." in text
    assert "anna@laptop chose to go back to the version that worked before" in text
    assert "Counted from the decision: 8 s (worst 12 s)." in text
    assert "rollback" not in text
    assert len(text.splitlines()) < 20
    early = body("management", "declared")
    assert "Impact: Not known yet." in early
    assert "Expected end: Not known yet." in early
    assert "No service that customers use" in body("management", "declared", *TRIAGED, user_facing=[])


def test_nobody_outside_is_told_before_the_triage() -> None:
    named = incident(affected=["shop"])
    assert not audiences.concerned("customers", named, "declared")
    assert not audiences.concerned("partners", named, "declared")


@pytest.mark.parametrize(
    ("affected", "customers", "partners"),
    [(["shop"], True, True), (["payout"], False, True), (["worker"], False, True), ([], False, False)],
)
def test_outsiders_are_told_when_it_concerns_them(affected: list[str], customers: bool, partners: bool) -> None:
    found = incident(TRIAGED[0], ("step_finished", {"phase": "triage", "affected": affected}))
    assert audiences.concerned("customers", found, "declared") is customers
    assert audiences.concerned("partners", found, "declared") is partners


def test_partners_read_of_the_integrations_that_are_affected_and_of_no_other() -> None:
    text = body("partners", "declared", *TRIAGED)
    assert "bank and courier" in text
    assert "nobody" not in text


@pytest.mark.parametrize("kind", list(audiences.KINDS))
@pytest.mark.parametrize("about", audiences.EVENTS)
def test_every_kind_has_words_for_every_event_and_the_head_only_for_our_own(kind: str, about: str) -> None:
    for rows in ((), TRIAGED, (*TRIAGED, *DECIDED, ("resolved", {}), ("closed", {})), (("cancelled", {}),)):
        message = audiences.message(kind, incident(*rows), about, "INC-1:KEY", "HEAD")
        assert message.title
        outside = kind in ("customers", "partners")
        assert ("HEAD" in message.body) is not outside
        if outside:
            assert not [word for word in ("web1", "500", "anna", "\x1b") if word in message.title + message.body]


@pytest.mark.parametrize("partners", ["bank", ["bank"], {"shop": "bank"}, {"shop": None}, None])
def test_a_record_of_another_version_ends_in_no_traceback(partners: Any) -> None:
    for kind in audiences.KINDS:
        assert body(kind, "declared", *TRIAGED, integrations=partners)
