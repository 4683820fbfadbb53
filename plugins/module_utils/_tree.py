"""A folder or a file as rows {name: what is there}, to compare what was, what was kept and what came back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular

Rows = dict[str, dict[str, Any]]
Keep = Callable[[], None]

_CHUNK = 1 << 20
_TRIES = 3


class Tree(NamedTuple):
    """What was read: rows of folders, files (with SHA-256) and links; names of sockets and the like, which are
    left out; names of files that were written to whenever we read them.
    """

    rows: Rows
    left_out: list[str]
    moving: list[str]

    @property
    def digest(self) -> str:
        """One SHA-256 over all of it."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes in all files."""
        return sum(row.get("bytes", 0) for row in self.rows.values())


def scan(root: Path) -> Tree:
    """Read a folder, or a single file. Raise OSError if any part of it cannot be read."""
    return _take(root, None, lambda: None)


def copy(root: Path, target: Path, keep: Keep) -> Tree:
    """Copy a folder, or a single file, into the new folder `target`; return what was read, as it was read.

    Modes, times, and for root owners, come along. Raise OSError if any part cannot be read or written, or when `keep`,
    which is called before each piece, raises it.
    """
    target.mkdir(mode=0o700)
    return _take(root, target, keep)


def size(root: Path) -> int:
    """Return the bytes in all files below `root`. Raise OSError if it cannot be looked at."""
    total = 0
    for _name, path in _walk(root):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def remove(root: Path) -> None:
    """Remove a copy, if it is there, also one with folders that may not be written to."""
    for here, folders, _files in os.walk(root):
        for folder in folders:
            path = Path(here, folder)
            if not path.is_symlink():
                path.chmod(0o700)
    if root.exists():
        shutil.rmtree(root)


def _take(root: Path, target: Path | None, keep: Keep) -> Tree:
    tree, folders = Tree({}, [], []), []
    for name, path in _walk(root):
        copied = target / name if target else None
        with contextlib.suppress(FileNotFoundError):  # gone since its folder was listed: a live folder does that
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                tree.rows[name] = {"kind": "folder", "mode": stat.S_IMODE(status.st_mode)}
                folders.append((copied, status))
                if copied:
                    copied.mkdir(mode=0o700)
            elif stat.S_ISLNK(status.st_mode):
                tree.rows[name] = _link(path, copied)
            elif stat.S_ISREG(status.st_mode):
                tree.rows[name], moving = _file(path, copied, keep)
                tree.moving.extend([name] if moving else [])
            else:
                tree.left_out.append(name)
    # Last and from the inside out: a folder that may not be written to could not be filled.
    for copied, status in reversed(folders):
        if copied:
            _dress(copied, status)
    return tree


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Give the name below `root` and the path of everything in it, folders before what they hold."""
    if not stat.S_ISDIR(root.lstat().st_mode):
        yield root.name, root
        return
    waiting = [root]
    while waiting:
        for entry in _entries(waiting.pop()):
            path = Path(entry.path)
            yield str(path.relative_to(root)), path
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _link(path: Path, copied: Path | None) -> dict[str, Any]:
    leads_to = os.readlink(path)  # noqa: PTH115 - Path.readlink would tidy up what the link says
    if copied:
        copied.symlink_to(leads_to)
    return {"kind": "link", "target": leads_to}


def _file(path: Path, copied: Path | None, keep: Keep) -> tuple[dict[str, Any], bool]:
    """Return the row of a file, and whether it was written to each time that we read it."""
    for _try in range(_TRIES):
        with open_regular(path) as source:
            before = os.fstat(source.fileno())
            content = _read(source, before.st_size, copied, keep)
            after = os.fstat(source.fileno())
        moving = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
        if not moving:
            break
    if copied:
        _dress(copied, before)
    return {"kind": "file", "mode": stat.S_IMODE(before.st_mode), **content}, moving


def _read(source: BinaryIO, size: int, copied: Path | None, keep: Keep) -> dict[str, Any]:
    """Hash, and copy, at most `size` bytes: a file that grows as fast as it is read has no end."""
    digest, left = hashlib.sha256(), size
    with contextlib.ExitStack() as stack:
        copying = stack.enter_context(copied.open("wb")) if copied else None
        while left:
            chunk = source.read(min(left, _CHUNK))
            if not chunk:
                break
            digest.update(chunk)
            left -= len(chunk)
            if copying:
                keep()
                copying.write(chunk)
    return {"bytes": size - left, "sha256": digest.hexdigest()}


def _dress(copied: Path, status: os.stat_result) -> None:
    """Give a copy the original's owner (only root can), mode and times."""
    if os.geteuid() == 0:
        os.chown(copied, status.st_uid, status.st_gid)
    copied.chmod(stat.S_IMODE(status.st_mode))
    os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns))
