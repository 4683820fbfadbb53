"""What Prometheus measured around the onset, asked of a real HTTP server while something else is looked at, and kept."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.small_service import endpoint

from incidentctl import evidence_check, measurements, notify, report, series
from incidentctl.desk import Desk
from incidentctl.errors import NotRecovered, RefusedError
from incidentctl.evidence_manifest import folder_of
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import investigation, recovery, verification
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import open_record
from incidentctl.series import ALERT, QUERY, TARGETS
from incidentctl.settings import Settings

ONE = "INC-20260101-0000-aaaa"
ALERTS = [{"name": "ShopSlow", "expr": "took > 1"}, {"name": "Odd", "expr": "x > {{ limit }}"}]
SERVICES = (
    Service("shop", ("web1", "web2"), True, True, (), {"alerts": ALERTS, "unit": "shop.service", "manager": "systemd"}),
    Service("stock", ("db1",), True, False, (), {"alerts": [{"name": "NotAsked", "expr": "y"}]}),
)
QUERIES = {"latency": 'p90{job="$service"}', "all": "z"}
Made = Callable[..., Desk]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """An incident on shop, declared a moment ago, with the Prometheus that is named."""
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:

        def make(
            *urls: str,
            queries: dict[str, str] = QUERIES,
            affected: tuple[str, ...] = ("shop",),
            services: tuple[Service, ...] = SERVICES,
        ) -> Desk:
            about = {"state_dir": str(tmp_path), "monitoring": {"prometheus": list(urls), "queries": queries}}
            settings = Settings.model_validate(about, context={"folder": tmp_path})
            hosts = {name: frozenset[str]() for name in ("web1", "web2", "db1")}
            inventory = Inventory(hosts, services, {"web1": "10.0.0.1", "db1": "fd00::3"})
            desk = Desk(ONE, record, settings, inventory, (), "ann", lambda *_, **__: None, lambda *_, **__: None)
            names = [service.name for service in services]
            desk.note("declared", title="x", severity="low", services=names, affected=affected, hosts=list(hosts))
            return desk

        yield make
        notify.wait()


def given(path: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}


def prometheus(_method: str, path: str, _body: Any) -> tuple[int, Any]:
    """Answer as Prometheus does: one series, of which the value is how many steps it is from the beginning."""
    asked = given(path)
    if "start" not in asked:
        return 200, {"data": {"resultType": "vector", "result": []}}
    start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
    values = [[start + n * step, str(n)] for n in range(int((end - start) / step) + 1)]
    return 200, {"data": {"resultType": "matrix", "result": [{"metric": {"job": "shop"}, "values": values}]}}


def look(desk: Desk, began: datetime | None = None) -> dict[str, Any]:
    """Ask while nothing else is looked at; return what the record has of it."""
    with measurements.asked(desk, began):
        pass
    return dict(desk.incident().measured[-1])


def kept(desk: Desk) -> series.Kept:
    (found,), problems = series.kept(folder_of(desk.folder), desk.incident().measured[-1:])
    assert problems == []
    return found


def test_each_question_of_the_affected_service_is_asked_and_kept_with_where_it_is_from(made: Made) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    with endpoint(prometheus) as server:
        desk = made(server.url)
        row = look(desk, began)
        asked = [given(path) for _method, path, *_rest in server.requests]
    found = kept(desk)
    assert {
        (one.question.kind, one.question.name, one.question.service, one.question.query) for one in found.answers
    } == {
        (QUERY, "latency", "shop", 'p90{job="shop"}'),
        (QUERY, "all", "", "z"),
        (TARGETS, "targets_up", "", r'avg by (job) (up{instance=~"(10\\.0\\.0\\.1|web1|web2)(:[0-9]+)?"})'),
        (ALERT, "ShopSlow", "shop", "took > 1"),
    }
    assert sorted(one["query"] for one in asked) == sorted(row["queries"])
    start, end, step = (float(asked[0][key]) for key in ("start", "end", "step"))
    assert abs(start - (began.timestamp() - 1800)) < 1
    assert abs(end - time.time()) < 30
    assert (end - start) / step < 240
    assert (found.span, found.step) == ((pytest.approx(start, abs=0.001), pytest.approx(end, abs=0.001)), step)
    assert {len(one.points) for answer in found.answers for one in answer.series} == {int((end - start) / step) + 1}
    assert (row["servers"], row["step_s"], row["from"][:16]) == (
        [server.url],
        step,
        f"{began - timedelta(minutes=30):%Y-%m-%dT%H:%M}",
    )
    assert row["problems"] == ["Odd of shop is a template: not asked"]
    (path,) = folder_of(desk.folder).iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == (row["file"], 0o600)
    assert desk.record.verify(ONE) is None


def test_evidence_verify_knows_the_file_and_sees_it_changed(made: Made) -> None:
    def verify() -> list[tuple[str, str]]:
        checked = evidence_check.verify(desk.incident(), desk.record.events(ONE), folder_of(desk.folder))
        return [(row.file, row.verdict) for row in checked if row.file.startswith("prometheus")]

    with endpoint(prometheus) as server:
        desk = made(server.url)
        names = [look(desk)["file"], look(desk)["file"]]
    assert verify() == [(name, "whole") for name in names]
    path = folder_of(desk.folder) / names[0]
    path.write_text(path.read_text().replace("shop", "shoq"))
    assert verify() == [(names[0], "changed"), (names[1], "whole")]
    path.unlink()
    assert verify() == [(names[0], "missing"), (names[1], "whole")]
    path.symlink_to(names[1])
    assert verify() == [(names[0], "changed"), (names[1], "whole")]
    (folder_of(desk.folder) / "prometheus-odd.json").write_text("{}")
    assert ("prometheus-odd.json", "extra") in verify()


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html><body>Sign in</body></html>"),
        (200, ""),
        (200, "[]"),
        (200, '{"data": {"resultType": "vector", "result": []}}'),
        (200, '{"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [["x", "1"]]}]}}'),
        (200, '{"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1e400, "1"]]}]}}'),
        (200, '{"data": {"resultType": "matrix", "result": [{"metric": 7, "values": []}]}}'),
        (200, "[" * 100_000),
        (200, "x" * (20 << 20)),
        (400, {"error": "parse error: unclosed"}),
        (500, "{}"),
        (302, ""),
    ],
    ids=[
        "HTML",
        "empty",
        "a list",
        "now",
        "no time",
        "no moment",
        "no labels",
        "deep",
        "20 MB",
        "400",
        "500",
        "redirect",
    ],
)
def test_what_is_no_answer_is_a_note_and_no_more(answer: tuple[int, Any], made: Made) -> None:
    with endpoint(lambda *_: answer) as server:
        desk = made(server.url)
        row = look(desk)
        assert not [path for _method, path, *_rest in server.requests if "elsewhere" in path], "a redirect was followed"
    assert "file" not in row
    assert len(row["problems"]) == 2  # and the template
    assert row["problems"][1].startswith(server.url)
    text = report.write(desk.record.events(ONE), desk.folder).read_text()
    assert "nothing was kept of it" in text


def test_nan_and_infinite_are_kept_as_what_they_are(made: Made) -> None:
    def answer(_method: str, path: str, _body: Any) -> tuple[int, Any]:
        start = float(given(path)["start"])
        values = [[start, "NaN"], [start + 1, "+Inf"], [start + 2, "-Inf"], [start + 3, "7"]]
        return 200, {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}

    with endpoint(answer) as server:
        desk = made(server.url)
        look(desk)
    (one,) = kept(desk).answers[0].series
    assert [str(value) for _at, value in one.points] == ["inf", "-inf", "7.0"]
    report.write(desk.record.events(ONE), desk.folder)
    assert "<svg" in (desk.folder / "report.html").read_text()


def test_of_ten_megabytes_of_series_little_is_kept(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incidentctl.servers.TIMEOUT_S", 60.0)  # of which the server, which is this process, takes most

    def answer(_method: str, path: str, _body: Any) -> tuple[int, Any]:
        start = float(given(path)["start"])
        rows = [{"metric": {"n": f"{n}", "x": "y" * 500}, "values": [[start, str(n)]] * 3} for n in range(15_000)]
        return 200, {"data": {"resultType": "matrix", "result": rows}}

    with endpoint(answer) as server:
        desk = made(server.url, queries={})
        row = look(desk)
    assert row["bytes"] < 20_000
    targets, alert = kept(desk).answers
    assert {one.labels["n"] for one in targets.series} == {f"{n}" for n in range(8)}
    assert {one.labels["n"] for one in alert.series} == {f"{14_999 - n}" for n in range(8)}
    assert (targets.left_out, alert.left_out) == (14_992, 14_992)


def test_one_that_hangs_takes_no_longer_than_the_look_beside_it_and_no_turn_of_another(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incidentctl.servers.TIMEOUT_S", 6.0)
    with socket.create_server(("127.0.0.1", 0)) as hangs, endpoint(prometheus) as server:
        silent = f"http://127.0.0.1:{hangs.getsockname()[1]}"
        desk = made(silent, server.url)
        with measurements.asked(desk):
            time.sleep(6.0)  # as long as the look beside it, which the silent one holds up, too
            began = time.monotonic()
        assert time.monotonic() - began < 5.0  # asked after the look it would take six more
    row = desk.incident().measured[-1]
    assert row["servers"] == [server.url]
    assert f"{silent}: no complete answer within 6 s" in row["problems"]


def test_a_server_is_asked_little_beside_what_it_is_asked_already(made: Made) -> None:
    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        time.sleep(0.05)
        return prometheus(method, path, body)

    with endpoint(answer) as server:
        look(made(server.url, queries={f"q{n}": f'x{{a="$service", n="{n}"}}' for n in range(5)}, affected=()))
    assert 1 < server.most <= 4


def test_while_nobody_knows_who_is_affected_it_is_asked_about_all(made: Made) -> None:
    with endpoint(prometheus) as server:
        desk = made(server.url, affected=())
        look(desk)
    questions = [one.question for one in kept(desk).answers]
    assert {question.service for question in questions} == {"shop", "stock", ""}
    assert r"|\\[fd00::3\\]|" in next(question.query for question in questions if question.kind == TARGETS)


def test_no_server_is_asked_more_than_sixteen_questions(made: Made) -> None:
    queries = {f"q{n}": f'x{{a="$service", n="{n}"}}' for n in range(5)}
    many = tuple(Service(f"s{n}", ("db1",), True, False, (), {}) for n in range(20))
    with endpoint(prometheus) as server:
        desk = made(server.url, queries=queries, affected=(), services=many)
        row = look(desk)
        assert len(server.requests) == 16
    assert len(kept(desk).answers) == 16
    assert row["problems"] == ["85 more questions were not asked: 16 are the most"]


def test_without_prometheus_nothing_is_asked_and_nothing_recorded(made: Made) -> None:
    desk = made()
    with measurements.asked(desk):
        pass
    assert desk.incident().measured == ()
    assert not folder_of(desk.folder).exists()


def test_a_disk_that_takes_nothing_holds_nothing_up(made: Made) -> None:
    with endpoint(prometheus) as server:
        desk = made(server.url)
        desk.folder.mkdir(parents=True)
        folder_of(desk.folder).write_text("a file where the folder would be")
        row = look(desk)
    assert "file" not in row
    assert "could not be kept" in row["problems"][-1]


def test_what_fails_within_is_not_hidden_by_it(made: Made) -> None:
    with endpoint(prometheus) as server:
        desk = made(server.url)
        with pytest.raises(NotRecovered), measurements.asked(desk):
            raise NotRecovered("as it should")
    assert desk.incident().measured == ()


def test_long_after_the_recovery_no_more_is_asked_for_than_half_an_hour_of_it(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(prometheus) as server:
        desk = made(server.url)
        desk.note("verified", recovered=True, figures=[])
        later = datetime.now(UTC) + timedelta(days=3)
        (found,) = measurements._spans(desk.incident(), None, later)
    assert found[1] - found[0] == pytest.approx(3600, abs=60)


def test_of_an_incident_of_days_its_two_ends_are_asked_for_in_as_many_values_each(made: Made) -> None:
    began = datetime.now(UTC) - timedelta(days=3)
    with endpoint(prometheus) as server:
        desk = made(server.url)
        with measurements.asked(desk, began):
            pass
        asked = [given(path) for _method, path, *_rest in server.requests]
    spans = {(round(float(one["start"])), round(float(one["end"])), int(one["step"])) for one in asked}
    first, last = sorted(spans)
    assert first[0] == pytest.approx(began.timestamp() - 1800, abs=2)
    assert last[1] == pytest.approx(time.time(), abs=30)
    assert [end - start for start, end, _step in (first, last)] == [pytest.approx(3 * 3600, abs=2)] * 2
    assert {step for _start, _end, step in spans} == {46}
    assert len(asked) == 2 * 4
    rows = desk.incident().measured
    assert [row["step_s"] for row in rows] == [46, 46]
    assert len({row["file"] for row in rows}) == 2
    found, problems = series.kept(folder_of(desk.folder), rows)
    assert problems == []
    assert max(len(one.points) for each in found for answer in each.answers for one in answer.series) <= 240


def test_a_close_that_is_refused_keeps_nothing_of_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(desk: Desk) -> Outcome:
        step = Step("resume", ("lift",), ("web1",), deadline_s=1.0)
        return Outcome(step, (HostOutcome("web1", "lift", "unreachable", "no route"),), 0.1)

    monkeypatch.setattr(recovery, "ask_hosts", silent)
    with endpoint(prometheus) as server:
        desk = made(server.url)
        desk = replace(desk, settings=desk.settings.model_copy(update={"memory_bank": None}))
        for _ in range(3):
            with pytest.raises(RefusedError):
                recovery.close(desk)
        assert not folder_of(desk.folder).exists()
        assert desk.incident().measured == ()
        recovery.close(desk, "it is gone")
    assert len(list(folder_of(desk.folder).glob("prometheus-*"))) == len(desk.incident().measured) == 1


@pytest.mark.parametrize("phase", ["diagnose", "verify", "close"])
def test_it_is_asked_at_the_diagnosis_the_verification_and_the_close(
    phase: str, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_step(_desk: Desk, step: PlannedStep, *_rest: Any, **_more: Any) -> Outcome:
        return Outcome(Step(step.phase, step.capabilities, step.hosts, deadline_s=1.0), (), 1.0)

    for module in (investigation, verification):
        monkeypatch.setattr(module, "run_step", run_step)
    monkeypatch.setattr(recovery, "ask_hosts", lambda desk: run_step(desk, PlannedStep("resume", ("lift",), (), ())))
    acts: dict[str, Callable[[Desk], None]] = {
        "diagnose": investigation.diagnose,
        "verify": verification.verify,
        "close": recovery.close,
    }
    with endpoint(prometheus) as server:
        desk = made(server.url)
        desk = Desk(ONE, desk.record, desk.settings.model_copy(update={"memory_bank": None}), desk.inventory, (), "ann",
                    desk.show, desk.ask)  # fmt: skip
        desk.note("decided", option="wait")
        with contextlib.suppress(NotRecovered):
            acts[phase](desk)
    (row,) = desk.incident().measured
    assert json.loads((folder_of(desk.folder) / row["file"]).read_text())["incident"] == ONE
