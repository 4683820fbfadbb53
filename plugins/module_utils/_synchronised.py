"""Whether something keeps the clock of this host right: as systemd says, by the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _capture

CONTAINER_MARKS = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
_WITHIN_S = 2.0


def look() -> dict[str, Any]:
    """Return {synchronised, why_unknown}; None where that cannot be told, and in a container, whose clock is its host's."""
    if any(Path(mark).exists() for mark in CONTAINER_MARKS):
        return {"synchronised": None, "why_unknown": "a container has the clock of its host"}
    try:
        said, _cut = _capture.capture(["timedatectl", "show", "--property=NTPSynchronized"], 1000, _WITHIN_S)
    except OSError as error:
        return {"synchronised": None, "why_unknown": f"whether the clock is kept right is not known: {error}"}
    answers = {b"NTPSynchronized=yes": True, b"NTPSynchronized=no": False}
    return {"synchronised": answers.get(said.strip()), "why_unknown": ""}
