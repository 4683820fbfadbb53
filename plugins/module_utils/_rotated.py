"""The older parts of a log that lie beside it, as logrotate and the libraries for logging leave them, and what is in them."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular

BLOCK = 1 << 20
_LOOKED_AT, _KEPT = 10_000, 100  # files of the folder; a service may have put any number there
_XZ_MEMORY = 48 << 20  # bytes that the header of an xz file may ask for: xz -8 needs 33 MiB, -9 65 MiB
_PACKED = r"(?:\.(?:gz|xz|bz2|zst|Z))?"
_DAY = r"\d{4}-?\d\d-?\d\d(?:[T_.-]?\d+)*"
_FORMATS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "lzma"))
_OTHERS = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x9d", "compress"))


class Older(NamedTuple):
    """An older part of a log: where it lies, when it was last written (seconds since 1970), how large it is, and which it is."""

    path: Path
    written: float
    size: int
    identity: tuple[int, int, int]


def older(path: Path) -> list[Older]:
    """Return the older parts of the log `path`, at most a hundred, those written last first; none if that cannot be told.

    They are named `x.log.1`, `x.log.2.gz`, `x.log-20261128.xz`, `x.log.2026-11-28` or `x-20261128.log`, and are ordinary
    files: no link is followed.
    """
    named = _named(path)
    found = []
    try:
        with os.scandir(path.parent) as beside:
            for entry in itertools.islice(beside, _LOOKED_AT):
                if named.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append(Older(path.parent / entry.name, status.st_mtime, status.st_size, _identity(status)))
    except OSError:
        return []
    return sorted(found, key=lambda each: (-each.written, len(each.path.name), each.path.name))[:_KEPT]


def _named(path: Path) -> re.Pattern[str]:
    whole, stem, suffix = re.escape(path.name), re.escape(path.stem), re.escape(path.suffix)
    inside = rf"|{stem}[._-]{_DAY}{suffix}{_PACKED}" if suffix else ""  # app-2.log may well be another process's log
    return re.compile(rf"{whole}(?:\.\d{{1,4}}|[._-]{_DAY}){_PACKED}{inside}")


def opened(part: Older) -> BinaryIO:
    """Return an older part opened for reading, as it lies there. Raise OSError if it cannot be, or is no longer the same."""
    stream = open_regular(part.path)
    if _identity(os.fstat(stream.fileno())) != part.identity:
        stream.close()
        raise OSError("it was moved or written since it was found")
    return stream


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_dev, status.st_ino, status.st_mtime_ns if stat.S_ISREG(status.st_mode) else -1)


def packed(stream: BinaryIO) -> str | None:
    """Return the name of the format that an open file is compressed in, by its first bytes; None if it is in none."""
    head = os.pread(stream.fileno(), 8, 0)
    return next((name for magic, name in (*_FORMATS, *_OTHERS) if head.startswith(magic)), None)


def unpacked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Give what is in a compressed file, in blocks of at most BLOCK bytes, whatever it would grow to.

    Raise OSError if it is damaged, or if this Python has nothing to read the format with.
    """
    if name not in [known for _magic, known in _FORMATS]:
        raise OSError(f"it is compressed with {name}, which is not read here")
    try:
        module = importlib.import_module(name)  # few hosts need it, and it takes its time
    except ImportError:
        raise OSError(f"this host's Python has no {name}, with which it is compressed") from None
    zlib_error = importlib.import_module("zlib").error
    try:
        if name == "lzma":
            yield from _of_xz(stream, module)
            return
        reader = module.GzipFile(fileobj=stream) if name == "gzip" else module.BZ2File(stream)
        while block := reader.read(BLOCK):
            yield block
    except (EOFError, zlib_error, getattr(module, "LZMAError", zlib_error)) as error:
        raise OSError(f"it is damaged: {error}") from None


def _of_xz(stream: BinaryIO, lzma: Any) -> Iterator[bytes]:
    """One stream after the other, in bounded memory, which the library's own reader cannot be told."""
    rest = stream.read(BLOCK)
    while rest:
        decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        while not decompressor.eof:
            block = decompressor.decompress(rest, BLOCK)
            if block:
                yield block
            rest = stream.read(BLOCK) if decompressor.needs_input and not decompressor.eof else b""
            if not rest and not block and not decompressor.eof:
                raise EOFError("it ends in the middle")
        rest = (decompressor.unused_data or stream.read(BLOCK)).lstrip(b"\0")
