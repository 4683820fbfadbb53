"""What came since a backup is counted by who counts it anyway: never less than there was, and unknown where nobody can tell."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup,
    _psql,
    _since_backup,
    _tree,
    _writes,
    _writes_postgresql,
    _writes_sqlite,
)
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder

needs_postgresql = pytest.mark.skipif(BIN is None, reason="PostgreSQL is not here")
Facts = dict[str, Any]


class Site:
    """A host with one service, whose data are backed up and asked about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items: list[Facts] = []

    def services(self) -> list[Facts]:
        return [{"name": "shop", "hosts": "web", "data": self.items}]

    def back_up(self) -> Facts:
        params = {
            "services": self.services(), "only": [], "host_name": "web1", "host_groups": ["web"], "incident_id": "INC-1",
            "state_dir": str(self.folder / "state"), "repository": str(self.folder / "repository"),
            "password_file": "", "reserve_mb": 1, "initialise": "auto",
        }  # fmt: skip
        incident: Facts = _backup.run(params, False)["incident"]
        assert incident["outcome"] in ("done", "unchanged"), incident["actions"]
        return incident

    def since(self) -> Facts:
        """What is told of the one item that there is."""
        (row,) = _since_backup.look(self.services(), str(self.folder / "state"))["shop"]
        return row

    def forget_what_was_noted(self) -> None:
        """Have the backup be one of an older version."""
        (path,) = (self.folder / "state" / "backups").glob("shop-*.json")
        kept = json.loads(path.read_text())
        for entry in kept["backups"]:
            del entry["noted"]
        path.write_text(json.dumps(kept))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def data(site: Site) -> Path:
    """A folder with two orders, older than anything that comes, by the clock of the file system itself."""
    folder = site.folder / "data"
    (folder / "orders").mkdir(parents=True)
    for name in ("1", "2"):
        (folder / "orders" / name).write_text("an order")
    site.items = [{"kind": "files", "path": str(folder)}]
    passes(folder / "orders" / "2")
    return folder


def passes(path: Path) -> None:
    """Wait until files get another time than this one has: the kernel's clock for them goes in steps."""
    tick = path.parent.parent.parent / "tick"
    then = path.lstat().st_ctime_ns
    while tick.touch() or tick.stat().st_ctime_ns <= then:
        time.sleep(0.001)


def counted(row: Facts) -> tuple[int, str, bool]:
    assert row["writes"] is not None, row["source"]
    return row["writes"]["count"], row["writes"]["of"], row["writes"]["at_least"]


def test_files_that_were_written_since_are_counted_with_their_bytes(site: Site, data: Path) -> None:
    site.back_up()
    assert counted(site.since()) == (0, "files", False)
    (data / "orders" / "3").write_text("12345")
    (data / "orders" / "1").write_text("other")
    row = site.since()
    assert counted(row) == (2, "files", False)
    assert (row["writes"]["bytes"], row["source"]) == (10, "by when its files changed")


def test_a_file_that_was_put_there_with_an_old_time_is_new_all_the_same(site: Site, data: Path) -> None:
    site.back_up()
    (data / "orders" / "3").write_text("12345")
    os.utime(data / "orders" / "3", (1, 1))
    assert counted(site.since()) == (1, "files", False)


def test_what_was_removed_is_never_no_write(site: Site, data: Path) -> None:
    site.back_up()
    (data / "orders" / "1").unlink()
    assert counted(site.since()) == (1, "files", True)
    shutil.rmtree(data / "orders")
    assert counted(site.since()) == (1, "files", True)


def test_a_file_that_goes_while_it_is_looked_for_hides_no_other(
    site: Site, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.back_up()
    for name in ("3", "4", "5"):
        (data / "orders" / name).write_text("12345")
    scandir = os.scandir

    @contextlib.contextmanager
    def with_a_removal(folder: str) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        (data / "orders" / "4").unlink(missing_ok=True)
        yield found

    monkeypatch.setattr(os, "scandir", with_a_removal)
    assert counted(site.since()) == (2, "files", False)


def test_a_file_that_changes_while_it_is_backed_up_counts_as_written_since(
    site: Site, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = _tree.copy

    def with_a_write(*args: Any) -> Any:
        copied = copy(*args)
        (data / "orders" / "1").write_text("newer than what was copied")
        return copied

    monkeypatch.setattr(_tree, "copy", with_a_write)
    site.back_up()
    assert counted(site.since()) == (1, "files", False)


def test_a_tree_that_is_too_large_says_at_least_or_nothing(
    site: Site, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.back_up()
    monkeypatch.setattr(_writes, "_MOST", 2)
    assert (site.since()["writes"], site.since()["source"]) == (None, "it holds more than could be looked through")
    for name in ("1", "2"):
        (data / "orders" / name).write_text("other")
    assert counted(site.since()) == (1, "files", True)


def test_of_files_in_an_older_backup_the_time_that_it_took_counts_as_after_it(site: Site, data: Path) -> None:
    site.back_up()
    site.forget_what_was_noted()
    (data / "orders" / "3").write_text("12345")
    count, of, _ = counted(site.since())
    assert (count >= 1, of) == (True, "files")


def test_without_a_verified_backup_nothing_is_counted(site: Site, data: Path) -> None:
    row = site.since()
    assert (row["at"], row["writes"], row["source"]) == (None, None, "it is in no verified backup of this host")


def test_a_list_that_cannot_be_read_is_not_taken_for_no_backup(site: Site, data: Path) -> None:
    site.back_up()
    (path,) = (site.folder / "state" / "backups").glob("shop-*.json")
    path.write_text("{")
    assert site.since()["source"].startswith("the list of its backups cannot be read")
    path.write_text('{"backups": ["?"]}')
    assert site.since()["source"].startswith("the list of its backups cannot be read")


def test_what_was_noted_by_hand_broken_is_unknown(site: Site, data: Path) -> None:
    site.back_up()
    (path,) = (site.folder / "state" / "backups").glob("shop-*.json")
    kept = json.loads(path.read_text())
    kept["backups"][-1]["noted"] = {"else": 1}
    path.write_text(json.dumps(kept))
    assert site.since()["writes"] is None


def test_content_that_is_found_backed_up_already_is_as_new_as_that_look(site: Site, data: Path) -> None:
    first = site.back_up()["facts"]["services"]["shop"][0]["at"]
    (data / "orders" / "1").write_text("an order")  # the same again
    assert counted(site.since())[0] == 1
    passes(data / "orders" / "1")
    again = site.back_up()
    assert (again["outcome"], again["facts"]["services"]["shop"][0]["at"] > first) == ("unchanged", True)
    assert counted(site.since()) == (0, "files", False)


@pytest.fixture
def database(site: Site) -> Path:
    path = site.folder / "shop.db"
    site.items = [{"kind": "sqlite", "path": str(path)}]
    write(path, "CREATE TABLE orders (id INTEGER PRIMARY KEY, note)")
    return path


def write(path: Path, *statements: str) -> None:
    """Do each in a transaction of its own, as a program that closes the database again."""
    with contextlib.closing(sqlite3.connect(path)) as shop:
        for statement in statements:
            with shop:
                shop.execute(statement)


INSERT = "INSERT INTO orders (note) VALUES ('x')"


def test_transactions_of_a_database_are_counted_exactly(site: Site, database: Path) -> None:
    site.back_up()
    assert counted(site.since()) == (0, "transactions", False)
    write(database, INSERT, INSERT, "UPDATE orders SET note = 'y'", "SELECT 1")
    row = site.since()
    assert (counted(row), row["source"]) == ((3, "transactions", False), "by its own counter")


def test_a_database_that_was_put_in_the_place_of_another_is_unknown(site: Site, database: Path) -> None:
    site.back_up()
    other = site.folder / "other.db"
    shutil.copy(database, other)
    write(other, INSERT)
    other.replace(database)
    assert site.since()["writes"] is None
    assert "replaced" in site.since()["source"]


def test_an_older_state_that_was_written_over_a_database_is_unknown(site: Site, database: Path) -> None:
    older = database.read_bytes()
    write(database, INSERT)
    site.back_up()
    database.write_bytes(older)
    assert (site.since()["writes"], "does not tell" in site.since()["source"]) == (None, True)


def test_a_log_that_goes_on_counts_its_transactions_across_checkpoints(site: Site, database: Path) -> None:
    write(database, "PRAGMA journal_mode=wal")
    with contextlib.closing(sqlite3.connect(database)) as shop:
        with shop:
            shop.execute(INSERT)
        site.back_up()
        assert counted(site.since()) == (0, "transactions", False)
        for _round in range(3):
            for _ in range(10):
                with shop:
                    shop.execute(INSERT)
            shop.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        assert counted(site.since()) == (30, "transactions", True)


def test_a_checkpoint_alone_is_no_write(site: Site, database: Path) -> None:
    write(database, "PRAGMA journal_mode=wal")
    with contextlib.closing(sqlite3.connect(database)) as shop:
        with shop:
            shop.execute(INSERT)
        site.back_up()
        shop.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        assert counted(site.since()) == (0, "transactions", False)


def test_a_log_that_began_anew_tells_what_came_since_it_did(site: Site, database: Path) -> None:
    write(database, "PRAGMA journal_mode=wal")
    with contextlib.closing(sqlite3.connect(database)) as shop:
        for _ in range(20):
            with shop:
                shop.execute(INSERT)
        site.back_up()
    with contextlib.closing(sqlite3.connect(database)) as shop:
        for _ in range(3):
            with shop:
                shop.execute(INSERT)
        assert counted(site.since()) == (3, "transactions", True)
    row = site.since()
    assert (row["writes"], "nobody has it open" in row["source"]) == (None, True)


def test_an_older_backup_of_a_database_tells_only_that_nothing_was_written(site: Site, database: Path) -> None:
    os.utime(database, (1, 1))
    site.back_up()
    site.forget_what_was_noted()
    path = next((site.folder / "state" / "backups").glob("shop-*.json"))
    kept = json.loads(path.read_text())
    kept["backups"][-1]["seconds"] = -5.0  # as if all had been read five seconds after the backup said
    path.write_text(json.dumps(kept))
    assert counted(site.since()) == (0, "transactions", False)
    kept["backups"][-1]["seconds"] = 5.0
    path.write_text(json.dumps(kept))
    assert (site.since()["writes"], site.since()["source"]) == (None, _since_backup._OLD)


def test_looking_takes_no_lock_and_leaves_nothing_behind(site: Site, database: Path) -> None:
    site.back_up()
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as shop:
        shop.execute("BEGIN EXCLUSIVE")
        before = sorted(path.name for path in site.folder.iterdir())
        assert counted(site.since()) == (0, "transactions", False)
        assert sorted(path.name for path in site.folder.iterdir()) == before


@pytest.fixture
def shop(server: Server, site: Site) -> Server:
    server.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    server.sql("CREATE DATABASE shop")
    server.sql(
        "CREATE TABLE orders (id int, note text); INSERT INTO orders SELECT n FROM generate_series(1, 50) n", "shop"
    )
    site.items = [server.item()]
    return server


@needs_postgresql
def test_rows_of_postgresql_are_counted_and_those_of_its_catalogs_are_not(site: Site, shop: Server) -> None:
    site.back_up()
    assert counted(site.since()) == (0, "rows", False)
    shop.sql(
        "INSERT INTO orders SELECT n FROM generate_series(1, 30) n; UPDATE orders SET note = 'x' WHERE id <= 5", "shop"
    )
    shop.sql("DELETE FROM orders WHERE id = 1", "shop")
    shop.sql("ANALYZE orders; CREATE INDEX on_id ON orders (id); CREATE TABLE more (a int)", "shop")
    row = site.since()
    assert (counted(row), row["source"]) == ((30 + 10 + 2, "rows", False), "by the server's statistics")


@needs_postgresql
def test_a_connection_is_left_as_it_was_for_whoever_a_pooler_gives_it_to_next(
    site: Site, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("default_transaction_read_only", "lock_timeout", "statement_timeout")
    shown = f"SELECT json_build_array({', '.join(f'current_setting($${name}$$)' for name in names)});"
    after: list[list[str]] = []

    class Watched(_psql.Psql):
        def __exit__(self, *error: object) -> None:
            after.extend(self.ask(shown))
            super().__exit__(*error)

    site.back_up()
    monkeypatch.setattr(_writes_postgresql, "Psql", Watched)
    assert counted(site.since()) == (0, "rows", False)
    assert after == [["off", "0", "0"]]


@needs_postgresql
def test_nothing_can_be_written_by_counting(site: Site, shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    site.back_up()
    asked = _writes_postgresql._ASK.replace("SELECT", "DELETE FROM orders;\nSELECT", 1)
    monkeypatch.setattr(_writes_postgresql, "_ASK", asked)
    assert "read-only" in site.since()["source"]
    assert shop.sql("SELECT count(*) FROM orders", "shop") == "50"


@needs_postgresql
def test_rows_of_a_table_that_was_dropped_and_large_objects_stay_counted(site: Site, shop: Server) -> None:
    site.back_up()
    shop.sql("CREATE TABLE gone (a int); INSERT INTO gone VALUES (1), (2)", "shop")
    shop.sql("DROP TABLE gone; SELECT lo_from_bytea(0, 'large')", "shop")
    assert counted(site.since()) == (3, "rows", False)


@needs_postgresql
@pytest.mark.parametrize(
    "anew",
    ["SELECT pg_stat_reset()", "SELECT pg_stat_reset_shared('bgwriter')"],
    ids=["of the database", "of the server"],
)
def test_statistics_that_began_anew_make_it_unknown(site: Site, shop: Server, anew: str) -> None:
    site.back_up()
    shop.sql(anew, "shop")
    shop.sql("INSERT INTO orders SELECT n FROM generate_series(1, 500) n", "shop")
    assert (site.since()["writes"], "began anew" in site.since()["source"]) == (None, True)


@needs_postgresql
def test_a_crash_of_the_server_makes_it_unknown(site: Site, tmp_path: Path) -> None:
    with open_folder() as folder:
        server = Server(folder)
        try:
            server.sql("CREATE DATABASE shop")
            server.sql("CREATE TABLE orders (id int)", "shop")
            site.items = [server.item()]
            site.back_up()
            server.end()
            server.start()
            server.sql("INSERT INTO orders SELECT n FROM generate_series(1, 500) n", "shop")
            assert (site.since()["writes"], "began anew" in site.since()["source"]) == (None, True)
        finally:
            server.end()


@needs_postgresql
def test_another_database_of_the_name_makes_it_unknown(site: Site, shop: Server) -> None:
    site.back_up()
    shop.sql("DROP DATABASE shop WITH (FORCE)")
    shop.sql("CREATE DATABASE shop")
    shop.sql("CREATE TABLE orders (id int); INSERT INTO orders SELECT n FROM generate_series(1, 500) n", "shop")
    assert site.since()["writes"] is None


@needs_postgresql
def test_a_server_that_counts_nothing_makes_it_unknown(site: Site, shop: Server) -> None:
    site.back_up()
    shop.sql("ALTER DATABASE shop SET track_counts = off")
    assert (site.since()["writes"], "track_counts" in site.since()["source"]) == (None, True)


@needs_postgresql
def test_a_backup_whose_counters_cannot_be_noted_is_made_all_the_same(
    site: Site, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_place: Place, _within_s: float) -> Facts:
        raise OSError("no")

    with monkeypatch.context() as patched:
        patched.setattr(_writes_postgresql, "note", refused)
        site.back_up()
    assert (site.since()["writes"], site.since()["source"]) == (None, _since_backup._OLD)


@needs_postgresql
def test_a_server_that_is_away_makes_it_unknown_with_its_words(site: Site, shop: Server) -> None:
    site.back_up()
    (path,) = (site.folder / "state" / "backups").glob("shop-*.json")
    site.items = [{**site.items[0], "port": "1"}]
    shutil.copy(path, path.parent / f"{_list_name(site.items[0])}")
    assert (site.since()["writes"], site.since()["at"] is None) == (None, False)


def _list_name(item: Facts) -> str:
    return _since_backup._backup_list.of("/", "shop", item["kind"], _since_backup._backup_list.called(item)).name


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("SQLite")
    with pytest.raises(OSError, match="too short"):
        _writes_sqlite.note(tmp_path / "no.db")
