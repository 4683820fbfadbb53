"""One data item, its repository, and a backup of it that is run as a process of its own, so that it can be cut off.

As a program: back up what the JSON on standard input says, with a fault if it names one, and print the answer.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "driver")]

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _archives,
    _backup,
    _restic,
    _tree,
)
from tests.faults.filling import Filling
from tests.postgresql_server import Server

KINDS = ("files", "sqlite", "postgresql")
TOOLS = ("tar", "restic")
PASSWORD = "of a repository that lives for minutes"  # noqa: S105
_ROW_BYTES = 8000
_LONG_S = 300.0


class Answer(NamedTuple):
    """What a backup answered: its row of actions and its fact; both empty if it was killed."""

    row: dict[str, Any]
    fact: dict[str, Any]

    @property
    def verified(self) -> bool:
        """Say whether it claims to be verified."""
        return bool(self.fact.get("verified"))


class Site:
    """A data item below `top`; PostgreSQL's is a database of `server`."""

    def __init__(self, top: Path, kind: str, tool: str, size: int, server: Server | None = None) -> None:
        """Make it, of about `size` bytes that cannot be compressed."""
        self.top, self.kind, self.tool, self.server = top, kind, tool, server
        self.state, self.repository = top / "state", top / "repository"
        self.data = top / "data"
        self.data.mkdir(parents=True)
        self.password = top / "password"
        if tool == "restic":
            self.password.write_text(PASSWORD)
        self._make(max(1, size // _ROW_BYTES))
        self.wanted = self.seen()

    def item(self) -> dict[str, Any]:
        """Return what the catalogue says of it."""
        if self.server:
            return self.server.item()
        return {"kind": self.kind, "path": str(self.data if self.kind == "files" else self.data / "shop.db")}

    def service(self) -> dict[str, Any]:
        """Return the service of the catalogue that it belongs to."""
        return {"name": "shop", "hosts": "web", "data": [self.item()]}

    def params(self, incident: str, **more: Any) -> dict[str, Any]:
        """Return what the module is given."""
        return {
            "services": [self.service()],
            "only": [],
            "host_name": "web1",
            "host_groups": ["web"],
            "incident_id": incident,
            "state_dir": str(self.state),
            "repository": str(self.repository),
            "password_file": str(self.password),
            "reserve_mb": 10,
            "initialise": "auto",
            **more,
        }

    def start(
        self, incident: str, fault: dict[str, Any] | None = None, filling: Filling | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        """Start a backup, with a disk that fills beside it, if there is one; `finish` waits for its end."""
        told = json.dumps({"params": self.params(incident, **more), "fault": fault or {}}).encode()
        argv, passed = (
            [*(filling.command() if filling else []), sys.executable, __file__],
            filling.passed if filling else (),
        )
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=passed)
        if filling:
            filling.close()
            filling.start()
        assert process.stdin
        process.stdin.write(told)
        process.stdin.close()
        process.stdin = None
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Answer:
        """Wait for its end. Raise RuntimeError if it ended by itself without an answer."""
        said, errors = process.communicate(timeout=_LONG_S)
        if process.returncode < 0:
            return Answer({}, {})
        if process.returncode:
            raise RuntimeError(errors.decode())
        block = json.loads(said)["incident"]
        return Answer(block["actions"][0], block["facts"]["services"]["shop"][0])

    def back_up(self, incident: str, fault: dict[str, Any] | None = None, **more: Any) -> Answer:
        """Back up, and wait for the end."""
        return self.finish(self.start(incident, fault, **more))

    def wrong(self, answer: Answer) -> list[str]:
        """Return what is not as promised: a claim that does not hold when it is tried, and what was left behind."""
        found = [f"left behind: {path}" for path in self.left()]
        if not answer.verified:
            return [*found, *(["a way back without a proof"] if answer.fact.get("restore") else [])]
        problem = self.restored(answer.fact["restore"])
        return [*found, f"false verified: {problem}"] if problem else found

    def restored(self, command: str) -> str:
        """Destroy the data, run a command of the report, and return what is otherwise than it was; then make it good."""
        keep = self.top / "kept"
        if self.server:
            self.server.sql("DELETE FROM blobs", "shop")
        else:
            self.data.rename(keep)
        try:
            done = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, check=False)  # noqa: S602
            same = self.seen() == self.wanted if done.returncode == 0 else False
            return "" if same else f"the command for it exited {done.returncode}: {done.stderr[-300:]}"
        except (OSError, sqlite3.Error) as error:
            return str(error)
        finally:
            if not self.server:
                shutil.rmtree(self.data, ignore_errors=True)
                keep.rename(self.data)
            elif self.seen() != self.wanted:
                raise RuntimeError("the database is not as it was: nothing more can be tried with it")

    def left(self) -> list[str]:
        """Return what a backup that has ended must not leave: copies, drafts, scratch databases."""
        found = [*self.state.glob("backups/work-*"), *self.repository.rglob("*.draft")]
        return [*map(str, found), *(self.server.leftovers().split() if self.server else [])]

    def seen(self) -> Any:
        """Return all that there is."""
        if self.server:
            return self.server.sql("SELECT count(*), md5(string_agg(md5(blob), '' ORDER BY id)) FROM blobs", "shop")
        if self.kind == "files":
            return _tree.scan(self.data).rows
        with contextlib.closing(sqlite3.connect(self.data / "shop.db")) as shop:
            rows = shop.execute("SELECT id, blob FROM blobs ORDER BY id")
            return hashlib.sha256(repr(rows.fetchall()).encode()).hexdigest()

    def _make(self, rows: int) -> None:
        if self.server:
            self.server.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
            self.server.sql("CREATE DATABASE shop")
            # Of hashes, as text: pg_dump makes half as much of it.
            self.server.sql("CREATE TABLE blobs (id int, blob text)", "shop")
            hashes = "SELECT string_agg(encode(sha512((n * 1000 + m)::text::bytea), 'hex'), '') FROM generate_series(1, 62) m"
            self.server.sql(f"INSERT INTO blobs SELECT n, ({hashes}) FROM generate_series(1, {rows}) n", "shop")  # noqa: S608
        elif self.kind == "files":
            for number in range(4):
                (self.data / f"{number}.bin").write_bytes(os.urandom(rows * _ROW_BYTES // 4))
        else:
            with contextlib.closing(sqlite3.connect(self.data / "shop.db")) as shop:
                shop.execute("CREATE TABLE blobs (id, blob)")
                shop.executemany("INSERT INTO blobs VALUES (?, ?)", ((n, os.urandom(_ROW_BYTES)) for n in range(rows)))
                shop.commit()


def flip(repository: Path, seed: int) -> str:
    """Flip one bit of a repository; return where. Locks are left out: they hold nothing."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated
    files = sorted(path for path in repository.rglob("*") if path.is_file() and path.stat().st_size)
    files = [path for path in files if "locks" not in path.parts]
    path = dice.choices(files, [path.stat().st_size if dice.random() < 0.5 else 1000 for path in files])[0]
    content, place = bytearray(path.read_bytes()), dice.randrange(path.stat().st_size)
    content[place] ^= 1 << dice.randrange(8)
    path.chmod(0o600)
    path.write_bytes(content)
    return f"{path.relative_to(repository)} at {place}"


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return (process id, name) of all that a process has started, and what that has."""
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            name = Path(f"/proc/{child}/comm").read_text().strip()
            found += [(int(child), name), *descendants(int(child))]
    return found


def kill_one(pid: int, name: str, nth: int, after_s: float, alive: Callable[[], bool]) -> bool:
    """Kill the nth process called `name` below `pid`, so long after it was first seen; say whether there was one."""
    seen: list[int] = []
    while alive():
        for child, its_name in descendants(pid):
            if its_name == name and child not in seen:
                seen.append(child)
                if len(seen) == nth:
                    time.sleep(after_s)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                        return True
                    return False
        time.sleep(0.002)
    return False


def _with_fault(fault: dict[str, Any]) -> None:
    if "uid" in fault:
        gzip.compress(b"")  # loads what that user may not be able to read any more
        os.setgroups([])
        os.setgid(fault["uid"])
        os.setuid(fault["uid"])
    if "flip" in fault:
        for tool in (_archives.Archives, _restic.Restic):
            _flip_after(tool, fault["flip"])


def _flip_after(tool: Any, seed: int) -> None:
    """Flip a bit between the storing of a backup and its proof."""
    real = tool.store

    def store(self: Any, *args: Any) -> str:
        where = real(self, *args)
        top = Path(self.repository) if isinstance(self, _restic.Restic) else self.folder
        print(flip(top, seed), file=sys.stderr)
        return str(where)

    tool.store = store


if __name__ == "__main__":
    told = json.load(sys.stdin)
    _with_fault(told["fault"])
    print(json.dumps(_backup.run(told["params"], check_mode=False)))
