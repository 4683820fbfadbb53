"""A copy of an incident's evidence for people: text without secrets, beside a manifest that says what it was made from.

The evidence itself is checked first, and never touched. The copy is there whole or not at all: it grows in a folder
beside the one that was asked for, whose name says that it is not done, and is renamed in the end.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from incidentctl import bundles, evidence_manifest, series, zstd
from incidentctl.errors import EvidenceChanged, RefusedError
from incidentctl.files import private_folder, private_text
from incidentctl.incident import Incident
from incidentctl.redaction import LONGEST_LINE, Redactor, for_people

MANIFEST = "manifest.json"
FORMAT = 1
MOST_BYTES = bundles.MOST_BYTES  # of one bundle's copy: what is compressed in it may unpack to any amount
_CHUNK = 64 << 10
_LOOK = 8 << 10  # bytes that are looked at to tell text from what is none
_XZ_MEMORY = 128 << 20  # xz -9 needs 65 MiB to unpack
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", zstd.MAGIC: "zstd"}


class _LeftOutError(Exception):
    """A part that is not in the copy, and why."""


@dataclass
class Part:
    """One part of a bundle: what it was, and what became of it: a file of the copy, or `left_out` and why."""

    name: str
    sealed: str  # SHA-256, as it lies in the bundle
    sealed_bytes: int
    file: str = ""
    sha256: str = ""
    bytes: int = 0
    redactions: dict[str, int] = field(default_factory=dict)
    left_out: str = ""


@dataclass(frozen=True)
class Bundle:
    """One bundle of a host, by its path below the folder of evidence, and its parts."""

    host: str
    path: str
    sealed: str
    parts: tuple[Part, ...]


def copy(incident: Incident, evidence: Path, folder: Path, made_by: str, made_at: str) -> tuple[Bundle, ...]:
    """Make the copy of what lies in `evidence`, which was verified, in a new `folder`; return what is in it.

    Raise RefusedError if the folder cannot be one for it, EvidenceChanged if a bundle is not what was verified, OSError
    of the disk. Nothing is left then.
    """
    folder = folder.absolute()
    _unless_fit(evidence, folder)
    private_folder(folder.parent)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.partial-"))
    try:
        known = evidence_manifest.manifest(incident, evidence)["hosts"]
        found = tuple(
            _bundle(host, bundle, evidence, draft, incident.incident_id)
            for host, kept in known.items()
            for bundle in kept["bundles"]
        )
        found += tuple(
            _measured(row, evidence, draft, incident.incident_id) for row in incident.measured if "file" in row
        )
        document = _document(incident, found, known, made_by, made_at)
        private_text(draft / MANIFEST, json.dumps(for_people(document), indent=1) + "\n")
        draft.rename(folder)  # onto an empty one, or none
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return found


def redactions(found: Sequence[Bundle]) -> dict[str, int]:
    """Return how many secrets of each rule were taken out, of all bundles, most often first."""
    counts: Counter[str] = Counter()
    for bundle in found:
        for part in bundle.parts:
            counts.update(part.redactions)
    return dict(counts.most_common())


def _unless_fit(evidence: Path, folder: Path) -> None:
    fix = "name a folder that is not there yet, elsewhere"
    if folder.resolve().is_relative_to(evidence.resolve()):
        raise RefusedError("The copy cannot lie among the evidence.", f"{folder} is in {evidence}.", fix)
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise RefusedError(f"{folder} is there already.", "A copy is never mixed with anything else.", fix)


def _document(
    incident: Incident, found: Sequence[Bundle], known: Mapping[str, Any], made_by: str, made_at: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "incident": incident.incident_id,
        "made_at": made_at,
        "made_by": made_by,
        "redactions": redactions(found),
        "bundles": [
            {
                "host": bundle.host,
                "path": bundle.path,
                "sealed": bundle.sealed,
                "parts": [{key: value for key, value in vars(part).items() if value != ""} for part in bundle.parts],
            }
            for bundle in found
        ],
        "nothing_of": {host: kept["why"] for host, kept in known.items() if not kept["bundles"]},
    }


def _bundle(host: str, bundle: Mapping[str, Any], evidence: Path, draft: Path, incident_id: str) -> Bundle:
    path = str(bundle["path"])
    base = PurePosixPath(path).name
    place = private_folder(draft / _safe(host) / _safe(base.removesuffix(".tar.gz").removesuffix(".tar.zst")))
    room = [MOST_BYTES]
    parts: list[Part] = []
    with bundles.opened(evidence / path) as stream:
        digest, _size = bundles.sha256(stream)
        if digest == bundle["sha256"]:
            inside = bundles.Inside()
            parts = [_part(name, content, place, draft, room) for name, content in bundles.parts(stream, inside)]
            digest, _size = bundles.sha256(stream)
    if digest != bundle["sha256"]:
        raise _changed(incident_id, path)
    return Bundle(host, path, digest, tuple(parts))


def _measured(row: Mapping[str, Any], evidence: Path, draft: Path, incident_id: str) -> Bundle:
    """Copy what Prometheus measured, which is of no host: the same JSON, a series a line, for rules look at lines."""
    name = str(row["file"])
    with bundles.opened(evidence / name) as stream:
        raw = stream.read(series.MOST_BYTES + 1)
    digest = hashlib.sha256(raw).hexdigest()
    if digest != row["sha256"]:
        raise _changed(incident_id, name)
    part = Part(name, digest, len(raw))
    text = raw.replace(b'{"labels":', b'\n{"labels":').replace(
        b'{"kind":', b'\n{"kind":'
    )  # no text has that quotation mark
    try:
        part.sha256, part.bytes, part.redactions = _written(io.BytesIO(text), draft / _safe(name), [MOST_BYTES])
        part.file = _safe(name)
    except _LeftOutError as why:
        part.left_out = str(why)
    return Bundle("", name, digest, (part,))


def _changed(incident_id: str, path: str) -> EvidenceChanged:
    return EvidenceChanged(
        f"{incident_id}: {path} is not what was verified a moment ago.",
        fix=f"incidentctl evidence verify {incident_id} says what it is",
    )


def _part(name: str, content: BinaryIO, place: Path, draft: Path, room: list[int]) -> Part:
    """Copy one part without its secrets. What is not text is left out; so is what would take more than the room."""
    source = _Hashed(content)
    stream = io.BufferedReader(source, _CHUNK)
    part = Part(name, "", 0)
    path = place.joinpath(*map(_safe, PurePosixPath(name).parts))
    try:
        text, suffix = _text(stream)
        path = path.with_name(path.name + suffix)
        with text if suffix else contextlib.nullcontext():  # zstd is a program that runs
            part.sha256, part.bytes, part.redactions = _written(text, path, room)
        part.file = str(path.relative_to(draft))
    except _LeftOutError as why:
        part.left_out = str(why)
    while source.read(_CHUNK):  # what was not copied is part of what is sealed
        pass
    part.sealed, part.sealed_bytes = source.digest.hexdigest(), source.size
    return part


def _text(stream: io.BufferedReader[Any]) -> tuple[io.BufferedReader[Any], str]:
    """Return the text of a part, unpacked, and what its name gets. Raise _LeftOutError if it is none."""
    unpacked = stream
    begin, suffix = stream.peek(_LOOK)[:_LOOK], ""
    kind = next((kind for magic, kind in _PACKED.items() if begin.startswith(magic)), None)
    if kind == "zstd" and not zstd.is_here():
        raise _LeftOutError(f"{zstd.WHY_NOT}, with which it is compressed")
    if kind is not None:
        unpacked = io.BufferedReader(_UNPACKERS[kind](stream), _CHUNK)
        suffix = ".txt"
        begin = _read(lambda: unpacked.peek(_LOOK)[:_LOOK])
    if b"\0" in begin:
        raise _LeftOutError("it is not text")
    return unpacked, suffix


def _read(read: Any) -> bytes:
    """Read from what a host sent. Raise _LeftOutError if it cannot be unpacked: what hostile archives raise is no short list."""
    try:
        return bytes(read())
    except (EOFError, ValueError, OSError, MemoryError, zlib.error, lzma.LZMAError) as error:
        raise _LeftOutError(f"it cannot be unpacked: {type(error).__name__}: {error}") from error


def _written(text: io.BufferedIOBase, path: Path, room: list[int]) -> tuple[str, int, dict[str, int]]:
    """Write a text without its secrets; return its SHA-256, its bytes, and what was taken out."""
    redactor, digest, size = Redactor(), hashlib.sha256(), 0
    lines = _Lines(text)
    with _created(path) as stream:

        def write(content: bytes) -> None:
            nonlocal size
            size += len(content)
            room[0] -= len(content)
            if room[0] < 0:
                raise _LeftOutError(f"the copy of its bundle would have more than {MOST_BYTES} bytes")
            digest.update(content)
            stream.write(content)

        try:
            for number, line in enumerate(redactor.lines(lines)):
                write(b"\n" * (number > 0) + line.encode("utf-8", "surrogateescape"))
            write(b"\n" * lines.ended)
        except _LeftOutError:
            path.unlink()
            raise
    return digest.hexdigest(), size, dict(redactor.counts)


def _created(path: Path) -> BinaryIO:
    try:
        private_folder(path.parent)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _LeftOutError("another part has its name") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _LeftOutError("its name is too long") from error
        raise


class _Lines:
    """The lines of a text of any size, without their ends; `ended` says whether the last one read had one."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        while raw := self._next():
            self.ended = raw.endswith(b"\n")
            if len(raw) > LONGEST_LINE and not self.ended:
                while rest := self._next():  # the line is left out, whatever its length
                    self.ended = rest.endswith(b"\n")
                    if self.ended:
                        break
                yield "." * (LONGEST_LINE + 1)
            else:
                yield raw.removesuffix(b"\n").decode("utf-8", "surrogateescape")

    def _next(self) -> bytes:
        return _read(lambda: self._stream.readline(LONGEST_LINE + 1))


class _Hashed(io.RawIOBase):
    """A part as it lies in its bundle, hashed as it is read, a little at a time."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self.digest, self.size = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._content.read(min(len(buffer), _CHUNK))
        self.digest.update(chunk)
        self.size += len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Xz(io.RawIOBase):
    """What lzma.LZMAFile does, with an end to the memory that a file may ask for."""

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        self._stream = stream
        self._unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacker.eof:
            packed = self._stream.read(_CHUNK) if self._unpacker.needs_input else b""
            if not packed and self._unpacker.needs_input:
                raise EOFError("it is cut off")
            if content := self._unpacker.decompress(packed, len(buffer)):
                buffer[: len(content)] = content
                return len(content)
        if self._unpacker.unused_data or self._stream.peek(1):
            raise ValueError("there is something after its end")
        return 0


_UNPACKERS: Mapping[str, Callable[[io.BufferedReader[Any]], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bzip2": bz2.BZ2File,
    "xz": _Xz,
    "zstd": zstd.Unpacked,
}


def _safe(name: str) -> str:
    """Return one part of a path that a host wrote as a name that shows itself, and leads nowhere."""
    shown = "".join(c if c.isprintable() and c != "/" else "_" for c in name)
    return shown if shown.strip(".") else "_"
