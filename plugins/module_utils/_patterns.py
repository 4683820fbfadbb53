"""Errors of a log, grouped by what they say once everything that varies is masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _grouping, _masks
from ansible_collections.incidentctl.response.plugins.module_utils._bursts import Bursts
from ansible_collections.incidentctl.response.plugins.module_utils._log_messages import Error, masked
from ansible_collections.incidentctl.response.plugins.module_utils._rate import Rate
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TEMPLATE_CHARS, SAMPLE_CHARS = 200, 300
KEPT = 1000  # groups; twice as many, and they are merged or the rarest go: memory stays bounded on a log of nonsense
_AT_ONCE = 64_000  # times of all groups that are held until they are counted: in few long rows that costs least
CAUSE = "\x1e"  # between what an error says and its cause


class Group:
    """Like errors: how many, when (seconds since 1970, None if they tell no time), how often, and one of them."""

    __slots__ = ("bursts", "cause", "count", "origin", "rate", "sample", "template", "times")

    def __init__(self, template: str, error: Error, origin: str | None, bursts: Bursts) -> None:
        """Begin with the first of them, not yet counted, the log that it is from, and what its times will be told by."""
        self.template = template
        self.count = 0
        self.bursts = bursts
        self.rate = Rate()
        self.times: list[float] = []  # that are counted, but not yet in the two above: they take many at once better
        self.origin = origin  # None if they are from several
        self.sample = clean(error.line, SAMPLE_CHARS)
        self.cause = None if error.cause is None else clean(error.cause, SAMPLE_CHARS)

    @property
    def first(self) -> float | None:
        """When the first of them came."""
        return self.bursts.first if self.bursts else None

    @property
    def last(self) -> float | None:
        """When the last of them came."""
        return self.bursts.last if self.bursts else None

    def add(self, times: Sequence[float | None], origin: str | None) -> None:
        """Count more, which came at these times, of the log `origin`."""
        self.count += len(times)
        if self.origin != origin:
            self.origin = None
        self.times += times if None not in times else [at for at in times if at is not None]

    def settle(self) -> None:
        """Have the times of all that were counted in its bursts and its rate."""
        self.times.sort()
        self.bursts.add(self.times)
        self.rate.add(self.times)
        self.times.clear()

    def join(self, other: Group) -> None:
        """Count those of another group in."""
        self.count += other.count
        self.origin = self.origin if self.origin == other.origin else None
        self.bursts.join(other.bursts)
        self.rate.join(other.rate)

    def told(self) -> dict[str, Any]:
        """Return the group as it is told to people, but for its times."""
        said, _mark, cause = self.template.partition(CAUSE)
        return {
            "template": shown(said),
            "count": self.count,
            "sample": self.sample,
            "cause": self.cause,
            "cause_template": shown(cause) if cause else None,
            "rate": self.rate.told(self.bursts.first, self.bursts.last) if self.bursts else None,
        }


def key(error: Error) -> str:
    """Return what an error and its cause say, masked: errors that differ in it may still be of one group.

    A cause that the message ends with, too, is told once: what varies in both would have to vary alike.
    """
    if error.cause is None:
        return error.said
    cause = masked(error.cause)
    said = error.said[: -len(cause)].rstrip(" :") if cause and error.said.endswith(cause) else ""
    return f"{said or error.said}{CAUSE}{cause}"


def shown(template: str) -> str:
    """Return a template as a person reads it."""
    return _masks.shown(template)[:TEMPLATE_CHARS]


class Patterns:
    """Groups of like errors, counted while a log goes by."""

    def __init__(self, well: Sequence[float] = (), looks: Sequence[tuple[float, float]] = ()) -> None:
        """Begin without any group. `well` is when the service was seen well, `looks` when we ourselves were there (Bursts)."""
        self._well, self._looks = well, looks
        self._groups: dict[str, Group] = {}
        self._merging_helps = True
        self._unsettled = 0
        self.crowded = False

    def add(self, errors: Iterable[Error], origin: str | None = None) -> None:
        """Count errors of a log, named `origin`, in, each with the group of what it and its cause say."""
        for error in errors:
            found = key(error)
            group = self._groups.get(found)
            if group is None:
                self._make_room()
                group = self._groups[found] = Group(found, error, origin, Bursts(self._well, self._looks))
            group.add(error.times, origin)
            self._unsettled += len(error.times)
            if self._unsettled >= _AT_ONCE:
                self._settle()

    def groups(self) -> list[Group]:
        """Return the groups, largest first; of equals the one that was there first."""
        self._merge()
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def _make_room(self) -> None:
        if len(self._groups) < 2 * KEPT:
            return
        if self._merging_helps:
            self._merge()
            self._merging_helps = len(self._groups) <= KEPT
        if len(self._groups) > KEPT:
            self.crowded = True
            largest = sorted(self._groups.items(), key=lambda item: -item[1].count)[:KEPT]
            self._groups = dict(largest)

    def _settle(self) -> None:
        for group in self._groups.values():
            group.settle()
        self._unsettled = 0

    def _merge(self) -> None:
        self._settle()
        templates = _grouping.merged(self._groups)
        merged: dict[str, Group] = {}
        for found, group in self._groups.items():
            group.template = templates[found]
            known = merged.setdefault(group.template, group)
            if known is not group:
                known.join(group)
        self._groups = merged
