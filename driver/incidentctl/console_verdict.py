"""The verdict of a verification on the screen: one line with figures, then what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from incidentctl.text import readable as plain
from incidentctl.verdict import IMPROVED, NO_CHANGE, RECOVERED, WORSE, Verdict

_STYLES = {RECOVERED: "bold green", IMPROVED: "bold yellow", NO_CHANGE: "bold red", WORSE: "bold red"}


def lines(found: Verdict, window_s: float | None = None, alerts: Mapping[str, Any] | None = None) -> Iterator[Text]:
    """Give the lines; `window_s` says how long it was watched, `alerts` what the monitoring says after the lift."""
    word, _colon, figures = found.told().partition(": ")
    told = [figures, *([f"alerts: {_left(alerts)}"] if alerts and alerts.get("alerts") is not None else [])]
    watched = f" (watched for {window_s:.0f} s)" if window_s else ""
    yield Text(word.capitalize(), style=_STYLES[found.verdict]) + Text(f"{watched}: {plain('; '.join(told), 1000)}")
    for reason in () if found.recovered else found.reasons:
        yield Text(f"  {plain(reason)}")


def _left(alerts: Mapping[str, Any]) -> str:
    return ", ".join(alerts["alerts"]) or "none left"
