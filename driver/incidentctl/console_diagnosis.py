"""The screen of a diagnosis: what was found, likeliest cause first. Lines of rich, for the console to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from incidentctl import findings
from incidentctl.text import plain

MANY_HOSTS = 12  # from here on hosts are counted, not named
_FOUND = 8  # findings that are shown
_MARKS = {"critical": "red", "warning": "yellow"}


def screen(rows: Sequence[Any]) -> Iterator[Text]:
    """Given the outcomes of a diagnosis, one a host, give what a person reads first."""
    yield from _findings(rows)


def _findings(rows: Sequence[Any]) -> Iterator[Text]:
    found = findings.ranked((row.host, one) for row in rows for one in row.facts.get("findings", ()))
    if not found:
        yield Text("No cause was found in logs, resources and releases.")
        return
    yield _title("What was found, likeliest cause first")
    for severity, text, hosts in found[:_FOUND]:
        yield Text(f"  {severity:<8} ", style=_MARKS.get(severity, "")) + Text(f"{plain(text)} ({_who(hosts)})")


def _title(text: str) -> Text:
    return Text(text, style="bold")


def _who(hosts: Sequence[str]) -> str:
    return ", ".join(hosts) if len(hosts) < MANY_HOSTS else f"{len(hosts)} hosts"
