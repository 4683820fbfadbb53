"""The figures of a health check: databases as they are, errors that come meanwhile; and nothing holds it up."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _data_look,
    _diagnosis,
    _postgresql_look,
    _psql,
    _sqlite,
)
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder

needs_postgresql = pytest.mark.skipif(BIN is None, reason="PostgreSQL is not here")
COMMON: dict[str, Any] = {
    "capability": "health_check",
    "only": [],
    "host_name": "here",
    "host_groups": [],
    "incident_id": "adhoc",
    "state_dir": "/nonexistent",
    "window_s": 0,
    "within_s": 0.1,
    "figures": True,
}


def check(service: dict[str, Any], **params: Any) -> dict[str, Any]:
    given = {"services": [{"name": "shop", "hosts": "here", **service}], **params}
    answer: dict[str, Any] = _diagnosis.run({**COMMON, **given}, False)
    return answer


def data(*items: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = check({"data": list(items)})["incident"]["facts"]["services"]["shop"]["data"]
    return found


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
        made.execute('CREATE TABLE "odd ""name" (id INTEGER)')
        made.executemany("INSERT INTO orders (note) VALUES (?)", [("x" * 500,)] * 1204)
    return path


def sqlite_item(path: Path, **more: Any) -> dict[str, Any]:
    return {"kind": "sqlite", "path": str(path), **more}


def test_rows_of_a_whole_sqlite_database_are_counted(database: Path) -> None:
    (found,) = data(sqlite_item(database))
    assert (found["whole"], found["damage"], found["notes"]) == (True, [], [])
    assert {name: table["rows"] for name, table in found["tables"].items()} == {"orders": 1204, 'odd "name': 0}
    assert all(table["exact"] and not table["shrinks"] for table in found["tables"].values())


def test_a_table_that_the_catalogue_says_shrinks_is_marked(database: Path) -> None:
    (found,) = data(sqlite_item(database, shrinks=["orders"]))
    assert found["tables"]["orders"]["shrinks"]
    assert not found["tables"]['odd "name']["shrinks"]


def test_damage_in_a_sqlite_database_is_found_and_warned_of(database: Path) -> None:
    with database.open("r+b") as stream:
        stream.seek(8 * 4096)
        stream.write(b"\xff" * 4096)
    answer = check({"data": [sqlite_item(database)]})
    (found,) = answer["incident"]["facts"]["services"]["shop"]["data"]
    assert found["whole"] is False
    assert found["damage"]
    assert any("is damaged" in text for text in answer["warnings"])


def test_what_is_no_database_any_more_is_damaged_and_what_is_gone_is_unknown(database: Path) -> None:
    database.write_bytes(b"nonsense" * 1000)
    overwritten, gone = data(sqlite_item(database), sqlite_item(database.with_name("gone.db")))
    assert (overwritten["whole"], len(overwritten["damage"])) == (False, 1)
    assert (gone["whole"], gone["damage"]) == (None, [])
    assert "not looked at: No such file" in gone["notes"][0]


def test_a_locked_sqlite_database_is_unknown_not_damaged_and_holds_nobody_up(database: Path) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    (found,) = data(sqlite_item(database))
    assert time.monotonic() - begun < 9  # whoever copies it would wait for ten
    assert (found["whole"], found["damage"], found["tables"]) == (None, [], {})
    assert "locked" in found["notes"][0]
    writer.close()


def test_a_statement_that_takes_too_long_is_ended(database: Path) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    begun = time.monotonic()
    with _sqlite._opened(database, "mode=ro") as source:
        assert _sqlite._bounded(source, endless, 0.1, begun + 60) == "it takes longer than 0.1 s"
        assert time.monotonic() - begun < 60
        assert _sqlite._bounded(source, "SELECT 1", 1, begun + 60) == [(1,)]  # the next one is not ended with it


def test_when_the_time_is_over_nothing_more_is_counted(database: Path) -> None:
    counts, damage, notes = _sqlite.look(database, 1.0, time.monotonic())
    assert (set(counts.values()), damage) == ({None}, [])
    assert "orders not counted: there was no time" in notes
    assert "not checked for damage: there was no time" in notes


def test_a_database_that_never_answers_is_left_behind(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    released = threading.Event()
    monkeypatch.setattr(_data_look, "WITHIN_S", 2.0)
    monkeypatch.setattr(_data_look, "_GRACE_S", 0.1)
    monkeypatch.setitem(_data_look._KINDS, "postgresql", lambda *_: released.wait(20))
    found = data(sqlite_item(database), {"kind": "postgresql", "database": "shop"})
    released.set()
    assert [item["whole"] for item in found] == [True, None]
    assert "no answer within" in found[1]["notes"][0]


def test_only_errors_that_come_within_the_window_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    log.write_text("2026-01-01T09:51:16Z ERROR order 7 failed\n" * 50)

    (tmp_path / "new").write_text(
        "2026-01-01T09:52:16Z INFO order 8 came\n2026-01-01T09:52:17Z ERROR no such column: price\n"
    )
    # It goes wrong between the first look and the second.
    status = f"cd {tmp_path}; echo >>looks; [ $(wc -l <looks) != 2 ] || cat new >>{log}"
    control = {"manager": "command", "control": {"start": ["true"], "stop": ["true"], "status": ["sh", "-c", status]}}
    service = {**control, "logs": [{"kind": "file", "path": str(log)}]}
    begun = time.monotonic()
    seen = check(service, window_s=0.6, within_s=1)["incident"]["facts"]["services"]["shop"]
    assert seen["healthy"]
    assert seen["probes"] >= 2
    assert seen["new_errors"]["count"] == 1
    assert seen["new_errors"]["kinds"] == [{"template": "no such column: price", "count": 1}]
    assert 0.5 < seen["new_errors"]["seconds"] <= time.monotonic() - begun + 0.1  # it is rounded


def test_a_log_that_cannot_be_read_leaves_the_errors_unknown(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    log.mkdir()
    seen = check({"logs": [{"kind": "file", "path": str(log)}]}, window_s=0.1)["incident"]["facts"]["services"]["shop"]
    assert seen["new_errors"]["count"] is None
    assert "cannot be read" in seen["new_errors"]["notes"][0]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with open_folder() as folder:
        server = Server(folder)
        try:
            server.sql("CREATE DATABASE shop")
            server.sql("CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 1204) g", "shop")
            server.sql("ALTER TABLE orders ADD PRIMARY KEY (id)", "shop")
            yield server
        finally:
            server.end()


@needs_postgresql
def test_rows_of_a_postgresql_database_are_counted(server: Server) -> None:
    (found,) = data(server.item())
    assert (found["whole"], found["damage"]) == (None, [])  # without amcheck nobody knows
    assert found["tables"]["public.orders"] == {"rows": 1204, "exact": True, "shrinks": False}


@needs_postgresql
def test_a_large_table_is_estimated_and_one_that_loses_rows_by_nature_is_marked(server: Server) -> None:
    server.sql("CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 250000) g; ANALYZE big", "shop")
    server.sql("CREATE TABLE jobs AS SELECT g AS id FROM generate_series(1, 100) g", "shop")
    server.sql("DELETE FROM jobs WHERE id > 50", "shop")
    known = "SELECT pg_stat_get_tuples_deleted('jobs'::regclass) >= 50 AND pg_stat_get_live_tuples('big'::regclass) > 0"
    until = time.monotonic() + 60
    while server.sql(known, "shop") != "t" and time.monotonic() < until:
        time.sleep(0.1)
    (found,) = data(server.item())
    assert not found["tables"]["public.big"]["exact"]
    assert found["tables"]["public.big"]["rows"] == pytest.approx(250000, rel=0.1)
    assert found["tables"]["public.jobs"] == {"rows": 50, "exact": True, "shrinks": True}
    assert not found["tables"]["public.orders"]["shrinks"]
    server.sql("DROP TABLE big; DROP TABLE jobs", "shop")


@needs_postgresql
def test_a_table_that_is_locked_is_not_counted_and_the_others_are(server: Server) -> None:
    words = ["psql", "-XqAt", "-h", str(server.folder), "-p", server.port, "-d", "shop"]
    as_user = ["runuser", "-u", server.user, "--"] if server.user == "postgres" else []
    server.sql("CREATE TABLE held (id int)", "shop")
    holder = subprocess.Popen([*as_user, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    assert holder.stdin
    assert holder.stdout
    holder.stdin.write("BEGIN; LOCK TABLE held;\n\\echo held\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    try:
        (found,) = data(server.item())
    finally:
        holder.communicate()
    assert found["tables"]["public.orders"]["rows"] == 1204
    assert not found["tables"]["public.held"]["exact"]
    server.sql("DROP TABLE held", "shop")


@needs_postgresql
def test_indexes_are_checked_where_amcheck_is_installed(server: Server) -> None:
    server.sql("CREATE EXTENSION amcheck", "shop")
    (found,) = data(server.item())
    assert (found["whole"], found["damage"], found["notes"]) == (True, [], [])
    server.sql("DROP EXTENSION amcheck", "shop")


@needs_postgresql
def test_a_connection_is_left_as_it_was_for_whoever_a_pooler_gives_it_to_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("default_transaction_read_only", "row_security", "lock_timeout", "statement_timeout")
    shown = f"SELECT json_build_array({', '.join(f'current_setting($${name}$$)' for name in names)});"
    during, after = [], []

    class Watched(_postgresql_look._Session):
        def __exit__(self, *error: object) -> None:
            during.extend(self.ask(shown))
            after.extend(_psql.Psql.ask(self, shown))
            super().__exit__(*error)

    monkeypatch.setattr(_postgresql_look, "_Session", Watched)
    (found,) = data(server.item())
    assert found["tables"]["public.orders"]["rows"] == 1204
    assert during == [["off", "off", "300ms", "1s"]]
    assert after == [["off", "on", "0", "0"]]


@needs_postgresql
def test_nothing_can_be_written_by_a_look(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_postgresql_look, "_COUNT", "DELETE FROM ONLY {table} RETURNING json_build_array(1);")
    (found,) = data(server.item())
    assert not found["tables"]["public.orders"]["exact"]
    assert server.sql("SELECT count(*) FROM orders", "shop") == "1204"


@needs_postgresql
def test_rows_are_known_though_there_was_no_time_to_look_for_damage(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "SELECT json_build_array(1) FROM pg_sleep(0.2);"  # each is over before its second is
    monkeypatch.setattr(_data_look, "WITHIN_S", 3.0)
    monkeypatch.setattr(_postgresql_look, "_CHECKSUMS", slow * 60)
    (found,) = data(server.item())
    assert found["tables"]["public.orders"] == {"rows": 1204, "exact": True, "shrinks": False}
    assert found["whole"] is None
    assert "not checked for damage: there was no time" in found["notes"]


def test_a_message_that_looks_like_an_answer_is_told_as_what_it_is() -> None:
    answer = """printf '%s\\n' 'ERROR: [x' '[x" broken' '[1]' "${line#*echo }";;"""
    says = f"while read -r line; do case $line in *echo*) {answer} esac; done"
    with _psql.Psql(["sh", "-c", says], 10) as psql:
        assert psql.ask("SELECT 1;") == [[1]]
        assert psql.said == 'ERROR: [x [x" broken'


@needs_postgresql
def test_a_server_that_cannot_be_reached_is_unknown(server: Server) -> None:
    (found,) = data({**server.item(), "port": "1"})
    assert (found["whole"], found["tables"]) == (None, {})
    assert "not looked at" in found["notes"][0]
