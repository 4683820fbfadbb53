"""Where a bundle lies on the host until it is brought home, who may read it there, and that nothing of it stays.

Its folder is locked while a collection writes into it. What nobody brought home goes with whatever is next done on the host.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import pwd
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = "incidentctl-evidence-"
_RANDOM = 8  # characters that mkdtemp adds
_NAME = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9._-]{1,200}")
_BUNDLES = ("evidence.tar.gz", "evidence.tar.zst")
# Twice as long as a transfer may be gone on with (plugin_utils/_resumption.py).
_ABANDONED_S = 2 * 3600
_MOST, _NAMED = 100, 5  # that are looked at, and that are told by name
# The first with room is taken: /tmp is often memory, which an incident has other uses for.
_WORK_PLACES = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own there, 0700


def why_not(host_name: str) -> str:
    """Say why an inventory name cannot name a folder; nothing if it can."""
    if _HOST_NAME.fullmatch(host_name):
        return ""
    return (
        f"the inventory name {host_name!r} cannot name a folder: it must be letters, digits,"
        " '.', '_' and '-', and begin with a letter or digit"
    )


def work_place(room: int) -> str:
    """Return the first place where `room` bytes are free.

    A full disk is what incidents are made of: where no place has that room, the one with most is taken.
    """
    free = {place: shutil.disk_usage(place).free for place in _WORK_PLACES if os.access(place, os.W_OK)}
    place = next((name for name, size in free.items() if size >= room), None)
    return place or max(free, key=lambda name: free[name], default=tempfile.gettempdir())


def name_of(params: dict[str, Any]) -> str:
    """Return how the folders of an incident's bundles are named; a machine may be several hosts of an inventory.

    The folder that they are meant for is in it: two people may collect by hand, both for the incident `adhoc`.
    """
    incident = _safe(params["incident_id"])
    home = hashlib.sha256(os.fsencode(Path(params["dest"]).parent)).hexdigest()[:8]
    return f"{_PREFIX}{incident}-{params['host_name'][:64]}-{home}-"


def _safe(incident_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", incident_id)[:64]


@contextlib.contextmanager
def work_folder(name: str, room: int, login_user: str | None = None) -> Iterator[Path]:
    """Make a fresh folder 0700 where `room` bytes are free; it stays, to be fetched from, unless we fail.

    One of that name is left from a run that was cut off before it brought its bundle home, and goes first; not so one
    of somebody else, who may have laid out anything under that name.
    """
    for place in _WORK_PLACES:
        for earlier in Path(place).glob(name + "?" * _RANDOM):
            _remove_left(earlier, _ours(login_user))
    folder = Path(tempfile.mkdtemp(prefix=name, dir=work_place(room)))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def abandoned(login_user: str | None = None, check_mode: bool = False) -> list[str]:
    """Remove the bundles on this host that nobody can want any more, of whichever incident; return the names of their folders.

    That is who began to bring one home hours ago, or never did. One that a collection holds stays, and one of somebody else.
    """
    ours = _ours(login_user)
    return [path.name for path in _left() if not check_mode and _remove_left(path, ours, _ABANDONED_S)]


def told(removed: list[str]) -> list[str]:
    """Say what `abandoned` removed; nothing, if that is nothing."""
    number = f"{len(removed)} bundle{'s' if len(removed) > 1 else ''} of evidence"
    return [f"removed {number} that nobody brought home: {', '.join(removed[:_NAMED])}"] if removed else []


def left_of(incident_id: str) -> list[str]:
    """Return the folders on this host in which a bundle of an incident lies, or may."""
    return [str(path) for path in _left() if path.name.startswith(f"{_PREFIX}{_safe(incident_id)}-")]


def _left() -> list[Path]:
    found = (path for place in _WORK_PLACES for path in Path(place).glob(f"{_PREFIX}*"))
    return sorted(path for path in itertools.islice(found, _MOST) if _NAME.fullmatch(path.name))


def _remove_left(folder: Path, ours: set[int], least_age_s: float = 0.0) -> bool:
    """Remove the bundle in a folder, and the folder, if it is ours, of that age, and nobody writes into it; say whether it did.

    Nothing but what a bundle is called is removed, by way of the folder that was looked at: it may be somebody's trap.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid not in ours or time.time() - _touched(descriptor) < least_age_s:
            return False
        for name in _BUNDLES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)
        folder.rmdir()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _touched(descriptor: int) -> float:
    """Return when a folder, or what is in it, was last changed: by the kernel's own word, which nobody can set."""
    names = os.listdir(descriptor)
    return max(
        [
            os.fstat(descriptor).st_ctime,
            *(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_ctime for name in names),
        ]
    )


def _ours(login_user: str | None) -> set[int]:
    user = _login_user(login_user)
    return {0, os.geteuid(), *([user.pw_uid] if user else [])}


def give_to_login_user(login_user: str | None, *paths: Path) -> None:
    """Let the user that Ansible logs in as own the bundle, so that it is fetched without becoming root."""
    if os.geteuid() != 0:
        return
    user = _login_user(login_user)
    for path in paths if user else ():
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _login_user(named: str | None) -> pwd.struct_passwd | None:
    """Return who logged in: the user that is named, whom sudo remembers, or whom the kernel does (su, doas)."""
    for name in (named, os.environ.get("SUDO_USER")):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name or "")
    with contextlib.suppress(KeyError, OSError, ValueError):
        return pwd.getpwuid(int(Path("/proc/self/loginuid").read_text(encoding="ascii")))
    return None


def remove(bundle: str) -> None:
    """Remove a bundle, and its folder, if it is one of ours."""
    folder = Path(bundle).parent
    if folder.name.startswith(_PREFIX) and str(folder.parent) in (*_WORK_PLACES, tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
