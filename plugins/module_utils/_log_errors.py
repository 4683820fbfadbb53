"""The errors of a log: what each says, when it was, and the cause that its stack trace ends with.

Lines that differ in nothing but numbers, ids and paths say the same, so that most of a log is like what was before: the
lines of a block are looked up, and only what is new is understood.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from ansible_collections.incidentctl.response.plugins.module_utils._log_alike import Alike
from ansible_collections.incidentctl.response.plugins.module_utils._log_kinds import Kind, Kinds
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line, Source
from ansible_collections.incidentctl.response.plugins.module_utils._log_messages import Error, Understanding, text_of
from ansible_collections.incidentctl.response.plugins.module_utils._log_scan import Block, Scan
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import Trace, following, may_follow

_HELD = 4 << 20  # bytes of lines, until the times of the errors among them are read and they are told
_KINDS_HELD = 16_000  # of them likewise: where no two lines are alike each is a kind, and takes more than its bytes
_PEEKED = 256  # bytes: enough to see whether a line may belong to the one before
_TRACE, _LONG_TRACE = 4 * 1024, 64 * 1024  # bytes in which the end of a trace is looked for
_TRACES_KEPT = 1000  # of the shorter ones
_DASH = ord("-")
_BEGINS = frozenset(bytes([each]) for each in b"0123456789{")  # a line of its own, as most begin: with a time, or JSON


class _Lines:
    """Lines of a block, whose offsets are written in `width` bytes."""

    def __init__(self, block: Block, width: int, lines: list[bytes]) -> None:
        """Tell those that were found from those that only come after one."""
        self.block, self._lines, self._width = block, lines, width
        self._places: list[int] = []  # of those that were found
        self.found: list[bytes] = []
        self.odd: set[int] = set()  # numbers of those found after which comes one that may well be no line of its own
        places, found = self._places, self.found
        text, first = slice(width + 1, None), slice(width + 1, width + 2)
        for place, line in enumerate(lines):
            if line[width] != _DASH:
                places.append(place)
                found.append(line[text])
            elif line[first] not in _BEGINS:
                self.odd.add(len(found) - 1)

    def at(self, number: int) -> int:
        """Return at which offset a line that was found begins."""
        return self.block.base + int(self._lines[self._places[number]][: self._width])

    def after(self, number: int) -> int:
        """Return at which offset the one after it begins."""
        return self.at(number) + len(self.found[number]) + 1

    def is_followed(self, number: int) -> bool:
        """Say whether a line comes after it that was not found, and may be part of the trace under it."""
        place = self._places[number] + 1
        line = self._lines[place] if place < len(self._lines) else b""
        return line[self._width : self._width + 1] == b"-" and may_follow(line, self._width + 1)

    def ends_with(self, number: int) -> bool:
        """Say whether it is the last line of all."""
        return self._places[number] == len(self._lines) - 1


class Reader:
    """Reads the errors of one log."""

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._understanding, self._alike = Understanding(), Alike()
        self._kinds = Kinds(self._understanding, self._alike)
        self._traces: dict[tuple[Kind, bytes], tuple[Kind, Trace]] = {}
        self._untold: list[Kind] = []
        self._none = Kind(None)  # of lines that were taken with an error before them
        self._passed = 0  # up to where

    def of_source(self, source: Source) -> Iterator[Error]:
        """Give the errors of an open log, each with the stack trace that follows it; several that are alike as one."""
        for scan in source.scans:
            self._passed, held = 0, 0
            try:
                for block in scan.blocks():
                    for width, lines in _by_width(block.lines.split(b"\n")):
                        self._take(scan, _Lines(block, width, lines))
                    held += len(block.lines)
                    if held > _HELD or len(self._untold) > _KINDS_HELD:
                        yield from self._told()
                        held = 0
            except OSError:
                yield from self._told()
                raise
            yield from self._told()
        yield from self.errors(source.lines)

    def _told(self) -> Iterator[Error]:
        untold, self._untold = self._untold, []
        for kind in untold:
            lines, kind.lines = kind.lines, []
            if kind.said is not None:
                times = kind.times or self._understanding.times(lines, kind.by_field)
                yield Error(kind.said, text_of(lines[0]), times, kind.cause)

    def _take(self, scan: Scan, lines: _Lines) -> None:
        """Take the errors among lines of a block."""
        kinds = self._kinds.of(lines.found)
        if self._passed:
            self._pass_over(lines, kinds, 0)
        for number in [number for number, kind in enumerate(kinds) if kind.is_odd or number in lines.odd]:
            self._take_odd(scan, lines, kinds, number)
        last = len(kinds) - 1
        if kinds and kinds[last].said is not None and lines.ends_with(last):  # what follows it was not given
            after = lines.after(last) + lines.block.more
            if may_follow(scan.peek(after, _PEEKED).partition(b"\n")[0]):
                kinds[last] = self._caused(scan, after, kinds[last], lines.found[last])
        untold = self._untold
        for kind, raw in zip(kinds, lines.found):
            if not kind.lines:
                untold.append(kind)
            kind.lines.append(raw)

    def _take_odd(self, scan: Scan, lines: _Lines, kinds: list[Kind], number: int) -> None:
        """Look whether a line belongs to the error before it, or what comes after it to it."""
        kind, found = kinds[number], lines.found
        before = kinds[number - 1] if number else self._none
        if kind.follows and before.said is not None and lines.after(number - 1) == lines.at(number):
            kinds[number - 1] = self._caused(scan, lines.at(number), before, found[number - 1])
            self._pass_over(lines, kinds, number)
        if kinds[number].said is not None and lines.is_followed(number):
            kinds[number] = self._caused(scan, lines.after(number), kind, found[number])
            self._pass_over(lines, kinds, number + 1)

    def _pass_over(self, lines: _Lines, kinds: list[Kind], number: int) -> None:
        """Pass over those lines, from one on, that were taken with what an error before them ends with."""
        while number < len(kinds) and lines.at(number) < self._passed:
            kinds[number] = self._none
            number += 1
        if number < len(kinds):
            self._passed = 0

    def _caused(self, scan: Scan, at: int, kind: Kind, raw: bytes) -> Kind:
        """Return of which kind an error is with the cause that the trace ends with which may begin at the offset `at`."""
        text = scan.peek(at, _TRACE)
        trace = following(text, kind.passed_on)
        if len(trace) == len(text):
            text = scan.peek(at, _LONG_TRACE)
            trace = following(text, kind.passed_on)
        key = kind, self._alike.shape(trace)
        stop = text.find(b"\n", len(trace))
        caused, known = self._traces.get(key, (kind, None))
        if known is None or stop < 0 or not known.ends_before(text_of(text[len(trace) : stop])):
            caused, known, self._passed = self._read_trace(scan, at, kind, raw)
            if trace and self._passed == at + len(trace) and stop >= 0 and len(trace) < _TRACE:
                if len(self._traces) >= _TRACES_KEPT:
                    self._traces.clear()
                self._traces[key] = caused, known
        else:
            self._passed = at + len(trace)
        return caused

    def _read_trace(self, scan: Scan, at: int, kind: Kind, raw: bytes) -> tuple[Kind, Trace, int]:
        """Take a trace line by line; return the kind of the error with its cause, and where it ends."""
        trace = Trace(text_of(raw), kind.cause, kind.beside)
        for after, line in scan.following(at):
            if not trace.takes(text_of(line)):
                break
            at = after
        return kind.with_cause(trace.cause), trace, at

    def errors(self, lines: Iterable[Line]) -> Iterator[Error]:
        """Given all lines of a log, do the same, but one by one."""
        current: Error | None = None
        trace: Trace | None = None
        for line in lines:
            if current is not None:
                if trace is None and may_follow(line.text.encode("utf-8", "replace")):
                    trace = Trace(current.line, current.cause)
                if trace is not None and trace.takes(line.text):
                    continue
                yield _with_cause(current, trace)
                trace = None
            current = self.of_line(line)
        if current is not None:
            yield _with_cause(current, trace)

    def of_line(self, line: Line) -> Error | None:
        """Return the error that a line is, without what follows it; None if it is none."""
        if line.error:
            return self._understanding.of_line(line)
        raw = line.text.encode("utf-8", "replace")
        [kind] = self._kinds.of([raw])
        if kind.said is None:
            return None
        times = (line.at,) if line.at is not None else kind.times or self._understanding.times([raw], kind.by_field)
        return Error(kind.said, line.text, times, kind.cause)


def _by_width(lines: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Give lines by how many digits their offset has: all of them at once, nearly always."""
    width = _width(lines[0])
    if width == _width(lines[-1]):
        yield width, lines
    else:
        for each, some in itertools.groupby(lines, _width):
            yield each, list(some)


def _width(line: bytes) -> int:
    return len(line) - len(line.lstrip(b"0123456789"))


def _with_cause(error: Error, trace: Trace | None) -> Error:
    return error if trace is None or trace.cause is None else error._replace(cause=trace.cause)
