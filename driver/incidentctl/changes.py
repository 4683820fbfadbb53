"""What changed on the hosts, as one list: nearest to the onset first, what several hosts have alike said once. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from incidentctl.onset import Onset, moment

_SAME_S = 3600  # what hosts have alike is one change if it went from one to the next within so long
_SLACK_S = 5  # many logs say whole seconds: what changed so shortly after the onset may have come before it
_HALF_S = 300  # so long before the onset, a change counts half
_AFTER = 0.2  # what came after the onset is no cause of it
# How often a change of this kind is what broke something, compared with the others.
_WEIGHT = {
    "release": 1.0, "image": 1.0, "permission": 0.9, "configuration": 0.8, "unit": 0.8, "certificate": 0.8, "package": 0.7,
    "kernel": 0.7, "reboot": 0.7, "clock": 0.7, "cron": 0.6, "user": 0.3, "restart": 0.3, "login": 0.1,
}  # fmt: skip
_OF_A_SERVICE = 1.5  # what is a service's own, against what is the host's
_EXACTLY, _NOWHERE = 1.5, 0.4  # on those hosts alone that are sick, on none of them


@dataclass(frozen=True)
class Row:
    """A change on one host or more: `first` and `last` in ISO 8601, UTC, by the clock of this machine; higher `score` first."""

    kind: str
    name: str
    text: str
    detail: str
    service: str | None
    path: str | None
    hosts: tuple[str, ...]
    first: str
    last: str
    seconds_before: float | None  # before the onset; negative: after it
    score: float


class _Seen(NamedTuple):
    at: datetime
    host: str
    told: Mapping[str, Any]


def rank(
    hosts: Mapping[str, Mapping[str, Any]],
    onsets: Mapping[str, Onset],
    sick_hosts: Collection[str],
    skew: Mapping[str, float],
) -> list[Row]:
    """Given each host's facts, onsets by service, the sick hosts, and how far clocks are ahead, return the changes.

    A change of a service is measured by that service's onset, any other by the one of all, which stands under "".
    """
    rows = [_row(group, onsets, set(sick_hosts)) for group in _groups(_seen(hosts, skew))]
    return sorted(rows, key=lambda row: (-row.score, -_stamp(row.first)))


def sick(hosts: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return (host, service) of those that are not healthy."""
    return {
        (host, name)
        for host, facts in hosts.items()
        for name, told in _mapping(facts.get("services")).items()
        if _mapping(_mapping(told).get("health")).get("healthy") is False
    }


def sentence(row: Row, now: datetime | None = None) -> str:
    """Say a change on one line: who, what, when, and how long before the onset."""
    day = (now or datetime.now(UTC)).date()
    begun, ended = (moment(at) or datetime.min.replace(tzinfo=UTC) for at in (row.first, row.last))
    when = f"at {_clock(begun, day)}"
    if (ended - begun).total_seconds() >= 60:
        when = f"between {_clock(begun, day).removesuffix(' UTC')} and {_clock(ended, day)}"
    if row.seconds_before is not None:
        when += f", {span(abs(row.seconds_before))} {'before' if row.seconds_before >= 0 else 'after'} the onset"
    return f"{_who(row.hosts)} {row.text} {when}" + (f": {row.detail}" if row.detail else "")


def clock(at: str, now: datetime | None = None) -> str:
    """Say a moment in ISO 8601 as the time of day in UTC, with its date unless that is today."""
    return _clock(moment(at) or datetime.min.replace(tzinfo=UTC), (now or datetime.now(UTC)).date())


def span(seconds: float) -> str:
    """Say how long something took."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _seen(hosts: Mapping[str, Mapping[str, Any]], skew: Mapping[str, float]) -> Iterator[_Seen]:
    for host, facts in hosts.items():
        said = facts.get("changes")
        for told in said if isinstance(said, list) else ():
            at = moment(_mapping(told).get("at"))
            if at is not None:
                yield _Seen(at - timedelta(seconds=skew.get(host, 0.0)), host, told)


def _groups(seen: Iterable[_Seen]) -> Iterator[list[_Seen]]:
    """Give what is the same on several hosts together; on one host, the same again is another change."""
    alike: dict[tuple[str, ...], list[_Seen]] = {}
    for each in sorted(seen, key=lambda each: (each.at, each.host)):
        alike.setdefault(tuple(str(each.told.get(key)) for key in ("kind", "service", "name")), []).append(each)
    for same in alike.values():
        group: list[_Seen] = []
        for each in same:
            far = group and (each.at - group[-1].at).total_seconds() > _SAME_S
            if far or each.host in {one.host for one in group}:
                yield group
                group = []
            group.append(each)
        yield group


def _row(group: Sequence[_Seen], onsets: Mapping[str, Onset], sick: set[str]) -> Row:
    told, hosts = group[0].told, tuple(sorted({each.host for each in group}))
    service = None if told.get("service") is None else str(told["service"])
    before = _before(group[0].at, service, onsets)
    return Row(
        kind=str(told.get("kind")),
        name=str(told.get("name")),
        text=str(told.get("text")),
        detail=str(told.get("detail") or ""),
        service=service,
        path=None if told.get("path") is None else str(told["path"]),
        hosts=hosts,
        first=group[0].at.isoformat(timespec="milliseconds"),
        last=group[-1].at.isoformat(timespec="milliseconds"),
        seconds_before=before,
        score=_score(str(told.get("kind")), service, set(hosts), before, sick),
    )


def _before(at: datetime, service: str | None, onsets: Mapping[str, Onset]) -> float | None:
    onset = onsets.get(service or "") or onsets.get("")
    began = None if onset is None else moment(onset.at)
    return None if began is None else (began - at).total_seconds()


def _score(kind: str, service: str | None, hosts: set[str], before: float | None, sick: set[str]) -> float:
    score = _WEIGHT.get(kind, 0.5) * (_OF_A_SERVICE if service else 1.0)
    if sick:
        score *= _EXACTLY if hosts == sick else _NOWHERE if not hosts & sick else 1.0
    if before is None:
        return 0.0  # newest first: nothing else is known
    if before < -_SLACK_S:
        score *= _AFTER
    score /= 1 + math.log2(1 + abs(before) / _HALF_S)
    return round(score, 6)


def _who(hosts: Sequence[str]) -> str:
    if len(hosts) > 4:
        return f"{len(hosts)} hosts"
    return f"{', '.join(hosts[:-1])} and {hosts[-1]}" if len(hosts) > 1 else hosts[0]


def _clock(at: datetime, day: Any) -> str:
    return f"{at:%H:%M:%S} UTC" if at.date() == day else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _stamp(at: str) -> float:
    return (moment(at) or datetime.min.replace(tzinfo=UTC)).timestamp()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
