"""A PostgreSQL database on a real server is backed up over ssh and sudo, and proved by a restore."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.lab.play import Hosts, lab

DB = "db1"
ROWS = 20_000


class Database:
    """A database of a test's own on the lab's server, and an incident of its own to back it up in."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.name = hosts, f"test_{secrets.token_hex(4)}"
        self.id, self.folder = f"INC-{self.name}", f"/srv/{self.name}"

    def sql(self, text: str, database: str | None = None) -> str:
        feed = f"SET client_min_messages = error;\n{text}".encode()
        words = ("sudo", "runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1")
        return lab.ssh(DB, "cd", "/", "&&", *words, "-d", database or self.name, feed=feed).stdout.decode().strip()

    def back_up(self, *flags: str, **variables: Any) -> dict[str, Any]:
        """Play the role; return the incident block, with the data item's facts as `fact`."""
        play = self.hosts.play("backup", DB, *flags, **{**self.variables(), **variables})
        block = play.block(DB)
        return {**block, "changed": play.results[DB]["changed"], "fact": block["facts"]["services"]["database"][0]}

    def since_backup(self) -> dict[str, Any]:
        """Play a diagnosis; return what it says of the data."""
        block = self.hosts.play("diagnosis", DB, **self.variables()).block(DB)
        (row,) = block["facts"]["services"]["database"]["since_backup"]
        return dict(row)

    def variables(self) -> dict[str, Any]:
        """What the role is told."""
        data = [{"kind": "postgresql", "database": self.name, "user": "postgres"}]
        return {
            "incident_services": [{"name": "database", "hosts": "db", "data": data}],
            "incident_id": self.id,
            "incident_state_dir": f"{self.folder}/state",
            "incident_backup_repository": f"{self.folder}/repository",
            "incident_continue": True,
        }

    def scratch_databases(self) -> str:
        return self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'incidentctl%'", "postgres")


@pytest.fixture
def database(hosts: Hosts) -> Iterator[Database]:
    hosts.need(DB)
    made = Database(hosts)
    made.sql(f"CREATE DATABASE {made.name}", "postgres")
    made.sql("CREATE TABLE orders AS SELECT n, repeat('x', 100) AS note FROM generate_series(1, 20000) AS n")
    yield made
    made.sql(f"DROP DATABASE {made.name} WITH (FORCE)", "postgres")
    hosts.run(DB, "rm", "-rf", made.folder)


@pytest.mark.parametrize("tool", ["restic", "tar"])
def test_it_is_verified_and_comes_back_by_the_command_that_is_named(database: Database, tool: str) -> None:
    variables = {} if tool == "restic" else {"incident_backup_password_file": "/nowhere"}
    done = database.back_up(**variables)
    assert (done["outcome"], done["fact"]["verified"], done["fact"]["tool"]) == ("done", True, tool)
    assert database.scratch_databases() == ""
    database.sql("DELETE FROM orders WHERE n % 2 = 0")
    restore = done["fact"]["restore"]
    lab.ssh(DB, "cd / && sudo sh", feed=restore.encode())
    assert database.sql("SELECT count(*) FROM orders") == str(ROWS)


def test_a_second_run_changes_nothing_and_the_check_writes_nothing(database: Database) -> None:
    check = database.back_up("--check", "--diff")
    assert (check["outcome"], database.hosts.says(DB, "ls", database.folder)) == ("done", "")
    database.back_up()
    again = database.back_up()
    assert (again["outcome"], again["changed"], again["fact"]["verified"]) == ("unchanged", False, True)
    database.sql("UPDATE orders SET note = 'y' WHERE n = 7")
    assert database.back_up()["outcome"] == "done"


def test_a_diagnosis_counts_the_rows_that_were_written_since_the_backup(database: Database) -> None:
    assert (database.since_backup()["at"], database.since_backup()["writes"]) == (None, None)
    made = database.back_up()["fact"]
    database.sql("INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 30) AS n; ANALYZE orders")
    row = database.since_backup()
    assert (row["at"], row["source"]) == (made["at"], "by the server's statistics")
    assert row["writes"] == {"count": 30, "of": "rows", "at_least": False, "bytes": None}
    crash = "systemctl kill --signal=KILL postgresql@15-main; systemctl restart postgresql"
    database.hosts.run(DB, "sh", "-c", f"'{crash}'")
    row = database.since_backup()
    assert (row["writes"], "began anew" in row["source"]) == (None, True), "after a crash the server has forgotten"


def test_writes_during_the_dump_do_not_break_the_verification(database: Database) -> None:
    writing = "INSERT INTO orders SELECT max(n) + 1, 'new' FROM orders; SELECT pg_sleep(0.01);\n"
    database.hosts.run(DB, "install", "-o", "postgres", "-d", database.folder)
    lab.ssh(DB, f"sudo tee {database.folder}/writing >/dev/null", feed=(writing * 3000).encode())
    psql = f"psql -Xq -o /dev/null -d {database.name} -f {database.folder}/writing"
    database.hosts.run(DB, "systemd-run", "--quiet", "--collect", "--uid=postgres", *psql.split())
    before = int(database.sql("SELECT count(*) FROM orders"))
    done = database.back_up()
    assert (done["outcome"], done["fact"]["verified"]) == ("done", True)
    assert int(database.sql("SELECT count(*) FROM orders")) > before


def test_a_backup_that_rotted_is_seen_and_made_again(database: Database) -> None:
    plain = {"incident_backup_password_file": "/nowhere"}
    first = database.back_up(**plain)["fact"]
    size = int(database.hosts.run(DB, "stat", "--format=%s", first["where"]))
    middle = ("bs=1", "count=64", f"seek={size // 2}", "conv=notrunc")
    database.hosts.run(DB, "dd", "if=/dev/zero", f"of={first['where']}", *middle)
    second = database.back_up(**plain)
    assert (second["outcome"], second["fact"]["verified"]) == ("done", True)
    assert second["fact"]["where"] != first["where"]


def test_a_dump_that_comes_out_damaged_is_not_verified(database: Database) -> None:
    # First on the PATH that sudo gives: the real tool, but its output is cut short.
    own = "/usr/local/sbin/pg_dump"
    script = '#!/bin/sh\n/usr/bin/pg_dump "$@" | head -c 5000\n'
    lab.ssh(DB, f"sudo tee {own} >/dev/null && sudo chmod 755 {own}", feed=script.encode())
    try:
        seen = database.back_up()
    finally:
        database.hosts.run(DB, "rm", own)
    assert (seen["outcome"], seen["fact"]["verified"]) == ("failed", False)
    assert "restore" not in seen["fact"]
    assert database.scratch_databases() == ""


def test_a_killed_backup_leaves_nothing_that_goes_on_and_the_next_one_is_whole(database: Database) -> None:
    own, module = "/usr/local/sbin/pg_dump", "^/usr/bin/python3 -I -S -B -"
    lab.ssh(DB, f"sudo tee {own} >/dev/null && sudo chmod 755 {own}", feed=b"#!/bin/sh\nexec sleep 121\n")
    kill = f"until pgrep -f '[s]leep 121'; do sleep 0.05; done; sleep 0.5; pkill --signal KILL --oldest -f '{module}'"
    lab.ssh(DB, f"sudo tee {database.folder}.sh >/dev/null", feed=kill.encode())
    try:
        database.hosts.run(DB, "systemd-run", "--quiet", "--collect", "sh", f"{database.folder}.sh")
        killed = database.hosts.play("backup", DB, **database.variables())
        until = time.monotonic() + 10
        while left := database.hosts.says(DB, "pgrep", "--list-full", "--full", f"'[s]leep 121|{module}'"):
            assert time.monotonic() < until, left
    finally:
        database.hosts.run(DB, "rm", own, f"{database.folder}.sh")
    assert "ended before it answered" in killed.said
    done = database.back_up()
    assert (done["outcome"], done["fact"]["verified"]) == ("done", True)
    assert database.scratch_databases() == ""
    assert "work-" not in database.hosts.run(DB, "ls", f"{database.folder}/state/backups")


def test_a_disk_without_room_is_refused_with_figures(database: Database) -> None:
    refused = database.back_up(backup_reserve_mb=10**9)
    assert refused["outcome"] == "refused"
    assert "1000000" in refused["reason"]
