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

from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import may_follow

LINE_LIMIT = 32 * 1024  # of a longer line, the rest is passed over
GREP_KIB = 32 * 1024  # grep's memory, in which it holds whole lines
_CHUNK = 1 << 20
_PEEKED = 256  # bytes: enough to see whether a line may belong to the one before
_BLOCK = 64 * 1024

# Where one will do, an alternative begins in the middle of its word, with a letter that is rare: as grep then seldom leaves
# the state it starts in, it is about twice as fast.
PATTERN = "|".join(
    (
        r"[Rr][Rr]([Oo][Rr]|O\[|[^A-Za-z]|$)",  # error, err, ERRO[
        r"[Rr][Ii][Tt]([Ii][Cc]|[^A-Za-z]|$)",  # crit, critical
        r"[Ff][Aa][Tt][Aa]|[Pp][Aa][Nn][Ii]([Cc]|\[)",
        r"[Ll][Ee][Rr][Tt]([^A-Za-z]|$)|[Mm][Ee][Rr][Gg]([^A-Za-z]|[Ee][Nn][Cc]|$)|[Vv][Ee][Rr][Ee][^A-Za-z]|SEV[^A-Za-z]",
        r"[Xx][Cc][Ee][Pp][Tt][Ii]|[Rr][Aa][Cc][Ee][Bb][Aa]|Throwable|Unhandled|Uncaught|^fail: ",
        r'^[EF]([0-9]{4} |[ /,])|[EF][ /][A-Za-z_([]|[EF]"|[EF]\||vl=ero|vl":"ero',  # a letter alone; log15's eror
        rf"^<({'|'.join(str(number) for number in range(192) if number % 8 < 4)})>",  # syslog's priorities
        r'vel": ?([56][0-9]|[0-3])[,} ]|rity": ?"?[0-3]["}, ]|RITY": ?"?[0-3]["}, ]',  # pino and bunyan, GELF, journal
        r'velno": ?[4-9][0-9]|vel_value": ?[4-9]|Number": ?(1[7-9]|2)|_number": ?(1[7-9]|2)',  # Python, logback, OTel
    )
)
_COMPILED = re.compile(PATTERN.replace("[^A-Za-z]", "[^A-Za-z\n]").encode(), re.MULTILINE)

_Found = tuple[int, bytes, int]  # where a line begins, the first part of it, and how long it is


class OutOfTime(Exception):
    """The time for reading is over."""


def lines(descriptor: int, start: int, end: int, until: float) -> Iterator[tuple[bytes, bool]]:
    """Given an open file, return the lines between two offsets that may be errors, each with what may follow it.

    With each line comes whether it follows right after the one before, nothing being left out. Raise OutOfTime when
    the monotonic time `until` has come.
    """
    last = start = _line_start(descriptor, start, end, until)
    for offset, line, length in _candidates(descriptor, start, end, until):
        if offset < last:
            continue  # it was given as what follows another
        yield line, offset == last
        last = offset + length + 1
        if last < end and may_follow(os.pread(descriptor, _PEEKED, last).partition(b"\n")[0]):
            last = yield from _following(descriptor, last, end)


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


def _following(descriptor: int, at: int, end: int) -> Generator[tuple[bytes, bool], None, int]:
    """Give the lines from an offset on that may belong to the one before, and one more; return where they end."""
    block = os.pread(descriptor, min(_BLOCK, end - at), at)
    begun, likely = 0, True
    while likely:
        stop = block.find(b"\n", begun)
        if stop < 0:
            if at + len(block) >= end and begun < len(block):  # the last line, which nothing ends
                yield block[begun:][:LINE_LIMIT], True
                return end
            if not begun or at + len(block) >= end:
                break
            at, block, begun = at + begun, os.pread(descriptor, min(_BLOCK, end - at - begun), at + begun), 0
            continue
        line = block[begun:stop]
        likely = may_follow(line)
        yield line[:LINE_LIMIT], True
        begun = stop + 1
    return at + begun


def _candidates(descriptor: int, start: int, end: int, until: float) -> Iterator[_Found]:
    at = start
    while at < end:
        at = yield from _by_grep(descriptor, at, end, until)
        if at < end:
            at = yield from _by_hand(descriptor, at, end, until)


def _by_grep(descriptor: int, start: int, end: int, until: float) -> Generator[_Found, None, int]:
    """Let grep search; return up to where it did."""
    os.lseek(descriptor, start, os.SEEK_SET)
    limited = f'ulimit -v {GREP_KIB} && exec grep -a -b -E -e "$1"'
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    process = subprocess.Popen(
        ["sh", "-c", limited, "sh", PATTERN],
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
            yield _found(line, 0)


def _found(line: bytes, dropped: int) -> _Found:
    number, _colon, text = line.partition(b":")
    return int(number), text[:LINE_LIMIT], len(text) + dropped


def _by_hand(descriptor: int, start: int, end: int, until: float) -> Generator[_Found, None, int]:
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
            if _COMPILED.search(block, 0, LINE_LIMIT):
                yield at, block[:LINE_LIMIT], after - at - 1
            return after
        block = block[:stop] if stop else block
        yield from _matches(block, at)
        at += len(block)
    return end


def _matches(block: bytes, at: int) -> Iterator[_Found]:
    match = _COMPILED.search(block)
    while match:
        begun = block.rfind(b"\n", 0, match.start()) + 1
        stop = block.find(b"\n", match.start())
        stop = len(block) if stop < 0 else stop
        yield at + begun, block[begun:stop][:LINE_LIMIT], stop - begun
        match = _COMPILED.search(block, stop)


def _check(until: float) -> None:
    if time.monotonic() > until:
        raise OutOfTime
