"""What stands out in the facts of a diagnosis, most important first. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

SEVERITIES = ("critical", "warning", "info")
SHOWN = 50
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


def _release(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """New errors soon after a release are the best lead that there is."""
    release = facts["release"] or {}
    for subject, count, first_seen in _subjects(e for e in facts["errors"] if _follows(e, release)):
        gap = _gap(release["deployed_at"], first_seen)
        severity = "critical" if gap <= _SUSPECT_S else "warning"
        text = f"release {release['current']} was deployed {_clock(release['deployed_at'])}, {_span(gap)} before"
        yield _finding(severity, f"{name}: {text} the first '{subject}' ({_times(count)})", name)


def _other_errors(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    release = facts["release"] or {}
    for subject, count, first_seen in _subjects(e for e in facts["errors"] if not _follows(e, release)):
        since = f" since {_clock(first_seen)}" if first_seen else ""
        yield _finding("warning", f"{name}: '{subject}' {_times(count)}{since}", name)


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


def _subjects(errors: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Return (subject, count, first seen or "") of the most frequent errors, one for all that say the same."""
    counts: Counter[str] = Counter()
    times: dict[str, list[str]] = {}
    for error in errors:
        subject = _subject(error)
        counts[subject] += error["count"]
        times.setdefault(subject, []).extend([error["first_seen"]] if error["first_seen"] else [])
    return [(subject, count, min(times[subject], default="")) for subject, count in counts.most_common(_PER_SERVICE)]


def _subject(error: dict[str, Any]) -> str:
    said = error["cause"] or error["template"]
    match = _RAISED.search(said)
    # "KeyError: 'total'" needs its first word to be understood; a whole sentence does not.
    return (match.group(1) if match and " " in match.group(1) else said)[:120]


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
