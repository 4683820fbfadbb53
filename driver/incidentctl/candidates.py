"""What a word of the command line may be: names that there are, each with what it is.

Looks at settings, record and inventory without Ansible, for a person waits at the Tab key; makes nothing, asks no host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from incidentctl.incident import ENDED, Incident
from incidentctl.record import Record, open_record
from incidentctl.settings import Settings, load
from incidentctl.text import readable

Named = Iterator[tuple[str, str]]

_MOST = 30  # incidents
_FILES, _LARGEST = 200, 1_000_000  # of an inventory, and bytes of one
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
    named = tuple(sources) or (settings(config).inventory or "",)
    for service in (one for path in named if path for one in _catalogue(Path(path))):
        if isinstance(service, dict) and isinstance(service.get("name"), str):
            yield service["name"], readable(f"on {service.get('hosts')}", _SHOWN)


def _record(config: str | None) -> Record:
    """Open the record that there is. Raise FileNotFoundError if there is none: none is made for a word."""
    url = settings(config).record_url
    if url.startswith(_SQLITE):
        Path(url.removeprefix(_SQLITE)).stat()
    return open_record(url)


def _catalogue(inventory: Path) -> Iterator[Any]:
    folder = inventory if inventory.is_dir() else inventory.parent
    beside = [path for name in ("group_vars", "host_vars") for path in (folder / name).rglob("*")]
    named = [inventory] if inventory.is_file() else list(inventory.glob("*"))
    for path in [*named, *beside][:_FILES]:
        if path.is_file() and path.stat().st_size < _LARGEST:
            text = path.read_text(encoding="utf-8", errors="replace")
            if "incident_services" in text:
                yield from _services_in(_parsed(text))


def _parsed(text: str) -> Any:
    """Return what is in YAML, whatever its tags; None if it is none, as an inventory of another form."""
    import yaml  # noqa: PLC0415 - not for every word

    class Lenient(yaml.SafeLoader):
        """What is in a vault need not be known."""

    Lenient.add_multi_constructor("!", lambda _loader, _tag, _node: None)
    try:
        return yaml.load(text, Lenient)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        return None


def _services_in(data: Any) -> Iterator[Any]:
    for key, value in data.items() if isinstance(data, dict) else ():
        if key == "incident_services" and isinstance(value, list):
            yield from value
        else:
            yield from _services_in(value)
