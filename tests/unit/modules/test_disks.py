"""Disks: how full, what fills them and who writes it, looked for in bounded time, and nothing followed out of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _disks,
    _findings,
    _folders,
    _growth,
    _mounts,
    _open_files,
    _procfs,
)
from tests.unit.modules.host_figures import CALM

GIB, MIB = 1 << 30, 1 << 20
# Opens the file, says so, waits for a line, does something, says so, and waits for another line.
WRITER = """
import os, sys
file = open(sys.argv[1], "ab", buffering=0)
file.write(b"x")
if sys.argv[2] == "delete":
    os.truncate(sys.argv[1], 4096)
    file.write(b"x" * 4096)
    os.unlink(sys.argv[1])
print(flush=True)
input()
if sys.argv[2] == "write":
    file.write(b"x" * 1000000)
print(flush=True)
input()
"""


@contextmanager
def writer(path: Path, act: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", WRITER, str(path), act]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    print(file=process.stdin, flush=True)
    process.stdout.readline()


def known(process: subprocess.Popen[str]) -> dict[int, _procfs.Process]:
    one = _procfs.process(process.pid)
    assert one
    return {process.pid: one}


def fill(folder: Path, **files: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in files.items():
        (folder / name).write_bytes(b"x" * size)


def test_two_paths_of_one_disk_are_one_disk(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    here = [str(tmp_path / "a"), str(tmp_path)]
    looks = [
        _disks.of_services([{"data": [{"kind": "files", "path": path} for path in paths]}])
        for paths in (here, here[1:])
    ]
    assert [disk["path"] for disk in looks[0]] == [disk["path"] for disk in looks[1]]


def test_disk_that_does_not_answer_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_disks, "WITHIN_S", 1.0)
    monkeypatch.setattr(_mounts, "own", list)
    asked: list[str] = []
    over = threading.Event()

    def statvfs(path: Path) -> None:
        asked.append(str(path))
        over.wait(30)
        over.set()

    monkeypatch.setattr(_disks.os, "statvfs", statvfs)
    found = _growth.look([], _growth.begin([], {}), {})
    assert (asked, over.is_set()) == (["/"], False), "it was asked once, and not waited for"
    over.set()
    figures = dict.fromkeys(("used_percent", "total_bytes", "free_bytes", "inodes_used_percent"))
    assert found["disks"] == [{"path": "/", **figures, "bytes_per_minute": 0}]
    assert "does not answer" in _findings.rank({}, {**CALM, "disks": found["disks"]}, {})[0]["text"]


def test_disk_that_answers_no_more_at_the_second_look_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = _growth.Begun(
        time.monotonic(), [], {"/": _folders.walk(str(tmp_path), [], time.time())}, _open_files.scan([], 0)
    )
    monkeypatch.setattr(_disks, "WITHIN_S", 0.1)
    hangs = threading.Event()
    monkeypatch.setattr(_folders, "growth", lambda _walk: hangs.wait(10))
    monkeypatch.setattr(_open_files, "growing", lambda *_given: hangs.wait(10))
    found = _growth.look([], begun, {})
    assert not hangs.is_set()
    hangs.set()
    assert (found["folders"], found["growing"], found["deleted"]) == ([], [], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_place_that_only_root_may_look_into_is_on_the_disk_of_what_holds_it(tmp_path: Path) -> None:
    (tmp_path / "main" / "base").mkdir(parents=True)
    (tmp_path / "main").chmod(0o700)
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        (disk,) = _disks.disks_of([str(tmp_path / "main" / "base")])
    finally:
        os.seteuid(0)
    assert disk["total_bytes"] == _disks.disks_of([str(tmp_path)])[0]["total_bytes"]


def test_heaviest_folder_is_the_deepest_that_holds_most(tmp_path: Path) -> None:
    fill(tmp_path / "cache" / "a" / "b", one=400_000, two=300_000)
    fill(tmp_path / "cache" / "c", three=200_000)
    fill(tmp_path / "logs", old=100_000)
    os.utime(tmp_path / "logs" / "old", (0, 0))
    (tmp_path / "logs" / "link").symlink_to("/usr")
    found = _folders.walk(str(tmp_path), [], time.time())
    root = str(tmp_path)
    assert found.whole
    assert _folders.heaviest(found.held, root)[0] == str(tmp_path / "cache" / "a" / "b")
    assert _folders.heaviest(found.recent, root)[0] == str(tmp_path / "cache" / "a" / "b")
    assert str(tmp_path / "logs" / "old") not in found.files
    assert sum(found.entries.values()) == found.looked_at == 10
    assert _folders.heaviest({}, root) == (root, 0)


def test_the_largest_new_file_is_known_however_many_came_after_it(tmp_path: Path) -> None:
    fill(tmp_path / "logs", flood=500_000)
    os.utime(tmp_path / "logs" / "flood", (time.time() - 600,) * 2)
    fill(tmp_path / "cache", **{f"f{number}": 1 for number in range(5 * _folders._LATELY)})
    found = _folders.walk(str(tmp_path), [], time.time())
    assert max(found.files, key=lambda path: found.files[path][0]) == str(tmp_path / "logs" / "flood")
    assert len(found.files) <= _folders._LATELY + 1


def test_named_folders_are_looked_at_first_when_there_is_no_time_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        fill(tmp_path / f"other-{number}", **{f"f{n}": 1 for n in range(10)})
    fill(tmp_path / "shop" / "data", big=1)
    monkeypatch.setattr(_folders, "ENTRIES", 20)
    found = _folders.walk(str(tmp_path), [str(tmp_path / "shop" / "data"), "/usr", "/nonexistent"], time.time())
    assert not found.whole
    assert found.entries[str(tmp_path / "shop" / "data")] == 1
    assert found.looked_at < 60
    monkeypatch.setattr(_folders, "WALL_S", -1.0)
    assert _folders.walk(str(tmp_path), [], time.time()).looked_at == 0


def test_what_grows_between_two_looks_is_the_growth_of_its_folder(tmp_path: Path) -> None:
    fill(tmp_path / "cache", one=4096, two=4096)
    found = _folders.walk(str(tmp_path), [], time.time())
    fill(tmp_path / "cache", one=1_000_000)
    grown, seconds = _folders.growth(found)
    assert list(grown) == [str(tmp_path / "cache" / "one")]
    assert 900_000 < grown[str(tmp_path / "cache" / "one")] < 1_100_000
    assert 0 < seconds < 60


def test_file_that_grows_is_told_with_who_writes_it(tmp_path: Path) -> None:
    with writer(tmp_path / "web.log", "write") as process:
        first = _open_files.scan([process.pid], time.time())
        go_on(process)
        (row,) = _open_files.growing(first, known(process))
    assert row["path"] == str(tmp_path / "web.log")
    assert row["bytes_per_minute"] > 1_000_000
    assert row["by"][0].startswith("python")
    assert row["device"] == tmp_path.stat().st_dev


def test_deleted_file_that_is_still_open_is_told_with_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_open_files, "_DELETED", 4096)
    with writer(tmp_path / "big", "delete") as process:
        first = _open_files.scan([process.pid], time.time())
        (row,) = _open_files.deleted(first, known(process))
        count = first.counts[process.pid]
    assert row == {
        "path": str(tmp_path / "big"), "bytes": 8192, "pid": process.pid, "name": row["name"], "device": tmp_path.stat().st_dev,
    }  # fmt: skip
    assert 4 <= count < 20


def test_process_near_its_limit_of_descriptors_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    for pid, limit in ((5, "64"), (6, "1024"), (7, "unlimited")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "limits").write_text(f"Limit\nMax open files            {limit}     4096     files\n")
    processes = {pid: _procfs.Process(pid, "web", "S", 1, 0, 0, 0.0, 1, 0, 0, 0) for pid in (5, 6, 7)}
    assert _open_files.near_their_limit({5: 60, 6: 60, 7: 60}, processes) == [
        {"pid": 5, "name": "web", "open": 60, "limit": 64}
    ]


def test_only_what_the_host_itself_writes_to_is_a_disk_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:2 / /var/my\\040data rw shared:1 - xfs /dev/sda2 rw\n"
        "3 1 8:1 /srv /bound rw - ext4 /dev/sda1 rw\n"
        "4 1 7:0 / /snap/core ro - squashfs /dev/loop0 ro\n"
        "5 1 0:4 / /tmp rw - tmpfs tmpfs rw\n"
        "6 1 0:5 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
        "7 1 8:3 / /srv rw - ext4 /dev/sda3 ro,errors=remount-ro\n"
        "8 1 8:4 / /usr ro - ext4 /dev/sda4 ro\n"
        "9 1 0:9 / /nfs rw - nfs4 server:/x rw\n"
        "no mount at all\n"
    )
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "# device place kind options\n/dev/sda4 /usr ext4 ro 0 0\n/dev/sda5 /backup ext4 defaults 0 0\n"
        "/dev/sda6 /rare ext4 noauto 0 0\n/dev/sda7 none swap sw 0 0\nUUID=1 /var/my\\040data/ xfs rw 0 0\nbroken\n"
    )
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    monkeypatch.setattr(_mounts, "FSTAB", fstab)
    assert _mounts.own() == ["/", "/tmp", "/var/my data"]  # noqa: S108 - compared only
    assert _mounts.read_only() == ["/srv"]
    assert _mounts.missing() == ["/backup"]
    monkeypatch.setattr(_mounts, "FSTAB", tmp_path / "none")
    assert _mounts.missing() == []


DISK = {
    "path": "/srv", "used_percent": 50.0, "total_bytes": 10 * GIB, "free_bytes": 5 * GIB, "inodes_used_percent": 5.0,
    "bytes_per_minute": 0,
}  # fmt: skip
FULL = {**DISK, "used_percent": 97.0, "free_bytes": 300 * MIB}
FOLDERS = {
    "disk": "/srv", "largest": {"path": "/srv/old", "bytes": 8 * GIB}, "most_entries": {"path": "/srv/old", "entries": 9},
    "recent": {"path": "/srv/cache", "bytes": 0}, "recent_file": {"path": "", "bytes": 0},
    "recent_entries": {"path": "/srv/cache", "entries": 0},
    "growing": {"path": "/srv/cache", "bytes_per_minute": 0}, "looked_at": 9, "whole": True,
}  # fmt: skip
FLOOD = {"path": "/srv/web.log", "bytes_per_minute": 100 * MIB, "by": ["nginx"], "disk": "/srv", "log": True}


def told(**change: Any) -> list[tuple[str, str, str]]:
    return [(one["severity"], one["kind"], one["text"]) for one in _findings.rank({}, {**CALM, **change}, {})]


def test_folder_that_fills_a_disk_is_named_by_what_grows_or_is_new_or_else_large() -> None:
    growing = {**FOLDERS, "growing": {"path": "/srv/cache", "bytes_per_minute": 100 * MIB}}
    new = {**FOLDERS, "recent": {"path": "/srv/cache", "bytes": 4 * GIB}}
    file = {**new, "recent_file": {"path": "/srv/cache/app.log", "bytes": 3 * GIB}}
    for found, words in (
        (
            file,
            (
                "critical",
                "folder_growing",
                "/srv/cache/app.log, written within the last hour, holds 3.0 GiB of /srv, which is 97 % full",
            ),
        ),
        (growing, ("critical", "folder_growing", "/srv/cache grows by 100.0 MiB a minute: full in 3 min")),
        (
            new,
            (
                "critical",
                "folder_growing",
                "files in /srv/cache that were written within the last hour hold 4.0 GiB of /srv",
            ),
        ),
        (FOLDERS, ("info", "folder_largest", "most of what was looked at on /srv is in /srv/old: 8.0 GiB")),
    ):
        full = ("critical", "disk", "disk /srv: 97 % full, 300.0 MiB free")
        assert told(disks=[FULL], folders=[found]) == [full, words]
        assert told(disks=[DISK], folders=[found]) == [], "it has room, and it takes long"


def test_folder_with_very_many_new_files_is_named_where_inodes_are_short() -> None:
    crowded = {**DISK, "inodes_used_percent": 99.0}
    found = {
        **FOLDERS,
        "recent_entries": {"path": "/srv/sessions", "entries": 50_000},
        "most_entries": {"path": "/srv", "entries": 90_000},
    }
    assert told(disks=[crowded], folders=[found])[1] == (
        "critical", "folder_growing", "50000 files are in /srv/sessions, of the last hour",
    )  # fmt: skip
    old = {**found, "recent_entries": {"path": "/srv/sessions", "entries": 5}}
    assert told(disks=[crowded], folders=[old])[1][2] == "90000 files are in /srv"


def test_disk_that_fills_while_we_look_is_told_though_it_is_not_full_yet() -> None:
    fills = {**DISK, "bytes_per_minute": GIB}
    assert told(disks=[fills]) == [("critical", "folder_growing", "disk /srv fills by 1.0 GiB a minute: full in 5 min")]
    assert told(disks=[{**fills, "bytes_per_minute": 20 * MIB}]) == []


def test_log_that_grows_fast_is_told_with_who_writes_it_and_no_folder_beside_it() -> None:
    words = "/srv/web.log grows by 100.0 MiB a minute, written by nginx"
    assert told(disks=[DISK], growing=[FLOOD]) == [("warning", "folder_growing", f"{words}: full in 51 min")]
    assert told(growing=[{**FLOOD, "disk": None}]) == [("warning", "folder_growing", words)]
    found = told(
        disks=[FULL], growing=[FLOOD], folders=[{**FOLDERS, "growing": {"path": "/srv", "bytes_per_minute": GIB}}]
    )
    assert [one[:2] for one in found] == [("critical", "disk"), ("critical", "folder_growing")]
    assert found[1][2] == f"{words}: full in 3 min"
    assert told(growing=[{**FLOOD, "bytes_per_minute": MIB, "disk": None}]) == []
    huge = {**DISK, "free_bytes": 900 * GIB}
    assert told(disks=[huge], growing=[{**FLOOD, "log": False}]) == [], "a database at work"


def test_file_that_fills_a_small_disk_within_the_hour_is_told_however_slowly_it_grows() -> None:
    small = {**DISK, "total_bytes": 24 * MIB, "free_bytes": 4 * MIB, "used_percent": 81.7, "bytes_per_minute": 0}
    row = {**FLOOD, "bytes_per_minute": 8 * MIB}
    words = "/srv/web.log grows by 8.0 MiB a minute, written by nginx: full in 30 s"
    assert told(disks=[small], growing=[row]) == [("critical", "folder_growing", words)]
    assert told(disks=[{**small, "free_bytes": GIB}], growing=[row]) == [], "that takes two hours"


def test_deleted_file_counts_where_its_disk_is_full() -> None:
    row = {"path": "/srv/old.log", "bytes": GIB, "pid": 7, "name": "java", "disk": "/srv"}
    text = "java (7) keeps /srv/old.log open, which is deleted: 1.0 GiB of /srv"
    assert ("critical", "deleted_open", text) in told(disks=[FULL], deleted=[row])
    assert told(disks=[DISK], deleted=[row]) == []


def test_mounts_that_are_not_as_they_should_be() -> None:
    found = told(mounts={"read_only": ["/srv"], "missing": ["/backup"]})
    assert [one[:2] for one in found] == [("critical", "read_only"), ("warning", "not_mounted")]
