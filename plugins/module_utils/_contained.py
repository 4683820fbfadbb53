"""What of this host this incident has stopped and not yet started again: for a diagnosis no fault. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _ledger, _shared


class Contained(NamedTuple):
    """Which capability stopped a service; or did so with another one, that it went down with."""

    by: str
    along: str | None = None

    def __str__(self) -> str:
        """Say it as the rest of a sentence that begins with the service."""
        stopped = f"stopped by {self.by} of this incident"
        return f"went down with {self.along}, which was {stopped}" if self.along else stopped


def services(own: Iterable[Mapping[str, Any]], entries: Iterable[_ledger.Entry]) -> dict[str, Contained]:
    """Given a host's services, and its ledger's entries of this incident, return those that are stopped by it, by name."""
    stopped = [e for e in entries if e["undo"].get("kind") == "service_start" and e["state"] != "lifted"]
    found = {str(entry["target"]): Contained(str(entry["capability"])) for entry in stopped}
    for service in own:
        for entry in stopped:
            if _is_among(service, entry["undo"]):
                along = Contained(str(entry["capability"]), str(entry["target"]))
                found.setdefault(str(service["name"]), along)
    return found


def _is_among(service: Mapping[str, Any], undo: dict[str, Any]) -> bool:
    """Say whether a service is one of the units or containers that went down."""
    try:
        things = _shared.things(undo)
    except (TypeError, AttributeError, KeyError):  # damaged: it is told by whoever lifts it
        return False
    if service.get("manager") == "systemd":
        return service.get("unit") in things
    if service.get("manager") != "compose":
        return False
    begin = f"{service['compose_file']} "
    one = service.get("compose_service")
    return f"{begin}{one}" in things if one else any(thing.startswith(begin) for thing in things)
