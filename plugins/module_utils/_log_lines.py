"""The last part of a log, as far as it may tell of errors: bounded, whatever lies there, and never through a link."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_scan,
    _rotated,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular
from ansible_collections.incidentctl.response.plugins.module_utils._rotated import Older

HEAD = 16 * 1024  # bytes in which the first time of a log must be found


class Line(NamedTuple):
    """One line; `at` (seconds since 1970) and `error` only if the source itself tells when it was and that it is an error."""

    text: str
    at: float | None = None
    error: bool = False


class Source:
    """A log that is open: what may be errors in it, whether older lines exist that are not in it, and what else to say.

    `scans` find those lines in files that may be errors; `lines` are all there are of a log that is no file.
    """

    def __init__(self, lines: Iterable[Line] = (), older: bool = False, scans: Iterable[_log_scan.Scan] = ()) -> None:
        """Both can be read once; `older`, `note` and `first`, the time of the first line, are final when they have been."""
        self.lines = lines
        self.scans = scans
        self.older = older
        self.note: str | None = None
        self.first: float | None = None
        self.size = 0  # bytes that are read, at most
        self.parts: list[Older] = []  # in which those lines are that come right before the first one


@contextlib.contextmanager
def of_file(path: str, limit: int, until: float) -> Iterator[Source]:
    """Open the last `limit` bytes of a log file, of which those lines are read that may be errors or under one.

    Raise OSError if it cannot be read, or is no ordinary file, or if it takes longer than to the monotonic time `until`.
    """
    parts = _rotated.older(Path(path))  # before it is opened: should it be rotated now, it is not read a second time
    with open_regular(Path(path)) as stream:
        source = of_stream(stream, limit, until)
        source.note = _unreadable(stream, os.pread(stream.fileno(), HEAD, 0))
        source.parts = [] if source.older else parts
        source.older = source.older or bool(parts)
        yield source


def of_stream(stream: BinaryIO, limit: int, until: float) -> Source:
    """Return the last `limit` bytes of an open file, as `of_file` does."""
    size = stream.seek(0, os.SEEK_END)  # what is written meanwhile is left alone: it could go on for ever
    start = max(0, size - max(0, limit))
    scan = _log_scan.Scan(stream.fileno(), start, size, until)
    source = Source(older=start > 0, scans=[scan])
    source.first = first_time(os.pread(stream.fileno(), HEAD, start), whole=not start)
    source.size = size - start
    return source


def _unreadable(stream: BinaryIO, head: bytes) -> str | None:
    """Say why errors of a log that begins so may not be seen, or not be counted one by one; None if they are."""
    packed = _rotated.packed(stream)
    if packed:
        return f"it is compressed with {packed}: what is in it was not read. Fix: name the log that is written to"
    halves = sorted((head[::2].count(0), head[1::2].count(0)))
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or (halves[1] * 4 > len(head) > halves[0] * 16):
        return "it is in UTF-16: no error is found in it. Fix: have it written in UTF-8"
    if b"\n" not in head and head.count(b"\r") > 1:
        return "its lines end in a carriage return alone: all that comes before a line end counts as one line"
    return None


def first_time(head: bytes, whole: bool) -> float | None:
    """Return the first time that the first lines say; unless the `whole` line is there, the first may be half of one."""
    for line in head.decode("utf-8", "replace").split("\n")[0 if whole else 1 :]:
        at = _timestamps.split(line)[0]
        if at is not None:
            return at.timestamp()
    return None
