"""Older parts of a log, rotated and compressed ones, are read as far back as it takes to say what is new."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_errors,
    _log_lines,
    _log_messages,
    _log_parts,
    _log_scan,
    _rotated,
    _service_errors,
)

from .test_log_scan import counted
from .test_patterns import JAVA, PYTHON

HOUR = 3600.0
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def iso(hours_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - hours_ago * HOUR, timezone.utc).isoformat(timespec="milliseconds")


def part(path: Path, *lines: tuple[float, str], pack: Callable[[bytes], bytes] = bytes, written: float = 0) -> None:
    """Write lines, each with how many hours ago it was said; the file was written when the last one was."""
    path.write_bytes(pack("".join(f"{iso(ago)} {said}\n" for ago, said in lines).encode()))
    at = time.time() - (written or min((ago for ago, _said in lines), default=0)) * HOUR
    os.utime(path, (at, at))


def read(path: Path, deployed: float | None = None, limit: int = 1 << 24) -> Any:
    service = {"logs": [{"kind": "file", "path": str(path)}]}
    deployed_at = None if deployed is None else iso(deployed)
    reading = _service_errors.read(service, limit, deployed_at, time.monotonic() + 60)
    assert reading.unread == []
    return reading


def told(reading: Any) -> dict[str, tuple[int, Any]]:
    return {error["template"]: (error["count"], error["new"]) for error in reading.errors}


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_new_since_a_release_before_the_log_began_is_known_from_its_older_part(
    tmp_path: Path, kind: str
) -> None:
    part(tmp_path / f"x.log.1{kind}", (9, "INFO fine"), (2.5, "ERROR usual"), pack=PACKERS[kind])
    part(tmp_path / "x.log", (1, "ERROR usual"), (0.9, "ERROR fresh"))
    reading = read(tmp_path / "x.log", deployed=1.5)
    assert told(reading) == {"fresh": (1, True), "usual": (2, False)}
    assert "1 older part(s) included" in reading.notes[0]


def test_log_that_was_rotated_a_moment_ago_is_read_on_in_its_older_part(tmp_path: Path) -> None:
    part(tmp_path / "x.log.1", (9, "INFO fine"), (0.1, "ERROR fresh"))
    (tmp_path / "x.log").touch()
    assert told(read(tmp_path / "x.log")) == {"fresh": (1, True)}


def test_no_more_parts_are_read_than_are_needed(tmp_path: Path) -> None:
    part(tmp_path / "x.log", (0.5, "ERROR fresh"))
    part(tmp_path / "x.log.1", (5, "ERROR a"), (3, "INFO fine"))
    part(tmp_path / "x.log.2", (8, "ERROR b"), (5.1, "INFO fine"))
    part(tmp_path / "x.log.3", (9, "ERROR c"))
    assert set(told(read(tmp_path / "x.log"))) == {"fresh", "a", "b"}
    part(tmp_path / "x.log", (7, "INFO fine"), (0.5, "ERROR fresh"))
    assert set(told(read(tmp_path / "x.log"))) == {"fresh"}
    assert set(told(read(tmp_path / "x.log", deployed=7.5))) == {"fresh", "a", "b"}
    part(tmp_path / "x.log", (5, "INFO fine"), (0.5, "ERROR fresh"))
    (tmp_path / "x.log.2").unlink()
    part(tmp_path / "x.log.1", (9, "ERROR a"))
    reading = read(tmp_path / "x.log")
    assert told(reading) == {"fresh": (1, True)}, "nobody has said anything in the hours between"


def test_parts_take_no_more_bytes_than_there_are_left_for_the_log(tmp_path: Path) -> None:
    part(tmp_path / "x.log", (0.5, "ERROR fresh"))
    part(tmp_path / "x.log.1", *[(4, "ERROR old")] * 100)
    reading = read(tmp_path / "x.log", limit=2000)
    assert 1 < told(reading)["old"][0] < 60
    assert "too large" in reading.notes[0]
    part(tmp_path / "x.log.1", *[(4, "ERROR old")] * 40, written=2)
    part(tmp_path / "x.log.2", (8, "ERROR older"))
    assert "older" not in told(read(tmp_path / "x.log", limit=2000))


def test_bomb_among_the_parts_is_read_as_far_as_there_is_room_and_nothing_is_believed_known_by_it(
    tmp_path: Path,
) -> None:
    part(tmp_path / "x.log", (0.5, "ERROR fresh"), (0.4, "INFO fine"))
    line = f"{iso(8)} ERROR old\n".encode()
    (tmp_path / "x.log.1.gz").write_bytes(gzip.compress(line * 10 + b"\0" * (40 << 20)))
    reading = read(tmp_path / "x.log", limit=9 << 20)
    assert told(reading) == {"fresh": (1, None), "old": (10, None)}
    assert "too large" in reading.notes[0]


@pytest.mark.parametrize(
    ("raw", "why"),
    [(gzip.compress(b"x" * 5000, mtime=0)[:20], "damaged"), (b"\x28\xb5\x2f\xfd" + b"x" * 50, "zstd"), (b"BZhxx", "")],
    ids=["cut off", "zstd", "no bzip2"],
)
def test_part_that_cannot_be_read_is_a_note_and_no_failure(tmp_path: Path, raw: bytes, why: str) -> None:
    part(tmp_path / "x.log", (0.5, "ERROR fresh"))
    (tmp_path / "x.log.1.gz").write_bytes(raw)
    reading = read(tmp_path / "x.log")
    assert told(reading)["fresh"] == (1, None)
    assert "x.log.1.gz: " in reading.notes[0]
    assert why in reading.notes[0]


def test_parts_take_no_more_time_than_they_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log_parts, "TIME_S", -1)
    part(tmp_path / "x.log", (0.5, "ERROR fresh"))
    for kind, pack in PACKERS.items():
        part(tmp_path / f"x.log.1{kind}", (9, "ERROR old"), pack=pack, written=1)
        reading = read(tmp_path / "x.log")
        assert "longer than there is time" in reading.notes[0]
        (tmp_path / f"x.log.1{kind}").unlink()


def test_part_whose_lines_tell_no_time_and_log_of_that_kind_make_nothing_known(tmp_path: Path) -> None:
    part(tmp_path / "x.log", (0.5, "ERROR fresh"))
    (tmp_path / "x.log.1").write_text("ERROR timeless\n")
    assert told(read(tmp_path / "x.log")) == {"fresh": (1, None), "timeless": (1, None)}
    (tmp_path / "x.log").write_text("ERROR fresh\n")
    assert told(read(tmp_path / "x.log")) == {"fresh": (1, None)}


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind])
def test_what_is_unpacked_in_pieces_tells_the_same_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(_log_parts, "_PIECE", 4000)
    monkeypatch.setattr(_rotated, "BLOCK", 700)
    head = "2025-11-23T09:51:15Z"
    text = "".join(
        f"{head} ERROR one\n{PYTHON}{head} INFO fine\n{head} ERROR two\n{JAVA}{head} ERROR {'x' * (37 * number)}\n"
        for number in range(60)
    )
    text += f"{head} ERROR end\n{'no line ' * 2000}\n{head} ERROR last"
    (tmp_path / f"x.log.1{kind}").write_bytes(PACKERS[kind](text.encode()))
    found: list[_log_messages.Error] = []
    _log_parts.read(
        _rotated.older(tmp_path / "x.log"),
        _log_parts.Known(None, 0, ""),
        0.0,
        1 << 30,
        found.extend,
        time.monotonic() + 60,
    )
    whole = _log_errors.Reader().errors(_log_lines.Line(line) for line in text.splitlines())
    assert counted(found) == counted(whole)


def test_log_rotated_while_it_is_read_is_not_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "x.log"
    part(log, *[(0.5, "ERROR fresh")] * 10)
    part(tmp_path / "x.log.1", (9, "ERROR old"), written=1)
    plain = _log_lines.of_stream

    def rotating(stream: Any, limit: int, until: float) -> _log_lines.Source:
        source = plain(stream, limit, until)
        if not (tmp_path / "x.log.2").exists():
            (tmp_path / "x.log.1").rename(tmp_path / "x.log.2")
            log.rename(tmp_path / "x.log.1")
            log.write_text(f"{iso(0)} ERROR later\n")
        return source

    monkeypatch.setattr(_log_lines, "of_stream", rotating)
    reading = read(log)
    assert told(reading) == {"fresh": (10, None)}
    assert "moved or written since it was found" in reading.notes[0]


@pytest.mark.parametrize("way", ["renamed", "copied and emptied"])
def test_log_that_is_rotated_between_two_blocks_is_read_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    log = tmp_path / "x.log"
    part(log, *[(0.5, f"ERROR fresh {number}") for number in range(5000)])
    found = _log_scan.Scan.blocks

    def rotating(scan: _log_scan.Scan) -> Iterator[_log_scan.Block]:
        for number, block in enumerate(found(scan)):
            yield block
            if number:
                continue
            if way == "renamed":
                log.rename(tmp_path / "x.log.1")
                log.write_text(f"{iso(0)} ERROR later\n")
            else:
                (tmp_path / "x.log.1").write_bytes(log.read_bytes())
                log.write_text(f"{iso(0)} ERROR later\n")

    monkeypatch.setattr(_log_scan.Scan, "blocks", rotating)
    (count, _new) = told(read(log))["fresh <n>"]
    assert count == 5000 if way == "renamed" else 0 < count <= 5000


def test_two_gigabytes_of_nothing_hide_no_error(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with log.open("wb") as stream:
        stream.seek(2 << 30)
        stream.write(f"\n{iso(0.5)} ERROR fresh\n".encode())
    reading = read(log, limit=256 << 20)
    assert told(reading)["fresh"][0] == 1
    assert "not what is older" in reading.notes[0]


def test_binary_is_no_log_and_no_trouble(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(random.Random(1).randbytes(4 << 20) + f"\n{iso(0.5)} ERROR fresh\n".encode())  # noqa: S311
    assert told(read(log))["fresh"][0] == 1
