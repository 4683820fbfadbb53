"""Is a bundle of evidence what is said of it? Nothing is unpacked to disk; memory and time are bounded, whatever it holds."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from incidentctl import zstd

MANIFEST = "manifest.json"
MOST_BYTES = 1 << 30  # unpacked; a role's default is a twentieth of that
MOST_MEMBERS = 20_000
_MOST_MANIFEST = 32 << 20  # bytes; of 20,000 members it has about 6 MiB
_MOST_NAME = 500  # characters; a role's have at most 250
_CHUNK = 64 << 10  # read at once: a header that asks for more is made to fill the memory
_TOLD = 5


class NotAFileError(OSError):
    """It is not a file of ours: a link, a folder, a device."""


@dataclass
class Inside:
    """What was found in a bundle: how many members, and each thing that is not as its own manifest says."""

    members: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """The first of the problems, on one line."""
        more = len(self.problems) - _TOLD
        return "; ".join([*self.problems[:_TOLD], *([f"and {more} more"] if more > 0 else [])])


def opened(path: Path) -> BinaryIO:
    """Return a file opened for reading. Raise NotAFileError if it is anything but a regular file, OSError if it is away."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) if not path.is_symlink() else -1
    if descriptor < 0:
        raise NotAFileError("it is a symbolic link")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError("it is no regular file")
    return os.fdopen(descriptor, "rb")


def sha256(stream: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 of what is in an open file, from its beginning, and how many bytes that is."""
    stream.seek(0)
    digest, size = hashlib.sha256(), 0
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def look(stream: BinaryIO, host: str, incident_id: str) -> Inside:
    """Compare each member of an open bundle with the manifest that is in it, and that with whose evidence it should be."""
    inside = Inside()
    found: dict[str, tuple[str, int]] = {}
    said: Any = None
    try:
        for name, content in parts(stream, inside):
            if name in found or (said is not None):
                inside.problems.append(f"{name!r} is there twice, or after the manifest")
            elif name == MANIFEST:
                said = json.loads(_manifest(content))
            else:
                found[name] = sha256(content)
    except Exception as error:  # what a hostile archive makes these raise is no short list
        inside.problems.append(f"it cannot be read to its end: {type(error).__name__}: {error}")
    inside.members = len(found)
    inside.problems += _compared(said, found, {"host": host, "incident": incident_id})
    return inside


def parts(stream: BinaryIO, inside: Inside) -> Iterator[tuple[str, BinaryIO]]:
    """Give each regular file within an open bundle, in order, with what is in it; any other is a problem of `inside`.

    Raises whatever a hostile archive makes gzip, zstd and tarfile raise.
    """
    stream.seek(0)
    with _unpacked(stream) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r:") as tar:  # type: ignore[call-overload]
        for member in _members(tar, inside):
            yield member.name, _content(tar, member)


def is_zstd(stream: BinaryIO) -> bool:
    """Say whether an open bundle is packed with zstd."""
    stream.seek(0)
    return stream.read(len(zstd.MAGIC)) == zstd.MAGIC


def _unpacked(stream: BinaryIO) -> gzip.GzipFile | io.BufferedReader[zstd.Unpacked]:
    packed_with_zstd = is_zstd(stream)
    stream.seek(0)
    return io.BufferedReader(zstd.Unpacked(stream), _CHUNK) if packed_with_zstd else gzip.GzipFile(fileobj=stream)


def _members(tar: tarfile.TarFile, inside: Inside) -> Iterator[tarfile.TarInfo]:
    """Give the members that are regular files within the bundle; any other is a problem."""
    for number in itertools.count():
        member = tar.next()
        if member is None:
            return
        # What tarfile keeps of each member, and of what is said for all of them, may be any amount.
        tar.members.clear()  # type: ignore[attr-defined] # the stubs leave it out
        tar.pax_headers = {}
        if number >= MOST_MEMBERS:
            inside.problems.append(f"it holds more than {MOST_MEMBERS} members")
            return
        path = member.name.split("/")
        if len(member.name) > _MOST_NAME:
            inside.problems.append(f"the name of a member has more than {_MOST_NAME} characters")
        elif not member.isreg() or member.issparse():
            inside.problems.append(f"{member.name!r} is no regular file")
        elif member.name.startswith("/") or ".." in path:
            inside.problems.append(f"{member.name!r} leads out of the bundle")
        else:
            yield member


def _manifest(stream: BinaryIO) -> bytes:
    text = b"".join(itertools.islice(iter(lambda: stream.read(_CHUNK), b""), _MOST_MANIFEST // _CHUNK))
    if stream.read(1):
        raise ValueError(f"its manifest has more than {_MOST_MANIFEST} bytes")
    return text


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    stream = tar.extractfile(member)
    assert stream is not None  # noqa: S101 - it is a regular file
    return stream  # type: ignore[return-value]


def _compared(said: Any, found: Mapping[str, tuple[str, int]], whose: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(said, dict) or not isinstance(said.get("members"), list):
        yield "it holds no manifest that can be read"
        return
    for key, value in whose.items():
        if said.get(key) != value:
            yield f"its manifest is of the {key} {said.get(key)!r}"
    rows = [row for row in said["members"] if isinstance(row, dict)]
    names = [str(row.get("name")) for row in rows]
    for name in sorted({name for name in names if names.count(name) > 1} if len(names) != len(set(names)) else ()):
        yield f"its manifest names {name!r} twice"
    for name, row in zip(names, rows, strict=True):
        if name not in found:
            yield f"{name!r} is not there"
        elif found[name] != (row.get("sha256"), row.get("bytes")):
            yield f"{name!r} is not as its manifest says"
    for name in sorted(found.keys() - set(names)):
        yield f"{name!r} is not in its manifest"


class _Bounded:
    """What tarfile needs of a file, forward only, with an end: an archive may unpack to any size, and ask for it at once."""

    def __init__(self, stream: gzip.GzipFile | io.BufferedReader[zstd.Unpacked]) -> None:
        self._stream, self._at = stream, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise ValueError(f"{size} bytes are asked for at once")
        content = self._stream.read(size)
        self._at += len(content)
        self._check(self._at)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check(offset)
        if whence != os.SEEK_SET or offset < self._at:
            raise ValueError("it cannot be read in one go")
        while self._at < offset and self.read(min(_CHUNK, offset - self._at)):
            pass
        return self._at

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def _check(self, offset: int) -> None:
        if offset > MOST_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_BYTES} bytes")
