"""Which service of the catalogue a unit, a container or a port is of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.incidentctl.response.plugins.module_utils import _cgroups, _compose

_DIGITS = 12  # of a container's id, that are told

Facts = dict[str, Any]


def of_unit(unit: str, services: Sequence[Facts]) -> str | None:
    """Return the service of a unit; an instance (`worker@1.service`) is of its template."""
    template = f"{unit.partition('@')[0]}@.service" if "@" in unit else unit
    return next((one["name"] for one in services if unit and one.get("unit") in (unit, template)), None)


def of_ports(services: Sequence[Facts]) -> dict[str, str]:
    """Return which service has which port, by what the catalogue says, and its health's address."""
    found = {str(port): service["name"] for service in services for port in service.get("ports", [])}
    for service in services:
        with contextlib.suppress(ValueError):
            parts = urlsplit(service.get("health", {}).get("url", ""))
            if parts.scheme:
                port = parts.port or (443 if parts.scheme == "https" else 80)
                found.setdefault(str(port), service["name"])
    return found


def of_containers(rows: Iterable[Facts], services: Sequence[Facts], notes: list[str]) -> None:
    """Write into each row that names a `container`, and no service, which service that is of.

    The engine is asked only where there is such a row: it takes its time. What it cannot tell is one of the notes.
    """
    unknown = [row for row in rows if row["container"] and row["service"] is None]
    for service in services if unknown else ():
        if "compose_file" not in service:
            continue
        try:
            ids = {one.id[:_DIGITS] for one in _compose.look(service).containers}
        except OSError as error:
            notes.append(f"which containers are of {service['name']} is not known: {error}")
            continue
        for row in unknown:
            if row["container"] in ids and row["service"] is None:
                row["service"] = service["name"]


def with_containers(ports: list[Facts]) -> list[Facts]:
    """Return the ports that _connections saw, each with the container whose it is, empty for the host's own."""
    homes = {port["pid"]: "" if port["pid"] == "self" else _cgroups.home(int(port["pid"])).container for port in ports}
    return [{**port, "container": homes[port["pid"]], "service": None} for port in ports]
