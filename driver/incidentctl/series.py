"""What Prometheus gave over a while: its answer taken apart within bounds, and the file in which it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from incidentctl import bundles

FORMAT = 1
QUERY, TARGETS, ALERT = "query", "targets", "alert"  # kinds of questions: what is asked for stands in docs/evidence.md
MOST = 8  # series of one answer that are kept
_POINTS = 240
_LABELS, _LABEL_CHARS = 20, 200
MOST_BYTES = 64 << 20  # of a kept file: far more than the bounds leave room for

Span = tuple[float, float]  # seconds since 1970
Point = tuple[float, float]  # seconds since 1970, and the value; infinite it may be, NaN is no point


@dataclass(frozen=True)
class Question:
    """What is asked, in PromQL; by which name, and of which service, "" where it is of several."""

    kind: str
    name: str
    service: str
    query: str


@dataclass(frozen=True)
class Series:
    """The labels of one series, and its points in the order of time."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Answer:
    """What one server gave; how many more series it has, and why there is nothing, where it could not be asked."""

    question: Question
    server: str
    series: tuple[Series, ...] = ()
    left_out: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Kept:
    """The answers to the questions of one moment, over one span, by one step in seconds."""

    span: Span
    step: int
    answers: tuple[Answer, ...]


def step(span: Span) -> int:
    """Return by how many seconds a span is asked for, so that no series has more than 240 points."""
    return max(1, math.ceil((span[1] - span[0]) / (_POINTS - 1)))


def read(answer: Any, span: Span, least: bool = False) -> tuple[tuple[Series, ...], int]:
    """Take the answer to a query over a span apart; return the worst series, and how many there are beside them.

    The worst are those that rise highest, or fall lowest where the `least` is. Raise ValueError, or what else a lookup
    raises, where it is not what Prometheus answers to this.
    """
    if answer["data"]["resultType"] != "matrix":
        raise ValueError("no range of values")
    found = [("", Series(_labels(row["metric"]), _points(row["values"], span))) for row in answer["data"]["result"]]
    return tuple(one for _server, one in worst_first(found, least)[:MOST]), len(found[MOST:])


def worst_first(found: Iterable[tuple[str, Series]], least: bool) -> list[tuple[str, Series]]:
    """Return series, each with its server, by how high they rise, or how low they fall; those without a point at the end."""
    sign = -1 if least else 1

    def weight(each: tuple[str, Series]) -> float:
        return max((sign * value for _at, value in each[1].points), default=-math.inf)

    return sorted(found, key=weight, reverse=True)


def _labels(metric: Any) -> dict[str, str]:
    named = sorted((str(name), str(value)) for name, value in metric.items())
    return {name[:_LABEL_CHARS]: value[:_LABEL_CHARS] for name, value in named[:_LABELS]}


def _points(values: Any, span: Span) -> tuple[Point, ...]:
    points = sorted((float(at), float(value)) for at, value in values)
    if len(points) > _POINTS or not all(span[0] - 1 <= at <= span[1] + 1 for at, _value in points):
        raise ValueError("more than was asked for")
    return tuple((at, value) for at, value in points if not math.isnan(value))


def as_text(kept: Kept, incident_id: str, at: str) -> str:
    """Return what is kept as JSON, in which an infinite value is a text."""
    answers = [
        {
            **asdict(answer.question),
            "server": answer.server,
            "problem": answer.problem,
            "left_out": answer.left_out,
            "series": [
                {"labels": one.labels, "values": [[when, _value(value)] for when, value in one.points]}
                for one in answer.series
            ],
        }
        for answer in kept.answers
    ]
    document = {"format": FORMAT, "incident": incident_id, "at": at, "from": kept.span[0], "to": kept.span[1]}
    return json.dumps({**document, "step_s": kept.step, "answers": answers}, separators=(",", ":"), allow_nan=False)


def _value(value: float) -> float | str:
    return value if math.isfinite(value) else f"{value:+}"


def from_text(text: str) -> Kept:
    """Return what `as_text` wrote. Raise ValueError, or what else a lookup raises, where that was another version."""
    said = json.loads(text)
    answers = tuple(
        Answer(
            Question(row["kind"], row["name"], row["service"], row["query"]),
            row["server"],
            tuple(
                Series(one["labels"], tuple((float(at), float(value)) for at, value in one["values"]))
                for one in row["series"]
            ),
            row["left_out"],
            row["problem"],
        )
        for row in said["answers"]
    )
    return Kept((float(said["from"]), float(said["to"])), int(said["step_s"]), answers)


def kept(folder: Path, rows: Iterable[Mapping[str, Any]]) -> tuple[list[Kept], list[str]]:
    """Read the files that the record has rows of, oldest first; return what is in them, and why of some nothing is told.

    One that is not as it was written is not read: what is drawn from it would be no evidence.
    """
    found, problems = [], []
    for row in (row for row in rows if "file" in row):
        name = str(row["file"])
        try:
            with bundles.opened(folder / name) as stream:
                if bundles.sha256(stream) != (row["sha256"], row["bytes"]):
                    raise ValueError("it is not as the record has it")
                stream.seek(0)
                found.append(from_text(stream.read(MOST_BYTES).decode()))
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            problems.append(f"{name} is not drawn: {getattr(error, 'strerror', None) or error}")
    return found, problems


def joined(kept: Sequence[Kept]) -> list[Answer]:
    """Return one answer for each question to each server, with all points: what was kept first is not forgotten with the server.

    Where two were kept of the same moment, the later one counts.
    """
    found: dict[tuple[Question, str], Answer] = {}
    for answer in (answer for one in kept for answer in one.answers):
        key = answer.question, answer.server
        before = found.get(key)
        found[key] = answer if before is None else _both(before, answer)
    return list(found.values())


def _both(before: Answer, after: Answer) -> Answer:
    points: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for one in (*before.series, *after.series):
        points.setdefault(tuple(sorted(one.labels.items())), {}).update(one.points)
    series = tuple(Series(dict(labels), tuple(sorted(each.items()))) for labels, each in points.items())
    return Answer(after.question, after.server, series, max(before.left_out, after.left_out), after.problem)
