"""What tests of several modules need: a host with a packet filter, and one that is asked for evidence."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _clocks,
    _dead_man,
    _evidence_place,
    _held_back,
    _ledger,
    _rule_removal,
    _ssh_session,
)
from tests.postgresql_server import Server
from tests.small_service import SmallService, open_folder
from tests.unit.modules.collecting import Params, asked
from tests.unit.modules.packet_filter import FILTER, LOGIN


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SmallService]:
    """A service that the host has, and that may be stopped."""
    service = SmallService(tmp_path / "shop")
    yield service
    service.end()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL with nothing in it, for all tests of a module."""
    with open_folder() as folder:
        server = Server(folder)
        yield server
        server.end()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host with a packet filter of each family and without systemd; return the folder of its state."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*_rule_removal.SAVE.values(), *_rule_removal.RESTORE.values()):
        (folder / name).write_text(FILTER.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(_dead_man, "BOOTED", str(tmp_path / "no-systemd"))
    places, script = [str(tmp_path / "etc")], _dead_man._script
    monkeypatch.setattr(_clocks, "PLACES", places)
    # What a clock starts is a program of its own: it would look through this machine, find nothing, and end at once.
    own = f"\nPLACES = {places!r}\nsys.exit(strike("
    monkeypatch.setattr(_dead_man, "_script", lambda *words: script(*words).replace("\nsys.exit(strike(", own))
    monkeypatch.setattr(_chain, "has_ipv6", lambda: True)
    (tmp_path / "recent").mkdir()
    monkeypatch.setattr(_rule_removal, "_BACKENDS", ())
    monkeypatch.setattr(_held_back, "_RECENT", tmp_path / "recent")
    monkeypatch.setattr(_held_back, "_TIMES", tmp_path / "times")
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN)
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    yield folder
    shutil.rmtree(tmp_path / "state" / "clocks", ignore_errors=True)  # which ends what still waits there


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Ask for all evidence of one host, whose bundle goes into a folder of the test."""
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(_evidence_place, "_WORK_PLACES", (str(tmp_path / "work"),))
    return asked()
