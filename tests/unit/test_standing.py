"""What an incident waits for, and what to type next: right in every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentctl import briefing, wording
from incidentctl.incident import Event, Incident, fold
from incidentctl.standing import decided, standing
from incidentctl.text import fitted

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DECLARED = ("declared", {"title": "Checkout down", "severity": "high", "services": ["shop"], "affected": ["shop"]})
LOCKED = ("locked", {"pid": 7, "host": "here"})
UNLOCKED = ("unlocked", {"pid": 7, "host": "here"})
WAY = {
    "letter": "A",
    "key": "rollback",
    "title": "Back",
    "feasible": True,
    "why_not": "",
    "confidence": 40,
    "recommended": True,
}
NO_WAY = {**WAY, "key": "hotfix", "feasible": False, "why_not": "no command"}
WAIT = {**WAY, "letter": "E", "key": "wait", "title": "Wait", "recommended": False}
CONTAINED = (
    "containment_applied",
    {"host": "web1", "capability": "scale_down", "entry": "1", "target": "worker", "summary": "stopped"},
)

Row = tuple[str, dict[str, Any]]


def told(*rows: Row) -> Incident:
    """Fold these kinds and data, one every ten seconds, by ada."""
    events = [
        Event("INC-1", n, (START + timedelta(seconds=10 * n)).isoformat(timespec="milliseconds"), "ada", *row, "", "")
        for n, row in enumerate(rows)
    ]
    return fold(events)


def phase(name: str, outcome: str = "done") -> tuple[Row, Row]:
    return ("step_started", {"phase": name, "hosts": ["web1"]}), ("step_finished", {"phase": name, "outcome": outcome})


def health(*, healthy: bool) -> Row:
    row = {"phase": "triage", "host": "web1", "capability": "health_check", "outcome": "unchanged"}
    return "host_outcome", {**row, "facts": {"services": {"shop": {"healthy": healthy}}}}


def looked(*, healthy: bool = False) -> tuple[Row, ...]:
    begun, done = phase("triage")
    return begun, health(healthy=healthy), done


def asked(*options: dict[str, Any]) -> tuple[Row, Row]:
    return (
        ("options_assessed", {"options": list(options or (WAY, NO_WAY))}),
        ("question_asked", {"question": "Which recovery?"}),
    )


def decision(option: str = "rollback") -> Row:
    return "decided", {"option": option}


@pytest.mark.parametrize(
    ("rows", "waits_for", "said", "next_step"),
    [
        ((), "responder", "somebody who takes it up", "incidentctl resume INC-1"),
        (looked(), "responder", "a yes to the containment", "incidentctl resume INC-1"),
        (looked(healthy=True), "responder", "every service says that it is healthy", "incidentctl close INC-1"),
        ((LOCKED, phase("triage")[0]), "phase", "triage, which is at work on 1 host", "incidentctl timeline INC-1"),
        ((LOCKED, *looked()), "responder", "ada, who is at work on it", "incidentctl timeline INC-1"),
        ((phase("contain")[0],), "resume", "it was cut off in contain", "incidentctl resume INC-1"),
        ((LOCKED, *asked()), "decision", "(ada is at the question)", "incidentctl decide INC-1 rollback"),
        ((*looked(), *asked()), "decision", "which recovery?", "incidentctl decide INC-1 rollback"),
        (asked(NO_WAY), "decision", "no way out is possible", "incidentctl close INC-1"),
        (asked(NO_WAY, WAIT), "decision", "no way out is possible but to wait", "incidentctl close INC-1"),
        ((CONTAINED, *asked(NO_WAY)), "decision", "no way out", "incidentctl lift INC-1, then incidentctl close INC-1"),
        ((*asked(), decision()), "recovery", "rollback was decided", "incidentctl resume INC-1"),
        ((*asked(), decision("mitigate"), CONTAINED, *phase("recover")), "fix", "not solved", "incidentctl lift INC-1"),
        ((*asked(), decision("mitigate"), *phase("recover")), "fix", "not solved", "incidentctl close INC-1"),
        (
            (*asked(), decision(), *phase("recover"), *phase("verify"), *phase("lift"), *phase("monitor", "failed")),
            "decision", "not healthy after the lift", "incidentctl decide INC-1 OPTION",
        ),
        ((("closed", {}),), "nothing", "it is closed", "incidentctl report INC-1"),
        ((("cancelled", {}),), "nothing", "it is cancelled", "incidentctl report INC-1"),
        ((("closed", {}), ("reopened", {})), "responder", "somebody who takes it up", "incidentctl resume INC-1"),
        (
            (("closed", {}), ("reopened", {}), *looked(healthy=True), *asked()),
            "decision", "every service says that it is healthy", "incidentctl close INC-1",
        ),
    ],
)  # fmt: skip
def test_it_says_what_is_waited_for_and_what_to_type(
    rows: tuple[Row, ...], waits_for: str, said: str, next_step: str
) -> None:
    # What happens to an incident happens while somebody holds it; in the end nobody does, unless the case says so.
    held = any(row[0] == "locked" for row in rows)
    cut_off = rows[-1:] and rows[-1][0] == "step_started"
    incident = told(DECLARED, *(rows if held or cut_off else (LOCKED, *rows, UNLOCKED)))
    found = standing(incident)
    assert (found.waits_for, said in found.told) == (waits_for, True), found
    assert found.next[0].startswith(next_step), found.next


def test_the_words_of_the_status_say_since_when_and_who() -> None:
    waiting = wording.status(told(DECLARED, LOCKED, *asked()))
    assert "held by ada: process 7 on here, since 2026-01-01 12:00:10 UTC" in waiting
    assert (
        "Waits for a decision: which recovery? (ada is at the question), since 2026-01-01 12:00:30 UTC, asked by ada"
        in waiting
    )
    assert waiting.splitlines()[-1] == "Next: incidentctl decide INC-1 rollback"
    assert "  A rollback: Back, 40 % sure, recommended\n  A hotfix: not possible: no command\n" in waiting
    assert wording.short_status(told(DECLARED, ("closed", {}))) == (
        "INC-1  high  closed: waits for nothing: it is closed, since 2026-01-01 12:00:10 UTC"
    )


@pytest.mark.parametrize(
    ("rows", "stands"),
    [
        (asked(), None),
        ((*asked(), decision()), "rollback"),
        ((*asked(), decision(), phase("recover")[0]), "rollback"),
        ((*asked(), decision(), phase("recover")[0], *asked()), None),
        ((*asked(), decision(), *phase("recover"), *phase("verify")), "rollback"),
        ((*asked(), decision("mitigate")), "mitigate"),
        ((*asked(), decision("mitigate"), *phase("recover")), None),
        ((*asked(), decision("mitigate"), *phase("recover"), decision()), "rollback"),
        ((*asked(), decision(), *phase("monitor", "failed")), None),
        ((*asked(), decision(), *phase("monitor", "unchanged")), "rollback"),
        ((*asked(), decision(), ("closed", {}), ("reopened", {})), None),
    ],
)
def test_a_decision_stands_until_it_failed_or_only_holds(rows: tuple[Row, ...], stands: str | None) -> None:
    found = decided(told(DECLARED, LOCKED, *rows))
    assert (found and found["option"]) == stands


def test_what_is_too_long_for_a_terminal_keeps_its_beginning_and_its_end() -> None:
    assert fitted("one\n\ntwo", 80, 24) == "one\n\ntwo"
    assert fitted("abcdefgh", 3, 24) == "abc\ndef\ngh"
    assert fitted("\n".join("123456789"), 80, 7) == "1\n2\n  …\n7\n8\n9"


def test_no_escape_sequence_of_a_host_or_of_a_person_reaches_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07"
    row = {**CONTAINED[1], "target": f"worker{evil}", "damaged": f"/var/lib/x{evil}"}
    found = told(DECLARED, ("locked", {"pid": 7, "host": evil}), ("containment_applied", row))
    assert "\x1b" not in wording.status(found)
    assert "worker\\x1b[2J" in wording.status(found)
    there = briefing.of(fold([Event("INC-1", n, START.isoformat(), f"ada{evil}", kind, data, "", "")
                              for n, (kind, data) in enumerate((DECLARED, ("acknowledged", {})))]), START)  # fmt: skip
    assert "\x1b" not in there.text()


def test_where_no_look_saw_who_is_sick_a_person_can_say_so() -> None:
    def steps(*affected: str) -> tuple[str, ...]:
        finished = ("step_finished", {"phase": "triage", "affected": list(affected)})
        return standing(told(DECLARED, phase("triage")[0], finished, *asked(NO_WAY))).next

    named = "incidentctl run --join INC-1 --service NAME, if shop is sick all the same"
    assert named in steps()
    assert named not in steps("shop")


def test_a_list_says_what_each_is_and_what_an_open_one_waits_for() -> None:
    assert wording.listed([]) == "No incident is open."
    ended, (first, second) = told(DECLARED, ("closed", {})), wording.listed([told(DECLARED)]).splitlines()
    assert first.split() == ["INC-1", "high", "investigating", "Checkout", "down"]
    assert second.startswith("  waits for somebody who takes it up")
    assert len(wording.listed([ended]).splitlines()) == 1
    (data,) = wording.listed_data([told(DECLARED)])
    assert (data["title"], data["waiting"]["waits_for"]) == ("Checkout down", "responder")
