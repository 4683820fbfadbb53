"""Room for backups to be made in: one run at a time, on disks that keep their reserve."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _tree

_MB = 1024 * 1024


class RefusedError(OSError):
    """An item is not backed up, for a reason that does not lie in its data."""


def require(places: list[Path], size: int, factor: float, reserve_mb: int) -> None:
    """Raise RefusedError unless each disk has room for `factor` times `size` bytes and keeps its reserve."""
    needed = int(size * factor) + reserve_mb * _MB
    for place in places:
        there = next(path for path in (place, *place.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            raise RefusedError(
                f"{needed // _MB} MB would have to be free on {there} ({factor} × {size / _MB:.1f} MB and a reserve of"
                f" {reserve_mb} MB), but only {free // _MB} MB are"
            )


@contextlib.contextmanager
def work_place(state_dir: str, check_mode: bool) -> Iterator[Path]:
    """Give the folder for copies, to one run at a time, free of what a killed run left there."""
    if check_mode:
        yield Path(tempfile.gettempdir())
        return
    folder = Path(state_dir) / "backups"
    _durable.make_folders(folder.parent, folder)
    descriptor = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"another backup runs on this host (it holds {folder / 'lock'})") from error
        for leftover in folder.glob("work-*"):
            _tree.remove(leftover)
        yield folder
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """Give a fresh folder 0700 for one item, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=work))
    try:
        yield folder
    finally:
        _tree.remove(folder)
