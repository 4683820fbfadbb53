"""Telling people never stands in the way, is never lost, and never gives an address away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from incidentctl import notify, trackers
from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident, fold
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings, load


class Receiver:
    """A real HTTP server that answers as it is told and keeps what it got."""

    def __init__(self) -> None:
        self.status, self.headers, self.body, self.delay_s = 200, {}, b"{}", 0.0
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.got.append((self.path, dict(self.headers), json.loads(content)))
                time.sleep(receiver.delay_s)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            do_GET = do_POST  # noqa: N815 - the name that the server calls

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append("INC-1", "declared", {"title": "checkout {{ 7*7 }} is <down>", "severity": "high"}, "anna@laptop")
        yield record
        notify.wait()


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ON_CALL_URL", f"json://127.0.0.1:{receiver.port}/sesame?redirect=no")
    monkeypatch.setenv("TRACKER_URL", f"http://127.0.0.1:{receiver.port}/sesame")
    path = tmp_path / "incidentctl.yml"
    path.write_text(
        "audiences: {on_call: {send: [{env: ON_CALL_URL}]}, nobody: {send: [{env: NOT_SET}]}}\n"
        "tracker: {kind: webhook, url: {env: TRACKER_URL}}\n"
    )
    return load(path, {}, tmp_path)


def incident(record: Record) -> Incident:
    return fold(record.events("INC-1"))


def states(record: Record) -> list[str]:
    return [str(row["state"]) for row in incident(record).notified]


def test_an_audience_is_told_once_with_the_head_of_the_record(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    for _ in range(2):
        notify.tell(record, incident(record), ["on_call"], "declared", settings)
        notify.wait()
    assert states(record) == ["queued", "sent"]
    ((_path, _headers, content),) = receiver.got
    assert "INC-1" in content["title"]
    assert "checkout {{ 7*7 }} is <down>" in content["message"]
    assert any(event.hash in content["message"] for event in record.events("INC-1"))


def test_what_was_not_accepted_is_told_again_at_the_next_event(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    receiver.status = 500
    notify.tell(record, incident(record), ["on_call"], "declared", settings)
    notify.wait()
    assert states(record) == ["queued", "failed"]
    receiver.status = 200
    notify.tell(record, incident(record), [], "decided", settings)
    notify.wait()
    assert states(record) == ["queued", "failed", "sent"]
    assert not notify.pending(incident(record))


def test_a_receiver_that_hangs_does_not_hold_up_the_response(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    receiver.delay_s = 3
    started = time.monotonic()
    notify.tell(record, incident(record), ["on_call"], "declared", settings)
    assert time.monotonic() - started < 1
    notify.wait()


def test_one_audience_without_an_address_does_not_silence_the_next(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    notify.tell(record, incident(record), ["nobody", "on_call"], "declared", settings)
    notify.wait()
    newest = {row["audience"]: row for row in incident(record).notified}
    assert newest["nobody"]["state"] == "failed"
    assert "NOT_SET" in newest["nobody"]["detail"]
    assert newest["on_call"]["state"] == "sent"


@pytest.mark.parametrize("status", [200, 500])
def test_an_address_is_never_in_the_record(record: Record, settings: Settings, receiver: Receiver, status: int) -> None:
    receiver.status = status
    notify.tell(record, incident(record), ["on_call"], "declared", settings)
    notify.wait()
    assert "sesame" not in json.dumps([event.data for event in record.events("INC-1")])


def test_a_ticket_carries_the_incident_as_its_key(record: Record, settings: Settings, receiver: Receiver) -> None:
    receiver.body = b'{"url": "https://tracker.example/42"}'
    told = trackers.open_ticket(incident(record), settings)
    assert told == {"tracker": "webhook", "reference": "https://tracker.example/42"}
    ((_path, headers, content),) = receiver.got
    assert headers["Idempotency-Key"] == "INC-1"
    assert content["title"] == "checkout {{ 7*7 }} is <down>"


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (404, b"no"), (200, b"<html>"), (302, b"")])
def test_a_tracker_that_does_not_take_it_is_an_error_without_the_address(
    record: Record, settings: Settings, receiver: Receiver, status: int, body: bytes
) -> None:
    receiver.status, receiver.body = status, body
    receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"} if status == 302 else {}
    with pytest.raises(IncidentctlError) as caught:
        trackers.open_ticket(incident(record), settings)
    assert "sesame" not in str(caught.value)
    assert [path for path, _headers, _content in receiver.got] == ["/sesame"], "a redirect was followed"


def test_a_ticket_in_the_embedded_tracker_is_opened_once(record: Record, tmp_path: Path) -> None:
    settings = load(None, {}, tmp_path).model_copy(update={"state_dir": tmp_path / "state"})
    told = [trackers.open_ticket(incident(record), settings) for _ in range(2)]
    assert told[0] == told[1]
    path = Path(told[0]["reference"])
    assert json.loads(path.read_text())["incident"] == "INC-1"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
