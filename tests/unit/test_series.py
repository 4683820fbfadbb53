"""What Prometheus gave over a while: bounded, kept as it was said, joined, and read only as it was written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl import series
from incidentctl.series import Answer, Kept, Question, Series

SPAN = (1000.0, 2000.0)
LATENCY = Question(series.QUERY, "latency", "shop", 'p90{job="shop"}')


def matrix(*rows: tuple[dict[str, str], list[tuple[float, str]]]) -> dict[str, Any]:
    found = [{"metric": labels, "values": [list(point) for point in points]} for labels, points in rows]
    return {"status": "success", "data": {"resultType": "matrix", "result": found}}


def kept(*points: tuple[float, float], server: str = "http://one", span: series.Span = SPAN) -> Kept:
    return Kept(span, 5, (Answer(LATENCY, server, (Series({"instance": "web1"}, points),) if points else ()),))


def test_points_are_taken_in_the_order_of_time_and_nan_is_none() -> None:
    found, left_out = series.read(matrix(({"job": "shop"}, [(1010, "+Inf"), (1000, "0.5"), (1005, "NaN")])), SPAN)
    assert found == (Series({"job": "shop"}, ((1000.0, 0.5), (1010.0, math.inf))),)
    assert left_out == 0
    assert series.read(matrix(), SPAN) == ((), 0)


def test_of_many_series_the_eight_that_rise_highest_are_kept_and_the_rest_is_counted() -> None:
    many = matrix(*[({"n": str(n)}, [(1000, "0"), (1005, str(n))]) for n in range(1000)])
    found, left_out = series.read(many, SPAN)
    assert [one.labels["n"] for one in found] == [str(n) for n in range(999, 991, -1)]
    assert left_out == 992


def test_of_many_jobs_the_one_that_did_not_answer_is_kept() -> None:
    jobs = matrix(
        *[({"job": str(n)}, [(1000, "1"), (1005, "0" if n == 17 else "1")]) for n in range(20)], ({"job": "x"}, [])
    )
    found, left_out = series.read(jobs, SPAN, least=True)
    assert found[0].labels["job"] == "17"
    assert "x" not in {one.labels["job"] for one in found}
    assert left_out == 13


def test_labels_are_cut() -> None:
    ((one,), _left_out) = series.read(matrix(({f"l{n:02}": "x" * 10_000 for n in range(100)}, [(1000, "1")])), SPAN)
    assert len(one.labels) == 20
    assert {len(value) for value in one.labels.values()} == {200}


@pytest.mark.parametrize("span", [(0.0, 0.0), (0.0, 30.0), SPAN, (0.0, 1e6), (0.0, 7 * 86400.0)])
def test_no_series_is_asked_for_more_than_240_points(span: series.Span) -> None:
    step = series.step(span)
    assert step >= 1
    assert math.floor((span[1] - span[0]) / step) + 1 <= 240


@pytest.mark.parametrize(
    "answer",
    [
        [], {}, {"data": None}, {"data": {"resultType": "vector", "result": []}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": [], "values": []}]}},
        matrix(({}, [(999_999, "1")])),
        matrix(({}, [(1000, "much")])),
        matrix(({}, [(1000 + n, "1") for n in range(241)])),
    ],
)  # fmt: skip
def test_what_is_no_answer_to_this_is_refused(answer: Any) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)):
        series.read(answer, SPAN)


@given(st.lists(st.floats(allow_nan=False), max_size=5), st.text(max_size=20))
def test_what_is_kept_is_read_again_as_it_was(values: list[float], text: str) -> None:
    one = Series({"a": text}, tuple((1000.0 + n, value) for n, value in enumerate(values)))
    before = Kept(SPAN, 5, (Answer(LATENCY, "http://one", (one,), 3, text), Answer(LATENCY, "http://two")))
    assert series.from_text(series.as_text(before, "INC-1", "2026-01-01T00:00:00.000+00:00")) == before


def test_what_a_server_has_forgotten_since_is_still_known() -> None:
    first, later = kept((1000, 1.0), (1005, 9.0)), kept((1005, 2.0), (1010, 3.0))
    (found,) = series.joined([first, later])
    assert found.series == (Series({"instance": "web1"}, ((1000, 1.0), (1005, 2.0), (1010, 3.0))),)
    (found,) = series.joined([first, kept()])
    assert [point for one in found.series for point in one.points] == [(1000, 1.0), (1005, 9.0)]


def test_servers_are_not_mixed() -> None:
    found = series.joined([kept((1000, 1.0)), kept((1000, 2.0), server="http://two")])
    assert [answer.server for answer in found] == ["http://one", "http://two"]


def written(folder: Path, text: str) -> dict[str, Any]:
    (folder / "prometheus-1.json").write_text(text)
    return {"file": "prometheus-1.json", "sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}


def test_a_file_is_read_as_the_record_has_it(tmp_path: Path) -> None:
    row = written(tmp_path, series.as_text(kept((1000, 1.0)), "INC-1", "now"))
    assert series.kept(tmp_path, [row]) == ([kept((1000, 1.0))], [])


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda path: path.write_text(path.read_text().replace("1.0", "9.0")), "not as the record has it"),
        (Path.unlink, "No such file"),
        (lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), "symbolic link"),
    ],
    ids=["changed", "gone", "a link"],
)
def test_nothing_is_drawn_from_another_file(act: Callable[[Path], Any], why: str, tmp_path: Path) -> None:
    row = written(tmp_path, series.as_text(kept((1000, 1.0)), "INC-1", "now"))
    act(tmp_path / "prometheus-1.json")
    found, (problem,) = series.kept(tmp_path, [row])
    assert found == []
    assert why in problem


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"answers": [1]}', '{"answers": 1, "from": "x"}'])
def test_a_file_of_another_version_is_said_and_no_more(text: str, tmp_path: Path) -> None:
    found, problems = series.kept(tmp_path, [written(tmp_path, text)])
    assert (found, len(problems)) == ([], 1)
