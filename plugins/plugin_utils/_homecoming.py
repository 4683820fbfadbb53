"""Bring one file home from a host that may be hostile: no more than it said, byte for byte what it said, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ansible_collections.incidentctl.response.plugins.plugin_utils import _resumption

# Where modules put bundles (_evidence_place.py): what is named is removed afterwards.
_SOURCE = re.compile(r"(?:/[A-Za-z0-9._-]+){0,8}/incidentctl-evidence-[A-Za-z0-9._-]{1,200}/evidence\.tar\.(?:gz|zst)")
_SHA256 = re.compile("[0-9a-f]{64}")
_CHUNK = 1 << 20


class NotHomeError(Exception):
    """It did not come home; the message says why."""


def source_of(named: Any) -> str:
    """Return where a bundle lies on its host. Raise NotHomeError if no bundle can lie there."""
    if not isinstance(named, str) or not _SOURCE.fullmatch(named) or ".." in named.split("/"):
        raise NotHomeError("the host named a file that is no bundle")
    return named


class CutOffError(Exception):
    """The transfer of a large bundle was cut off, for the reason that is its cause; what came stays, to be gone on with."""

    def __init__(self, came: int) -> None:
        """Given how many bytes came, keep that."""
        super().__init__(f"the transfer was cut off after {came} bytes: the next collection goes on from there")
        self.came = came


def bring(
    fetch: Callable[[str, str], object],
    source: str,
    target: Path,
    told: Any,
    most: int,
    note: Callable[[Path], None] | None = None,
    left: _resumption.Left | None = None,
) -> dict[str, Any]:
    """Fetch `source` to the new file `target`, 0600 in a folder 0700; return its path, SHA-256 and size, as they are here.

    `fetch` takes the two paths. `told` is what the host says of the file, `most` the bytes that it may have. Raise
    NotHomeError if it is anything else than it said; then nothing of it stays here.
    With `note`, which leaves beside a part what it takes to go on with it, that part stays when this is killed, timed out,
    or `fetch` raises CutOffError. `left` is such a part of an earlier transfer: `fetch` gets a copy of it, and it is removed.
    """
    size, digest = _promised(told, most)
    make_private(target.parent.parent)
    make_private(target.parent)
    if os.path.lexists(target):
        raise NotHomeError(f"{target} is there already")
    part = _resumption.part_of(target)
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as growing:
        stays = False
        try:
            _resumption.hold(growing.fileno())
            _begin(growing, part, note, left)
            with _no_file_larger_than(size):
                fetch(source, str(part))
            _require_same(part, size, digest)
            part.rename(target)
        except BaseException as error:
            cut_off = isinstance(error, CutOffError) or not isinstance(error, Exception)  # Ansible's timeout is none
            stays = note is not None and cut_off and _can_go_on(part, size)
            if isinstance(error, CutOffError) and error.__cause__ and not stays:
                raise error.__cause__ from None
            raise
        finally:
            if not stays:
                _resumption.remove(part)
    return {"path": str(target), "sha256": digest, "bytes": size}


def _begin(growing: BinaryIO, part: Path, note: Callable[[Path], None] | None, left: _resumption.Left | None) -> None:
    if left is not None:
        shutil.copyfileobj(left.stream, growing, _CHUNK)
        growing.flush()
    if note is not None:
        note(part)
    if left is not None:
        left.forget()


def _can_go_on(part: Path, size: int) -> bool:
    """Say whether some of it is there, and room for the rest: on a full disk, nothing that may be of no use is kept."""
    came = part.lstat().st_size
    return 0 < came < size and shutil.disk_usage(part.parent).free > size - came


def _promised(told: Any, most: int) -> tuple[int, str]:
    told = told if isinstance(told, dict) else {}
    size, digest = told.get("bytes"), told.get("sha256")
    if not isinstance(size, int) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise NotHomeError("the host did not say how large it is, or which SHA-256 it has")
    if not 0 < size <= most:
        raise NotHomeError(f"the host says that it has {size} bytes, where {most} are the most it may have")
    return size, digest


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, for its owner alone. Raise NotHomeError if something else is there."""
    for part in reversed([folder, *folder.parents]):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise NotHomeError(f"{folder} is not a folder")
    folder.chmod(0o700)  # whatever the umask, and whoever made it


@contextlib.contextmanager
def _no_file_larger_than(size: int) -> Iterator[None]:
    """Let neither this process nor what it starts write a larger file: a host that sends without end must not fill the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _require_same(path: Path, size: int, digest: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    found = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            found.update(chunk)
        os.fsync(descriptor)
        came = os.fstat(descriptor).st_size
    if came != size:
        raise NotHomeError(f"{came} bytes came, where the host had said {size}")
    if found.hexdigest() != digest:
        raise NotHomeError(f"it came with the SHA-256 {found.hexdigest()}, where the host had said {digest}")
