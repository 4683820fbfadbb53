"""Files and folders of which the contents, or mode and owner, changed lately: /etc, and what services declare.

Two times of a file tell what happened to it: when it was last written (mtime), and when anything of it changed (ctime),
which nobody can set. Where the second is later, its mode or owner was changed, or it was put there as it is; which of the
two, the time of its birth tells, where the file system keeps one.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture
from ansible_collections.incidentctl.response.plugins.module_utils._change import Window

_LIMIT, _DEPTH = 20_000, 8  # entries of one walk, folders within folders
_SLACK_S = 2.0  # between the two times of a file that was written, closed and renamed
_SHALLOW = 200  # entries of one folder of which only mode and owner count
_BIRTHS, _BIRTHS_S = 1000, 2.0  # files whose birth is asked for, and how long that may take
_ACCESS_S = 2.0  # of a mount that hangs nobody knows who may write there
# What machines write by themselves, again and again.
_MADE = frozenset(
    {
        "mtab", "ld.so.cache", "adjtime", ".pwd.lock", ".updated", "blkid.tab", "fake-hwclock.data", "passwd-", "group-",
        "shadow-", "gshadow-", "subuid", "subgid", "subuid-", "subgid-", "motd", "subscriptions.conf", "subscriptions.conf.O",
    }
)  # fmt: skip
_MADE_FOLDERS = (
    "/etc/lvm/archive",
    "/etc/lvm/backup",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/cups/ssl",
    *(f"/etc/rc{n}.d" for n in "0123456S"),
)
_DRAFTS = (
    ".swp",
    ".swx",
    ".swo",
    ".tmp",
    "~",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-tmp",
    ".rpmnew",
    ".rpmsave",
)


class Touched(NamedTuple):
    """What was done to a file or folder, and when."""

    at: float
    path: str
    how: str  # changed, put in place, permission (mode or owner), permission or put in place
    is_folder: bool
    now: str  # its owner, group and mode


class Seen(NamedTuple):
    """What was found, how many entries were looked at, and what could not be."""

    touched: list[Touched]
    looked_at: int
    notes: list[str]


def look(roots: Iterable[str], shallow: Iterable[str], window: Window, until: float) -> Seen:
    """Look at all below `roots`, and at `shallow` paths and what is in them, of which only mode and owner count.

    Stop at the monotonic time `until`. Symbolic links are not followed. What changed in a folder is told by its
    entries: of a folder itself, only mode and owner count.
    """
    found: dict[str, tuple[os.stat_result, bool]] = {}
    looked_at, notes, unread = 0, [], []
    for path, said, is_deep in _entries(roots, shallow, until, unread, notes):
        looked_at += 1
        newest = max(said.st_mtime, said.st_ctime) if is_deep else said.st_ctime
        if window.holds(newest) or (is_deep and window.holds(said.st_mtime)):
            found[path] = (said, is_deep)
    births = _births([path for path, (said, _deep) in found.items() if _is_later(said)])
    touched = [each for path, told in found.items() for each in _told(path, *told, births, window)]
    if unread:
        notes.append(f"not readable, so what changed there is unknown: {', '.join(unread[:5])}")
    return Seen(touched, looked_at, notes)


def _entries(
    roots: Iterable[str], shallow: Iterable[str], until: float, unread: list[str], notes: list[str]
) -> Iterator[tuple[str, os.stat_result, bool]]:
    for root in roots:
        yield from _deep(root, until, unread, notes)
    for path in shallow:
        yield from ((name, said, False) for name, said in _one_level(path, unread))


def _deep(root: str, until: float, unread: list[str], notes: list[str]) -> Iterator[tuple[str, os.stat_result, bool]]:
    try:
        said = os.lstat(root)
    except FileNotFoundError:
        return
    except OSError as error:
        unread.append(f"{root} ({error.strerror})")
        return
    yield root, said, True
    waiting = [(root, 0)] if stat.S_ISDIR(said.st_mode) else []
    count = 0
    while waiting:
        folder, depth = waiting.pop()
        for entry, said in _scanned(folder, unread):
            count += 1
            if count > _LIMIT or time.monotonic() > until:
                notes.append(f"{root}: only the first {count - 1} entries were looked at")
                return
            if stat.S_ISDIR(said.st_mode):
                if entry.path in _MADE_FOLDERS:
                    continue
                if depth < _DEPTH:
                    waiting.append((entry.path, depth + 1))
            if entry.name not in _MADE and not entry.name.endswith(_DRAFTS):
                yield entry.path, said, True


def _one_level(path: str, unread: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    try:
        said = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        unread.append(f"{path} ({error.strerror})")
        return
    yield path, said
    if stat.S_ISDIR(said.st_mode):
        for count, (entry, each) in enumerate(_scanned(path, unread)):
            if count >= _SHALLOW:
                return
            yield entry.path, each


def _scanned(folder: str, unread: list[str]) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    yield entry, entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        unread.append(f"{folder} ({error.strerror})")


def _is_later(said: os.stat_result) -> bool:
    return said.st_ctime - said.st_mtime > _SLACK_S


def _told(
    path: str, said: os.stat_result, is_deep: bool, births: Mapping[str, float], window: Window
) -> Iterator[Touched]:
    is_folder = stat.S_ISDIR(said.st_mode)
    now = f"{_owner(said)} {stat.S_IMODE(said.st_mode):04o}"
    if _is_later(said) and window.holds(said.st_ctime):
        how = _how(path, said, births.get(path))
        # Of a folder what is in it tells; and logs are given other names every night.
        moved = how == "put in place" or (how != "permission" and path in births)
        if not (moved and not is_deep) and not (is_folder and how == "put in place"):
            yield Touched(said.st_ctime, path, how, is_folder, now)
    if is_deep and not is_folder and window.holds(said.st_mtime):
        later = _is_later(said) and births.get(path, 0) >= said.st_ctime - _SLACK_S
        if not later:  # it was written elsewhere, and put here as it was
            yield Touched(said.st_mtime, path, "changed", is_folder, now)


def _how(path: str, said: os.stat_result, birth: float | None) -> str:
    if stat.S_ISLNK(said.st_mode) or (birth is not None and birth >= said.st_ctime - _SLACK_S):
        return "put in place"
    named = _came_by_name(path, said)
    if birth is None:
        return "put in place" if named else "permission or put in place"
    # An older file that was given its name just then may have been moved there; folders seldom are.
    return "permission or put in place" if named and not stat.S_ISDIR(said.st_mode) else "permission"


def _came_by_name(path: str, said: os.stat_result) -> bool:
    """Say whether it was given its name at its last change: then its folder was written at that moment, too."""
    try:
        return abs(Path(path).parent.stat().st_mtime - said.st_ctime) <= _SLACK_S
    except OSError:
        return False


def _owner(said: os.stat_result) -> str:
    try:
        user = pwd.getpwuid(said.st_uid).pw_name
    except KeyError:
        user = str(said.st_uid)
    try:
        return f"{user}:{grp.getgrgid(said.st_gid).gr_name}"
    except KeyError:
        return f"{user}:{said.st_gid}"


def may_write(path: str, user: str, group: str = "", more: Iterable[str] = ()) -> bool:
    """Say whether the kernel lets a user write a file, or in a folder: it alone knows of ACLs, mounts and the way there.

    `group` and `more` are groups that a unit gives its processes. Raise OSError, KeyError or SubprocessError if unknown.
    """
    who = pwd.getpwnam(user)
    if who.pw_uid == 0:
        return True
    main = grp.getgrnam(group).gr_gid if group else who.pw_gid
    groups = {*os.getgrouplist(user, main), *(grp.getgrnam(name).gr_gid for name in more)}
    enters = ["-a", "-x", path] if stat.S_ISDIR(Path(path).stat().st_mode) else []
    done = subprocess.run(
        ["test", "-w", path, *enters],
        user=who.pw_uid,
        group=main,
        extra_groups=sorted(groups),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_ACCESS_S,
        check=False,
    )
    if done.returncode > 1:
        raise OSError(f"test exited {done.returncode}")
    return done.returncode == 0


def _births(paths: list[str]) -> dict[str, float]:
    """Return when files came to be, in seconds since 1970, of those of which the file system knows it.

    Python cannot ask for it. Where `stat` does not know it either, nothing is returned.
    """
    if not paths:
        return {}
    argv = ["stat", "--format=%W %n", "--", *paths[:_BIRTHS]]
    with contextlib.suppress(OSError, ValueError):
        said, _cut = _capture.capture(argv, 1 << 20, _BIRTHS_S)
        rows = [line.split(" ", 1) for line in said.decode("utf-8", "surrogateescape").splitlines()]
        return {row[1]: float(row[0]) for row in rows if len(row) == 2 and row[0].isdigit() and row[0] != "0"}
    return {}
