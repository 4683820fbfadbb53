"""The errors of a log, each with when it was and the cause that its stack trace ends with."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_levels, _masks, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line, Source
from ansible_collections.incidentctl.response.plugins.module_utils._log_scan import LINE_LIMIT, Scan
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import (
    TRACEBACK,
    Trace,
    last_word,
    raised,
)
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean, plain

_SAID_CHARS = 400
_ALIKE_CHARS, _ALIKE_KEPT = 600, 16_000  # bytes of a line that is remembered for others; how many are
_NO_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_IDS = re.compile(rb"[0-9a-f]{6,}(?:-[0-9a-f]{4,}){0,4}")
_LEVEL_NUMBER = re.compile(rb"(?:evel|everity|everity_?[Nn]umber|riority|RIORITY|velno|el_value)\" ?: ?\"?\d+")
_UNKNOWN = "\0"
_UNCAUGHT = "uncaught exception"
_TIMES = ("time", "timestamp", "ts", "@timestamp", "t", "asctime", "datetime", "date")
_CAUSES = (
    "exc_info",
    "exception",
    "stack_trace",
    "stacktrace",
    "stack",
    "traceback",
    "err",
    "error",
    "error.stack_trace",
)


class Error(NamedTuple):
    """One error of a log: what it says, masked; the line itself; when (seconds since 1970); what its trace ends with."""

    said: str
    line: str
    at: float | None
    cause: str | None


class Reader:
    """Reads the errors of one log."""

    def __init__(self, count: Callable[[str, float | None], bool] | None = None) -> None:
        """Begin with a log of which nothing is known yet.

        `count` is told what an error without a cause says, and when: it returns True where it has counted the error by
        that alone, which then is not given.
        """
        self._count = count or _never
        self._clock = _timestamps.Clock()
        self._known: dict[bytes, str | None] = {}
        self._by_number = False  # whether any line says its level by a number

    def of_source(self, source: Source) -> Iterator[Error]:
        """Give the errors of an open log one by one, each with the stack trace that follows it, but those that are counted."""
        for scan in source.scans:
            yield from self._found(scan)
        yield from self.errors(source.lines)

    def _found(self, scan: Scan) -> Iterator[Error]:
        """Understand whole blocks of what may be errors at once: a line that is like one before costs little more.

        Lines that differ in nothing but numbers and ids say the same, so that most of a log is like what was before.
        """
        known, count, take, goes_on, at_of = self._known, self._count, scan.take, scan.goes_on, self._clock.at
        for base, block, more in scan.blocks():
            lines = block.split(b"\n")
            for line, alike in zip(lines, self._alike(block, lines)):
                said = known.get(alike, _UNKNOWN)
                if said is None:
                    continue
                number, _colon, raw = line.partition(b":")
                if not take(base + int(number), len(raw) + more):
                    continue
                followed, error = goes_on(), None
                if said is not _UNKNOWN:
                    at = at_of(raw)
                    if at is not None or raw[:1] != b"{":  # a time that is a field is read with all the others
                        if not followed and count(said, at):
                            continue
                        error = Error(said, raw.decode("utf-8", "replace"), at, None)
                if error is None:
                    error = self._of_raw(raw[:LINE_LIMIT], alike)
                if error is not None:
                    yield self._with_trace(error, scan) if followed else error

    def _alike(self, block: bytes, lines: list[bytes]) -> list[bytes]:
        """Return for each line of a block what those have in common that say the same."""
        alike = _without_numbers(block).split(b"\n")
        levels = [_levels(line) for line in lines] if self._by_number else []
        if levels:
            alike = [each + level for each, level in zip(alike, levels)]
        # Ids are looked for only where it is worth it: that costs more than all the rest.
        new = [place for place, each in enumerate(alike) if each not in self._known]
        if new:
            without = _without_numbers(_IDS.sub(b"0", b"\n".join([lines[place] for place in new]))).split(b"\n")
            for place, each in zip(new, without):
                alike[place] = each + levels[place] if levels else each
        return alike

    def _with_trace(self, error: Error, scan: Scan) -> Error:
        trace = Trace(error.line, error.cause)
        for raw in scan.following():
            if not trace.takes(_text(raw)):
                break
        return _with_cause(error, trace)

    def errors(self, lines: Iterable[Line]) -> Iterator[Error]:
        """Given all lines of a log, do the same."""
        current: Error | None = None
        trace: Trace | None = None
        for line in lines:
            if current is not None:
                trace = trace or Trace(current.line, current.cause)
                if trace.takes(line.text):
                    continue
                yield _with_cause(current, trace)
                trace = None
            current = self.of_line(line)
        if current is not None:
            yield _with_cause(current, trace)

    def of_line(self, line: Line) -> Error | None:
        """Return the error that a line is, without what follows it; None if it is none."""
        if line.error:
            return self._understood(line)
        raw = line.text.encode("utf-8", "replace")
        (alike,) = self._alike(raw, [raw])
        said = self._known.get(alike, _UNKNOWN)
        if said is None:
            return None
        error = None
        if said is not _UNKNOWN:
            error = _like(said, raw, self._clock.at(raw) if line.at is None else line.at)
        return error or self._of_raw(raw, alike, line.at)

    def _of_raw(self, raw: bytes, alike: bytes, at: float | None = None) -> Error | None:
        """Understand a line; keep what it says for all those that are `alike`."""
        error = self._understood(Line(_text(raw), at))
        levels = _levels(raw)
        self._by_number = self._by_number or bool(levels)
        # Of longer lines hardly two are alike; the number at the start of some is their priority.
        forgotten = len(raw) > _ALIKE_CHARS or raw.startswith(b"<") or not alike.endswith(levels)
        if not forgotten and (error is None or error.cause is None):
            if len(self._known) >= _ALIKE_KEPT:
                self._known.clear()
            self._known[alike] = error.said if error else None
        return error

    def _understood(self, line: Line) -> Error | None:
        text = plain(line.text)
        fields = _log_levels.fields_of(text)
        found = self._structured(line, text, fields) if fields else None
        if found is not None:
            return found or None
        at, rest = self._clock.split(text)
        is_error, message = _log_levels.of_plain(text, rest)
        if not is_error and not line.error:
            return None
        cause = raised(message)
        if TRACEBACK in message or message.startswith("Exception in thread "):
            message = _UNCAUGHT
        return Error(masked(message), text, at if line.at is None else line.at, cause)

    def _structured(self, line: Line, text: str, fields: dict[str, Any]) -> Error | bool | None:
        """Return the error that these fields tell of, False if it is none, None if they tell no level."""
        is_error = _log_levels.of_fields(fields)
        at = _when(fields) if line.at is None else line.at
        message = _log_levels.message_of(fields)
        if is_error is None and text.startswith("{") and message:  # what a container said, within what its engine says
            inner = self._understood(Line(message.split("\n", 1)[0], at, line.error))
            return inner._replace(line=text) if inner else False
        if is_error is None:
            return None
        if not is_error and not line.error:
            return False
        cause = _cause(_log_levels.first(fields, _CAUSES))
        at = self._clock.split(text)[0] if at is None else at
        said, embedded = (message or cause or text), None
        if message and "\n" in message:  # the trace stands in the message itself
            said, embedded = message.split("\n", 1)[0], last_word(message)
            embedded = None if embedded == said else embedded
        return Error(masked(_UNCAUGHT if TRACEBACK in said else said), text, at, cause or embedded)


def _without_numbers(raw: bytes) -> bytes:
    return raw.translate(_NO_DIGITS).replace(b"0000", b"0").replace(b"000", b"0").replace(b"00", b"0")


def _levels(raw: bytes) -> bytes:
    """Return the levels that a line of JSON says by their numbers: what it says, they say."""
    return b"".join(_LEVEL_NUMBER.findall(raw)) if b"{" in raw else b""


def _like(said: str, raw: bytes, at: float | None) -> Error | None:
    """Return the error that a line is which says the same as one before, None if it has to be understood itself."""
    if at is None and raw[:1] == b"{":  # a time that is a field is read with all the others
        return None
    return Error(said, raw.decode("utf-8", "replace"), at, None)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r")


@functools.lru_cache(maxsize=1024)  # the same few messages come again and again
def masked(message: str) -> str:
    """Return what a message says with what varies masked."""
    return _masks.mask(clean(_timestamps.split(message)[1], _SAID_CHARS))


def _never(_said: str, _at: float | None) -> bool:
    return False


def _with_cause(error: Error, trace: Trace | None) -> Error:
    return error if trace is None or trace.cause is None else error._replace(cause=trace.cause)


def _when(fields: dict[str, Any]) -> float | None:
    at = _timestamps.moment(_log_levels.first(fields, _TIMES))
    return None if at is None else at.timestamp()


def _cause(value: Any) -> str | None:
    """Given the field that holds an exception, in any of its shapes, return its last word."""
    if isinstance(value, dict):
        stack = _log_levels.first(value, ("stack", "stack_trace", "stacktrace"))
        named = [str(value[key]) for key in ("type", "name", "class", "message", "msg") if key in value]
        return ": ".join(named[:2]) or _cause(stack)
    return last_word(value) if isinstance(value, str) else None
