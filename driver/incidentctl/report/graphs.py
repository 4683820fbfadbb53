"""What Prometheus measured around the onset, for the report: before, at worst and after in figures, and as plots. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from incidentctl import event_data, figures_queries, onset, series
from incidentctl.incident import Event, Incident
from incidentctl.report.blocks import UNKNOWN, Block, Plot, Points, Table
from incidentctl.report.plot import clock, figure
from incidentctl.series import ALERT, QUERY, TARGETS, Answer, Kept, Question
from incidentctl.times import moment, when

_BEFORE_S = 5 * 60, 30 * 60  # a plot shows as much before the onset as it lasted, no less and no more than this
_NEAR_S = 60  # between two spans, of which one was asked for as the other had ended
_DAY_S = 24 * 3600
_NOTES = 20
_NONE = "none"
_HEADER = ("", "Before the onset", "At worst", "At the end")
_INTRODUCTION = (
    "As Prometheus has it, times in UTC. Before the onset: the middle of half an hour. At worst: the most until it was "
    "recovered; the least of targets, of which it is the share that answers. Of an alert: when its expression held."
)


@dataclass(frozen=True)
class _Course:
    """When it began and ended, in seconds since 1970, and what was asked of it."""

    began: float
    well: float | None
    end: float
    gap_s: float
    step_s: int  # the longest from one value to the next
    parts: tuple[tuple[float, float], ...]  # what was asked for: one span, or of a long incident its two ends
    marks: tuple[tuple[str, float], ...]

    @property
    def over(self) -> float:
        """When it was over, or what is known ends."""
        return self.end if self.well is None else self.well

    def clock(self, at: float) -> str:
        """Return a moment as the time of its day; with the day, where there are several."""
        return clock(at) if self.end - self.began < _DAY_S else f"{datetime.fromtimestamp(at, UTC):%m-%d} {clock(at)}"


def blocks(
    incident: Incident, events: Sequence[Event], kept: Sequence[Kept], notes: Iterable[str]
) -> tuple[Block, ...]:
    """Return the figures in a table, a plot of each, and where they are from; nothing where nothing was asked."""
    if not incident.measured:
        return ()
    asked: dict[Question, list[Answer]] = {}
    for answer in series.joined(kept):
        asked.setdefault(answer.question, []).append(answer)
    found: list[Block] = ["Prometheus was asked, and nothing was kept of it."]
    if asked:
        course = _course(incident, events, kept)
        rows = {question: _figures(question, answers, course) for question, answers in asked.items()}
        found = [_INTRODUCTION, Table(_HEADER, tuple((_title(question), *row) for question, row in rows.items()))]
        found.append(f"Marked: {', '.join(f'{text} {course.clock(at)}' for text, at in course.marks)}.")
        if len(course.parts) > 1:
            (_since, until), (again, _end) = course.parts
            gap = f"{course.clock(until)} to {course.clock(again)}"
            found.append(
                f"It took long: what was kept, and is drawn, is its beginning and its end. Nothing was asked of {gap}."
            )
        drawn = [
            plot for question, answers in asked.items() for plot in _plots(question, answers, course, rows[question])
        ]
        found += [plot if plot.lines else f"{plot.title}: {plot.query} gave nothing." for plot in drawn]
    if files := tuple(_files(incident)):
        found.append(Table(("Evidence", "From and to", "A value each", "SHA-256"), files))
    problems = [text for row in incident.measured for text in event_data.texts(row.get("problems"))]
    if told := tuple(dict.fromkeys([*notes, *problems])):
        found.append(told[:_NOTES])
    return tuple(found)


def _files(incident: Incident) -> Iterator[tuple[str, ...]]:
    for row in incident.measured:
        if "file" in row:
            since, until = moment(row["from"]), when(row["to"])
            yield str(row["file"]), f"{since} to {until}", f"{row['step_s']} s", str(row["sha256"])


def _course(incident: Incident, events: Sequence[Event], kept: Sequence[Kept]) -> _Course:
    began = onset.kept(incident.onset)
    verified = incident.verified or {}
    anew = max((number for number, event in enumerate(events) if event.kind == "reopened"), default=0)
    contained = next((event.at for event in events[anew:] if event.kind == "containment_applied"), None)
    decided = {f"decided: {event.data.get('option')}": event.at for event in events[anew:] if event.kind == "decided"}
    told = {
        "onset": began and began.at,
        "declared": incident.declared_at,
        "contained": contained,
        **decided,  # one that did not help, too
        "recovered": verified.get("at") if verified.get("recovered") else None,
    }
    at = {text: moment.timestamp() for text, when in told.items() if (moment := onset.moment(when)) is not None}
    end = max(one.span[1] for one in kept)
    step_s = max(one.step for one in kept)
    since = at.get("onset", at.get("declared", end))
    return _Course(since, at.get("recovered"), end, 1.5 * step_s, step_s, _parts(kept), tuple(at.items()))


def _parts(kept: Sequence[Kept]) -> tuple[tuple[float, float], ...]:
    """Return what was asked for as one span; where something is missing between them, as the first and the last one."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(one.span for one in kept):
        if found and begin <= found[-1][1] + _NEAR_S:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return (found[0], found[-1]) if len(found) > 1 else tuple(found)


def _title(question: Question) -> str:
    if question.kind == TARGETS:
        return "targets that answer"
    return f"{question.service} {question.name}".lstrip() + (" (alert)" if question.kind == ALERT else "")


def _is_time(question: Question) -> bool:
    return question.kind == QUERY and figures_queries.is_time(question.query)


def _figures(question: Question, answers: Sequence[Answer], course: _Course) -> tuple[str, str, str]:
    """Return what there was before, at worst and at the end; of an alert, whether its expression held."""
    if all(answer.problem and not answer.series for answer in answers):
        return UNKNOWN, UNKNOWN, UNKNOWN
    worst_of = min if question.kind == TARGETS else max
    moments: dict[float, float] = {}
    for at, value in (point for answer in answers for one in answer.series for point in one.points):
        moments[at] = worst_of(value, moments.get(at, value))
    before = sorted(value for at, value in moments.items() if course.began - _BEFORE_S[1] <= at < course.began)
    during = {at: value for at, value in moments.items() if course.began <= at <= course.over}
    last = max((at for at in moments if at >= course.end - course.gap_s), default=None)
    if question.kind == ALERT:
        return (
            "held" if before else "did not hold",
            _held(list(during), course),
            "did not hold" if last is None else "held",
        )
    worst = worst_of(during, key=lambda at: during[at], default=None)
    return (
        _told(before[len(before) // 2], question) if before else _NONE,
        _NONE if worst is None else f"{_told(during[worst], question)} ({course.clock(worst)})",
        _NONE if last is None else f"{_told(moments[last], question)} ({course.clock(last)})",
    )


def _held(during: Sequence[float], course: _Course) -> str:
    if not during:
        return "did not hold"
    moments = sorted(during)
    gone = any(later - before > course.gap_s for before, later in itertools.pairwise(moments))
    return f"held {'at times ' if gone else ''}from {course.clock(moments[0])} to {course.clock(moments[-1])}"


def _told(value: float, question: Question) -> str:
    return f"{figure(value * 1000)} ms" if _is_time(question) else figure(value)


def _plots(
    question: Question, answers: Sequence[Answer], course: _Course, figures: tuple[str, str, str]
) -> Iterator[Plot]:
    """Give a plot of it; of a long incident one of its beginning and one of its end, where there is something."""
    shortest, longest = _BEFORE_S
    begin = course.began - min(max(course.over - course.began, shortest), longest)
    spans = [(max(begin, since), until) for since, until in course.parts if until > begin]
    plots = [_plot(question, answers, course, span) for span in spans or [(begin, course.end)]]
    told = "; ".join(f"{name.lower()}: {told}" for name, told in zip(_HEADER[1:], figures, strict=True))
    yield replace(plots[0], told=told)
    yield from (replace(plot, title=f"{plot.title}, the end") for plot in plots[1:] if plot.lines)


def _plot(question: Question, answers: Sequence[Answer], course: _Course, span: tuple[float, float]) -> Plot:
    scale = 1000 if _is_time(question) else 1
    every = [(answer.server, one) for answer in answers for one in answer.series if one.points]
    shown = series.worst_first(every, question.kind == TARGETS)[: series.MOST]
    names = _names([(server, one.labels) for server, one in shown])
    points: list[Points] = [[(at, value * scale) for at, value in one.points] for _server, one in shown]
    more = len(every) - len(shown) + sum(answer.left_out for answer in answers)
    servers = ", ".join(answer.server for answer in answers if answer.series)
    return Plot(
        title=_title(question),
        told="",
        query=question.query,
        source=f"from {servers}, a value each {course.step_s} s"
        + (f"; {more} more series are not shown" if more else ""),
        unit=" ms" if scale > 1 else "",
        span=span,
        gap_s=course.gap_s,
        lines=tuple(zip(names, points, strict=True)),
        marks=course.marks,
        during=(course.began, course.over),
    )


def _names(each: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Name each series by the labels in which they differ, and its server, where there are several."""
    keys = sorted({key for _server, labels in each for key in labels})
    told = [key for key in keys if len({labels.get(key) for _server, labels in each}) > 1]
    several = len({server for server, _labels in each}) > 1
    return [
        ", ".join([*(f"{key}={labels.get(key, '')}" for key in told), *([server] if several else [])])
        for server, labels in each
    ]
