"""Why an error came about, as fields beside its message tell it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _log_levels
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import last_word, raised

# A trace ends with an exception, nearly always; else what stands beside it says more.
_TRACES = ("exc_info", "exception", "stack_trace", "stacktrace", "stack", "traceback", "error.stack_trace", "@x")
_ERRORS = ("err", "error", "error_message", "errorMessage", "error.message", "exception.message", "errmsg", "cause")
_NAMES = ("Exception", "Message", "type", "name", "class", "codeName", "message", "msg", "errmsg")
_MONOLOG = re.compile(r"\[object\] \(([\w\\\\]+)\(code: [^()]{0,40}\): (.*?)(?: at /[^\s:]*:\d+\)|$)")
_QUOTED = re.compile(r"([^\"]{0,80}\] )?\"((?:[^\"\\]|\\.)+)\"(?= [\w.-]+=|$)")
_FIELD = re.compile(
    r"(?:,|:)? \b(?:err|error|exception|cause)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"](?:[^\s]|\s(?![\w.-]+=))*))"
)
_DECODER = json.JSONDecoder()


def of_fields(fields: dict[str, Any]) -> str | None:
    """Return the last word of the exception that these fields hold, in any of its shapes; None if they hold none."""
    told = _told(fields)
    if told is None:  # what belongs to the message may be kept together: MongoDB's attr
        told = next(filter(None, (_told(value) for value in fields.values() if isinstance(value, dict))), None)
    return told


def _told(fields: dict[str, Any]) -> str | None:
    traces = [_word(fields[name]) for name in _TRACES if fields.get(name)]
    for word in traces:
        if word and raised(word):
            return word
    errors = (_word(fields[name]) for name in _ERRORS if fields.get(name))
    return next(filter(None, (*errors, *traces)), None)


def _word(value: Any) -> str | None:
    if isinstance(value, dict):
        named = [str(value[name]) for name in _NAMES if isinstance(value.get(name), (str, int))]
        return ": ".join(named[:2]) or _word(_log_levels.first(value, ("stack", "stack_trace", "stacktrace")))
    if not isinstance(value, str):
        return None
    monolog = _MONOLOG.match(value)
    return f"{monolog.group(1)}: {monolog.group(2)}" if monolog else last_word(value)


def parted(said: str) -> tuple[str, str | None]:
    """Given what a plain line says, return its message, without the field in which the cause is told, and the cause."""
    quoted = _QUOTED.match(said) if '"' in said else None
    if quoted:  # klog
        said = (quoted.group(1) or "") + _unescaped(quoted.group(2)) + said[quoted.end() :]
    begin = said.find('{"')
    if begin > 0:
        cause = _of_json(said[begin:])
        if cause:
            return said[:begin].rstrip(), cause
    field = _FIELD.search(said) if "=" in said else None
    if field:
        cause = _unescaped(field.group(1)) if field.group(1) is not None else field.group(2)
        if any(map(str.isalpha, cause)):
            return said[: field.start()] + said[field.end() :], cause
    return said, None


def _of_json(text: str) -> str | None:
    """Return the cause that fields after a message tell; of what Monolog says on several lines, the first is all there is."""
    try:
        fields, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        monolog = _MONOLOG.search(text)
        return f"{monolog.group(1)}: {monolog.group(2)}" if monolog else None
    return of_fields(fields) if isinstance(fields, dict) and len(text) - end < _REST else None


_REST = 5  # Monolog has "[]" after it


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
