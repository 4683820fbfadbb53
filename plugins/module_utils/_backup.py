"""Back up the data of a host's services, and prove each backup by restoring it: the work of role backup.

Of every item a copy is made first, hashed as it is read. That copy goes into the repository and comes back
into a temporary folder (a PostgreSQL dump from there into a scratch database); only if both are the same in every
hash, mode and row count is it `verified`.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple, Union

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_item,
    _backup_list,
    _backup_room,
    _postgresql,
    _restic,
    _sqlite,
    _tree,
)
from ansible_collections.incidentctl.response.plugins.module_utils._archives import Archives
from ansible_collections.incidentctl.response.plugins.module_utils._backup_item import Job, Seen, copy_in
from ansible_collections.incidentctl.response.plugins.module_utils._backup_room import RefusedError
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._restic import NoRepositoryError, Restic

CAPABILITY = "backup"
_NAMES_TOLD = 5
_TOLD = ("verified", "at", "bytes", "where", "tool", "repository", "seconds", "restore", "recreate")

Tool = Union[Archives, Restic]


class Done(NamedTuple):
    """How a job ended: its outcome, a sentence, and the entry of the backup that there is now."""

    outcome: str
    summary: str
    entry: dict[str, Any]


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Back up every data item of this host's services (those in `only`, when it names any).

    Content that this incident has backed up already, and that still restores, is `unchanged`. Where a repository has to be
    initialised first and `initialise` is `never`, nothing is done and `facts.repository` is `none yet`; where it is
    `only`, nothing else is done.
    """
    if params["initialise"] == "only":
        return _initialise(params)
    items = [(service["name"], item) for service in services_of_host(params) for item in service.get("data", [])]
    actions: list[dict[str, Any]] = []
    facts: dict[str, list[dict[str, Any]]] = {}
    if items:
        with _backup_room.work_place(params["state_dir"], check_mode) as work:
            for name, item in items:
                job = Job(name, item["kind"], _backup_list.called(item), item, work, params, check_mode)
                try:
                    row, fact = _attempt(job)
                except NoRepositoryError as error:
                    none_yet = {"repository": "none yet"} if params["initialise"] == "never" else {}
                    return result(CAPABILITY, [action(name, "failed", str(error))], facts=none_yet)
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
    except NoRepositoryError:
        raise
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
    at_hand = _backup_item.measure(job)
    tool.keep = at_hand.keep
    with _backup_room.scratch(job.work) as scratch:
        seen = _backup_item.look(job, at_hand, scratch)
        if not seen.tree.rows:
            return Done("skipped", "it is empty, there is nothing to back up", {})
        last = _backup_list.newest(_list(job), **_identity(job, tool))
        if last and last["content"] == seen.content and _still_good(job, tool, last, seen, scratch):
            last = last if job.check_mode else _proved_anew(job, last, seen)
            return Done("unchanged", "what is there now is backed up already", last)
        if job.check_mode:
            return Done("done", f"{at_hand.size} bytes would be backed up with {tool.name}", {})
        if job.kind == "files":
            at = _backup_item.now()  # what changes while it is read may be missing in it
            tree = _tree.copy(at_hand.source, copy_in(scratch), tool.keep)
            seen = seen._replace(at=at, tree=tree, digest=tree.digest, content=tree.digest)
        return _store(job, tool, seen, scratch, started)


def _still_good(job: Job, tool: Tool, last: dict[str, Any], seen: Seen, scratch: Path) -> bool:
    """Say whether an earlier backup still restores to what is there now; in check mode, whether it is there."""
    if job.check_mode:
        return tool.holds(last["where"])
    return not _difference(job, tool, last["where"], seen._replace(digest=last.get("digest", "")), scratch)


def _proved_anew(job: Job, last: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """Note that a backup holds what is there now, so that its age, and what was written since, count from here."""
    entry = {**last, "at": _iso(seen), "noted": seen.noted}
    with contextlib.suppress(OSError):  # a disk that takes no note has the backup as it was
        _backup_list.put(_list(job), entry)
        return entry
    return last


def _iso(seen: Seen) -> str:
    return seen.at.isoformat(timespec="milliseconds")


def _store(job: Job, tool: Tool, seen: Seen, scratch: Path, started: float) -> Done:
    """Put the copy into the repository, restore it from there, and compare."""
    entry: dict[str, Any] = {
        "name": f"{_backup_list.slug(job.service, job.kind, job.path)}-{seen.at:%Y%m%dT%H%M%S.%fZ}",
        "service": job.service,
        "kind": job.kind,
        "path": job.path,
        **_identity(job, tool),
        "at": _iso(seen),
        "noted": seen.noted,
        "state": "intended",
        "verified": False,
        "content": seen.content,
        "digest": seen.digest,
        "bytes": seen.tree.size,
    }
    _backup_list.put(_list(job), entry)
    where = tool.store(seen.tree, copy_in(scratch), entry["name"])
    _tree.remove(copy_in(scratch))
    try:
        _backup_room.require([job.work], seen.tree.size, job.params["reserve_mb"])
        problem = _difference(job, tool, where, seen, scratch)
    except RefusedError as error:
        problem = str(error)
    seconds = round(time.monotonic() - started, 3)
    entry = {**entry, "state": "stored", "verified": not problem, "where": where, "seconds": seconds}
    if problem:
        _backup_list.put(_list(job), entry)
        return Done("failed", f"it was stored, {where}, but is not verified: {problem}", entry)
    entry.update(_ways_back(job, tool, where, seen.source))
    _backup_list.put(_list(job), entry)
    return Done(
        "done",
        f"{entry['bytes']} bytes backed up with {tool.name}, and restored to prove it{_backup_item.caveat(seen)}",
        entry,
    )


def _identity(job: Job, tool: Tool) -> dict[str, str]:
    """Return what a backup must share with an earlier one to take its place."""
    repository = _restic.address(job.params["repository"])
    return {"incident": job.params["incident_id"], "tool": tool.name, "repository": repository}


def _difference(job: Job, tool: Tool, where: str, seen: Seen, scratch: Path) -> str:
    """Restore a backup and return in what it differs from what was seen; nothing if it is the same."""
    target = scratch / "restored"
    try:
        tool.restore(where, target)
        if job.kind == "postgresql":
            return _database_difference(job, tool, target, seen)
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


def _database_difference(job: Job, tool: Tool, target: Path, seen: Seen) -> str:
    if _tree.scan(target).digest != seen.digest:
        return "the dump came back otherwise"
    size, folder = _postgresql.size(job.place)
    if folder:
        _backup_room.require([folder], size, job.params["reserve_mb"])
    return _postgresql.difference(job.place, target, seen.counts or {}, str(job.work), tool.keep)


def _tool(params: dict[str, Any]) -> Tool:
    """Return restic if this host has it and a password for it, else plain archives."""
    repository, password_file = params["repository"], params["password_file"]
    if reason := _restic.why_not(repository):
        raise RefusedError(reason)
    if Restic.usable(password_file):
        return Restic(repository, password_file, params["host_name"], params["initialise"] != "never")
    if not Path(repository).is_absolute():
        raise RefusedError(
            f"{_restic.address(repository)} needs restic and its password file {password_file!r} on this host"
        )
    # A folder's name, whatever the inventory calls the host.
    host = re.sub(r"[^A-Za-z0-9._-]", "_", params["host_name"]).lstrip(".") or "host"
    return Archives(Path(repository), host)


def _initialise(params: dict[str, Any]) -> Result:
    """Make the repository, if there is none; a service's data is not looked at."""
    target = _restic.address(params["repository"])
    try:
        tool = _tool(params)
        made = isinstance(tool, Restic) and tool.initialise()
    except OSError as error:
        return result(CAPABILITY, [action(target, "failed", str(error))])
    return result(CAPABILITY, [action(target, "done" if made else "unchanged", "the repository is there")])


def _ways_back(job: Job, tool: Tool, where: str, source: Path) -> dict[str, str]:
    """Return the command that puts a backup back, and of a database the one for a server that has nothing of it."""
    if job.kind == "postgresql":
        dump, roles = (tool.print_command(where, name) for name in (_postgresql.DUMP, _postgresql.GLOBALS))
        return {
            "restore": _postgresql.restore_command(job.place, dump),
            "recreate": _postgresql.recreate_command(job.place, roles, dump),
        }
    command = tool.command(where, source if source.is_dir() else source.parent)
    if job.kind == "sqlite":
        # A newer write-ahead log would be played into the restored database and destroy it.
        stale = shlex.join(f"{source}{ending}" for ending in ("-wal", "-shm", "-journal"))
        command = f"rm -f {stale} && {command}"
    return {"restore": command}


def _list(job: Job) -> Path:
    return _backup_list.of(job.params["state_dir"], job.service, job.kind, job.path)
