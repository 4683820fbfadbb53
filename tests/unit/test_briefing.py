"""The brief: what is wrong, what was done, what is needed, at every stage of an incident."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from incidentctl import briefing
from incidentctl.incident import Event, fold

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=12)
DECLARED = ("declared", {"title": "Checkout down", "severity": "high", "services": ["shop"], "affected": ["shop"]})
LOCKED, UNLOCKED = ("locked", {"pid": 7, "host": "here"}), ("unlocked", {"pid": 7, "host": "here"})
JUDGED = {
    "causes": [{"title": "release 42 was deployed", "score": 94}],
    "impact": {"hosts": ["web1"], "user_facing": ["shop"], "integrations": ["payments"], "downstream": []},
}
OPTION = {
    "letter": "A", "key": "rollback", "title": "Roll back the release", "feasible": True, "recommended": True,
    "confidence": 89, "downtime": "20 s (default)", "data_at_risk": "none: the data stays", "why_not": "",
    "reason": "Release 42 came 2 s before the onset.",
}  # fmt: skip
Row = tuple[str, dict[str, Any]]


def brief(*rows: Row) -> briefing.Brief:
    events = [
        Event("INC-1", n, (START + timedelta(seconds=10 * n)).isoformat(timespec="milliseconds"), "ada", *row, "", "")
        for n, row in enumerate((DECLARED, LOCKED, *rows, UNLOCKED))
    ]
    return briefing.of(fold(events), NOW)


def done(phase: str, outcome: str = "done", **facts: Any) -> tuple[Row, Row]:
    return ("step_started", {"phase": phase}), ("step_finished", {"phase": phase, "outcome": outcome, **facts})


DIAGNOSED = done("diagnose", judged=JUDGED, onset={"at": "2026-01-01T11:58:00+00:00", "source": "first error"})
ASKED = (("options_assessed", {"options": [OPTION]}), ("question_asked", {"question": "Which recovery?"}))


def test_a_fresh_incident_says_what_is_not_known_yet() -> None:
    found = brief()
    assert found.headline == "INC-1  high  investigating, 12 min after it was declared: Checkout down"
    assert found.conditions == ("affected: shop", "likeliest cause: not looked for yet")
    assert found.actions == ("acknowledged by nobody", "done: nothing yet", "contained: nothing")
    assert found.needs[-1] == "next: incidentctl resume INC-1"


def test_at_the_question_it_says_what_is_wrong_what_holds_and_what_is_recommended() -> None:
    row = {"host": "web2", "capability": "scale_down", "entry": "1", "target": "worker", "summary": "stopped"}
    found = brief(("acknowledged", {}), *done("triage", "failed"), ("containment_applied", row), *DIAGNOSED, *ASKED)
    assert found.conditions == (
        "affected: shop, on web1",
        "users notice: shop",
        "partners notice: payments",
        "since 2026-01-01 11:58:00 UTC: first error",
        "likeliest cause (94 of 100): release 42 was deployed",
    )
    assert found.actions == (
        "acknowledged by ada",
        "done: triage (failed), diagnose",
        "contained: scale_down worker on web2",
    )
    assert found.needs[0].startswith("a decision: which recovery?, since ")
    assert found.needs[1:] == (
        "recommended: A Roll back the release: 89 % sure, downtime 20 s (default), data at risk none: the data stays",
        "because: Release 42 came 2 s before the onset.",
        "next: incidentctl decide INC-1 rollback",
    )


def test_it_says_what_was_decided_and_what_came_of_it() -> None:
    verified = ("verified", {"recovered": True, "told": "recovered: 1 of 1 healthy"})
    found = brief(*DIAGNOSED, *ASKED, ("decided", {"option": "custom", "playbook": "free_space"}), verified)
    assert "after the recovery: recovered: 1 of 1 healthy" in found.conditions
    assert any(line.startswith("decided: custom free_space, by ada at ") for line in found.actions)


def test_what_has_ended_needs_only_what_is_to_be_followed_up() -> None:
    assert brief(("closed", {})).needs == ("nothing",)
    found = brief(("follow_up", {"text": "mend the test", "owner": "bob"}), ("closed", {}))
    assert found.needs == ("follow-up: mend the test (bob)",)


def test_it_is_text_for_people_and_data_for_programs_and_safe_to_show() -> None:
    found = brief(("note", {"text": "x"}), *done("diagnose", judged={"causes": [{"title": "\x1b[2J", "score": 1}]}))
    assert [line for line in found.text().splitlines() if not line.startswith(" ")][1:] == [
        "Conditions", "Actions", "Needs",
    ]  # fmt: skip
    assert "\x1b" not in found.text()
    assert set(json.loads(json.dumps(found.as_data()))) == {"headline", "conditions", "actions", "needs"}
