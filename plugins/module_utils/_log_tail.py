"""The end of a log file, byte for byte: what fits, cut to the last lines, or to those since a time.

What is kept is always one stretch of the file, from an offset that is told to where it ended when it was opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import BinaryIO

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import Allowance, Content

_CHUNK = 1 << 20
_LINEAR = 8192  # bytes that are looked through line by line
_HEAD = 160  # bytes of a line, in which its time must stand
_LOOKED_AT = 1000  # lines at most, until one says its time


def read(stream: BinaryIO, allowance: Allowance, lines: int, since: float) -> Content:
    """Return the end of an open file; `lines` and `since` (seconds since 1970) are no limits where they are 0.

    Raise OSError if it cannot be read, or not in time.
    """
    status = os.fstat(stream.fileno())
    start = max(0, status.st_size - allowance.bytes)
    text = b"".join(_chunks(stream.fileno(), start, status.st_size, allowance.until))
    kept, cut_by, notes = text, "bytes" if start else "", []
    if len(text) < status.st_size - start:
        notes.append("it was cut off while it was read")
    if since:
        begin, note = _since(text, since, status.st_mtime)
        # Where the bytes that fit begin with a line that is young enough, others before it did not fit.
        cut_by = "since" if begin and not (start and (_timed(text, 1) or (0,))[0] == begin) else cut_by
        kept = text[begin:]
        notes += [note] if note else []
    if lines and (fewer := last_lines(kept, lines)) != kept:
        kept, cut_by = fewer, "lines"
    source = {**of(status), "offset": start + len(text) - len(kept)}
    return Content(kept, cut_by, source, "; ".join(notes))


def whole(stream: BinaryIO, allowance: Allowance) -> Content:
    """Return all of an open file. Raise OSError if it is larger than what may be kept: a part of it is of no use."""
    status = os.fstat(stream.fileno())
    if status.st_size > allowance.bytes:
        raise OSError(
            f"its {status.st_size} bytes do not fit: there is room for {allowance.bytes}, and a part is of no use"
        )
    text = b"".join(_chunks(stream.fileno(), 0, status.st_size, allowance.until))
    return Content(text, "", {**of(status), "offset": 0})


def of(status: os.stat_result) -> dict[str, object]:
    """Return what the manifest says of a file."""
    return {
        "size": status.st_size,
        "written": _moment(status.st_mtime),
        "mode": f"{status.st_mode & 0o7777:04o}",
        "uid": status.st_uid,
    }


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):  # whose file it is may date it as they like
        return f"{seconds:.0f} s after 1970"


def last_lines(text: bytes, lines: int) -> bytes:
    """Return the last `lines` lines of `text`; all of it when `lines` is 0."""
    start = len(text) - text.endswith(b"\n")
    for _ in range(lines):
        start = text.rfind(b"\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :] if lines else text


def look(stream: BinaryIO, lines: int, most: int) -> tuple[int, int]:
    """Return how many bytes the last `lines` lines take (0: all), at most `most`, and how many lines there are in them."""
    size = os.fstat(stream.fileno()).st_size
    most = min(size, most)
    length = min(most, _CHUNK) if lines else 0
    while lines:
        text = os.pread(stream.fileno(), length, size - length)
        kept = last_lines(text, lines)
        if len(kept) < len(text) or length >= most:
            return len(kept), kept.count(b"\n") + (kept[-1:] not in (b"", b"\n"))
        length = min(most, 4 * length)
    return most, 0


def _chunks(descriptor: int, start: int, end: int, until: float) -> Iterator[bytes]:
    """Not to the file's end: a log that grows as fast as we read has none."""
    while start < end:
        if time.monotonic() > until:
            raise OSError("it could not be read in time")
        chunk = os.pread(descriptor, min(_CHUNK, end - start), start)
        if not chunk:
            return
        start += len(chunk)
        yield chunk


def _since(text: bytes, since: float, written: float) -> tuple[int, str]:
    """Return where the first line that is not older than `since` begins, and what has to be said of it.

    Compared with the file's last line, which was written when the file was: so a clock of another zone does not matter.
    """
    if written < since:
        return len(text), "nothing was written since then"
    last = _last_time(text)
    if last is None:
        return 0, "its lines tell no time that can be read: none was left out for its age"
    oldest = last - (written - since)
    low, high = 0, len(text)
    while high - low > _LINEAR:
        middle = (low + high) // 2
        found = _timed(text, middle)
        if found is None or found[0] >= high or found[1] >= oldest:
            high = middle
        else:
            low = found[0]
    while (found := _timed(text, low)) is not None:
        if found[1] >= oldest:
            return found[0], ""
        low = found[0] + 1
    return low, ""


def _timed(text: bytes, at: int) -> tuple[int, float] | None:
    """Return where the first line from `at` on begins that tells its time, and that time; None if none near there does."""
    begin = at if at == 0 else text.find(b"\n", at - 1) + 1
    for _ in range(_LOOKED_AT):
        if begin >= len(text) or (begin == 0 and at > 0):
            return None
        moment = _time(text, begin)
        if moment is not None:
            return begin, moment
        begin = text.find(b"\n", begin) + 1
        at = 1
    return None


def _last_time(text: bytes) -> float | None:
    end = len(text)
    for _ in range(_LOOKED_AT):
        begin = text.rfind(b"\n", 0, end - 1) + 1 if end > 0 else 0
        moment = _time(text, begin)
        if moment is not None or begin == 0:
            return moment
        end = begin
    return None


def _time(text: bytes, begin: int) -> float | None:
    end = text.find(b"\n", begin, begin + _HEAD)
    line = text[begin : end if end >= 0 else begin + _HEAD]
    moment = _timestamps.split(line.decode("utf-8", "replace"))[0]
    return None if moment is None else moment.timestamp()
