"""Times as logs write them, in the formats that are common. Without a zone they are the host's own time."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

SEARCHED = 120  # a log line says its time near its start
_CLOCK = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?"
_POINTS = (b".", b",")
_ZONE = r"(?:\s?(?P<z>Z\b|UTC\b|GMT\b|[+-]\d\d(?::?\d\d)?(?!\d)))?"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<b>{'|'.join(_MONTHS)})"
_YEAR = r"(?P<y>(?:19|20|21)\d\d)"
# Each with what a text must hold, every digit a 0, for it to be tried: most hold one of them.
_FORMS = tuple(
    (tuple(map(str.encode, signs)), re.compile(form))
    for signs, form in (
        # ISO 8601, Python, nginx, PostgreSQL
        (("0000-00", "0000/00", "0000.00"), rf"(?<!\d){_YEAR}[-/.](?P<m>\d\d)[-/.](?P<d>\d\d)[T _]{_CLOCK}{_ZONE}"),
        (("/0000:00:",), rf"(?<!\d)(?P<d>\d{{1,2}})/{_MONTH}/{_YEAR}:{_CLOCK}{_ZONE}"),  # Common Log Format
        # Redis, RFC 5322; PHP, Tomcat
        ((" 0000 00:", "-0000 00:"), rf"(?<!\d)(?P<d>\d{{1,2}})[ -]{_MONTH}[ -]{_YEAR} {_CLOCK}{_ZONE}"),
        (("0 00:00:",), rf"\b{_MONTH} +(?P<d>\d{{1,2}}) {_CLOCK}(?: {_YEAR}\b)?"),  # syslog, asctime
        (("00/00/00 00:",), rf"^(?P<y>\d\d)/(?P<m>\d\d)/(?P<d>\d\d) {_CLOCK}"),  # Spark
        (("000000 00:",), rf"^[IWEF](?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d) {_CLOCK}"),  # CockroachDB
        (("0000 00:",), rf"^[IWEF](?P<m>\d\d)(?P<d>\d\d) {_CLOCK}"),  # glog
        (("00-00 00:",), rf"^(?P<m>\d\d)-(?P<d>\d\d) {_CLOCK}"),  # logcat
    )
)
# Seconds, ms, µs or ns since 1970, with which a line begins: Squid, Node, InfluxDB. From 2014 on, for else it is some id.
_EPOCH = re.compile(
    r"[\[(\"]?(?:(?:ts|time|timestamp|t)=\"?)?"
    r"(?P<number>(?:1[4-9]|2\d)\d{8}(?:[.,]\d{1,9}|\d{3}|\d{6}|\d{9})?)(?![\w.])[\])\":]*"
)
_AHEAD_S = 86400.0  # a number that is a later time is none
_SIXTY = [(number, b":%02d" % number) for number in range(60)]
_ZEROS = bytes.maketrans(b"123456789", b"000000000")


def split(text: str) -> tuple[datetime | None, str]:
    """Given a line, return its time (None if it has none that we can read) and the line without it."""
    match = _found(text)
    if match is None:
        at, end = _since_1970(text)
        return (None, text) if at is None else (datetime.fromtimestamp(at, timezone.utc), text[end:])
    return _moment(match.groupdict()), _without(match)


def _since_1970(text: str) -> tuple[float | None, int]:
    """Return the time that a line begins with as a number, and where what comes after it begins."""
    match = _EPOCH.match(text) if "1" in text[:24] or "2" in text[:24] else None
    at = moment(float(match.group("number").replace(",", "."))) if match else None
    if match is None or at is None or at.timestamp() > time.time() + _AHEAD_S:
        return None, 0
    return at.timestamp(), match.end()


def place(text: str) -> tuple[int, int]:
    """Return from where to where a text says a time, but as a number; twice 0 if it does not."""
    match = _found(text)
    return (0, 0) if match is None else match.span()


def _found(text: str) -> re.Match[str] | None:
    shape = text[: SEARCHED + 20].encode("ascii", "replace").translate(_ZEROS)
    if b"00:00:00" in shape:
        for signs, form in _FORMS:
            for sign in signs:
                match = form.search(text, 0, SEARCHED) if sign in shape else None
                if match:
                    return match
    return None


def _without(match: re.Match[str]) -> str:
    return match.string[: match.start()] + match.string[match.end() :]


class Clock:
    """Reads the times of one log, whose lines say them all alike: an hour is understood once, then only counted on."""

    _KNOWN = 1000

    def __init__(self) -> None:
        """Begin without knowing how this log says its times."""
        self._begun: dict[
            tuple[str, str | None, str | None], float
        ] = {}  # when an hour began, by all that says which it is
        self._hour = slice(0, 0)  # where a line says everything down to the hour
        self._hours: dict[bytes, float] = {}  # the same, as long as all lines say it alike
        self._seconds: dict[bytes, float] = {}  # how many of an hour are over, by what stands after it: ":05:01"
        self._parts = _Parts()

    def split(self, text: str) -> tuple[float | None, str]:
        """Do as `split` does, with the time in seconds since 1970."""
        match = _found(text)
        if match is None:
            at, end = _since_1970(text)
            return at, text[end:]
        return self._seconds_of(match), _without(match)

    def times(self, lines: Sequence[bytes]) -> list[float | None]:
        """Return the times of lines, to the millisecond."""
        hours, seconds, parts = self._hours, self._seconds, self._parts
        for _ in range(2):
            hour, end = self._hour, self._hour.stop
            minutes, part = slice(end, end + 6), slice(end + 6, end + 10)
            try:
                return [hours[line[hour]] + seconds[line[minutes]] + parts[line[part]] for line in lines]
            except KeyError:
                new = {line[hour]: line for line in lines if line[hour] not in hours}
                for line in new.values():  # one of each hour is enough
                    self._of(line)
        return [self._of(line) for line in lines]

    def _of(self, line: bytes) -> float | None:
        return self.split(line[: 4 * SEARCHED].decode("utf-8", "replace"))[0]

    def _seconds_of(self, match: re.Match[str]) -> float | None:
        parts = match.groupdict()
        hour = match.string[match.start() : match.end("H")]
        said = hour, parts.get("y"), parts.get("z")
        begun, minute = self._begun.get(said), int(parts["M"])
        if begun is None or minute >= 60:
            found = _moment(parts)
            if found is None:
                return None
            if len(self._begun) >= self._KNOWN:
                self._begun.clear()
            self._begun[said] = begun = found.replace(minute=0, second=0, microsecond=0).timestamp()
        self._learn(match, hour, begun)
        return begun + 60 * minute + _second(parts) + _micro(parts) / 1e6

    def _learn(self, match: re.Match[str], hour: str, begun: float) -> None:
        if not self._seconds:
            self._seconds.update((m + s, 60.0 * minute + second) for minute, m in _SIXTY for second, s in _SIXTY)
        if len(self._hours) >= self._KNOWN:
            self._hours.clear()
        before, said = match.string[: match.start()].encode(), hour.encode()
        self._hour = slice(len(before), len(before) + len(said))
        self._hours[said] = begun


class _Parts(dict[bytes, float]):
    """The part of a second that four bytes after it say: `,123`; none where they begin with anything else."""

    _KNOWN = 4000

    def __missing__(self, said: bytes) -> float:
        part = 0.0
        if said[:1] in _POINTS:
            if len(said) < 4 or not said[1:].isdigit():
                raise KeyError(said)
            part = int(said[1:]) / 1000
        if len(self) < self._KNOWN:
            self[said] = part
        return part


def moment(value: Any) -> datetime | None:
    """Given a time as a field of a structured log has it (text, or seconds, ms, µs or ns since 1970), return it."""
    if isinstance(value, str):
        return split(value)[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = float(value)
        while math.isfinite(seconds) and seconds > 1e11:  # the year 5138 in seconds: so it is a finer unit
            seconds /= 1000
        return datetime.fromtimestamp(seconds, timezone.utc) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    return None if moment is None else moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def iso_of(seconds: float | None) -> str | None:
    """Return a time in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return None if seconds is None else iso(datetime.fromtimestamp(seconds, timezone.utc))


def _moment(parts: dict[str, Any]) -> datetime | None:
    try:
        month = _MONTHS.index(parts["b"]) + 1 if parts.get("b") else int(parts["m"])
        now = None if parts.get("y") else datetime.now().astimezone()
        year = now.year if now else int(parts["y"]) + (2000 if len(parts["y"]) == 2 else 0)
        clock = (int(parts["H"]), int(parts["M"]), _second(parts))
        micro = _micro(parts)
        naive = datetime(year, month, int(parts["d"]), *clock, micro)
        found = _zoned(naive, parts.get("z"))
        if now and found > now + timedelta(days=1):
            found = _zoned(naive.replace(year=year - 1), None)  # syslog says no year: December, seen in January
    except (ValueError, OverflowError, OSError):
        return None
    return found


def _second(parts: dict[str, Any]) -> int:
    return min(int(parts["S"]), 59)  # a leap second is 60


def _micro(parts: dict[str, Any]) -> int:
    return int((parts.get("f") or "0").ljust(6, "0")[:6])


def _zoned(naive: datetime, zone: str | None) -> datetime:
    if not zone:
        return naive.astimezone()
    if zone[0] not in "+-":
        return naive.replace(tzinfo=timezone.utc)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return naive.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset))
