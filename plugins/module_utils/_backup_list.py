"""The list of backups of one data item, kept on the host: `<state_dir>/backups/<item>.json`, newest last.

An entry is written as `intended` before the backup begins, and once more, with all there is to say, when it
has ended. Entries are never taken out: backups are never pruned here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable

FORMAT = 1

Entry = dict[str, Any]


def newest(path: Path, **wanted: str) -> Entry | None:
    """Return the newest verified backup whose entry has all these values."""
    found = [entry for entry in _read(path) if entry["verified"] and wanted.items() <= entry.items()]
    return found[-1] if found else None


def verified_at(state_dir: str, service: str, items: int) -> str | None:
    """Return since when all `items` of a service's data are in a verified backup, whoever made it; None if not all are."""
    ours = re.compile(rf"{re.escape(service)}-(files|sqlite|postgresql)-[0-9a-f]{{8}}\.json")
    found = []
    try:
        for path in Path(state_dir, "backups").iterdir():
            last = newest(path) if ours.fullmatch(path.name) else None
            found += [str(last["at"])] if last else []
    except (OSError, KeyError):
        return None
    return min(found) if items and len(found) >= items else None


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
