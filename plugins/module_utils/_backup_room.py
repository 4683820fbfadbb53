"""Room for backups to be made in: one run at a time, on disks that keep their reserve before and while they are written."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _tree, _turn

_ROOM = 1.1  # a tenth for what the tools add
_MB = 1024 * 1024
# Beside the reserve, so that it is whole even then: what a command writes between two looks, and while it clears up.
_MARGIN_MB = 16
_WAIT_S = 120.0
_PAUSE_S = 0.1

Keep = Callable[[], None]


class RefusedError(OSError):
    """An item is not backed up, for a reason that does not lie in its data."""


class ReserveError(OSError):
    """A disk came down to its reserve while something was written; the message has the figures."""


def keeper(places: list[Path], reserve_mb: int) -> Keep:
    """Return what is to be called again and again while these disks are written to: it raises ReserveError in time.

    What fills a disk may be somebody else, whom the look beforehand could not foresee.
    """
    disks = list({path.stat().st_dev: path for path in map(_there, places)}.values())

    def keep() -> None:
        for disk in disks:
            status = os.statvfs(disk)
            free = status.f_bavail * status.f_frsize
            if free < (reserve_mb + _MARGIN_MB) * _MB:
                raise ReserveError(
                    f"stopped while it was written, for the disk of {disk} came down to its reserve: {free // _MB} MB are"
                    f" free, {reserve_mb} MB must stay and {_MARGIN_MB} MB more be there to stop in time. The copy was removed"
                    " again. Fix: make room, then run this again"
                )

    return keep


def require(places: list[Path], size: int, reserve_mb: int) -> None:
    """Raise RefusedError unless each place has room for `size` bytes and a tenth more, and its disk keeps its reserve."""
    on_disk: dict[int, list[Path]] = {}
    for there in map(_there, places):
        on_disk.setdefault(there.stat().st_dev, []).append(there)
    for there, *others in on_disk.values():
        times = _ROOM * (1 + len(others))
        needed = int(size * times) + (reserve_mb + _MARGIN_MB) * _MB
        free = shutil.disk_usage(there).free
        if free < needed:
            raise RefusedError(
                f"{needed // _MB} MB would have to be free on {there} ({times:.1f} × {size / _MB:.1f} MB, a reserve of"
                f" {reserve_mb} MB and {_MARGIN_MB} MB more to keep it by), but only {free // _MB} MB are"
            )


def _there(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.exists())


@contextlib.contextmanager
def work_place(state_dir: str, check_mode: bool) -> Iterator[Path]:
    """Give the folder for copies, to one run at a time, free of what a killed run left there.

    A run goes on when its controller dies, and what it makes serves the next one, which waits for it. Raise OSError if
    it does not end in two minutes.
    """
    if check_mode:
        yield Path(tempfile.gettempdir())
        return
    folder = Path(state_dir) / "backups"
    _durable.make_folders(folder.parent, folder)
    descriptor = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _WAIT_S
        while not _turn.try_lock(descriptor):
            if time.monotonic() > deadline:
                raise OSError(
                    f"another backup still runs on this host after {_WAIT_S:.0f} s of waiting (it holds {folder / 'lock'}). "
                    "Fix: wait for it to end, then run this again"
                )
            time.sleep(_PAUSE_S)
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
