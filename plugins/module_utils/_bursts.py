"""When something came: in bursts with silence between them, of which few are kept however many there were. Pure."""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections.abc import Iterator, Sequence
from math import inf

KEPT = 16
QUIET_S = 600.0  # a shorter silence ends nothing, unless all was seen to be well in it
_USUAL = 8  # nor does one of so many times the usual distance
_FEWEST = 3  # that make a burst of their own
_LONGEST = 2  # nor does a silence in which all was well, of so many times the longest in which nobody looked


class Bursts:
    """The stretches of time in which something came, each [first, last, count, longest silence], in order.

    Never are two close, but where all was seen to be well between them: `well` are those moments, in order. In whatever
    order the times are added, the same is told of them, though the longest silence may then be told too long. Where
    there would be more than KEPT bursts beside those that a moment divides, those with less silence between them than
    twice as much, and so on, are one.
    """

    __slots__ = ("_looks", "_quiet", "_spans", "_well", "met")

    def __init__(self, well: Sequence[float] = (), looks: Sequence[tuple[float, float]] = ()) -> None:
        """Begin with nothing added. `looks` are from when until when we ourselves were there, in order, none touching another."""
        self._quiet = QUIET_S
        self._spans: list[list[float]] = []
        self._well = well
        self._looks = looks
        # The places of the looks in which something came; None as soon as something came when there was none.
        self.met: set[int] | None = set() if looks else None

    def __bool__(self) -> bool:
        """Say whether anything was added."""
        return bool(self._spans)

    @property
    def first(self) -> float:
        """When the first one came, in seconds since 1970."""
        return self._spans[0][0]

    @property
    def last(self) -> float:
        """When the last one came."""
        return self._spans[-1][1]

    @property
    def count(self) -> int:
        """How many came."""
        return int(sum(span[2] for span in self._spans))

    def add(self, times: Sequence[float]) -> None:
        """Add what came at these times, in seconds since 1970."""
        if self.met is not None:
            self._meet(times)
        for part in self._parts(times):
            self._add(part)

    def _parts(self, times: Sequence[float]) -> Iterator[Sequence[float]]:
        """Give the times in parts between which all was well."""
        if not self._well:
            yield times
            return
        ordered, begin = sorted(times), 0
        for moment in self._well:
            end = bisect_left(ordered, moment, begin)
            if end > begin:
                yield ordered[begin:end]
            begin = end
        yield ordered[begin:]

    def _add(self, times: Sequence[float]) -> None:
        """Add times between which nobody saw that all was well."""
        spans, quiet = self._spans, self._quiet
        span = spans[-1] if spans and times and not self._was_well(spans[-1][1], times[0]) else None
        for at in times:
            if span is None or at > span[1] + quiet:
                span = [at, at, 1, 0.0]
                spans.append(span)
            elif at >= span[0]:
                span[2] += 1
                silence = at - span[1]
                if silence > 0:
                    span[1] = at
                    if silence > span[3]:  # noqa: PLR1730 - a call of max costs more than all the rest, of each error
                        span[3] = silence
            else:
                self._place([at, at, 1, 0.0])
                spans, quiet, span = self._spans, self._quiet, self._spans[-1]
            if len(spans) > self._most:
                self._crowd()
                spans, quiet, span = self._spans, self._quiet, self._spans[-1]

    def _meet(self, times: Sequence[float]) -> None:
        """Note the looks in which these came. Nearly every error comes outside of them, and mostly the first that is added."""
        met: set[int] = self.met or set()
        for at in times:
            place = bisect(self._looks, (at, inf)) - 1
            if place < 0 or at > self._looks[place][1]:
                self.met = None
                return
            met.add(place)
        self.met = met

    def join(self, other: Bursts) -> None:
        """Add what another one has."""
        self.met = None if self.met is None or other.met is None else self.met | other.met
        self._quiet = max(self._quiet, other._quiet)
        self._place(*map(list, other._spans))

    def latest(self) -> tuple[float, int]:
        """Return when the latest burst began, and how many came in it.

        A burst begins after a silence of ten minutes or more that is also far longer than is usual between two: what comes
        once an hour makes one long burst. One or two after a silence begin none. It also begins after a silence in which
        all was well: what goes on meanwhile does not.
        """
        place = self._begin()
        return self._spans[place][0], int(sum(span[2] for span in self._spans[place:]))

    def anew(self) -> float:
        """Return when it came again after all had been well, without it; when it first came if that never was."""
        place, unusual = self._begin(), self._after_unusual()
        known = place > unusual or (place > 0 and self._ended(place, 0))
        return self._spans[place][0] if known else self.first

    def _begin(self) -> int:
        """Return the place of the first span of the latest burst."""
        since = self._after_unusual()
        return next((place for place in range(len(self._spans) - 1, since, -1) if self._ended(place, since)), since)

    def _after_unusual(self) -> int:
        """Return the place of the first span after the latest silence that is long and unusual."""
        spans = self._spans
        total = sum(span[2] for span in spans)
        for place in range(len(spans) - 1, 0, -1):
            silence = spans[place][0] - spans[place - 1][1]
            usual = (self.last - self.first - silence) / max(total - 2, 1)
            count = sum(span[2] for span in spans[place:])
            if silence > max(self._quiet, _USUAL * usual) and count >= _FEWEST:
                return place
        return 0

    def _ended(self, place: int, since: int) -> bool:
        """Say whether it had ended before this span: all was well without it, and it is silent for so long at no other time.

        Looked at are the spans from `since` on. Of one that comes too seldom for that to be told, it had.
        """
        spans = self._spans
        before, after = spans[place - 1][1], spans[place][0]
        if not self._was_well(before, after):
            return False
        others = [span[3] for span in spans[since:]]
        pairs = list(zip(spans[since:], spans[since + 1 :]))
        others += [then[0] - one[1] for one, then in pairs if not self._was_well(one[1], then[0])]
        return after - before > _LONGEST * max(others)

    def _was_well(self, before: float, after: float) -> bool:
        """Say whether all was seen to be well between two times."""
        return bisect(self._well, before) != bisect(self._well, after)

    @property
    def _most(self) -> int:
        return KEPT + len(self._well)

    def _place(self, *new: list[float]) -> None:
        self._spans = self._apart(sorted([*self._spans, *new]))
        self._crowd()

    def _crowd(self) -> None:
        while len(self._spans) > self._most:
            self._quiet *= 2
            self._spans = self._apart(self._spans)

    def _apart(self, spans: list[list[float]]) -> list[list[float]]:
        """Given spans in order, make one of those that nothing divides."""
        apart = spans[:1]
        for span in spans[1:]:
            before = apart[-1]
            if span[0] <= before[1] + self._quiet and not self._was_well(before[0], span[0]):
                longest = max(before[3], span[3], span[0] - before[1])
                apart[-1] = [before[0], max(before[1], span[1]), before[2] + span[2], longest]
            else:
                apart.append(span)
        return apart
