"""Telling people never stands in the way, is never lost, and never gives an address away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.receiver import Receiver, dripping

from incidentctl import notify, trackers
from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident, fold
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120  # a machine that is busy with other tests is slow
DECLARED = {
    "title": "checkout {{ 7*7 }} is <down>",
    "severity": "high",
    "services": ["shop", "payout"],
    "hosts": ["web1.internal"],
    "user_facing": ["shop"],
    "integrations": {"payout": ["bank"], "shop": ["courier"]},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        record.append("INC-1", "declared", DECLARED, "anna@laptop")
        yield record
        notify.wait(PATIENCE_S)


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ON_CALL_URL", f"json://127.0.0.1:{receiver.port}/sesame?redirect=no")
    monkeypatch.setenv("TRACKER_URL", f"http://127.0.0.1:{receiver.port}/sesame")
    path = tmp_path / "incidentctl.yml"
    path.write_text(
        "audiences:\n"
        "  on_call: {kind: on_call, send: [{env: ON_CALL_URL}], escalate_after: 1s, then: lead}\n"
        "  lead: {send: [{env: ON_CALL_URL}], escalate_after: 1m, then: director}\n"
        "  director: {kind: management, send: [{env: ON_CALL_URL}]}\n"
        "  public: {kind: customers, send: [{env: ON_CALL_URL}]}\n"
        "  partners: {kind: partners, send: [{env: ON_CALL_URL}]}\n"
        "  nobody: {send: [{env: NOT_SET}]}\n"
        "severities: {high: {notify: [on_call, public, partners], ticket: false}}\n"
        "state_dir: state\n"
        "record_url: sqlite:///record.db\n"
        "status_page: {folder: page}\n"
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
        notify.wait(PATIENCE_S)
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
    notify.wait(PATIENCE_S)
    assert states(record) == ["queued", "failed"]
    receiver.status = 200
    notify.tell(record, incident(record), [], "decided", settings)
    notify.wait(PATIENCE_S)
    assert states(record) == ["queued", "failed", "sent"]
    assert not notify.pending(incident(record))


def test_a_receiver_that_hangs_does_not_hold_up_the_response(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    receiver.delay_s = 30
    notify.tell(record, incident(record), ["on_call"], "declared", settings)
    assert (states(record), receiver.answered) == (["queued"], 0)
    receiver.enough.set()
    notify.wait(PATIENCE_S)


# A byte now and then keeps every timeout of a socket: in the status line, in a header, in the body.
DRIPS = [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]


@pytest.mark.parametrize("begin", DRIPS, ids=["nothing", "a header", "a body"])
def test_a_receiver_that_drips_silences_nobody_else(
    record: Record, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(notify, "SEND_S", 5.0)
    with dripping(begin) as place:
        monkeypatch.setenv("NOT_SET", f"json://{place}/sesame")
        notify.tell(record, incident(record), ["nobody", "on_call"], "declared", settings)
        notify.wait(PATIENCE_S)
    newest = {row["audience"]: row for row in incident(record).notified}
    assert (newest["nobody"]["state"], newest["nobody"]["detail"]) == ("failed", "no complete answer within 5 s")
    assert newest["on_call"]["state"] == "sent"


@pytest.mark.parametrize("begin", DRIPS, ids=["nothing", "a header", "a body"])
def test_a_tracker_that_drips_holds_up_nothing(
    record: Record, settings: Settings, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr("incidentctl.trackers.http.TIMEOUT_S", 1.0)
    with dripping(begin) as place:
        monkeypatch.setenv("TRACKER_URL", f"http://{place}/sesame")
        began = time.monotonic()
        with pytest.raises(IncidentctlError) as caught:
            trackers.open_ticket(incident(record), settings)
        assert time.monotonic() - began < 60
    assert caught.value.why == "no complete answer within 1 s"


def test_one_audience_without_an_address_does_not_silence_the_next(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    notify.tell(record, incident(record), ["nobody", "on_call"], "declared", settings)
    notify.wait(PATIENCE_S)
    newest = {row["audience"]: row for row in incident(record).notified}
    assert newest["nobody"]["state"] == "failed"
    assert "NOT_SET" in newest["nobody"]["detail"]
    assert newest["on_call"]["state"] == "sent"


@pytest.mark.parametrize("status", [200, 500])
def test_an_address_is_never_in_the_record(record: Record, settings: Settings, receiver: Receiver, status: int) -> None:
    receiver.status = status
    notify.tell(record, incident(record), ["on_call"], "declared", settings)
    notify.wait(PATIENCE_S)
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


# --- who is told what, and when -------------------------------------------------------------------


def triaged(record: Record, *affected: str) -> None:
    record.append("INC-1", "step_started", {"phase": "triage", "hosts": ["web1.internal"]}, "anna@laptop")
    record.append("INC-1", "step_finished", {"phase": "triage", "affected": list(affected)}, "anna@laptop")


def tell(record: Record, settings: Settings, about: str) -> None:
    notify.tell(record, incident(record), settings.severities["high"].notify, about, settings)
    notify.wait(PATIENCE_S)


def page_folder(settings: Settings) -> Path:
    assert settings.status_page.folder is not None
    return settings.status_page.folder


def told(record: Record) -> list[tuple[str, str]]:
    rows = incident(record).notified
    return [(str(r["about"]), str(r["audience"])) for r in rows if r["state"] == "sent"]


def test_outsiders_are_told_only_when_it_is_known_that_it_concerns_them(record: Record, settings: Settings) -> None:
    tell(record, settings, "declared")
    assert told(record) == [("declared", "on_call")]
    triaged(record, "payout")
    tell(record, settings, "declared")
    assert told(record) == [("declared", "on_call"), ("declared", "partners")], "payout is no service of customers"
    triaged(record, "payout", "shop")
    tell(record, settings, "declared")
    assert ("declared", "public") in told(record)
    assert len(set(told(record))) == len(told(record))


def test_who_joins_a_running_incident_has_those_told_whom_it_concerns_now(record: Record, settings: Settings) -> None:
    triaged(record, "payout")
    tell(record, settings, "declared")
    before = told(record)
    assert ("declared", "public") not in before
    elsewhere = {"pid": 4711, "host": "web9", "machine": "another", "boot_id": "another", "started": 1}
    record.append("INC-1", "locked", elsewhere, "anna@web9")
    config = str(settings.state_dir.parent / "incidentctl.yml")
    words = ("run", "--join", "INC-1", "--service", "shop", "the basket is empty", "--config", config)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "incidentctl", *words], env=env, check=True, capture_output=True)
    now = told(record)
    assert now.count(("declared", "public")) == 1
    assert set(now) - set(before) == {("investigating", "status page"), ("declared", "public")}


def test_outsiders_read_no_host_no_error_no_head_and_nothing_that_was_typed(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    triaged(record, "shop")
    for kind, data in (("declared", None), ("decided", {"option": "rollback"}), ("resolved", {}), ("closed", {})):
        if data is not None:
            record.append("INC-1", kind, data, "anna@laptop")
        tell(record, settings, kind)
    outside = [name for name in told(record) if name[1] in ("public", "partners")]
    assert [about for about, name in outside if name == "public"] == ["declared", "decided", "resolved"]
    hashes = [event.hash for event in record.events("INC-1")]
    texts = [m for _path, _headers, m in receiver.got if "anna" not in m["message"]]
    assert len(texts) == 6
    pages = [path.read_text() for path in page_folder(settings).rglob("*.*")]
    assert len(pages) == 2
    for text in [*(m["title"] + m["message"] for m in texts), *pages]:
        assert not [word for word in ("web1", "{{", "down&", "<down>", "anna", "bank", *hashes) if word in text], text
    assert any("courier" in m["message"] for m in texts), "the partner is not named"


def test_a_second_decision_is_told_too_and_no_decision_twice(record: Record, settings: Settings) -> None:
    for _ in range(2):
        record.append("INC-1", "decided", {"option": "rollback"}, "anna@laptop")
        for _ in range(2):
            tell(record, settings, "decided")
    assert told(record) == [("decided", "on_call")] * 2


def test_what_is_waited_for_is_told_once_until_somebody_decides(record: Record, settings: Settings) -> None:
    record.append("INC-1", "options_assessed", {"options": []}, "anna@laptop")
    for _ in range(2):
        for _ in range(2):
            record.append("INC-1", "question_asked", {"question": "Which recovery?"}, "anna@laptop")
            tell(record, settings, "awaited")
        record.append("INC-1", "decided", {"option": "hotfix"}, "anna@laptop")
    for _ in range(2):
        tell(record, settings, "awaited")
    assert told(record) == [("awaited", "on_call")] * 3, "two questions, and a review"


def test_a_drill_is_said_to_be_one_and_nobody_outside_hears_of_it(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    drill = {**DECLARED, "affected": ["shop"], "drill": "bad_release"}
    for number, more in ((2, {"drill_told": True}), (3, {})):
        name = f"INC-{number}"
        record.append(name, "declared", {**drill, **more}, "anna@laptop")
        record.append(name, "step_started", {"phase": "triage"}, "anna@laptop")
        record.append(name, "step_finished", {"phase": "triage"}, "anna@laptop")
        notify.tell(record, fold(record.events(name)), ["on_call", "public", "partners"], "declared", settings)
        notify.wait(PATIENCE_S)
    ((_path, _headers, content),) = receiver.got
    assert content["title"].startswith("[DRILL] [high] INC-2"), "INC-3 is told to nobody"
    assert not page_folder(settings).exists()


def test_that_it_fails_in_the_same_way_again_is_recorded_once(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    receiver.status = 500
    for _ in range(3):
        tell(record, settings, "declared")
    assert states(record) == ["queued", "failed"]
    assert len(receiver.got) == 3


def test_what_is_older_than_a_day_is_not_tried_any_more(record: Record, settings: Settings, receiver: Receiver) -> None:
    receiver.status = 500
    tell(record, settings, "declared")
    record.append("INC-1", "acknowledged", {}, "bob@laptop")
    later = datetime.now(UTC) + notify.GIVE_UP_AFTER
    assert not notify.follow_up(record, settings, later)
    assert notify.follow_up(record, settings)


# --- the status page ------------------------------------------------------------------------------


def test_the_status_page_shows_the_incident_from_beginning_to_end(record: Record, settings: Settings) -> None:
    folder = page_folder(settings)
    triaged(record, "payout")
    tell(record, settings, "declared")
    assert not folder.exists(), "payout is no service of customers"
    triaged(record, "payout", "shop")
    steps = [
        ("investigating", None),
        ("identified", "decided"),
        ("monitoring", "verified"),
        ("resolved", "resolved"),
    ]
    for status, kind in steps:
        if kind is not None:
            record.append("INC-1", kind, {"option": "rollback", "recovered": True}, "anna@laptop")
        notify.tell(record, incident(record), (), "", settings)
        notify.wait(PATIENCE_S)
        shown = json.loads((folder / "incidents" / "INC-1.json").read_text())
        assert (shown["status"], shown["impact"]) == (status, "major")
        assert status in (folder / "index.html").read_text()
    assert [update["status"] for update in shown["incident_updates"]] == [s for s, _ in steps][::-1]
    assert shown["components"] == [{"name": "shop", "status": "operational"}]
    assert (folder / "index.html").stat().st_mode & 0o777 == 0o644, "a web server must be able to read it"
    assert [r["about"] for r in incident(record).notified if r["audience"] == "status page"] == [s for s, _ in steps]


def test_a_status_page_that_cannot_be_written_is_told_and_written_later(record: Record, settings: Settings) -> None:
    folder = page_folder(settings)
    folder.write_text("a file stands in the way")
    triaged(record, "shop")
    notify.tell(record, incident(record), (), "", settings)
    notify.wait(PATIENCE_S)
    notify.follow_up(record, settings)
    assert states(record) == ["failed"]
    folder.unlink()
    assert [row["state"] for row in notify.follow_up(record, settings)] == ["sent"]
    assert (folder / "index.html").exists()


def test_what_stands_in_the_folder_already_is_shown_escaped(record: Record, settings: Settings) -> None:
    folder = page_folder(settings) / "incidents"
    folder.mkdir(parents=True)
    (folder / "INC-0.json").write_text(json.dumps({"name": "<script>alert(1)</script>", "status": "resolved"}))
    (folder / "broken.json").write_text("{")
    triaged(record, "shop")
    notify.tell(record, incident(record), (), "", settings)
    notify.wait(PATIENCE_S)
    page = (folder.parent / "index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


# --- escalation -----------------------------------------------------------------------------------


def test_while_nobody_acknowledges_the_next_are_told_one_after_the_other(record: Record, settings: Settings) -> None:
    tell(record, settings, "declared")
    now = datetime.now(UTC)
    assert not notify.escalate(record, "INC-1", settings, now - timedelta(seconds=30))
    assert notify.escalate(record, "INC-1", settings, now + timedelta(seconds=2)) == ["lead"]
    assert not notify.escalate(record, "INC-1", settings, now + timedelta(seconds=30)), "told twice, or too early"
    assert notify.escalate(record, "INC-1", settings, now + timedelta(seconds=90)) == ["director"]
    notify.follow_up(record, settings)
    assert told(record) == [("declared", "on_call"), ("escalated", "lead"), ("escalated", "director")]


@pytest.mark.parametrize("kind", ["acknowledged", "cancelled", "closed"])
def test_nobody_else_is_told_once_somebody_has_it_or_it_is_over(record: Record, settings: Settings, kind: str) -> None:
    tell(record, settings, "declared")
    record.append("INC-1", kind, {}, "bob@laptop")
    assert not notify.escalate(record, "INC-1", settings, datetime.now(UTC) + timedelta(days=1))


def test_it_escalates_while_the_response_goes_on(record: Record, settings: Settings, receiver: Receiver) -> None:
    tell(record, settings, "declared")
    with notify.attended(record, "INC-1", settings):
        until(lambda: ("escalated", "lead") in told(record))
    notify.wait(PATIENCE_S)
    assert "asked to take it" in receiver.got[-1][2]["message"]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- incidentctl followup -------------------------------------------------------------------------


def followup(settings: Settings, *words: str) -> list[str]:
    config = str(settings.state_dir.parent / "incidentctl.yml")
    return [sys.executable, "-m", "incidentctl", "followup", "--config", config, *words]


def run_followup(settings: Settings) -> tuple[int, Any]:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
    done = subprocess.run(followup(settings, "--json"), capture_output=True, text=True, env=env, check=False)
    return done.returncode, json.loads(done.stdout)


def test_followup_escalates_and_delivers_from_cron(record: Record, settings: Settings, receiver: Receiver) -> None:
    tell(record, settings, "declared")
    time.sleep(1.1)
    code, tried = run_followup(settings)
    assert (code, [(row["about"], row["audience"], row["state"]) for row in tried]) == (
        0,
        [("escalated", "lead", "sent")],
    )
    assert run_followup(settings) == (0, [])
    assert len(receiver.got) == 2


def test_followup_says_what_could_not_be_delivered(record: Record, settings: Settings, receiver: Receiver) -> None:
    receiver.status = 503
    tell(record, settings, "declared")
    record.append("INC-1", "acknowledged", {}, "bob@laptop")
    code, tried = run_followup(settings)
    assert (code, [row["state"] for row in tried]) == (11, ["failed"])


def test_killed_while_it_tells_it_tells_again_under_the_same_key(
    record: Record, settings: Settings, receiver: Receiver
) -> None:
    record.append("INC-1", "acknowledged", {}, "bob@laptop")
    data = {"key": "INC-1:declared:on_call", "about": "declared", "audience": "on_call", "state": "queued"}
    record.append("INC-1", "notified", data, "incidentctl")
    receiver.delay_s = 30
    env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
    process = subprocess.Popen(followup(settings), env=env)
    until(lambda: len(receiver.got) == 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    receiver.enough.set()
    assert run_followup(settings)[0] == 0
    assert len(receiver.got) == 2
    assert all("Message: INC-1:declared:on_call" in m["message"] for _path, _headers, m in receiver.got)
    assert told(record) == [("declared", "on_call")]


def test_two_at_a_time_tell_nobody_twice(record: Record, settings: Settings, receiver: Receiver) -> None:
    data = {"key": "INC-1:declared:on_call", "about": "declared", "audience": "on_call", "state": "queued"}
    record.append("INC-1", "notified", data, "incidentctl")
    record.append("INC-1", "acknowledged", {}, "bob@laptop")
    receiver.delay_s = 1
    env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
    processes = [subprocess.Popen(followup(settings), env=env) for _ in range(3)]
    assert [process.wait(PATIENCE_S) for process in processes] == [0, 0, 0]
    assert len(receiver.got) == 1


def test_no_redirect_is_followed(record: Record, settings: Settings, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setenv("ON_CALL_URL", f"json://127.0.0.1:{receiver.port}/sesame")
    receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    tell(record, settings, "declared")
    assert [path for path, _headers, _content in receiver.got] == ["/sesame"]
    assert states(record) == ["queued", "failed"]
