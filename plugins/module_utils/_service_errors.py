"""The errors in the logs of one service: patterns with counts, which of them are new, and since when it goes wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_errors,
    _log_lines,
    _log_parts,
    _onset,
    _own_looks,
    _rotated,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._onset import ALWAYS, NEVER
from ansible_collections.incidentctl.response.plugins.module_utils._patterns import CAUSE, KEPT, Group, Patterns, shown

TOP = 20
BACK_S = 6 * 3600.0  # a log that begins later than so long ago is read on in its older parts
_BEFORE_S = 3600.0  # likewise one that begins later than so long before the release, ...
_AHEAD_S = 300.0  # so far a time may be ahead of the clock without a word
_RELEASE_S = 7 * 24 * 3600.0  # ... if that is not older than that


class Reading:
    """What reading the logs of a service gave.

    `errors`, `onset` and in words which error it is told by, since when it is `known` what all of them say, `notes`, and
    `unread`: why a log could not be read.
    """

    def __init__(self) -> None:
        """Begin with nothing read."""
        self.errors: list[dict[str, Any]] = []
        self.onset: str | None = None
        self.onset_source: str | None = None
        self.known: str | None = None
        self.notes: list[str] = []
        self.unread: list[str] = []


class _Read(NamedTuple):
    """A log of which the newest part was read: its name, its first time, its older parts, and how many bytes are left for them.

    `older`: there is more that is older than that first time.
    """

    name: str
    first: float | None
    older: bool
    parts: list[_rotated.Older]
    room: int


def read(
    service: dict[str, Any],
    limit: int,
    deployed_at: str | None,
    until: float,
    well: Sequence[float] = (),
    looks: Sequence[_own_looks.Look] = (),
) -> Reading:
    """Read the last `limit` bytes of each log of a service; start none after the monotonic time `until`.

    Older parts of a log count among them where it does not reach back far enough to say what is new. New errors come
    first, then those that were not there all along, then the rest; the most frequent of each first. `well` is when the
    service was seen well, in seconds since 1970, in order; `looks` are from when until when we ourselves looked.
    """
    reading, patterns, deployed = Reading(), Patterns(well, looks), _onset.moment(deployed_at)
    known_from, begun = ALWAYS, NEVER
    newest = [each for log in logs(service, reading) for each in _newest(log, limit, patterns, reading, until)]
    until = min(until, time.monotonic() + _log_parts.TIME_S)
    for each in newest:
        since, first = _known(each, _back_to(deployed), patterns, reading, until)
        known_from, begun = max(known_from, since), min(begun, NEVER if first is None else first)
    if patterns.crowded:
        reading.notes.append(f"more than {KEPT} different errors: rare ones are not counted")
    _tell(reading, _onset.Seen(patterns.groups(), begun, known_from if not reading.unread else NEVER, deployed), looks)
    return reading


def _tell(reading: Reading, seen: _onset.Seen, looks: Sequence[_own_looks.Look]) -> None:
    told = _onset.newness(seen)
    known = max(seen.begun, seen.known_from)
    ours = {id(group) for group in seen.groups if _own_looks.provoked(group.bursts, group.count, looks, known)}
    reading.known = _timestamps.iso_of(known) if math.isfinite(known) else None
    late = set(map(id, _onset.late(seen)))
    ranked = sorted(zip(seen.groups, told), key=lambda each: (each[1].new is not True, id(each[0]) not in late))
    reading.errors = [{**_told(group, new), "ours": id(group) in ours} for group, new in ranked[:TOP]]
    if len(ranked) > TOP:
        rest = sum(group.count for group, _new in ranked[TOP:])
        reading.notes.append(f"{len(ranked) - TOP} more kinds of errors, {rest} in all, are not shown")
    theirs = [(group, new) for group, new in zip(seen.groups, told) if id(group) not in ours]
    first = _onset.first(seen._replace(groups=[group for group, _new in theirs]), [new for _group, new in theirs])
    last = max((group.last for group in seen.groups if group.last is not None), default=0.0)
    if last > time.time() + _AHEAD_S:
        told_at = _timestamps.iso_of(last)
        reading.notes.append(f"times up to {told_at} lie ahead of this host's clock: so may the onset")
    if first is not None:
        where = f" in {first.origin}" if first.origin else ""
        said = f"'{shown(first.template.partition(CAUSE)[0])}'"
        reading.onset = _timestamps.iso_of(_onset.began(first))
        reading.onset_source = f"{said} again{where}" if _again(first) else f"first {said}{where}"


def logs(service: dict[str, Any], reading: Reading) -> Iterator[dict[str, Any]]:
    """Give the logs of a service, those of its containers one by one."""
    for log in service.get("logs", []):
        if log["kind"] != "compose":
            yield log
            continue
        from ansible_collections.incidentctl.response.plugins.module_utils import _compose  # noqa: PLC0415 - as below

        try:
            yield from [{"kind": "container", "unit": f"of {each}", "log": each} for each in _compose.logs(service)]
        except FileNotFoundError as error:
            reading.notes.append(f"log {name_of(log)}: {error}")
        except OSError as error:
            reading.unread.append(f"log {name_of(log)} cannot be read: {error}")


def _newest(log: dict[str, Any], limit: int, patterns: Patterns, reading: Reading, until: float) -> Iterator[_Read]:
    """Read the newest part of a log. Give nothing if it is not there, or cannot be read."""
    name = name_of(log)
    if time.monotonic() > until:
        reading.unread.append(f"log {name} was not read: the other logs took all the time there was")
        return
    try:
        with opened(log, limit, until) as source:
            patterns.add(_log_errors.Reader().of_source(source), name)
    except FileNotFoundError as error:
        reading.notes.append(f"log {name}: {error.strerror or error}")
        return
    except OSError as error:
        reading.unread.append(f"log {name} cannot be read: {error.strerror or error}")
        return
    if source.note:
        reading.notes.append(f"log {name}: {source.note}")
    parts = (
        source.parts if source.first is not None or not source.size else []
    )  # one without times tells nothing by them
    yield _Read(name, source.first, source.older, parts, limit - source.size)


def _known(
    log: _Read, back_to: float, patterns: Patterns, reading: Reading, until: float
) -> tuple[float, float | None]:
    """Read the older parts of a log as far as is needed; return since when it is known what it says, and its first time."""
    if not log.older:
        return ALWAYS, log.first
    known = _log_parts.Known(log.first, 0, "")
    known = _log_parts.read(log.parts, known, back_to, log.room, lambda errors: patterns.add(errors, log.name), until)
    since = _timestamps.iso_of(known.since) or "an unknown time"
    parts = f", {known.read} older part(s) included" if known.read else ""
    why = f": {known.why}" if known.why else ""
    reading.notes.append(f"log {log.name}: read from {since} on{parts}, not what is older{why}")
    return NEVER if known.since is None else known.since, known.since


def _back_to(deployed: float | None) -> float:
    """Return since when a log should be known, so that what is new can be told from what is not."""
    now = time.time()
    recent = deployed is not None and deployed > now - _RELEASE_S
    return min(now - BACK_S, deployed - _BEFORE_S) if deployed is not None and recent else now - BACK_S


def opened(log: dict[str, Any], limit: int, until: float) -> AbstractContextManager[_log_lines.Source]:
    """Open the last `limit` bytes of a log. Raise OSError if it cannot be read, or not until then (monotonic)."""
    if log["kind"] == "file":
        return _log_lines.of_file(log["path"], limit, until)
    # Most logs are files: what it takes to ask a command is a fifth of all that there is to import.
    from ansible_collections.incidentctl.response.plugins.module_utils import _log_asked  # noqa: PLC0415

    if log["kind"] == "journal":
        return _log_asked.of_journal(log["unit"], limit)
    return _log_asked.of_container(log["log"], limit)


def name_of(log: dict[str, Any]) -> str:
    """Return what a log is called."""
    return str(log.get("path") or log.get("unit") or log["kind"])


def _again(group: Group) -> float | None:
    """Return when an error came again after the service was seen well without it; None if that never was."""
    return group.bursts.anew() if group.bursts and group.bursts.anew() > group.bursts.first else None


def _told(group: Group, new: _onset.New) -> dict[str, Any]:
    seen = {"first_seen": _timestamps.iso_of(group.first), "last_seen": _timestamps.iso_of(group.last)}
    again = _again(group)
    seen["again_since"] = _timestamps.iso_of(again)
    count = group.bursts.latest()[1] if again is not None else None
    return {**group.told(), **seen, "again_count": count, "new": new.new, "new_since": new.since}
