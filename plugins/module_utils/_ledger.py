"""The ledger: what was done to this host, and how to take it back (docs/contracts.md, 4).

One JSON file an entry, written and synced as `intended` before the act, then `applied`, then `lifted`.
Only root, or the user that runs without become, can read it: folders 0700, files 0600.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
from pathlib import Path
from typing import Any

FORMAT = 1
VOLATILE_DIR = "/run/incidentctl"
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)

Entry = dict[str, Any]


def intend(
    params: dict[str, Any], capability: str, target: str, prior: dict[str, Any], undo: dict[str, Any]
) -> Entry:
    """Record that an act is about to happen, synced to disk; return the entry, state `intended`.

    `prior` is what the host looked like, `undo` how lift takes the act back (its `kind` names the way).
    On a full or read-only disk the entry goes to /run and says `volatile: true`. Raise OSError when it
    cannot be written anywhere: then the act must not happen.
    """
    entry = {
        "format": FORMAT,
        "incident": params["incident_id"],
        "capability": capability,
        "target": target,
        "state": "intended",
        "at": _now(),
        "prior": prior,
        "undo": undo,
        "confirm_by": None,
        "expires_at": None,
        "timer": "none",
    }
    try:
        return _create(Path(params["state_dir"]), entry)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return _create(Path(VOLATILE_DIR), {**entry, "volatile": True})


def mark(entry: Entry, state: str) -> Entry:
    """Move an entry on to `applied` or `lifted`, synced to disk; return it as it now is."""
    entry = {**entry, "state": state, f"{state}_at": _now()}
    _write(Path(entry["path"]), {k: v for k, v in entry.items() if k not in ("path", "name")})
    return entry


def entries(params: dict[str, Any]) -> tuple[list[Entry], list[str]]:
    """Return the incident's entries, oldest first, and the paths of those that cannot be read."""
    found: list[Entry] = []
    unreadable: list[str] = []
    for top in (Path(params["state_dir"]), Path(VOLATILE_DIR)):
        folder = _folder(top, params["incident_id"])
        if not folder.is_dir():
            continue
        for path in sorted(folder.glob("*.json")):
            try:
                entry = json.loads(path.read_bytes())
                found.append({**entry, "seq": int(entry["seq"]), "undo": dict(entry["undo"]), **_place(path)})
            except (OSError, ValueError, KeyError, TypeError):
                unreadable.append(str(path))
    return sorted(found, key=lambda e: (e["at"], e["seq"])), unreadable


def latest(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry of this incident for one capability and target, whatever its state."""
    found, _unreadable = entries(params)
    mine = [e for e in found if e["capability"] == capability and e["target"] == target]
    return mine[-1] if mine else None


def latest_open(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry for one capability and target that has not been lifted."""
    entry = latest(params, capability, target)
    return entry if entry is not None and entry["state"] != "lifted" else None


def _create(top: Path, entry: Entry) -> Entry:
    folder = _folder(top, entry["incident"])
    for part in (top, top / "ledger", folder):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{entry['capability']}-{entry['target']}".lower()).strip("-")[:100]
    taken = [int(path.name[:6]) for path in folder.glob("[0-9]*.json") if path.name[:6].isdigit()]
    entry = {**entry, "seq": max(taken, default=0) + 1}
    path = folder / f"{entry['seq']:06d}-{slug}.json"
    _write(path, entry)
    return {**entry, **_place(path)}


def _write(path: Path, entry: Entry) -> None:
    draft = path.with_suffix(".draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(entry, stream, sort_keys=True, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    # The name must be on disk too, not the bytes alone.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _folder(top: Path, incident: str) -> Path:
    if not _INCIDENT.fullmatch(incident):
        raise OSError(f"incident_id {incident!r} cannot name a folder: use letters, digits, '.', '_' and '-'")
    return top / "ledger" / incident


def _place(path: Path) -> dict[str, str]:
    return {"path": str(path), "name": path.stem}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
