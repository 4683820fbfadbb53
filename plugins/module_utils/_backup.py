"""Back up the data of a host's services, and prove each backup by restoring it: the work of role backup.

Of every item a copy is made first, hashed as it is read. That copy goes into the repository and comes back
into a temporary folder (a PostgreSQL dump from there into a scratch database); only if both are the same in every
hash, mode and row count is it `verified`.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple, Union

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_list,
    _backup_room,
    _postgresql,
    _sqlite,
    _tree,
)
from ansible_collections.incidentctl.response.plugins.module_utils._archives import Archives
from ansible_collections.incidentctl.response.plugins.module_utils._backup_room import RefusedError
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._restic import Restic, without_password
from ansible_collections.incidentctl.response.plugins.module_utils._tree import Tree

CAPABILITY = "backup"
_NAMES_TOLD = 5
_TOLD = ("verified", "at", "bytes", "where", "tool", "repository", "seconds", "restore")

Tool = Union[Archives, Restic]


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


class Done(NamedTuple):
    """How a job ended: its outcome, a sentence, and the entry of the backup that there is now."""

    outcome: str
    summary: str
    entry: dict[str, Any]


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Back up every data item of this host's services (those in `only`, when it names any).

    Content that this incident has backed up already, and that still restores, is `unchanged`.
    """
    items = [(service["name"], item) for service in services_of_host(params) for item in service.get("data", [])]
    actions: list[dict[str, Any]] = []
    facts: dict[str, list[dict[str, Any]]] = {}
    if items:
        with _backup_room.work_place(params["state_dir"], check_mode) as work:
            for name, item in items:
                path = str(Place.of(item) if item["kind"] == "postgresql" else item["path"])
                row, fact = _attempt(Job(name, item["kind"], path, item, work, params, check_mode))
                actions.append(row)
                facts.setdefault(name, []).append(fact)
    diff = [
        {"before_header": row["target"], "before": "no backup of this content\n", "after": "a verified backup\n"}
        for row in actions
        if row["outcome"] == "done"
    ]
    nothing = "no service with data runs on this host"
    return result(CAPABILITY, actions, facts={"services": facts}, diff=diff, nothing=nothing)


def _attempt(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do one job, whatever comes of it; return its row of `actions` and of `facts.services`."""
    try:
        done = _back_up(job)
    except RefusedError as error:
        done = Done("refused", str(error), {})
    except (OSError, ValueError) as error:
        done = Done("failed", str(error), {})
    told = {key: done.entry[key] for key in _TOLD if key in done.entry}
    fact = {"kind": job.kind, "path": job.path, "verified": False, **told}
    if not fact["verified"]:
        fact["reason"] = done.summary
    target = f"{job.service} {job.kind} {job.path}"
    verified = None if job.check_mode else fact["verified"]
    return action(target, done.outcome, f"{job.path}: {done.summary}", verified=verified), fact


def _back_up(job: Job) -> Done:
    """Make, store and prove a copy, unless the newest backup holds just what is there now."""
    started, tool = time.monotonic(), _tool(job.params)
    source, size = _measure(job)
    with _backup_room.scratch(job.work) as scratch:
        seen = _look(job, source, scratch)
        if not seen.tree.rows:
            return Done("skipped", "it is empty, there is nothing to back up", {})
        last = _backup_list.newest(_list(job), **_identity(job, tool))
        if last and last["content"] == seen.content and _still_good(job, tool, last, seen, scratch):
            return Done("unchanged", "what is there now is backed up already", last)
        if job.check_mode:
            return Done("done", f"{size} bytes would be backed up with {tool.name}", {})
        if job.kind == "files":
            tree = _tree.copy(source, _copy(scratch))
            seen = seen._replace(at=_now(), tree=tree, digest=tree.digest, content=tree.digest)
        return _store(job, tool, seen, scratch, started)


def _measure(job: Job) -> tuple[Path, int]:
    """Return where an item lies and how many bytes it has. Raise RefusedError if it is not to be backed up."""
    reserve_mb = job.params["reserve_mb"]
    if job.kind == "postgresql":
        if reason := _postgresql.why_not(job.place):
            raise RefusedError(reason)
        size, folder = _postgresql.size(job.place)
        _backup_room.require_with_database(_places(job), folder, size, reserve_mb)
        return Path(job.path), size
    if not job.path.startswith("/"):
        raise RefusedError("its path is not absolute")
    source = Path(job.path).resolve(strict=True)
    for ours in (Path(job.params["state_dir"]).resolve(), Path(job.params["repository"]).resolve()):
        if source in (ours, *ours.parents):  # a copy of it would have to hold itself
            raise RefusedError(f"{ours} lies in it, where backups go: name the folders in it that hold data")
    size = _sqlite.size(source) if job.kind == "sqlite" else _tree.size(source)
    _backup_room.require(_places(job), size, _backup_room.ROOM, reserve_mb)
    return source, size


def _look(job: Job, source: Path, scratch: Path) -> Seen:
    """Read what is there; of a database, that takes the copy at once."""
    at, counts = _now(), None
    if job.kind == "sqlite":
        counts = _sqlite.copy(source, _copy(scratch))
    elif job.kind == "postgresql":
        counts = _postgresql.copy(job.place, _copy(scratch))
    tree = _tree.scan(source if counts is None else _copy(scratch))
    content = _postgresql.content(_copy(scratch)) if job.kind == "postgresql" else tree.digest
    return Seen(source, at, tree, counts, tree.digest, content)


def _still_good(job: Job, tool: Tool, last: dict[str, Any], seen: Seen, scratch: Path) -> bool:
    """Say whether an earlier backup still restores to what is there now; in check mode, whether it is there."""
    if job.check_mode:
        return tool.holds(last["where"])
    return not _difference(job, tool, last["where"], seen._replace(digest=last.get("digest", "")), scratch)


def _store(job: Job, tool: Tool, seen: Seen, scratch: Path, started: float) -> Done:
    """Put the copy into the repository, restore it from there, and compare."""
    entry: dict[str, Any] = {
        "name": f"{_slug(job)}-{seen.at:%Y%m%dT%H%M%S.%fZ}",
        "service": job.service,
        "kind": job.kind,
        "path": job.path,
        **_identity(job, tool),
        "at": seen.at.isoformat(timespec="milliseconds"),
        "state": "intended",
        "verified": False,
        "content": seen.content,
        "digest": seen.digest,
        "bytes": seen.tree.size,
    }
    _backup_list.put(_list(job), entry)
    where = tool.store(seen.tree, _copy(scratch), entry["name"])
    _tree.remove(_copy(scratch))
    try:
        _backup_room.require(_places(job), seen.tree.size, _backup_room.ROOM_TO_RESTORE, job.params["reserve_mb"])
        problem = _difference(job, tool, where, seen, scratch)
    except RefusedError as error:
        problem = str(error)
    seconds = round(time.monotonic() - started, 3)
    entry = {**entry, "state": "stored", "verified": not problem, "where": where, "seconds": seconds}
    if problem:
        _backup_list.put(_list(job), entry)
        return Done("failed", f"it was stored, {where}, but is not verified: {problem}", entry)
    entry["restore"] = _restore_command(job, tool, where, seen.source)
    _backup_list.put(_list(job), entry)
    return Done(
        "done", f"{entry['bytes']} bytes backed up with {tool.name}, and restored to prove it{_caveat(seen)}", entry
    )


def _identity(job: Job, tool: Tool) -> dict[str, str]:
    """Return what a backup must share with an earlier one to take its place."""
    repository = without_password(job.params["repository"])
    return {"incident": job.params["incident_id"], "tool": tool.name, "repository": repository}


def _difference(job: Job, tool: Tool, where: str, seen: Seen, scratch: Path) -> str:
    """Restore a backup and return in what it differs from what was seen; nothing if it is the same."""
    target = scratch / "restored"
    try:
        tool.restore(where, target)
        if job.kind == "postgresql":
            return _database_difference(job, target, seen)
        came_back = _tree.scan(target).rows
        wanted = seen.tree.rows
        other = sorted(name for name in {*wanted, *came_back} if wanted.get(name) != came_back.get(name))
        if other:
            return f"{len(other)} of {len(wanted)} came back otherwise: {', '.join(map(repr, other[:_NAMES_TOLD]))}"
        return "" if seen.counts is None else _sqlite.difference(target / seen.source.name, seen.counts)
    except OSError as error:
        return str(error)
    finally:
        _tree.remove(target)


def _database_difference(job: Job, target: Path, seen: Seen) -> str:
    if _tree.scan(target).digest != seen.digest:
        return "the dump came back otherwise"
    size, folder = _postgresql.size(job.place)
    if folder:
        _backup_room.require([folder], size, _backup_room.ROOM_TO_RESTORE, job.params["reserve_mb"])
    return _postgresql.difference(job.place, target, seen.counts or {}, str(job.work))


def _caveat(seen: Seen) -> str:
    """Return what a person must know of a verified backup; mostly nothing."""
    told = ""
    if seen.tree.left_out:
        told += f"; {len(seen.tree.left_out)} left out that are no files (sockets and the like)"
    if seen.tree.moving:
        told += f"; {len(seen.tree.moving)} were being written to, and may be torn"
    return told


def _tool(params: dict[str, Any]) -> Tool:
    """Return restic if this host has it and a password for it, else plain archives."""
    repository, password_file = params["repository"], params["password_file"]
    if Restic.usable(password_file):
        return Restic(repository, password_file, params["host_name"])
    if not Path(repository).is_absolute():
        raise RefusedError(
            f"{without_password(repository)} needs restic and its password file {password_file!r} on this host"
        )
    # A folder's name, whatever the inventory calls the host.
    host = re.sub(r"[^A-Za-z0-9._-]", "_", params["host_name"]).lstrip(".") or "host"
    return Archives(Path(repository), host)


def _restore_command(job: Job, tool: Tool, where: str, source: Path) -> str:
    if job.kind == "postgresql":
        return _postgresql.restore_command(job.place, tool.print_command(where, _postgresql.DUMP))
    command = tool.command(where, source if source.is_dir() else source.parent)
    if job.kind == "sqlite":
        # A newer write-ahead log would be played into the restored database and destroy it.
        stale = shlex.join(f"{source}{ending}" for ending in ("-wal", "-shm", "-journal"))
        return f"rm -f {stale} && {command}"
    return command


def _places(job: Job) -> list[Path]:
    """Return the folders on this host's disks that a backup is written to."""
    repository = Path(job.params["repository"])
    return [job.work, repository] if repository.is_absolute() else [job.work]


def _copy(scratch: Path) -> Path:
    return scratch / "copy"


def _slug(job: Job) -> str:
    """Return a name that stays an item's own wherever it stands in the catalogue."""
    return f"{job.service}-{job.kind}-{hashlib.sha256(job.path.encode()).hexdigest()[:8]}"


def _list(job: Job) -> Path:
    return Path(job.params["state_dir"]) / "backups" / f"{_slug(job)}.json"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
