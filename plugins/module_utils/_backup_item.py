"""One data item of a service: where it lies, how large it is, what it holds, and a copy of that."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_room,
    _postgresql,
    _since_backup,
    _sqlite,
    _tree,
)
from ansible_collections.incidentctl.response.plugins.module_utils._backup_room import Keep, RefusedError
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._tree import Tree


class Job(NamedTuple):
    """One data item of one service, and what is needed to back it up."""

    service: str
    kind: str
    path: str  # as the catalogue has it; of a PostgreSQL database its name, with the server's if that is named
    item: dict[str, Any]
    work: Path
    params: dict[str, Any]
    check_mode: bool

    @property
    def place(self) -> Place:
        """Where a PostgreSQL database is."""
        return Place.of(self.item)


class Seen(NamedTuple):
    """What a data item held at one time: its source on disk, its content, and of a database the rows by table."""

    source: Path
    at: datetime.datetime
    tree: Tree
    counts: dict[str, int] | None
    digest: str  # of the copy
    content: str  # a digest that changes only if the content does: no two dumps of a database are the same
    noted: dict[str, Any] | None  # by which writes that come later can be counted


class Measured(NamedTuple):
    """Where an item lies, its bytes, and what raises OSError when a disk that its backup is written to comes to its reserve."""

    source: Path
    size: int
    keep: Keep


def measure(job: Job) -> Measured:
    """Look how large an item is. Raise RefusedError if it is not to be backed up, also for want of room."""
    reserve_mb = job.params["reserve_mb"]
    if job.kind == "postgresql":
        if reason := _postgresql.why_not(job.place):
            raise RefusedError(reason)
        size, folder = _postgresql.size(job.place)
        written = [*places(job), *([folder] if folder else [])]  # there a scratch database is restored
        _backup_room.require(written, size, reserve_mb)
        return Measured(Path(job.path), size, _backup_room.keeper(written, reserve_mb))
    if not job.path.startswith("/"):
        raise RefusedError("its path is not absolute")
    source = Path(job.path).resolve(strict=True)
    for ours in (Path(job.params["state_dir"]).resolve(), Path(job.params["repository"]).resolve()):
        if source in (ours, *ours.parents):  # a copy of it would have to hold itself
            raise RefusedError(f"{ours} lies in it, where backups go: name the folders in it that hold data")
    size = _sqlite.size(source) if job.kind == "sqlite" else _tree.size(source)
    _backup_room.require(places(job), size, reserve_mb)
    return Measured(source, size, _backup_room.keeper(places(job), reserve_mb))


def look(job: Job, at_hand: Measured, scratch: Path) -> Seen:
    """Read what is there; of a database, that takes the copy at once."""
    source, _size, keep = at_hand
    at, noted, counts = now(), _since_backup.note(job.item, scratch), None
    if job.kind == "sqlite":
        counts = _sqlite.copy(source, copy_in(scratch), keep)
    elif job.kind == "postgresql":
        counts = _postgresql.copy(job.place, copy_in(scratch), keep)
    tree = _tree.scan(source if counts is None else copy_in(scratch))
    content = _postgresql.content(copy_in(scratch)) if job.kind == "postgresql" else tree.digest
    return Seen(source, at, tree, counts, tree.digest, content, noted)


def caveat(seen: Seen) -> str:
    """Return what a person must know of a verified backup; mostly nothing."""
    told = ""
    if seen.tree.left_out:
        told += f"; {len(seen.tree.left_out)} left out that are no files (sockets and the like)"
    if seen.tree.moving:
        told += f"; {len(seen.tree.moving)} were being written to, and may be torn"
    return told


def places(job: Job) -> list[Path]:
    """Return the folders on this host's disks that a backup is written to: the copy, later what is restored; the repository."""
    repository = Path(job.params["repository"])
    return [job.work, repository] if repository.is_absolute() else [job.work]


def copy_in(scratch: Path) -> Path:
    """Return where, in a job's folder, the copy is."""
    return scratch / "copy"


def now() -> datetime.datetime:
    """Return the time, UTC."""
    return datetime.datetime.now(datetime.timezone.utc)
