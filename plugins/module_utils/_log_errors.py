"""The errors of a log: what each says, when it was, and the cause that its stack trace ends with.

Lines that differ in nothing but numbers, ids and paths say the same, so that most of a log is like what was before: the
lines of a block are looked up, and only what is new is understood.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from ansible_collections.incidentctl.response.plugins.module_utils._log_alike import Alike
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line, Source
from ansible_collections.incidentctl.response.plugins.module_utils._log_messages import Error, Understanding, text_of
from ansible_collections.incidentctl.response.plugins.module_utils._log_scan import LINE_LIMIT, Block, Scan
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import Trace, following, may_follow

_ALIKE_BYTES, _ALIKE_KEPT = 600, 8_000  # of a line that is remembered for others; how many are
_HELD_BYTES = 1200  # of a line that is not: enough for a sample
_HELD = 4 << 20  # bytes of lines, until the times of the errors among them are read and they are told
_PEEKED = 256  # bytes: enough to see whether a line may belong to the one before
_TRACE, _LONG_TRACE = 4 * 1024, 64 * 1024  # bytes in which the end of a trace is looked for
_TRACES_KEPT = 1000  # of the shorter ones
_DASH = ord("-")
_BEGINS = frozenset(bytes([each]) for each in b"0123456789{")  # a line of its own, as most begin: with a time, or JSON
_Key, _Value = TypeVar("_Key"), TypeVar("_Value")


class _Kind:
    """Lines that are alike: what they say, and those errors among them that are not told yet."""

    __slots__ = ("by_field", "cause", "follows", "lines", "passed_on", "said", "times")

    def __init__(self, said: str | None, cause: str | None = None) -> None:
        """Begin with none; `said` is None if they are no errors."""
        self.said, self.cause = said, cause
        self.follows = self.passed_on = self.by_field = False
        self.times: tuple[float | None, ...] = ()  # known already, where no other line is like this one
        self.lines: list[bytes] = []

    def told(self, understanding: Understanding) -> Error:
        """Return its errors, and begin anew."""
        lines, self.lines = self.lines, []
        times = self.times or understanding.times(lines, self.by_field)
        return Error(str(self.said), text_of(lines[0]), times, self.cause)

    def with_cause(self, cause: str | None) -> _Kind:
        """Return the kind of those that say the same, but whose trace ends with this cause."""
        if cause == self.cause:
            return self
        kind = _Kind(self.said, cause)
        kind.times, kind.by_field = self.times, self.by_field
        return kind


class _Lines:
    """Lines of a block, whose offsets are written in `width` bytes."""

    def __init__(self, block: Block, width: int, lines: list[bytes]) -> None:
        """Tell those that were found from those that only come after one."""
        self.block, self.lines, self._width = block, lines, width
        self.places: list[int] = []  # of those that were found
        self.found: list[bytes] = []
        self.odd: set[int] = set()  # places of others, which may well not be lines of their own
        places, found = self.places.append, self.found.append
        text, first = slice(width + 1, None), slice(width + 1, width + 2)
        for place, line in enumerate(lines):
            if line[width] != _DASH:
                places(place)
                found(line[text])
            elif line[first] not in _BEGINS:
                self.odd.add(place)

    def text(self, place: int) -> bytes:
        """Return the line at a place."""
        return self.lines[place][self._width + 1 :]

    def at(self, place: int) -> int:
        """Return at which offset it begins."""
        return self.block.base + int(self.lines[place][: self._width])

    def after(self, place: int) -> int:
        """Return at which offset the one after it begins."""
        return self.at(place) + len(self.lines[place]) - self._width

    def may_follow(self, place: int) -> bool:
        """Say whether there is one that was not found, and may be part of the trace under the one before it."""
        line = self.lines[place] if place < len(self.lines) else b""
        return line[self._width : self._width + 1] == b"-" and may_follow(line, self._width + 1)


class Reader:
    """Reads the errors of one log."""

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._understanding, self._alike = Understanding(), Alike()
        self._by_numbers: dict[bytes, _Kind] = {}
        self._by_looks: dict[bytes, _Kind] = {}
        self._by_meaning: dict[tuple[Any, ...], _Kind] = {}
        self._traces: dict[tuple[_Kind, bytes], tuple[_Kind, Trace]] = {}
        self._untold: list[_Kind] = []
        self._passed = 0  # up to where what follows an error was taken with it

    def of_source(self, source: Source) -> Iterator[Error]:
        """Give the errors of an open log, each with the stack trace that follows it; several that are alike as one."""
        for scan in source.scans:
            self._passed, held = 0, 0
            try:
                for block in scan.blocks():
                    for width, lines in _by_width(block.lines.split(b"\n")):
                        self._take(scan, _Lines(block, width, lines))
                    held += len(block.lines)
                    if held > _HELD:
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
            if kind.lines:
                yield kind.told(self._understanding)

    def _take(self, scan: Scan, lines: _Lines) -> None:
        """Take the errors among lines of a block."""
        found = lines.found
        alike = self._alike.by_numbers(b"\n".join(found))
        kinds = list(map(self._by_numbers.get, alike))
        new = [raw for raw, kind in zip(found, kinds) if kind is None]
        looks = iter(self._alike.by_looks(b"\n".join(new)))
        odd, untold = lines.odd, self._untold
        before: _Kind | None = None
        error_at = -1  # where the one before stands
        for place, raw, key, kind in zip(lines.places, found, alike, kinds):
            if kind is None or kind.follows or self._passed:
                known = kind or (key, next(looks))
                before = self._taken(scan, lines, place, known, before if error_at == place - 1 else None)
            elif kind.said is None:
                before = None
            elif (kind.passed_on or place + 1 in odd) and lines.may_follow(place + 1):
                before = self._taken(scan, lines, place, kind, None)
            else:  # as nearly all are
                if not kind.lines:
                    untold.append(kind)
                kind.lines.append(raw)
                before = kind
            error_at = place
        if before is not None and error_at == len(lines.lines) - 1:  # what follows it was not given
            after = lines.after(error_at) + lines.block.more
            if may_follow(scan.peek(after, _PEEKED).partition(b"\n")[0]):
                self._with_trace(scan, after, before)

    def _taken(
        self, scan: Scan, lines: _Lines, place: int, known: _Kind | tuple[bytes, bytes], before: _Kind | None
    ) -> _Kind | None:
        """Take one line, which may have to do with the one before it, an error, or after it; return what it is, as an error.

        It is `known` of what kind it is, or only what it has in common with others.
        """
        at, raw = lines.at(place), lines.text(place)
        if at < self._passed:
            return None
        self._passed = 0
        kind = known if isinstance(known, _Kind) else self._learned(*known, raw)
        if kind.follows and before is not None and at == lines.after(place - 1):
            self._with_trace(scan, at, before)
            if at < self._passed:
                return None
        if kind.said is None:
            return None
        if not kind.lines:
            self._untold.append(kind)
        kind.lines.append(raw if kind is known else raw[:_HELD_BYTES])
        if (kind.passed_on or place + 1 in lines.odd) and lines.may_follow(place + 1):
            self._with_trace(scan, lines.at(place + 1), kind)
        return kind

    def _learned(self, key: bytes, look: bytes, raw: bytes) -> _Kind:
        """Return of which kind a line is; if others can be like it, keep that for them."""
        kind = self._by_looks.get(look)
        if kind is None:
            kind = self._new(raw)
            if len(raw) > _ALIKE_BYTES or raw.startswith(b"<") or not self._alike.tells(raw):
                return kind  # of longer lines hardly two are alike; the number at the start of some is their priority
            kind = self._shared(kind, raw)
            _keep(self._by_looks, look, kind)
        _keep(self._by_numbers, key, kind)
        return kind

    def _shared(self, kind: _Kind, raw: bytes) -> _Kind:
        """Return the kind that all of one meaning are of: they say the same, and the same may follow them."""
        kind.times = ()
        trace = vars(Trace(text_of(raw), kind.cause)).values()
        meaning = (kind.said, kind.follows, kind.by_field, *trace)
        if meaning not in self._by_meaning:
            _keep(self._by_meaning, meaning, kind)
        return self._by_meaning[meaning]

    def _new(self, raw: bytes) -> _Kind:
        error = self._understanding.of_line(Line(text_of(raw[:LINE_LIMIT])))
        kind = _Kind(None) if error is None else _Kind(error.said, error.cause)
        kind.follows = may_follow(raw)
        if error is not None:
            kind.passed_on = Trace(error.line).passed_on
            kind.times = tuple(error.times)
            kind.by_field = self._understanding.is_by_field(raw, error.times[0])
        return kind

    def _with_trace(self, scan: Scan, at: int, kind: _Kind) -> None:
        """Give the last error of a kind the cause that the trace ends with which may begin at the offset `at`."""
        text = scan.peek(at, _TRACE)
        trace = following(text, kind.passed_on)
        if len(trace) == len(text):
            text = scan.peek(at, _LONG_TRACE)
            trace = following(text, kind.passed_on)
        key = kind, self._alike.shape(trace)
        stop = text.find(b"\n", len(trace))
        caused, known = self._traces.get(key, (kind, None))
        if known is None or stop < 0 or not known.ends_before(text_of(text[len(trace) : stop])):
            caused, known, self._passed = self._read_trace(scan, at, kind)
            if self._passed == at + len(trace) and stop >= 0 and len(trace) < _TRACE:
                _keep(self._traces, key, (caused, known), _TRACES_KEPT)
        else:
            self._passed = at + len(trace)
        if caused is not kind:
            raw = kind.lines.pop()
            if not kind.lines:
                self._untold.pop()
            if not caused.lines:
                self._untold.append(caused)
            caused.lines.append(raw)

    def _read_trace(self, scan: Scan, at: int, kind: _Kind) -> tuple[_Kind, Trace, int]:
        """Take a trace line by line; return the kind of the error with its cause, and where it ends."""
        trace = Trace(text_of(kind.lines[-1]), kind.cause)
        for after, raw in scan.following(at):
            if not trace.takes(text_of(raw)):
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
        [key] = self._alike.by_numbers(raw)
        kind = self._by_numbers.get(key) or self._learned(key, self._alike.by_looks(raw)[0], raw)
        if kind.said is None:
            return None
        times = (line.at,) if line.at is not None else kind.times or self._understanding.times([raw], kind.by_field)
        return Error(kind.said, line.text, times, kind.cause)


def _keep(known: dict[_Key, _Value], key: _Key, value: _Value, most: int = _ALIKE_KEPT) -> None:
    if len(known) >= most:
        known.clear()
    known[key] = value


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
