"""A PostgreSQL backup is verified only if it came back, row for row, in a scratch database that is gone afterwards."""

from __future__ import annotations

import gzip
import io
import os
import pwd
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _archives,
    _backup,
    _backup_room,
    _postgresql,
    _psql,
    _restic,
)
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from tests.postgresql_server import BIN, Server

RESTIC = pytest.param("restic", marks=pytest.mark.skipif(not shutil.which("restic"), reason="restic is not here"))
needs_postgresql = pytest.mark.skipif(BIN is None, reason="PostgreSQL is not here")
ROWS = 3000

Params = dict[str, Any]


@pytest.fixture
def shop(server: Server) -> Server:
    """The server with a database that has what is easily forgotten: odd names, partitions, large objects, triggers."""
    server.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    server.sql("CREATE DATABASE shop")
    server.sql(
        """
        CREATE TABLE orders (id integer PRIMARY KEY, note text);
        INSERT INTO orders SELECT n, E'\\r\\n\\\\restrict ' || n FROM generate_series(1, 3000) AS n;
        CREATE SCHEMA "odd "" name"; CREATE TABLE "odd "" name"."t;'
        able" (a int); INSERT INTO "odd "" name"."t;'
        able" VALUES (1);
        CREATE TABLE log (at date) PARTITION BY RANGE (at);
        CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        INSERT INTO log VALUES ('2026-02-03');
        CREATE UNLOGGED TABLE cache (a int); INSERT INTO cache VALUES (1);
        CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM orders;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''never''; END';
        CREATE TRIGGER refuse BEFORE INSERT ON orders EXECUTE FUNCTION refuse();
        CREATE PUBLICATION of_orders FOR TABLE orders;
        SELECT lo_from_bytea(0, 'large');
        """,
        "shop",
    )
    return server


@pytest.fixture
def params(tmp_path: Path) -> Params:
    return {
        "services": [],
        "only": [],
        "host_name": "db1",
        "host_groups": ["db"],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
        "repository": str(tmp_path / "repository"),
        "password_file": str(tmp_path / "password"),
        "reserve_mb": 1,
        "initialise": "auto",
    }


def back_up(params: Params, item: dict[str, Any], check_mode: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    service = {"name": "database", "hosts": "db", "data": [item]}
    answer = _backup.run({**params, "services": [service]}, check_mode)
    (row,) = answer["incident"]["actions"]
    (fact,) = answer["incident"]["facts"]["services"]["database"]
    return row, fact


@needs_postgresql
@pytest.mark.parametrize("tool", ["tar", RESTIC])
def test_a_database_comes_back_by_the_command_that_is_named(tool: str, params: Params, shop: Server) -> None:
    if tool == "restic":
        Path(params["password_file"]).write_text("a canary password")
    row, fact = back_up(params, shop.item())
    assert fact["tool"] == tool
    assert (row["outcome"], row["verified"]) == ("done", True), row
    assert fact["path"] == f"{shop.folder}:{shop.port}/shop"
    assert shop.leftovers() == ""
    shop.sql(
        "DROP TABLE orders CASCADE; UPDATE log SET at = '2026-05-05'; SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        "shop",
    )
    subprocess.run(fact["restore"], shell=True, check=True, cwd="/")  # noqa: S602 - as a person would
    assert shop.sql("SELECT count(*), max(note) FROM orders", "shop").startswith(f"{ROWS}|")
    assert shop.sql("SELECT at FROM log", "shop") == "2026-02-03"
    assert shop.sql("SELECT count(*) FROM pg_largeobject_metadata", "shop") == "1"


@needs_postgresql
def test_a_second_run_changes_nothing_and_check_mode_knows(params: Params, shop: Server) -> None:
    first = back_up(params, shop.item())[1]
    for check_mode in (True, False):
        row, fact = back_up(params, shop.item(), check_mode)
        assert (row["outcome"], {**fact, "at": first["at"]}) == ("unchanged", first)
        assert (fact["at"] > first["at"]) is not check_mode, "what was proved anew is as old as before"
    shop.sql("UPDATE log SET at = '2026-05-05'", "shop")
    assert back_up(params, shop.item(), check_mode=True)[0]["outcome"] == "done"
    assert back_up(params, shop.item())[0]["outcome"] == "done"


@needs_postgresql
def test_the_roles_of_the_server_are_kept_beside_the_dump(params: Params, shop: Server, tmp_path: Path) -> None:
    shop.sql("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN")
    _row, fact = back_up(params, shop.item())
    tool = _backup._tool(params)
    tool.restore(fact["where"], tmp_path / "back")
    assert "CREATE ROLE clerk" in (tmp_path / "back" / _postgresql.GLOBALS).read_text()


@needs_postgresql
def test_writes_during_the_dump_do_not_break_the_verification(params: Params, shop: Server) -> None:
    def write() -> None:
        while not over.is_set():
            shop.sql("INSERT INTO cache VALUES (2); DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)", "shop")

    over = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        rows = [back_up({**params, "incident_id": f"INC-{n}"}, shop.item())[0] for n in range(3)]
    finally:
        over.set()
        writer.join()
    assert [row["outcome"] for row in rows] == ["done"] * 3
    assert int(shop.sql("SELECT count(*) FROM cache", "shop")) > 3


def after(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]) -> None:
    """Let something happen to the copy between the dump and its way into the repository."""
    real = _postgresql.copy

    def copy(place: Place, target: Path, keep: Callable[[], None]) -> dict[str, int]:
        counts = real(place, target, keep)
        act(target)
        return counts

    monkeypatch.setattr(_postgresql, "copy", copy)


@needs_postgresql
def test_rows_that_were_not_dumped_are_seen_and_the_scratch_database_goes(
    params: Params, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _postgresql.copy
    monkeypatch.setattr(_postgresql, "copy", lambda *args: {**real(*args), "public.orders": ROWS + 1})
    row, fact = back_up(params, shop.item())
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert "other rows came back in public.orders" in row["summary"]
    assert "restore" not in fact
    assert shop.leftovers() == ""


@needs_postgresql
@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_dump_is_never_verified(
    keep: float, params: Params, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(folder: Path) -> None:
        dump = folder / _postgresql.DUMP
        os.truncate(dump, int(keep if keep > 1 else keep * dump.stat().st_size))

    after(monkeypatch, cut)
    row, fact = back_up(params, shop.item())
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert shop.leftovers() == ""


@needs_postgresql
def test_a_dump_that_is_damaged_in_the_archive_is_not_verified(
    shop: Server, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _archives.Archives.store

    def store(self: Any, *args: Any) -> str:
        where = real(self, *args)
        content = bytearray(gzip.decompress(Path(where).read_bytes()))
        content[2000] ^= 1  # within the dump's table of contents; the archive itself is sound
        Path(where).write_bytes(gzip.compress(bytes(content)))
        return where

    monkeypatch.setattr(_archives.Archives, "store", store)
    row, fact = back_up(params, shop.item())
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert shop.leftovers() == ""


@needs_postgresql
def test_a_dump_that_does_not_restore_leaves_no_scratch_database(
    params: Params, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _postgresql._run

    def run(argv: list[str], **more: Any) -> None:
        if argv[-1] == "--no-subscriptions":
            raise _postgresql.PostgresqlError("pg_restore: killed")
        real(argv, **more)

    monkeypatch.setattr(_postgresql, "_run", run)
    row, _fact = back_up(params, shop.item())
    assert row["outcome"] == "failed"
    assert "pg_restore: killed" in row["summary"]
    assert shop.leftovers() == ""


@needs_postgresql
def test_what_a_killed_run_left_is_dropped_by_the_next_and_that_of_others_is_not(
    params: Params, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_postgresql, "_drop", lambda _place, _name: None)
        back_up(params, shop.item())
    (own,) = shop.leftovers().splitlines()
    shop.sql(f"CREATE DATABASE {_postgresql.SCRATCH}other_1")
    back_up({**params, "incident_id": "INC-2"}, shop.item())
    assert shop.leftovers() == f"{_postgresql.SCRATCH}other_1"
    assert own.startswith(_postgresql.SCRATCH)
    shop.sql(f"DROP DATABASE {_postgresql.SCRATCH}other_1")


@needs_postgresql
def test_a_disk_without_room_for_dump_and_scratch_database_is_refused(
    params: Params, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 10))
    row, _fact = back_up(params, shop.item())
    assert row["outcome"] == "refused"
    assert "would have to be free" in row["summary"]


@needs_postgresql
@pytest.mark.parametrize(
    ("change", "words"),
    [({"database": "nowhere"}, "nowhere"), ({"port": 1}, "No such file"), ({"user": "ghost"}, "ghost")],
)
def test_a_database_that_cannot_be_reached_says_why(
    params: Params, shop: Server, change: dict[str, Any], words: str
) -> None:
    row, _fact = back_up(params, {**shop.item(), **change})
    assert row["outcome"] == "failed"
    assert words in row["summary"]


@needs_postgresql
def test_a_session_that_hangs_is_ended_at_its_deadline(shop: Server) -> None:
    argv = Place.of(shop.item()).argv("psql", "-XqAt", database="shop")
    began = time.monotonic()
    with _psql.Psql(argv, 0.5) as psql, pytest.raises(_psql.PsqlError, match="deadline"):
        psql.ask("SELECT pg_sleep(600);")
    assert time.monotonic() - began < 60


def test_room_is_needed_once_in_each_place_and_counted_by_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 9, 3_000_000 + (16 << 20)))
    elsewhere = Path("/proc")
    _backup_room.require([tmp_path, tmp_path, elsewhere], 1_000_000, 0)
    with pytest.raises(_backup_room.RefusedError, match=r"3\.3 × 1\.0 MB"):
        _backup_room.require([tmp_path, tmp_path, tmp_path], 1_000_000, 0)


@pytest.mark.parametrize("name", ["postgresql://u:canary@h/shop", "host=h password=canary", "a\0b"])
def test_a_connection_string_is_no_database(name: str) -> None:
    assert "not a connection string" in _postgresql.why_not(Place(name, None, None, None))


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool.startswith("pg_dump") else f"/usr/bin/{tool}")
    assert _postgresql.why_not(Place("shop", None, None, None)).startswith("pg_dump, pg_dumpall of PostgreSQL's client")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "runuser" else f"/usr/bin/{tool}")
    assert "runuser" in _postgresql.why_not(Place("shop", pwd.getpwuid(0).pw_name, None, None))


def test_root_becomes_the_os_user_and_others_only_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.of({"database": "shop", "user": pwd.getpwuid(0).pw_name, "port": 5433})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert place.argv("pg_dump", "-Fc", database="shop") == [
        *("runuser", "-u", "root", "--", "env", f"HOME={pwd.getpwuid(0).pw_dir}"),
        *("pg_dump", "--no-password", "--port=5433", "--username=root", "--dbname=shop", "-Fc"),
    ]
    assert place._replace(user="no such account").argv("psql")[0] == "psql"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert place.argv("psql") == ["psql", "--no-password", "--port=5433", "--username=root"]


def test_the_key_that_newer_tools_draw_does_not_change_a_digest() -> None:
    def digest(text: str) -> bytes:
        fed: list[bytes] = []
        _postgresql._digest_script(type("Digest", (), {"update": staticmethod(fed.append)}), io.BytesIO(text.encode()))
        return b"".join(fed)

    script = "-- dump\n\\restrict {0}\nCOPY t FROM stdin;\n\\restrict me\n\\unrestrict me\n\\.\n\\unrestrict {0}\n"
    assert digest(script.format("k3y")) == digest(script.format("other"))
    assert b"\\restrict me\n\\unrestrict me" in digest(script.format("k3y"))


def test_the_command_that_restores_shows_no_password(tmp_path: Path) -> None:
    place = Place.of({"database": "my shop", "host": "db1"})
    restic = _restic.Restic("file:/etc/incidentctl/repository", "/etc/incidentctl/restic", "db1")
    command = _postgresql.restore_command(place, restic.print_command("1234", _postgresql.DUMP))
    assert command == (
        "restic --repository-file /etc/incidentctl/repository --password-file /etc/incidentctl/restic dump 1234 /database.dump"
        " | pg_restore --no-password --host=db1 '--dbname=my shop' --clean --if-exists --single-transaction"
    )
