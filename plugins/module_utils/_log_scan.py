"""Find the lines of a large file that may be errors, fast and in little memory, with what follows each of them.

The host's own grep goes through the file. Where it cannot, for want of it or at a line larger than the memory that it
may take, the file is searched here, slowly. Either finds more than errors: that is for the level of a line to decide.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Generator, Iterator

from ansible_collections.incidentctl.response.plugins.module_utils import _log_hints
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import may_follow

LINE_LIMIT = 32 * 1024  # of a longer line, the rest is passed over
GREP_KIB = 32 * 1024  # grep's memory, in which it holds whole lines
_CHUNK = 1 << 20
_PEEKED = 256  # bytes: enough to see whether a line may belong to the one before
_BLOCK = 64 * 1024

_Found = tuple[int, bytes, int]  # where a line begins, the first part of it, and how long it is


class OutOfTime(Exception):
    """The time for reading is over."""


class Scan:
    """The lines between two offsets of an open file that may be errors, and what follows the one given last.

    Iterating over either raises OutOfTime when the monotonic time `until` has come.
    """

    def __init__(self, descriptor: int, start: int, end: int, until: float) -> None:
        """Nothing is read yet."""
        self._descriptor, self._start, self._end, self._until = descriptor, start, end, until
        self._last = start  # where what was given, or taken of what follows it, ends

    def __iter__(self) -> Iterator[bytes]:
        """Give the lines, but none that was taken for what follows another."""
        self._last = _line_start(self._descriptor, self._start, self._end, self._until)
        for offset, line, length in _candidates(self._descriptor, self._last, self._end, self._until):
            if offset >= self._last:
                self._last = offset + length + 1
                yield line

    def following(self) -> Iterator[bytes]:
        """Give the lines after the last one, if they may belong to it. A line is taken when the next one is asked for."""
        if self._last >= self._end:
            return
        if not may_follow(os.pread(self._descriptor, _PEEKED, self._last).partition(b"\n")[0]):
            return
        block, begun = b"", 0
        while True:
            _check(self._until)
            stop = block.find(b"\n", begun)
            if stop < 0:
                block, begun = os.pread(self._descriptor, min(_BLOCK, self._end - self._last), self._last), 0
                stop = block.find(b"\n")
                if stop < 0 and self._last + len(block) < self._end:
                    return  # a line as long as that is no part of a trace
                stop = len(block) if stop < 0 else stop
            if self._last + stop - begun > self._end or not block:
                return
            yield block[begun:stop][:LINE_LIMIT]
            self._last += stop - begun + 1
            begun = stop + 1
            if self._last >= self._end:
                return


def _line_start(descriptor: int, start: int, end: int, until: float) -> int:
    """Return where the first whole line begins: most likely `start` is within one."""
    return 0 if start <= 0 else min(end, _next_line(descriptor, start - 1, end, until))


def _next_line(descriptor: int, at: int, end: int, until: float) -> int:
    while at < end:
        _check(until)
        block = os.pread(descriptor, _CHUNK, at)
        if not block:
            return end  # it was cut off meanwhile
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(block)
    return end


def _candidates(descriptor: int, start: int, end: int, until: float) -> Iterator[_Found]:
    at, pattern = start, _log_hints.of_log(descriptor, start, end)
    while at < end:
        at = yield from _by_grep(descriptor, at, end, until, pattern)
        if at < end:
            at = yield from _by_hand(descriptor, at, end, until, _log_hints.compiled(pattern))


def _by_grep(descriptor: int, start: int, end: int, until: float, pattern: str) -> Generator[_Found, None, int]:
    """Let grep search; return up to where it did."""
    os.lseek(descriptor, start, os.SEEK_SET)
    limited = f'ulimit -v {GREP_KIB} && exec grep -a -b -E -e "$1"'
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    process = subprocess.Popen(
        ["sh", "-c", limited, "sh", pattern],
        stdin=descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    ending = threading.Timer(max(0.0, until - time.monotonic()), process.kill)
    ending.daemon = True
    ending.start()
    reached = start
    try:
        for offset, line, length in _numbered(process):
            at = start + offset
            if at >= end:
                return end
            yield at, line[: end - at], length
            reached = at + length + 1
        complaint = process.communicate()[1]
    finally:
        ending.cancel()
        process.kill()
        process.communicate()
    _check(until)
    # One that does not know these options may well exit like one that found nothing.
    return end if process.returncode in (0, 1) and not complaint else min(end, reached)


def _numbered(process: subprocess.Popen[bytes]) -> Iterator[_Found]:
    """Give what grep finds. Of a line that is far too long only the first part is kept."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    rest, dropped = b"", 0
    while block := process.stdout.read1(_CHUNK):
        if b"\n" not in block and len(rest) > LINE_LIMIT:
            dropped += len(block)
            continue
        first, *whole = (rest + block).split(b"\n")
        if not whole:
            rest = first
            continue
        rest = whole.pop()
        yield _found(first, dropped)
        dropped = 0
        for line in whole:
            number, _colon, text = line.partition(b":")
            yield int(number), text[:LINE_LIMIT], len(text)


def _found(line: bytes, dropped: int) -> _Found:
    number, _colon, text = line.partition(b":")
    return int(number), text[:LINE_LIMIT], len(text) + dropped


def _by_hand(
    descriptor: int, start: int, end: int, until: float, pattern: re.Pattern[bytes]
) -> Generator[_Found, None, int]:
    """Search without grep, until a line is passed that may have been too long for it; return up to where."""
    at = start
    while at < end:
        _check(until)
        block = os.pread(descriptor, min(_CHUNK, end - at), at)
        if not block:
            return end  # it was cut off meanwhile
        stop = block.rfind(b"\n") + 1
        if not stop and len(block) == _CHUNK:
            after = _next_line(descriptor, at + _CHUNK, end, until)
            if pattern.search(block, 0, LINE_LIMIT):
                yield at, block[:LINE_LIMIT], after - at - 1
            return after
        block = block[:stop] if stop else block
        yield from _matches(block, at, pattern)
        at += len(block)
    return end


def _matches(block: bytes, at: int, pattern: re.Pattern[bytes]) -> Iterator[_Found]:
    match = pattern.search(block)
    while match:
        begun = block.rfind(b"\n", 0, match.start()) + 1
        stop = block.find(b"\n", match.start())
        stop = len(block) if stop < 0 else stop
        yield at + begun, block[begun:stop][:LINE_LIMIT], stop - begun
        match = pattern.search(block, stop)


def _check(until: float) -> None:
    if time.monotonic() > until:
        raise OutOfTime
