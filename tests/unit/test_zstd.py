"""zstd is unpacked through its program: to the same bytes, in bounded memory, and what is damaged is never taken for whole."""

from __future__ import annotations

import io
import lzma
import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from tests import packages

from incidentctl import zstd

LINES = b"".join(b"2026-11-30 10:00:00 INFO order %d stored\n" % number for number in range(50_000))

pytestmark = pytest.mark.skipif(bool(lacking := packages.lacking({"zstd": "zstd"})), reason=lacking)


def packed(content: bytes, *flags: str) -> bytes:
    return subprocess.run(["zstd", "-qc", *flags], input=content, capture_output=True, check=True).stdout


def unpacked(content: bytes) -> bytes:
    with io.BufferedReader(zstd.Unpacked(io.BytesIO(content))) as stream:
        return stream.read()


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("flags", [("-1",), ("-19",), ("--long=27",), ("--no-check",)])
def test_the_bytes_are_equal(flags: tuple[str, ...]) -> None:
    assert unpacked(packed(LINES, *flags)) == LINES


def test_frames_behind_each_other_are_one_text() -> None:
    assert unpacked(packed(b"one\n") + packed(b"two\n")) == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(LINES)[:-20], "zstd exited 1"),
        (packed(LINES)[:30], "zstd exited 1"),
        (packed(LINES) + b"more", "zstd exited 1"),
        (bytearray(packed(LINES)[:-1]) + b"\0", "zstd exited 1"),
        (packed(LINES, "--long=29"), "zstd exited 1"),
    ],
    ids=["cut off", "cut off at once", "more after its end", "another checksum", "it wants 512 MiB"],
)
def test_what_is_damaged_or_asks_for_too_much_raises(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpacked(bytes(content))


def test_another_format_behind_it_gets_no_memory_without_end() -> None:
    """The program takes xz, too, whose header may ask for gigabytes."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 30}]
    hungry = lzma.compress(b"x", format=lzma.FORMAT_XZ, filters=filters)
    with pytest.raises(ValueError, match="zstd exited"):
        unpacked(packed(b"one\n") + hungry)


def test_a_bomb_takes_no_memory_here_and_its_program_ends_when_nobody_reads_on() -> None:
    bomb, before = packed(bytes(200 << 20), "-19"), children()
    tracemalloc.start()
    with io.BufferedReader(zstd.Unpacked(io.BytesIO(bomb))) as stream:
        assert stream.read(1 << 20) == bytes(1 << 20)
        assert children() != before
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert children() == before
