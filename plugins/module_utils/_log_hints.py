"""What to search a log for, so that each line that may be an error is found and few others are: expressions of grep."""

from __future__ import annotations

import os
import re

from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import may_follow

LARGE = 32 << 20  # bytes from which on it is worth it to look how a log says its levels
_SAMPLES, _SAMPLE = 64, 16 * 1024  # how many parts of it are looked at, and how large each is
_HEAD = 250  # bytes at the start of a line: its level stands there

# A program's last words, without any level.
_LAST_WORDS = r"xcepti|Traceb|Throwable|Unhandled|Uncaught|^[A-Za-z_.]*(rror|anic|atal)|^thread '"
_SYSLOG = rf"^<({'|'.join(str(number) for number in range(192) if number % 8 < 4)})>"
_LETTER = r'^[EF]([0-9]{4} |[ /,])|[EF][ /][A-Za-z_([]|[EF]"|[EF]\|'
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
ALL = "|".join((_ANY_LETTERS, _LAST_WORDS, _LETTER, _SYSLOG, _FIELDS))
IN_CAPITALS = "|".join((_CAPITALS, _LAST_WORDS, _LETTER, _SYSLOG))
IN_FIELDS = "|".join((_CAPITALS, _LAST_WORDS, _FIELDS))

_CAPITAL_LEVEL = re.compile(
    rb"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE|VRB|DBG|INF|WRN|ERR)\b"
)
_FIELD_LEVEL = re.compile(rb"(?:level|severity|lvl|levelname)\"?[=:] ?\"?\w")


def compiled(pattern: str) -> re.Pattern[bytes]:
    """Return one of the expressions for a search here, line by line."""
    return re.compile(pattern.replace("[^A-Za-z]", "[^A-Za-z\n]").encode(), re.MULTILINE)


_ALL = compiled(ALL)


def of_log(descriptor: int, start: int, end: int) -> str:
    """Return what to search a part of an open file for.

    To search a large log for words in small letters costs twice what capitals cost. That is saved where parts from all
    over the log show that it says its levels in capitals, or in fields, and hold no line without a level that the
    search for everything would find.
    """
    if end - start < LARGE:
        return ALL
    capitals = fields = others = 0
    for number in range(_SAMPLES):
        part = os.pread(descriptor, _SAMPLE, start + (end - start - _SAMPLE) * number // (_SAMPLES - 1))
        for line in part.split(b"\n")[1:-1]:
            head = line[:_HEAD]
            if _FIELD_LEVEL.search(head):
                fields += 1
            elif _CAPITAL_LEVEL.search(head):
                capitals += 1
            elif may_follow(line):
                continue  # of a stack trace, which is read with its error
            elif _ALL.search(head):
                return ALL
            else:
                others += 1
    if others > capitals + fields or (capitals and fields):
        return ALL
    return IN_FIELDS if fields else IN_CAPITALS
