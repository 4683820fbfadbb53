"""Which line of a log is an error, by the level that it says, in every usual spelling; and what it says then. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_ERRORS = frozenset(
    {
        *("error", "err", "erro", "eror", "critical", "crit", "fatal", "fata", "severe", "sev", "alert", "emerg"),
        *("emergency", "panic", "pani", "dpanic", "e", "f", "fail", "ftl"),
        *("recoverable fatal", "parse", "compile"),  # of PHP
    }
)
_OTHERS = frozenset(
    {
        *("trace", "trac", "debug", "debu", "dbug", "verbose", "info", "information", "notice", "warn", "warning"),
        *("d", "i", "w", "t", "v", "config", "fine", "finer", "finest", "success", "vrb", "dbg", "inf", "wrn"),
        "deprecated",
    }
)
_UPPER_OTHERS = "TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|VERBOSE|FINE(?:R|ST)?|CONFIG|TRAC|DEBU|VRB|DBG|INF|WRN|SUCCESS"
_LOWER = (
    "error|err|eror|critical|crit|fatal|severe|alert|emerg(?:ency)?|panic"
    "|trace|debug|dbug|info(?:rmation)?|notice|warn(?:ing)?|verbose"
)
_WINDOW = 250  # characters at the start of a line: its level stands there
_LEVEL = re.compile(
    # In capitals, as a word of its own: not in a URL, not "ERROR=0". PostgreSQL's other lines have a colon.
    rf"(?<![\w/=?&.%-])(ERRO?R?|FTL|CRITICAL|CRIT|FATA(?:L)?|SEVERE|SEV|ALERT|EMERG(?:ENCY)?|PANIC?|DPANIC|{_UPPER_OTHERS}"
    r"|(?:LOG|STATEMENT|DETAIL|HINT|CONTEXT|QUERY|LOCATION)(?=:)|(?<=,)LOG(?=,))(?![\w=%-]|/(?!\w[\w-]*\])|\.\w)(?:\[\d+\]|/[\w-]+(?=\]))?[\]>):|]*"
    # After the name of a channel, as Monolog has it.
    rf"|\.(?<=\w\.)(ERROR|CRITICAL|ALERT|EMERGENCY|{_UPPER_OTHERS})(?=: )"
    r"|PHP (?<!\wPHP )((?:Recoverable )?[Ff]atal|Parse|Compile|Warning|Notice|Deprecated)(?: error)?(?=:)"
    # In any letters, in brackets; or followed by a colon or a dash, where no word stands before it.
    rf"|[\[<(](?:\w+[:.])?(?i:({_LOWER}))[\]>)]:?"
    r"|(?:(?<=[:|\]>)-] )|(?<=[|\]])|(?<=\t)|^\s*|(?<=[\d]Z )|(?<=: ))"
    rf"(?i:(?:fatal |internal |uncaught )?({_LOWER}))(?::(?!:)| -|\s*\||\t)"
    # As a field that says so.
    r"|^(fail|crit)(?=: \S+\[\d+\]$)"  # .NET, on a line of its own
    rf"|(?<![\w.?&-])(?:level|severity|loglevel|log_level|lvl)[\"']?[:=] ?[\"']?(?i:({_LOWER}))\b[\"',]?"
)
_DENIED = re.compile(
    r"(?i)(?<![\w.,])(?:no|not|an?|the|any|of|with|without|for|in|is|was|found|(?<=\S\s)0|zero|last|and|or|this|that|many|some|other|each|"
    r"every|as|to|from|until|on|if|all|new|these|those|more|than|level|only|one)\s+$"
)
# One letter for the level: at the start of the line, or right after time and process ids.
_LETTER = re.compile(r"([A-Z])(?=\d{4}(?:\d\d)? |[ /,] ?\S)|[\s\d:.,\[\]#-]*[\s\]]([A-Z])(?:[ /]\s*|\|)(?=\S)")
_RUBY = re.compile(r"([A-Z]), \[[^\]]*\] +[A-Z]+ -- [^:]*:(?: \[[\w-]+\])*(.*)")
_CONTAINER = re.compile(r"\s*(?:stdout|stderr) [FP] ")  # Kubernetes puts it before what a container said
_PRIORITY = re.compile(r"<(\d{1,3})>(?:1 )?")  # syslog's, facility * 8 + severity
# What RFC 5424 has between the time and the message: host, program, process, kind, data.
_SENT = re.compile(r"\s*\S+ (\S+) \S+ \S+ (?:-|(?:\[(?:[^\]\"\\]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)")
_HEAD = r"(?:^|(?<=[:\])] )|(?<=\t))\s*"
_TRACEBACK = "Traceback (most recent call last)"
_RAISED = re.compile(
    # A program's last words say no level: Java, Python, Node, Go, Rust.
    rf"{_HEAD}(?:Exception in thread |Uncaught |Unhandled |panic: |fatal error: |thread '[^']*' panicked at "
    r"|[A-Za-z_][\w.$]*(?:Exception|Error|Throwable)\b(?:: | \[[A-Z_]+\]: |$))"
)
_CSV_FIELD = re.compile(
    r",(?:[^\",]*,)*?\"((?:[^\"]|\"\")+)\"(?:,\"((?:[^\"]|\"\")+)\")?"
)  # the first one in quotes, and its detail
_FIELDS_WINDOW = 4000
_FIELD = re.compile(r"(?<![\w.@?&/-])([A-Za-z_@][\w.@-]*)=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]\S*)")
_LEVELS = (
    "level",
    "severity",
    "levelname",
    "lvl",
    "log.level",
    "severity_text",
    "severityText",
    "loglevel",
    "log_level",
    "s",
    "@l",
)
_NUMBERS = {"levelno": 40, "level_value": 40_000, "severityNumber": 17, "severity_number": 17, "SeverityNumber": 17}
_PINO_ERROR, _PINO_END = 50, 100
_SYSLOG_ERROR = 3
_MESSAGES = ("msg", "message", "short_message", "event", "log", "MESSAGE", "body", "text", "@mt", "@m")

Fields = dict[str, Any]


def fields_of(text: str) -> Fields:
    """Return the fields of a line of JSON or logfmt; of logfmt only if one says a level, for other lines have "=" too."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
    if "=" not in text:
        return {}
    found = {name: _unquoted(value) for name, value in _FIELD.findall(text, 0, _FIELDS_WINDOW)}
    level = str(first(found, _LEVELS)).lower()
    return found if level in _ERRORS or level in _OTHERS else {}


def of_fields(fields: Fields) -> bool | None:
    """Say whether a line with these fields is an error; None if none of them says a level."""
    level = first(fields, _LEVELS)
    if level is None and isinstance(fields.get("log"), dict):
        level = fields["log"].get("level")
    for name, least in _NUMBERS.items():
        number = _number(fields.get(name))
        if level is None and number is not None:
            return number >= least
    number = _number(level)
    if number is not None:
        by_syslog = "level" not in fields or "short_message" in fields or "facility" in fields
        # Nextcloud counts the other way, to 4: 3 is an error to both.
        return number <= _SYSLOG_ERROR if by_syslog else number == _SYSLOG_ERROR or _PINO_ERROR <= number < _PINO_END
    if level is None:
        number = _number(first(fields, ("priority", "PRIORITY", "syslog_severity")))
        return None if number is None else number <= _SYSLOG_ERROR
    return str(level).strip().lower() in _ERRORS


def message_of(fields: Fields) -> str | None:
    """Return what a line with these fields says, None if they hold no words."""
    said = first(fields, _MESSAGES)
    if said is None:  # it may be kept with others that belong to it, as Rust's tracing does
        within = (first(value, _MESSAGES) for value in fields.values() if isinstance(value, dict))
        said = next((words for words in within if isinstance(words, str)), None)
    return said.strip() if isinstance(said, str) else None


def of_plain(text: str, rest: str) -> tuple[bool | None, str]:
    """Given a plain line, whole and without its time, say whether it is an error, and what it says then.

    None if it tells no level and is nobody's last words.
    """
    certain = False
    if text.startswith("<"):
        priority = _PRIORITY.match(text)
        if priority:
            rest = rest[rest.find(">") + 1 :]
            if priority.group().endswith(" "):
                sent = _SENT.match(rest, 2)
                rest = f"{sent.group(1)}:{rest[sent.end() :]}" if sent else rest[2:]
            if int(priority.group(1)) % 8 <= _SYSLOG_ERROR:
                text, certain = rest, True
    container = _CONTAINER.match(rest)
    if container:
        rest = rest[container.end() :]
    ruby = _RUBY.match(text) if text[1:4] == ", [" else None
    if ruby:  # it writes a line for each line of a message: those that are empty are none of their own
        said = ruby.group(2).strip()
        return bool(said) and ruby.group(1) in "EF", said
    is_error, said = _leveled(text, rest)
    return certain or is_error, said


def _leveled(text: str, rest: str) -> tuple[bool | None, str]:
    for letter in (_LETTER.match(text), _LETTER.match(rest)):
        found = (letter.group(1) or letter.group(2)).lower() if letter else ""
        if letter and found in "efwidvt":
            return found in "ef", (rest if letter.string is text and rest is not text else rest[letter.end() :]).strip()
    at = 0
    while True:
        level = _LEVEL.search(rest, at, _WINDOW)
        if level is None:
            break
        found = next(filter(None, level.groups())).lower()
        if not (level.group(1) and _DENIED.search(rest, max(0, level.start() - 12), level.start())):
            field = _CSV_FIELD.match(rest, level.end()) if rest.startswith(",", level.end()) else None
            said = ": ".join(filter(None, field.groups())).replace('""', '"') if field else rest[level.end() :]
            return found in _ERRORS, said.strip(" -:|\t")
        at = level.end()
    if _TRACEBACK in rest[:_WINDOW] or _RAISED.search(rest, 0, _WINDOW):
        return True, rest.strip()
    return None, rest.strip()


def first(fields: Fields, keys: Iterable[str]) -> Any:
    """Return the value of the first of these keys that has one, else None."""
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isdigit() and len(value) < 7:
        return float(value)
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
