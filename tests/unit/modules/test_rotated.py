"""The older parts of a log beside it: which they are, in which order, and what is in those that are compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _rotated

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def placed(folder: Path, *names: str) -> None:
    """Put files there, each written a minute before the one named before it."""
    for age, name in enumerate(names):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (1e9, 1e9 - 60 * age))


def content(path: Path) -> bytes:
    (part,) = [part for part in _rotated.older(path.parent / "x.log") if part.path == path]
    with _rotated.opened(part) as stream:
        name = _rotated.packed(stream)
        return b"".join(_rotated.unpacked(stream, name)) if name else stream.read()


def test_older_parts_are_found_by_every_usual_name_those_written_last_first(tmp_path: Path) -> None:
    names = (
        "x.log.1", "x.log.2.gz", "x.log.10.xz", "x.log-20261128", "x.log-20261127.gz", "x.log-20261127-1795900000.bz2",
        "x.log.2026-11-26", "x-20261125.log", "x.2026-11-24.log.gz", "x-2026-11-23-1.log.zst", "x.log.2026-11-22_03",
    )  # fmt: skip
    placed(tmp_path, *names)
    placed(tmp_path, "x.log", "x.log.1.tmp", "x-1.log", "x.login.1", "y.log.1", "x.log.old.sql", "xylog.1")
    assert [part.path.name for part in _rotated.older(tmp_path / "x.log")] == list(names)


def test_parts_written_at_once_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"x.log.{number}" for number in (10, 2, 1, 9)]
    for name in names:
        placed(tmp_path, name)
    assert [part.path.suffix for part in _rotated.older(tmp_path / "x.log")] == [".1", ".2", ".9", ".10"]


def test_no_link_folder_or_fifo_is_an_older_part_and_there_are_never_too_many(tmp_path: Path) -> None:
    (tmp_path / "x.log.1").symlink_to("/etc/passwd")
    (tmp_path / "x.log.2").mkdir()
    os.mkfifo(tmp_path / "x.log.3")
    assert _rotated.older(tmp_path / "x.log") == []
    placed(tmp_path, *(f"x.log.{number}" for number in range(100, 300)))
    assert len(_rotated.older(tmp_path / "x.log")) == 100
    assert _rotated.older(tmp_path / "nowhere" / "x.log") == []


def test_part_that_is_another_by_now_is_not_opened(tmp_path: Path) -> None:
    placed(tmp_path, "x.log.1", "x.log.2")
    first, second = _rotated.older(tmp_path / "x.log")
    first.path.rename(second.path)
    with pytest.raises(OSError, match="since it was found"):
        _rotated.opened(second)
    second.path.unlink()
    second.path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic link"):
        _rotated.opened(second)


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_compressed_comes_out_as_it_went_in(tmp_path: Path, kind: str) -> None:
    said = os.urandom(3 << 19) + b"line\n" * (1 << 19)
    part = tmp_path / f"x.log.1.{kind}"
    part.write_bytes(PACKERS[kind](said[:100]) + PACKERS[kind](said[100:]))  # two in a row are one
    assert content(part) == said


def test_what_is_in_a_part_counts_not_its_name(tmp_path: Path) -> None:
    placed(tmp_path, "x.log.2.gz")
    assert content(tmp_path / "x.log.2.gz") == b"x.log.2.gz"


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_damaged_or_cut_off_is_an_error_that_says_so(tmp_path: Path, kind: str) -> None:
    part, whole = tmp_path / f"x.log.1.{kind}", PACKERS[kind](os.urandom(5000))
    for damaged in (whole[: len(whole) // 2], whole[:100] + b"\xff" * 200 + whole[300:]):
        part.write_bytes(damaged)
        with pytest.raises(OSError, match=r".+"):
            content(part)


def test_what_is_compressed_with_something_else_is_an_error_that_names_it(tmp_path: Path) -> None:
    part = tmp_path / "x.log.1.zst"
    part.write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 100)
    with pytest.raises(OSError, match="zstd"):
        content(part)


def test_python_without_a_library_for_the_format_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "x.log.1.xz"
    part.write_bytes(lzma.compress(b"x"))
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    with pytest.raises(OSError, match="no lzma"):
        content(part)


def test_xz_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "x.log.1.xz"
    part.write_bytes(lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 9}]))
    with pytest.raises(OSError, match=r"(?i)memory"):
        content(part)


@pytest.mark.parametrize("kind", PACKERS)
def test_bomb_comes_out_block_by_block(tmp_path: Path, kind: str) -> None:
    part = tmp_path / f"x.log.1.{kind}"
    bomb = PACKERS[kind](b"\0" * (1 << 25))
    part.write_bytes(bomb)
    (found,) = _rotated.older(tmp_path / "x.log")
    tracemalloc.start()
    try:
        with _rotated.opened(found) as stream:
            blocks = _rotated.unpacked(stream, str(_rotated.packed(stream)))
            assert max(len(next(blocks)) for _ in range(8)) <= _rotated.BLOCK
            assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
