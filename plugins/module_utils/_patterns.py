"""Errors of a log, grouped by what they say once everything that varies is masked."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_errors import Error
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TOP = 10
TEMPLATE_CHARS, SAMPLE_CHARS = 200, 300
KEPT = 1000  # groups; twice as many, and the rarest go: memory stays bounded on a log of nonsense
_MASKS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|`[^`]*`"), "<str>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"(?<![\w/])~?(?:/[\w.@%+~:-]+)+/?"), "<path>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<hex>"),
    # A number at the end of a word varies (worker12), one within a dotted name does not (sqlite3.Error).
    (re.compile(r"(?<![A-Za-z\d])\d+(?:\.\d+)*|(?<=[A-Za-z])\d+(?!\d*\.[A-Za-z])"), "<n>"),
    (re.compile(r"\s+"), " "),
)


@functools.lru_cache(maxsize=256)  # the same few causes come again and again
def template(message: str) -> str:
    """Return what a message says with numbers, ids, quoted values, paths and addresses masked."""
    text = clean(_timestamps.split(message)[1], 2 * TEMPLATE_CHARS)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text.strip()[:TEMPLATE_CHARS]


class Patterns:
    """Groups of like errors, counted while a log goes by."""

    def __init__(self) -> None:
        """Begin without any group."""
        self._groups: dict[tuple[str, str | None], dict[str, Any]] = {}
        self.crowded = False

    def add(self, errors: Iterable[Error]) -> None:
        """Count errors in, each with the group of its template and of its cause's."""
        for error in errors:
            key = (template(error.message), None if error.cause is None else template(error.cause))
            group = self._groups.get(key)
            if group is None:
                self._make_room()
                group = self._groups[key] = _group(key[0], error)
            group["count"] += 1
            if error.at is not None:
                group["first_seen"] = _earlier(group["first_seen"], error.at)
                group["last_seen"] = max(group["last_seen"] or error.at, error.at)

    def top(self, count: int = TOP) -> list[dict[str, Any]]:
        """Return the largest groups, largest first; of equals the one that was there first."""
        return sorted(self._groups.values(), key=lambda group: -group["count"])[:count]

    def _make_room(self) -> None:
        if len(self._groups) < 2 * KEPT:
            return
        self.crowded = True
        largest = sorted(self._groups.items(), key=lambda item: -item[1]["count"])[:KEPT]
        self._groups = dict(largest)


def _group(text: str, error: Error) -> dict[str, Any]:
    return {
        "template": text,
        "count": 0,
        "first_seen": None,
        "last_seen": None,
        "sample": clean(error.line, SAMPLE_CHARS),
        "cause": None if error.cause is None else clean(error.cause, SAMPLE_CHARS),
    }


def _earlier(known: datetime | None, seen: datetime) -> datetime:
    return seen if known is None else min(known, seen)
