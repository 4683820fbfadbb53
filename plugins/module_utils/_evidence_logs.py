"""The logs of a service as parts of the evidence: of containers, of the journal, files, and files that were rotated."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose,
    _log_tail,
    _parallel,
    _rotated,
    _untrusted_path,
)
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import (
    Allowance,
    Content,
    Part,
    left_out,
    said_by,
)

_ORDER = ("compose", "journal", "file")  # a container's log goes with the container
_ENTRY_BYTES = 200  # a line of the journal or of a container, about
_TRIES, _MOMENT_S = 3, 0.02
_LOOK_S = 10.0  # to find out what there is: a disk that never answers holds up nothing else

Params = dict[str, Any]


def parts(services: list[dict[str, Any]], params: Params) -> list[Part]:
    """Given this host's services, return their logs, each estimated; what is most easily lost first.

    As far back as `since_s` asks; else as many `lines`.
    """
    params = {**params, "lines": 0} if params["since_s"] else params
    wanted = [
        (service, number, log) for service in services for number, log in enumerate(service.get("logs", []), start=1)
    ]
    wanted.sort(key=lambda each: _ORDER.index(each[2]["kind"]))
    found = _parallel.each(lambda each: list(_log(*each, params)), wanted, _LOOK_S)
    late = OSError(f"it could not be looked at within {_LOOK_S:.0f} s")
    return [
        part
        for each, its in zip(wanted, found)
        for part in (its if its is not None else [left_out(_name(*each), str(each[2].get("path", each[2])), late)])
    ]


def safe(text: str) -> str:
    """Return a name as it can stand in a bundle."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:100]


def _name(service: dict[str, Any], number: int, log: dict[str, Any]) -> str:
    label = Path(str(log.get("path") or log.get("unit") or log["kind"])).name
    return f"logs/{service['name']}/{number:02d}-{safe(label)}"


def _log(service: dict[str, Any], number: int, log: dict[str, Any], params: Params) -> Iterator[Part]:
    name = _name(service, number, log)
    if log["kind"] == "file":
        yield from _files(name, str(log["path"]), params)
    elif log["kind"] == "journal":
        yield _journal(name, str(log["unit"]), params)
    else:
        yield from _containers(name, service, params)


def _files(name: str, path: str, params: Params) -> Iterator[Part]:
    """Give the file, and what was rotated away of it, as far back as is asked for."""
    lines, most = params["lines"], params["max_file_bytes"]
    since = time.time() - params["since_s"] if params["since_s"] else 0.0
    had = 0
    try:
        with _open(path) as stream:
            size, had = _log_tail.look(stream, lines, most)
            file = _identity(stream)
        yield Part(name, path, _reader(path, file, lines, since), size)
    except OSError as error:
        yield left_out(name, path, error)
    # What was not written since holds no line since; without a time, as many files as it takes to have the lines.
    for count, older in enumerate(_rotated.older(Path(path)) if since or had < lines else [], start=1):
        if older.written < since or (not since and had >= lines):
            return
        number, at = name.rpartition("/")[2].partition("-")[0], str(older.path)
        label = f"{name.rpartition('/')[0]}/{number}.{count:02d}-{safe(older.path.name)}"
        try:
            with _untrusted_path.open_file(at) as stream:
                packed = _rotated.packed(stream)
                size, more = (older.size, 0) if packed else _log_tail.look(stream, lines and lines - had, most)
        except OSError as error:
            yield left_out(label, at, error)
            continue
        if packed:
            yield Part(label, at, _whole(at), size)
            had = lines  # how many are in it is not known without unpacking it
            continue
        yield Part(label, at, _reader(at, older.identity[:2], lines and lines - had, since), size)
        had += more


def _identity(stream: BinaryIO) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino


def _reader(path: str, file: tuple[int, int], lines: int, since: float) -> Callable[[Allowance], Content]:
    """Return how to read the file that was looked at, also where it was rotated since."""

    def read(allowance: Allowance) -> Content:
        with contextlib.suppress(FileNotFoundError), _untrusted_path.open_file(path) as stream:
            if _identity(stream) == file:
                return _log_tail.read(stream, allowance, lines, since)
        now = next((str(older.path) for older in _rotated.older(Path(path)) if older.identity[:2] == file), None)
        with _open(now or path) as stream:
            content = _log_tail.read(stream, allowance, lines, since)
        told = f"it was rotated meanwhile, and read as {now}" if now else "it was replaced since it was looked at"
        return content._replace(note="; ".join(filter(None, (told, content.note))))

    return read


def _open(path: str) -> BinaryIO:
    """Open a log. One that is being rotated is away for a moment."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return _untrusted_path.open_file(path)
        time.sleep(_MOMENT_S)
    return _untrusted_path.open_file(path)


def _whole(path: str) -> Callable[[Allowance], Content]:
    def read(allowance: Allowance) -> Content:
        with _untrusted_path.open_file(path) as stream:
            return _log_tail.whole(stream, allowance)

    return read


def _journal(name: str, unit: str, params: Params) -> Part:
    argv = ["journalctl", "--no-pager", "--quiet", "--utc", "--output=short-iso-precise", f"--unit={unit}"]
    if params["lines"]:
        argv.append(f"--lines={params['lines']}")
    if params["since_s"]:
        argv.append(f"--since=@{int(time.time()) - params['since_s']}")
    if shutil.which("journalctl") is None:
        return left_out(name, f"journal of {unit}", OSError("this host has no journalctl"))
    return Part(name, f"journal of {unit}", lambda allowance: said_by(argv, allowance), _guess(params))


def _containers(name: str, service: dict[str, Any], params: Params) -> Iterator[Part]:
    try:
        logs = _compose.logs(service)
    except OSError as error:
        yield left_out(name, f"compose logs of {service['name']}", error)
        return
    for log in logs:
        argv = log.argv(params["lines"], params["since_s"])
        yield Part(f"{name}-{safe(str(log))}", f"container {log}", _said_by_container(argv), _guess(params))


def _said_by_container(argv: list[str]) -> Callable[[Allowance], Content]:
    return lambda allowance: said_by(argv, allowance, merged=True)


def _guess(params: Params) -> int | None:
    return min(params["lines"] * _ENTRY_BYTES, params["max_file_bytes"]) if params["lines"] else None
