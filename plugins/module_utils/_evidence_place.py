"""Where a bundle lies on the host until it is brought home, who may read it there, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = "incidentctl-evidence-"
_RANDOM = 8  # characters that mkdtemp adds
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
    incident = re.sub(r"[^A-Za-z0-9._-]", "_", params["incident_id"])[:64]
    home = hashlib.sha256(os.fsencode(Path(params["dest"]).parent)).hexdigest()[:8]
    return f"{_PREFIX}{incident}-{params['host_name'][:64]}-{home}-"


@contextlib.contextmanager
def work_folder(name: str, room: int, login_user: str | None = None) -> Iterator[Path]:
    """Make a fresh folder 0700 where `room` bytes are free; it stays, to be fetched from, unless we fail.

    One of that name is left from a run that was cut off before it brought its bundle home, and goes first; not so one
    of somebody else, who may have laid out anything under that name.
    """
    user = _login_user(login_user)
    ours = {0, os.geteuid(), *([user.pw_uid] if user else [])}
    for place in _WORK_PLACES:
        for earlier in Path(place).glob(name + "?" * _RANDOM):
            with contextlib.suppress(OSError):
                if earlier.lstat().st_uid in ours:
                    shutil.rmtree(earlier, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=name, dir=work_place(room)))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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
