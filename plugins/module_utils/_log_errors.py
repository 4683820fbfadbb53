"""Which lines of a log are errors, what they say, and the cause that their stack trace ends with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line
from ansible_collections.incidentctl.response.plugins.module_utils._text import plain

_ERRORS = {"error", "err", "critical", "crit", "fatal", "severe", "alert", "emerg", "emergency", "panic", "e", "f"}
_LEVEL_WORDS = _ERRORS | {"trace", "debug", "info", "notice", "warn", "warning", "d", "i", "w"}
_PINO_ERROR = 50
# Most lines are no errors: to pass them over must be cheap (plain searches beat one large expression by far).
_HINTS = ("err", "crit", "fatal", "severe", "alert", "emerg", "panic", "traceb", "xcept")
_LETTER_OR_NUMBER = re.compile(r"[EF][ /,\"\d]|[56]0\s*[,}]")
_LEVEL_WINDOW = 200
_LEVEL = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE|ALERT|EMERG|PANIC)\b[\]>):|]*"
    r"|[\[<](?:\w+:)?(?i:(trace|debug|info|notice|warn(?:ing)?|error|crit(?:ical)?|fatal|alert|emerg|panic))[\]>]"
)
# One letter for the level: at the start of the line, or right after time and process ids.
_LETTER = re.compile(r"([EF])(?=\d{4} |[ /,])|[\s\d:.\[\]-]*\s([EF])[ /]")
_FIELDS_WINDOW = 4000
_FIELD = re.compile(r"(?<![\w.@-])([A-Za-z_@][\w.@-]*)=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]\S*)")
_LEVELS = ("level", "severity", "levelname", "lvl", "log.level", "s")
_MESSAGES = ("msg", "message", "event", "log")
_TIMES = ("time", "timestamp", "ts", "@timestamp", "t", "asctime", "datetime", "date")
_CAUSES = ("exc_info", "exception", "stack_trace", "stacktrace", "stack", "traceback", "err", "error")

_TRACEBACK = "Traceback (most recent call last)"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_CAUSED_BY = "Caused by: "
_RAISED = re.compile(r"[A-Za-z_][\w.$]*(?::\s.*)?$")
_JAVA_RAISED = re.compile(r"(?:Exception in thread \"[^\"]*\" )?([\w.$]*\w(?:Exception|Error|Throwable)(?::\s.*)?)$")


class Error(NamedTuple):
    """One error of a log: what it says, the line itself, when, and what its stack trace ends with."""

    message: str
    line: str
    at: datetime | None
    cause: str | None


def errors(lines: Iterable[Line]) -> Iterator[Error]:
    """Given the lines of a log, return its errors one by one, each with the stack trace that follows it."""
    current: Error | None = None
    trace = _Trace()
    for line in lines:
        if current is not None and trace.takes(line.text):
            continue
        if current is not None:
            yield _with_cause(current, trace)
        current = _error(line)
        if current is not None:
            trace = _Trace()
            if current.cause is None:
                trace.takes_first(line.text)
    if current is not None:
        yield _with_cause(current, trace)


class _Trace:
    """The stack trace under an error, Python's or Java's, taken line by line; only its cause is kept."""

    def __init__(self) -> None:
        self.cause: str | None = None
        self._in_frames = False
        self._chained = False

    def takes_first(self, text: str) -> None:
        """Take the line of the error itself: it may be where the trace begins."""
        self._in_frames = text.startswith(_TRACEBACK)
        match = _JAVA_RAISED.match(text)
        self.cause = match.group(1) if match else None

    def takes(self, text: str) -> bool:
        """Take the next line if it belongs to the trace, else return False."""
        if not text or text[0] in " \t":
            return self._in_frames or not _LEVEL.match(text.lstrip())
        if self._in_frames:
            self._in_frames = False
            if _RAISED.match(text):
                self.cause = text
                return True
            return False
        return self._takes_heading(text)

    def _takes_heading(self, text: str) -> bool:
        if text.startswith(_TRACEBACK) and (self.cause is None or self._chained):
            self._in_frames, self._chained = True, False
        elif text.startswith(_CHAINED):
            self._chained = True
        elif text.startswith(_CAUSED_BY):
            self.cause = text[len(_CAUSED_BY) :]
        else:
            raised = None if self.cause else _JAVA_RAISED.match(text)
            if raised:
                self.cause = raised.group(1)
            return raised is not None
        return True


def _with_cause(error: Error, trace: _Trace) -> Error:
    return error if error.cause is not None else error._replace(cause=trace.cause)


def _error(line: Line) -> Error | None:
    text = plain(line.text)
    if not line.error and not _may_be_error(text):
        return None
    fields = _fields(text)
    if fields:
        return _structured(line, fields)
    at, rest = _timestamps.split(text)
    message = _message(text, rest)
    if message is None and not line.error:
        return None
    return Error(rest.strip() if message is None else message, text, line.at or at, None)


def _may_be_error(text: str) -> bool:
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) or _LETTER_OR_NUMBER.search(text) is not None


def _message(text: str, rest: str) -> str | None:
    """Given a plain line, whole and without its time, return what it says if it is an error, else None."""
    if text.startswith((_TRACEBACK, "Exception in thread ")):
        return "uncaught exception"
    level = _LEVEL.search(rest, 0, _LEVEL_WINDOW)
    if level:
        found = (level.group(1) or level.group(2)).lower()
        return rest[level.end() :].strip(" -:|") if found in _ERRORS else None
    if _LETTER.match(text) or _LETTER.match(rest):
        letter = _LETTER.match(rest)
        return rest[letter.end() if letter else 0 :].strip()
    return None


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of a line of JSON or logfmt that says a level; empty for any other line."""
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) and _first(fields, _LEVELS) is not None else {}
    if "=" not in text:
        return {}
    fields = {key: _unquoted(value) for key, value in _FIELD.findall(text, 0, _FIELDS_WINDOW)}
    # A plain line may well say "s=5" or "level=3" and mean something else.
    return fields if str(_first(fields, _LEVELS)).lower() in _LEVEL_WORDS else {}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _structured(line: Line, fields: dict[str, Any]) -> Error | None:
    level = _first(fields, _LEVELS)
    is_number = isinstance(level, (int, float)) and not isinstance(level, bool)
    if not (level >= _PINO_ERROR if is_number else str(level).lower() in _ERRORS or line.error):
        return None
    cause = _cause(_first(fields, _CAUSES))
    message = _first(fields, _MESSAGES)
    said = message if isinstance(message, str) else cause or line.text
    at = line.at or _timestamps.moment(_first(fields, _TIMES))
    return Error(said, line.text, at or _timestamps.split(line.text)[0], cause)


def _cause(value: Any) -> str | None:
    """Given the field that holds an exception, in any of its shapes, return its last word."""
    if isinstance(value, dict):
        stack = _first(value, ("stack", "stack_trace", "stacktrace"))
        named = [str(value[key]) for key in ("type", "name", "class", "message", "msg") if key in value]
        return ": ".join(named[:2]) or _cause(stack)
    if not isinstance(value, str) or not value.strip():
        return None
    lines = value.strip().splitlines()
    trace = _Trace()
    trace.takes_first(lines[0])
    for text in lines[1:]:
        trace.takes(text)
    return trace.cause or lines[0]


def _first(fields: dict[str, Any], keys: Iterable[str]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) is not None), None)
