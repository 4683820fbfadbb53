"""When data was last in a verified backup, and what was written to it since, as its hosts counted it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from incidentctl.event_data import rows, seconds_between
from incidentctl.options.words import clock, time_of_day
from incidentctl.text import plain

NONE = "unknown: no verified backup"
_HERE = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class Writes:
    """What was counted: rows, transactions, files; `at_least` where more may have been written; bytes where they are known."""

    count: int
    of: str
    at_least: bool = False
    bytes: int | None = None

    def __str__(self) -> str:
        """Return it in words."""
        of = self.of.removesuffix("s") if self.count == 1 else self.of
        size = "" if self.bytes is None else f" ({_size(self.bytes)})"
        return f"{'at least ' if self.at_least else ''}{self.count:,} {of}{size}"


class Backup(NamedTuple):
    """A backup of one item of a service's data; `item` says which, on which host, `at` when it was verified by restoring it."""

    item: str
    at: str | None  # None: it was not verified
    writes: Writes | None = None  # None: nobody knows
    source: str = ""  # who counted them, or why nobody knows

    def __str__(self) -> str:
        """Say it in a sentence."""
        if self.at is None:
            return f"{self.item}: {self.source or 'in no verified backup'}"
        if self.writes is None:
            why = f": {self.source}" if self.source else ""
            return f"{self.item}: last verified backup {clock(self.at)}; what was written since is not known{why}"
        source = f", {self.source}" if self.source else ""
        return f"{self.item}: {self.writes} written since the last verified backup, {clock(self.at)}{source}"


def told(host: str, facts: Any) -> Iterator[Backup]:
    """Given what a diagnosis of a host says of a service, give what it says of its data; other shapes are left out."""
    for row in rows(facts.get("since_backup") if isinstance(facts, Mapping) else None):
        at = row.get("at")
        at = None if at is None else plain(at)
        yield Backup(item(host, row), at, _writes(row.get("writes")), plain(row.get("source") or ""))


def item(host: str, row: Mapping[str, Any]) -> str:
    """Name a data item, with its host; a database of a server that all hosts reach by one name is one and the same."""
    kind, path = plain(row.get("kind")), plain(row.get("path"))
    server = path.rpartition("/")[0] if kind == "postgresql" else ""
    name = server.rpartition(":")[0] or server
    shared = name and not name.startswith("/") and name not in _HERE
    return f"{kind} {path}" if shared else f"{host} {kind} {path}"


def newest(there: Iterable[Backup]) -> dict[str, Backup]:
    """Return by item the newest verified backup; of one of the same time what was counted since counts more than nothing."""
    found: dict[str, Backup] = {}
    for one in there:
        other = found.get(one.item)
        if other is None or _rank(other) < _rank(one):
            found[one.item] = one
    return found


def figure(there: Iterable[Backup], now: datetime | None = None) -> str:
    """Return in few words what is in no backup: the writes since, of all items, and since when, of the oldest.

    Each item must be in a verified backup, or it is not known. With `now` the time is told as short as it can be.
    """
    found = tuple(there)
    times = [str(one.at) for one in found]
    ages = [seconds_between(at, "2000-01-01T00:00:00+00:00") for at in times]
    if not found or None in ages:
        return NONE
    oldest = max(zip(ages, times, strict=True))[1]
    since = clock(oldest) if now is None else time_of_day(oldest, now)
    counts = [one.writes for one in found]
    known = [writes for writes in counts if writes is not None]
    if len(known) < len(counts):
        return f"unknown since {since}"
    count, more = sum(writes.count for writes in known), any(writes.at_least for writes in known)
    return f"{count:,}{'+' if more else ''} write{'' if count == 1 and not more else 's'} since {since}"


def _rank(one: Backup) -> tuple[float, str, bool, int, str]:
    """A later one first, whatever zone it is told in; one that is no time is before all."""
    age = None if one.at is None else seconds_between("2000-01-01T00:00:00+00:00", one.at)
    count = -1 if one.writes is None else one.writes.count
    return float("-inf") if age is None else age, one.at or "", one.writes is not None, count, one.source


def _writes(value: Any) -> Writes | None:
    told = value if isinstance(value, Mapping) else {}
    count = _count(told.get("count"))
    if count is None:
        return None
    return Writes(
        count, plain(told.get("of") or "writes"), told.get("at_least") is not False, _count(told.get("bytes"))
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _size(count: int) -> str:
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
