"""Whatever leaves for people is without the secrets of the record; the record itself keeps them, for it is the original."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import Message as Headers
from pathlib import Path
from typing import Any

import pytest

from incidentctl import audiences, briefing, notify, report, wording
from incidentctl.console import Console
from incidentctl.errors import UsageError
from incidentctl.incident import fold
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings, load
from incidentctl.text import SHOWN, readable
from incidentctl.trackers import http

HIDDEN = "tr0ub4dor-and-3"
SAID = f"login failed with DB_PASSWORD={HIDDEN} at postgres://shop:{HIDDEN}@db1/shop"
EVENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "declared",
        {"title": SAID, "severity": "high", "services": ["shop"], "affected": ["shop"], "hosts": ["web1"]}
        | {"user_facing": ["shop"], "integrations": {"shop": ["bank"]}},
    ),
    ("step_started", {"phase": "triage", "capabilities": ["health_check"], "hosts": ["web1"]}),
    (
        "host_outcome",
        {"phase": "triage", "host": "web1", "capability": "health_check", "outcome": "failed", "reason": SAID}
        | {"actions": [{"target": "shop", "outcome": "failed", "summary": SAID}], "facts": {}, "files": []},
    ),
    ("step_finished", {"phase": "triage", "outcome": "failed", "affected": ["shop"]}),
    (
        "step_finished",
        {"phase": "diagnose", "outcome": "done", "onset": {"at": "2026-01-01", "source": SAID}}
        | {"judged": {"causes": [{"title": SAID, "score": 90, "for": [SAID], "against": []}], "impact": {}}},
    ),
    ("note", {"text": SAID}),
    (
        "options_assessed",
        {
            "options": [
                {"key": "rollback", "letter": "A", "title": SAID, "feasible": True, "why_not": "", "downtime": SAID}
                | {"data_at_risk": SAID, "confidence": 50, "because": [SAID], "recommended": True, "reason": SAID}
            ]
        },
    ),
    ("question_asked", {"question": SAID}),
    ("decided", {"option": "rollback"}),
    (
        "host_outcome",
        {"phase": "recover", "host": "web1", "capability": "rollback", "outcome": "done", "reason": "", "facts": {}}
        | {"actions": [{"target": "shop", "outcome": "done", "summary": SAID}], "files": []},
    ),
    ("verified", {"recovered": True, "told": SAID, "window_s": 1, "figures": []}),
    (
        "containment_applied",
        {"host": "web1", "entry": "1", "capability": "rate_limit", "target": SAID, "summary": SAID},
    ),
    ("follow_up", {"text": SAID, "owner": "ada"}),
    ("resolved", {}),
)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        for kind, data in EVENTS:
            record.append("INC-20260101-0300-abcd", kind, data, "ada@laptop")
        yield record


def settings(tmp_path: Path, tracker: str) -> Settings:
    path = tmp_path / "incidentctl.yml"
    told = "".join(f"  {kind}: {{kind: {kind}, send: [{{env: NOWHERE}}]}}\n" for kind in audiences.KINDS)
    path.write_text(
        f"audiences:\n{told}severities: {{high: {{ticket: true}}}}\nstate_dir: state\nrecord_url: sqlite:///record.db\n"
        f"status_page: {{folder: page}}\ntracker: {tracker}\n"
    )
    return load(path, {}, tmp_path)


def written(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("about", audiences.EVENTS)
@pytest.mark.parametrize("kind", audiences.KINDS)
def test_no_message_to_any_audience_has_a_secret(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, about: str
) -> None:
    sent: list[audiences.Message] = []
    monkeypatch.setattr(notify, "_send", lambda _audience, told: sent.append(told))
    data = {"key": f"k:{about}", "about": about, "audience": kind, "state": "queued"}
    record.append("INC-20260101-0300-abcd", "notified", data, "incidentctl")
    notify.deliver(record, "INC-20260101-0300-abcd", settings(tmp_path, "{kind: file}"))
    (told,) = sent
    assert HIDDEN not in told.title + told.body


def test_a_message_says_that_something_was_taken_out(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[audiences.Message] = []
    monkeypatch.setattr(notify, "_send", lambda _audience, told: sent.append(told))
    data = {"key": "k", "about": "declared", "audience": "on_call", "state": "queued"}
    record.append("INC-20260101-0300-abcd", "notified", data, "incidentctl")
    notify.deliver(record, "INC-20260101-0300-abcd", settings(tmp_path, "{kind: file}"))
    assert "login failed with DB_PASSWORD=[redacted: assignment]" in sent[0].body


def test_the_ticket_and_the_status_page_have_no_secret(record: Record, tmp_path: Path) -> None:
    notify.deliver(record, "INC-20260101-0300-abcd", settings(tmp_path, "{kind: file}"))
    for folder in (tmp_path / "state" / "tickets", tmp_path / "page"):
        assert "INC-20260101-0300-abcd" in written(folder)
        assert HIDDEN not in written(folder)


@pytest.mark.parametrize(
    "tracker",
    ["{kind: webhook, url: {env: TRACKER}}", "{kind: github, repository: shop/shop, token: {env: TRACKER}}"],
    ids=["webhook", "github"],
)
def test_what_a_tracker_is_sent_has_no_secret_and_its_token_is_left_alone(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    asked: list[tuple[Any, ...]] = []

    def ask(method: str, url: str, headers: Any, document: Any = None) -> http.Answer:
        asked.append((method, url, dict(headers), document))
        return (
            http.Answer(200, Headers(), []) if method == "GET" else http.Answer(201, Headers(), {"number": 7, "id": 7})
        )

    monkeypatch.setenv("TRACKER", "https://tracker.example/password=sesame7")
    monkeypatch.setattr(http, "ask", ask)
    chosen = settings(tmp_path, tracker)
    notify.deliver(record, "INC-20260101-0300-abcd", chosen)
    record.append("INC-20260101-0300-abcd", "closed", {}, "ada@laptop")  # a turn, of which a comment tells
    notify.deliver(record, "INC-20260101-0300-abcd", chosen)
    documents = [document for *_rest, document in asked if document is not None]
    assert len(documents) == (2 if "github" in tracker else 1)
    assert "INC-20260101-0300-abcd" in json.dumps(documents)
    assert HIDDEN not in json.dumps(documents)
    assert "sesame7" in f"{asked[0][1]} {asked[0][2]}"


def test_no_file_of_a_report_has_a_secret(record: Record, tmp_path: Path) -> None:
    report.write(record.events("INC-20260101-0300-abcd"), tmp_path / "report")
    text = written(tmp_path / "report")
    assert "redacted: assignment" in text
    assert HIDDEN not in text
    assert HIDDEN not in text.replace("\n ", "")  # a calendar's lines are folded


def test_the_memory_bank_has_no_secret(record: Record, tmp_path: Path) -> None:
    record.append("INC-20260101-0300-abcd", "decided", {"option": SAID}, "ada@laptop")
    report.remember(record.incident("INC-20260101-0300-abcd"), tmp_path / "bank")
    assert "redacted" in written(tmp_path / "bank")
    assert HIDDEN not in written(tmp_path / "bank")


@pytest.mark.parametrize("as_words", [lambda b: b.text(), lambda b: json.dumps(b.as_data())], ids=["words", "data"])
def test_a_brief_has_no_secret(record: Record, as_words: Callable[[briefing.Brief], str]) -> None:
    found = as_words(briefing.of(fold(record.events("INC-20260101-0300-abcd")), datetime.now(UTC)))
    assert "redacted" in found
    assert HIDDEN not in found


def test_the_record_keeps_what_was_said_and_its_chain_is_whole(record: Record, tmp_path: Path) -> None:
    notify.deliver(record, "INC-20260101-0300-abcd", settings(tmp_path, "{kind: file}"))
    report.write(record.events("INC-20260101-0300-abcd"), tmp_path / "report")
    assert record.events("INC-20260101-0300-abcd")[0].data["title"] == SAID
    assert record.verify("INC-20260101-0300-abcd") is None


def test_the_screen_and_the_words_of_status_have_no_secret(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    incident = record.incident("INC-20260101-0300-abcd")
    console = Console(interactive=False)
    console.show("declared", incident=incident)
    console.show("note", text=SAID)
    console.error(UsageError(SAID, SAID, SAID))
    console.data(wording.status(incident))
    told = "".join(capsys.readouterr())
    assert told.count("redacted: assignment") >= 5
    assert HIDDEN not in told.replace("\n", "")


def test_a_secret_is_taken_out_before_a_line_is_cut() -> None:
    padding = "x" * (SHOWN - len("ghp_") - 4)
    assert "ghp_" not in readable(f"{padding} ghp_{'a1' * 18} rest")
