"""When something came: in bursts with silence between them, of which few are kept however many there were. Pure."""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 16
QUIET_S = 600.0  # a shorter silence ends nothing
_USUAL = 8  # nor does one of so many times the usual distance
_FEWEST = 3  # that make a burst of their own


class Bursts:
    """The stretches of time in which something came, each [first, last, count], in order; never two that are close.

    In whatever order the times are added, the same is told of them; but where there would be more than KEPT bursts,
    those with less silence between them than twice as much, and so on, are one.
    """

    __slots__ = ("_quiet", "_spans")

    def __init__(self) -> None:
        """Begin with nothing added."""
        self._quiet = QUIET_S
        self._spans: list[list[float]] = []

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

    def add(self, times: Sequence[float]) -> None:
        """Add what came at these times, in seconds since 1970."""
        spans, quiet = self._spans, self._quiet
        span = spans[-1] if spans else None
        for at in times:
            if span is None or at > span[1] + quiet:
                span = [at, at, 1]
                spans.append(span)
            elif at >= span[0]:
                span[2] += 1
                if at > span[1]:  # noqa: PLR1730 - a call of max costs more than all the rest, of each error
                    span[1] = at
            else:
                self._place([at, at, 1])
                spans, quiet, span = self._spans, self._quiet, self._spans[-1]
            if len(spans) > KEPT:
                self._crowd()
                spans, quiet, span = self._spans, self._quiet, self._spans[-1]

    def join(self, other: Bursts) -> None:
        """Add what another one has."""
        self._quiet = max(self._quiet, other._quiet)
        self._place(*map(list, other._spans))

    def latest(self) -> tuple[float, int]:
        """Return when the latest burst began, and how many came in it.

        A burst begins after a silence of ten minutes or more that is also far longer than is usual between two: what comes
        once an hour makes one long burst. One or two after a silence begin none.
        """
        spans = self._spans
        total = sum(span[2] for span in spans)
        place = len(spans) - 1
        while place > 0:
            silence = spans[place][0] - spans[place - 1][1]
            usual = (self.last - self.first - silence) / max(total - 2, 1)
            count = sum(span[2] for span in spans[place:])
            if silence > _USUAL * usual and count >= _FEWEST:
                return spans[place][0], int(count)
            place -= 1
        return self.first, int(total)

    def _place(self, *new: list[float]) -> None:
        self._spans = _apart(sorted([*self._spans, *new]), self._quiet)
        self._crowd()

    def _crowd(self) -> None:
        while len(self._spans) > KEPT:
            self._quiet *= 2
            self._spans = _apart(self._spans, self._quiet)


def _apart(spans: list[list[float]], quiet: float) -> list[list[float]]:
    """Given spans in order, make one of those between which there is no more than `quiet`."""
    apart = spans[:1]
    for span in spans[1:]:
        before = apart[-1]
        if span[0] <= before[1] + quiet:
            apart[-1] = [before[0], max(before[1], span[1]), before[2] + span[2]]
        else:
            apart.append(span)
    return apart
