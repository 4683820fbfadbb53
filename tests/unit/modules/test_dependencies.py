"""What a service depends on is asked in its own protocol, and the step that fails is told, whatever the peer does."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _check_address,
    _dependencies,
    _resolvers,
)
from tests import peers
from tests.peers import peer, reply, resolver, says, silent
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder


def ask(check: str, **more: Any) -> dict[str, Any]:
    (answer,) = _dependencies.ask_all([{"name": "it", "check": check, "timeout_s": 2, **more}])
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
    assert answer["latency_ms"] < 1000


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
    assert answer["latency_ms"] < 1500


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
    assert told(answer) == (False, None, f"secret file {tmp_path}/none: No such file or directory")


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
    monkeypatch.setattr(peers.socket, "getaddrinfo", hanging(socket.getaddrinfo))
    with resolver(lambda _question: None) as port:
        at(port, monkeypatch)
        started = time.monotonic()
        answer = ask("tcp://db.internal:5432", timeout_s=0.2)
    assert time.monotonic() - started < 1.5
    assert (answer["failing"], answer["resolver"]) == ("dns", "silent")
    assert answer["detail"].startswith("db.internal did not resolve within 0.2 s: resolver 127.0.0.1 does not answer")


def hanging(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return getaddrinfo as it is where the name server is away."""

    def ask(host: Any, *words: Any) -> Any:
        if host == "db.internal" and socket.AI_NUMERICHOST not in words[3:]:
            time.sleep(1)
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


def test_server_without_tls_fails_where_tls_was_asked_for(server: Server) -> None:
    answer = ask(f"postgresql://open@127.0.0.1:{server.port}/shop?sslmode=require")
    assert (answer["ok"], answer["failing"]) == (False, "tls")
    assert ask(f"postgresql://open@127.0.0.1:{server.port}/shop?sslmode=disable")["ok"] is True


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
