"""The errors of a log, each with when it was and the cause that its stack trace ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_levels, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import TRACEBACK, Trace, last_word
from ansible_collections.incidentctl.response.plugins.module_utils._text import plain

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
    """One error of a log: what it says, the line itself, when, and what its stack trace ends with."""

    message: str
    line: str
    at: datetime | None
    cause: str | None


def errors(lines: Iterable[Line]) -> Iterator[Error]:
    """Given the lines of a log, return its errors one by one, each with the stack trace that follows it."""
    current: Error | None = None
    trace: Trace | None = None
    for line in lines:
        if current is not None:
            if trace is not None and trace.takes(line.text):
                continue
            yield _with_cause(current, trace)
        current = of_line(line)
        if current is not None:
            trace = Trace(line.text)
    if current is not None:
        yield _with_cause(current, trace)


def _with_cause(error: Error, trace: Trace | None) -> Error:
    return error if error.cause is not None or trace is None else error._replace(cause=trace.cause)


def of_line(line: Line) -> Error | None:
    """Return the error that a line is, without what follows it; None if it is none."""
    text = plain(line.text)
    fields = _log_levels.fields_of(text)
    if fields:
        found = _structured(line, text, fields)
        if found is not None:
            return found or None
    at, rest = _timestamps.split(text)
    is_error, message = _log_levels.of_plain(text, rest)
    if not is_error and not line.error:
        return None
    if TRACEBACK in message or message.startswith("Exception in thread "):
        message = _UNCAUGHT
    return Error(message, text, line.at or at, None)


def _structured(line: Line, text: str, fields: dict[str, Any]) -> Error | bool | None:
    """Return the error that these fields tell of, False if it is none, None if they tell no level."""
    is_error = _log_levels.of_fields(fields)
    message = _log_levels.message_of(fields)
    if is_error is None and text.startswith("{") and message:  # what a container said, within what its engine says
        inner = of_line(Line(message, line.at or _timestamps.moment(_log_levels.first(fields, _TIMES)), line.error))
        return inner._replace(line=text) if inner else False
    if is_error is None:
        return None
    if not is_error and not line.error:
        return False
    cause = _cause(_log_levels.first(fields, _CAUSES))
    at = line.at or _timestamps.moment(_log_levels.first(fields, _TIMES)) or _timestamps.split(text)[0]
    said, embedded = (message or cause or text), None
    if message and "\n" in message:  # the trace stands in the message itself
        said, embedded = message.split("\n", 1)[0], last_word(message)
        embedded = None if embedded == said else embedded
    return Error(_UNCAUGHT if TRACEBACK in said else said, text, at, cause or embedded)


def _cause(value: Any) -> str | None:
    """Given the field that holds an exception, in any of its shapes, return its last word."""
    if isinstance(value, dict):
        stack = _log_levels.first(value, ("stack", "stack_trace", "stacktrace"))
        named = [str(value[key]) for key in ("type", "name", "class", "message", "msg") if key in value]
        return ": ".join(named[:2]) or _cause(stack)
    return last_word(value) if isinstance(value, str) else None
