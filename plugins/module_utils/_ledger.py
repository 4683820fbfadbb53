"""The ledger: what was done to this host, and how to take it back (docs/contracts.md, 4).

One JSON file an entry, written and synced as `intended` before the act, then `applied`, then `lifted`.
Only root, or the user that runs without become, can read it: folders 0700, files 0600.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable

FORMAT = 1
VOLATILE_DIR = "/run/incidentctl"
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
_WORDS = ("capability", "target", "state")
_TURN_S = 120.0
_PAUSE_S = 0.1

Entry = dict[str, Any]


@contextlib.contextmanager
def turn(params: dict[str, Any], acts: bool) -> Iterator[None]:
    """Hold the incident's turn on this host for as long as the body runs; the kernel lets go of it if we are killed.

    An act goes on when its controller dies. Whoever comes next, be it only to look, waits for its end, and
    finds it in the ledger instead of doing it a second time. Who only looks (not `acts`) leaves nothing on a host that
    has no ledger. Raise OSError if it does not end in two minutes.
    """
    folder, _spare = _folders(params)
    descriptor = _open_folder(folder, acts)
    if descriptor is None:
        yield
        return
    try:
        deadline = time.monotonic() + _TURN_S
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise OSError(
                    f"another act of {params['incident_id']} is still at work on this host after {_TURN_S:.0f} s. "
                    "Fix: wait for it to end, then run this again"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def intend(params: dict[str, Any], capability: str, target: str, prior: dict[str, Any], undo: dict[str, Any]) -> Entry:
    """Record that an act is about to happen, synced to disk; return the entry, state `intended`.

    `prior` is what the host looked like, `undo` how lift takes the act back (its `kind` names the way).
    On a full or read-only disk the entry goes to /run and says `volatile: true`. Raise OSError when it
    cannot be written anywhere: then the act must not happen.
    """
    folder, spare = _folders(params)
    entry = {
        "format": FORMAT,
        "incident": params["incident_id"],
        "seq": 1 + max([*_taken(folder), *_taken(spare)], default=0),
        "capability": capability,
        "target": target,
        "state": "intended",
        "at": now(),
        "prior": prior,
        "undo": undo,
        "confirm_by": None,
        "expires_at": None,
        "timer": "none",
    }
    try:
        return _create(folder, entry)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return _create(spare, {**entry, "volatile": True})


def intend_once(
    params: dict[str, Any], capability: str, target: str, prior: dict[str, Any], undo: dict[str, Any]
) -> Entry:
    """Take up the entry of an earlier try at the same act that is still `intended`; else `intend` it.

    So a retry neither doubles the entry nor forgets what the host looked like before the first try.
    """
    earlier = latest_open(params, capability, target)
    if earlier is not None and earlier["state"] == "intended" and earlier["undo"] == undo:
        return earlier
    return intend(params, capability, target, prior, undo)


def mark(entry: Entry, state: str) -> Entry:
    """Move an entry on to `applied` or `lifted`, synced to disk; return it as it now is.

    On a full disk an act that happened stays `intended`, which lift treats alike: it must not be told
    as failed. Raise OSError in every other case.
    """
    moved = {**entry, "state": state, f"{state}_at": now()}
    try:
        _durable.write(Path(entry["path"]), {k: v for k, v in moved.items() if k not in ("path", "name")})
    except OSError as error:
        if state != "applied" or error.errno not in _NO_ROOM:
            raise
        return entry
    return moved


def caveat(entry: Entry) -> str:
    """Return what a summary has to add about where an entry is kept; mostly nothing."""
    if not entry.get("volatile"):
        return ""
    return f" (the disk takes no writes: the ledger entry is in {VOLATILE_DIR}, lost at a reboot)"


def entries(params: dict[str, Any]) -> tuple[list[Entry], list[str]]:
    """Return the incident's entries, oldest first, and the paths of those that cannot be read."""
    found: list[Entry] = []
    unreadable: list[str] = []
    for folder in _folders(params):
        for path in _files(folder):
            try:
                found.append(_read(path))
            except (OSError, ValueError, KeyError, TypeError):
                unreadable.append(str(path))
    return sorted(found, key=lambda e: e["seq"]), unreadable


def latest(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry of this incident for one capability and target, whatever its state."""
    return (_of(params, capability, target) or [None])[-1]


def latest_open(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry for one capability and target that has not been lifted."""
    return ([e for e in _of(params, capability, target) if e["state"] != "lifted"] or [None])[-1]


def now() -> str:
    """Return the time as the ledger writes it: UTC, ISO 8601, milliseconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def _open_folder(folder: Path, create: bool) -> int | None:
    # Where nothing can be written no act will get as far as the ledger; it says so itself.
    with contextlib.suppress(OSError):
        if create:
            _durable.make_folders(folder.parent.parent, folder.parent, folder)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _of(params: dict[str, Any], capability: str, target: str) -> list[Entry]:
    found, _unreadable = entries(params)
    return [e for e in found if e["capability"] == capability and e["target"] == target]


def _read(path: Path) -> Entry:
    entry = json.loads(path.read_bytes())
    if entry["format"] != FORMAT or not all(isinstance(entry[key], str) for key in _WORDS):
        raise ValueError(f"{path} is not an entry of format {FORMAT}")
    return {**entry, "seq": int(entry["seq"]), "undo": dict(entry["undo"]), **_place(path)}


def _create(folder: Path, entry: Entry) -> Entry:
    _durable.make_folders(folder.parent.parent, folder.parent, folder)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{entry['capability']}-{entry['target']}".lower()).strip("-")[:100]
    path = folder / f"{entry['seq']:06d}-{slug}.json"
    _durable.write(path, entry)
    return {**entry, **_place(path)}


def _folders(params: dict[str, Any]) -> tuple[Path, Path]:
    incident = params["incident_id"]
    if not _INCIDENT.fullmatch(incident):
        raise OSError(f"incident_id {incident!r} cannot name a folder: use letters, digits, '.', '_' and '-'")
    durable, volatile = (Path(top) / "ledger" / incident for top in (params["state_dir"], VOLATILE_DIR))
    return durable, volatile


def _taken(folder: Path) -> list[int]:
    return [int(path.name[:6]) for path in _files(folder) if path.name[:6].isdigit()]


def _files(folder: Path) -> list[Path]:
    # Not glob: it takes a folder that may not be read for an empty one.
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []


def _place(path: Path) -> dict[str, str]:
    return {"path": str(path), "name": path.stem}
