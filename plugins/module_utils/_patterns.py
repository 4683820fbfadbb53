"""Errors of a log, grouped by what they say once everything that varies is masked."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _grouping, _masks, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_errors import Error
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 10
TEMPLATE_CHARS, SAMPLE_CHARS = 200, 300
KEPT = 1000  # groups; twice as many, and they are merged or the rarest go: memory stays bounded on a log of nonsense
_CAUSE = "\x1e"  # between what an error says and its cause

Group = dict[str, Any]


@functools.lru_cache(maxsize=256)  # the same few causes come again and again
def _masked(message: str) -> str:
    return _masks.mask(clean(_timestamps.split(message)[1], 2 * TEMPLATE_CHARS))


def key(error: Error) -> str:
    """Return what an error and its cause say, masked: errors that differ in it may still be of one group."""
    said = _masked(error.message)
    return said if error.cause is None else f"{said}{_CAUSE}{_masked(error.cause)}"


def shown(template: str) -> str:
    """Return the template of a group as a person reads it, without that of its cause."""
    return _masks.shown(template.partition(_CAUSE)[0])[:TEMPLATE_CHARS]


class Patterns:
    """Groups of like errors, counted while a log goes by."""

    def __init__(self) -> None:
        """Begin without any group."""
        self._groups: dict[str, Group] = {}
        self._merging_helps = True
        self.crowded = False

    def add(self, errors: Iterable[Error]) -> None:
        """Count errors in, each with the group of what it and its cause say."""
        for error in errors:
            found = key(error)
            group = self._groups.get(found)
            if group is None:
                self._make_room()
                group = self._groups[found] = _group(error)
            group["count"] += 1
            if error.at is not None:
                group["first_seen"] = _earlier(group["first_seen"], error.at)
                group["last_seen"] = max(group["last_seen"] or error.at, error.at)

    def top(self, count: int = TOP) -> list[Group]:
        """Return the largest groups, largest first; of equals the one that was there first."""
        self._merge()
        largest = sorted(self._groups.items(), key=lambda item: -item[1]["count"])[:count]
        return [{"template": shown(template), **group} for template, group in largest]

    def _make_room(self) -> None:
        if len(self._groups) < 2 * KEPT:
            return
        if self._merging_helps:
            self._merge()
            self._merging_helps = len(self._groups) <= KEPT
        if len(self._groups) > KEPT:
            self.crowded = True
            largest = sorted(self._groups.items(), key=lambda item: -item[1]["count"])[:KEPT]
            self._groups = dict(largest)

    def _merge(self) -> None:
        templates = _grouping.merged(self._groups)
        merged: dict[str, Group] = {}
        for found, group in self._groups.items():
            known = merged.get(templates[found])
            merged[templates[found]] = group if known is None else _joined(known, group)
        self._groups = merged


def _group(error: Error) -> Group:
    return {
        "count": 0,
        "first_seen": None,
        "last_seen": None,
        "sample": clean(error.line, SAMPLE_CHARS),
        "cause": None if error.cause is None else clean(error.cause, SAMPLE_CHARS),
    }


def _joined(one: Group, other: Group) -> Group:
    firsts = [group["first_seen"] for group in (one, other) if group["first_seen"] is not None]
    lasts = [group["last_seen"] for group in (one, other) if group["last_seen"] is not None]
    count = one["count"] + other["count"]
    return {**one, "count": count, "first_seen": min(firsts, default=None), "last_seen": max(lasts, default=None)}


def _earlier(known: datetime | None, seen: datetime) -> datetime:
    return seen if known is None else min(known, seen)
