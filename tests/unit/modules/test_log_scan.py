"""Finding the lines of a large file that may be errors: with grep, without it, and whatever the file does meanwhile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_errors,
    _log_hints,
    _log_lines,
    _log_messages,
    _log_scan,
    _patterns,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .test_patterns import BROKEN, GO, GROUP, JAVA, NODE, PYTHON, SUPPRESSED, WELL

ROOT = Path(__file__).resolve().parents[3]
LIMIT = _log_scan.LINE_LIMIT
TRACES = (PYTHON, JAVA, SUPPRESSED, GO, NODE, GROUP)


@pytest.fixture(params=["grep", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Search with the host's grep, and where there is one that knows none of the options."""
    if request.param == "by hand":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "grep").write_text("#!/bin/sh\necho usage: grep PATTERN FILE >&2\nexit 1\n")
        (tmp_path / "bin" / "grep").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return str(request.param)


def scanned(path: Path, start: int = 0, end: int | None = None) -> list[bytes]:
    with path.open("rb") as stream:
        size = path.stat().st_size if end is None else end
        return lines_of(_log_scan.Scan(stream.fileno(), start, size, time.monotonic() + 30).blocks())


def lines_of(blocks: Iterable[_log_scan.Block]) -> list[bytes]:
    """The lines in blocks that were found, no longer than they are looked at."""
    return [line for mark, line in told_of(blocks) if mark == b":"]


def told_of(blocks: Iterable[_log_scan.Block]) -> list[tuple[bytes, bytes]]:
    """The lines in blocks, with what stands before each: that it was found, or only follows one that was."""
    lines = [re.sub(rb"^\d+", b"", line) for block in blocks for line in block.lines.split(b"\n")]
    return [(line[:1], line[1:][:LIMIT]) for line in lines]


@pytest.mark.usefixtures("way")
def test_line_after_one_that_is_found_is_given_with_it(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("fine\nERROR a\n\tat b\nfine\nERROR c\nERROR d\nfine\n")
    with log.open("rb") as stream:
        found = told_of(_log_scan.Scan(stream.fileno(), 0, log.stat().st_size, time.monotonic() + 30).blocks())
    assert found == [
        *((b":", b"ERROR a"), (b"-", b"\tat b")),
        *((b":", b"ERROR c"), (b":", b"ERROR d"), (b"-", b"fine")),
    ]


def told(text: str) -> Counter[str]:
    """What all lines of a text tell of errors, one by one."""
    lines = (_log_lines.Line(line) for line in text.splitlines())
    return counted(_log_errors.Reader().errors(lines))


def read(path: Path) -> Counter[str]:
    """What those lines of a file tell that are found in it."""
    with _log_lines.of_file(str(path), 1 << 40, time.monotonic() + 30) as source:
        return counted(_log_errors.Reader().of_source(source))


def counted(errors: Iterable[_log_messages.Error]) -> Counter[str]:
    return Counter(_patterns.key(error) for error in errors for _time in error.times)


@pytest.mark.usefixtures("way")
def test_every_error_is_found_and_a_plain_line_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    broken = BROKEN.strip().splitlines()
    for line in broken:
        log.write_text(f"2025-11-23 all is well\n{line}\n2025-11-23 all is well\n")
        assert [found.decode() for found in scanned(log)] == [line]


@pytest.mark.usefixtures("way")
def test_what_is_found_tells_the_same_as_the_whole_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    quiet = "2025-11-23T09:51:15Z INFO on we go\n"
    lines = [*BROKEN.strip().splitlines(), *WELL.strip().splitlines()]
    text = "".join(f"{quiet}{line}\n{quiet}{trace}" for line, trace in zip(lines, TRACES * 20))
    text += f"2025-11-23T09:51:15Z ERROR one\n{PYTHON}{quiet * 2000}2025-11-23T09:51:15Z ERROR two\n{JAVA.rstrip()}"
    log.write_text(text)
    assert read(log) == told(text)


@pytest.mark.usefixtures("way")
def test_only_whole_lines_between_two_offsets_are_given(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("ERROR a\nERROR b\nERROR c\nERROR d")
    assert scanned(log, 3) == [b"ERROR b", b"ERROR c", b"ERROR d"]
    assert scanned(log, 8)[0] == b"ERROR b"
    assert scanned(log, 0, 16) == [b"ERROR a", b"ERROR b"]
    assert scanned(log, 0, 19)[2] == b"ERR"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([b"ERROR x", b"fine", b"  at y", b"", b"\xff\x00", b"\n", b"Caused by: z", b"E"]), max_size=30
    )
)
def test_grep_and_hand_find_the_same_in_whatever_bytes(tmp_path: Path, parts: list[bytes]) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"\n".join(parts))
    with log.open("rb") as stream:
        until, size = time.monotonic() + 30, log.stat().st_size
        for hint in (_log_hints.ALL, _log_hints.IN_CAPITALS, _log_hints.IN_FIELDS, _log_hints.Hint("", ("fine", "x"))):
            grep = _log_scan._by_grep(stream.fileno(), 0, size, until, hint)
            hand = _log_scan._by_hand(stream.fileno(), 0, size, until, hint.compiled())
            assert [line for line in lines_of(grep) if line] == [line for line in lines_of(hand) if line]


LAST_WORDS = ("panic: ", "fatal error", "thread ", "Uncaught", "TypeError", "java.lang", "Exception in")
IN_CAPITALS = [line for line in BROKEN.strip().splitlines() if " ERROR " in line or line.startswith(LAST_WORDS)]
IN_FIELDS = [line for line in BROKEN.strip().splitlines() if line[0] == "{" or "level=" in line or "lvl=" in line]


@pytest.mark.parametrize(
    ("quiet", "broken", "hint"),
    [
        ("2025-11-23 09:51:16 INFO all is well, no error", IN_CAPITALS, _log_hints.IN_CAPITALS),
        (
            '{"level":"info","msg":"no error"}',
            IN_FIELDS + IN_CAPITALS,
            _log_hints.Hint("", ('"level":"info"',)),
        ),
        (
            '{"time": 1, "severity": 6, "message": "x"}',
            BROKEN.strip().splitlines(),
            _log_hints.Hint("", ('"severity": 6,',)),
        ),
        ("time=x level=info msg=fine", IN_FIELDS + IN_CAPITALS, _log_hints.IN_FIELDS),
        ("2025-11-23 09:51:16 [info] all is well", ["[error] it broke"], _log_hints.ALL),
        ("all is well", ["app: error: it broke"], _log_hints.ALL),
    ],
)
def test_large_log_is_searched_as_it_says_its_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: str, broken: list[str], hint: _log_hints.Hint
) -> None:
    monkeypatch.setattr(_log_hints, "LARGE", 1 << 14)
    monkeypatch.setattr(_log_hints, "_SAMPLES", 4)
    monkeypatch.setattr(_log_hints, "_SAMPLE", 1 << 10)
    log = tmp_path / "a.log"
    lines = [*[quiet] * 2000, *broken, *[quiet] * 2000]  # in the middle, where no sample is taken
    log.write_text("".join(f"{line}\n" for line in lines))
    with log.open("rb") as stream:
        assert _log_hints.of_log(stream.fileno(), 0, log.stat().st_size) == hint
    assert read(log) == told("\n".join(lines))


def test_large_log_with_one_line_of_another_kind_is_searched_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log_hints, "LARGE", 1 << 16)
    log = tmp_path / "a.log"
    log.write_text("2025-11-23 INFO fine\n" * 2000 + "app: error: it broke\n" + "2025-11-23 INFO fine\n" * 2000)
    assert read(log) == {"it broke": 1}


def test_line_too_long_for_grep_hides_nothing_before_or_after(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as stream:
        stream.write(b"ERROR before\nERROR within")
        stream.truncate(100 << 20)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nfine\nERROR after\n")
    found = scanned(log)
    assert [line[:12] for line in found] == [b"ERROR before", b"ERROR within", b"ERROR after"]
    assert all(len(line) <= _log_scan.LINE_LIMIT for line in found)


def most_memory(log: Path, errors: int) -> int:
    """Read the errors of a log, at least so many, and return how many bytes that took at most, of grep or of Python."""
    program = (
        "import resource, sys, time\n"
        "from ansible_collections.incidentctl.response.plugins.module_utils import _service_errors as errors\n"
        "service = {'logs': [{'kind': 'file', 'path': sys.argv[1]}]}\n"
        "found = errors.read(service, 1 << 40, None, time.monotonic() + 300)\n"
        "assert not found.unread, found.unread\n"
        "assert sum(error['count'] for error in found.errors) >= int(sys.argv[2]), found.errors\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(log), str(errors)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return max(map(int, answer.stdout.split())) << 10


def test_memory_stays_small_whatever_the_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as stream:
        stream.write(b"2025-11-23 ERROR begin " + b"x" * (40 << 20) + b"\n")  # grep dies of it
        stream.write(b"2025-11-23 ERROR half " + b"x" * (6 << 20) + b"\n")  # grep copes with it
        for number in range(5000):
            stream.write(b"ERROR %d %s %s\n" % (number, os.urandom(6).hex().encode(), b"word" * 20))
        stream.seek(1 << 30)
        stream.write(b"\nERROR end\n")
    assert most_memory(log, errors=5003) < 64 << 20


def test_memory_stays_small_where_no_two_errors_are_alike(tmp_path: Path) -> None:
    log, letters = tmp_path / "a.log", bytes(97 + byte % 26 for byte in range(256))
    with log.open("wb") as stream:
        stream.writelines(b"ERROR %s\n" % os.urandom(16).translate(letters) for _ in range(120_000))
    assert most_memory(log, errors=1) < 64 << 20


def test_log_that_grows_or_is_cut_off_meanwhile_is_read_to_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("ERROR a\nfine\n" * 20_000)
    with log.open("rb") as stream:
        blocks = _log_scan.Scan(stream.fileno(), 0, log.stat().st_size, time.monotonic() + 30).blocks()
        assert set(lines_of([next(blocks)])) == {b"ERROR a"}
        with log.open("a") as more:
            more.write("ERROR late\n" * 100_000)
        assert set(lines_of(blocks)) == {b"ERROR a"}
        blocks = _log_scan.Scan(stream.fileno(), 0, log.stat().st_size, time.monotonic() + 30).blocks()
        next(blocks)
        os.truncate(log, 0)
        assert all(line.startswith(b"ERROR") for line in lines_of(blocks))


def test_reading_ends_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grep").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "grep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    log = tmp_path / "a.log"
    log.write_text("ERROR a\n")
    began, threads = time.monotonic(), threading.active_count()
    log_file = _log_lines.of_file(str(log), 1 << 20, began + 0.3)
    with pytest.raises(OSError, match="longer than there is time"), log_file as source:
        list(_log_errors.Reader().of_source(source))
    assert time.monotonic() - began < 60
    assert threading.active_count() < threads + 10


def test_what_follows_an_error_is_read_no_longer_than_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    log.write_text("ERROR a\n\tat b\n")
    until = time.monotonic() + 30
    with log.open("rb") as stream:
        scan = _log_scan.Scan(stream.fileno(), 0, log.stat().st_size, until)
        assert told_of(scan.blocks()) == [(b":", b"ERROR a"), (b"-", b"\tat b")]
        assert list(scan.following(8)) == [(14, b"\tat b")]
        with monkeypatch.context() as over:
            over.setattr(time, "monotonic", lambda: until + 1)
            with pytest.raises(OSError, match="longer than there is time"):
                list(scan.following(8))
        assert list(scan.following(8)) == [(14, b"\tat b")]
