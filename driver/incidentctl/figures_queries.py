"""What the monitoring's queries gave before, during and after an incident: the less the better. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from incidentctl.figures import FEW_MS, TWICE, Figure, number

# What Prometheus measures in seconds is named so; _seconds_count and _seconds_total are counted.
_SECONDS = re.compile(r"_seconds(_bucket|_sum)?(?![a-z0-9_])")


def is_time(query: str) -> bool:
    """Say whether a query gives seconds that something takes, by the name of its metric; else it is a rate or a count."""
    return _SECONDS.search(query) is not None


def of_query(
    name: str, service: str, values: Sequence[float | None], time: bool = False, kept_away: bool = False
) -> Figure:
    """Compare what a query of the monitoring gave before, during and after: the less the better.

    NaN says that there was nothing to measure. Of a `time` it is unknown then. Of a rate it is zero, as the series of
    errors begins with the first one; unless there never was one, or one was there before. While users are `kept_away` on
    purpose it is only told.
    """
    unknown = time or all(map(_is_nothing, values))
    before, during, after = (value if not _is_nothing(value) else None if unknown else 0.0 for value in values)
    if before and _is_nothing(values[2]):
        after = None
    few = FEW_MS / 1000 if time else 0.0
    well: bool | None = None
    change = 0
    if after is None:
        well = None if before is None and during is None else False
    else:
        well = None if before is None else after <= max(TWICE * before, before + few)
        if during is not None and after < during and after <= during / TWICE:
            change = 1
        elif during is not None and well is not True and after > max(TWICE * during, during + few):
            change = -1
    if kept_away:
        well, change = None, 0
    then, since, now = (_measured(value, time) for value in values)
    unit = " ms" if time and now[0].isdigit() else ""
    away = ", while users are kept away" if kept_away else ""
    told = f"{service} {name} {now}{unit} ({then} before, {since} during){away}".lstrip()
    kept = number(before), number(during), number(after)  # the record takes no infinity
    return Figure(f"query {name}", service, "", *kept, well, change, told)


def _is_nothing(value: float | None) -> bool:
    return value is not None and math.isnan(value)


def _measured(value: float | None, time: bool) -> str:
    if value is None or not math.isfinite(value):
        return "unknown" if value is None else "none" if math.isnan(value) else "infinite"
    return f"{value * 1000:,.0f}" if time else f"{value:.3g}"
