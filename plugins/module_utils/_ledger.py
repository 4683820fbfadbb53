"""The ledger: what was done to this host, and how to take it back (docs/contracts.md, 4).

One JSON file an entry, written and synced as `intended` before the act, then `applied`, then `lifted`.
Only root, or the user that runs without become, can read it: folders 0700, files 0600.

What a full, read-only or broken disk does not take is written to /run, under the same name. Where both have a file of
that name, the one in /run is newer, and `volatile: true`.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable

FORMAT = 1
VOLATILE_DIR = "/run/incidentctl"
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_WRITES = (errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EROFS)
_WORDS = ("capability", "target", "state")

Entry = dict[str, Any]


def intend(params: dict[str, Any], capability: str, target: str, prior: dict[str, Any], undo: dict[str, Any]) -> Entry:
    """Record that an act is about to happen, synced to disk; return the entry, state `intended`.

    `prior` is what the host looked like, `undo` how lift takes the act back (its `kind` names the way).
    On a disk that takes no writes the entry goes to /run and says `volatile: true`. Raise OSError when it
    cannot be written anywhere: then the act must not happen.
    """
    folder, volatile = _folders(params)
    seq = 1 + max([*_taken(folder), *_taken(volatile)], default=0)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{capability}-{target}".lower()).strip("-")[:100]
    entry = {
        "format": FORMAT,
        "incident": params["incident_id"],
        "seq": seq,
        "capability": capability,
        "target": target,
        "state": "intended",
        "at": now(),
        "prior": prior,
        "undo": undo,
        "confirm_by": None,
        "expires_at": None,
        "timer": "none",
        **_place(folder / f"{seq:06d}-{slug}.json"),
    }
    return _write(entry)


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
    """Move an entry on to `applied` or `lifted`, synced to disk, or else in /run; return it as it now is.

    Where neither takes it, an act that happened stays `intended`, which lift treats alike: it must not be told
    as failed. Raise OSError in every other case.
    """
    try:
        return _write({**entry, "state": state, f"{state}_at": now()})
    except OSError as error:
        if state != "applied" or error.errno not in _NO_WRITES:
            raise
        return entry


def settle(params: dict[str, Any]) -> None:
    """Bring home what is in /run because the disk took no writes: without it, a reboot would undo what was written.

    And clear up what acts left that were killed while they wrote: drafts, which nobody reads, and a folder without
    an entry. Only for who has this host's turn: nobody else writes here then.
    """
    for entry in entries(params)[0]:
        if entry.get("volatile"):
            with contextlib.suppress(OSError):
                _write(entry)
    for folder in _folders(params):
        with contextlib.suppress(OSError):
            for draft in folder.glob("*.draft"):
                draft.unlink()
            folder.rmdir()  # refused, as long as there are entries


def forget(params: dict[str, Any], days: float) -> list[str]:
    """Remove the ledgers of other incidents that were wholly lifted at least so many days ago; return whose they were.

    One with an entry that is open, kept (a rollback) or cannot be read stays for good. 0 days: all stay. Only for who
    has this host's turn.
    """
    if days <= 0:
        return []
    latest, others = now(-days), [{**params, "incident_id": name} for name in _others(params)]
    return [one["incident_id"] for one in others if _is_over(one, latest) and _remove(one)]


def spare(entry: Entry) -> Path:
    """Return where an entry is written when the disk takes no writes."""
    return Path(VOLATILE_DIR, "ledger", entry["incident"], f"{entry['name']}.json")


def caveat(entry: Entry) -> str:
    """Return what a summary has to add about where an entry is kept; mostly nothing."""
    if not entry.get("volatile"):
        return ""
    return f" (the disk takes no writes: the ledger entry is in {VOLATILE_DIR}, lost at a reboot)"


def entries(params: dict[str, Any]) -> tuple[list[Entry], list[str]]:
    """Return the incident's entries, oldest first, and the paths of those that cannot be read."""
    found: dict[str, Entry] = {}
    unreadable: list[str] = []
    folder, volatile = _folders(params)
    for place in (folder, volatile):
        try:
            paths = _files(place)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            paths = [place]  # a broken disk does not hide what is in /run
        for path in paths:
            try:
                # Wherever it was read, its place is on the disk.
                found[path.name] = {**_read(path), **_place(folder / path.name)}
            except (OSError, ValueError, KeyError, TypeError):
                unreadable.append(str(path))
    return sorted(found.values(), key=lambda e: e["seq"]), unreadable


def elsewhere(params: dict[str, Any]) -> list[Entry]:
    """Return what other incidents have open on this host, as far as it can be read."""
    found = [entries({**params, "incident_id": name})[0] for name in _others(params)]
    return [entry for several in found for entry in several if entry["state"] != "lifted"]


def latest(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry of this incident for one capability and target, whatever its state."""
    return (_of(params, capability, target) or [None])[-1]


def latest_open(params: dict[str, Any], capability: str, target: str) -> Entry | None:
    """Return the newest entry for one capability and target that has not been lifted."""
    return ([e for e in _of(params, capability, target) if e["state"] != "lifted"] or [None])[-1]


def now(days: float = 0) -> str:
    """Return the time, or that in so many days, as the ledger writes it: UTC, ISO 8601, milliseconds."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return moment.isoformat(timespec="milliseconds")


def _others(params: dict[str, Any]) -> list[str]:
    """Return which other incidents this host has a ledger of."""
    tops = {folder.parent for folder in _folders(params)}
    names = {folder.name for top in tops if top.is_dir() for folder in top.iterdir()} - {params["incident_id"]}
    return [name for name in sorted(names) if _INCIDENT.fullmatch(name)]


def _is_over(params: dict[str, Any], latest: str) -> bool:
    """Say whether all that an incident did here was lifted, the last of it at `latest`."""
    found, unreadable = entries(params)
    return not unreadable and all(
        entry["state"] == "lifted" and str(entry.get("lifted_at") or "9") <= latest for entry in found
    )


def _remove(params: dict[str, Any]) -> bool:
    """Remove an incident's ledger, as far as that can be done; say whether it is gone."""
    for folder in _folders(params):
        with contextlib.suppress(OSError):
            for path in [*folder.glob("*.json"), *folder.glob("*.draft")]:
                path.unlink()
            folder.rmdir()  # refused, if somebody keeps something else in it
            _durable.sync_folder(folder.parent)
    return not any(folder.exists() for folder in _folders(params))


def _of(params: dict[str, Any], capability: str, target: str) -> list[Entry]:
    found, _unreadable = entries(params)
    return [e for e in found if e["capability"] == capability and e["target"] == target]


def _read(path: Path) -> Entry:
    entry = json.loads(path.read_bytes())
    if entry["format"] != FORMAT or not all(isinstance(entry[key], str) for key in _WORDS):
        raise ValueError(f"{path} is not an entry of format {FORMAT}")
    return {**entry, "seq": int(entry["seq"]), "undo": dict(entry["undo"])}


def _write(entry: Entry) -> Entry:
    """Write an entry where it belongs, else to /run; return it, with `volatile` if it is there."""
    kept = {key: value for key, value in entry.items() if key not in ("path", "name", "volatile")}
    try:
        _put(Path(entry["path"]), kept)
    except OSError as error:
        if error.errno not in _NO_WRITES:
            raise
        try:
            _put(spare(entry), {**kept, "volatile": True})
        except OSError as no_spare:
            raise error from no_spare
        return {**entry, "volatile": True}
    with contextlib.suppress(PermissionError):  # what another user has in /run is not of this ledger
        spare(entry).unlink(missing_ok=True)
    return {**kept, **_place(Path(entry["path"]))}


def _put(path: Path, entry: Entry) -> None:
    _durable.make_folders(*list(path.parents)[2::-1])
    _durable.write(path, entry)


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
