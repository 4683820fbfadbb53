"""When something came: in bursts with silence between them, of which few are kept however many there were. Pure."""

from __future__ import annotations

KEPT = 16
QUIET_S = 600.0  # a shorter silence ends nothing
_USUAL = 8  # nor does one of so many times the usual distance
_FEWEST = 3  # that make a burst of their own


class Bursts:
    """The stretches of time in which something came, each [first, last, count], in order; never two that are close.

    In whatever order the times are added, the same is told of them; but where there would be more than KEPT bursts,
    those with the least silence between them are one.
    """

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        """Begin with nothing added."""
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

    def add(self, at: float, count: int = 1) -> None:
        """Add `count` that came at `at`, in seconds since 1970."""
        if self._spans:
            newest = self._spans[-1]
            if newest[0] <= at <= newest[1] + QUIET_S:
                newest[2] += count
                newest[1] = max(newest[1], at)
                return
        self._place([at, at, count])

    def join(self, other: Bursts) -> None:
        """Add what another one has."""
        for span in other._spans:
            self._place(list(span))

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

    def _place(self, new: list[float]) -> None:
        apart = []
        for span in self._spans:
            if span[0] - QUIET_S <= new[1] and new[0] <= span[1] + QUIET_S:
                new = [min(span[0], new[0]), max(span[1], new[1]), span[2] + new[2]]
            else:
                apart.append(span)
        self._spans = sorted([*apart, new])
        if len(self._spans) > KEPT:
            spans = self._spans
            place = min(range(1, len(spans)), key=lambda at: spans[at][0] - spans[at - 1][1])
            before, after = spans[place - 1], spans[place]
            spans[place - 1 : place + 1] = [[before[0], after[1], before[2] + after[2]]]
