"""How often something came, minute by minute, in few numbers however long it went on. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps

SLOTS = 30
_FINEST_S = 60
_OF_PEAK = 4  # a slot with less than this part of the fullest one is before or after the burst


class Rate:
    """Counts by time, in at most SLOTS slots of equal width, which double as the time grows."""

    __slots__ = ("_slots", "_width")

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._width = _FINEST_S
        self._slots: dict[int, int] = {}

    def add(self, times: Sequence[float]) -> None:
        """Count in what came at these times, in seconds since 1970."""
        times = sorted(times)
        place, count = 0, len(times)
        while place < count:
            width, slots = self._width, self._slots
            slot = int(times[place] // width)
            after = place + 1
            if after < count and times[after] < (slot + 1) * width:
                after = bisect.bisect_left(times, (slot + 1) * width, after)
            slots[slot] = slots.get(slot, 0) + after - place
            if len(slots) > SLOTS:
                self._widen()
            place = after

    def join(self, other: Rate) -> None:
        """Count in what another rate has counted."""
        for at, count in other._slots.items():
            slot = at * other._width // self._width
            self._slots[slot] = self._slots.get(slot, 0) + count
            if len(self._slots) > SLOTS:
                self._widen()

    def told(self, first: float, last: float) -> dict[str, Any]:
        """Return the counts, and the burst among them: since when, until when, and how many a minute.

        `first` and `last` say when the first and the last one came.
        """
        while max(self._slots) - min(self._slots) >= SLOTS:
            self._widen()
        begin, end = min(self._slots), max(self._slots)
        counts = [self._slots.get(slot, 0) for slot in range(begin, end + 1)]
        start, stop = _burst(counts)
        since = max(first, (begin + start) * self._width)
        until = min(last, (begin + stop + 1) * self._width)
        minutes = max((until - since) / 60, 1.0)
        return {
            "since": _timestamps.iso_of(since),
            "until": _timestamps.iso_of(until),
            "per_minute": round(sum(counts[start : stop + 1]) / minutes, 1),
            "width_s": self._width,
            "from": _timestamps.iso_of(begin * self._width),
            "counts": counts,
        }

    def _widen(self) -> None:
        self._width *= 2
        slots: dict[int, int] = {}
        for slot, count in self._slots.items():
            slots[slot // 2] = slots.get(slot // 2, 0) + count
        self._slots = slots


def _burst(counts: list[int]) -> tuple[int, int]:
    """Return the first and the last place around the fullest one that are not much emptier; one gap is no end."""
    enough = max(counts) / _OF_PEAK
    peak = max(range(len(counts)), key=lambda place: (counts[place], place))
    full = [count >= enough for count in counts]
    start = stop = peak
    while start > 0 and any(full[max(0, start - 2) : start]):
        start -= 1 if full[start - 1] else 2
    while stop + 1 < len(full) and any(full[stop + 1 : stop + 3]):
        stop += 1 if full[stop + 1] else 2
    return start, stop
