"""How far a large bundle of evidence has come, while its transfer is under way: by the part that grows here, and its note."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from incidentctl.evidence_manifest import CAPABILITY
from incidentctl.outcome import Step

_PART, _NOTE = ".part", ".json"  # plugins/plugin_utils/_resumption.py writes them
_MOST_NOTE = 1 << 20
_PAUSE_S = 1.0
_MB = 1_000_000


class Watch:
    """Tells of what arrives in a step, once a second at most."""

    def __init__(self, step: Step, show: Callable[..., None]) -> None:
        """Look where the step has evidence land."""
        folder = step.variables.get("log_collection_dest") or step.variables.get("incident_evidence_dir")
        self._folder = Path(str(folder)) if folder and CAPABILITY in step.capabilities and not step.check else None
        self._hosts, self._show = step.hosts, show
        self._due = 0.0

    def look(self, begun: Container[tuple[str, str]], ended: Container[tuple[str, str]]) -> None:
        """Show how far each host has come whose collection has begun, and not ended."""
        if self._folder is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PAUSE_S
        for host in self._hosts:
            if (host, CAPABILITY) in begun and (host, CAPABILITY) not in ended:
                for told in _arriving(self._folder / host):
                    self._show("cell", host=host, capability=CAPABILITY, outcome="running", told=told)


def _arriving(folder: Path) -> Iterator[str]:
    for note in folder.glob(f".*{_PART}{_NOTE}"):
        try:
            with note.open("rb") as stream:
                size = int(json.loads(stream.read(_MOST_NOTE))["bytes"])
            came = note.with_suffix("").stat().st_size
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # it is whole by now
        yield f"{came // _MB} of {size // _MB} MB"
