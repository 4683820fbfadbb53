"""What the report says brings the data back, is run as it stands there: each kind of data, from each kind of repository.

Roles are played as an operator plays them, on two hosts that are both this machine and begin at the same moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.module_utils import _tree
from tests import postgresql_server, repositories
from tests.integration.test_roles_evidence_backup import answers_of
from tests.repositories import Repository
from tests.small_service import open_folder

from incidentctl import report
from incidentctl.incident import Event

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "canary-of-the-repository"  # noqa: S105 - for the time of a test
HOSTS = ("web1", "web2")


class Data:
    """A service's data of each kind that can be had here, and how to see it, and to destroy it."""

    def __init__(self, top: Path, server: postgresql_server.Server | None) -> None:
        self.top, self.server = top, server
        (top / "files" / "deep").mkdir(parents=True)
        (top / "files" / "deep" / "it's \" odd").write_bytes(os.urandom(300_000))
        (top / "files" / "link").symlink_to("deep/nowhere")
        (top / "db").mkdir()
        with contextlib.closing(sqlite3.connect(top / "db" / "shop.db")) as shop:
            shop.execute("PRAGMA journal_mode=wal")
            shop.execute("CREATE TABLE orders (id, note)")
            shop.executemany("INSERT INTO orders VALUES (?, ?)", [(n, os.urandom(20)) for n in range(500)])
            shop.commit()
        if server:
            server.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
            server.sql("DROP ROLE IF EXISTS clerk")
            server.sql("CREATE ROLE clerk")
            server.sql("CREATE DATABASE shop OWNER clerk")
            server.sql(
                "SET ROLE clerk; CREATE TABLE orders AS SELECT n, md5(n::text) FROM generate_series(1, 500) n", "shop"
            )

    def items(self) -> list[dict[str, Any]]:
        """Return what the catalogue says of it."""
        items = [
            {"kind": "files", "path": str(self.top / "files")},
            {"kind": "sqlite", "path": str(self.top / "db" / "shop.db")},
        ]
        return [*items, self.server.item()] if self.server else items

    def seen(self) -> list[Any]:
        """Return all that there is: hashes, modes, links, rows."""
        with contextlib.closing(sqlite3.connect(self.top / "db" / "shop.db")) as shop:
            rows = shop.execute("SELECT * FROM orders ORDER BY id").fetchall()
        shops = [self.server.sql("SELECT * FROM orders ORDER BY n", "shop")] if self.server else []
        return [_tree.scan(self.top / "files").rows, rows, *shops]

    def destroy(self, database_too: bool) -> None:
        """Remove what is in files, write over the database of SQLite, and drop table or database of the server."""
        shutil.rmtree(self.top / "files")
        (self.top / "db" / "shop.db").write_bytes(os.urandom(100_000))
        (self.top / "db" / "shop.db-wal").write_bytes(b"what is newer")
        if self.server and database_too:
            self.server.sql("DROP DATABASE shop WITH (FORCE)")
            self.server.sql("DROP ROLE clerk")
        elif self.server:
            self.server.sql("UPDATE orders SET md5 = 'gone'; DELETE FROM orders WHERE n % 2 = 0", "shop")


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql_server.Server | None]:
    """A PostgreSQL server, where its programs are installed: tests/lab has one in any case."""
    if postgresql_server.BIN is None:
        yield None
        return
    with open_folder() as folder:
        started = postgresql_server.Server(folder)
        yield started
        started.end()


@pytest.fixture(params=["archives", *repositories.KINDS])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """A repository of each kind; restic is given its password for all but plain archives."""
    kind = "local" if request.param == "archives" else request.param
    if lack := repositories.missing(kind):
        pytest.skip(lack)
    if request.param != "archives":
        (tmp_path / "password").write_text(PASSWORD)
    with repositories.serving(kind, tmp_path / "far") as found:
        yield found


def play(top: Path, data: Data, repository: Repository) -> tuple[dict[str, Any], str]:
    """Back up as two hosts at once; return their answers by host, and all that was said."""
    service = {"name": "shop", "hosts": "web", "data": data.items()}
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_pipelining": True,
        "incident_become": False,
        "incident_state_dir": str(top / "state" / "{{ inventory_hostname }}"),
        "incident_backup_repository": repository.said,
        "incident_backup_password_file": str(top / "password"),
        "incident_services": [service],
    }
    inventory = {"all": {"vars": common, "children": {"web": {"hosts": {host: {} for host in HOSTS}}}}}
    (top / "inventory.yml").write_text(yaml.safe_dump(inventory))
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{repository.path}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCAL_TEMP": str(top / "ansible"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    argv = ["ansible-playbook", "-vvv", "incidentctl.response.backup", "-i", str(top / "inventory.yml")]
    done = subprocess.run(argv, env=env, cwd=top, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return answers_of(done.stdout), done.stdout + done.stderr


def commands(top: Path, answers: dict[str, Any]) -> dict[str, list[str]]:
    """Return what the report says is to be run, by host, as a person would copy it from report.md."""
    events = [
        Event("INC-1", n, "2026-01-01T00:00:00.000+00:00", "a test", kind, data, "", "")
        for n, (kind, data) in enumerate(
            [
                ("declared", {"title": "lost", "severity": "critical"}),
                *(
                    ("host_outcome", {**block, "phase": "contain", "host": host, "capability": "backup"})
                    for host, block in answers.items()
                ),
            ]
        )
    ]
    text = report.write(events, top / "report").read_text()
    found: dict[str, list[str]] = {host: [] for host in answers}
    for host, rest in re.findall(r"then on (\w+),.*?\n\n((?:(?!^To restore|^## ).*\n)*)", text, re.MULTILINE):
        found[host] += re.findall(r"^```sh\n(.*)\n```$", rest, re.MULTILINE)
    return found


def run(command: str, repository: Repository) -> None:
    env = {**os.environ, "PATH": repository.path}
    done = subprocess.run(command, shell=True, cwd="/", env=env, capture_output=True, text=True, check=False)  # noqa: S602 - as a person would
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_what_the_report_says_brings_the_data_back(
    tmp_path: Path, repository: Repository, server: postgresql_server.Server | None
) -> None:
    data = Data(tmp_path, server)
    before = data.seen()
    argv_seen: set[bytes] = set()
    over = threading.Event()
    watcher = threading.Thread(target=look_at_processes, args=(over, argv_seen))
    watcher.start()
    try:
        answers, said = play(tmp_path, data, repository)
    finally:
        over.set()
        watcher.join()
    for host in HOSTS:
        facts = answers[host]["facts"]["services"]["shop"]
        assert [fact["verified"] for fact in facts] == [True] * len(data.items())
    if (repository.folder / "keys").exists():
        assert len(list((repository.folder / "keys").iterdir())) == 1, "it was initialised twice"
        assert any(b"restic" in argv for argv in argv_seen)
    for secret in (PASSWORD, repositories.REST_PASSWORD):
        assert secret not in said + json.dumps(answers)
        assert not [argv for argv in argv_seen if secret.encode() in argv]
    by_host = commands(tmp_path, answers)
    for host, drop in zip(HOSTS, (False, True), strict=True):
        files, database, *rest = by_host[host]
        data.destroy(database_too=drop)
        for command in [files, database, *([rest[1 if drop else 0]] if rest else [])]:
            run(command, repository)
        assert data.seen() == before


def look_at_processes(over: threading.Event, found: set[bytes]) -> None:
    """Keep the command line of every process of this machine that is seen until it is over."""
    while not over.wait(0.05):
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found.add((process / "cmdline").read_bytes())
