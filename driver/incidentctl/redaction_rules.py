"""What a secret looks like, by its own form or by what stands beside it: one rule a kind. Pure.

No rule may take long, whatever it is given: every repetition is bounded, and none is followed by what could fail late.
A rule looks only at a line that holds one of its `hints`, in lower case.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Found = re.Match[str]

MARK = r"\[redacted: [a-z-]{1,20}\]"


def _always(_found: Found) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """One kind of secret: `pattern` has it in its group `secret`, and `counts` says whether what was found is one."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    counts: Callable[[Found], bool] = _always


def _exactly(name: str, hints: str, pattern: str, counts: Callable[[Found], bool] = _always) -> Rule:
    return Rule(name, tuple(hints.split()), re.compile(pattern, re.ASCII), counts)


def _in_any_case(name: str, hints: str, pattern: str, counts: Callable[[Found], bool] = _always) -> Rule:
    return Rule(name, tuple(hints.split()), re.compile(pattern, re.ASCII | re.IGNORECASE), counts)


# --- What is plain, although a secret would stand there --------------------------------------------------------------

_SAID_OF_IT = """
    null none nil undefined true false yes no on off empty unset default required optional missing invalid incorrect wrong
    expired unexpected unknown rejected refused denied failed failure mismatch changed reset revoked not must is are was
    cannot can does did has had too the a an and or for of in from with by to please enter enabled disabled str string
    bytes int bool any object field hidden masked redacted removed omitted protected prompt amd64 arm64 i386 all
"""
_WORDS_FOR_NOTHING = frozenset(_SAID_OF_IT.split())
_STANDS_FOR_IT = re.compile(  # a variable, a template, a mask, a piece of code
    r"""\$\{ | \$\( | \$[A-Z_]{2,}\Z | \{\{ | \{% | %s | %\( | %\w{1,40}%\Z | \(\) | \.\.\.
    | [{\[]\w{1,40}:\Z | [a-z_]\w{1,40}\.\w{1,40}\(
    | (?:self|this|cfg|conf|config|settings|os|process|env|args|opts|options|params|request|req|ctx)\.
    | (?:\w{1,20}_)?(?:password|passwd|token|secret|key)\Z | \w{0,40}(?:password|passwd|token|secret|key)\(""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_PATH = re.compile(r"(?:~|\.{1,2}|file:/{0,2})?/(?:[\w.@-]{1,40}/){0,20}[\w.@-]{0,60}", re.ASCII)


def is_plain(value: str) -> bool:
    """Say whether what stands where a secret would is none: a word, a mask, a variable, a path."""
    bare = value.strip(".,:;")
    return (
        bare.lower() in _WORDS_FOR_NOTHING
        or len(set(bare)) < 2
        or (bare.isdigit() and len(bare) < 4)
        or _STANDS_FOR_IT.match(value) is not None
        or (_PATH.fullmatch(value) is not None and not _is_random(value))
    )


def _is_random(value: str) -> bool:
    """Say whether a value was drawn: letters of both cases and digits, none of which comes often."""
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(kind(c) for c in value) for kind in kinds):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return bits > min(3.6, math.log2(len(value)) - 0.8)


def _given(found: Found) -> bool:
    return not is_plain(found["secret"])


def _drawn(found: Found) -> bool:
    return not is_plain(found["secret"]) and _is_random(found["secret"])


def _in_a_sentence(found: Found) -> bool:
    value = found["secret"].strip(".,:;")
    return not is_plain(value) and not (value.isalpha() and (value.islower() or value.istitle()))


# --- What is told by the name beside it ------------------------------------------------------------------------------

_WORD = r"(?:pass(?:word|wd|phrase|code)|pwd|(?<![a-z])pass|(?-i:(?<=[a-z])Pass))"
_KEY = r"(?:api|access|account|auth|private|signing|encryption|master|client|secret|license)[_.-]?(?:access[_.-]?)?key"
_TELLING = rf"(?:{_WORD}|{_KEY}(?:[_.-]?base)?|secret|token|credentials?)"
_QUOTE = r"\\{0,3}[\"']"  # within JSON within JSON it is escaped
_BY = r"(?P<by>\s{1,20}(?:=>|:=|==?|:)\s{0,20}|=>|:=|=|%3D|:\s{0,20}(?:!!?\w{1,20}\s{1,4})?)"
# What ends a value that stands without quotation marks, though it might stand in a password: what comes after it says so.
_ENDS = r"(?!%26|[&;,]\s?[\w.%-]{1,40}=|,\s?[\w.-]{1,40}:|[,;)}\]]{1,4}(?:$|[\s,;\"'\\]))"
_BARE = rf"(?:{MARK}|{_ENDS}[^\s\"'<>]){{1,4096}}"
_AT_THE_BEGINNING = re.compile(r"\s*(?:-\s+)?[\"']?[\w.-]*", re.ASCII)
_AT_THE_END = re.compile(r"[\"'\\]*[,;]?\s*")
_ANOTHER_WORD = re.compile(r"\s[a-z]", re.ASCII | re.IGNORECASE)


def _assigned(found: Found) -> bool:
    value, line = found["secret"], found.string
    if is_plain(value):
        return False
    if found["quote"] or found["by"].strip() != ":":
        return True
    if _AT_THE_BEGINNING.fullmatch(line, 0, found.start()) and _AT_THE_END.fullmatch(line, found.end()):
        return True  # as YAML has it
    # In a sentence, what follows the colon may be any word.
    is_word = value.strip(".,:;()[]").isalpha()
    if found["key"].lower().startswith(("pass", "pwd")):
        return not (is_word and value.islower() and _ANOTHER_WORD.match(line, found.end()))
    return not is_word


_BESIDE_A_NAME = (
    _in_any_case(
        "assignment",
        "pass pwd secret token credential key",
        rf"(?P<key>{_TELLING})\d{{0,3}}(?:{_QUOTE})?\]?{_BY}"
        rf"(?:(?P<quote>{_QUOTE})|)(?P<secret>(?(quote)(?:(?!(?P=quote)).){{1,4096}}|{_BARE}))",
        _assigned,
    ),
    _in_any_case(
        "assignment",
        "value",
        rf"\"(?:name|key)\"\s{{0,8}}:\s{{0,8}}\"[\w.-]{{0,60}}?{_TELLING}\"\s{{0,8}},\s{{0,8}}\"value\"\s{{0,8}}:\s{{0,8}}\""
        r"(?P<secret>[^\"]{1,4096})",
        _given,
    ),
    _in_any_case("assignment", "</", rf"<[\w:.-]{{0,40}}?{_TELLING}>(?P<secret>[^<>]{{1,4096}})</", _given),
    _in_any_case(
        "signature",
        "signature",
        rf"signature(?:{_QUOTE})?(?:=|%3D|\s{{0,4}}:\s{{0,4}})(?:{_QUOTE})?(?P<secret>[^\s\"'&,;<>]{{8,1024}})",
        _in_a_sentence,
    ),
    _in_any_case(
        "entropy",
        "key auth sig hmac salt credential webhook dsn",
        rf"(?:key|auth|sig|hmac|salt|credentials?|webhook|dsn)(?:{_QUOTE})?{_BY}(?:{_QUOTE})?(?P<secret>[\w+/=.~-]{{20,4096}})",
        _drawn,
    ),
    _in_any_case(
        "sentence", "pass pwd", rf"{_WORD}\s{{1,4}}(?:is|was)\s{{1,4}}(?P<secret>[^\s\"']{{6,200}})", _in_a_sentence
    ),
    _in_any_case(
        "sentence",
        "pass pwd",
        rf"{_WORD}\s{{1,4}}(?:is\s)?(?P<quote>[\"'])(?P<secret>[^\"']{{1,400}})(?P=quote)",
        _given,
    ),
    _in_any_case("sentence", "identified", r"identified\s[^']{0,60}?by\s{1,4}'(?P<secret>[^']{1,400})'"),
)

_ON_A_COMMAND_LINE = (
    _in_any_case(
        "command-line",
        "--",
        rf"--[a-z-]{{0,40}}?{_TELLING}\s{{1,8}}(?P<quote>[\"']?)(?P<secret>[^\s\"'-][^\s\"']{{0,4095}})",
        _given,
    ),
    _exactly(
        "command-line",
        "mysql mariadb",
        r"(?:mysql|mariadb)[a-z-]{0,12}\b[^|;]{0,200}?\s-p[\"']?(?P<secret>[^\s\"']{1,200})",
    ),
    _exactly("command-line", "sshpass", r"sshpass\s[^|;]{0,40}?-p\s?[\"']?(?P<secret>[^\s\"']{1,200})"),
    _exactly("command-line", "redis-cli", r"redis-cli\b[^|;]{0,200}?\s-a\s{1,4}[\"']?(?P<secret>[^\s\"']{1,200})"),
    _exactly("command-line", "smb rpcclient", r"\s-U\s{0,4}[\"']?[^\s\"'%]{1,100}%(?P<secret>[^\s\"']{1,200})"),
    _exactly(
        "command-line",
        "curl http",
        r"(?:curl|https?)\s[^|;]{0,400}?(?:-u|--user|--proxy-user|-a|--auth)[\s=]{1,4}[\"']?"
        r"[^\s\"':]{1,100}:(?P<secret>[^\s\"']{1,200})",
        _given,
    ),
)

_SCHEMES = r"(?:bearer|basic|token|digest|negotiate|apikey|key|splunk)"
_WHOLE_HEADERS = (
    _in_any_case(
        "cookie",
        "cookie",
        rf"cookie(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?:{_QUOTE})?"
        r"(?P<secret>[^\s\"'=;,]{1,64}=[^\s\"';\\]{1,4096}(?:;\s?[^\s\"';\\]{1,4096}){0,50})",
    ),
    _in_any_case(
        "authorization",
        "authorization",
        rf"authorization(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}\[?(?:{_QUOTE})?{_SCHEMES}\s{{1,4}}(?P<secret>[^\s\"'\\<>]{{1,8192}})",
        _given,
    ),
    _in_any_case("authorization", "bearer", r"\bbearer\s{1,4}(?P<secret>[\w.~+/-]{20,8192}={0,2})", _given),
)

_IN_A_REQUEST = (
    _in_any_case(
        "url",
        "://",
        r"://[^\s/@:\"'<>]{0,80}:(?P<secret>[^\s/\"'<>]{1,200}|(?!\d{1,5}[/?#])[^\s@\"'<>]{1,200})@(?=[\w.\[(-])",
        _given,
    ),
    _exactly("url", "@tcp( @unix(", r":(?P<secret>[^\s\"':]{1,200})@(?:tcp|unix)\("),  # as drivers of Go have it
    _in_any_case(
        "session-id",
        "sess sid",
        rf"(?:sess(?:ion)?[_.-]?id|phpsessid|\bsid|_session)(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?:{_QUOTE})?"
        r"(?P<secret>[\w.%+/=~-]{12,4096})",
        _given,
    ),
)

_IN_A_PASSWORD_FILE = (
    _in_any_case(
        "netrc",
        "password",
        r"(?:\b(?:login|user)\s{1,8}\S{1,200}\s{1,8}|^\s{0,20})password\s{1,8}(?P<secret>\S{1,400})"
        r"(?=\s{0,20}$|\s{1,8}(?:machine|account)\b)",
        _given,
    ),
    _exactly(
        "pgpass",
        ":*: :5432: :5433: :6432:",
        r"^[^\s:]{1,255}:(?:\d{2,5}|\*):[^\s:]{1,63}:[^\s:]{1,63}:(?P<secret>[^\s:]{1,200})\s{0,20}$",
    ),
    _exactly(
        "password-hash",
        "$",
        r"(?P<secret>\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|sha1|md5|scrypt|argon2(?:id|i|d))\$[\w./$=,+-]{20,400})",
    ),
    _exactly(
        "password-hash",
        "pbkdf2 scrypt:",
        r"(?P<secret>(?:pbkdf2[_:-][\w:]{1,30}|scrypt:[\d:]{1,20})\$[\w$+/=.]{20,400})",
    ),
    _exactly("password-hash", "{sha} {ssha}", r"\{S?SHA\}(?P<secret>[A-Za-z0-9+/]{20,64}={0,2})"),
)

# --- What is told by its own form ------------------------------------------------------------------------------------

_BY_ITS_FORM = (
    _exactly("aws", "akia asia abia acca", r"(?<![A-Z0-9])(?P<secret>(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,64})(?![a-z])"),
    _exactly("google", "aiza", r"(?P<secret>AIza[\w-]{30,60})"),
    _exactly("google", "ya29.", r"(?P<secret>ya29\.[\w.-]{20,2000})"),
    _exactly("google", "gocspx-", r"(?P<secret>GOCSPX-[\w-]{20,60})"),
    _exactly("azure", "q~", r"(?P<secret>(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{24,50})"),
    _in_any_case("azure", "sig=", r"[?&;\s]sig=(?P<secret>[\w%+/=-]{20,400})"),
    _exactly("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"(?P<secret>gh[pousr]_[A-Za-z0-9]{20,255})"),
    _exactly("github", "github_pat_", r"(?P<secret>github_pat_\w{30,255})"),
    _exactly(
        "gitlab",
        "glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct-",
        r"(?P<secret>gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w.-]{16,300})",
    ),
    _exactly("slack", "xox xapp-", r"(?P<secret>(?:xox[a-z]|xapp)-[\w.-]{10,400})"),
    _exactly(
        "slack", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[\w/-]{20,200})"
    ),
    _exactly("stripe", "k_live_ k_test_", r"(?P<secret>[srp]k_(?:live|test)_[A-Za-z0-9]{10,247})"),
    _exactly("stripe", "whsec_", r"(?P<secret>whsec_[\w+/=-]{20,100})"),
    _exactly("npm", "npm_", r"(?P<secret>npm_[A-Za-z0-9]{30,60})"),
    _exactly("pypi", "pypi-", r"(?P<secret>pypi-[\w-]{50,1000})"),
    _exactly("anthropic", "sk-ant-", r"(?P<secret>sk-ant-[\w-]{20,300})"),
    _exactly(
        "openai",
        "sk-",
        r"(?P<secret>(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-)?(?=[\w-]{0,80}?\d)[\w-]{32,300})",
    ),
    _exactly("jwt", "eyj", r"(?P<secret>(?<![\w-])eyJ[\w-]{8,8192}+\.eyJ[\w-]{4,16384}+(?:\.[\w-]{0,4096}+)?)"),
    _exactly(
        "other-service",
        "sg. hvs. hvb. dop_v1_ doo_v1_ hf_ dckr_ age-secret- shpat_ shpca_ shppa_ shpss_ glsa_ nrak- dapi lin_api_",
        r"(?P<secret>SG\.[\w-]{16,32}\.[\w-]{30,60}|hv[sb]\.[\w-]{20,300}|do[op]_v1_[0-9a-f]{60,70}|\bhf_[A-Za-z0-9]{30,50}"
        r"|dckr_pat_[\w-]{20,60}|AGE-SECRET-KEY-1[A-Z0-9]{40,70}|\bshp(?:at|ca|pa|ss)_[0-9a-f]{32}|glsa_\w{32,60}"
        r"|NRAK-[A-Z0-9]{20,40}|\bdapi[0-9a-f]{32}|lin_api_[A-Za-z0-9]{30,60})",
    ),
)

# A header goes whole. Then forms before names: a token is called what it is, whatever stands beside it.
RULES = (*_WHOLE_HEADERS, *_BY_ITS_FORM, *_IN_A_REQUEST, *_IN_A_PASSWORD_FILE, *_ON_A_COMMAND_LINE, *_BESIDE_A_NAME)

# --- Private keys, the one secret of many lines ----------------------------------------------------------------------

KEY_RULE = "private-key"
KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: [0-9a-f]{20,80}")
# A line within one: what is encoded, or a header.
KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{40}|^\s*$|(?:Proc-Type|DEK-Info|Version|Comment|Encryption|\w+-Lines): ?")
