"""The list of backups of one data item, kept on the host: `<state_dir>/backups/<item>.json`, newest last.

An entry is written as `intended` before the backup begins, and once more, with all there is to say, when it
has ended. Entries are never taken out: backups are never pruned here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place

FORMAT = 1

Entry = dict[str, Any]


def called(item: dict[str, Any]) -> str:
    """Return what an item is called: its path; a database by its name, with its server's where that is named."""
    return str(Place.of(item) if item["kind"] == "postgresql" else item["path"])


def slug(service: str, kind: str, path: str) -> str:
    """Return a name that stays an item's own wherever it stands in the catalogue."""
    return f"{service}-{kind}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def of(state_dir: str, service: str, kind: str, path: str) -> Path:
    """Return where the list of one item is."""
    return Path(state_dir) / "backups" / f"{slug(service, kind, path)}.json"


def newest(path: Path, **wanted: str) -> Entry | None:
    """Return the newest verified backup whose entry has all these values."""
    found = [entry for entry in _read(path) if entry["verified"] and wanted.items() <= entry.items()]
    return found[-1] if found else None


def verified_at(state_dir: str, service: dict[str, Any]) -> str | None:
    """Return since when all of a service's data is in a verified backup, whoever made it; None if not all of it is."""
    found = []
    try:
        for item in service.get("data", ()):
            last = newest(of(state_dir, service["name"], item["kind"], called(item)))
            found += [str(last["at"]) if last else ""]
    except (OSError, KeyError, TypeError):
        return None
    return min(found, default="") or None


def put(path: Path, entry: Entry) -> None:
    """Add an entry, or replace the one that is named alike (`name`). Raise OSError if it cannot be kept."""
    entries = [earlier for earlier in _read(path) if earlier["name"] != entry["name"]]
    _durable.write(path, {"format": FORMAT, "backups": [*entries, entry]})


def _read(path: Path) -> list[Entry]:
    try:
        return list(json.loads(path.read_bytes())["backups"])
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"the list of backups {path} cannot be read: move it away to begin a new one") from error
