"""One thing that changed on a host: its shape, and what all sources of changes share. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TEXT_CHARS = 200
DETAIL_CHARS = 300
_NAMED = 3  # of many alike, so many are named

Change = dict[str, Any]


class Window(NamedTuple):
    """The time in which changes count, in seconds since 1970; both ends belong to it."""

    since: float
    until: float

    def holds(self, at: float) -> bool:
        """Say whether a moment lies within."""
        return self.since <= at <= self.until


def change(
    kind: str,
    name: str,
    text: str,
    at: float,
    detail: str = "",
    service: str | None = None,
    path: str | None = None,
) -> Change:
    """Return a change: {kind, name, text, detail, at, service, path}.

    `kind` is a word of docs/diagnosis.md. `text` says what the host had done to it ("got release 42 of checkout"), so
    that hosts to which the same was done can be put before it; `detail` goes after the time. By `name`, with kind and
    service, the same change is known on another host. `at` is in seconds since 1970.
    """
    return {
        "kind": kind,
        "name": clean(name, TEXT_CHARS),
        "text": clean(text, TEXT_CHARS),
        "detail": clean(detail, DETAIL_CHARS),
        "at": _timestamps.iso_of(at),
        "service": service,
        "path": None if path is None else clean(path, TEXT_CHARS),
    }


def some(names: Sequence[str], named: int = _NAMED) -> str:
    """Name the first few of many, and say how many more there are."""
    rest = len(names) - named
    return ", ".join(names[:named]) + (f" and {rest} more" if rest > 0 else "")
