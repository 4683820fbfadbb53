"""The errors in the logs of one service: patterns with counts, and which are new since its release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose,
    _log_errors,
    _log_lines,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._patterns import KEPT, Patterns

_ALWAYS = datetime.min.replace(tzinfo=timezone.utc)
_NEVER = datetime.max.replace(tzinfo=timezone.utc)


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
    first time of the earliest new one, else of the earliest.
    """
    reading, patterns = Reading(), Patterns()
    known_from = _ALWAYS
    for log in _logs(service, reading):
        if time.monotonic() > until:
            reading.unread.append(f"{_name(log)} was not read: the other logs took all the time there was")
            continue
        known_from = max(known_from, _read_one(log, limit, patterns, reading))
    if patterns.crowded:
        reading.notes.append(f"more than {KEPT} different errors: rare ones are not counted")
    top = patterns.top()
    new = [_is_new(group["first_seen"], deployed_at, known_from) for group in top]
    reading.onset = _onset(top, new)
    reading.errors = [_told(group, is_new) for group, is_new in zip(top, new)]
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


def _read_one(log: dict[str, Any], limit: int, patterns: Patterns, reading: Reading) -> datetime:
    """Read one log; return since when it is known what it says."""
    try:
        with _open(log, limit) as source:
            clock = _Clock()
            patterns.add(_log_errors.errors(clock.watch(source.lines)))
    except FileNotFoundError as error:
        reading.notes.append(f"{_name(log)}: {error.strerror or error}")
        return _ALWAYS
    except OSError as error:
        reading.unread.append(f"{_name(log)} cannot be read: {error.strerror or error}")
        return _NEVER
    if source.note:
        reading.notes.append(f"{_name(log)}: {source.note}")
    if not source.older:
        return _ALWAYS
    reading.notes.append(
        f"{_name(log)}: read from {_timestamps.iso(clock.first) or 'an unknown time'} on, not what is older"
    )
    return clock.first or _NEVER


class _Clock:
    """Watches lines go by and keeps the first time that one of them says."""

    _LOOKED_AT = 100  # lines: a log without any time must not be searched to its end

    def __init__(self) -> None:
        self.first: datetime | None = None

    def watch(self, lines: Any) -> Any:
        for number, line in enumerate(lines):
            if self.first is None and number < self._LOOKED_AT:
                self.first = line.at or _timestamps.split(line.text)[0]
            yield line


def _open(log: dict[str, Any], limit: int) -> AbstractContextManager[_log_lines.Source]:
    if log["kind"] == "file":
        return _log_lines.of_file(log["path"], limit)
    if log["kind"] == "journal":
        return _log_lines.of_journal(log["unit"], limit)
    return _log_lines.of_container(log["log"], limit)


def _name(log: dict[str, Any]) -> str:
    return f"log {log.get('path') or log.get('unit') or log['kind']}"


def _is_new(first_seen: datetime | None, deployed_at: str | None, known_from: datetime) -> bool | None:
    if first_seen is None or deployed_at is None:
        return None
    # Many logs say whole seconds: an error in the second of the release came after it.
    deployed = datetime.fromisoformat(deployed_at).replace(microsecond=0)
    if first_seen < deployed:
        return False
    return True if known_from < deployed else None


def _onset(groups: list[dict[str, Any]], new: list[bool | None]) -> str | None:
    times = [group["first_seen"] for group in groups if group["first_seen"] is not None]
    new_times = [group["first_seen"] for group, is_new in zip(groups, new) if is_new]
    return _timestamps.iso(min(new_times or times, default=None))


def _told(group: dict[str, Any], is_new: bool | None) -> dict[str, Any]:
    seen = {key: _timestamps.iso(group[key]) for key in ("first_seen", "last_seen")}
    return {**group, **seen, "new": is_new}
