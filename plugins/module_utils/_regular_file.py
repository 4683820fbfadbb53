"""Open a file that a hostile service may have put there: only a regular one, and never through a symlink."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)
# Without O_NONBLOCK, opening a FIFO would wait for a writer that never comes.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """What is there is not a regular file; the message says what it is."""


def open_regular(path: Path) -> BinaryIO:
    """Return `path` opened for reading. Raise NotRegularError, or OSError if it cannot be opened."""
    require_regular(path.lstat())  # first: opening a device can already act on it
    descriptor = os.open(path, _FLAGS)
    try:
        require_regular(os.fstat(descriptor))  # what was looked at and what was opened may be two things
    except NotRegularError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def require_regular(status: os.stat_result) -> None:
    """Raise NotRegularError, with what it is, unless it is a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no regular file")
        raise NotRegularError(f"it is {kind}")
