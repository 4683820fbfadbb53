"""What is left here of a large bundle whose transfer was cut off: the next collection goes on with it, or removes it.

Beside what came lies a note of what the host had said of the bundle. Both have names that no bundle has, and who takes them
over works on a copy: what another transfer may still write to cannot become a bundle.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ABOVE = 50_000_000  # bytes; a smaller bundle is collected and sent anew
_MOST_AGE_S = 3600  # who collects later wants to know how the host is by then
_FORMAT = 1
_MOST_NOTE = 1 << 20
_PART, _NOTE = ".part", ".json"


@dataclass(frozen=True)
class Left:
    """What came of a bundle, opened and locked; what the host's module had answered, and when, by our clock."""

    stream: BinaryIO
    path: Path
    answer: dict[str, Any]
    at: float
    came: int

    def forget(self) -> None:
        """Remove it."""
        remove(self.path)
        self.stream.close()


def is_large(told: Any) -> bool:
    """Given what the host says of a bundle, say whether its transfer is gone on with when it is cut off."""
    size = told.get("bytes") if isinstance(told, dict) else None
    return isinstance(size, int) and size > ABOVE


def part_of(target: Path) -> Path:
    """Return where a bundle grows until it is whole."""
    return target.with_name(f".{target.name}{_PART}")


def note_of(part: Path) -> Path:
    """Return where lies what the host had said of it."""
    return part.with_name(part.name + _NOTE)


def asked(arguments: Mapping[str, Any]) -> str:
    """Return what tells one wish for evidence from another; where it lands is none of it."""
    wish = {key: value for key, value in arguments.items() if key != "dest"}
    return hashlib.sha256(json.dumps(wish, sort_keys=True, default=str).encode()).hexdigest()


def write_note(part: Path, wish: str, answer: Mapping[str, Any], at: float | None = None) -> None:
    """Note what the host says of the bundle that grows in `part`, which was collected now, or `at`."""
    kept = {key: answer[key] for key in ("bundle", "incident")}
    size = answer["incident"]["files"][0]["bytes"]
    _write(part, {"asked": wish, "at": at or time.time(), "bytes": size, "answer": kept})


def write_collecting(part: Path, seconds: int, size: int) -> None:
    """Note, before there is a part, that the host collects from now on, and what it may take: for who waits for it."""
    _write(part, {"collecting": {"since": time.time(), "seconds": seconds, "bytes": size}})


def _write(part: Path, said: Mapping[str, Any]) -> None:
    text = json.dumps({"format": _FORMAT, **said})
    path = note_of(part)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as stream:
        stream.write(text)


def find(folder: Path, wish: str) -> Left | None:
    """Return what is left in a folder of a bundle for the same wish, the most of it; remove all else that nobody works on."""
    found: Left | None = None
    for left in _all(folder, wish):
        less, found = (found, left) if found is None or left.came > found.came else (left, found)
        if less is not None:
            less.forget()
    return found


def hold(descriptor: int) -> bool:
    """Lock an open part for as long as it is open; say whether nobody else has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _all(folder: Path, wish: str) -> Iterator[Left]:
    try:
        is_folder = stat.S_ISDIR(folder.lstat().st_mode)
    except OSError:
        return
    if not is_folder:
        return
    for note in list(_notes_alone(folder)):
        remove(note)
    for path in sorted(folder.glob(f".*{_PART}")):
        try:
            stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except OSError:
            remove(path)
            continue
        if not hold(stream.fileno()):
            stream.close()
        elif left := _opened(path, stream, wish):
            yield left
        else:
            remove(path)
            stream.close()


def _opened(path: Path, stream: BinaryIO, wish: str) -> Left | None:
    """Return what is left, if it can be gone on with."""
    try:
        with os.fdopen(os.open(note_of(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as note:
            said = json.loads(note.read(_MOST_NOTE))
        status = os.fstat(stream.fileno())
        size, at = int(said["bytes"]), float(said["at"])
        fits = stat.S_ISREG(status.st_mode) and 0 < status.st_size <= size
        if not fits or said["asked"] != wish or not 0 <= time.time() - at <= _MOST_AGE_S:
            return None
        return Left(stream, path, {"changed": False, **said["answer"]}, at, status.st_size)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _notes_alone(folder: Path) -> Iterator[Path]:
    return (note for note in folder.glob(f".*{_PART}{_NOTE}") if not os.path.lexists(note.with_suffix("")))


def remove(path: Path) -> None:
    """Remove a part, and the note of it."""
    for each in (path, note_of(path)):
        with contextlib.suppress(OSError):
            each.unlink()
