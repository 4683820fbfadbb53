"""A backup is verified only if it was restored and came back the same; whatever goes wrong, it says so."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import tarfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _archives,
    _backup,
    _backup_room,
    _command,
    _restic,
    _sqlite,
    _tree,
    _turn,
)

Params = dict[str, Any]
RESTIC = pytest.param("restic", marks=pytest.mark.skipif(not shutil.which("restic"), reason="restic is not here"))


@pytest.fixture
def params(tmp_path: Path) -> Params:
    return {
        "services": [],
        "only": [],
        "host_name": "web1",
        "host_groups": ["web"],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
        "repository": str(tmp_path / "repository"),
        "password_file": str(tmp_path / "password"),
        "reserve_mb": 1,
        "initialise": "auto",
    }


@pytest.fixture(params=["tar", RESTIC])
def tool(request: pytest.FixtureRequest, params: Params) -> str:
    """Let a test run with either tool."""
    if request.param == "restic":
        Path(params["password_file"]).write_text("a canary password")
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with all that files can be: links, odd names, modes, nothing, a socket's kin."""
    data = tmp_path / "data"
    (data / "deep" / "empty").mkdir(parents=True)
    (data / "orders.txt").write_text("1\n2\n")
    (data / "orders.txt").chmod(0o640)
    (data / "deep" / "blob").write_bytes(os.urandom(200_000))
    (data / "nothing").touch(mode=0o400)
    (data / "name with ' \" \n and ü").write_text("odd")
    Path(os.fsdecode(os.fsencode(data) + b"/\xff\xfe")).write_text("not UTF-8")
    (data / "link").symlink_to("/etc//hosts")
    (data / "dangling").symlink_to("../nowhere")
    os.mkfifo(data / "pipe")
    (data / "deep" / "empty").chmod(0o500)
    (data / "deep").chmod(0o500)
    return data


@pytest.fixture
def service(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A service that has its database open: the rows are in the write-ahead log alone."""
    (tmp_path / "db").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "db" / "shop.db")) as shop:
        shop.execute("PRAGMA journal_mode=wal")
        shop.execute('CREATE TABLE "odd "" name" (a)')
        shop.execute("CREATE TABLE orders (id, note)")
        shop.executemany("INSERT INTO orders VALUES (?, ?)", [(n, "x" * 40) for n in range(2000)])
        shop.commit()
        yield shop


@pytest.fixture
def database(service: sqlite3.Connection, tmp_path: Path) -> Path:
    return tmp_path / "db" / "shop.db"


def of(params: Params, *data: dict[str, str], **more: Any) -> Params:
    return {**params, "services": [{"name": "shop", "hosts": "web", "data": list(data)}], **more}


def files(path: Path | str) -> dict[str, str]:
    return {"kind": "files", "path": str(path)}


def sqlite(path: Path | str) -> dict[str, str]:
    return {"kind": "sqlite", "path": str(path)}


def back_up(params: Params, check_mode: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run for one item; return its row of actions and of facts, that agree with each other."""
    answer = _backup.run(params, check_mode)
    (row,) = answer["incident"]["actions"]
    (fact,) = answer["incident"]["facts"]["services"]["shop"]
    assert answer["changed"] is (row["outcome"] == "done")
    assert fact["verified"] is (row.get("verified", False) or (check_mode and row["outcome"] == "unchanged"))
    return row, fact


def rows(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as shop:
        return shop.execute("SELECT * FROM orders ORDER BY id").fetchall()


def on_disk(top: Path) -> dict[str, Any]:
    return {str(p): (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in [top, *top.rglob("*")] if "db" not in p.parts}


def test_files_come_back_as_they_were_by_the_command_it_names(params: Params, tool: str, folder: Path) -> None:
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], row["verified"], fact["tool"]) == ("done", True, tool)
    assert "1 left out" in row["summary"]
    before = _tree.scan(folder)
    _tree.remove(folder)
    subprocess.run(fact["restore"], shell=True, check=True, capture_output=True)  # noqa: S602 - as a person would
    assert _tree.scan(folder).rows == before.rows


def test_a_database_in_use_comes_back_with_every_row(
    params: Params, tool: str, service: sqlite3.Connection, database: Path
) -> None:
    row, fact = back_up(of(params, sqlite(database)))
    assert (row["outcome"], fact["tool"]) == ("done", tool)
    before = rows(database)
    service.execute("DELETE FROM orders")
    service.commit()
    service.close()
    subprocess.run(fact["restore"], shell=True, check=True, capture_output=True)  # noqa: S602 - as a person would
    assert rows(database) == before


def test_a_single_file_comes_back(params: Params, tool: str, tmp_path: Path) -> None:
    source = tmp_path / "conf" / "app.ini"
    source.parent.mkdir(mode=0o751)
    source.write_text("a=1\n")
    _row, fact = back_up(of(params, files(source)))
    source.write_text("broken")
    subprocess.run(fact["restore"], shell=True, check=True, capture_output=True)  # noqa: S602 - as a person would
    assert source.read_text() == "a=1\n"
    assert stat.S_IMODE(source.parent.stat().st_mode) == 0o751


def test_a_second_run_changes_nothing_and_check_mode_knows(
    params: Params, tool: str, folder: Path, database: Path, tmp_path: Path
) -> None:
    for item in (files(folder), sqlite(database)):
        first = back_up(of(params, item))[1]
        before = on_disk(tmp_path)
        row, fact = back_up(of(params, item), check_mode=True)
        assert (row["outcome"], fact) == ("unchanged", first)
        assert on_disk(tmp_path) == before
        row, fact = back_up(of(params, item))
        assert (row["outcome"], row["verified"], {**fact, "at": first["at"]}) == ("unchanged", True, first)
        assert fact["at"] > first["at"], "what was proved anew is as old as before"


def test_check_mode_says_what_it_would_do_and_writes_nothing(
    params: Params, tool: str, folder: Path, tmp_path: Path
) -> None:
    before = on_disk(tmp_path)
    row, fact = back_up(of(params, files(folder)), check_mode=True)
    assert row["outcome"] == "done"
    assert f"would be backed up with {tool}" in row["summary"]
    assert fact["verified"] is False
    assert on_disk(tmp_path) == before


def test_changed_content_another_incident_and_a_lost_backup_make_a_new_one(params: Params, folder: Path) -> None:
    wheres = [back_up(of(params, files(folder)))[1]["where"]]
    (folder / "orders.txt").write_text("3\n")
    wheres.append(back_up(of(params, files(folder)))[1]["where"])
    wheres.append(back_up(of(params, files(folder), incident_id="INC-2"))[1]["where"])
    assert len(set(wheres)) == 3
    assert all(Path(where).is_file() for where in wheres), "a backup was pruned"
    elsewhere = back_up(of(params, files(folder), repository=str(folder.parent / "elsewhere")))[1]["where"]
    assert elsewhere.startswith(str(folder.parent / "elsewhere"))
    Path(wheres[1]).unlink()
    assert back_up(of(params, files(folder)))[0]["outcome"] == "done"


def test_backups_and_their_list_are_private_whatever_the_umask(params: Params, folder: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        back_up(of(params, files(folder)))
    finally:
        os.umask(before)
    made = [p for top in ("state", "repository") for p in [tmp_path / top, *(tmp_path / top).rglob("*")]]
    assert {stat.S_IMODE(p.stat().st_mode) for p in made if p.is_dir()} == {0o700}
    assert {stat.S_IMODE(p.stat().st_mode) for p in made if p.is_file()} == {0o600}


def test_the_list_holds_the_intent_before_the_act(
    params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(*_args: Any) -> str:
        (path,) = (tmp_path / "state" / "backups").glob("shop-files-*.json")
        states.extend(entry["state"] for entry in json.loads(path.read_text())["backups"])
        raise OSError(28, "No space left on device")

    states: list[str] = []
    monkeypatch.setattr(_archives.Archives, "store", seen)
    row, _fact = back_up(of(params, files(folder)))
    assert states == ["intended"]
    assert row["outcome"] == "failed"
    monkeypatch.undo()
    assert back_up(of(params, files(folder)))[0]["outcome"] == "done"


def damage(path: Path, where: int, mask: int) -> None:
    content = bytearray(path.read_bytes())
    content[where] ^= mask
    path.chmod(0o600)
    path.write_bytes(content)


def after_storing(monkeypatch: pytest.MonkeyPatch, kind: type, act: Callable[[str], None]) -> None:
    """Let something happen to a backup between its writing and its restoring."""
    real = kind.store

    def store(self: Any, *args: Any) -> str:
        where = real(self, *args)
        act(where)
        return str(where)

    monkeypatch.setattr(kind, "store", store)


def test_no_flipped_bit_is_ever_verified(params: Params, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50 flips all over the archive: it is verified only where what comes back is still the same."""
    dice = random.Random(8)  # noqa: S311 - a test that can be repeated
    _row, fact = back_up(of(params, files(folder)))
    wanted = _tree.scan(folder).rows
    size = Path(fact["where"]).stat().st_size
    for n in range(50):
        place, mask = dice.randrange(size), 1 << dice.randrange(8)
        with monkeypatch.context() as patch:
            after_storing(patch, _archives.Archives, lambda where, at=place, m=mask: damage(Path(where), at, m))
            row, fact = back_up(of(params, files(folder), incident_id=f"FLIP-{n}"))
        if row["outcome"] == "done":  # a flip in what gzip ignores, such as its time
            check = Path(params["state_dir"]) / f"check-{n}"
            _archives.Archives(Path(params["repository"]), "web1").restore(fact["where"], check)
            assert _tree.scan(check).rows == wanted
        else:
            assert (row["outcome"], fact["verified"]) == ("failed", False)
            assert "restore" not in fact


@pytest.mark.parametrize("cut", [0, 1, 10, 1000])
def test_a_truncated_archive_is_not_verified(
    cut: int, params: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_storing(monkeypatch, _archives.Archives, lambda where: os.truncate(where, cut))
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert "not verified" in fact["reason"]


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is not here")
def test_a_flipped_bit_in_a_restic_repository_is_not_verified(
    params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flip(_where: str) -> None:
        pack = max((tmp_path / "repository" / "data").rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
        damage(pack, 5000, 4)

    Path(params["password_file"]).write_text("a canary password")
    after_storing(monkeypatch, _restic.Restic, flip)
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)


def test_an_archive_that_rotted_is_made_again(params: Params, folder: Path) -> None:
    first = back_up(of(params, files(folder)))[1]
    damage(Path(first["where"]), 5000, 1)
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("done", True)
    assert fact["where"] != first["where"]


def test_rows_that_did_not_come_back_are_seen(params: Params, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _archives.Archives.restore

    def restore(self: Any, where: str, target: Path) -> None:
        real(self, where, target)
        with contextlib.closing(sqlite3.connect(target / "shop.db")) as shop:
            shop.execute("DELETE FROM orders WHERE id = 7")
            shop.commit()

    monkeypatch.setattr(_archives.Archives, "restore", restore)
    row, fact = back_up(of(params, sqlite(database)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)


def test_a_copy_with_other_rows_or_damage_is_told(database: Path, tmp_path: Path) -> None:
    counts = _sqlite.copy(database, tmp_path / "copy", lambda: None)
    copied = tmp_path / "copy" / "shop.db"
    assert counts == {"orders": 2000, 'odd " name': 0}
    assert [p.name for p in copied.parent.iterdir()] == ["shop.db"]
    assert _sqlite.difference(copied, counts) == ""
    assert "orders" in _sqlite.difference(copied, {**counts, "orders": 1999})
    for place in range(4096, 8192):
        damage(copied, place, 0xFF)
    with contextlib.suppress(_sqlite.DatabaseError):
        assert "damaged" in _sqlite.difference(copied, counts)


def test_the_source_database_is_never_written_to(params: Params, database: Path) -> None:
    before = {p.name: p.read_bytes() for p in database.parent.iterdir() if p.suffix != ".db-shm"}
    back_up(of(params, sqlite(database)))
    assert {p.name: p.read_bytes() for p in database.parent.iterdir() if p.suffix != ".db-shm"} == before


def test_a_disk_that_would_go_below_its_reserve_is_refused_with_figures(
    params: Params, folder: Path, tmp_path: Path
) -> None:
    row, fact = back_up(of(params, files(folder), reserve_mb=10**9))
    assert row["outcome"] == "refused"
    assert "1000000000 MB" in row["summary"]
    assert "only" in row["summary"]
    assert fact["verified"] is False
    assert not (tmp_path / "repository").exists()


def test_a_disk_that_has_no_room_to_restore_leaves_an_unverified_backup(
    params: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_where: str) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 0))

    after_storing(monkeypatch, _archives.Archives, fill)
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert Path(fact["where"]).is_file()


@pytest.mark.parametrize("point", range(1, 11))
def test_a_disk_that_fills_up_at_any_point_is_a_failure_that_leaves_no_copy(
    point: int, params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenth part of all writes, two tenths, and so on: from there on the disk is full."""
    real, counted = os.open, [0]

    def full(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and not str(path).endswith("lock"):
            counted[0] += 1
            if counted[0] >= point:
                raise OSError(28, "No space left on device", str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", full)
    row, fact = back_up(of(params, files(folder)))
    monkeypatch.undo()
    if row["outcome"] != "done":
        assert (row["outcome"], fact["verified"]) == ("failed", False)
        assert "No space" in row["summary"]
    assert counted[0] < point or row["outcome"] == "failed"
    assert not list((tmp_path / "state" / "backups").glob("work-*"))
    assert not list(tmp_path.rglob("*.draft"))


@pytest.mark.parametrize(
    ("item", "outcome", "why"),
    [
        ({"kind": "postgresql", "database": "postgresql:///shop"}, "refused", "connection string"),
        (files("relative/data"), "refused", "not absolute"),
        (files("/nowhere/at/all"), "failed", "No such file"),
        (files("/nul\0"), "failed", "null"),
        (sqlite("/nowhere/shop.db"), "failed", "No such file"),
        (sqlite("/etc/hostname"), "failed", "not a SQLite database"),
        (sqlite("/dev/null"), "failed", "device"),
    ],
)
def test_what_cannot_be_backed_up_says_why(params: Params, item: dict[str, str], outcome: str, why: str) -> None:
    row, fact = back_up(of(params, item))
    assert row["outcome"] == outcome
    assert why in fact["reason"]


@pytest.mark.parametrize("key", ["state_dir", "repository"])
def test_a_folder_that_holds_its_own_backups_is_refused(key: str, params: Params, folder: Path) -> None:
    row, _fact = back_up(of(params, files(folder), **{key: str(folder / "deep" / "ours")}))
    assert row["outcome"] == "refused"
    assert "lies in it" in row["summary"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file_is_a_failure_not_a_gap(params: Params, folder: Path) -> None:
    (folder / "orders.txt").chmod(0)
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert "orders.txt" in row["summary"]


def test_one_item_that_fails_does_not_keep_the_others_from_their_backup(params: Params, folder: Path) -> None:
    items = [files("/nowhere"), files("relative"), files(folder)]
    block = _backup.run(of(params, *items), check_mode=False)["incident"]
    assert [row["outcome"] for row in block["actions"]] == ["failed", "refused", "done"]
    assert block["outcome"] == "failed"


def test_a_folder_that_is_empty_is_skipped(params: Params, tool: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    row, fact = back_up(of(params, files(tmp_path / "empty")))
    assert (row["outcome"], fact["verified"]) == ("skipped", False)


def test_a_data_folder_that_is_itself_a_link_is_followed(params: Params, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(folder)
    row, fact = back_up(of(params, files(tmp_path / "current")))
    assert row["outcome"] == "done"
    assert fact["bytes"] == _tree.size(folder)


def test_a_file_that_is_written_to_all_the_time_is_told(
    params: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _tree._read

    def read(source: Any, *args: Any) -> Any:
        content = real(source, *args)
        if Path(f"/proc/self/fd/{source.fileno()}").readlink().name == "orders.txt":
            with (folder / "orders.txt").open("a") as stream:
                stream.write("more\n")
        return content

    monkeypatch.setattr(_tree, "_read", read)
    row, _fact = back_up(of(params, files(folder)))
    assert "1 were being written to" in row["summary"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_kept(params: Params, folder: Path) -> None:
    os.chown(folder / "orders.txt", 65534, 65534)
    _row, fact = back_up(of(params, files(folder)))
    _tree.remove(folder)
    subprocess.run(fact["restore"], shell=True, check=True, capture_output=True)  # noqa: S602 - as a person would
    assert (folder / "orders.txt").stat().st_uid == 65534


def test_a_run_waits_for_the_one_before_it_but_not_for_ever(
    params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "backups").mkdir(parents=True)
    with (tmp_path / "state" / "backups" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN))
        ended.start()
        assert back_up(of(params, files(folder)))[0]["outcome"] == "done"
        assert not ended.is_alive()
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setattr(_backup_room, "_WAIT_S", 0.2)
        with pytest.raises(OSError, match="another backup still runs"):
            _backup.run(of(params, files(folder)), check_mode=False)


def test_what_a_killed_run_left_is_swept(params: Params, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "state" / "backups" / "work-killed" / "copy"
    copy.mkdir(parents=True)
    copy.chmod(0o500)
    draft = tmp_path / "repository" / "archives" / "web1" / "shop.tar.draft"
    draft.parent.mkdir(parents=True)
    draft.touch()
    back_up(of(params, files(folder)))
    assert not copy.exists()
    assert not draft.exists()


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", "ü", ""])
def test_no_host_name_leads_out_of_the_repository(name: str, params: Params, folder: Path, tmp_path: Path) -> None:
    _row, fact = back_up(of(params, files(folder), host_name=name))
    assert Path(fact["where"]).resolve().is_relative_to(tmp_path / "repository" / "archives")


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../x", "a/../../x"])
def test_an_archive_cannot_write_outside(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(OSError, match="damaged"):
        _archives.Archives(tmp_path, "web1").restore(str(tmp_path / "evil.tar.gz"), tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_remote_repository_without_restic_is_refused_and_its_password_not_told(params: Params, folder: Path) -> None:
    row, _fact = back_up(of(params, files(folder), repository="rest:https://backup.example/r"))
    assert row["outcome"] == "refused"
    assert "needs restic" in row["summary"]
    row, _fact = back_up(of(params, files(folder), repository="rest:https://me:canary@backup.example/r"))
    assert row["outcome"] == "refused"
    assert "file:/" in row["summary"]
    assert "canary" not in row["summary"]


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is not here")
def test_restic_with_another_password_fails_and_the_password_is_nowhere(params: Params, folder: Path) -> None:
    password = Path(params["password_file"])
    password.write_text("a canary password")
    _row, fact = back_up(of(params, files(folder)))
    assert "canary" not in json.dumps(fact)
    assert not list((Path(params["repository"]) / "locks").iterdir())
    password.write_text("another canary")
    (folder / "orders.txt").write_text("new")
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert "wrong password" in fact["reason"]
    assert "canary" not in fact["reason"]


@pytest.mark.parametrize(("code", "told"), [(1, "exited 1"), (3, "not all of it could be read"), (42, "never should")])
def test_every_exit_code_of_restic_but_0_is_a_failure_and_makes_no_repository(
    code: int, told: str, params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it told of a snapshot before: a program in its place says so, and ends with that code."""
    Path(params["password_file"]).write_text("a canary password")
    (tmp_path / "bin").mkdir()
    summary = '{"message_type":"summary","snapshot_id":"0123abcd"}'
    script = f"#!/bin/sh\necho \"$@\" >>{tmp_path}/calls\necho '{summary}'\nexit {code}\n"
    (tmp_path / "bin" / "restic").write_text(script)
    (tmp_path / "bin" / "restic").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    row, fact = back_up(of(params, files(folder)))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert told in row["summary"]
    assert " init" not in (tmp_path / "calls").read_text()


def test_a_copy_that_comes_to_the_reserve_stops_and_is_removed(
    params: Params, tool: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room enough beforehand; then somebody else fills the disk."""
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((*real[:4], (20 << 20) // real.f_frsize, *real[5:]))
    monkeypatch.setattr(_backup_room, "os", types.SimpleNamespace(**{**vars(os), "statvfs": lambda _path: full}))
    row, fact = back_up(of(params, files(folder), reserve_mb=10))
    assert (row["outcome"], fact["verified"]) == ("failed", False)
    assert "20 MB are free, 10 MB must stay" in row["summary"]
    assert not list((tmp_path / "state" / "backups").glob("work-*"))


@pytest.mark.parametrize("by", ["sh", "setsid sh"])
def test_a_command_that_may_not_go_on_is_ended_with_all_that_it_started(tmp_path: Path, by: str) -> None:
    """Also what it started in a group of its own, as an engine does with what a build runs."""

    def keep() -> None:
        if (tmp_path / "begun").exists():
            raise OSError("enough")

    script = f"trap '' INT; {by} -c 'echo $$ > {tmp_path}/begun; exec sleep 60' & wait"
    with pytest.raises(OSError, match="enough"):
        _command.run(["sh", "-c", script], 30, keep=keep)
    left = Path("/proc") / (tmp_path / "begun").read_text().strip() / "stat"
    for _try in range(1000):
        if not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z":
            return  # as a zombie it waits for nobody here
        time.sleep(0.05)
    pytest.fail("what it started goes on")


def is_gone(pid: str) -> bool:
    stat = Path("/proc") / pid / "stat"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"  # it waits for nobody here
    return True


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not reached():
        time.sleep(0.02)
    return reached()


@pytest.fixture
def killed(params: Params, tmp_path: Path) -> Callable[[bool], str]:
    """Kill a process that runs a command, in its turn or without one; return the command's process id."""

    def keep() -> None:
        if (tmp_path / "full").exists():
            raise OSError("the disk is full")

    def kill(in_turn: bool) -> str:
        turn = _turn.held({**params, "incident_id": "INC-1"}, "hotfix", acts=True)
        module = os.fork()
        if module == 0:
            with turn if in_turn else contextlib.nullcontext():
                _command.run(["sh", "-c", f"echo $$ > {tmp_path}/begun; exec sleep 60"], 90, keep=keep)
            os._exit(0)
        assert within(60, lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text() != "")
        os.kill(module, signal.SIGKILL)
        os.waitpid(module, 0)
        return (tmp_path / "begun").read_text().strip()

    return kill


def test_the_command_of_a_killed_backup_ends_with_it(killed: Callable[[bool], str]) -> None:
    pid = killed(False)
    assert within(60, lambda: is_gone(pid)), "it goes on with nobody who would look at the disk, or wait for its end"


def test_the_command_of_a_killed_act_goes_on_until_the_disk_is_full(
    killed: Callable[[bool], str], params: Params, tmp_path: Path
) -> None:
    pid = killed(True)
    assert not within(1.0, lambda: is_gone(pid)), "whoever comes next waits for it"
    assert _turn._still_runs(os.open(tmp_path / "state" / "turn", os.O_RDONLY))
    (tmp_path / "full").touch()
    assert within(60, lambda: is_gone(pid))


def test_nothing_to_do_is_skipped(params: Params, tmp_path: Path) -> None:
    answer = _backup.run({**params, "services": [{"name": "shop", "hosts": "web"}]}, check_mode=False)
    assert answer["incident"]["outcome"] == "skipped"
    assert not (tmp_path / "state").exists()
