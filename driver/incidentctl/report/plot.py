"""A plot as geometry: what stands at which place of a drawing. How it looks says the template. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from incidentctl.report.blocks import Plot, Points

WIDTH = 900
_LEFT, _RIGHT = 70.0, 888.0
_HEIGHT, _ROW, _BELOW = 130.0, 15.0, 24.0  # of what is drawn, of a row of marks above it, of the times below it
_CHARACTER = 7.0  # one of a mark is no wider
_TICKS = 8, 4  # at most of times, and about so many of values
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY_S = 86400
_SIGNS = ((1e12, " T"), (1e9, " G"), (1e6, " M"))
_MOST = 1e300  # beyond it there is no room to calculate in


@dataclass(frozen=True)
class Label:
    """A text, which begins, ends or has its middle at a place."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Drawing:
    """One plot in units of its own, WIDTH of them wide. A line across or down begins where its label is."""

    height: float
    top: float
    bottom: float
    times: tuple[Label, ...]
    values: tuple[tuple[float, Label], ...]
    marks: tuple[tuple[float, Label], ...]
    during: tuple[float, float] | None  # from where to where
    paths: tuple[tuple[str, str], ...]  # what a line is called, and its path
    left: float = _LEFT
    right: float = _RIGHT


def drawn(plot: Plot) -> Drawing:
    """Return the drawing of a plot, whatever its numbers are."""
    begin, end = plot.span[0], max(plot.span[1], plot.span[0] + 1)

    def x(at: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (min(max(at, begin), end) - begin) / (end - begin), 1)

    lines = [(name, [point for point in points if begin <= point[0] <= end]) for name, points in plot.lines]
    ticks = _values([value for _name, points in lines for _at, value in points])
    low, high = ticks[0], ticks[-1]
    rows = list(_rows([(x(at), text) for text, at in plot.marks if begin <= at <= end]))
    top = _ROW * (1 + max((row for row, _label in rows), default=-1)) + 4
    bottom = top + _HEIGHT

    def y(value: float) -> float:
        # Halved, for the difference of two numbers may be none any more.
        return round(bottom - _HEIGHT * (min(max(value, low), high) / 2 - low / 2) / (high / 2 - low / 2), 1)

    def path(points: Points) -> str:
        parts, begins = [], True
        for number, (at, value) in enumerate(points):
            ends = number + 1 == len(points) or points[number + 1][0] - at > plot.gap_s
            alone = "h3" if begins and ends else ""  # else it would not be seen
            parts.append(f"{'M' if begins else 'L'}{x(at)} {y(value)}{alone}")
            begins = ends
        return "".join(parts)

    return Drawing(
        bottom + _BELOW,
        top,
        bottom,
        tuple(Label(x(at), bottom + 17, text) for at, text in _times(begin, end)),
        tuple((y(value), Label(_LEFT - 7, y(value) + 4, text + plot.unit, "end")) for value, text in _told(ticks)),
        tuple((label.x, label) for _row, label in rows),
        None if plot.during is None else (x(plot.during[0]), x(plot.during[1])),
        tuple((name, path(points)) for name, points in lines),
    )


def figure(value: float) -> str:
    """Return a number as a person reads it: the digits that count, and a sign for millions and more."""
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-3:
        return f"{value:.2g}"
    scale, sign = _scale(size)
    return f"{value / scale:.3g}{sign}" if sign or size < 100 else f"{value:,.0f}"


def clock(at: float) -> str:
    """Return a moment as the time of its day, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def _scale(size: float) -> tuple[float, str]:
    return next(((scale, sign) for scale, sign in _SIGNS if scale <= size < 1e15), (1.0, ""))


def _rows(marks: Sequence[tuple[float, str]]) -> Iterator[tuple[int, Label]]:
    """Give each mark the first row in which it meets none of those before it."""
    taken: list[float] = []
    for x, text in sorted(marks):
        width = _CHARACTER * len(text) + 8
        fits = x + width <= WIDTH
        begin, end = (x, x + width) if fits else (x - width, x)
        row = next((row for row, before in enumerate(taken) if before <= begin), len(taken))
        taken[row : row + 1] = [end]
        yield row, Label(x, _ROW * row + 11, text, "start" if fits else "end")


def _times(begin: float, end: float) -> Iterator[tuple[float, str]]:
    long = end - begin
    step = next((step for step in _STEPS_S if long / step <= _TICKS[0]), 0)
    step = step or _DAY_S * math.ceil(long / _TICKS[0] / _DAY_S)
    form = "%m-%d" if step >= _DAY_S else "%m-%d %H:%M" if long > _DAY_S else "%H:%M" if step >= 60 else "%H:%M:%S"
    for number in range(math.ceil(begin / step), math.floor(end / step) + 1):
        yield number * step, datetime.fromtimestamp(number * step, UTC).strftime(form)


def _values(values: Sequence[float]) -> list[float]:
    """Return round numbers, the first below all values and the last above them; zero is among them where it is near."""
    finite = [min(max(value, -_MOST), _MOST) for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    if low >= 0 and (flat or low <= high / 2):
        low = 0.0
    elif high <= 0 and (flat or high >= low / 2):
        high = 0.0
    if high - low < 1e-300:
        high = low + 1
    raw = (high - low) / _TICKS[1]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(many * power for many in (1, 2, 5, 10, 20) if many * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _told(ticks: Sequence[float]) -> Iterator[tuple[float, str]]:
    step, most = ticks[1] - ticks[0], max(map(abs, ticks))
    scale, sign = _scale(most)
    decimals = max(0, -math.floor(math.log10(step / scale) + 1e-9))
    digits = 1 + max(0, math.floor(math.log10(most)) - math.floor(math.log10(step) + 1e-9))  # each reads otherwise
    for value in ticks:
        yield value, f"{value / scale:,.{decimals}f}{sign}" if decimals <= 4 and most < 1e15 else f"{value:.{digits}g}"
