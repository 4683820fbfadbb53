"""The errors of a log, each with when it was and the cause that its stack trace ends with."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_levels, _masks, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import (
    TRACEBACK,
    Trace,
    last_word,
    raised,
)
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean, plain

_SAID_CHARS = 400
_ALIKE_CHARS, _ALIKE_KEPT = 600, 16_000  # of longer lines hardly two are alike; how many kinds are remembered
_NO_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_IDS = re.compile(rb"[0-9a-f]{6,}(?:-[0-9a-f]{4,}){0,4}")
_LEVEL_NUMBER = re.compile(rb"(?:evel|ity|Number|_number|velno|el_value)\" ?: ?\"?\d+", re.IGNORECASE)
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

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._clock = _timestamps.Clock()
        self._known: dict[bytes, str | None] = {}

    def errors(self, lines: Iterable[Line], following: Callable[[], Iterator[Line]] | None = None) -> Iterator[Error]:
        """Given the lines of a log, return its errors one by one, each with the stack trace that follows it.

        With `following`, the lines are not all there are: it gives those after the one given last.
        """
        if following is None:
            yield from self._of_all(lines)
            return
        for line in lines:
            error = self.of_line(line)
            if error is None:
                continue
            trace: Trace | None = None
            for more in following():
                trace = trace or Trace(error.line, error.cause)
                if not trace.takes(more.text):
                    break
            yield error if trace is None else _with_cause(error, trace)

    def _of_all(self, lines: Iterable[Line]) -> Iterator[Error]:
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
        """Return the error that a line is, without what follows it; None if it is none.

        Lines that differ in nothing but numbers say the same, so that most of a log is understood at once.
        """
        text = line.text
        if len(text) > _ALIKE_CHARS or line.error or text[:1] == "<":
            return self._understood(line)
        raw = text.encode("utf-8", "replace")
        alike = _alike(raw)
        said = self._known.get(alike, _UNKNOWN)
        if said is _UNKNOWN:  # ids are looked for only where it is worth it: that costs more than all the rest
            without_ids = _alike(_IDS.sub(b"0", raw))
            said = self._known.get(without_ids, _UNKNOWN)
            self._remember(alike, said)
        if said is None:
            return None
        if said is not _UNKNOWN:
            at = self._clock.at(text) if line.at is None else line.at
            if at is not None or text[0] != "{":  # a time that is a field is read with all the others
                return Error(said, text, at, None)
        error = self._understood(line)
        if error is None or error.cause is None:
            for key in (alike, without_ids) if said is _UNKNOWN else ():
                self._remember(key, error.said if error else None)
        return error

    def _remember(self, alike: bytes, said: str | None) -> None:
        if said is _UNKNOWN:
            return
        if len(self._known) >= _ALIKE_KEPT:
            self._known.clear()
        self._known[alike] = said

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
        at = self._clock.at(text) if at is None else at
        said, embedded = (message or cause or text), None
        if message and "\n" in message:  # the trace stands in the message itself
            said, embedded = message.split("\n", 1)[0], last_word(message)
            embedded = None if embedded == said else embedded
        return Error(masked(_UNCAUGHT if TRACEBACK in said else said), text, at, cause or embedded)


def _alike(raw: bytes) -> bytes:
    """Return a line without what its numbers are; but a number that is a level stays."""
    short = raw.translate(_NO_DIGITS).replace(b"0000", b"0").replace(b"000", b"0").replace(b"00", b"0")
    return short + b"".join(_LEVEL_NUMBER.findall(raw)) if raw[:1] == b"{" else short


@functools.lru_cache(maxsize=1024)  # the same few messages come again and again
def masked(message: str) -> str:
    """Return what a message says with what varies masked."""
    return _masks.mask(clean(_timestamps.split(message)[1], _SAID_CHARS))


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
