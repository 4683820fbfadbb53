"""The report tells what Prometheus measured: a line for each query, a plot of each, from what is kept and from nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentctl import report, series
from incidentctl.incident import Event
from incidentctl.series import ALERT, QUERY, TARGETS, Answer, Kept, Question, Series

ONSET = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
LATENCY = Question(QUERY, "latency", "shop", 'p90(rate(took_seconds_bucket{job="shop"}[1m]))')
ERRORS = Question(QUERY, "error_rate", "shop", "rate(errors[1m])")
TARGET = Question(TARGETS, "targets_up", "", "avg by (job) (up)")
FIRES = Question(ALERT, "ShopSlow", "shop", "took > 1")
FLAPS = Question(ALERT, "ShopFlaps", "shop", "took > 1.05")
SECRET = "sesame7-and-more"  # noqa: S105 - of nobody
STEP = 10


def at(seconds: float) -> str:
    return (ONSET + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def one(labels: dict[str, str], *stretches: tuple[float, float, float]) -> Series:
    """A series of stretches: from and until when, in seconds after the onset, and what it gave then."""
    points = [(t, value) for begin, end, value in stretches for t in range(int(begin), int(end), STEP)]
    return Series(labels, tuple((ONSET.timestamp() + t, value) for t, value in points))


class Incident:
    """An incident that began at three, was declared a minute later, and well again five minutes after it began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "evidence").mkdir()
        self.events: list[Event] = []
        self.note(60, "declared", title="slow", severity="high", affected=["shop"])
        self.note(90, "step_finished", phase="diagnose", outcome="done", onset={"at": at(0), "source": "the logs"})
        self.note(100, "containment_applied", host="web1", capability="rate_limit", entry="1", target="shop")

    def note(self, seconds: float, kind: str, **data: Any) -> None:
        self.events.append(Event("INC-1", len(self.events), at(seconds), "ada", kind, data, "", ""))

    def recover(self) -> None:
        self.note(200, "decided", option="rollback")
        self.note(300, "verified", recovered=True, told="recovered", figures=[])

    def keep(self, until: float, *answers: Answer, problems: tuple[str, ...] = (), since: float = -1800) -> Path:
        """Keep these answers, as asked for at that many seconds after the onset."""
        kept = Kept((ONSET.timestamp() + since, ONSET.timestamp() + until), STEP, answers)
        text = series.as_text(kept, "INC-1", at(until))
        path = self.folder / "evidence" / f"prometheus-{until}.json"
        path.write_text(text)
        facts = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text), "step_s": STEP}
        measured = {"file": path.name, **facts, "from": at(since), "to": at(until), "problems": list(problems)}
        self.note(until, "evidence_collected", measured=measured)
        return path

    def report(self) -> tuple[str, str, str]:
        """Return the report in Markdown, in HTML, and the post-mortem."""
        report.write(self.events, self.folder)
        files = ("report.md", "report.html", "post-mortem.md")
        markdown, html, post_mortem = ((self.folder / name).read_text() for name in files)
        return markdown.replace("\\", ""), html, post_mortem.replace("\\", "")


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path)


def answer(question: Question, *found: Series, server: str = "http://mon1:9090", **more: Any) -> Answer:
    return Answer(question, server, found, **more)


def test_before_at_worst_and_at_the_end_stand_on_one_line_for_each_query_with_times(incident: Incident) -> None:
    incident.recover()
    slow = one({}, (-1800, 0, 0.012), (0, 150, 0.6), (150, 160, 0.7), (160, 300, 0.6), (300, 400, 0.011))
    incident.keep(
        400,
        answer(LATENCY, slow),
        answer(ERRORS, one({}, (20, 290, 1.5))),
        answer(TARGET, one({"job": "node"}, (-1800, 400, 1)), one({"job": "shop"}, (-1800, 50, 1), (50, 80, 0.5), (80, 400, 1))),
        answer(FIRES, one({}, (10, 290, 1.1))),
        answer(FLAPS, one({}, (10, 50, 1.1), (100, 290, 1.1))),
    )  # fmt: skip
    markdown, html, post_mortem = incident.report()
    for line in (
        "| shop latency | 12 ms | 700 ms (03:02:30) | 11 ms (03:06:30) |",
        "| shop error_rate | none | 1.5 (03:00:20) | none |",
        "| targets that answer | 1 | 0.5 (03:00:50) | 1 (03:06:30) |",
        "| shop ShopSlow (alert) | did not hold | held from 03:00:10 to 03:04:40 | did not hold |",
        "| shop ShopFlaps (alert) | did not hold | held at times from 03:00:10 to 03:04:40 | did not hold |",
    ):
        assert line in markdown
        assert line in post_mortem
    assert "<svg" not in markdown
    assert html.count("<svg viewBox=") == 5 + 2  # and two lines of a legend
    marked = "onset 03:00:00, declared 03:01:00, contained 03:01:40, decided: rollback 03:03:20, recovered 03:05:00."
    assert f"Marked: {marked}" in markdown
    for text in ("onset", "declared", "contained", "decided: rollback", "recovered"):
        assert html.count(f">{text}</text>") == 5
    assert LATENCY.query in markdown
    assert "http://mon1:9090" in markdown
    assert incident.events[-1].data["measured"]["sha256"] in markdown


def test_while_it_is_open_the_end_is_what_was_seen_last_and_what_was_forgotten_since_is_still_there(
    incident: Incident,
) -> None:
    incident.keep(110, answer(LATENCY, one({}, (-1800, 0, 0.012), (0, 110, 0.6))))
    incident.keep(200, answer(LATENCY, one({}, (120, 200, 0.3))))  # it was set up anew
    markdown, _html, _post_mortem = incident.report()
    assert "| shop latency | 12 ms | 600 ms (03:00:00) | 300 ms (03:03:10) |" in markdown
    assert "recovered" not in markdown.partition("Marked: ")[2].partition("\n")[0]


def test_each_decision_is_marked_one_that_did_not_help_too(incident: Incident) -> None:
    incident.note(120, "decided", option="mitigate")
    incident.note(150, "question_asked", question="Which recovery?")
    incident.recover()
    incident.keep(400, answer(LATENCY, one({}, (-1800, 400, 0.012))))
    markdown, _html, _post_mortem = incident.report()
    assert "decided: mitigate 03:02:00, decided: rollback 03:03:20, recovered 03:05:00." in markdown


def test_of_several_servers_each_is_drawn_and_named_and_the_worse_one_is_told(incident: Incident) -> None:
    incident.keep(
        100,
        answer(LATENCY, one({}, (-1800, 100, 0.1)), server="http://mon1", left_out=3),
        answer(LATENCY, one({}, (-1800, 100, 0.2)), server="http://mon2"),
    )
    markdown, html, _post_mortem = incident.report()
    assert "| shop latency | 200 ms | 200 ms (03:00:00) | 200 ms (03:01:30) |" in markdown
    assert f"from http://mon1, http://mon2, a value each {STEP} s; 3 more series" in html
    assert html.count("http://mon1</li>") == html.count("http://mon2</li>") == 1


def test_what_was_not_answered_is_unknown_and_why_is_said(incident: Incident) -> None:
    problem = ": no complete answer within 4 s"
    incident.keep(100, answer(LATENCY, problem=problem), answer(ERRORS), problems=(f"http://mon1:9090{problem}",))
    markdown, html, _post_mortem = incident.report()
    assert "| shop latency | unknown | unknown | unknown |" in markdown
    assert "| shop error_rate | none | none | none |" in markdown
    assert "- http://mon1:9090: no complete answer within 4 s" in markdown
    assert "shop error_rate: rate(errors[1m]) gave nothing." in markdown
    assert "<svg" not in html


def test_nothing_at_all_is_said_in_one_sentence_and_nobody_asked_says_nothing(incident: Incident) -> None:
    assert "Prometheus" not in incident.report()[0]
    incident.note(100, "evidence_collected", measured={"problems": ["http://mon1:9090: Connection refused"]})
    markdown, _html, _post_mortem = incident.report()
    assert "Prometheus was asked, and nothing was kept of it." in markdown
    assert "- http://mon1:9090: Connection refused" in markdown


def test_from_a_file_that_was_changed_nothing_is_drawn_and_that_is_said(incident: Incident) -> None:
    path = incident.keep(100, answer(LATENCY, one({}, (-1800, 100, 0.012))))
    path.write_text(path.read_text().replace("0.012", "0.013"))
    markdown, html, _post_mortem = incident.report()
    assert "<svg" not in html
    assert f"- {path.name} is not drawn: it is not as the record has it" in markdown


def test_labels_and_queries_are_without_secrets_in_what_people_read(incident: Incident) -> None:
    hostile = Question(QUERY, "q", "", f'x{{password="{SECRET}"}}')
    labels = [{"password": SECRET}, {"password": f"{SECRET}2"}]
    path = incident.keep(100, answer(hostile, *(one(each, (-1800, 100, 1)) for each in labels)))
    assert SECRET in path.read_text()  # it is the original
    for text in incident.report():
        assert SECRET not in text
        assert "redacted" in text


def test_an_onset_that_nobody_knows_is_the_declaration(tmp_path: Path) -> None:
    incident = Incident(tmp_path)
    del incident.events[1:]
    incident.keep(100, answer(LATENCY, one({}, (-1800, 60, 0.012), (60, 100, 0.6))))
    markdown, _html, _post_mortem = incident.report()
    assert "| shop latency | 12 ms | 600 ms (03:01:00) | 600 ms (03:01:30) |" in markdown
    assert "Marked: declared 03:01:00." in markdown


def test_of_an_incident_of_days_the_beginning_and_the_end_are_drawn_each_for_itself(incident: Incident) -> None:
    days = 3 * 86400
    incident.note(days, "decided", option="rollback")
    incident.note(days + 300, "verified", recovered=True, told="recovered", figures=[])
    incident.keep(7200, answer(LATENCY, one({}, (-1800, 0, 0.012), (0, 7200, 0.6))))
    end = (days - 7200, days, 0.5), (days, days + 600, 0.011)
    incident.keep(days + 600, answer(LATENCY, one({}, *end)), since=days - 7200)
    markdown, html, _post_mortem = incident.report()
    assert "| shop latency | 12 ms | 600 ms (01-01 03:00:00) | 11 ms (01-04 03:09:50) |" in markdown
    assert "Nothing was asked of 01-01 05:00:00 to 01-04 01:00:00." in markdown
    assert html.count("<svg viewBox=") == 2
    assert html.count("shop latency, the end") == 2  # its heading, and for who cannot see it
    assert html.count(f"a value each {STEP} s") == 2
    first, last = html.split("<svg viewBox=")[1:]
    assert ">onset</text>" in first
    assert ">recovered</text>" not in first
    assert ">recovered</text>" in last
    assert ">04:00</text>" in first, "its times can be told"
    assert ">02:00</text>" in last
