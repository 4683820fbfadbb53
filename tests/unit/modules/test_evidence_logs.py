"""Logs as evidence: rotated and compressed ones, as far back as is asked for, always one stretch of the file."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _log_tail, _untrusted_path
from tests.unit.modules.collecting import Params, collect, of_logs, reasons, row_of

HOUR = 3600


def lines_of(first_s: float, count: int, form: str = "%Y-%m-%dT%H:%M:%SZ", zone_h: int = 0) -> bytes:
    """Return `count` lines, one a second, the first `first_s` seconds ago."""
    begin = datetime.now(timezone.utc) - timedelta(seconds=first_s) + timedelta(hours=zone_h)
    return b"".join(
        f"{(begin + timedelta(seconds=n)).strftime(form)} INFO order {n}\n  of a customer\n".encode()
        for n in range(count)
    )


def logs_of(members: dict[str, bytes]) -> list[str]:
    return [name.rpartition("/")[2] for name in members if name.startswith("logs/")]


def write(path: Path, content: bytes, age_s: float = 0) -> Path:
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def test_the_last_lines_go_on_in_rotated_files_newest_first(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"6\n7\n")
    write(tmp_path / "app.log.1", b"3\n4\n5\n", HOUR)
    write(tmp_path / "app.log.2", b"1\n2\n", 2 * HOUR)
    _block, members, manifest = collect(of_logs(params, log, lines=4))
    assert logs_of(members) == ["01-app.log", "01.01-app.log.1"]
    assert members["logs/shop/01.01-app.log.1"] == b"4\n5\n"
    assert row_of(manifest, "logs/shop/01.01-app.log.1")["source"]["offset"] == 2


def test_a_log_that_has_the_lines_itself_brings_no_rotated_one(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"3\n4\n")
    write(tmp_path / "app.log.1", b"1\n2\n")
    assert logs_of(collect(of_logs(params, log, lines=2))[1]) == ["01-app.log"]
    assert logs_of(collect(of_logs(params, log))[1]) == ["01-app.log"]


def test_a_compressed_one_comes_as_it_is(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"2\n")
    packed = write(tmp_path / "app.log.1.gz", gzip.compress(b"1\n" * 999), HOUR)
    write(tmp_path / "app.log.2.gz", gzip.compress(b"0\n"), 2 * HOUR)
    _block, members, manifest = collect(of_logs(params, log, lines=500))
    assert logs_of(members) == ["01-app.log", "01.01-app.log.1.gz"]
    assert members["logs/shop/01.01-app.log.1.gz"] == packed.read_bytes()
    row = row_of(manifest, "logs/shop/01.01-app.log.1.gz")
    assert (row["cut"], row["sha256"]) == (False, hashlib.sha256(packed.read_bytes()).hexdigest())


def test_a_compressed_one_that_does_not_fit_is_left_and_named(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"2\n")
    packed = write(tmp_path / "app.log.1.gz", gzip.compress(os.urandom(5000)))
    _block, members, manifest = collect(of_logs(params, log, lines=9, max_file_bytes=4000))
    assert logs_of(members) == ["01-app.log"]
    assert "its 5023 bytes do not fit" in reasons(manifest, "missing")[str(packed)]


def test_a_time_reaches_back_into_what_was_written_since(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", lines_of(600, 600))
    write(tmp_path / "app-20261128.log", lines_of(2 * HOUR, 6000), 1200)
    write(tmp_path / "app.log.2.gz", gzip.compress(b"packed"), 2 * HOUR - 60)
    write(tmp_path / "app.log.3.gz", b"older", 2 * HOUR + 60)
    _block, members, manifest = collect(of_logs(params, log, since_s=2 * HOUR, lines=10))
    assert logs_of(members) == ["01-app.log", "01.01-app-20261128.log", "01.02-app.log.2.gz"]
    assert row_of(manifest, "logs/shop/01-app.log")["cut"] is False


@pytest.mark.parametrize(
    ("form", "zone_h"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", 0),
        ("%Y-%m-%d %H:%M:%S,000", 5),  # of a program whose clock is in another zone, and does not say so
        ("%b %d %H:%M:%S", 0),
        ("[%d/%b/%Y:%H:%M:%S +0000]", 0),
    ],
)
def test_lines_older_than_asked_for_are_left(form: str, zone_h: int, params: Params, tmp_path: Path) -> None:
    content = lines_of(HOUR, HOUR, form, zone_h)
    log = write(tmp_path / "app.log", content, 1)
    _block, members, manifest = collect(of_logs(params, log, since_s=600))
    kept = members["logs/shop/01-app.log"]
    assert content.endswith(kept)
    assert 500 <= kept.count(b"order") <= 603  # a line gets too old with each second that it takes
    row = row_of(manifest, "logs/shop/01-app.log")
    assert (row["cut_by"], row["source"]["offset"]) == ("since", len(content) - len(kept))


@pytest.mark.parametrize(("room", "cut_by"), [(20_000, "bytes"), (200_000, "since")])
def test_young_lines_that_the_cap_leaves_out_are_told_as_lost(
    room: int, cut_by: str, params: Params, tmp_path: Path
) -> None:
    log = write(tmp_path / "app.log", lines_of(2 * HOUR, 2 * HOUR), 1)
    block, members, manifest = collect(of_logs(params, log, since_s=HOUR // 3, max_file_bytes=room))
    row = row_of(manifest, "logs/shop/01-app.log")
    assert row["cut_by"] == cut_by
    assert any(str(log) in told for told in block["facts"]["cut"]) is (cut_by == "bytes")
    assert log.read_bytes().endswith(members["logs/shop/01-app.log"])
    assert len(members["logs/shop/01-app.log"]) > 15_000


def test_lines_without_a_time_are_all_kept_and_that_is_said(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"no time\n" * 5000)
    _block, members, manifest = collect(of_logs(params, log, since_s=60))
    assert members["logs/shop/01-app.log"] == log.read_bytes()
    assert "no time that can be read" in row_of(manifest, "logs/shop/01-app.log")["note"]


def test_a_log_that_was_not_written_to_since_says_so(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", lines_of(3 * HOUR, 60), 2 * HOUR)
    _block, members, manifest = collect(of_logs(params, log, since_s=HOUR))
    assert members["logs/shop/01-app.log"] == b""
    assert row_of(manifest, "logs/shop/01-app.log")["note"] == "nothing was written since then"


def test_a_log_that_is_rotated_after_it_was_looked_at_is_read_all_the_same(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = write(tmp_path / "app.log", b"1\n2\n"), _log_tail.look

    def look(*arguments: object) -> tuple[int, int]:
        answer = real(*arguments)  # type: ignore[arg-type]
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(b"3\n")
        return answer

    monkeypatch.setattr(_log_tail, "look", look)
    _block, members, manifest = collect(of_logs(params, log, lines=2))
    assert members["logs/shop/01-app.log"] == b"1\n2\n"
    assert f"read as {tmp_path}/app.log.1" in row_of(manifest, "logs/shop/01-app.log")["note"]


def test_a_link_that_is_named_like_a_rotated_log_is_left(params: Params, tmp_path: Path) -> None:
    log = write(tmp_path / "app.log", b"1\n")
    (tmp_path / "secret").write_text("the secret")
    (tmp_path / "app.log.1").symlink_to(tmp_path / "secret")
    assert logs_of(collect(of_logs(params, log, lines=9))[1]) == ["01-app.log"]


def test_a_log_that_is_cut_off_while_it_is_read_says_so(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = write(tmp_path / "app.log", b"1\n" * 1000), os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == log:
            log.write_bytes(b"1\n")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    _block, members, manifest = collect(of_logs(params, log))
    assert members["logs/shop/01-app.log"] == b"1\n"
    assert "cut off while it was read" in row_of(manifest, "logs/shop/01-app.log")["note"]


def test_a_file_that_is_dated_beyond_all_calendars_is_told_of_all_the_same() -> None:
    status = os.stat_result((0o100644, 0, 0, 1, 0, 0, 5, 0, 1 << 40, 0))
    assert _log_tail.of(status)["written"] == "1099511627776 s after 1970"


def test_an_older_part_that_cannot_be_read_is_named(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "app.log", b"3\n")
    closed = write(tmp_path / "app.log.1", b"2\n", HOUR)
    write(tmp_path / "app.log.2", b"1\n", 2 * HOUR)
    really = _untrusted_path.open_file

    def open_file(path: str, *, follow: bool = False) -> object:
        if path == str(closed):
            raise PermissionError(13, "Permission denied")
        return really(path, follow=follow)

    monkeypatch.setattr(_untrusted_path, "open_file", open_file)
    _block, members, manifest = collect(of_logs(params, log, lines=3))
    assert logs_of(members) == ["01-app.log", "01.02-app.log.2"]
    assert reasons(manifest, "missing")[str(closed)] == "Permission denied"
