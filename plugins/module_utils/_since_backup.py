"""What was written to the data of services since their last verified backup, by this host's own list. Read only, and bounded."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_list,
    _parallel,
    _writes,
    _writes_postgresql,
    _writes_sqlite,
)
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean
from ansible_collections.incidentctl.response.plugins.module_utils._writes import TRANSACTIONS, Writes

WITHIN_S = 3.0  # for all of a host; what has not answered a little later is left behind
_GRACE_S = 2.0
_CHARS = 200
_OLD = "that backup noted nothing that writes could be counted from"

Facts = dict[str, Any]


def note(item: Facts, scratch: Path) -> Facts | None:
    """Return what a backup must keep so that later writes can be counted, before it reads; None where nothing counts them.

    `scratch` is a folder that was just made: its time is by the clock that files get theirs from.
    """
    try:
        if item["kind"] == "files":
            return {"since_ns": scratch.stat().st_ctime_ns}
        if item["kind"] == "sqlite":
            return _writes_sqlite.note(Path(item["path"]).resolve(strict=True))
        return _writes_postgresql.note(Place.of(item), WITHIN_S)
    except (OSError, ValueError):
        return None


def look(services: list[Facts], state_dir: str) -> dict[str, list[Facts]]:
    """Return by service, of each data item that it declares, when it was last in a verified backup and what came since.

    Each: {kind, path, at (null: in none), writes: {count, of, at_least, bytes} or null, source: how it was counted, or why it
    is not known}.
    """
    items = [(service["name"], item) for service in services for item in service.get("data", [])]
    until = time.monotonic() + WITHIN_S
    answers = _parallel.each(lambda named: _row(*named, state_dir, until), items, WITHIN_S + _GRACE_S)
    found: dict[str, list[Facts]] = {}
    for (name, item), row in zip(items, answers):
        late = _told(item, None, None, f"no answer within {WITHIN_S + _GRACE_S:g} s")
        found.setdefault(name, []).append(late if row is _parallel.LATE else row)
    return found


def _row(service: str, item: Facts, state_dir: str, until: float) -> Facts:
    try:
        last = _backup_list.newest(_backup_list.of(state_dir, service, item["kind"], _backup_list.called(item)))
    except (OSError, KeyError, TypeError) as error:
        return _told(item, None, None, f"the list of its backups cannot be read: {error}")
    if last is None:
        return _told(item, None, None, "it is in no verified backup of this host")
    at = str(last.get("at"))
    try:
        return _told(item, at, *_KINDS[item["kind"]](item, last, until))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _told(item, at, None, str(getattr(error, "strerror", None) or error))


def _files(item: Facts, last: Facts, until: float) -> tuple[Writes, str]:
    noted = last.get("noted")
    # One that noted nothing tells when it had read all; it began no earlier than its whole work took.
    since_ns = noted["since_ns"] if noted else int((_moment(last) - last["seconds"]) * 1e9)
    return _writes.files_since(Path(item["path"]).resolve(strict=True), since_ns, until), "by when its files changed"


def _sqlite(item: Facts, last: Facts, _until: float) -> tuple[Writes, str]:
    path, noted = Path(item["path"]).resolve(strict=True), last.get("noted")
    if noted:
        return _writes_sqlite.since(path, noted), "by its own counter"
    if _writes_sqlite.untouched(path, _moment(last) - last["seconds"]):
        return Writes(0, TRANSACTIONS), "by when its files changed"
    raise OSError(_OLD)


def _postgresql(item: Facts, last: Facts, until: float) -> tuple[Writes, str]:
    if not last.get("noted"):
        raise OSError(_OLD)
    left = max(0.1, until - time.monotonic())
    return _writes_postgresql.since(Place.of(item), last["noted"], left), "by the server's statistics"


def _moment(last: Facts) -> float:
    return datetime.fromisoformat(last["at"]).timestamp()


def _told(item: Facts, at: str | None, writes: Writes | None, source: str) -> Facts:
    return {
        "kind": item["kind"],
        "path": _backup_list.called(item),
        "at": at,
        "writes": writes.as_facts() if writes else None,
        "source": clean(source, _CHARS),
    }


_KINDS = {"files": _files, "sqlite": _sqlite, "postgresql": _postgresql}
