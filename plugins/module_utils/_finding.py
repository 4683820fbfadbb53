"""One thing that stands out on a host: its shape, and the words that all of them use. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

SEVERITIES = ("critical", "warning", "info")

Finding = dict[str, Any]


def finding(
    severity: str, kind: str, text: str, service: str | None = None, at: str | None = None, **about: Any
) -> Finding:
    """Return a finding: a sentence for people, and for programs its kind, when it began, and what it is about.

    `kind` is a word of docs/diagnosis.md; `at` is in ISO 8601, None where nobody knows. `service` is None for what
    concerns the whole host. `about` holds names and plain figures.
    """
    return {"severity": severity, "kind": kind, "text": text, "service": service, "at": at, "about": about}


def clock(iso: str) -> str:
    """Return the time of day in UTC, with the date if that is not today."""
    moment = datetime.fromisoformat(iso)
    today = datetime.now(moment.tzinfo).date()
    return f"{moment:%H:%M:%S} UTC" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def times(count: int) -> str:
    """Say a count."""
    return "once" if count == 1 else f"{count} times"


def span(seconds: float) -> str:
    """Say how long something took."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def gap(earlier: str, later: str) -> float:
    """Return the seconds between two times in ISO 8601, 0 where they are the other way round."""
    seconds = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    return max(seconds, 0.0)  # a log in whole seconds can be up to one behind
