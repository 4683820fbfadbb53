"""Find the lines of a large file that may be errors, fast and in little memory, with what follows each of them.

The host's own grep goes through the file. Where it cannot, for want of it or at a line larger than the memory that it
may take, the file is searched here, slowly. Either finds more than errors: that is for the level of a line to decide.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from typing import IO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_hints

LINE_LIMIT = 32 * 1024  # of a longer line, the rest is passed over
GREP_KIB = 32 * 1024  # grep's memory, in which it holds whole lines
_CHUNK = 1 << 20
_SAID = 128 * 1024  # of what grep says, so much is taken at once
_PIPE = 1 << 20  # bytes that it may say before anybody listens
_OFFSET = re.compile(rb"(\d+)[:-]")
_BLOCK = 64 * 1024
_FIRST_BLOCK = 4 * 1024  # most traces are no longer


class OutOfTime(OSError):
    """The time for reading is over; the message says so."""

    def __init__(self) -> None:
        """Say it as a person is told."""
        super().__init__("it takes longer than there is time: only its older part was read")


class Block(NamedTuple):
    """Lines that may be errors, as grep tells them: after how many bytes from `base` on each begins, a colon, the line.

    A dash in place of the colon: this line was not found, but comes right after the one before it. Not after the last
    one. Of that one, `more` bytes are left out.
    """

    base: int
    lines: bytes
    more: int = 0


class Scan:
    """The lines between two offsets of an open file that may be errors, and what follows each of them.

    Reading raises OutOfTime when the monotonic time `until` has come.
    """

    def __init__(self, descriptor: int, start: int, end: int, until: float) -> None:
        """Nothing is read yet."""
        self._descriptor, self._start, self._end, self._until = descriptor, start, end, until

    def blocks(self) -> Iterator[Block]:
        """Give the lines."""
        start = _line_start(self._descriptor, self._start, self._end, self._until)
        yield from _candidates(self._descriptor, start, self._end, self._until)

    def peek(self, at: int, size: int) -> bytes:
        """Return at most `size` bytes from the offset `at` on."""
        _check(self._until)
        return os.pread(self._descriptor, max(0, min(size, self._end - at)), at)

    def following(self, at: int) -> Iterator[tuple[int, bytes]]:
        """Give the lines from the offset `at` on, each with where the next one begins."""
        block, begun, size = b"", 0, _FIRST_BLOCK
        while at < self._end:
            stop = block.find(b"\n", begun)
            if stop < 0:
                block, begun = self.peek(at, size), 0
                stop = block.find(b"\n")
                if stop < 0 and at + len(block) < self._end:
                    if size == _BLOCK:
                        return  # a line as long as that is no part of a trace
                    size = _BLOCK
                    continue
                size = _BLOCK
                stop = len(block) if stop < 0 else stop
            if not block:
                return
            at += stop - begun + 1
            yield at, block[begun:stop][:LINE_LIMIT]
            begun = stop + 1


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


def _candidates(descriptor: int, start: int, end: int, until: float) -> Iterator[Block]:
    at, hint = start, _log_hints.of_log(descriptor, start, end)
    while at < end:
        at = yield from _by_grep(descriptor, at, end, until, hint)
        if at < end:
            at = yield from _by_hand(descriptor, at, end, until, hint.compiled())


def _by_grep(descriptor: int, start: int, end: int, until: float, hint: _log_hints.Hint) -> Generator[Block, None, int]:
    """Let grep search; return up to where it did."""
    os.lseek(descriptor, start, os.SEEK_SET)
    limited = f'ulimit -v {GREP_KIB} && exec grep -a -b -A 1 --no-group-separator "$@"'
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    process = subprocess.Popen(
        ["sh", "-c", limited, "sh", *hint.options()],
        stdin=descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    _widen(process.stdout)
    ending = threading.Timer(max(0.0, until - time.monotonic()), process.kill)
    ending.daemon = True
    ending.start()
    reached = start
    try:
        for block in _whole_lines(process, start):
            offset, text = _parted(block.lines[block.lines.rfind(b"\n") + 1 :])
            reached = start + offset + len(text) + block.more + 1
            if reached > end:
                yield from _before(block, end)
                return end
            yield block
        complaint = process.communicate()[1]
    finally:
        ending.cancel()
        process.kill()
        process.communicate()
    _check(until)
    # One that does not know these options may well exit like one that found nothing.
    return end if process.returncode in (0, 1) and not complaint else min(end, reached)


def _widen(pipe: IO[bytes] | None) -> None:
    """Let grep go on while what it found is looked at. Where the host does not allow that, it waits."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):  # Python 3.10
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


def _whole_lines(process: subprocess.Popen[bytes], base: int) -> Iterator[Block]:
    """Give what grep finds. Of a line that is far too long only the first part is kept."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    rest, dropped = b"", 0
    while said := process.stdout.read(_SAID):
        stop = said.rfind(b"\n")
        if stop < 0:
            if len(rest) > LINE_LIMIT:
                dropped += len(said)
            else:
                rest += said
            continue
        if dropped:
            first = said.find(b"\n")
            yield Block(base, rest, dropped + first)
            rest, said, stop, dropped = b"", said[first + 1 :], stop - first - 1, 0
        if stop >= 0:
            yield Block(base, rest + said[:stop])
            rest = b""
        rest += said[stop + 1 :]


def _before(block: Block, end: int) -> Iterator[Block]:
    """Give those lines of a block that begin before `end`, the last one as far as that."""
    kept = []
    for line in block.lines.split(b"\n"):
        offset, text = _parted(line)
        at = block.base + offset
        if at < end:
            kept.append(line[: len(line) - len(text)] + text[: end - at])
    if kept:
        yield Block(block.base, b"\n".join(kept))


def _parted(line: bytes) -> tuple[int, bytes]:
    """Return at which offset a line of a block begins, and the line."""
    told = _OFFSET.match(line)
    assert told is not None  # noqa: S101 - grep was told to
    return int(told.group(1)), line[told.end() :]


def _by_hand(
    descriptor: int, start: int, end: int, until: float, pattern: re.Pattern[bytes]
) -> Generator[Block, None, int]:
    """Search without grep, until a line is passed that may have been too long for it; return up to where."""
    at = start
    while at < end:
        _check(until)
        read = os.pread(descriptor, min(_CHUNK, end - at), at)
        if not read:
            return end  # it was cut off meanwhile
        stop = read.rfind(b"\n") + 1
        if not stop and len(read) == _CHUNK:
            after = _next_line(descriptor, at + _CHUNK, end, until)
            if pattern.search(read, 0, LINE_LIMIT):
                yield Block(at, b"0:" + read[:LINE_LIMIT], after - at - 1 - LINE_LIMIT)
            return after
        read = read[:stop] if stop else read
        found = b"\n".join(_matches(read, pattern))
        if found:
            yield Block(at, found)
        at += len(read)
    return end


def _matches(read: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """Give each line that is found, and the one after it, as grep does."""
    after, match = len(read), pattern.search(read)
    while match:
        begun = read.rfind(b"\n", 0, match.start()) + 1
        if after < begun:
            yield b"%d-%s" % (after, _line_at(read, after))
        line = _line_at(read, begun)
        yield b"%d:%s" % (begun, line)
        after = begun + len(line) + 1
        match = pattern.search(read, after - 1)
    if after < len(read):
        yield b"%d-%s" % (after, _line_at(read, after))


def _line_at(read: bytes, begun: int) -> bytes:
    stop = read.find(b"\n", begun)
    return read[begun : stop if stop >= 0 else len(read)]


def _check(until: float) -> None:
    if time.monotonic() > until:
        raise OutOfTime
