"""What a service depends on is asked in its own protocol, and the step that fails is told, whatever the peer does."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _check_address,
    _dependencies,
    _line,
    _resolvers,
    _state_findings,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import peers
from tests.certificates import Authority, Certificate
from tests.peers import peer, reply, resolver, says, silent
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder
from tests.unit.modules import made_certificates, own_clock
from tests.unit.modules.own_clock import OwnClock

ENDLESS_MS = 30_000  # what has no clock of its own takes longer, and nothing else does, however busy the machine is


def ask(check: str, **more: Any) -> dict[str, Any]:
    (answer,) = _dependencies.ask_all([{"name": "it", "check": check, "timeout_s": 20, **more}])
    return answer


def told(answer: dict[str, Any]) -> tuple[Any, Any, Any]:
    return answer["ok"], answer["failing"], answer["detail"]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- every protocol ------------------------------------------------------------------------------------------------------


SPOKEN = ("tcp://{}", "tls://{}", "http://{}/", "https://{}/", "postgresql://{}/shop", "redis://{}", "rediss://{}")


@pytest.mark.parametrize("check", SPOKEN)
def test_port_that_is_closed_is_a_refused_connection(check: str, closed_port: int) -> None:
    answer = ask(check.format(f"127.0.0.1:{closed_port}"))
    assert (answer["ok"], answer["failing"]) == (False, "connect")
    assert "Connection refused" in answer["detail"]
    assert (answer["host"], answer["port"]) == ("127.0.0.1", closed_port)


@pytest.mark.parametrize("check", SPOKEN[1:])
def test_peer_that_says_nothing_costs_the_timeout_and_no_more(check: str) -> None:
    with peer(silent) as port:
        answer = ask(check.format(f"127.0.0.1:{port}"), timeout_s=0.3)
    assert (answer["ok"], answer["failing"]) == (
        False,
        "tls" if check.startswith(("tls", "https", "rediss")) else "answer",
    )
    assert "within 0.3 s" in answer["detail"]
    assert 300 <= answer["latency_ms"] < ENDLESS_MS


def drip(connection: socket.socket) -> None:
    """One byte ten times a second, for ever: no single read ever takes long."""
    while True:
        connection.sendall(b"+")
        time.sleep(0.1)


@pytest.mark.parametrize("check", SPOKEN[1:])
def test_peer_that_drips_for_ever_costs_the_timeout_and_no_more(check: str) -> None:
    with peer(drip) as port:
        answer = ask(check.format(f"127.0.0.1:{port}"), timeout_s=0.5)
    assert answer["ok"] is False
    assert answer["latency_ms"] < ENDLESS_MS


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\xff" * 65536)


@pytest.mark.parametrize("check", SPOKEN[1:])
def test_peer_that_says_nonsense_without_end_is_told_to_be_something_else(check: str) -> None:
    with peer(flood) as port:
        answer = ask(check.format(f"127.0.0.1:{port}"))
    assert answer["ok"] is False
    assert answer["failing"] in ("answer", "tls")
    assert answer["detail"].isprintable()


@pytest.mark.parametrize("check", SPOKEN)
def test_name_that_does_not_resolve_is_told_with_what_the_resolver_says(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with resolver(lambda question: reply(question, code=3)) as port:
        at(port, monkeypatch)
        answer = ask(check.format("db.nowhere.invalid:1"))
    assert (answer["ok"], answer["failing"], answer["resolver"]) == (False, "dns", "nxdomain")
    assert answer["detail"].startswith("db.nowhere.invalid does not resolve")
    assert answer["detail"].endswith("resolver 127.0.0.1 says that there is no such name (NXDOMAIN)")


def test_what_is_the_same_is_asked_once_and_told_of_each() -> None:
    asked = []

    def count(connection: socket.socket) -> None:
        asked.append(connection.recv(100))
        connection.sendall(b"+PONG\r\n")

    with peer(count) as port:
        wanted = [{"name": name, "check": f"redis://127.0.0.1:{port}"} for name in ("cache", "queue")]
        answers = _dependencies.ask_all(wanted)
    assert [(answer["name"], answer["ok"]) for answer in answers] == [("cache", True), ("queue", True)]
    assert len(asked) == 1


def test_secret_that_is_not_there_is_told_and_nobody_is_blamed(tmp_path: Path) -> None:
    answer = ask("redis://127.0.0.1:1", secret_ref={"file": str(tmp_path / "none")})
    why = f"could not be asked: secret file {tmp_path}/none: No such file or directory"
    assert told(answer) == (None, None, why)


def test_authority_that_is_not_there_is_told_and_nobody_is_blamed() -> None:
    for check in ("https://127.0.0.1:1/", "tls://127.0.0.1:1"):
        answer = ask(check, ca_file="/nonexistent/ca.pem")
        assert told(answer) == (
            None,
            None,
            "could not be asked: ca_file /nonexistent/ca.pem: No such file or directory",
        )


# --- names ---------------------------------------------------------------------------------------------------------------


def at(port: int, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """Have this host's resolvers be the one on a port of 127.0.0.1."""
    real = _resolvers.ask
    monkeypatch.setattr(_resolvers, "servers", lambda: ["127.0.0.1", *more])
    monkeypatch.setattr(_resolvers, "ask", lambda server, _port, *words: real(server, port, *words))


def test_name_resolves_as_this_host_resolves_it() -> None:
    assert told(ask("dns://localhost"))[:2] == (True, None)
    assert "resolves to 127.0.0.1" in ask("dns://localhost?type=A")["detail"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda question: reply(question, code=3), "says that there is no such name (NXDOMAIN)"),
        (lambda question: reply(question, code=2), "cannot find out (SERVFAIL)"),
        (lambda question: reply(question, code=5), "refuses to say (REFUSED)"),
        (lambda question: reply(question, code=9), "answers code 9"),
        (reply, "knows the name, but no address of it"),
        (lambda _question: None, "does not answer within"),
        (lambda question: reply(question)[:20], "answers nonsense"),
        (lambda question: reply(question.replace(b"shop", b"evil"), "10.0.0.1"), "answers nonsense"),
        (lambda question: reply(question, "10.0.0.1")[:-2], "answers nonsense"),
        (lambda question: question, "answers nonsense"),  # an echo
    ],
)
def test_resolver_that_is_asked_directly_says_why_a_name_does_not_resolve(
    answer: Callable[[bytes], bytes | None], words: str
) -> None:
    with resolver(answer) as port:
        found = ask(f"dns://shop.test@127.0.0.1:{port}", timeout_s=0.5)
    assert (found["ok"], found["failing"]) == (False, "dns")
    assert f"shop.test (A) does not resolve: resolver 127.0.0.1 {words}" in found["detail"]


def test_resolver_that_knows_the_name_is_believed_and_a_late_answer_to_another_question_is_not() -> None:
    with resolver(lambda question: reply(question, "10.0.0.1", "10.0.0.2")) as port:
        answer = ask(f"dns://shop.test@127.0.0.1:{port}?type=a")
    assert answer["detail"].startswith("resolves to 10.0.0.1, 10.0.0.2 in ")
    with resolver(lambda question: bytes([question[0] ^ 1]) + reply(question, "10.0.0.1")[1:]) as port:
        assert ask(f"dns://shop.test@127.0.0.1:{port}", timeout_s=0.3)["ok"] is False


def test_resolver_whose_port_is_closed_is_told() -> None:
    with resolver(lambda _question: None) as port:
        pass
    assert "its port is closed" in ask(f"dns://shop.test@127.0.0.1:{port}")["detail"]


def test_name_server_that_never_answers_costs_the_timeout_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resolvers, "WITHIN_S", 0.2)
    over = threading.Event()
    monkeypatch.setattr(peers.socket, "getaddrinfo", hanging(socket.getaddrinfo, over))
    with resolver(lambda _question: None) as port:
        at(port, monkeypatch)
        answer = ask("tcp://db.internal:5432", timeout_s=0.2)
    assert not over.is_set(), "it was waited for"
    over.set()
    assert (answer["failing"], answer["resolver"]) == ("dns", "silent")
    assert answer["detail"].startswith("db.internal did not resolve within 0.2 s: resolver 127.0.0.1 does not answer")


def hanging(real: Callable[..., Any], over: threading.Event) -> Callable[..., Any]:
    """Return getaddrinfo as it is where the name server is away; it gives up by itself before the test would hang."""

    def ask(host: Any, *words: Any) -> Any:
        if host == "db.internal" and socket.AI_NUMERICHOST not in words[3:]:
            over.wait(ENDLESS_MS / 1000)
            over.set()
        return real(host, *words)

    return ask


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 10.0.0.1\n# nameserver 10.0.0.2\nnameserver\t::1\nsearch x\n", ["10.0.0.1", "::1"]),
        (
            "nameserver 10.0.0.1 # ours\nnameserver what\n" + "nameserver 10.0.0.2\n" * 5,
            ["10.0.0.1", "10.0.0.2", "10.0.0.2"],
        ),
        ("", ["127.0.0.1"]),
    ],
)
def test_name_servers_are_those_of_resolv_conf(
    text: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    monkeypatch.setattr(_resolvers, "RESOLV_CONF", tmp_path / "resolv.conf")
    assert _resolvers.servers() == found


@given(st.binary(max_size=80), st.binary(max_size=300))
def test_whatever_bytes_a_name_server_sends_are_an_answer_in_words(head: bytes, rest: bytes) -> None:
    question = b"\x04shop\x04test\0\0\x01\0\x01"
    for answer in (head + rest, b"\0\0\x81\x80\0\x01\0\x05\0\0\0\0" + question + rest):
        if len(answer) >= 12:
            said = _resolvers._read("10.0.0.1", answer, question, "A")
            assert str(said).startswith("resolver 10.0.0.1 ")


# --- PostgreSQL ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a role for each way to log in, and room for eight clients, three of them administrators."""
    if BIN is None:
        pytest.skip("PostgreSQL is not here")
    with open_folder() as folder:
        server = Server(folder, listen="127.0.0.1", max_connections="8", superuser_reserved_connections="3")
        try:
            for role, kept in (("plain", "scram-sha-256"), ("md5", "md5"), ("shop", "scram-sha-256"), ("open", "md5")):
                server.sql(f"SET password_encryption = '{kept}'; CREATE ROLE {role} LOGIN PASSWORD 'h0rse-staple'")
            server.sql("CREATE DATABASE shop")
            methods = {"plain": "password", "md5": "md5", "shop": "scram-sha-256", "nobody": "scram-sha-256"}
            methods |= {"open": "trust", server.user: "trust"}
            rules = [f"host all {role} 127.0.0.1/32 {method}" for role, method in methods.items()]
            (server.data / "pg_hba.conf").write_text("\n".join(["local all all peer", *rules, ""]))
            server.sql("SELECT pg_reload_conf()")
            yield server
        finally:
            server.end()


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "secret").write_text("h0rse-staple\n")
    return {"secret_ref": {"file": str(tmp_path / "secret")}}


def test_database_that_asks_for_no_password_answers_a_question(server: Server) -> None:
    answer = ask(f"postgresql://open@127.0.0.1:{server.port}/shop")
    assert (answer["ok"], answer["connections"]) == (True, {"used": 0, "max": 5})
    assert "0 of 5 connections" in answer["detail"]


@pytest.mark.parametrize("user", ["shop", "md5"])
def test_password_is_proved_as_the_server_asks_for_it(server: Server, user: str, secret: dict[str, Any]) -> None:
    assert ask(f"postgresql://{user}@127.0.0.1:{server.port}/shop", **secret)["connections"]["max"] == 5


def test_password_does_not_go_out_in_clear_text(server: Server, secret: dict[str, Any]) -> None:
    answer = ask(f"postgresql://plain@127.0.0.1:{server.port}/shop", **secret)
    assert (answer["ok"], answer["failing"]) == (False, "login")
    assert "in clear text" in answer["detail"]


def test_server_that_asks_for_a_password_lives_though_there_is_none(server: Server) -> None:
    for check in (f"postgresql://shop@127.0.0.1:{server.port}/shop", f"postgres://shop@127.0.0.1:{server.port}/none"):
        answer = ask(check)
        assert answer["ok"] is True
        assert "asks for a password; login not tried" in answer["detail"]


@pytest.mark.parametrize(
    ("user", "database", "detail"),
    [
        ("shop", "none", 'the database is missing: database "none" does not exist'),
        ("open", "none", 'the database is missing: database "none" does not exist'),
        ("nobody", "shop", 'login refused: password authentication failed for user "nobody"'),
    ],
)
def test_missing_role_or_database_is_told(
    server: Server, user: str, database: str, detail: str, secret: dict[str, Any]
) -> None:
    assert told(ask(f"postgresql://{user}@127.0.0.1:{server.port}/{database}", **secret)) == (False, "login", detail)


def test_wrong_password_is_told_and_not_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    answer = ask(f"postgresql://shop@127.0.0.1:{server.port}/shop", secret_ref={"file": str(tmp_path / "secret")})
    assert told(answer) == (False, "login", 'login refused: password authentication failed for user "shop"')
    assert "hunter2" not in str(answer)


@pytest.mark.parametrize("user", ["open", "shop"])
def test_certificate_that_has_expired_is_told_though_we_do_not_verify_it(
    server: Server, user: str, tmp_path: Path
) -> None:
    """Who does verify it is turned away: that the server answers us says nothing of that."""
    shown = server.data / "shown.pem"
    shown.write_bytes(made_certificates.expired(tmp_path).read_bytes())
    shown.chmod(0o600)
    os.chown(shown, server.data.stat().st_uid, -1)
    for name, value in (("ssl_cert_file", shown), ("ssl_key_file", shown), ("ssl", "on")):
        server.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    server.sql("SELECT pg_reload_conf()")
    try:
        until = time.monotonic() + 10
        while "certificate" not in (answer := ask(f"postgresql://{user}@127.0.0.1:{server.port}/shop")):
            assert time.monotonic() < until, answer
            time.sleep(0.2)
    finally:
        server.sql("ALTER SYSTEM RESET ALL")
        server.sql("SELECT pg_reload_conf()")
    assert answer["ok"] is True
    assert -1.1 < answer["certificate"]["days"] < -0.9
    told_of = {**answer, "name": "database"}
    health = {"healthy": True, "running": True, "detail": "", "depends_on": [told_of]}
    (finding,) = _state_findings.of_state("shop", {"health": health}, {})
    assert (finding["severity"], finding["kind"]) == ("warning", "certificate")
    assert "the certificate of its dependency database expired 1.0 days ago, and who verifies it" in finding["text"]
    told_of["certificate"] = {"days": -400.0}
    assert [each["severity"] for each in _state_findings.of_state("shop", {"health": health}, {})] == ["info"]


def test_too_many_clients_are_told(server: Server) -> None:
    check = f"postgresql://open@127.0.0.1:{server.port}/shop"
    held = [session(server, "open") for _place in range(5)]
    try:
        answer = ask(check)
        assert told(answer)[:2] == (False, "answer")
        assert answer["detail"].startswith("too many clients: ")
        held += [session(server, server.user) for _place in range(3)]
        assert ask(check)["detail"] == "too many clients: sorry, too many clients already"
    finally:
        for connection in held:
            connection.close()


def session(server: Server, user: str) -> socket.socket:
    """Return an open session: what takes a place is that nobody ends it."""
    connection = socket.create_connection(("127.0.0.1", int(server.port)), 5)
    words = f"user\0{user}\0database\0postgres\0\0".encode()
    connection.sendall(struct.pack("!2I", len(words) + 8, 196608) + words)
    said = b""
    while not said.endswith(b"Z\0\0\0\x05I"):
        said += connection.recv(4096)
    return connection


def error(state: str, text: str) -> bytes:
    fields = f"SFATAL\0C{state}\0M{text}\0\0".encode()
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


@pytest.mark.parametrize(
    ("words", "failing", "detail"),
    [
        (
            error("57P03", "the database system is starting up"),
            "answer",
            "it is starting up: the database system is starting up",
        ),
        (error("57P01", "terminating"), "answer", "it is shutting down: terminating"),
        (error("XX000", "\x1b[31mboom"), "answer", "boom"),
        (error("53300", "x" * 60000), "answer", "too many clients: " + "x" * 181 + "…"),
        (b"E\xff\xff\xff\xff", "answer", "what came back is not PostgreSQL"),
        (b"R\0\0\0\x03", "answer", "what came back is not PostgreSQL"),
        (b"R\0\0\0\x05\0", "answer", "what came back is not PostgreSQL"),
        (b"R\0\0\0\x08\0\0\0\0" * 200, "answer", "what came back is not PostgreSQL"),
        (b"HTTP/1.1 400 Bad Request\r\n", "answer", "what came back is not PostgreSQL"),
        (b"", "answer", "it closed the connection without an answer"),
    ],
)
def test_whatever_a_server_says_is_told_in_words(words: bytes, failing: str, detail: str) -> None:
    with peer(says(b"N", words)) as port:
        assert told(ask(f"postgresql://shop@127.0.0.1:{port}/shop", **{})) == (False, failing, detail)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(b"RESZDTKNC"), st.binary(max_size=40)), max_size=5))
def test_whatever_messages_a_server_sends_are_an_answer(
    secret: dict[str, Any], messages: list[tuple[int, bytes]]
) -> None:
    said = b"".join(bytes([kind]) + struct.pack("!I", len(body) + 4) + body for kind, body in messages)
    with peer(says(b"N", said, said)) as port:
        answer = ask(f"postgresql://shop@127.0.0.1:{port}/shop", timeout_s=0.1, **secret)
    assert answer["ok"] is False
    assert answer["failing"] in ("answer", "login")
    assert answer["detail"].isprintable()


@pytest.mark.parametrize("figure", [b"9" * 4000, b"-1", b"", b"x"])
def test_impossible_number_of_connections_is_no_answer(figure: bytes) -> None:
    row = b"".join(struct.pack("!I", len(value)) + value for value in (figure, b"100", b"3"))
    let_in, answer = (
        b"".join(kind + struct.pack("!I", len(body) + 4) + body for kind, body in messages)
        for messages in (((b"R", bytes(4)), (b"Z", b"I")), ((b"D", b"\0\3" + row), (b"Z", b"I")))
    )
    with peer(says(b"N", let_in, answer)) as port:
        seen = ask(f"postgresql://shop@127.0.0.1:{port}/shop")
    assert told(seen) == (False, "answer", "what came back is not PostgreSQL")


def test_server_without_tls_fails_where_tls_was_asked_for(server: Server) -> None:
    answer = ask(f"postgresql://open@127.0.0.1:{server.port}/shop?sslmode=require")
    assert (answer["ok"], answer["failing"]) == (False, "tls")
    assert ask(f"postgresql://open@127.0.0.1:{server.port}/shop?sslmode=disable")["ok"] is True


def test_name_with_a_label_that_is_too_long_does_not_resolve() -> None:
    assert told(ask(f"tcp://{'a' * 300}:80"))[:2] == (False, "dns")


# --- Redis ---------------------------------------------------------------------------------------------------------------


def redis(*words: bytes, **more: Any) -> dict[str, Any]:
    with peer(says(*words)) as port:
        return ask(f"redis://127.0.0.1:{port}", **more)


def test_redis_that_answers_ping_lives_with_a_login_or_without(secret: dict[str, Any]) -> None:
    for answer in (redis(b"+PONG\r\n"), redis(b"+OK\r\n", b"+PONG\r\n", **secret)):
        assert told(answer)[:2] == (True, None)
        assert answer["detail"].startswith("PONG in ")


def test_redis_that_asks_for_a_password_lives_though_there_is_none() -> None:
    assert "asks for a password; login not tried" in redis(b"-NOAUTH Authentication required.\r\n")["detail"]


@pytest.mark.parametrize(
    ("word", "failing", "detail"),
    [
        (
            b"-LOADING Redis is loading the dataset in memory\r\n",
            "answer",
            "it is starting up and reads its data: LOADING",
        ),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", "answer", "it takes no writes: MISCONF"),
        (b"-ERR max number of clients reached\r\n", "answer", "too many clients: max number of clients reached"),
        (b"-DENIED Redis is running in protected mode\r\n", "login", "login refused: DENIED"),
        (b"+OK\r\n", "answer", "what came back is not Redis"),
        (b"HTTP/1.1 400 Bad Request\r\n", "answer", "what came back is not Redis"),
        (b"x" * 5000, "answer", "what came back is not the protocol that was asked for"),
    ],
)
def test_redis_that_cannot_serve_is_told_in_words(word: bytes, failing: str, detail: str) -> None:
    answer = redis(word)
    assert told(answer)[:2] == (False, failing)
    assert answer["detail"].startswith(detail)


def test_login_at_redis_that_is_refused_is_told_and_the_password_is_not(secret: dict[str, Any]) -> None:
    heard = []

    def refuse(connection: socket.socket) -> None:
        heard.append(connection.recv(1000))
        connection.sendall(b"-WRONGPASS invalid username-password pair\r\n")

    with peer(refuse) as port:
        answer = ask(f"redis://app@127.0.0.1:{port}", **secret)
    assert told(answer) == (False, "login", "login refused: WRONGPASS invalid username-password pair")
    assert heard == [b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$12\r\nh0rse-staple\r\n"]


@pytest.mark.parametrize(
    "said",
    [
        b"-ERR unknown command 'AUTH', with args beginning with: 'h0rse-staple' \r\n",
        b"-ERR unknown command `AUTH`, with args beginning with: `h0rse-\r\n",
        b"-WRONGPASS not h0rse-staple\r\n",
    ],
)
def test_password_that_redis_repeats_is_not_told(said: bytes, secret: dict[str, Any]) -> None:
    answer = redis(said, **secret)
    assert told(answer)[:2] == (False, "login")
    assert "h0rse" not in str(answer)


# --- TLS and the web ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "own")


def secured(certificate: Certificate) -> Callable[[socket.socket], None]:
    """Return a talk in TLS that shows this certificate, and answers one thing with PONG."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), certificate.server().wrap_socket(connection, server_side=True) as line:
            line.recv(1000)
            line.sendall(b"+PONG\r\n")

    return talk


def test_certificate_is_verified_and_how_long_it_is_valid_is_told(authority: Authority) -> None:
    trusted = {"ca_file": str(authority.file)}
    with peer(secured(authority.vouch("IP:127.0.0.1"))) as port:
        answer = ask(f"tls://127.0.0.1:{port}", **trusted)
        assert answer["ok"] is True
        assert 1.9 < answer["certificate"]["days"] <= 2
        assert ask(f"rediss://127.0.0.1:{port}", **trusted)["detail"].startswith("PONG")
        assert told(ask(f"tls://127.0.0.1:{port}"))[:2] == (False, "tls")
    with peer(secured(authority.vouch("DNS:mail.example"))) as port:
        assert ask(f"tls://127.0.0.1:{port}?name=mail.example", **trusted)["ok"] is True
        answer = ask(f"tls://127.0.0.1:{port}", **trusted)
    assert (answer["failing"], "IP address mismatch" in answer["detail"]) == ("tls", True)


@pytest.mark.parametrize("check", ["tls://127.0.0.1:{}", "https://127.0.0.1:{}/", "rediss://127.0.0.1:{}"])
def test_certificate_that_has_expired_is_told_with_when(check: str, authority: Authority) -> None:
    gone = authority.dated("IP:127.0.0.1", timedelta(days=-9), timedelta(hours=-3, minutes=-6))
    with peer(secured(gone)) as port:
        answer = ask(check.format(port), ca_file=str(authority.file))
    assert (answer["ok"], answer["failing"]) == (False, "tls")
    assert answer["detail"].startswith("its certificate expired 3.1 h ago (20")
    assert answer["certificate"]["days"] == -0.1


def test_certificate_whose_time_has_not_come_is_told_with_when(authority: Authority) -> None:
    early = authority.dated("IP:127.0.0.1", timedelta(hours=5), timedelta(days=2))
    with peer(secured(early)) as port:
        answer = ask(f"tls://127.0.0.1:{port}", ca_file=str(authority.file))
    assert answer["detail"].startswith("its certificate is valid only in 5.0 h (20")


def test_what_does_not_speak_tls_is_told() -> None:
    with peer(says(b"220 mail ready\r\n")) as port:
        assert told(ask(f"tls://127.0.0.1:{port}")) == (False, "tls", "it does not speak TLS")
        assert told(ask(f"https://127.0.0.1:{port}/")) == (False, "tls", "it does not speak TLS: is it http://?")


OK = b"HTTP/1.1 200 OK\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: https://sso.example/\x1b[2J\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://sso.example/\x1b[2J\r\n\r\n",
            "answered 302 (a redirect to https://sso.example/?[2J is not followed)",
        ),
        (b"HTTP/1.1 307 x\r\n\r\n", "answered 307 (a redirect is not followed)"),
        (b"HTTP/1.1 503 x\r\n\r\ntoo busy", "answered 503 too busy"),
        (b"HTTP/1.1 401 x\r\n\r\n", "answered 401 (it wants a login: see secret_ref)"),
        (b"hello world\r\n\r\n", "what came back is not HTTP"),
        (OK + b"a: b\r\n" * 101 + b"\r\n", "what came back has more than 100 headers"),
        (OK + b"a: " + b"x" * 70000 + b"\r\n\r\n", "what came back has a line longer than 65536 bytes"),
        (OK + b"Content-Encoding: gzip\r\n\r\nnone", "the answer is not the gzip that it says it is"),
        (b"", "it closed the connection without an answer"),
    ],
)
def test_endpoint_that_does_not_answer_as_it_should_is_told_in_words(said: bytes, detail: str) -> None:
    with peer(says(said)) as port:
        assert told(ask(f"http://127.0.0.1:{port}/")) == (False, "answer", detail)


def test_endpoint_with_an_endless_body_is_left_after_64_kb() -> None:
    sent = [0]

    def endless(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(OK + b"\r\n")
        while True:
            sent[0] += connection.send(b"x" * 65536)

    with peer(endless) as port:
        assert ask(f"http://127.0.0.1:{port}/")["ok"] is True
    assert sent[0] < 32 << 20  # what the kernel took before we left


# --- slow ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> OwnClock:
    return own_clock.given(monkeypatch, _line)


def late(clock: OwnClock, *seconds: float) -> Callable[[socket.socket], None]:
    """Return a talk that is as late as this, from one connection to the next."""
    waits = list(seconds)

    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        if waits:
            clock.sleep(waits.pop(0))
            connection.sendall(b"+PONG\r\n")

    return talk


@pytest.mark.parametrize(("waits", "slow"), [((0.2, 0.2, 0.2), True), ((0.2, 0, 0.2), True), ((0.2, 0, 0), False)])
def test_slow_is_what_is_so_two_times_of_three(clock: OwnClock, waits: tuple[float, ...], slow: bool) -> None:
    with peer(late(clock, *waits)) as port:
        answer = ask(f"redis://127.0.0.1:{port}", slow_ms=150)
    assert (answer["ok"], answer["slow"], answer["probes"]) == (True, slow, [1000 * wait for wait in waits])
    assert answer["connect_ms"] == 0.0


def test_what_is_fast_is_asked_once(clock: OwnClock) -> None:
    with peer(late(clock, 0)) as port:
        assert "slow" not in ask(f"redis://127.0.0.1:{port}")


def test_what_was_slow_and_then_fails_has_failed(clock: OwnClock) -> None:
    with peer(late(clock, 0.2)) as port:  # whose waits are used up
        assert told(ask(f"redis://127.0.0.1:{port}", slow_ms=150))[:2] == (False, "answer")


# --- what a check may be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("udp://127.0.0.1:53", "must begin with one of tcp://, tls://"),
        ("tcp://127.0.0.1", "needs a port"),
        ("tcp://[", "a port that is no number"),
        ("tcp://:5", "names no host"),
        ("tcp://a:0", "a port that is no number"),
        ("tcp://::1:80", "without brackets"),
        ("tcp://shop@db:1", "holds a user"),
        ("tcp://db:1/x", "has a path"),
        ("tcp://db:1?x=1", "unknown word 'x'"),
        ("postgresql://shop:hunter2@db/shop", "holds a password"),
        ("postgresql://db", "needs the name of a database"),
        ("postgresql://db/shop?sslmode=maybe", "sslmode that is none of"),
        ("postgresql://db/shop?options=x", "unknown word 'options'"),
        ("redis://:hunter2@db", "holds a password"),
        ("redis://db/0", "has a path"),
        ("dns://a..b", "needs a name to resolve"),
        ("dns://" + "a" * 64, "needs a name to resolve"),
        ("dns://db@resolver", "the address of a resolver"),
        ("dns://db?type=ANY", "type that is none of"),
        ("tls://db?name=a%20b", "name that no certificate can have"),
        ("http://shop:hunter2@db/", "holds a user or a password"),
        (5, "must begin with"),
    ],
)
def test_check_that_cannot_be_made_is_refused_and_no_password_repeated(check: Any, words: str) -> None:
    (problem,) = _check_address.check({"name": "x", "check": check})
    assert words in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"check": "redis://db", "ca_file": "/x"}, "ca_file belongs to"),
        ({"check": "tcp://db:1", "secret_ref": {"file": "/x"}}, "nobody logs in over tcp"),
        ({"check": "redis://db", "secret_ref": {"file": "x"}}, "secret_ref.file must be the whole path"),
        ({"check": "redis://db", "secret_ref": {"file": "/x", "scheme": "basic"}}, "secret_ref has file or env here"),
        ({"check": "tcp://db:1", "timeout_s": 31}, "timeout_s must be a number, 30 at most"),
        ({"check": "tcp://db:1", "slow_ms": "soon"}, "slow_ms must be"),
    ],
)
def test_key_that_does_not_fit_the_check_is_refused(item: dict[str, Any], words: str) -> None:
    assert [problem for problem in _check_address.check({"name": "x", **item}) if words in problem]


@pytest.mark.parametrize(
    "check",
    [
        "tcp://db:1", "tcp://[::1]:80", "tls://mail:993?name=mail.example", "http://db/x?y=1", "postgres://shop@db:1/shop",
        "postgresql://sh%2Fop@[fe80::1%25eth0]/a%20b?sslmode=require", "redis://user@db", "rediss://db:6380",
        "dns://_sip._tcp.db?type=srv", "dns://db.@[::1]:53",
    ],
)  # fmt: skip
def test_check_that_can_be_made_passes(check: str) -> None:
    assert _check_address.check({"name": "x", "check": check}) == []
