"""Which release of a service is current, since when, and which one was before it. Looks, and changes nothing."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _release_symlink,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._release_symlink import natural
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

SHOWN = 20  # releases named in the facts, the newest
NAME_CHARS = 100
COMMAND_S = 20.0


def look(releases: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    """Given a service's `releases`, return {kind, current, previous, available, deployed_at}, and a note.

    None, and the note says why, where the release cannot be told.
    """
    kind = releases["kind"]
    if kind == "symlink":
        return _by_symlink(releases)
    if kind == "command":
        return _by_command(releases)
    return None, f"releases of kind {kind} are not looked at"


def _by_symlink(releases: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    link, root = Path(releases["current"]), Path(releases["root"])
    try:
        current = _release_symlink.current(releases)
        deployed = link.lstat().st_mtime
        available = _folders(root)
    except OSError as error:
        return None, f"the release cannot be told: {error}"
    before = [name for name in available if natural(name) < natural(current)]
    return {
        "kind": "symlink",
        "current": clean(current, NAME_CHARS),
        "previous": clean(before[-1], NAME_CHARS) if before else None,
        "available": [clean(name, NAME_CHARS) for name in available[-SHOWN:]],
        # The link's own time: what it points to may have been built long before.
        "deployed_at": _timestamps.iso(datetime.fromtimestamp(deployed, timezone.utc)),
    }, None if current in available else f"{link} points to {current}, and there is no such release in {root}"


def _by_command(releases: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    finished = _command.run(releases["current"], COMMAND_S)
    if not finished.ok or not finished.said:
        return None, f"the release cannot be told: {finished}"
    current = clean(finished.said.splitlines()[-1], NAME_CHARS)  # what it warns of comes first
    return {"kind": "command", "current": current, "previous": None, "available": [], "deployed_at": None}, None


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    return sorted(names, key=natural)
