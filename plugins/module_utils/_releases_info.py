"""Which release of a service is current, since when, and which one was before it. Looks, and changes nothing."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _release_image,
    _release_symlink,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._natural import natural
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

SHOWN = 20  # releases named in the facts, the newest
NAME_CHARS = 100
COMMAND_S = 20.0


def look(service: dict[str, Any], params: dict[str, Any] | None = None) -> tuple[dict[str, Any] | None, str | None]:
    """Given a service that has `releases`, return {kind, current, previous, available, deployed_at}, and a note.

    None, and the note says why, where the release cannot be told.
    """
    if service["releases"]["kind"] == "compose_image":
        return _by_image(service, params)
    return {"symlink": _by_symlink, "command": _by_command}[service["releases"]["kind"]](service)


def _by_image(service: dict[str, Any], params: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str | None]:
    try:
        current, available, deployed_at = _release_image.look(service, params)
    except OSError as error:
        return None, f"the release cannot be told: {error}"
    before = available[: available.index(current)] if current in available else []
    return _told("compose_image", current, before, available, deployed_at), None


def _by_symlink(service: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    releases = service["releases"]
    link, root = Path(releases["current"]), Path(releases["root"])
    try:
        current = _release_symlink.current(service)
        deployed = link.lstat().st_mtime
        available = _folders(root)
    except OSError as error:
        return None, f"the release cannot be told: {error}"
    before = [name for name in available if natural(name) < natural(current)]
    # The link's own time: what it points to may have been built long before.
    deployed_at = _timestamps.iso(datetime.fromtimestamp(deployed, timezone.utc))
    note = None if current in available else f"{link} points to {current}, and there is no such release in {root}"
    return _told("symlink", current, before, available, deployed_at), note


def _by_command(service: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    finished = _command.run(service["releases"]["current"], COMMAND_S)
    if not finished.ok or not finished.said:
        return None, f"the release cannot be told: {finished}"
    return _told("command", finished.said.splitlines()[-1], [], [], None), None  # what it warns of comes first


def _told(kind: str, current: str, before: list[str], available: list[str], deployed_at: str | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "current": clean(current, NAME_CHARS),
        "previous": clean(before[-1], NAME_CHARS) if before else None,
        "available": [clean(name, NAME_CHARS) for name in available[-SHOWN:]],
        "deployed_at": deployed_at,
    }


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    return sorted(names, key=natural)
