"""What stands out in the facts of a diagnosis, most important first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

SEVERITIES = ("critical", "warning", "info")
SHOWN = 50
_OFTEN, _LASTING_S = 2.0, 60  # a minute, and for how long: of what comes less often, the count says enough
_PER_SERVICE = 3  # errors of one service that are worth a finding
_SUSPECT_S, _POSSIBLE_S = 15 * 60, 24 * 3600  # from a release to a new error: caused by it, or perhaps
_DISK = ((95.0, "critical"), (85.0, "warning"))
_MEMORY = ((5.0, "critical"), (10.0, "warning"))
_GIB = 1024**3
# What an error says of itself, after the name of its kind: "sqlite3.OperationalError: no such column: x".
_RAISED = re.compile(r"(?:^|\s)[\w.$]*(?:Error|Exception|Throwable|Fault): +(\S.*)$")

Finding = dict[str, Any]


def rank(services: dict[str, dict[str, Any]], resources: dict[str, Any], contained: dict[str, str]) -> list[Finding]:
    """Given the facts, return [{severity, text, service}], critical first, and likely causes before symptoms.

    A finding of an error has `about`: {error, count}, by which the same one of several hosts is known for the same.
    `contained` names the services that this incident itself has stopped, and by what: no news to anybody.
    """
    found: list[Finding] = []
    for name, facts in services.items():
        found += _release(name, facts)
    found += _host(resources)
    for name, facts in services.items():
        found += _state(name, facts, contained.get(name))
    for name, facts in services.items():
        found += _other_errors(name, facts)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding["severity"]))[:SHOWN]


def _finding(severity: str, text: str, service: str | None = None) -> Finding:
    return {"severity": severity, "text": text, "service": service}


def _of_error(severity: str, text: str, service: str, subject: _Subject) -> Finding:
    return {**_finding(severity, text, service), "about": {"error": subject.masked, "count": subject.count}}


def _release(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """New errors soon after a release are the best lead that there is."""
    release = facts["release"] or {}
    for subject in _subjects(e for e in facts["errors"] if _follows(e, release)):
        gap = _gap(release["deployed_at"], subject.first_seen)
        severity = "critical" if gap <= _SUSPECT_S else "warning"
        text = f"release {release['current']} was deployed {_clock(release['deployed_at'])}, {_span(gap)} before"
        told = f"{_times(subject.count)}{_often(subject)}"
        yield _of_error(severity, f"{name}: {text} the first '{subject.said}' ({told})", name, subject)


def _other_errors(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    release = facts["release"] or {}
    for subject in _subjects(e for e in facts["errors"] if not _follows(e, release)):
        since = f" since {_clock(subject.first_seen)}" if subject.first_seen else ""
        text = f"{name}: '{subject.said}' {_times(subject.count)}{since}{_often(subject)}"
        yield _of_error("warning", text, name, subject)


def _follows(error: dict[str, Any], release: dict[str, Any]) -> bool:
    return error["new"] is True and _gap(release["deployed_at"], error["first_seen"]) <= _POSSIBLE_S


def _gap(earlier: str, later: str) -> float:
    seconds = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    return max(seconds, 0.0)  # a log in whole seconds can be up to one behind


def _state(name: str, facts: dict[str, Any], contained_by: str | None) -> Iterator[Finding]:
    health = facts["health"]
    if contained_by is not None and not health["healthy"]:
        yield _finding("info", f"{name}: stopped by {contained_by} of this incident", name)
        return
    for dependency in health["depends_on"]:
        if not dependency["ok"]:
            what = f"its dependency {dependency['name']} ({dependency['check']}) fails: {dependency['detail']}"
            yield _finding("critical", f"{name}: {what}", name)
    if health["running"] is False and not health["healthy"]:
        yield _finding("critical", f"{name}: not running", name)
    elif health["healthy"] is False:
        yield _finding("critical", f"{name}: health check fails: {health['detail']}", name)
    elif health["running"] is False:
        yield _finding("warning", f"{name}: answers, but its manager says that it does not run", name)


def _host(resources: dict[str, Any]) -> Iterator[Finding]:
    for disk in resources["disks"]:
        yield from of_disk(disk)
    total, available = resources["memory"]["total_bytes"], resources["memory"]["available_bytes"]
    if total and available is not None:
        percent = 100 * available / total
        for limit, severity in _MEMORY:
            if percent < limit:
                yield _finding(severity, f"memory: {percent:.1f} % available ({available / _GIB:.1f} GiB)")
                break
    load, cpus = resources["load1"], resources["cpus"]
    if load and cpus and load > 2 * cpus:
        yield _finding("warning", f"load {load:.1f} on {cpus} CPUs")
    if resources["oom_kills"]:
        killed = _times(resources["oom_kills"])
        yield _finding("info", f"the kernel killed processes for want of memory {killed} since boot")


def of_disk(disk: dict[str, Any]) -> Iterator[Finding]:
    """Return what there is to say of one disk, as _resources looks at it."""
    if disk["free_bytes"] is None:
        yield _finding("warning", f"disk of {disk['path']}: cannot be looked at, or does not answer")
    for key, what in (("used_percent", "full"), ("inodes_used_percent", "of its inodes used")):
        percent = disk[key] or 0.0
        for limit, severity in _DISK:
            if percent >= limit:
                left = f", {disk['free_bytes'] / _GIB:.1f} GiB free" if key == "used_percent" else ""
                yield _finding(severity, f"disk {disk['path']}: {percent:g} % {what}{left}")
                break


class _Subject(NamedTuple):
    """What errors say, all that say the same counted together."""

    said: str
    masked: str
    count: int
    first_seen: str  # "" if they tell no time
    new: bool
    rate: dict[str, Any] | None  # of the most frequent of them


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
        count, new = sum(error["count"] for error in same), any(error["new"] for error in same)
        subjects.append(_Subject(said, masked, count, first, new, largest.get("rate")))
    return sorted(subjects, key=lambda subject: (not subject.new, -subject.count))[:_PER_SERVICE]


def _subject(said: str) -> str:
    match = _RAISED.search(said)
    # "KeyError: 'total'" needs its first word to be understood; a whole sentence does not.
    return (match.group(1) if match and " " in match.group(1) else said)[:120]


def _often(subject: _Subject) -> str:
    """Say how often an error comes, and since when if that is not when it first came."""
    rate = subject.rate
    if rate is None or rate["per_minute"] < _OFTEN or _gap(rate["since"], rate["until"]) < _LASTING_S:
        return ""
    since = f" since {_clock(rate['since'])}" if _gap(subject.first_seen, rate["since"]) >= rate["width_s"] else ""
    return f", {rate['per_minute']:.0f} a minute{since}"


def _clock(iso: str) -> str:
    """Return the time of day in UTC, with the date if that is not today."""
    moment = datetime.fromisoformat(iso)
    today = datetime.now(moment.tzinfo).date()
    return f"{moment:%H:%M:%S} UTC" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
