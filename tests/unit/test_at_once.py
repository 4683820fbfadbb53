"""Two who say something at the same moment: one of them is heard, the other is told of the first. Real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from incidentctl.record import Record, open_record
from incidentctl.times import when

ROUNDS = 20
DRIVER = Path(__file__).resolve().parents[2] / "driver"
SCRIPT = """
import sys
from incidentctl.errors import IncidentctlError
from incidentctl.record import open_record
from incidentctl import workflow
from incidentctl.desk import Desk, record_decision
from incidentctl.settings import Settings

def decide(record, actor, incident_id, option):
    record_decision(Desk(incident_id, record, Settings(), None, (), actor, None, None), option)

def declare(record, actor):
    workflow.declare(record, actor, title="x", severity="high", services=["shop"])

def reopen(record, actor, incident_id):
    workflow.reopen(record, actor, incident_id)

def hold(record, actor, incident_id):
    with record.hold(incident_id, actor):
        assert record.incident(incident_id).holder["actor"] == actor
        sys.stdin.readline()

with open_record(sys.argv[1]) as record:
    print("ready", flush=True)
    for line in sys.stdin:
        name, *words = line.split()
        try:
            globals()[name](record, sys.argv[2], *words)
        except IncidentctlError as error:
            print(error.exit_code, error.what, flush=True)
        else:
            print("recorded", flush=True)
"""


class Two:
    """Ada and bob, each in a process of their own."""

    def __init__(self, url: str) -> None:
        self._both = [self._start(url, actor) for actor in ("ada", "bob")]
        assert self._hear() == ["ready", "ready"]

    def say(self, ada: str, bob: str) -> list[str]:
        """Let both say it, and return what each was told."""
        for process, words in zip(self._both, (ada, bob), strict=True):
            assert process.stdin is not None
            process.stdin.write(f"{words}\n")
        for process in self._both:
            assert process.stdin is not None
            process.stdin.flush()
        return self._hear()

    def hold(self, incident_id: str) -> str:
        """Let both ask for the lock; return what the one was told who did not get it, then let it go."""
        for process in self._both:
            assert process.stdin is not None
            process.stdin.write(f"hold {incident_id}\n")
            process.stdin.flush()
        outputs = [process.stdout for process in self._both]
        (refused,) = select.select(outputs, [], [], 60)[0]
        told = str(refused.readline().strip())
        holder = next(process for process in self._both if process.stdout is not refused)
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "recorded"
        return told

    def end(self) -> None:
        """Say no more."""
        for process in self._both:
            process.communicate(timeout=60)

    def _hear(self) -> list[str]:
        return [process.stdout.readline().strip() if process.stdout else "" for process in self._both]

    @staticmethod
    def _start(url: str, actor: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, url, actor],
            env={**os.environ, "PYTHONPATH": f"{DRIVER}:{os.environ.get('PYTHONPATH', '')}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def record(url: str) -> Iterator[Record]:
    with open_record(url) as opened:
        yield opened


@contextmanager
def two(url: str) -> Iterator[Two]:
    both = Two(url)
    try:
        yield both
    finally:
        both.end()


def asked(record: Record, number: int) -> str:
    """An incident that waits for a decision."""
    name = f"INC-20260101-{number:04d}-aaaa"
    ways = [{"letter": key[0], "key": key, "feasible": True} for key in ("rollback", "hotfix")]
    record.append(name, "declared", {"services": ["shop"], "severity": "high"}, "eve")
    record.append(name, "options_assessed", {"options": ways}, "eve")
    record.append(name, "question_asked", {"question": "Which recovery?"}, "eve")
    return name


def open_for(record: Record, service: str) -> list[str]:
    return [
        name
        for name in record.incidents()
        if record.incident(name).status != "cancelled" and service in record.incident(name).services
    ]


def one_is_told(said: list[str], told: Callable[[str], bool]) -> bool:
    """Say whether exactly one was heard, and the other told of it, with exit code 13."""
    (other,) = [text for text in said if text != "recorded"] or [""]
    return said.count("recorded") == 1 and other.startswith("13 ") and told(other)


@pytest.mark.parametrize("bob", ["hotfix", "rollback"])
def test_of_two_decisions_at_once_one_counts_and_the_other_is_told_of_it(url: str, record: Record, bob: str) -> None:
    names = [asked(record, number) for number in range(ROUNDS)]
    with two(url) as both:
        said = [both.say(f"decide {name} rollback", f"decide {name} {bob}") for name in names]
    for name, told in zip(names, said, strict=True):
        (decided,) = [event for event in record.events(name) if event.kind == "decided"]
        words = f"{decided.actor} decided {decided.data['option']} at {when(decided.at)}"
        assert one_is_told(told, lambda text, words=words: words in text), told
        assert record.verify(name) is None


def test_a_question_that_comes_too_late_does_not_undo_a_decision(record: Record) -> None:
    name = asked(record, 1)
    record.append(name, "decided", {"option": "rollback"}, "ada")
    assert record.append_if(name, "question_asked", {}, "bob", lambda incident: incident.decision is None) is None
    assert record.incident(name).decision is not None


def test_two_declarations_at_once_open_one_incident(url: str, record: Record) -> None:
    with two(url) as both:
        for _ in range(ROUNDS):
            said = both.say("declare", "declare")
            (name,) = open_for(record, "shop")
            assert one_is_told(said, lambda text, name=name: f"{name} is already open for shop" in text), said
            record.append(name, "cancelled", {}, "eve")


def test_two_that_are_reopened_at_once_leave_one_open(url: str, record: Record) -> None:
    names = ["INC-20260101-0000-aaaa", "INC-20260101-0000-bbbb"]
    for name in names:
        record.append(name, "declared", {"services": ["shop"]}, "eve")
        record.append(name, "cancelled", {}, "eve")
    with two(url) as both:
        for _ in range(ROUNDS):
            said = both.say(*(f"reopen {name}" for name in names))
            (name,) = open_for(record, "shop")
            assert one_is_told(said, lambda text, name=name: f"{name} is already open" in text), said
            record.append(name, "cancelled", {}, "eve")


def test_two_who_want_the_lock_at_once_are_one_holder(url: str, record: Record) -> None:
    record.append("INC-1", "declared", {}, "eve")
    with two(url) as both:
        for _ in range(ROUNDS):
            refused = both.hold("INC-1")
            assert refused.startswith("13 "), refused
            assert "is at work on INC-1" in refused
    kinds = [event.kind for event in record.events("INC-1")[1:]]
    assert kinds == ["locked", "unlocked"] * ROUNDS
