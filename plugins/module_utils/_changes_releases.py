"""Releases that came lately: the current one, those that a log of deployments names, and where a git checkout moved to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change

_TAIL = 64 << 10
_LINES = 20


def look(services: Iterable[dict[str, Any]], releases: dict[str, Any], window: Window) -> Iterator[Change]:
    """Given by service what is known of its releases, give those that came within the window."""
    for service in services:
        name, known = service["name"], releases.get(service["name"])
        logged = list(_logged(service, window))
        yield from logged
        current = known["current"] if known else None
        at = datetime.fromisoformat(known["deployed_at"]).timestamp() if known and known["deployed_at"] else None
        if at is not None and window.holds(at) and current not in [one["name"] for one in logged]:
            yield _got(name, str(current), at, known["previous"])


def of_git(folders: Iterable[tuple[str, str]], window: Window) -> Iterator[Change]:
    """Given (folder, service), give where the checkouts among them have moved to within the window."""
    for folder, service in dict(folders).items():
        for line in _tail(Path(folder) / ".git" / "logs" / "HEAD"):
            who, _tab, what = line.partition("\t")
            words = who.split()
            if len(words) < 4 or not words[-2].isdigit() or not window.holds(float(words[-2])):
                continue
            text = f"had the checkout {folder} of {service} moved to {words[1][:10]}"
            detail = f"before it: {words[0][:10]}; {what}"
            yield change("release", words[1][:10], text, float(words[-2]), detail, service, folder)


def _got(service: str, release: str, at: float, before: str | None) -> Change:
    told = f" (before it: {before})" if before else ""
    return change("release", release, f"got release {release} of {service}{told}", at, service=service)


def _logged(service: dict[str, Any], window: Window) -> Iterator[Change]:
    """Read a log of deployments, of which each line has the tag as its last word, and its time if it has one."""
    history = service.get("releases", {}).get("history")
    before = None
    for line in _tail(Path(history)) if history else ():
        at, _rest = _timestamps.split(line)
        tag = line.split()[-1] if line.strip() and not line.lstrip().startswith("#") else None
        if tag is not None and at is not None and window.holds(at.timestamp()):
            yield _got(service["name"], tag, at.timestamp(), before)
        before = tag or before


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file; none if it is not there, or not for us to read."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
        return stream.read(_TAIL).decode("utf-8", "replace").splitlines()[-_LINES:]
    return []
