"""Evidence: the most volatile first, bounded, byte for byte, and no log can turn against its reader."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _capture,
    _evidence,
    _evidence_bundle,
    _evidence_place,
    _log_tail,
)
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError, open_regular
from tests.unit.modules.collecting import Params, collect, of_logs, row_of


def test_the_bundle_is_what_its_manifest_says(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"first\n\xff\xfe\x00 not UTF-8 \x1b[31mred\r\nlast, without an end")
    block, members, manifest = collect(of_logs(params, log))
    assert members["logs/shop/01-app.log"] == log.read_bytes()
    assert list(members) == [row["name"] for row in manifest["members"]]
    for row in manifest["members"]:
        content = members[row["name"]]
        assert (row["bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (manifest["host"], manifest["incident"]) == ("web1", "INC-1")
    assert block["outcome"] == "done"
    assert block["facts"]["members"] == len(members)
    assert block["facts"]["bytes"] == sum(len(content) for content in members.values())


def test_the_most_volatile_comes_first_then_logs_then_configuration(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("line\n")
    _block, members, manifest = collect(of_logs(params, log))
    names = list(members)
    kinds = [name.split("/")[0] for name in names]
    assert kinds == sorted(kinds, key=["volatile", "logs", "configuration"].index)
    assert set(kinds) == {"volatile", "logs", "configuration"}
    volatile = [name.split("-")[1] for name in names if name.startswith("volatile/")]
    assert volatile[:4] == ["sockets.txt", "neighbours.txt", "processes.jsonl", "memory.txt"]
    assert [row["at"] for row in manifest["members"]] == sorted(row["at"] for row in manifest["members"])
    processes = members["volatile/03-processes.jsonl"]
    mine = [p for p in map(json.loads, processes.splitlines()) if p["pid"] == os.getpid()]
    assert mine[0]["program"] == str(Path("/proc/self/exe").readlink())


def test_the_file_that_is_reported_is_the_one_that_is_fetched(params: Params) -> None:
    answer = _evidence.run(params, check_mode=False)
    bundle = Path(answer["bundle"])
    content = bundle.read_bytes()
    assert answer["incident"]["files"] == [
        {"path": params["dest"], "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    ]
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("told_by", ["login_user", "SUDO_USER"])
def test_the_bundle_belongs_to_the_login_user(params: Params, told_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if told_by == "login_user":
        params["login_user"] = "nobody"
    else:
        monkeypatch.setenv("SUDO_USER", "nobody")
        params["login_user"] = "is-not-on-this-host"
    bundle = Path(_evidence.run(params, check_mode=False)["bundle"])
    assert (bundle.owner(), bundle.parent.owner()) == ("nobody", "nobody")


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "socket", "device", "folder", "relative", "nul"])
def test_what_is_no_regular_file_is_refused_and_not_touched(kind: str, params: Params, tmp_path: Path) -> None:
    log, secret = tmp_path / "app.log", tmp_path / "secret"
    secret.write_text("the secret")
    listener = socket.socket(socket.AF_UNIX)
    path: Path | str = log
    if kind == "symlink":
        log.symlink_to(secret)
    elif kind == "dangling":
        log.symlink_to(tmp_path / "nowhere")
    elif kind == "fifo":
        os.mkfifo(log)
    elif kind == "socket":
        listener.bind(str(log))
    elif kind == "folder":
        log.mkdir()
    else:
        path = {"device": "/dev/zero", "relative": "app.log", "nul": "/app\0.log"}[kind]
    block, members, manifest = collect(of_logs(params, path))
    listener.close()
    assert block["outcome"] == "done"
    assert [row["origin"] for row in manifest["refused"]] == [str(path)]
    assert not [name for name in members if name.startswith("logs/")]
    assert b"the secret" not in b"".join(content for name, content in members.items() if "process" not in name)
    assert len(block["facts"]["refused"]) == 1


def test_a_link_put_there_between_look_and_open_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = tmp_path / "app.log", os.open
    log.write_text("harmless")

    def swap(path: Any, *rest: Any, **more: Any) -> int:
        log.unlink()
        os.mkfifo(log)
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(NotRegularError, match="FIFO"):
        open_regular(log)


def test_a_sparse_giant_costs_its_cap(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "giant.log"
    with log.open("wb") as stream:
        stream.truncate(1 << 40)
        stream.seek(0, os.SEEK_END)
        stream.write(b"the end")
    _block, members, manifest = collect(of_logs(params, log, max_file_bytes=1 << 20))
    content = members["logs/shop/01-giant.log"]
    assert len(content) == 1 << 20
    assert content.endswith(b"the end")
    assert row_of(manifest, "logs/shop/01-giant.log")["cut_by"] == "bytes"


def test_a_cap_that_is_too_small_cuts_the_large_logs_alike_and_leaves_the_small_ones_whole(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_evidence, "_volatile_parts", list)  # where very many processes run, these are cut as well
    logs = [tmp_path / f"{n}.log" for n in range(4)]
    for log, size in zip(logs, (1 << 20, 1 << 20, 1 << 16, 1 << 20)):
        log.write_bytes(os.urandom(size))
    _block, _members, whole = collect(params)
    room = sum(row["bytes"] for row in whole["members"]) + (3 << 19)
    block, members, manifest = collect(of_logs(params, *logs, max_bytes=room))
    assert sum(len(content) for content in members.values()) <= room
    assert members["logs/shop/03-2.log"] == logs[2].read_bytes()
    large = [members[name] for name in ("logs/shop/01-0.log", "logs/shop/02-1.log", "logs/shop/04-3.log")]
    assert all(log.read_bytes().endswith(content) for log, content in zip((logs[0], logs[1], logs[3]), large))
    assert max(map(len, large)) - min(map(len, large)) < 1 << 17
    assert min(map(len, large)) > 1 << 18
    assert "1 of 4 logs whole, 3 cut to fit" in block["actions"][0]["summary"]
    assert manifest["estimate"]["bytes"] > room
    assert len(block["facts"]["cut"]) == 3


def test_what_there_is_no_room_for_is_named(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(os.urandom(1 << 20))
    block, members, manifest = collect(of_logs(params, log, max_bytes=1000))
    assert sum(len(content) for content in members.values()) <= 1000
    assert {"origin": str(log), "reason": "the bundle was full before it"} in manifest["missing"]
    assert block["outcome"] == "done"


@pytest.mark.parametrize(
    ("cap", "word"), [("max_seconds", "the 0 s for this host"), ("max_cpu_seconds", "the 0 s of CPU")]
)
def test_what_there_is_no_time_for_is_named(cap: str, word: str, params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("line\n")
    block, members, manifest = collect(of_logs(params, log, **{cap: 0}))
    assert not members
    reasons = {row["origin"]: row["reason"] for row in manifest["missing"]}
    assert reasons[str(log)].startswith(word)
    assert "/proc" in reasons
    assert block["facts"]["missing"][-1].startswith("and ")


def test_a_part_that_hangs_costs_its_own_time_and_is_named(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    log, hanging = tmp_path / "app.log", tmp_path / "hanging.log"
    for path in (log, hanging):
        path.write_text("line\n")
    real = _log_tail.read

    def read(stream: Any, *rest: Any) -> Any:
        if Path(f"/proc/self/fd/{stream.fileno()}").readlink() == hanging:
            ended.wait(60)
        return real(stream, *rest)

    monkeypatch.setattr(_log_tail, "read", read)
    monkeypatch.setattr(_evidence_bundle, "_PART_S", 2.0)
    monkeypatch.setattr(_evidence_bundle, "_GRACE_S", 0.2)
    try:
        _block, members, manifest = collect(of_logs(params, hanging, log))
    finally:
        ended.set()
    assert {"origin": str(hanging), "reason": "it could not be read in time"} in manifest["missing"]
    assert members["logs/shop/02-app.log"] == b"line\n"


def test_collecting_goes_behind_all_else_and_only_collecting(params: Params, tmp_path: Path) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    unit = tmp_path / "nice.log"
    unit.write_text("x")
    seen: list[int] = []

    class Look(dict):  # type: ignore[type-arg]
        def get(self, *rest: Any) -> Any:
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().get(*rest)

    params["services"] = [Look(name="shop", hosts="web")]
    collect(params)
    assert max(seen) == max(5, before)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_log_that_grows_without_end_does_not_hold_us(params: Params, tmp_path: Path) -> None:
    log, stop = tmp_path / "app.log", threading.Event()
    log.write_bytes(b"x" * 4096)

    def grow() -> None:
        with log.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"x" * 65536)
                if stream.tell() > 1 << 26:
                    stream.truncate(0)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        _block, members, _manifest = collect(of_logs(params, log, max_file_bytes=1 << 20))
    finally:
        stop.set()
        thread.join()
    assert len(members["logs/shop/01-app.log"]) <= 1 << 20


@pytest.mark.parametrize(
    ("lines", "text", "kept"),
    [
        (2, b"a\nb\nc\n", b"b\nc\n"),
        (2, b"a\nb\nc", b"b\nc"),
        (9, b"a\nb\n", b"a\nb\n"),
        (1, b"\n\n\n", b"\n"),
        (0, b"a\nb\n", b"a\nb\n"),
        (3, b"", b""),
    ],
)
def test_the_last_lines_are_kept(params: Params, tmp_path: Path, lines: int, text: bytes, kept: bytes) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(text)
    _block, members, manifest = collect(of_logs(params, log, lines=lines))
    assert members["logs/shop/01-app.log"] == kept
    row = row_of(manifest, "logs/shop/01-app.log")
    assert (row["cut"], row["source"]["offset"]) == (kept != text, len(text) - len(kept))


def test_names_in_the_bundle_cannot_lead_out_of_it(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "a\n b;$(x)…\x1b[2J.log"
    log.write_text("x")
    _block, members, _manifest = collect(of_logs(params, log, tmp_path / ".."))
    assert [name for name in members if name.startswith("logs/")] == ["logs/shop/01-a__b___x____2J.log"]


def test_what_is_missing_is_said_and_nothing_fails(params: Params, tmp_path: Path) -> None:
    logs = [{"kind": "compose"}, {"kind": "file", "path": str(tmp_path / "nowhere.log")}]
    params["services"] = [{"name": "shop", "hosts": "web", "logs": logs}]
    block, _members, manifest = collect(params)
    reasons = {row["origin"]: row["reason"] for row in manifest["missing"]}
    assert block["outcome"] == "done"
    assert "names no compose_file" in reasons["compose logs of shop"]
    assert "No such file" in reasons[str(tmp_path / "nowhere.log")]


@pytest.mark.parametrize("name", ["../../x", "..", ".hidden", "", "a/b", "/etc", "a b", "web1\n", "web1\0", "-rf"])
def test_a_host_name_that_could_lead_elsewhere_is_refused_before_anything_is_written(
    name: str, params: Params, tmp_path: Path
) -> None:
    answer = _evidence.run({**params, "host_name": name}, check_mode=False)
    assert answer["incident"]["outcome"] == "refused"
    assert "bundle" not in answer
    assert not list((tmp_path / "work").iterdir())


def test_more_than_could_be_verified_is_refused_before_anything_is_written(params: Params, tmp_path: Path) -> None:
    answer = _evidence.run({**params, "max_bytes": 1_000_000_001}, check_mode=False)
    assert answer["incident"]["outcome"] == "refused"
    assert "evidence verify" in answer["incident"]["actions"][0]["summary"]
    assert "bundle" not in answer
    assert not list((tmp_path / "work").iterdir())


def test_check_mode_says_what_it_would_collect_and_writes_nothing(params: Params, tmp_path: Path) -> None:
    answer = _evidence.run(of_logs(params, "/var/log/app.log"), check_mode=True)
    assert "bundle" not in answer
    assert answer["changed"] is False
    assert "/var/log/app.log" in answer["incident"]["actions"][0]["summary"]
    assert not list((tmp_path / "work").iterdir())


def test_a_full_disk_leaves_nothing_behind(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_evidence_bundle, "add", full)
    with pytest.raises(OSError, match="No space left"):
        _evidence.run(params, check_mode=False)
    assert not list((tmp_path / "work").iterdir())


def test_a_bundle_that_did_not_come_home_is_removed_and_told_as_failed(params: Params, tmp_path: Path) -> None:
    bundle = _evidence.run(params, check_mode=False)["bundle"]
    answer = _evidence.run({**params, "state": "undelivered", "bundle": bundle, "reason": "disk full"}, False)
    assert answer["incident"]["outcome"] == "failed"
    assert "disk full" in answer["incident"]["reason"]
    assert not list((tmp_path / "work").iterdir())


def test_the_bundle_of_a_run_that_was_cut_off_goes_with_the_next_one(params: Params, tmp_path: Path) -> None:
    cut_off = Path(_evidence.run(params, check_mode=False)["bundle"]).parent
    others = [
        Path(_evidence.run({**params, **other}, check_mode=False)["bundle"]).parent
        for other in (
            {"incident_id": "INC-2"},
            {"host_name": "web1-abcdefgh"},
            {"host_name": "web"},
            {"dest": str(tmp_path / "of somebody else" / "evidence.tar.gz")},
        )
    ]
    bundle = Path(_evidence.run(params, check_mode=False)["bundle"])
    assert not cut_off.exists()
    assert sorted((tmp_path / "work").iterdir()) == sorted([*others, bundle.parent])


def test_a_link_in_place_of_an_earlier_bundle_leads_to_nothing(params: Params, tmp_path: Path) -> None:
    (tmp_path / "precious" / "data").mkdir(parents=True)
    bundle = Path(_evidence.run(params, check_mode=False)["bundle"])
    planted = bundle.parent.with_name(f"{bundle.parent.name[:-8]}abcdefgh")
    planted.symlink_to(tmp_path / "precious")
    _evidence.run(params, check_mode=False)
    assert not bundle.exists()
    assert planted.is_symlink()
    assert (tmp_path / "precious" / "data").is_dir()


def test_only_a_folder_of_ours_is_ever_removed(params: Params, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    _evidence.run({**params, "state": "undelivered", "bundle": f"{precious}/evidence.tar.gz"}, False)
    assert precious.is_dir()


def test_a_command_is_captured_up_to_its_cap_and_ended_at_its_deadline() -> None:
    assert _capture.capture(["printf", "abcdef"], 3) == (b"def", True)
    assert _capture.capture(["printf", "\\377\\000"], 99) == (b"\xff\x00", False)
    with pytest.raises(OSError, match="did not finish"):
        _capture.capture(["sleep", "60"], 99, timeout_s=0.2)
    with pytest.raises(OSError, match="exited 3: why"):
        _capture.capture(["sh", "-c", "echo why >&2; exit 3"], 99)
    with pytest.raises(FileNotFoundError):
        _capture.capture(["/nowhere/command"], 99)


def test_a_command_that_never_stops_talking_is_ended() -> None:
    with pytest.raises(OSError, match="did not finish"):
        _capture.capture(["yes"], 1000, timeout_s=0.3)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay out what is somebody else's")
@pytest.mark.parametrize(("owner", "stays"), [(65534, True), (0, False)])
def test_only_what_is_ours_is_removed_as_left_from_before(
    owner: int, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_evidence_place, "_WORK_PLACES", (str(tmp_path),))
    earlier = tmp_path / "incidentctl-evidence-x-AAAAAAAA"
    earlier.mkdir()
    os.chown(earlier, owner, -1)
    with _evidence_place.work_folder("incidentctl-evidence-x-", 1):
        assert earlier.exists() is stays
