"""The questions: a word that is no answer is asked about again, and never taken for one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from incidentctl import keyboard
from incidentctl.console import Console

OPTIONS = (
    {"letter": "A", "key": "rollback", "title": "Roll back", "feasible": True, "recommended": True, "why_not": ""},
    {
        "letter": "D",
        "key": "custom",
        "title": "x",
        "feasible": False,
        "recommended": False,
        "why_not": "names no playbooks",
    },
)
STEP = SimpleNamespace(targets=[("web1", "backup", "shop")])


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    console = Console()
    console.interactive = True
    return console


def typing(monkeypatch: pytest.MonkeyPatch, *lines: str | None) -> Iterator[str | None]:
    left = iter(lines)
    monkeypatch.setattr(keyboard, "line", lambda _answered: next(left))
    return left


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["maybe", "ja", "n"], "no"),
        (["maybe", ""], "yes"),
        (["YES "], "yes"),
        (["what?", None], None),
    ],
)
def test_only_yes_and_no_answer_whether_to_contain(
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: list[str | None],
    answer: str,
) -> None:
    left = typing(monkeypatch, *lines)
    assert console.ask("contain", step=STEP, incident=SimpleNamespace(severity="high")) == answer
    assert next(left, "all were read") == "all were read"
    assert ("Neither yes nor no: " in capsys.readouterr().err) is (len(lines) > 1)


def test_nobody_goes_forward_by_a_word_that_is_no_answer(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "forward", "")
    assert console.ask("forward", named="42") == "no"


def test_what_is_not_possible_says_why(
    console: Console, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(monkeypatch, "d", "custom", "x", "a")
    now: Any = SimpleNamespace(decision=None, status="identified")
    assert console.ask("decide", options=OPTIONS, poll=lambda: now) == "rollback"
    said = capsys.readouterr().err
    assert said.count("is not possible: names no playbooks") == 2
    assert "Not one of A." in said
