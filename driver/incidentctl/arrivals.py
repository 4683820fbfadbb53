"""What becomes of evidence while it is under way: how long a host has been collecting, how far a large bundle has come.

Both are told by the notes that lie where it will land.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import NamedTuple

from incidentctl.evidence_manifest import CAPABILITY
from incidentctl.outcome import Step

_PART, _NOTE = ".part", ".json"  # plugins/plugin_utils/_resumption.py writes them
_MOST_NOTE = 1 << 20
_PAUSE_S = 1.0
_MB = 1_000_000


class _Way(NamedTuple):
    """Of `whole`, `done` is done: bytes of a transfer, or of a collection seconds, which takes no more than `bytes`."""

    done: float
    whole: float
    bytes: int | None = None

    def __str__(self) -> str:
        if self.bytes is None:
            return f"{self.done // _MB:.0f} of {self.whole // _MB:.0f} MB"
        return f"collects: {self.done:.0f} of {self.whole:.0f} s, {self.bytes // _MB} MB at most"


class Watch:
    """Tells of the evidence that a step brings, once a second at most."""

    def __init__(self, step: Step, show: Callable[..., None]) -> None:
        """Look where the step has evidence land."""
        folder = step.variables.get("log_collection_dest") or step.variables.get("incident_evidence_dir")
        self._folder = Path(str(folder)) if folder and CAPABILITY in step.capabilities and not step.check else None
        self._hosts, self._show = step.hosts, show
        self._due = 0.0
        self._told: set[str] = set()

    def look(self, begun: Container[tuple[str, str]], ended: Container[tuple[str, str]]) -> None:
        """Show how far each host has come whose collection has begun, and not ended; and all of them together."""
        if self._folder is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PAUSE_S
        ways: list[_Way] = []
        for host in self._hosts:
            if (host, CAPABILITY) in begun and (host, CAPABILITY) not in ended:
                way = _way(self._folder / host)
                if way is not None or host in self._told:  # it has collected, and what it did is small
                    self._told.add(host)
                    told = "is brought home" if way is None else str(way)
                    self._show("cell", host=host, capability=CAPABILITY, outcome="running", told=told)
                ways += [way] if way is not None else []
        if self._told:
            self._show("sum", capability=CAPABILITY, told=_together(ways))


def _together(ways: list[_Way]) -> str:
    collecting = [way for way in ways if way.bytes is not None]
    arriving = [way for way in ways if way.bytes is None]
    told = []
    if collecting:
        longest = max(collecting, key=lambda way: way.done)
        told.append(f"{len(collecting)} collect: {longest.done:.0f} of {longest.whole:.0f} s")
    if arriving:
        told.append(str(_Way(sum(way.done for way in arriving), sum(way.whole for way in arriving))))
    return ", ".join(told)


def _way(folder: Path) -> _Way | None:
    """Return how far the evidence of a host is; None where nothing says so, as while a small bundle is brought home."""
    for note in folder.glob(f".*{_PART}{_NOTE}"):
        try:
            with note.open("rb") as stream:
                said = json.loads(stream.read(_MOST_NOTE))
            if "collecting" in said:
                its = said["collecting"]
                return _Way(max(0.0, time.time() - float(its["since"])), float(its["seconds"]), int(its["bytes"]))
            return _Way(note.with_suffix("").stat().st_size, int(said["bytes"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # it is whole by now
    return None
