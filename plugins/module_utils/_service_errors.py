"""The errors in the logs of one service: patterns with counts, and which are new since its release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose,
    _log_errors,
    _log_lines,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._patterns import KEPT, Group, Patterns

TOP = 20
_ALWAYS, _NEVER = float("-inf"), float("inf")  # since when it is known what a log says
_LATE = 0.25  # of the time that was read: what began only after it was not there all along


class Reading:
    """What reading the logs of a service gave: `errors`, `onset`, `notes`, and `unread`: why a log could not be."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self.errors: list[dict[str, Any]] = []
        self.onset: str | None = None
        self.notes: list[str] = []
        self.unread: list[str] = []


def read(service: dict[str, Any], limit: int, deployed_at: str | None, until: float) -> Reading:
    """Read the last `limit` bytes of each log of a service; start none after the monotonic time `until`.

    An error is `new` if it was first seen after `deployed_at`, None if that cannot be told. The onset is the
    first time of the earliest new one, else of the earliest. New errors come first, then those that were not there
    all along, then the rest; the most frequent of each first.
    """
    reading, patterns = Reading(), Patterns()
    known_from, begun = _ALWAYS, _NEVER
    for log in _logs(service, reading):
        if time.monotonic() > until:
            reading.unread.append(f"{_name(log)} was not read: the other logs took all the time there was")
            continue
        known, first = _read_one(log, limit, patterns, reading, until)
        known_from, begun = max(known_from, known), min(begun, _NEVER if first is None else first)
    if patterns.crowded:
        reading.notes.append(f"more than {KEPT} different errors: rare ones are not counted")
    groups = patterns.groups()
    new = {id(group): _is_new(group.first, deployed_at, known_from) for group in groups}
    late = begun + _LATE * (max([group.last for group in groups if group.last is not None], default=begun) - begun)
    ranked = sorted(groups, key=lambda group: (new[id(group)] is not True, not _began_late(group, late)))
    reading.onset = _onset(groups, new)
    reading.errors = [_told(group, new[id(group)]) for group in ranked[:TOP]]
    if len(groups) > TOP:
        rest = sum(group.count for group in ranked[TOP:])
        reading.notes.append(f"{len(groups) - TOP} more kinds of errors, {rest} in all, are not shown")
    return reading


def _logs(service: dict[str, Any], reading: Reading) -> Iterator[dict[str, Any]]:
    """Give the logs of a service, those of its containers one by one."""
    for log in service.get("logs", []):
        if log["kind"] != "compose":
            yield log
            continue
        try:
            yield from [{"kind": "container", "unit": f"of {each}", "log": each} for each in _compose.logs(service)]
        except FileNotFoundError as error:
            reading.notes.append(f"{_name(log)}: {error}")
        except OSError as error:
            reading.unread.append(f"{_name(log)} cannot be read: {error}")


def _read_one(
    log: dict[str, Any], limit: int, patterns: Patterns, reading: Reading, until: float
) -> tuple[float, float | None]:
    """Read one log; return since when it is known what it says, and its first time. Both in seconds since 1970."""
    try:
        with _open(log, limit, until) as source:
            patterns.add(_log_errors.Reader().errors(source.lines, source.following))
    except FileNotFoundError as error:
        reading.notes.append(f"{_name(log)}: {error.strerror or error}")
        return _ALWAYS, None
    except OSError as error:
        reading.unread.append(f"{_name(log)} cannot be read: {error.strerror or error}")
        return _NEVER, None
    if source.note:
        reading.notes.append(f"{_name(log)}: {source.note}")
    if not source.older:
        return _ALWAYS, source.first
    since = _timestamps.iso_of(source.first) or "an unknown time"
    reading.notes.append(f"{_name(log)}: read from {since} on, not what is older")
    return _NEVER if source.first is None else source.first, source.first


def _open(log: dict[str, Any], limit: int, until: float) -> AbstractContextManager[_log_lines.Source]:
    if log["kind"] == "file":
        return _log_lines.of_file(log["path"], limit, until)
    if log["kind"] == "journal":
        return _log_lines.of_journal(log["unit"], limit)
    return _log_lines.of_container(log["log"], limit)


def _name(log: dict[str, Any]) -> str:
    return f"log {log.get('path') or log.get('unit') or log['kind']}"


def _is_new(first: float | None, deployed_at: str | None, known_from: float) -> bool | None:
    if first is None or deployed_at is None:
        return None
    # Many logs say whole seconds: an error in the second of the release came after it.
    deployed = datetime.fromisoformat(deployed_at).replace(microsecond=0).timestamp()
    if first < deployed:
        return False
    return True if known_from < deployed else None


def _began_late(group: Group, late: float) -> bool:
    return group.first is not None and group.first > late


def _onset(groups: list[Group], new: dict[int, bool | None]) -> str | None:
    times = [group.first for group in groups if group.first is not None]
    new_times = [group.first for group in groups if group.first is not None and new[id(group)]]
    return _timestamps.iso_of(min(new_times or times, default=None))


def _told(group: Group, is_new: bool | None) -> dict[str, Any]:
    seen = {"first_seen": _timestamps.iso_of(group.first), "last_seen": _timestamps.iso_of(group.last)}
    return {**group.told(), **seen, "new": is_new}
