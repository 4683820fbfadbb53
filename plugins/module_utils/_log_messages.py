"""What a line of a log says: whether it is an error, what it says with all that varies masked, when, and its cause."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_causes, _log_levels, _masks, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import TRACEBACK, last_word, raised
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean, plain

SAID_CHARS = 400
_OBJECT_CHARS = 32 * 1024  # so much of a message with an object of JSON in it is looked at
_CLOSE_S = 0.002
_UNCAUGHT = "uncaught exception"
_TIMES = ("time", "timestamp", "ts", "@timestamp", "t", "asctime", "datetime", "date", "@t")
# The first of these fields in a line of JSON, as a number; before it nothing but words and numbers.
_NUMBER = re.compile(
    rb'\{(?:"[^"\\]*": ?(?:"[^"\\]*"|[\w.+-]+), ?)*?"(time|timestamp|ts|@timestamp|t)": ?(\d{9,19}(?:\.\d{1,9})?)[,}]'
)


class Error(NamedTuple):
    """An error, or several that say the same: what they say, masked; the line of the first; when each of them was (seconds
    since 1970, None if it does not tell); what their trace ends with.
    """

    said: str
    line: str
    times: Sequence[float | None]
    cause: str | None = None

    @property
    def at(self) -> float | None:
        """When it was; of several, the first that was read."""
        return self.times[0]


class Understanding:
    """Understands the lines of one log."""

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._clock = _timestamps.Clock()

    def is_by_field(self, line: bytes, at: float | None) -> bool:
        """Say whether the time of a line, `at`, is to be read from its field: what looks like a time in it is another."""
        if not line.startswith(b"{"):
            return False
        found = self._clock.times([line])[0]
        alike = at == found or (at is not None and found is not None and abs(at - found) < _CLOSE_S)
        return not alike and self.times([line], by_field=True) == [at]

    def times(self, lines: Sequence[bytes], by_field: bool = False) -> Sequence[float | None]:
        """Return when lines were, to the millisecond: as they say it anywhere near their start, or in a field of theirs."""
        if by_field:
            return [_by_field(line) for line in lines]
        return self._clock.times(lines)

    def of_line(self, line: Line) -> Error | None:
        """Return the error that a line is, without what follows it; None if it is none."""
        text = plain(line.text)
        fields = _log_levels.fields_of(text)
        found = self._structured(line, text, fields) if fields else None
        if found is not None:
            return found or None
        at, rest = self._clock.split(text)
        is_error, message = _log_levels.of_plain(text, rest)
        if not is_error and not line.error:
            return None
        message, cause = _log_causes.parted(message)
        cause = cause or raised(message)
        if TRACEBACK in message or message.startswith("Exception in thread "):
            message = _UNCAUGHT
        return Error(masked(message), text, (at if line.at is None else line.at,), cause)

    def _structured(self, line: Line, text: str, fields: dict[str, Any]) -> Error | bool | None:
        """Return the error that these fields tell of, False if it is none, None if they tell no level."""
        is_error = _log_levels.of_fields(fields)
        at = _when(fields) if line.at is None else line.at
        message = _log_levels.message_of(fields)
        if is_error is None and text.startswith("{") and message:  # what a container said, within what its engine says
            inner = self.of_line(Line(message.split("\n", 1)[0], at, line.error))
            return inner._replace(line=text) if inner else False
        if is_error is None:
            return None
        if not is_error and not line.error:
            return False
        cause = _log_causes.of_fields(fields)
        cause = None if cause == message else cause
        at = self._clock.split(text)[0] if at is None else at
        said, embedded = (message or cause or text), None
        if message and "\n" in message:  # the trace stands in the message itself
            said, embedded = message.split("\n", 1)[0], last_word(message)
            embedded = None if embedded == said else embedded
        return Error(masked(_UNCAUGHT if TRACEBACK in said else said), text, (at,), cause or embedded)


def text_of(raw: bytes) -> str:
    """Return a line as text, whatever bytes it has."""
    return raw.decode("utf-8", "replace").rstrip("\r")


def masked(message: str) -> str:
    """Return what a message says with what varies masked."""
    return _masked(message) if len(message) <= _masks.LONG_CHARS else _masked_alone(message)


def _masked_alone(message: str) -> str:
    begin, end = _timestamps.place(message)
    if not any(map(str.isalpha, message[:begin])):  # what it says of a time later on is not when it was said
        message = message[:begin] + message[end:]
    # A long object is one mask: what comes after it is to be seen, too.
    said = _masks.mask(clean(message, _OBJECT_CHARS if '{"' in message else _masks.LONG_CHARS))
    return said if len(said) <= SAID_CHARS else said[:SAID_CHARS].rpartition(" ")[0] or said[:SAID_CHARS]


_masked = functools.lru_cache(maxsize=1024)(_masked_alone)  # the same few messages come again and again


def _by_field(line: bytes) -> float | None:
    """Return what `_when` does, but have all fields of the line only where one look at it is not enough."""
    found = _NUMBER.match(line)
    if found:
        name, number = found.groups()
        others = _TIMES[: _TIMES.index(name.decode())]  # that would count more
        if line.count(b'"%s"' % name) == 1 and not any(b'"%s"' % each.encode() in line for each in others):
            return _seconds(float(number))
    return _when(_log_levels.fields_of(text_of(line)))


def _when(fields: dict[str, Any]) -> float | None:
    return _seconds(_log_levels.first(fields, _TIMES))


def _seconds(value: Any) -> float | None:
    at = _timestamps.moment(value)
    return None if at is None else at.timestamp()
