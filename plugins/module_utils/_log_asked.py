"""Logs that no file holds for us: a command is asked for the newest entries of the journal, or the lines of a container."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _compose, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line, Source
from ansible_collections.incidentctl.response.plugins.module_utils._log_scan import LINE_LIMIT

JOURNAL_S = 60.0
_JOURNAL_ENTRY = 400  # bytes a journal entry has, about: to turn a limit in bytes into one in entries
_CONTAINER_LINE = 100  # the same of a container's line, with its time
_MOST = 16 << 20  # bytes of journal or container: the one is slow to tell, the other is held in memory


@contextlib.contextmanager
def of_journal(unit: str, limit: int) -> Iterator[Source]:
    """Open the newest journal entries of a unit, about `limit` bytes. Raise OSError if journalctl cannot be run."""
    if shutil.which("journalctl") is None:
        raise FileNotFoundError("journalctl is not on this host")
    entries = max(1, min(limit, _MOST) // _JOURNAL_ENTRY)
    argv = ["journalctl", f"--unit={unit}", f"--lines={entries}", "--output=json", "--no-pager"]
    argv.append("--output-fields=MESSAGE,PRIORITY")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        ending = threading.Timer(JOURNAL_S, process.kill)
        ending.start()
        try:
            source = Source()
            source.lines = _with_first(source, _journal(source, process, entries, said))
            yield source
        finally:
            ending.cancel()
            process.kill()
            process.communicate()


@contextlib.contextmanager
def of_container(log: _compose.ContainerLog, limit: int) -> Iterator[Source]:
    """Open the newest lines of a container, at most `limit` bytes. Raise OSError if its engine does not tell them."""
    limit = max(1, min(limit, _MOST))
    count = max(1, limit // _CONTAINER_LINE)
    said, cut = _capture.capture(log.argv(count), limit, JOURNAL_S, merged=True)
    lines = _lines(io.BytesIO(said), len(said))
    if cut:
        next(lines, None)  # most likely half a line
    source = Source(older=cut or said.count(b"\n") >= count)
    source.lines = _with_first(source, map(_of_container, lines))
    yield source


def _with_first(source: Source, lines: Iterator[Line]) -> Iterator[Line]:
    for line in lines:
        if source.first is None:
            source.first = line.at
        yield line


def _of_container(line: Line) -> Line:
    """Take off the time that the engine put before a line: it is when the line was said, whatever itself says."""
    moment, _space, text = line.text.partition(" ")
    at = _timestamps.moment(moment)
    return Line(text, at.timestamp()) if at else line


def _lines(stream: IO[bytes], left: int) -> Iterator[Line]:
    whole = True
    while left > 0:
        raw = stream.readline(min(LINE_LIMIT, left))
        if not raw:
            return
        left -= len(raw)
        if whole:
            yield Line(raw.decode("utf-8", "replace").rstrip("\r\n"))
        whole = raw.endswith(b"\n")


def _journal(source: Source, process: subprocess.Popen[bytes], entries: int, said: IO[bytes]) -> Iterator[Line]:
    count = 0
    for raw in process.stdout or ():
        count += 1
        yield from _entry(raw)
    code = process.wait()
    said.seek(0)
    words = " ".join(said.read(1000).decode("utf-8", "replace").split())
    if code < 0:
        raise OSError(f"journalctl did not finish within {JOURNAL_S:.0f} s")
    if code:
        raise OSError(f"journalctl exited {code}: {words}")
    source.older = count >= entries
    source.note = words or None


def _entry(raw: bytes) -> Iterator[Line]:
    try:
        entry = json.loads(raw)
        text = _message(entry.get("MESSAGE"))
        at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
        error = str(entry.get("PRIORITY", "6")) in ("0", "1", "2", "3")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for number, line in enumerate(text.splitlines()):
        yield Line(line[:LINE_LIMIT], at, error and number == 0)


def _message(value: Any) -> str:
    """The journal hands text that is not UTF-8 over as a list of bytes, and null for what is too long."""
    if isinstance(value, list):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
