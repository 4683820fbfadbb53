"""`watch --listen` over a real socket: what is answered is in the record, and nobody holds it up."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.receiver import Receiver
from tests.shop import ROOT, Shop
from tests.small_service import free_port

from incidentctl import _database, alerts, intake, listener, watch
from incidentctl.errors import IncidentctlError, UsageError
from incidentctl.intake import Intake
from incidentctl.record import RecordError, open_record
from incidentctl.session import open_session

PATIENCE_S = 120
HOSTILE = "{{ lookup('pipe', 'touch CANARY') }} $(touch CANARY)`touch CANARY`\n\x1b[31m"


class Answer:
    """One answer over HTTP."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = answer.status, answer.headers, answer.read().decode()

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.text))


class Client:
    """One who speaks HTTP to a port of this machine."""

    port: int

    def is_there(self) -> bool:
        try:
            return self.ask("GET", "/-/healthy").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            connection.request(method, path, content, {"Content-Type": "application/json", **given})
            return Answer(connection.getresponse())

    def alert(self, body: Any, **headers: str) -> Answer:
        return self.ask("POST", "/alerts", body, **headers)


class Listening(Client):
    """`watch --listen` in a process of its own, for a shop."""

    def __init__(self, shop: Shop, *words: str) -> None:
        self.shop, self.port = shop, free_port()
        argv = shop.command("watch", "--listen", str(self.port), *words)
        env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
        self.log = (shop.folder / "listener.log").open("a+")
        self.process = subprocess.Popen(argv, cwd=shop.folder, env=env, stderr=self.log, stdin=subprocess.DEVNULL)
        until(lambda: self.process.poll() is not None or self.is_there())

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.lay_out(alerts={"diagnose": False})
    shop.start()
    try:
        yield shop
    finally:
        shop.stop()


@contextmanager
def listening(shop: Shop, *words: str) -> Iterator[Listening]:
    there = Listening(shop, *words)
    try:
        yield there
    finally:
        there.end(signal.SIGKILL)
        there.log.close()


def settings(shop: Shop, **more: Any) -> None:
    shop.config.write_text(yaml.safe_dump({**yaml.safe_load(shop.config.read_text()), **more}))


def group(key: str = "{}:{}", status: str = "firing", since: datetime | None = None, **labels: str) -> dict[str, Any]:
    labels = {"alertname": "CheckoutFails", "service": "shop", "severity": "critical", **labels}
    began = (since or datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    entry = {"status": status, "labels": labels, "annotations": {"summary": HOSTILE}, "startsAt": began}
    return {"version": "4", "groupKey": key, "status": status, "truncatedAlerts": 0, "alerts": [entry]}


def incidents(shop: Shop) -> list[str]:
    with open_record(f"sqlite:///{shop.folder}/state/record.db") as record:
        return record.incidents()


def states(shop: Shop) -> list[str]:
    return [event["data"]["state"] for event in shop.events() if event["kind"] == "notified"]


def notes(shop: Shop) -> list[str]:
    return [event["data"]["text"] for event in shop.events() if event["kind"] == "note"]


# --- one incident ---------------------------------------------------------------------------------


def test_a_group_declares_once_and_its_end_closes_nothing(shop: Shop) -> None:
    with listening(shop) as there:
        first = there.alert(group())
        assert (first.status, first.data["did"]) == (200, "declared")
        for status in ("firing", "firing", "resolved"):
            again = there.alert(group(status=status))
            assert (again.status, again.data) == (200, {"incident": first.data["incident"], "did": "added"})
    incident = shop.status()
    assert (incident["status"], incident["severity"], incident["affected"]) == ("investigating", "critical", ["shop"])
    assert incident["declared_by"] == "alertmanager"
    assert incident["title"].startswith("CheckoutFails: {{ lookup")
    assert incident["title"].isprintable()
    assert -400 < incident["milestones"]["detected"] < -290
    assert notes(shop) == ["alert: CheckoutFails (1 firing)"] * 2 + ["the alert ended: CheckoutFails"]
    assert not incident["decision"]
    assert not incident["approvals"]
    assert not incident["contained"]


def test_many_at_once_declare_one(shop: Shop) -> None:
    with listening(shop) as there, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: there.alert(group()), range(16)))
        assert [answer.status for answer in answers] == [200] * 16
        assert sorted(answer.data["did"] for answer in answers) == ["added"] * 15 + ["declared"]
        assert len({answer.data["incident"] for answer in answers}) == 1


def test_a_group_that_grows_stays_one_incident(shop: Shop) -> None:
    with open_session(str(shop.config), shop.sources[1::2]) as session:
        there = Intake(session)
        first, grown = there.hear(group()), group()
        grown["alerts"] += group(service="worker")["alerts"]
        assert there.hear(grown).incident_id == first.incident_id
        assert len(session.record.incidents()) == 1
        assert there.hear(group("another", service="worker")).did == "declared"


def test_another_group_on_the_same_service_joins_and_a_higher_severity_raises_it_once(shop: Shop) -> None:
    with listening(shop) as there:
        first = there.alert(group("slow", severity="warning"))
        joined = there.alert(group("down", severity="critical"))
        assert joined.data == {"incident": first.data["incident"], "did": "added"}
        assert shop.status()["severity"] == "critical"
        assert shop.run("severity", "low", inventory=False).returncode == 0
        there.alert(group("down", severity="critical"))
        assert shop.status()["severity"] == "low", "what a person set was set back"
        other = there.alert(group("elsewhere", service="worker", severity="info"))
        assert other.data["did"] == "declared"
        assert other.data["incident"] != first.data["incident"]


def test_after_the_end_the_last_word_of_an_alert_is_added_and_a_new_one_declares(shop: Shop) -> None:
    with listening(shop) as there:
        first = there.alert(group()).data["incident"]
        assert shop.run("cancel", "a test", inventory=False).returncode == 0
        for status in ("firing", "resolved"):
            assert there.alert(group(status=status)).data == {"incident": first, "did": "added"}
        assert there.alert(group("never heard of", status="resolved")).data == {"incident": None, "did": "nothing"}
        new = there.alert(group(since=datetime.now(UTC) + timedelta(seconds=1)))
        assert new.data["did"] == "declared"
        assert new.data["incident"] != first


def test_on_call_is_told_as_the_severity_says_and_the_answer_does_not_wait(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    receiver.delay_s = 3  # apprise gives up after four
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{receiver.port}")
    settings(
        shop,
        audiences={"on_call": {"kind": "on_call", "send": [{"env": "HOOK"}]}},
        severities={"critical": {"notify": ["on_call"]}},
    )
    try:
        with listening(shop) as there:
            assert there.alert(group()).status == 200
            assert receiver.answered == 0, "the answer waited for it"
            receiver.enough.set()
            there.alert(group())
            until(
                lambda: "notified" in {event["kind"] for event in shop.events() if event["data"].get("state") == "sent"}
            )
    finally:
        receiver.stop()
    assert [content["title"].partition(" ")[0] for _path, _headers, content in receiver.got] == ["[critical]"]


# --- what it looks into ---------------------------------------------------------------------------


def test_it_looks_and_leaves_the_rest_to_a_person(shop: Shop) -> None:
    settings(shop, alerts={"diagnose": True})
    shop.break_it()
    with listening(shop) as there:
        name = there.alert(group(severity="high")).data["incident"]
        until(lambda: "diagnosed" in there.said())
        assert there.end() == 0
    phases = {phase["name"]: phase["state"] for phase in shop.status()["phases"]}
    assert phases == {"triage": "done", "diagnose": "done"}
    assert not list((shop.folder / "host").glob("ledger/*")), "something was done to the host"
    assert (shop.root / "current").resolve().name == "42"
    assert not list(shop.folder.rglob("CANARY"))
    assert {event["actor"] for event in shop.events() if event["kind"] == "declared"} == {"alertmanager"}

    done = shop.run("resume", name, "--yes", "--option", "rollback")
    assert done.returncode == 0, done.stderr
    assert shop.checkout() == 201
    assert shop.status()["status"] == "closed"


def test_what_was_declared_while_nobody_could_look_is_looked_into_after_a_restart(shop: Shop) -> None:
    with listening(shop) as there:
        there.alert(group())
        assert there.end(signal.SIGKILL) == -signal.SIGKILL
    assert shop.status()["phases"] == []
    settings(shop, alerts={"diagnose": True})
    with listening(shop) as there:
        until(lambda: "diagnosed" in there.said())
    assert {phase["name"] for phase in shop.status()["phases"]} == {"triage", "diagnose"}


def test_what_cannot_be_recorded_is_not_received(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database, "BUSY_TIMEOUT_S", 0.5)
    with open_session(str(shop.config), shop.sources[1::2]) as session:
        real = Intake(session)
        served = Served(hear=lambda document: ({"did": real.hear(document).did}, "heard"))
        try:
            with closing(sqlite3.connect(shop.folder / "state" / "record.db")) as other:
                other.execute("BEGIN EXCLUSIVE")
                answer = served.alert(group())
            assert (answer.status, answer.text.partition(":")[0]) == (503, "not recorded")
            assert session.record.incidents() == []
            assert served.alert(group()).data["did"] == "declared"
        finally:
            served.end()


def test_the_token_is_that_of_the_settings_and_shown_nowhere(shop: Shop) -> None:
    (shop.folder / "token").write_text("sesame\n")
    settings(shop, alerts={"token": {"file": "token"}, "diagnose": False})
    with listening(shop) as there:
        assert there.alert(group()).status == 401
        assert incidents(shop) == []
        assert there.alert(group(), Authorization="Bearer sesame").status == 200
        assert "sesame" not in there.said() + Path(f"/proc/{there.process.pid}/cmdline").read_text()


# --- what is refused ------------------------------------------------------------------------------


class Served(Client):
    """The endpoint alone, in this process; `taken` are the notifications that got through."""

    def __init__(self, token: str | None = None, hear: listener.Hear | None = None) -> None:
        self.taken: list[alerts.Notification] = []
        self.lines: list[str] = []
        self._open = ExitStack()
        place = listener.serving(("127.0.0.1", 0), hear or self.hear, token, self.lines.append)
        self.port = self._open.enter_context(place)[1]

    def hear(self, document: Any) -> tuple[dict[str, Any], str]:
        self.taken.append(alerts.parse(document))
        return {}, "taken"

    def end(self) -> None:
        self._open.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.end()


def test_bad_requests_are_told_why_on_one_line_and_record_nothing(served: Served) -> None:
    found = [
        (served.ask("GET", "/alerts"), 405, "only POST"),
        (served.ask("PUT", "/alerts", b"{}"), 405, "only POST"),
        (served.ask("POST", "/-/healthy", b"{}"), 405, "only GET"),
        (served.ask("POST", "/", b"{}"), 404, "/alerts"),
        (served.ask("GET", "/../../etc/passwd"), 404, "/alerts"),
        (served.ask("BREW", "/alerts"), 501, "BREW"),
        (served.alert(b"{}", Content_Type="text/plain"), 415, "application/json"),
        (served.alert(b"{", Content_Type="application/json; charset=utf-8"), 400, "not JSON"),
        (served.alert(b"[" * 100_000), 400, "not JSON"),
        (served.alert(b"\xff"), 400, "not JSON"),
        (served.alert({}), 400, 'version must be "4"'),
        (served.alert({**group(), "alerts": ["\x1b[31m"]}), 400, "alerts[0] must be an object"),
        (served.alert(b" " * (listener.BODY_LIMIT + 1)), 413, "1048576"),
        (served.alert(b" " * (4 * listener.BODY_LIMIT)), 413, "1048576"),
        (served.alert(b"{}", Content_Length="x"), 400, "Content-Length"),
        (served.alert(b"", Content_Length="9" * 5000), 413, "1048576"),
        (served.alert(b"", Transfer_Encoding="chunked"), 411, "Content-Length"),
    ]
    for answer, status, why in found:
        assert (answer.status, answer.text.count("\n")) == (status, 1), answer.text
        assert why in answer.text
    assert found[0][0].headers["Allow"] == "POST"
    assert not served.taken
    assert served.alert(group()).status == 200, "it no longer listens"
    assert all(line.isprintable() for line in served.lines)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer open"}, {"Authorization": "Basic sesame"}])
def test_without_the_token_nothing_is_taken(header: dict[str, str]) -> None:
    served = Served("sesame")
    try:
        answer = served.alert(group(), **header)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert not served.taken
        assert served.ask("GET", "/-/healthy").status == 200
        assert served.alert(group(), Authorization="Bearer sesame").status == 200
    finally:
        served.end()


def test_a_failure_of_ours_is_a_5xx_so_that_it_is_sent_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((IncidentctlError("the disk is full"), 503), (RuntimeError("{{ odd }}"), 500)):
        monkeypatch.setattr(alerts, "parse", raising(error))
        answer = served.alert(group())
        assert (answer.status, answer.text.partition(":")[0]) == (status, "not recorded")


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_document: Any) -> Any:
        raise error

    return fail


# --- who holds it up ------------------------------------------------------------------------------


def test_slow_clients_hold_up_nobody_and_are_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "DEADLINE_S", 8.0)  # one after the other, they would take longer than our patience
    begun = b"POST /alerts HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(listener.CONNECTIONS - 2)]
    for number, client in enumerate(slow):
        client.sendall(begun if number % 2 else begun[:20])
    assert served.alert(group()).status == 200
    enough = threading.Event()
    drip = threading.Thread(target=keep_dripping, args=(slow[1], enough))
    drip.start()
    for client in slow:
        client.settimeout(PATIENCE_S)
        with suppress(ConnectionResetError):
            while client.recv(4096):
                pass
    enough.set()
    drip.join()
    for client in slow:
        client.close()
    assert len(served.taken) == 1


def keep_dripping(client: socket.socket, enough: threading.Event) -> None:
    while not enough.wait(0.2):
        with suppress(OSError):
            client.sendall(b" ")


def test_more_clients_than_places_are_turned_away_and_it_recovers(served: Served) -> None:
    crowd = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(listener.CONNECTIONS)]
    until(lambda: threading.active_count() > listener.CONNECTIONS)
    with pytest.raises((OSError, http.client.HTTPException)):
        served.alert(group())
    for client in crowd:
        client.close()
    until(served.is_there)
    assert served.alert(group()).status == 200


# --- its end, and its beginning -------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(shop: Shop, number: int) -> None:
    with listening(shop) as there:
        there.alert(group())
        assert there.end(number) == 0
        assert "Traceback" not in there.said()
    assert shop.status()["holder"] is None


def test_ended_while_it_looks_it_goes_on_there_later(shop: Shop) -> None:
    settings(shop, alerts={"diagnose": True})
    with listening(shop) as there:
        there.alert(group())
        until(lambda: "step_started" in {event["kind"] for event in shop.events()})
        assert there.end() == 0
        assert "Traceback" not in there.said()
    assert shop.status()["holder"] is None
    with listening(shop) as there:
        until(lambda: "diagnosed" in there.said())


def test_what_goes_wrong_meanwhile_is_said_and_tried_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_session(str(shop.config), shop.sources[1::2]) as session:
        rung, there = threading.Event(), Intake(session)
        looks = watch.attend(session, there, 0.1, rung)
        monkeypatch.setattr(intake, "waiting", raising(RecordError("The database is away.")))
        assert [next(looks), next(looks)] == ["The database is away."] * 2
        monkeypatch.undo()
        shop.override.rename(shop.override.with_suffix(".away"))
        assert "does not exist" in next(looks)
        assert there.hear(group()).did == "declared", "the inventory from before was given up"
        shop.override.with_suffix(".away").rename(shop.override)
        looks.close()


def test_an_address_that_is_taken_is_told(shop: Shop) -> None:
    with listening(shop) as there:
        done = shop.run("watch", "--listen", str(there.port))
    assert done.returncode == 3
    assert f"127.0.0.1:{there.port} cannot be listened at" in done.stderr
    assert "Fix: " in done.stderr


@pytest.mark.parametrize("words", [["--times", "1"], ["INC-1"]])
def test_what_does_not_go_with_it_is_told(shop: Shop, words: list[str]) -> None:
    assert shop.run("watch", "--listen", "0", *words).returncode == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9099", ("127.0.0.1", 9099)),
        (":0", ("127.0.0.1", 0)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104 - it is only read
        ("[::1]:9099", ("::1", 9099)),
    ],
)
def test_an_address_is_read_as_a_person_types_it(text: str, place: tuple[str, int]) -> None:
    assert listener.address(text) == place


@pytest.mark.parametrize("text", ["", "host", "host:", "1:65536", "host:-1", "host:٣"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        listener.address(text)
