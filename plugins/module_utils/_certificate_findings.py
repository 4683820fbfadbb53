"""Which certificates have expired or soon will, and a clock that nothing keeps right. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, clock, finding

_SOON = (3.0, 14.0)  # days
_SHOWN = ("critical", "warning")
_IN_A_FILE = ("warning", "info")  # nothing says that it is used

Facts = dict[str, Any]


def of_certificates(resources: Facts) -> Iterator[Finding]:
    """Given what _resources saw, say which certificates are not valid, or will not be."""
    now = datetime.now(timezone.utc)
    for row in resources["certificates"]:
        ends, begins = (datetime.fromisoformat(row[key]) for key in ("not_after", "not_before"))
        days = (ends - now).total_seconds() / 86400
        grades = _SHOWN if row["port"] else _IN_A_FILE
        severity = next((grade for limit, grade in zip(_SOON, grades) if days < limit), None)
        where = f"on port {row['port']}" if row["port"] else f"in {row['path']}"
        what = f"{row['service']}: the certificate of {row['name'] or 'nobody'} {where}"
        about = {
            "name": row["name"],
            "path": row["path"],
            "host": row["host"],
            "port": row["port"],
            "not_after": row["not_after"],
        }
        if begins > now:
            text = f"{what} is not valid before {clock(row['not_before'])}"
            yield finding(grades[0], "certificate", text, row["service"], **about)
        elif severity:
            ended = days < 0
            how = (
                f"expired at {clock(row['not_after'])}"
                if ended
                else f"expires in {_days(days)}, at {clock(row['not_after'])}"
            )
            at = row["not_after"] if ended else None
            yield finding(severity, "certificate", f"{what} {how}", row["service"], at, **about)
        if row["is_for_host"] is False and not _is_local(row["host"]):
            yield finding("info", "certificate", f"{what} is not for {row['host']}", row["service"], **about)
    if resources["synchronised"] is False:
        yield finding("info", "clock", "nothing keeps the clock of this host right (NTPSynchronized=no)")


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{24 * days:.0f} hours"


def _is_local(host: str) -> bool:
    return host == "localhost" or host[:1].isdigit() or ":" in host
