"""What the errors in the logs say, and whether a release brought them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._finding import (
    Finding,
    clock,
    finding,
    gap,
    span,
    times,
)

_OFTEN, _LASTING_S = 2.0, 60  # a minute, and for how long: of what comes less often, the count says enough
_PER_SERVICE = 3  # errors of one service that are worth a finding
_SUSPECT_S, _POSSIBLE_S = 15 * 60, 24 * 3600  # from a release to a new error: caused by it, or perhaps
# What an error says of itself, after the name of its kind: "sqlite3.OperationalError: no such column: x".
_RAISED = re.compile(r"(?:^|\s)[\w.$]*(?:Error|Exception|Throwable|Fault): +(\S.*)$")


def of_release(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """New errors soon after a release are the best lead that there is."""
    release = facts["release"] or {}
    for subject in _subjects(e for e in _errors(facts) if _follows(e, release)):
        since = gap(release["deployed_at"], subject.since)
        severity = "critical" if since <= _SUSPECT_S else "warning"
        text = f"release {release['current']} was deployed {clock(release['deployed_at'])}, {span(since)} before"
        told = f"{times(subject.count)}{' in all' if subject.again else ''}{_often(subject)}"
        first = f"'{subject.said}' came again" if subject.again else f"the first '{subject.said}'"
        text = f"{name}: {text} {first} ({told})"
        about = {"release": release["current"], "deployed_at": release["deployed_at"], "seconds_before": since}
        yield finding(severity, "release", text, name, subject.since, **_about(subject), **about)


def of_errors(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """Return what else the service says is wrong, what is new first."""
    release = facts["release"] or {}
    for subject in _subjects(e for e in _errors(facts) if not _follows(e, release)):
        since = f" since {clock(subject.first_seen)}" if subject.first_seen else ""
        since += f", again since {clock(subject.since)}" if subject.again else ""
        ours = ", only while we looked" if subject.ours else ""
        text = f"{name}: '{subject.said}' {times(subject.count)}{since}{_often(subject)}{ours}"
        yield finding("warning", "errors", text, name, subject.since or None, **_about(subject))


def _errors(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the errors that say something: what only our own looks provoke does so of a sick service alone."""
    sick = facts["health"]["healthy"] is False
    return [error for error in facts["errors"] if sick or not error.get("ours")]


def _follows(error: dict[str, Any], release: dict[str, Any]) -> bool:
    since_release = error["new"] is True and error.get("new_since") != "onset"
    return since_release and gap(release["deployed_at"], _since(error)) <= _POSSIBLE_S


class _Subject(NamedTuple):
    """What errors say, all that say the same counted together."""

    said: str
    masked: str
    count: int
    first_seen: str  # "" if they tell no time
    since: str  # the same, or when it came again after the service was seen well without it
    new: bool
    rate: dict[str, Any] | None  # of the most frequent of them
    ours: bool = False  # only our own looks provoke it

    @property
    def again(self) -> bool:
        """Whether it was there before the service was seen well without it."""
        return self.since != self.first_seen


def _subjects(errors: Iterable[dict[str, Any]]) -> list[_Subject]:
    """Return the first few subjects: those of errors that are new come first, then the most frequent."""
    found: dict[str, list[dict[str, Any]]] = {}
    for error in errors:
        found.setdefault(_subject(error["cause"] or error["template"]), []).append(error)
    subjects = []
    for said, same in found.items():
        largest = max(same, key=lambda error: error["count"])
        masked = _subject(largest.get("cause_template") or largest["template"])
        first = min((error["first_seen"] for error in same if error["first_seen"]), default="")
        since = min((_since(error) for error in same if error["first_seen"]), default="")
        count, new = sum(error["count"] for error in same), any(error["new"] for error in same)
        ours = all(error.get("ours") for error in same)
        subjects.append(_Subject(said, masked, count, first, since, new, largest.get("rate"), ours))
    return sorted(subjects, key=lambda subject: (not subject.new, -subject.count))[:_PER_SERVICE]


def _since(error: dict[str, Any]) -> str:
    return str(error.get("again_since") or error["first_seen"])


def _subject(said: str) -> str:
    match = _RAISED.search(said)
    # "KeyError: 'total'" needs its first word to be understood; a whole sentence does not.
    return (match.group(1) if match and " " in match.group(1) else said)[:120]


def _about(subject: _Subject) -> dict[str, Any]:
    about = {"error": subject.masked, "count": subject.count, "said": subject.said, "new": subject.new}
    flags = {"again": subject.again, "ours": subject.ours}
    return {**about, **{name: True for name, is_so in flags.items() if is_so}}


def _often(subject: _Subject) -> str:
    """Say how often an error comes, and since when if that is not when it first came."""
    rate = subject.rate
    if rate is None or rate["per_minute"] < _OFTEN or gap(rate["since"], rate["until"]) < _LASTING_S:
        return ""
    since = f" since {clock(rate['since'])}" if gap(subject.first_seen, rate["since"]) >= rate["width_s"] else ""
    return f", {rate['per_minute']:.0f} a minute{since}"
