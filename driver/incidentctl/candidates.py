"""What a word of the command line may be: names that there are, each with what it is.

Looks at settings, record and inventory without Ansible, for a person waits at the Tab key; makes nothing, asks no host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from incidentctl import inventory_files
from incidentctl.incident import ENDED, Incident
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings, load
from incidentctl.text import readable

Named = Iterator[tuple[str, str]]

_MOST = 30  # incidents
_SHOWN = 60
_SQLITE = "sqlite:///"


def settings(config: str | None) -> Settings:
    """Return the settings. Raise ConfigurationError if they cannot be used."""
    return load(Path(config) if config else None, os.environ, Path.cwd())


def incidents(config: str | None, prefix: str, wanted: Callable[[Incident], bool]) -> Named:
    """Give the incidents of that beginning, newest first, that are wanted."""
    with _record(config) as record:
        names = [name for name in record.incidents() if name.lower().startswith(prefix.lower())]
        for incident in map(record.incident, names[:_MOST]):
            if wanted(incident):
                told = f"{incident.severity} {incident.status}: {incident.title}"
                yield incident.incident_id, readable(told, _SHOWN)


def is_open(incident: Incident) -> bool:
    """Say whether somebody may still act on it."""
    return incident.status not in ENDED


def the_incident(config: str | None, prefix: str | None) -> Incident:
    """Return the incident that is meant, as every command would. Raise UsageError if there is none."""
    with _record(config) as record:
        return record.incident(record.find(prefix))


def services(config: str | None, sources: Iterable[str]) -> Named:
    """Give the services of the catalogue, as far as its files say them without Ansible."""
    named = tuple(sources) or (str(settings(config).inventory or ""),)
    for entry in inventory_files.entries(source for source in named if source and "," not in source):
        yield entry.name, entry.hosts and readable(f"on {entry.hosts}", _SHOWN)


def _record(config: str | None) -> Record:
    """Open the record that there is. Raise FileNotFoundError if there is none: none is made for a word."""
    url = settings(config).record_url
    if url.startswith(_SQLITE):
        Path(url.removeprefix(_SQLITE)).stat()
    return open_record(url)
