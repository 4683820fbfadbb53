"""When we ourselves were at work on hosts: what came in their logs only then, our own requests may have provoked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from incidentctl.event_data import texts
from incidentctl.incident import Event
from incidentctl.onset import moment

LOOKED_BACK_AT = 64  # steps, the newest


def ago(started: Iterable[Event], finished: Iterable[Event], now: datetime) -> dict[str, list[list[float]]]:
    """Given steps that were begun and steps that were ended, return by host [from, until] how many seconds ago we were there.

    Ages, for a host's clock may be another than ours. Of a step whose end is not known nothing is said.
    """
    begun: dict[tuple[str, str], Event] = {}
    found: dict[str, list[list[float]]] = {}
    for event in sorted([*started, *finished], key=lambda event: (event.incident_id, event.seq)):
        step = event.incident_id, str(event.data.get("phase"))
        if event.kind == "step_started":
            begun[step] = event
            continue
        first = begun.pop(step, None)
        since, until = (None if one is None else moment(one.at) for one in (first, event))
        if first is not None and since is not None and until is not None and since <= until <= now:
            ages = [round((now - at).total_seconds(), 1) for at in (since, until)]
            for host in texts(first.data.get("hosts")):
                found.setdefault(host, []).append(ages)
    return found
