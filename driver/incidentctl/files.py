"""Files that only we may read: folders 0700, files 0600, whatever the umask (docs/contracts.md, 5). And what a sick disk says."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

_ELSEWHERE = "or name another folder: INCIDENTCTL_STATE_DIR=FOLDER (with a copy of this one, if an incident is open)"
_WAYS_OUT = {
    errno.ENOSPC: f"free some space on that disk, {_ELSEWHERE}",
    errno.EDQUOT: f"free some space of your quota, {_ELSEWHERE}",
    errno.EROFS: f"mount that disk writable again (dmesg says why it is not), {_ELSEWHERE}",
    errno.EIO: f"look at that disk's health (dmesg), {_ELSEWHERE}",
}
_PROBE_BYTES = 1 << 18  # more than one event takes


def private_folder(path: Path) -> Path:
    """Make a folder with every part of it that is missing, 0700 each, and return it."""
    for part in reversed([path, *path.parents]):
        if not part.exists():
            part.mkdir(mode=0o700, exist_ok=True)
            part.chmod(0o700)
    return path


def private_text(path: Path, text: str) -> None:
    """Write a text file with mode 0600; what cannot be encoded is replaced."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8", errors="replace")


def lasting_text(path: Path, text: str) -> None:
    """Write a text file with mode 0600 that is there whole or not at all, also after a power cut."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # a link of somebody else's would be followed
    private_text(draft, text)
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """See a file, or what a folder lists, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(folder: Path) -> None:
    """Make everything below a folder ours alone: Ansible's fetch leaves files as the umask has them."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)


def way_out(error: OSError) -> str:
    """Say what to do about a disk that is full, protected or broken; "" if the error is none of these."""
    return _WAYS_OUT.get(error.errno or 0, "")


def trouble(folder: Path) -> OSError | None:
    """Write to the disk of a folder, and return what it says if it refuses. Nothing stays there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error
    return None
