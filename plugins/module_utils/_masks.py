"""What varies in a message, by its looks: numbers, ids, addresses, paths and quoted values become masks. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from typing import Union

LONG_CHARS = (
    1200  # so much of a message, each object of JSON one mask: what some searches take grows with the square of it
)
# Masks stand between two characters that no cleaned text has, so that a message which says "<n>" is not one of ours.
_OPEN, _CLOSE = "\x02", "\x03"
ANYTHING = f"{_OPEN}*{_CLOSE}"
_NUMBER, _PATH, _MAIL, _HOST, _URL, _VALUE, _QUOTED, _REQUEST, _METHOD, _JSON, _LIST, _SQL = (
    f"{_OPEN}{name}{_CLOSE}"
    for name in ("n", "path", "mail", "host", "url", "v", "str", "request", "method", "json", "list", "sql")
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*"
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
_DATE = (
    rf"\b{_DAY}(?:{_MONTH} +\d{{1,2}}|\d{{1,2}} +{_MONTH})\b,?"
    r"(?: +\d{4})?(?: +\d\d:[\d:.]*)?(?: +[A-Z]{3,4}\b)?(?: +\d{4}\b)?"
)
_IN_QUOTES = r"[^\"\\]|\\.|(?<=\s)\"(?=\w)[^\"\\]*\"(?!\w)"  # what is quoted may quote something itself: "a "b" c"
_METHODS = "GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS"
_Mask = tuple[tuple[str, ...], str, Union[str, Callable[["re.Match[str]"], str]]]
# Each with what a message must hold for it to be tried: most hold little, and a search for a sign costs next to nothing.
_WHOLE = (
    (
        ('"', "'", "`"),
        # A result is told, not named. An apostrophe within a word ends nothing: 'anna.o'neil'.
        (
            r"\b((?:result|reason|status|state|signal|error|cause|[Oo]peration|action) "
            r"\(?(?:'[A-Za-z][\w -]*'|\"[A-Za-z][\w -]*\"))"
            r"|(?<=[:=] )(\"(?:"
            + _IN_QUOTES
            + r")*\")|\"(?:"
            + _IN_QUOTES
            + r")*\"|(?<!\w)'(?:[^'\\]|\\.|(?<=\w)'(?=\w))*'(?!\w)|`[^`]*`"
        ),
        lambda found: found.group(1) or (found.group(2) if _is_said(found.group(2)) else f'"{_QUOTED}"'),
    ),
    (
        ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "SQL: "),
        (
            r"(?:\b(?:SELECT\s[^:;]{1,300}?\sFROM|INSERT INTO|UPDATE\s[^\s:]{1,80}\sSET|DELETE FROM)|(?<=SQL: )\w+)\s"
            r"(?:[^:;\s]|:(?!\s)|\s(?!(?:failed|timed|took|returned|was|is|error)\b|[-–]))*"
        ),
        _SQL,
    ),
    (
        tuple(f"{method} " for method in _METHODS.split("|")),
        (r"\b(?:" + _METHODS + r") (?:/|\w+://)[^\s\"]*"),
        _REQUEST,
    ),
    (("GET", "POST", "PUT", "DELETE", "PATCH"), rf"(?<=[\[(])(?:{_METHODS})(?=[\])])", _METHOD),
    (
        ("://",),
        (r"\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:\[[\w.:]*\]|[^\s\"'<>)\]}])*[^\s\"'<>)\]},.;:]"),
        _URL,
    ),
    (("?",), r"(?<![^\s(\[:,])/[\w./%~+-]*\?(?:\[\w*\]|[^\s\"'<>)\]])*", _PATH),
    (  # Base64 that was filled up
        ("==", "= ", "=,", "=)"),
        (
            r"(?<![\w+/=.-])(?:[\w+/-]{8,}==|(?=[\w+/-]*[\d+/]|(?:[a-z]*[A-Z]){5})(?=[\w+/-]*[A-Z])(?=[\w+/-]*[a-z])[\w+/-]{15,}=)(?=[\s,;:)\]}\"']|$)"
        ),
        _NUMBER,
    ),
    (("-",), r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", _NUMBER),
    (_MONTHS, _DATE, _NUMBER),
    (("20",), r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(?:Z\b| ?(?:UTC|GMT)\b| ?[+-]\d\d:?\d\d\b)?", _NUMBER),
    (  # IPv6, with its brackets and port as IPv4 has it
        ("::",),
        (
            r"(?<![\w:])(?=\[?:*[0-9a-fA-F]+:)(?=[^\s\]]*(?:::|(?::[^\s\]:]*){3}))"
            r"(?:\[(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]*\](?::\d+)?|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]*(?![\w:]))"
        ),
        _NUMBER,
    ),
    # which thread said it, and what else is known of where
    (("(", "["), r"^([\[(])[a-z][\w.:@-]*[-#]\d+(?=[\])])", rf"\1{_VALUE}"),
    (("@",), r"^\[(?:[^\[\]]|\[[^\[\]]*\])+:(?=[A-Z]\w*@\d+\])", f"[{_VALUE}:"),
    ((":",), r"(?<=\[)(?:[\w.-]+:[^\s\[\]]+(?: |(?=\]))){2,}(?=\])", _VALUE),
    (
        ("=",),
        # How something ended is told, not named: code=exited.
        (
            r"(?<![A-Za-z_])(?!(?:code|result|reason|signal)=[a-z]{3,}(?:[_-][a-z]+)*(?:[\s,;)\]]|$))([A-Za-z_][\w.-]*=)"
            r"(?:[^\s,;={}\x02\"')\]]+\{[^\s{}]*\}|\[[^\[\]]*\]|(?:[^\s,;=\x02\"')\]}]|(?<=\w)'(?=\w))+|(?=[\s,;)\]]|$))"
        ),
        rf"\1{_VALUE}",
    ),
)
BETWEEN = re.compile(r"(\s+|[()\[\]{},;|=<>\"!?])")
_ITEM = r"[^\[\],=\s]+(?: [^\[\],=\s]+)?"
_OUTCOME = r"(?:result|reason|status|state|signal|error|cause|code|message|detail)"
_NAME = r"(?!\w+(?:ed|ing)\b)[\w\x02\x03.-]+"  # no word that says what happened
_LAST = (
    ((f"<{_NUMBER}>",), r"<\x02n\x03>", _NUMBER),  # a process of Erlang
    (
        (_NUMBER,),
        (r"\x02n\x03 ?(?:[KMGTkmgt]i?)?(?:B|b|ms|us|ns|s|secs?|seconds?|min|minutes?|hours?)\b"),
        _NUMBER,
    ),
    # "less than": of the same figure, sometimes
    (("<", ">", "~", "≈"), r"(?<![^\s(\[=])[<>~≈]=?\x02n\x03", _NUMBER),
    # the same once more, for people
    ((f"{_NUMBER} bytes (",), r"(?<=\x02n\x03 bytes) \(\x02n\x03\)", ""),
    ((f"{_NUMBER} byte",), r"\x02n\x03 bytes?\b", _NUMBER),
    (  # "part 1.xml", "Monthly Report 7.xlsx"
        (f"{_NUMBER}.",),
        (r"(\x02(?:path|v)\x03)(?: [A-Z]\w*){0,2} \x02n\x03\.[a-z]{2,5}\b"),
        r"\1",
    ),
    # what is known of where it was said, as Rust's spans tell it
    (("{",), r"(?<=\w)\{(?:[\w.-]+=(?:\"?\x02\w+\x03\"?)?,? ?)+\}", _VALUE),
    # a list of any length; two numbers after each other may as well say two things
    (
        (f"{_CLOSE},", f"{_CLOSE};", f"{_CLOSE} "),
        (
            r"((?:[^\s,;\x02\x03]{1,40}|(?!\x02n))\x02\w+\x03)(?:(?:, ?| and |; ?| )\1)+"
            r"|(\x02n\x03)(?:(?:(?:, ?| and |; ?)\2)+|(?: \2){2,})"
        ),
        r"\1\2",
    ),
    ((f"{_VALUE},",), r"(\x02v\x03)(?:, ?\x02n\x03)+", r"\1"),
    (("?:",), r"(?<=\w\?:)(?:true|false)\b", _VALUE),
    # where it was, after what was said: ', client: 10.0.0.7, request: "GET / HTTP/1.1", host: "shop"'
    (
        (': "',),
        rf"(?:, (?!{_OUTCOME}\b)[a-z_]+: (?:\"\x02str\x03\"|[\w\x02\x03.*-]+)){{2,}}$",
        f", {_VALUE}",
    ),
    ((", ",), r"(?<=\()(?:[^(),]*,){3,}[^(),]*(?=\))", _LIST),  # a row of a table
    ((", ", ","), rf"(?<=\[){_ITEM}(?:, ?{_ITEM})+(?=\])", _LIST),
    ((", ",), rf"(?<![^\s(:]){_NAME}(?:(?:, {_NAME})+(?=, \w+ \x02)|(?:, {_NAME}){{2,}}(?![\w-]))", _LIST),
)


class _Expressions(dict[str, "re.Pattern[str]"]):
    """Expressions, made when they are first wanted: most logs want few, and all together take as long as a small log does."""

    def __missing__(self, pattern: str) -> re.Pattern[str]:
        self[pattern] = made = re.compile(pattern)
        return made


_EXPRESSIONS = _Expressions()
_DECODER = json.JSONDecoder()
_IN_VAIN = 8000  # characters read of what begins like an object and is none: no more of a message
_AT_LEAST = 160  # that count each time: what is no whole text was searched to the end
_GOES_WRONG = re.compile(
    r"\b(?:error|exception|fail(?:ed|ure)|denied|refused|rejected|expired|exceeded|invalid|unknown|un\w+able|cannot|not)\b",
    re.IGNORECASE,
)
_CORE = re.compile(r"([:.'`*#@+-]*)(.*?)([:.'`*#%]*)", re.DOTALL)
_DOMAINS = (
    "com|net|org|edu|gov|io|dev|app|cloud|info|biz|local|internal|localdomain|lan|corp|home|svc|arpa|example|test"
    "|de|uk|fr|nl|eu|us|ch|it|es|jp|cn|ru|br|au|ca|se|hk"
)
_DOMAIN = re.compile(rf"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.(?:{_DOMAINS})(?::\d+)?")
_CODE = re.compile(r"(\w[\w./-]*\.(?:go|py|js|mjs|ts|java|rb|rs|c|cc|cpp|h|cs|php|kt|scala|ex|pl)):\d+(?::\d+)?")
_CLASS = re.compile(r"[A-Za-z_]\w*\.(?:[A-Za-z_]\w*\.)*[A-Z][A-Za-z]+")  # sqlite3.OperationalError
_SEGMENT = re.compile(r"[A-Za-z0-9µμ]+")
_HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]{3,}")
_LETTERS_ALONE = re.compile(
    r"(?<![A-Za-z])[a-f]{8,}(?![A-Za-z])"
)  # an id that by chance has no digit: no word looks so
_NAMED = re.compile(r"([A-Za-z]{2,})\d+")  # worker12
_NUMBERS = re.compile(rf"[+-]?{_NUMBER}(?:[^A-Za-z\x02\s]{{0,3}}{_NUMBER})*")
_DIGIT = re.compile(r"\d")


def mask(message: str) -> str:
    """Given a message without control characters, return it with what varies by its looks masked."""
    message = _replaced(_without_json(message)[:LONG_CHARS] if '{"' in message else message, _WHOLE)
    parts = BETWEEN.split(message)
    parts[::2] = [_word(part) for part in parts[::2]]
    return _replaced(" ".join("".join(parts).split()), _LAST)


def shown(masked: str) -> str:
    """Return a masked text as a person reads it."""
    return masked.replace(_OPEN, "<").replace(_CLOSE, ">")


def is_mask(word: str) -> bool:
    """Say whether a word of a masked text is a mask, or holds one."""
    return _OPEN in word


def _without_json(message: str) -> str:
    """Return a message with each JSON object in it masked; one that was cut off is masked to the end."""
    parts, at, in_vain = [], 0, 0
    while in_vain < _IN_VAIN:
        begin = message.find('{"', at)
        if begin < 0:
            break
        try:
            end = _DECODER.raw_decode(message, begin)[1]
        except RecursionError:
            return message
        except json.JSONDecodeError as error:
            in_vain += max(error.pos - begin, _AT_LEAST)
            end = len(message) if message.endswith("…") else begin
        if end == begin:
            parts.append(message[at : begin + 2])
            at = begin + 2
        else:
            parts += (message[at:begin], _JSON)
            at = end
    return "".join((*parts, message[at:]))


def _is_said(quoted: str | None) -> bool:
    """Say whether a text in quotes is what somebody else said went wrong, and no name."""
    return quoted is not None and _GOES_WRONG.search(quoted) is not None and quoted.count(" ") > 1


def _replaced(message: str, masks: Iterable[_Mask]) -> str:
    for signs, pattern, masked in masks:
        for sign in signs:
            if sign in message:
                message = _EXPRESSIONS[pattern].sub(masked, message)
                break
    return message


@functools.lru_cache(maxsize=8192)  # few words make most of a log
def _word(word: str) -> str:
    before, core, after = _CORE.fullmatch(word).groups()  # type: ignore[union-attr] # it matches any text
    if not core or (_OPEN in core and not _is_path(core, has_digit=False)):
        return word
    has_digit = _DIGIT.search(core) is not None or _LETTERS_ALONE.search(core) is not None
    code = _CODE.fullmatch(core) if has_digit else None
    if code:
        core = f"{code.group(1)}:{_NUMBER}"
    elif _is_path(core, has_digit):
        core, before = _PATH, before.rstrip(".")
    elif core.startswith("arn:") and core.count(":") > 4:
        core = _VALUE
    elif "@" in core[1:-1] and core.count("@") == 1:
        core = _MAIL
    elif _DOMAIN.fullmatch(core):
        core = _HOST
    elif has_digit and not _CLASS.fullmatch(core):
        core = _NUMBERS.sub(_NUMBER, _SEGMENT.sub(_segment, core))
    return f"{before}{core}{after}"


def _is_path(core: str, has_digit: bool) -> bool:
    slashes = core.count("/")
    return (
        (core[0] in "/~" and len(core) > 1)
        or slashes > 1
        or (slashes == 1 and (has_digit or "." in core))  # "read/write" is none
        or core[1:3] == ":\\"
    )


def _segment(match: re.Match[str]) -> str:
    """A run of letters and digits: a name keeps its letters, an id loses all."""
    text = match.group()
    if text.isalpha():
        return _NUMBER if _LETTERS_ALONE.fullmatch(text) else text
    named = None if _HEX.fullmatch(text) else _NAMED.fullmatch(text)
    return f"{named.group(1)}{_NUMBER}" if named else _NUMBER
