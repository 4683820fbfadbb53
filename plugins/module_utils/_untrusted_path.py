"""Open what a path names on a host of which a part may be hostile, without being led elsewhere.

A symbolic link on the way is followed if it belongs to root or to us, or to the owner of what it leads to, who gains
nothing by it (Apache's SymLinksIfOwnerMatch). The file itself must be a regular one on a disk, and no hard link that
a service may have made to somebody else's file. Each step goes out from the folder that was looked at, so that nothing
can be exchanged in between.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError, require_regular

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
# What the kernel makes up: some of it has no end, and reading it can change the host.
_MADE_UP = frozenset(
    {"proc", "sysfs", "debugfs", "tracefs", "securityfs", "cgroup", "cgroup2", "configfs", "devtmpfs", "bpf", "pstore"}
)


class _Place(NamedTuple):
    """Where a path leads: a descriptor that only marks it, and what lies there and in the folder that holds it."""

    descriptor: int
    status: os.stat_result
    folder: os.stat_result


def open_file(path: str, *, follow: bool = False) -> BinaryIO:
    """Return a regular file opened for reading. `follow`: it may itself be such a link as may be on the way.

    Raise NotRegularError, whose message says what it is, or OSError if it cannot be opened.
    """
    place = _find(path, follow)
    try:
        require_regular(place.status)
        if (os.major(place.status.st_dev), os.minor(place.status.st_dev)) in _made_up_devices():
            raise NotRegularError("it lies on no disk: the kernel makes it up")
        if _may_be_planted(place):
            raise NotRegularError("it is a hard link, in a folder of others, to a file that is not theirs")
        return os.fdopen(_open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb")
    finally:
        os.close(place.descriptor)


@contextlib.contextmanager
def open_folder(path: str) -> Iterator[int]:
    """Give a descriptor of a folder, to list it with os.scandir. Raise NotRegularError if it is none, or OSError."""
    place = _find(path, follow=False)
    try:
        if not stat.S_ISDIR(place.status.st_mode):
            raise NotRegularError("it is no folder")
        descriptor = _open(place, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(place.descriptor)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(place: _Place, flags: int) -> int:
    return os.open(f"/proc/self/fd/{place.descriptor}", flags | os.O_CLOEXEC)


def _find(path: str, follow: bool) -> _Place:
    if not path.startswith("/"):
        raise NotRegularError("its path is not absolute")
    if "\0" in path:
        raise NotRegularError("no path can hold the NUL character that is in it")
    with contextlib.ExitStack() as closing:

        def look(name: str, folder: int | None = None) -> int:
            descriptor = os.open(name, _LOOK, dir_fd=folder)
            closing.callback(os.close, descriptor)
            return descriptor

        here = folder = look("/")
        waiting, links = _names(path), 0
        claims: list[
            tuple[int, int]
        ] = []  # of links: how much of the path is left where theirs ends, and whose they are
        while waiting:
            name = waiting.pop()
            there = look(name, here)
            status = os.fstat(there)
            if not stat.S_ISLNK(status.st_mode):
                here, folder = there, here
            else:
                links += 1
                if (not waiting and not follow) or links > _MOST_LINKS:
                    raise NotRegularError("it is a symbolic link" if links <= _MOST_LINKS else "its links have no end")
                if status.st_uid not in (0, os.geteuid()):
                    claims.append((len(waiting), status.st_uid))
                target = os.readlink("", dir_fd=there)  # of the very link that was looked at
                waiting += _names(target)
                here = look("/") if target.startswith("/") else here
            while claims and claims[-1][0] == len(waiting):
                if claims.pop()[1] != os.fstat(here).st_uid:
                    raise NotRegularError("a symbolic link in its path leads to what does not belong to its owner")
        return _Place(os.dup(here), os.fstat(here), os.fstat(folder))


def _names(path: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _may_be_planted(place: _Place) -> bool:
    """Say whether somebody who may not read a file may have given it a second name, in a folder of their own."""
    owner, folder = place.status.st_uid, place.folder
    theirs = folder.st_uid not in (0, os.geteuid()) or bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return place.status.st_nlink > 1 and theirs and (owner != folder.st_uid or owner == 0)


def _made_up_devices() -> set[tuple[int, int]]:
    found = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            fields, _dash, kind = line.partition(" - ")
            if kind.split(" ")[0] in _MADE_UP:
                major, minor = fields.split(" ")[2].split(":")
                found.add((int(major), int(minor)))
    return found
