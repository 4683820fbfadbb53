"""What to search a log for, so that each line that may be an error is found and few others are: words for grep."""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _log_levels
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import may_follow

LARGE = 32 << 20  # bytes from which on it is worth it to look how a log says its levels
_SAMPLES, _SAMPLE = 64, 4 * 1024  # how many parts of it are looked at, and how large each is
_WORDS, _MOST_OF = (
    20,
    0.8,
)  # how many ways to say a level are looked at; the part of the lines that are to be passed over
_HEAD = 250  # bytes at the start of a line: its level stands there

# A program's last words, without any level.
_LAST_WORDS = r"xcepti|Traceb|Throwable|Unhandled|Uncaught|^[A-Za-z_.]*(rror|anic|atal)|^thread '"
_SYSLOG = rf"^<({'|'.join(str(number) for number in range(192) if number % 8 < 4)})>"
_LETTER = r'^[EF]([0-9]{4}([0-9]{2})? |[ /,])|[EF][ /][A-Za-z_([]|[EF]"|[EF]\|'
_CAPITALS = r"ERR|FTL|CRIT|FATA|SEV|ALERT|EMERG|PANI"
_FIELDS = (  # of JSON and logfmt: words, and the numbers of pino, bunyan, GELF, syslog, Python, logback, OpenTelemetry
    r'vel(name)?"?[=:] ?"?([EeCcFfAaPpSs]|[56][0-9]|[0-3][,} ])|[Rr][Ii][Tt][Yy]"?[=:] ?"?([EeCcFfAaPpSs]|[0-3]["}, ])'
    r'|vl"?[=:] ?"?[EeCcFfAaPp]|velno"?[=:] ?[4-9][0-9]|vel_value": ?[4-9]|Number": ?(1[7-9]|2)|_number": ?(1[7-9]|2)'
    r'|[EF]"|_[Tt]ext"?[=:] ?"?[EeCcFfAaPp]|yText": ?"[EeCcFfAaPp]'
)
# Any letters: where one will do, an alternative begins in the middle of its word, with a letter that is rare. grep then
# seldom leaves the state that it starts in, and is about twice as fast.
_ANY_LETTERS = (
    r"[Rr][Rr]([Oo][Rr]|O\[|[^A-Za-z]|$)|[Rr][Ii][Tt]([Ii][Cc]|[^A-Za-z]|$)|[Ff][Aa][Tt][Aa]|[Pp][Aa][Nn][Ii]([Cc]|\[)"
    r"|[Ll][Ee][Rr][Tt]([^A-Za-z]|$)|[Mm][Ee][Rr][Gg]([^A-Za-z]|[Ee][Nn][Cc]|$)|[Vv][Ee][Rr][Ee][^A-Za-z]|SEV[^A-Za-z]"
    r"|FTL|^fail: "
)


class Hint(NamedTuple):
    """What to search for: an expression of grep, or, where there are words `but`, all lines in which none of these stands."""

    expression: str
    but: tuple[str, ...] = ()

    def options(self) -> list[str]:
        """Return the hint as options of grep."""
        if self.but:
            return ["-v", "-F", *(part for word in self.but for part in ("-e", word))]
        return ["-E", "-e", self.expression]

    def compiled(self) -> re.Pattern[bytes]:
        """Return the hint for a search here, line by line."""
        if self.but:
            return re.compile(rf"^(?![^\n]*(?:{'|'.join(map(re.escape, self.but))}))[^\n]+".encode(), re.MULTILINE)
        return re.compile(self.expression.replace("[^A-Za-z]", "[^A-Za-z\n]").encode(), re.MULTILINE)


ALL = Hint("|".join((_ANY_LETTERS, _LAST_WORDS, _LETTER, _SYSLOG, _FIELDS)))
IN_CAPITALS = Hint("|".join((_CAPITALS, _LAST_WORDS, _LETTER, _SYSLOG)))
IN_FIELDS = Hint("|".join((_CAPITALS, _LAST_WORDS, _FIELDS)))

_CAPITAL_LEVEL = re.compile(
    rb"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE|VRB|DBG|INF|WRN|ERR)\b"
)
_JSON_LEVEL = re.compile(
    rb'"(?:level|severity|levelname|lvl|log\.level|severity_text|severityText|loglevel|log_level|s)" ?: ?'
    rb'(?:"[^"\\]{0,40}"|\d+[,}])'
)
_FIELD_LEVEL = re.compile(rb"(?:level|severity|lvl|levelname)\"?[=:] ?\"?\w")


def of_log(descriptor: int, start: int, end: int) -> Hint:
    """Return what to search a part of an open file for.

    To search a large log for words in small letters costs twice what capitals cost. That is saved where parts from all
    over the log show that nearly every line is JSON and says a level at which it is no error: then those lines are
    searched for that do not; or that it says its levels in capitals, or in fields, and holds no line without a level
    that the search for everything would find.
    """
    if end - start < LARGE:
        return ALL
    parts = [
        os.pread(descriptor, _SAMPLE, start + (end - start - _SAMPLE) * number // (_SAMPLES - 1)).split(b"\n")[1:-1]
        for number in range(_SAMPLES)
    ]
    return _of_json(parts) or _of_lines(parts)


def _of_json(parts: list[list[bytes]]) -> Hint | None:
    count, well, known = 0, 0, dict[bytes, bool]()
    for part in parts:
        count += len(part)
        for line in part:
            found = _JSON_LEVEL.search(line) if line.startswith(b"{") else None
            if found:
                words = found.group()
                if words not in known:
                    known[words] = len(known) < _WORDS and _is_well(line, words)
                well += known[words]
    words_of_well = sorted(words.decode("utf-8", "replace") for words, is_well in known.items() if is_well)
    return Hint("", tuple(words_of_well)) if well > _MOST_OF * count else None


def _is_well(line: bytes, words: bytes) -> bool:
    """Say whether a line of JSON is no error by the level that it says in these words, and not somewhere within."""
    text = line.decode("utf-8", "replace")
    fields = _log_levels.fields_of(text)
    name, _colon, value = words.decode("utf-8", "replace").partition(":")
    told = json.dumps(fields.get(name.strip().strip('"')))
    return told == value.strip(" ,}") and _log_levels.of_fields(fields) is False


def _of_lines(parts: list[list[bytes]]) -> Hint:
    everything: re.Pattern[bytes] | None = None  # it takes long to make, and most logs need none of it
    capitals = fields = others = 0
    for part in parts:
        for line in part:
            head = line[:_HEAD]
            if _FIELD_LEVEL.search(head):
                fields += 1
            elif _CAPITAL_LEVEL.search(head):
                capitals += 1
            elif may_follow(line):
                continue  # of a stack trace, which is read with its error
            else:
                everything = everything or ALL.compiled()
                if everything.search(head):
                    return ALL
                others += 1
    if others > capitals + fields or (capitals and fields):
        return ALL
    return IN_FIELDS if fields else IN_CAPITALS
