"""What Prometheus measured around the onset, for the report: before, at worst and after in figures, and as plots. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from incidentctl import event_data, figures_queries, onset, series
from incidentctl.incident import Event, Incident
from incidentctl.report.blocks import UNKNOWN, Block, Plot, Points, Table
from incidentctl.report.plot import clock, figure
from incidentctl.series import ALERT, QUERY, TARGETS, Answer, Kept, Question
from incidentctl.times import moment, when

_BEFORE_S = 5 * 60, 30 * 60  # a plot shows as much before the onset as it lasted, no less and no more than this
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
    marks: tuple[tuple[str, float], ...]

    @property
    def over(self) -> float:
        """When it was over, or what is known ends."""
        return self.end if self.well is None else self.well


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
        course, since = _course(incident, events, kept), min(one.span[0] for one in kept)
        rows = {question: _figures(question, answers, course) for question, answers in asked.items()}
        found = [_INTRODUCTION, Table(_HEADER, tuple((_title(question), *row) for question, row in rows.items()))]
        found.append(f"Marked: {', '.join(f'{text} {clock(at)}' for text, at in course.marks)}.")
        drawn = [_plot(question, answers, course, since, rows[question]) for question, answers in asked.items()]
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
    gap_s = 1.5 * max(one.step for one in kept)
    return _Course(at.get("onset", at.get("declared", end)), at.get("recovered"), end, gap_s, tuple(at.items()))


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
        return "held" if before else "did not hold", _held(list(during)), "did not hold" if last is None else "held"
    worst = worst_of(during, key=lambda at: during[at], default=None)
    return (
        _told(before[len(before) // 2], question) if before else _NONE,
        _NONE if worst is None else f"{_told(during[worst], question)} ({clock(worst)})",
        _NONE if last is None else f"{_told(moments[last], question)} ({clock(last)})",
    )


def _held(during: Sequence[float]) -> str:
    return f"held at times from {clock(min(during))} to {clock(max(during))}" if during else "did not hold"


def _told(value: float, question: Question) -> str:
    return f"{figure(value * 1000)} ms" if _is_time(question) else figure(value)


def _plot(
    question: Question, answers: Sequence[Answer], course: _Course, since: float, figures: tuple[str, str, str]
) -> Plot:
    shortest, longest = _BEFORE_S
    begin = max(since, course.began - min(max(course.over - course.began, shortest), longest))
    scale = 1000 if _is_time(question) else 1
    every = [(answer.server, one) for answer in answers for one in answer.series if one.points]
    shown = series.worst_first(every, question.kind == TARGETS)[: series.MOST]
    names = _names([(server, one.labels) for server, one in shown])
    points: list[Points] = [[(at, value * scale) for at, value in one.points] for _server, one in shown]
    more = len(every) - len(shown) + sum(answer.left_out for answer in answers)
    servers = ", ".join(answer.server for answer in answers if answer.series)
    return Plot(
        title=_title(question),
        told="; ".join(f"{name.lower()}: {told}" for name, told in zip(_HEADER[1:], figures, strict=True)),
        query=question.query,
        source=f"from {servers}" + (f"; {more} more series are not shown" if more else ""),
        unit=" ms" if scale > 1 else "",
        span=(begin, course.end),
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
