"""The errors in the older parts of a log, read only as far back as it takes to know which errors are new."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _log_errors,
    _log_lines,
    _log_messages,
    _log_scan,
    _rotated,
)
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import may_follow

TIME_S = 10.0  # for all older parts of a service: what goes on now is in none of them
_PIECE = 8 << 20  # of what comes out of a compressed part, so much is held, in memory, and searched at a time
_TRACE = 64 * 1024  # bytes at the end of a piece in which the error is looked for that its last lines stand under

Add = Callable[[Iterable[_log_messages.Error]], None]


class Known(NamedTuple):
    """Since when it is known what a log says (seconds since 1970, None if nobody can tell), how many of its parts were
    read for it, and why no more of them: "" if there was no need.
    """

    since: float | None
    read: int
    why: str


def read(parts: Iterable[_rotated.Older], since: Known, back_to: float, room: int, add: Add, until: float) -> Known:
    """Add the errors of a log's older `parts`, the newest first, until the log is known back to `back_to`.

    At most `room` bytes are read, unpacked ones counted, and no longer than to the monotonic time `until`.
    """
    for part in parts:
        if since.since is not None and since.since <= back_to:
            return since
        if part.written < back_to:  # nobody has said anything since
            return since._replace(since=back_to)
        if room <= 0:
            return since._replace(why="there was no room for more")
        try:
            with _opened(part, room, until) as source:
                add(_log_errors.Reader().of_source(source))
        except OSError as error:
            return since._replace(why=f"{part.path.name}: {error.strerror or error}")
        room -= source.size
        if source.first is not None:
            since = since._replace(since=source.first)
        since = since._replace(read=since.read + 1)
        if source.older:
            return since._replace(why=f"{part.path.name} was too large to be read whole")
    return since


@contextlib.contextmanager
def _opened(part: _rotated.Older, room: int, until: float) -> Iterator[_log_lines.Source]:
    with _rotated.opened(part) as stream:
        name = _rotated.packed(stream)
        if name is None:
            yield _log_lines.of_stream(stream, room, until)
            return
        with _in_memory() as held:
            yield _Unpacked(_rotated.unpacked(stream, name), held, room, until).source


def _in_memory() -> IO[bytes]:
    """Open a file that lies in memory where the host knows such files: the disk may be what is full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("incidentctl"), "w+b", buffering=0)
    import tempfile  # noqa: PLC0415 - with all that it brings, it takes longer than to read a small log

    return tempfile.TemporaryFile(buffering=0)


class _Unpacked:
    """The lines of a compressed part that may be errors, searched for piece by piece."""

    def __init__(self, blocks: Iterator[bytes], held: IO[bytes], room: int, until: float) -> None:
        """`blocks` are what comes out of it, `held` is the file that takes each piece of it in turn."""
        self._blocks, self._held, self._room, self._until = blocks, held, room, until
        self.source = _log_lines.Source(scans=self._scans())

    def _scans(self) -> Iterator[_log_scan.Scan]:
        for within, size in self._pieces():
            # The first line of a piece that begins within one is passed over.
            yield _log_scan.Scan(self._held.fileno(), int(within), size, self._until)

    def _pieces(self) -> Iterator[tuple[bool, int]]:
        """Put one piece after the other into the file; give whether it begins within a line, and how large it is."""
        piece, within = bytearray(), False
        for block in self._blocks:
            if time.monotonic() > self._until:
                raise _log_scan.OutOfTime
            if not self.source.size:
                self.source.first = _log_lines.first_time(block[: _log_lines.HEAD], whole=True)
            self.source.size += len(block)
            piece += block
            if self.source.size >= self._room:
                self.source.older, self.source.first = (
                    True,
                    None,
                )  # its end is not known: nothing is since its beginning
                break
            if len(piece) >= _PIECE:
                stop = _whole_events(piece)
                yield within, self._put(piece[:stop])
                within = piece[stop - 1 : stop] != b"\n"
                del piece[:stop]
        yield within, self._put(piece)

    def _put(self, piece: bytearray) -> int:
        self._held.seek(0)
        self._held.truncate()
        self._held.write(piece)
        return len(piece)


def _whole_events(piece: bytearray) -> int:
    """Return up to where a piece has whole lines, none of which goes on in lines that are still to come."""
    stop = begun = piece.rfind(b"\n") + 1
    while begun > max(0, stop - _TRACE):
        begun = piece.rfind(b"\n", 0, begun - 1) + 1
        if not may_follow(bytes(piece[begun : begun + _TRACE].partition(b"\n")[0])):
            return begun or stop
    return stop or len(piece)
