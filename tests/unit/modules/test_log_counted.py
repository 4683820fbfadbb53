"""Errors that are like one before are counted without being understood: what is told stays the same."""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_alike,
    _log_errors,
    _log_lines,
    _log_messages,
    _log_scan,
    _patterns,
    _timestamps,
)
from benchmarks import labelled_logs, labelled_programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def told(path: Path, *origins: str) -> list[Any]:
    """All that is told of a log that is read once under each name."""
    patterns = _patterns.Patterns()
    for origin in origins:
        with _log_lines.of_file(str(path), 1 << 40, time.monotonic() + 30) as source:
            patterns.add(_log_errors.Reader().of_source(source), origin)
    return [_all_of(group) for group in patterns.groups()]


class Plain(_log_errors.Reader):
    """Reads a log line by line, and understands each line on its own."""

    def of_line(self, line: _log_lines.Line) -> _log_messages.Error | None:
        return self._understanding.of_line(line)


def told_plainly(path: Path, *origins: str) -> list[Any]:
    """The same of a log of which all lines are read plainly."""
    patterns = _patterns.Patterns()
    lines = path.read_bytes().decode("utf-8", "replace").removesuffix("\n").split("\n")
    for origin in origins:
        patterns.add(Plain().errors(map(_log_lines.Line, lines)), origin)
    return [_all_of(group) for group in patterns.groups()]


def _all_of(group: _patterns.Group) -> tuple[Any, ...]:
    latest = group.bursts.latest() if group.bursts else None
    # The cause that is shown may be that of another one of the group.
    return {**group.told(), "cause": None}, group.first, group.last, group.origin, latest


PROGRAMS = [form for form in labelled_programs.FORMATS if form != "journal"]  # no file has those


@pytest.mark.parametrize("form", [*labelled_logs.FORMATS, *PROGRAMS])
def test_log_that_is_looked_up_in_blocks_tells_the_same_as_read_plainly(form: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    entries = (labelled_logs if form in labelled_logs.FORMATS else labelled_programs).log(form, 300, 1)
    log.write_text(
        "".join(f"{entry}\n" if isinstance(entry, str) else "\n".join([*entry.lines, ""]) for entry in entries)
    )
    assert told(log, "a", "b") == told_plainly(log, "a", "b") != []


def test_lines_whatever_they_are_tell_the_same_as_read_plainly(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    lines = [*HOSTILE, *BROKEN.strip().splitlines(), *WELL.strip().splitlines()]
    lines = [line for turn in range(4) for line in (lines if turn % 2 else lines[::-1])]
    text = "\n".join(f"{line}\n{CALM}" if number % 3 else line for number, line in enumerate(lines))
    log.write_text(text, errors="surrogateescape")
    assert _counts(told(log, "a")) == _counts(told_plainly(log, "a")) != []


def _counts(groups: list[Any]) -> list[Any]:
    return sorted((group[0]["template"], str(group[0]["cause_template"]), group[0]["count"]) for group in groups)


HEADS = (
    "2026-11-28 02:{m:02}:{s:02},{n:03} ERROR [exec-{n}] c.shop.Orders - ",
    "2026-11-28 02:{m:02}:{s:02},{n:03} INFO  [exec-{n}] c.shop.Orders - ",
    "2026-11-28 02:{m:02}:{s:02} no ERROR here: ",
    "2026-11-28T0{h}:{m:02}:{s:02}.{n:03}Z [shop] error: ",
    "Nov 28 02:{m:02}:{s:02} web1 sshd[{n}]: error: ",
    "Nov 28 02:{m:02}:{s:02} web1 shop[{n}]: ",
    "E1128 02:{m:02}:{s:02}.{n:03}000   12 kubelet.go:{n}] ",
    "ERROR{n}: ",
    "ERROR: ",
    "2026-11-28 02:00:00.123 7 ERROR nova.manager [instance: {n}] ",
    "",
)
SAID = (
    "order {n} of {name} failed",
    "order  of {name} failed",
    "user{n} at {path} and {path} is gone",
    "cannot read {path}: {what} denied",
    "mail {hex} to {name}@example.com bounced {n} times",
    "GET {path} took {n}.{n}ms, id={hex}",
    "java.lang.IllegalStateException: {what} {n}",
    "Caused by: java.io.IOException: {what}",
    "\tat com.shop.Db.call(Db.java:{n})",
    "Traceback (most recent call last):",
    '  File "a.py", line {n}, in ask',
    "KeyError: {what}",
    "CustomFailure: {what}",
    "panic: {what} {n}",
    "goroutine {n} [running]:",
    "main.(*Shop).order({hex}, 0x1)",
    "",
    '{{"level": {level}, "time": 17638914{n}0, "msg": "order {n} of {name} failed"}}',
    '{{"level": "error", "ts": "2026-11-28T02:{m:02}:{s:02}Z", "msg": "{path} of {name}", "err": "{what} {n}"}}',
    '{{"time": 17638914{n}0, "level": "error", "msg": "since 2026-11-28 02:{m:02}:{s:02}"}}',
    '{{"level":"error","ts":1763891{n:03}.{n:03},"msg":"order {n} failed","trace":"{hex}"}}',
    '{{"level":"error","ts":1763891{n:03}.{n:03},"msg":"order {n} failed","time":1763892{n:03}}}',
    '{{"in":{{"time":1763890000}},"level":"error","time":1763891{n:03},"msg":"order {n} failed"}}',
    '{{"level":"error","time":1763891{n:03},"msg":"order {n} failed","in":{{"time":1763890000}}}}',
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*map(st.sampled_from, (HEADS, SAID))), min_size=1, max_size=8), st.randoms(), st.booleans())
def test_made_logs_tell_the_same_as_read_plainly(
    tmp_path: Path, templates: list[tuple[str, str]], draw: random.Random, ends: bool
) -> None:
    lines = []
    for _ in range(30):
        head, said = draw.choice(templates)
        most = {"h": 3, "m": 60, "s": 60, "n": 10 ** draw.randrange(1, 4)}
        numbers = {name: draw.randrange(each) for name, each in most.items()}
        words = {
            "name": draw.choice(("bob", "carol", "dave")),
            "path": draw.choice(("/srv/a", "/var/lib/b.json", "/x/in", "/data/c/part-00012.", "~/d")),
            "level": draw.choice(("30", "50", "60")),
            "what": draw.choice(("Permission", "access", "ERROR")),
            "hex": f"{draw.getrandbits(64):016x}",
        }
        lines.append((head if draw.random() < 0.9 else "") * (not said.startswith("{")) + said)
        lines[-1] = lines[-1].format(**numbers, **words)
    log = tmp_path / "a.log"
    log.write_text("\n".join(lines) + "\n" * ends)
    assert told(log, "a") == told_plainly(log, "a")


def test_error_like_one_before_does_not_take_the_next_for_its_cause(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    errors = (f"2026-11-28T02:00:00.{n:03}Z [shop] error: java.lang.IllegalStateException: no {n}" for n in range(9))
    log.write_text("".join(f"{error}\n" for error in errors))
    assert [group[0]["count"] for group in told(log, "a")] == [9]
    assert told(log, "a") == told_plainly(log, "a")


def test_error_that_is_like_one_before_is_not_understood_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"2026-11-28 02:00:00,{n:03} ERROR order {n} failed\n{CALM}\n" for n in range(500)))
    understood, plain = [], _log_messages.Understanding.of_line

    def counting(self: _log_messages.Understanding, line: _log_lines.Line) -> _log_messages.Error | None:
        understood.append(line)
        return plain(self, line)

    monkeypatch.setattr(_log_messages.Understanding, "of_line", counting)
    assert [group[0]["count"] for group in told(log, "a")] == [500]
    assert len(understood) == 1


def test_level_that_is_told_by_its_number_alone_counts_from_the_first_block_on(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    lines = [f'{{"level": {50 - 20 * (n % 2)}, "time": 1763891476{n:03}, "msg": "error {n}"}}' for n in range(60)]
    log.write_text("\n".join([CALM] * 500 + lines))  # so that all of them stand in one block
    assert [group[0]["count"] for group in told(log, "a")] == [30]
    assert told(log, "a") == told_plainly(log, "a")


def test_place_where_lines_have_an_id_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    errors = (f"2026-11-28 02:00:01,{n % 1000:03} ERROR [id \\{uuid.uuid4()}] order {n} failed" for n in range(2000))
    log.write_text("".join(f"{error}\n{CALM}\n" for error in errors))
    looked_at, plain = [], _log_alike.Alike.by_looks

    def counting(self: _log_alike.Alike, lines: Sequence[bytes]) -> list[bytes]:
        looked_at.extend(lines)
        return plain(self, lines)

    monkeypatch.setattr(_log_scan, "_SAID", 20_000)
    monkeypatch.setattr(_log_alike.Alike, "by_looks", counting)
    assert [group[0]["count"] for group in told(log, "a")] == [2000]
    assert len(looked_at) < 250  # those of the first block
    monkeypatch.undo()
    assert told(log, "a") == told_plainly(log, "a")


def test_error_with_a_trace_under_it_is_another_than_one_without(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    plain, traced = (
        "2026-11-28 02:00:00,123 ERROR order 1 failed\n",
        f"2026-11-28 02:00:00,123 ERROR order 1 failed\n{JAVA}",
    )
    log.write_text((plain + CALM + "\n" + traced + CALM + "\n") * 5)
    assert sorted(group[0]["count"] for group in told(log, "a")) == [5, 5]


@pytest.mark.parametrize("gap", [CALM, JAVA.splitlines()[1], ""])
def test_trace_is_found_across_the_blocks_that_grep_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: str
) -> None:
    monkeypatch.setattr(_log_scan, "_SAID", 100)
    log = tmp_path / "a.log"
    log.write_text(
        "".join(f"2026-11-28 02:00:00,{n:03} ERROR order {n} failed\n{JAVA}{gap}\n{JAVA}" for n in range(100, 140))
    )
    assert told(log, "a") == told_plainly(log, "a")


@given(st.lists(st.text("0123456789 \t\r\v\f.aé").map(str.encode), min_size=1, max_size=6))
def test_lines_are_alike_that_are_the_same_but_for_the_figures_of_their_numbers(lines: list[bytes]) -> None:
    shapes = _log_alike.Alike().by_numbers(lines)
    plain = [re.sub(rb"\d+", b"0", line) for line in lines]
    assert [shapes.index(shape) for shape in shapes] == [plain.index(line) for line in plain]
    assert [_log_alike.Alike().by_numbers([line]) for line in lines] == [[shape] for shape in shapes]


SAID = (
    "2026-11-28 0{h}:{m:02}:{s:02},{f:03} a",
    "2026-11-28T0{h}:{m:02}:{s:02}.{f:06}Z a",
    "[2026-11-28T0{h}:{m:02}:{s:02}+0{h}:00] a",
    "28/Nov/2026:0{h}:{m:02}:{s:02} -0300 a",
    "Nov 28 0{h}:{m:02}:{s:02} a",
    "Sat Nov 28 0{h}:{m:02}:{s:02} 202{h} a",
    "E1128 0{h}:{m:02}:{s:02}.{f:06} a",
)
NUMBERS = st.fixed_dictionaries(
    {"h": st.integers(0, 3), "m": st.integers(0, 61), "s": st.integers(0, 61), "f": st.integers(0, 999)}
)


@given(st.lists(st.tuples(st.sampled_from(SAID), NUMBERS), min_size=2, max_size=12))
def test_time_in_an_hour_that_is_known_is_the_one_that_it_says(said: list[tuple[str, dict[str, int]]]) -> None:
    clock = _timestamps.Clock()
    for form, numbers in said:
        line = form.format(**numbers)
        at, rest = _timestamps.split(line)
        seconds, left = clock.split(line)
        assert (seconds, left) == (None if at is None else pytest.approx(at.timestamp(), abs=1e-5), rest)
