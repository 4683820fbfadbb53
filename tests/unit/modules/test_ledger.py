"""The ledger: private, written before the act, and never lost without a word."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from tests.small_service import as_nobody, open_folder

UNDO = {"kind": "service_start", "service": {"name": "shop"}}


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return {"incident_id": "INC-1", "state_dir": str(tmp_path / "state")}


def intend(params: dict[str, Any], target: str = "shop", capability: str = "isolation") -> _ledger.Entry:
    return _ledger.intend(params, capability, target, {"running": True}, UNDO)


def refuse_writes_under(top: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.open

    def full(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(top)):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", full)


def test_only_the_owner_can_read_it_whatever_the_umask(params: dict[str, Any]) -> None:
    before = os.umask(0)
    try:
        entry = intend(params)
        _ledger.mark(entry, "applied")
    finally:
        os.umask(before)
    path = Path(entry["path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in list(path.parents)[:3]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert [p.name for p in path.parent.iterdir()] == ["000001-isolation-shop.json"]


def test_an_intent_is_whole_and_synced_before_intend_returns(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, []

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    entry = intend(params)
    folder = str(Path(entry["path"]).parent)
    assert synced[-2:] == [entry["path"].replace(".json", ".draft"), folder]
    assert json.loads(Path(entry["path"]).read_bytes()) == {
        "format": 1,
        "incident": "INC-1",
        "seq": 1,
        "capability": "isolation",
        "target": "shop",
        "state": "intended",
        "at": entry["at"],
        "prior": {"running": True},
        "undo": UNDO,
        "confirm_by": None,
        "expires_at": None,
        "timer": "none",
    }


NO_WRITES = [errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EROFS]


@pytest.mark.parametrize("code", NO_WRITES)
def test_what_the_disk_does_not_take_falls_to_the_volatile_folder_and_says_so(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    intend(params, "first")
    refuse_writes_under(tmp_path / "state", monkeypatch, code)
    entry = intend(params, "second")
    assert entry["volatile"] is True
    assert (tmp_path / "run" / "ledger" / "INC-1" / "000002-isolation-second.json").is_file()
    assert "reboot" in _ledger.caveat(entry)
    assert _ledger.mark(entry, "applied")["state"] == "applied"
    found, unreadable = _ledger.entries(params)
    assert [(e["seq"], e["target"], e["state"]) for e in found] == [(1, "first", "intended"), (2, "second", "applied")]
    assert unreadable == []
    assert list((tmp_path / "state" / "ledger" / "INC-1").glob("*.draft")) == []


def test_without_any_place_to_write_intend_raises(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writes_under(tmp_path, monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        intend(params)


def test_another_error_of_the_disk_is_no_reason_to_write_elsewhere(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writes_under(tmp_path / "state", monkeypatch, errno.ELOOP)
    with pytest.raises(OSError, match="symbolic links"):
        intend(params)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("code", NO_WRITES)
def test_what_becomes_of_an_entry_is_known_though_the_disk_takes_no_more_writes(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    entry = intend(params)
    with monkeypatch.context() as full:
        refuse_writes_under(tmp_path / "state", full, code)
        entry = _ledger.mark(entry, "applied")
        assert (entry["state"], entry["volatile"]) == ("applied", True)
        assert [e["state"] for e in _ledger.entries(params)[0]] == ["applied"]
        entry = _ledger.mark(entry, "lifted")
        assert [(e["state"], e["path"]) for e in _ledger.entries(params)[0]] == [("lifted", entry["path"])]
        _ledger.settle(params)
        assert [e["volatile"] for e in _ledger.entries(params)[0]] == [True]
    assert json.loads(Path(entry["path"]).read_bytes())["state"] == "intended", "the disk took nothing"
    _ledger.settle(params)
    assert json.loads(Path(entry["path"]).read_bytes())["state"] == "lifted"
    assert list((tmp_path / "run").rglob("*.json")) == []
    assert "volatile" not in _ledger.entries(params)[0][0]


def test_without_any_place_to_write_an_act_that_happened_is_no_failure_and_a_lift_is_not_closed(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = intend(params)
    refuse_writes_under(tmp_path, monkeypatch, errno.ENOSPC)
    assert _ledger.mark(entry, "applied")["state"] == "intended"
    with pytest.raises(OSError, match="No space left"):
        _ledger.mark(entry, "lifted")
    assert [e["state"] for e in _ledger.entries(params)[0]] == ["intended"]


def test_a_disk_that_cannot_even_be_read_does_not_hide_what_is_in_run_and_nothing_is_done(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        refuse_writes_under(tmp_path / "state", full, errno.EIO)
        intend(params)
    real, folder = Path.iterdir, tmp_path / "state" / "ledger" / "INC-1"

    def broken(path: Path) -> Iterator[Path]:
        if path == folder:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", broken)
    found, unreadable = _ledger.entries(params)
    assert ([e["target"] for e in found], unreadable) == (["shop"], [str(folder)])
    with pytest.raises(OSError, match="Input/output error"):
        intend(params, "other")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"seq": 9}',
        b'{"format": 2, "seq": 9, "undo": {}}',
        b'{"format": 1, "seq": 9, "undo": []}',
    ],
)
def test_an_unreadable_entry_is_reported_and_kept(params: dict[str, Any], content: bytes) -> None:
    good = intend(params)
    bad = Path(good["path"]).with_name("000009-isolation-other.json")
    bad.write_bytes(content)
    found, unreadable = _ledger.entries(params)
    assert [e["name"] for e in found] == [good["name"]]
    assert unreadable == [str(bad)]
    assert bad.read_bytes() == content
    assert intend(params)["seq"] == 10


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody who may not read")
def test_a_ledger_that_may_not_be_read_is_not_taken_for_an_empty_one(params: dict[str, Any]) -> None:
    def ask() -> str:
        try:
            return str(_ledger.entries(given))
        except OSError as error:
            return type(error).__name__

    with open_folder() as folder:
        given = {**params, "state_dir": str(folder)}
        intend(given)
        (folder / "ledger").chmod(0o755)
        assert as_nobody(ask) == "PermissionError"


def test_a_retry_takes_up_the_entry_of_the_interrupted_try(params: dict[str, Any]) -> None:
    first = intend(params)
    again = _ledger.intend_once(params, "isolation", "shop", {"running": False}, UNDO)
    assert (again["name"], again["prior"]) == (first["name"], {"running": True})
    _ledger.mark(again, "applied")
    assert _ledger.intend_once(params, "isolation", "shop", {}, UNDO)["seq"] == 2


def test_a_retry_with_another_undo_is_another_act(params: dict[str, Any]) -> None:
    intend(params)
    other = {**UNDO, "kind": "http_call"}
    assert _ledger.intend_once(params, "isolation", "shop", {}, other)["seq"] == 2


def test_latest_open_is_the_newest_that_was_not_lifted(params: dict[str, Any]) -> None:
    first, second = intend(params), intend(params)
    _ledger.mark(second, "lifted")
    intend(params, "other")
    assert (_ledger.latest_open(params, "isolation", "shop") or {})["name"] == first["name"]
    assert (_ledger.latest(params, "isolation", "shop") or {})["name"] == second["name"]
    assert _ledger.latest(params, "scale_down", "shop") is None


@pytest.mark.parametrize("incident", ["", "..", "../other", "a/b", "-x", "a\nb", "x" * 65])
def test_an_incident_cannot_lead_out_of_the_ledger(params: dict[str, Any], incident: str) -> None:
    with pytest.raises(OSError, match="cannot name a folder"):
        intend({**params, "incident_id": incident})


@pytest.mark.parametrize("target", ["../../etc/passwd", "a b/ü", "x" * 500, ""])
def test_any_target_makes_a_file_in_the_incidents_folder(params: dict[str, Any], target: str) -> None:
    entry = intend(params, target)
    assert Path(entry["path"]).resolve().parent == Path(params["state_dir"], "ledger", "INC-1").resolve()
    assert _ledger.entries(params)[0][0]["target"] == target


def test_a_planted_link_is_not_followed(params: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(intend(params)["path"]).parent
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "000002-isolation-shop.draft").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        intend(params)
    assert victim.read_text() == "mine"
