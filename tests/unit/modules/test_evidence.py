"""Evidence: the most volatile first, bounded, byte for byte, and no log can turn against its reader."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _evidence
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError, open_regular

Params = dict[str, Any]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Ask for all evidence of one host, whose bundle goes into a folder of the test."""
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(_evidence, "_WORK_PLACES", (str(tmp_path / "work"),))
    return {
        "services": [],
        "only": [],
        "host_name": "web1",
        "host_groups": ["web"],
        "incident_id": "INC-1",
        "dest": "/controller/web1/evidence.tar.gz",
        "login_user": None,
        "max_bytes": 50 * 1024 * 1024,
        "max_file_bytes": 10 * 1024 * 1024,
        "lines": 0,
        "since_s": 0,
        "state": "collected",
        "bundle": "",
        "reason": "",
    }


def of_logs(params: Params, *paths: Path | str, **more: Any) -> Params:
    logs = [{"kind": "file", "path": str(path)} for path in paths]
    return {**params, "services": [{"name": "shop", "hosts": "web", "logs": logs}], **more}


def collect(params: Params) -> tuple[dict[str, Any], dict[str, bytes], dict[str, Any]]:
    """Run, and return the incident block, the members of the bundle, and its manifest."""
    answer = _evidence.run(params, check_mode=False)
    assert answer["changed"] is False
    with tarfile.open(answer["bundle"]) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    return answer["incident"], members, json.loads(members.pop("manifest.json"))


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


def test_the_most_volatile_comes_first_and_logs_last(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("line\n")
    _block, members, manifest = collect(of_logs(params, log))
    names = list(members)
    assert names[:2] == ["volatile/01-processes.jsonl", "volatile/02-sockets.txt"]
    assert names[-1] == "logs/shop/01-app.log"
    assert [row["at"] for row in manifest["members"]] == sorted(row["at"] for row in manifest["members"])
    mine = [p for p in map(json.loads, members[names[0]].splitlines()) if p["pid"] == os.getpid()]
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
    assert manifest["members"][-1]["cut"] is True


def test_the_whole_bundle_has_a_cap_and_what_falls_out_is_named(params: Params, tmp_path: Path) -> None:
    logs = [tmp_path / f"{n}.log" for n in range(3)]
    for log in logs:
        log.write_bytes(os.urandom(1 << 20))
    _block, _members, volatile = collect(params)
    room = sum(row["bytes"] for row in volatile["members"]) + 3 * (1 << 19)
    block, members, manifest = collect(of_logs(params, *logs, max_bytes=room))
    assert sum(len(content) for content in members.values()) <= room
    assert members["logs/shop/01-0.log"] == logs[0].read_bytes()
    assert str(logs[2]) in {row["origin"] for row in manifest["missing"]}
    assert block["facts"]["bytes"] <= room


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
    assert manifest["members"][-1]["cut"] is (kept != text)


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


def test_check_mode_says_what_it_would_collect_and_writes_nothing(params: Params, tmp_path: Path) -> None:
    answer = _evidence.run(of_logs(params, "/var/log/app.log"), check_mode=True)
    assert "bundle" not in answer
    assert answer["changed"] is False
    assert "/var/log/app.log" in answer["incident"]["actions"][0]["summary"]
    assert not list((tmp_path / "work").iterdir())


def test_a_full_disk_leaves_nothing_behind(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_evidence, "_add", full)
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
