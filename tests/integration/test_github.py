"""Tickets as issues on GitHub: one an incident whatever happens on the way, and the token goes nowhere else."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.receiver import Receiver

from incidentctl import notify
from incidentctl.errors import ConfigurationError
from incidentctl.incident import fold
from incidentctl.record import Record, open_record
from incidentctl.settings import Audience, Settings, load
from incidentctl.trackers import http

TOKEN = "ghp_sesame"  # noqa: S105 - of a test
HOSTILE = "checkout {{ 7*7 }} @everyone #1 ![x](http://elsewhere/x) <img>\n<!-- incidentctl: INC-2 -->\x1b[31m"
DECLARED = {"title": HOSTILE, "severity": "high", "services": ["shop"], "hosts": ["web1"]}
PATIENCE_S = 60

Trouble = Callable[["GitHub", BaseHTTPRequestHandler], bool]


class GitHub:
    """A server that speaks the part of GitHub's API that is used, and makes trouble as it is told."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.trouble: list[Trouble] = []  # each is used up by one request; it says whether it has answered
        self.wrong: list[str] = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                github.take(self)

            do_GET = do_POST  # noqa: N815 - the name that the server calls

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        place = urlsplit(handler.path)
        self.asked.append((handler.command, place.path))
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if not (self.trouble and self.trouble.pop(0)(self, handler)):
            self.answer(handler, *self.carry_out(handler, place.path, parse_qs(place.query), content))

    def answer(self, handler: BaseHTTPRequestHandler, status: int, data: Any, **headers: str) -> None:
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(text)

    def carry_out(
        self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, list[str]], content: bytes
    ) -> tuple[int, Any]:
        wanted = {
            "Authorization": f"Bearer {TOKEN}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "incidentctl",
        }
        self.wrong += [name for name, value in wanted.items() if handler.headers.get(name) != value]
        match = re.fullmatch(r"/repos/acme/site/issues(?:/(\d+)/comments)?", path)
        if match is None:
            return 404, {"message": "Not Found"}
        number = None if match[1] is None else int(match[1])
        there = self.issues if number is None else self.comments.setdefault(number, [])
        if handler.command == "GET":
            size, page = int(query["per_page"][0]), int(query["page"][0])
            if size > 100 or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", query["since"][0]):
                return 422, {"message": "Validation Failed"}
            return 200, there[(page - 1) * size : page * size]
        document = json.loads(content)
        if number is None and not (isinstance(document.get("title"), str) and len(document["title"]) <= 256):
            return 422, {"message": "Validation Failed"}
        new = len(there) + 1
        there.append({**document, "number": new, "html_url": f"https://github.example/acme/site/issues/{new}"})
        return 201, there[-1]


def refuses(status: int, data: Any = None, **headers: str) -> Trouble:
    """Answer so, and do nothing."""

    def trouble(github: GitHub, handler: BaseHTTPRequestHandler) -> bool:
        github.answer(handler, status, {"message": "no"} if data is None else data, **headers)
        return True

    return trouble


def hangs(seconds: float) -> Trouble:
    def trouble(_github: GitHub, _handler: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return True

    return trouble


def is_well(_github: GitHub, _handler: BaseHTTPRequestHandler) -> bool:
    return False


def loses_the_answer(github: GitHub, handler: BaseHTTPRequestHandler) -> bool:
    """Carry it out, and close the connection without a word."""
    document = {"title": f"INC-1 {HOSTILE}", "body": "text\r\n<!-- incidentctl: INC-1 -->"}
    github.issues.append({**document, "number": 1, "html_url": "https://github.example/acme/site/issues/1"})
    handler.close_connection = True
    return True


@pytest.fixture
def github() -> Iterator[GitHub]:
    github = GitHub()
    yield github
    github.stop()
    assert not github.wrong, "a request without a header that GitHub asks for"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append("INC-1", "declared", DECLARED, "anna@laptop")
        yield record
        notify.wait(PATIENCE_S)


@pytest.fixture
def settings(tmp_path: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("GITHUB_ISSUES", TOKEN)
    path = tmp_path / "incidentctl.yml"
    tracker = f"{{kind: github, repository: acme/site, token: {{env: GITHUB_ISSUES}}, api: '{github.url}'}}"
    path.write_text(f"state_dir: state\nrecord_url: sqlite:///record.db\ntracker: {tracker}\n")
    return load(path, {}, tmp_path)


def tell(record: Record, settings: Settings, about: str = "declared") -> None:
    notify.tell(record, fold(record.events("INC-1")), (), about, settings)
    notify.wait(PATIENCE_S)


def tickets(record: Record) -> list[str]:
    return [str(ticket["reference"]) for ticket in fold(record.events("INC-1")).tickets]


def newest(record: Record) -> dict[str, Any]:
    return dict(fold(record.events("INC-1")).notified[-1])


def turn(record: Record, settings: Settings, kind: str, **data: Any) -> None:
    record.append("INC-1", kind, data, "anna@laptop")
    tell(record, settings, kind)


# --- one issue, and its comments ------------------------------------------------------------------


def test_an_incident_is_one_issue_and_each_turn_one_comment(record: Record, settings: Settings, github: GitHub) -> None:
    for _ in range(2):
        tell(record, settings)
    assert tickets(record) == ["https://github.example/acme/site/issues/1"]
    (issue,) = github.issues
    assert issue["title"].startswith("[high] INC-1: checkout {{ 7*7 }}")
    assert issue["labels"] == ["incident"]
    turn(record, settings, "decided", option="rollback")
    turn(record, settings, "note", text="@everyone")
    turn(record, settings, "resolved")
    turn(record, settings, "closed")
    tell(record, settings)
    assert [comment["body"].splitlines()[-1] for comment in github.comments[1]] == [
        f"<!-- incidentctl: INC-1:ticket:{event.seq} -->"
        for event in record.events("INC-1")
        if event.kind in ("decided", "resolved", "closed")
    ]
    assert "Decided: rollback, by anna@laptop" in github.comments[1][0]["body"]
    assert "Being done: nothing any more" in github.comments[1][2]["body"]


def test_what_was_typed_stands_in_code_and_marks_nothing(record: Record, settings: Settings, github: GitHub) -> None:
    tell(record, settings)
    turn(record, settings, "decided", option="rollback")
    for body in (github.issues[0]["body"], github.comments[1][0]["body"]):
        typed = [line for line in body.splitlines() if "everyone" in line or "INC-2" in line]
        assert typed
        assert all(line.startswith("    ") and line.isprintable() for line in typed)
    assert github.issues[0]["title"].isprintable()


def test_comments_come_in_their_order_each_as_it_stood_then(record: Record, settings: Settings, github: GitHub) -> None:
    tell(record, settings)
    github.trouble = [refuses(502)] * 2
    turn(record, settings, "severity_changed", severity="critical")
    turn(record, settings, "decided", option="rollback")
    turn(record, settings, "closed")
    first, second, third = (comment["body"] for comment in github.comments[1])
    assert "Severity: critical. Status: investigating" in first
    assert "Decided" not in first
    assert "Status: identified" in second
    assert "Status: closed" in third


# --- no doubles -----------------------------------------------------------------------------------


def test_an_answer_that_was_lost_makes_no_second_issue(record: Record, settings: Settings, github: GitHub) -> None:
    github.trouble = [is_well, loses_the_answer]
    tell(record, settings)
    assert tickets(record) == []
    assert newest(record)["state"] == "failed"
    tell(record, settings)
    assert tickets(record) == ["https://github.example/acme/site/issues/1"]
    assert len(github.issues) == 1
    assert newest(record)["state"] == "sent"


def test_an_issue_is_found_behind_hundreds_of_others(record: Record, settings: Settings, github: GitHub) -> None:
    mark = "<!-- incidentctl: INC-1 -->"
    others = [{"number": n, "body": None, "html_url": f"x/{n}"} for n in range(1, 250)]
    pull = {"number": 250, "body": mark, "html_url": "x/250", "pull_request": {}}
    github.issues = [
        *others,
        pull,
        {"number": 251, "body": f"    {mark}"},
        {"number": 252, "body": mark, "html_url": "x/252"},
    ]
    tell(record, settings)
    assert tickets(record) == ["x/252"]
    assert [method for method, _path in github.asked] == ["GET"] * 3


def test_a_comment_whose_answer_was_lost_is_not_made_again(record: Record, settings: Settings, github: GitHub) -> None:
    tell(record, settings)
    event = record.append("INC-1", "decided", {"option": "rollback"}, "anna@laptop")
    github.comments[1] = [{"body": f"was there\n<!-- incidentctl: INC-1:ticket:{event.seq} -->"}]
    tell(record, settings, "decided")
    assert len(github.comments[1]) == 1
    assert newest(record)["state"] == "sent"


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (
            refuses(401, {"message": "Bad credentials"}),
            "GitHub answered 401: no issue of acme/site was written. Bad cred",
        ),
        (refuses(403, {"message": "Resource not accessible by personal access token"}), "read and write the issues"),
        (refuses(404), "see that tracker.repository is right"),
        (refuses(410), "switch the issues of acme/site on"),
        (refuses(422, {"message": "Validation Failed"}), "Validation Failed"),
        (refuses(301, Location="http://127.0.0.1:9/elsewhere"), "no redirect is followed with the token"),
        (refuses(200, b"<html>"), "is it really there?"),
        (refuses(500, b"<html>"), "GitHub answered 500"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    record: Record, settings: Settings, github: GitHub, trouble: Trouble, told: str
) -> None:
    github.trouble = [trouble]
    tell(record, settings)
    assert newest(record)["state"] == "failed"
    assert told in newest(record)["detail"]
    assert len(github.asked) == 1
    assert TOKEN not in json.dumps([event.data for event in record.events("INC-1")])


@pytest.mark.parametrize("place", ["reading", "writing"])
def test_a_redirect_is_not_followed(record: Record, settings: Settings, github: GitHub, place: str) -> None:
    there = {"Location": f"{github.url}/repos/acme/site/issues"}
    github.trouble = [*([is_well] if place == "writing" else []), refuses(307, **there)]
    tell(record, settings)
    assert len(github.asked) == (2 if place == "writing" else 1)
    assert not github.issues


def test_after_a_500_the_next_try_opens_it(record: Record, settings: Settings, github: GitHub) -> None:
    github.trouble = [is_well, refuses(500)]
    tell(record, settings)
    assert tickets(record) == []
    (tried,) = notify.follow_up(record, settings)
    assert (tried["audience"], tried["state"]) == ("the tracker", "sent")
    assert len(github.issues) == len(tickets(record)) == 1
    assert notify.follow_up(record, settings) == []


@pytest.mark.parametrize(
    ("headers", "status", "seconds"),
    [
        ({"Retry_After": "120"}, 429, 120),
        ({"Retry_After": "120"}, 403, 120),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "in 600 s"}, 403, 600),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "0"}, 403, 0),
        ({"X_RateLimit_Remaining": "7"}, 429, 60),
        ({"Retry_After": "99999999999"}, 429, 86400),
        ({"Retry_After": "soon"}, 429, 60),
    ],
)
def test_a_rate_limit_is_waited_for(
    record: Record, settings: Settings, github: GitHub, headers: dict[str, str], status: int, seconds: int
) -> None:
    given = {name: str(int(time.time()) + 600) if value == "in 600 s" else value for name, value in headers.items()}
    github.trouble = [refuses(status, {"message": "You have exceeded a rate limit"}, **given)]
    tell(record, settings)
    row = newest(record)
    assert row["state"] == "failed"
    wait = datetime.fromisoformat(row["not_before"]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 30) < wait <= timedelta(seconds=seconds)
    if seconds:
        tell(record, settings)
        notify.follow_up(record, settings)
        assert len(github.asked) == 1, "asked again before the time"


def test_a_secondary_limit_is_known_by_its_words(record: Record, settings: Settings, github: GitHub) -> None:
    github.trouble = [refuses(403, {"message": "You have exceeded a secondary rate limit."})]
    tell(record, settings)
    assert "takes no more requests until" in newest(record)["detail"]


def test_a_server_that_hangs_holds_up_nothing(
    record: Record, settings: Settings, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 3.0)
    github.trouble = [hangs(5)]
    notify.tell(record, fold(record.events("INC-1")), (), "declared", settings)
    assert fold(record.events("INC-1")).notified == (), "it was waited for"
    notify.wait(PATIENCE_S)
    assert "does not answer" in newest(record)["detail"]
    tell(record, settings)
    assert len(github.issues) == len(tickets(record)) == 1


def test_many_at_a_time_open_one(record: Record, settings: Settings, github: GitHub) -> None:
    github.trouble = [hangs_then_is_well] * 8
    for _ in range(8):
        notify.tell(record, fold(record.events("INC-1")), (), "declared", settings)
    notify.wait(PATIENCE_S)
    assert len(github.issues) == len(tickets(record)) == 1


def hangs_then_is_well(_github: GitHub, _handler: BaseHTTPRequestHandler) -> bool:
    time.sleep(0.2)
    return False


def test_a_tracker_that_hangs_holds_up_no_message(
    record: Record, settings: Settings, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{receiver.port}")
    audience = Audience.model_validate({"kind": "on_call", "send": [{"env": "HOOK"}]})
    settings = settings.model_copy(update={"audiences": {"on_call": audience}})
    enough = threading.Event()
    monkeypatch.setattr(http, "TIMEOUT_S", PATIENCE_S)
    github.trouble = [lambda *_: enough.wait(PATIENCE_S)]
    try:
        notify.tell(record, fold(record.events("INC-1")), ["on_call"], "declared", settings)
        until(lambda: len(github.asked) == 1)
        notify.tell(record, fold(record.events("INC-1")), ["on_call"], "decided", settings)
        until(lambda: len(receiver.got) == 2)
        assert tickets(record) == [], "it did not hang"
    finally:
        enough.set()
        notify.wait(PATIENCE_S)
        receiver.stop()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S / 2
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_token_that_cannot_be_sent_stands_in_no_error(
    record: Record, settings: Settings, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bad in (f"{TOKEN}\nX: y", ""):
        monkeypatch.setenv("GITHUB_ISSUES", bad)
        tell(record, settings)
        assert newest(record)["state"] == "failed"
        assert TOKEN not in json.dumps([event.data for event in record.events("INC-1")])
    assert "GITHUB_ISSUES" in newest(record)["detail"]
    assert not github.asked


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{kind: github}", "repository belongs to kind github"),
        ("{kind: github, repository: acme/site}", "token belongs to kind github"),
        ("{kind: github, repository: acme, token: {env: X}}", "is not a repository"),
        ("{kind: github, repository: acme/.., token: {env: X}}", "is not a repository"),
        ("{kind: github, repository: 'acme/site/../x', token: {env: X}}", "is not a repository"),
        ("{kind: github, repository: acme/site, token: ghp_x}", "a secret is never written here"),
        (
            "{kind: github, repository: a/b, token: {env: X}, api: 'http://ghe.example/api/v3'}",
            "could be read on its way",
        ),
        ("{kind: file, token: {env: X}}", "token belongs to kind github"),
    ],
)
def test_a_tracker_that_cannot_work_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "incidentctl.yml"
    path.write_text(f"tracker: {text}\n")
    with pytest.raises(ConfigurationError, match=told) as caught:
        load(path, {}, tmp_path)
    assert "ghp_x" not in str(caught.value)


def test_the_token_is_hidden_from_ansible(settings: Settings) -> None:
    assert settings.secret_environment() == {"GITHUB_ISSUES"}
