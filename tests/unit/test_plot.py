"""A plot: whatever the numbers are, what is drawn lies within the drawing, and says when and how much."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl.report import plot, render
from incidentctl.report.blocks import Plot, Section

BEGAN = datetime(2026, 1, 1, 3, 0, tzinfo=UTC).timestamp()
SVG = "{http://www.w3.org/2000/svg}"


def made(*points: tuple[float, float], marks: tuple[tuple[str, float], ...] = (), until: float = 600) -> Plot:
    """A plot of ten minutes from three o'clock on; times are seconds after that."""
    moved = [(BEGAN + at, value) for at, value in points]
    return Plot(
        "shop latency", "told", "x", "from y", " ms", (BEGAN, BEGAN + until), 15.0, (("", moved),),
        tuple((text, BEGAN + at) for text, at in marks), (BEGAN + 120, BEGAN + 300),
    )  # fmt: skip


def numbers(path: str) -> list[float]:
    return [float(text) for text in re.findall(r"-?[\d.]+", path.replace("h3", ""))]


def test_values_and_times_stand_where_they_are() -> None:
    it = plot.drawn(made((0, 0.0), (10, 400.0), (600, 100.0), marks=(("onset", 120.0),)))
    ((_name, path),) = it.paths
    (begin, low), (tenth, high), (end, quarter) = [tuple(numbers(part)) for part in re.findall(r"[ML][^ML]+", path)]
    assert (begin, low, high) == (it.left, it.bottom, it.top)
    assert (end, quarter) == (it.right, it.bottom - (it.bottom - it.top) / 4)
    assert begin < tenth < begin + 20
    assert [label.text for _y, label in it.values] == ["0 ms", "100 ms", "200 ms", "300 ms", "400 ms"]
    assert [label.text for label in it.times] == ["03:00", "03:02", "03:04", "03:06", "03:08", "03:10"]
    ((x, label),) = it.marks
    assert (label.text, x) == ("onset", it.times[1].x)
    assert it.during == (it.times[1].x, pytest.approx((it.left + it.right) / 2))


@pytest.mark.parametrize(("low", "high"), [(3.61e18, 3.79e18), (-3.79e18, -3.61e18), (1.0, 1.00002), (2e-9, 3e-9)])
def test_each_line_across_reads_otherwise_than_the_next(low: float, high: float) -> None:
    texts = [label.text for _y, label in plot.drawn(made((0, low), (600, high))).values]
    assert len(set(texts)) == len(texts) > 2, texts


def test_a_line_breaks_where_nothing_is_known_and_one_point_alone_is_seen() -> None:
    ((_name, path),) = plot.drawn(made((0, 1.0), (10, 1.0), (100, 2.0), (200, 1.0), (215, 1.0))).paths
    assert [part[0] + part[-2:] * ("h3" in part) for part in re.findall(r"[ML][^ML]+", path)] == [
        "M", "L", "Mh3", "M", "L",
    ]  # fmt: skip


def test_marks_that_would_meet_stand_below_each_other() -> None:
    it = plot.drawn(
        made((0, 1.0), marks=(("declared", 10.0), ("contained", 12.0), ("late", 300.0), ("recovered", 599.0)))
    )
    rows = {label.text: label.y for _x, label in it.marks}
    assert rows["declared"] == rows["late"] == rows["recovered"] < rows["contained"] < it.top
    assert {label.text: label.anchor for _x, label in it.marks}["recovered"] == "end"  # else it would be cut off


def test_what_lies_outside_of_its_time_is_not_drawn() -> None:
    it = plot.drawn(made((-10, 9e9), (5, 1.0), (700, 9e9), marks=(("before", -1.0), ("after", 601.0))))
    assert it.marks == ()
    assert it.values[-1][1].text == "1.0 ms"


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (1234.5, "1,234"), (2.5e6, "2.5 M"), (3e9, "3 G"), (7e12, "7 T"),
     (1e20, "1e+20"), (0.00012, "0.00012"), (math.inf, "infinite"), (-2.5e6, "-2.5 M")],
)  # fmt: skip
def test_numbers_are_told_as_people_read_them(value: float, told: str) -> None:
    assert plot.figure(value) == told


@pytest.mark.parametrize(
    ("until", "told"),
    [(20, "03:00:05"), (7200, "03:15"), (3 * 86400, "01-01 12:00"), (30 * 86400, "01-07")],
)
def test_times_are_as_close_as_they_can_be_read(until: float, told: str) -> None:
    texts = [label.text for label in plot.drawn(made((0, 1.0), until=until)).times]
    assert told in texts
    assert 3 <= len(texts) <= 9


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(allow_nan=False)), max_size=8), st.floats(0, 1e8))
def test_whatever_the_numbers_are_all_is_within_the_drawing(points: list[tuple[float, float]], until: float) -> None:
    it = plot.drawn(made(*sorted(points), marks=(("onset", 1.0), ("recovered", until)), until=until))
    for _name, path in it.paths:
        found = numbers(path)
        assert all(it.left <= x <= it.right for x in found[::2])
        assert all(it.top <= y <= it.bottom for y in found[1::2])
    assert all(it.top <= y <= it.bottom and label.text for y, label in it.values)
    assert 2 <= len(it.values) <= 12
    assert len(it.times) <= 9


def test_it_is_drawn_and_told_to_who_cannot_see_it_and_nothing_in_it_is_markup() -> None:
    hostile = '"><script>alert(1)</script>\x1b[31m'
    lines = tuple((f"{hostile}{n}", [(BEGAN, float(n)), (BEGAN + 10, 2.0)]) for n in range(3))
    found = Plot(hostile, hostile, hostile, hostile, "", (BEGAN, BEGAN + 60), 15, lines, ((hostile, BEGAN + 1),), None)
    page = render.html("t", [Section("Measured", (found, found))])
    assert "<script" not in page
    assert "\x1b" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")  # it needs nothing else
    ids = re.findall(r'id="(plot-[^"]+)"', page)
    assert len(ids) == len(set(ids)) == 4
    for text in re.findall(r"<svg viewBox=\"0 0 900.*?</svg>", page, re.DOTALL):
        svg = ElementTree.fromstring(text.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))  # noqa: S314 - our own
        title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert svg.get("role") == "img"
        assert svg.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert len([path for path in svg.iter(f"{SVG}path") if "line" in str(path.get("class"))]) == 3
    assert page.count('class="legend"') == 2
    text = render.markdown("t", [Section("Measured", (found,))])
    assert "<script" not in text.replace("\\<", "")
    assert "\x1b" not in text
