"""Who holds the connections of a database of this host, asked of a real server while its places are taken."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _database_clients, _database_findings
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with five places for ordinary users."""
    if BIN is None:
        pytest.skip("PostgreSQL is not here")
    with open_folder() as folder:
        server = Server(folder, listen="127.0.0.1", max_connections="8", superuser_reserved_connections="3")
        try:
            server.sql("CREATE ROLE reporting LOGIN")
            (server.data / "pg_hba.conf").write_text("local all all peer\nhost all reporting 127.0.0.1/32 trust\n")
            server.sql("SELECT pg_reload_conf()")
            yield server
        finally:
            server.end()


def session(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(server.port)), 5)
    words = b"user\0reporting\0database\0postgres\0\0"
    connection.sendall(struct.pack("!2I", len(words) + 8, 196608) + words)
    said = b""
    while not said.endswith(b"Z\0\0\0\x05I"):
        said += connection.recv(4096)
    return connection


def look(*items: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    return _database_clients.look([{"name": "database", "data": list(items)}, {"name": "web"}])["database"]


def found(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(_database_findings.of_databases("database", {"databases": seen}))


def test_who_holds_all_connections_is_named_though_nobody_else_gets_in(server: Server) -> None:
    seen, notes = look(server.item("postgres"))
    assert (seen, notes) == ([{"database": "postgres", "used": 0, "max": 5, "clients": [], "locks": []}], [])
    assert found(seen) == []
    held = [session(server) for _place in range(5)]
    try:
        seen, notes = look(server.item("postgres"))
    finally:
        for connection in held:
            connection.close()
    (client,) = seen[0]["clients"]
    assert (seen[0]["used"], client["user"], client["address"], client["state"], client["count"]) == (
        5, "reporting", "127.0.0.1", "idle", 5,
    )  # fmt: skip
    (finding,) = found(seen)
    assert (finding["severity"], finding["kind"], finding["about"]["peer"]) == (
        "critical",
        "database_connections",
        "127.0.0.1",
    )
    assert finding["text"].startswith(
        "database: 5 of 5 connections of postgres's server are in use; reporting from 127.0.0.1 holds 5, idle"
    )


def say(connection: socket.socket, sql: str) -> None:
    connection.sendall(b"Q" + struct.pack("!I", len(sql) + 5) + sql.encode() + b"\0")


def test_who_holds_a_lock_that_others_wait_for_is_named(server: Server) -> None:
    """Of two who wait, one waits behind the other; the one whom both wait for is told, and nobody else."""
    server.sql("CREATE TABLE stock (n int); GRANT ALL ON stock TO reporting")
    holder, first, second = (session(server) for _session in range(3))
    try:
        say(holder, "BEGIN; LOCK TABLE stock IN ACCESS SHARE MODE")
        said = b""
        while not said.endswith(b"Z\0\0\0\x05T"):  # it is in its transaction
            said += holder.recv(4096)
        say(first, "LOCK TABLE stock IN ACCESS EXCLUSIVE MODE; SELECT 1")
        time.sleep(1)  # so that the other one comes after it
        say(second, "SELECT * FROM stock")
        until = time.monotonic() + 20
        while True:
            seen, _notes = look(server.item("postgres"))
            held = seen[0]["locks"] if seen else []
            if time.monotonic() > until or (held and held[0]["waiting"] == 2 and found(seen)):
                break
            time.sleep(0.3)
    finally:
        for connection in (second, first, holder):
            connection.close()
    (one,) = held  # and nobody who waits
    assert (one["user"], one["address"], one["state"], one["waiting"]) == (
        "reporting", "127.0.0.1", "idle in transaction", 2,
    )  # fmt: skip
    (finding,) = found(seen)
    assert (finding["severity"], finding["kind"], finding["about"]["peer"]) == ("warning", "lock", "127.0.0.1")
    assert finding["text"].startswith("database: 2 sessions wait for a lock in postgres's server, for up to ")
    assert "; reporting from 127.0.0.1 holds it, idle in transaction, in a transaction of " in finding["text"]
    deadline = time.monotonic() + 10  # whoever waits for a lock does not see at once that its client has gone
    while look(server.item("postgres"))[0][0]["used"] and time.monotonic() < deadline:
        time.sleep(0.2)


def test_a_lock_that_is_waited_for_a_moment_is_none_and_for_long_is_critical() -> None:
    held = {"user": "app", "address": "this host", "state": "active", "waiting": 1, "longest_s": 2, "held_s": 4}
    seen = {"database": "shop", "used": 3, "max": 37, "clients": [], "locks": [held]}
    assert found([seen]) == []
    (finding,) = found([{**seen, "locks": [{**held, "longest_s": 300, "held_s": 900}, {**held, "user": "other"}]}])
    assert (finding["severity"], finding["about"]["user"]) == ("critical", "app")
    assert "1 session waits for a lock in shop's server, for up to 5 min" in finding["text"]


def test_database_that_cannot_be_asked_is_a_note(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {**server.item("postgres"), "port": "1"}
    seen, notes = look(gone, server.item("postgres"))
    assert len(seen) == 1
    assert notes[0].startswith("connections of postgres were not counted: ")
    monkeypatch.setattr(_database_clients.shutil, "which", lambda _tool: None)
    assert look(gone)[1][0].endswith("is not on this host")


def test_service_without_a_database_is_not_asked() -> None:
    assert _database_clients.look([{"name": "web", "data": [{"kind": "files", "path": "/x"}]}]) == {}


def test_nearly_all_connections_are_a_warning_and_fewer_are_none() -> None:
    client = {"user": "app", "address": "10.0.0.1", "state": "idle in transaction", "count": 30, "longest_s": 300}
    seen = {"database": "shop", "used": 36, "max": 37, "clients": [client]}
    (finding,) = found([seen])
    assert finding["severity"] == "warning"
    assert finding["text"].endswith("app from 10.0.0.1 holds 30, idle in transaction for up to 5 min")
    assert found([{**seen, "used": 20}]) == []
