"""Errors that are like one before are counted without being made: what is told stays the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _log_errors, _log_lines, _patterns
from benchmarks import labelled_logs

from .test_patterns import BROKEN, JAVA, PYTHON, WELL

CALM = "2026-11-28 02:00:00,123 INFO shop: on we go"
HOSTILE = [
    *(f"2026-11-28 02:0{number}:00,123 ERROR shop: order {10**number} failed" for number in range(9)),
    f"2026-11-28 02:00:01,1 ERROR shop: order 1 failed\n{JAVA.rstrip()}",
    f"2026-11-28 02:00:01 ERROR shop: order 1 failed\n{PYTHON.rstrip()}",
    "2026-11-28 02:00:61,123 ERROR shop: order 1 failed",
    "2026-13-28 25:00:00,123 ERROR shop: order 1 failed",
    "2026-11-28T02:00:00+02:00 ERROR shop: order 1 failed",
    "ERROR shop: order 1 failed",
    "ERROR shop: order 1 failed\n\tat shop",
    '{"level": 50, "time": 1763891476, "msg": "order 1 failed"}',
    '{"level": 30, "time": 1763891477, "msg": "order 2 failed"}',
    '{"level": "error", "time": "2026-11-28T02:00:00Z", "msg": "order 1 failed"}',
    "<3>order 1 failed",
    "<6>order 1 failed",
    "2026-11-28 02:00:00,123 ERROR shop: order \x00\x02n\x03 \udcff failed",
    f"2026-11-28 02:00:00,123 ERROR shop: {'1' * 700} failed",
]


def told(path: Path, counts: bool, origins: tuple[str, ...]) -> tuple[list[Any], int]:
    """All that is told of a log that is read once under each name, and how many errors were made for it."""
    patterns, made = _patterns.Patterns(), 0
    for origin in origins:
        reader = _log_errors.Reader(patterns.counter(origin) if counts else None)
        with _log_lines.of_file(str(path), 1 << 40, time.monotonic() + 30) as source:
            for error in reader.of_source(source):
                patterns.add([error], origin)
                made += 1
    return [_all_of(group) for group in patterns.groups()], made


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, tuple[str, ...]], list[Any]]:
    """What is told of a log when each of its lines is understood on its own."""

    def told_afresh(path: Path, origins: tuple[str, ...]) -> list[Any]:
        with monkeypatch.context() as patch:
            patch.setattr(_log_errors, "_ALIKE_CHARS", -1)
            return told(path, False, origins)[0]

    return told_afresh


def _all_of(group: _patterns.Group) -> tuple[Any, ...]:
    latest = group.bursts.latest() if group.bursts else None
    return group.told(), group.first, group.last, group.origin, latest


@pytest.mark.parametrize("form", labelled_logs.FORMATS)
def test_counted_errors_tell_the_same_as_made_ones(
    form: str, tmp_path: Path, afresh: Callable[[Path, tuple[str, ...]], list[Any]]
) -> None:
    log = tmp_path / "a.log"
    entries = labelled_logs.log(form, 300, 1)
    log.write_text(
        "".join(f"{entry}\n" if isinstance(entry, str) else "\n".join([*entry.lines, ""]) for entry in entries)
    )
    assert told(log, True, ("a", "b"))[0] == told(log, False, ("a", "b"))[0] == afresh(log, ("a", "b")) != []


def test_counted_errors_tell_the_same_as_made_ones_whatever_the_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    lines = [*HOSTILE, *BROKEN.strip().splitlines(), *WELL.strip().splitlines()]
    lines = [line for turn in range(4) for line in (lines if turn % 2 else lines[::-1])]
    text = "\n".join(f"{line}\n{CALM}" if number % 3 else line for number, line in enumerate(lines))
    log.write_text(text, errors="surrogateescape")
    assert told(log, True, ("a",))[0] == told(log, False, ("a",))[0] != []


def test_counted_errors_tell_the_same_as_made_ones_where_groups_have_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_patterns, "KEPT", 3)
    log = tmp_path / "a.log"
    entries = labelled_logs.log("java", 500, 1)
    log.write_text(
        "".join(f"{entry}\n" if isinstance(entry, str) else "\n".join([*entry.lines, ""]) for entry in entries)
    )
    assert told(log, True, ("a",))[0] == told(log, False, ("a",))[0] != []


def test_error_that_is_like_one_before_is_only_counted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"2026-11-28 02:00:00,{n:03} ERROR order {n} failed\n{CALM}\n" for n in range(500)))
    groups, made = told(log, True, ("a",))
    assert made == 1
    assert groups[0][0]["count"] == 500


def test_error_with_a_trace_under_it_is_not_only_counted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    plain, traced = (
        "2026-11-28 02:00:00,123 ERROR order 1 failed\n",
        f"2026-11-28 02:00:00,123 ERROR order 1 failed\n{JAVA}",
    )
    log.write_text((plain + CALM + "\n" + traced + CALM + "\n") * 5)
    groups, made = told(log, True, ("a",))
    assert made == 6
    assert sorted(group[0]["count"] for group in groups) == [5, 5]
