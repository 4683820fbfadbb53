"""Containers of the services' compose files that were made anew, restarted or ended lately."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _compose, _timestamps
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change

_FIRST_START_S = 60  # from a container's making to its first start


def look(services: list[dict[str, Any]], window: Window) -> list[Change]:
    """Return what happened to the containers of these services. Raise OSError or ValueError if an engine does not answer."""
    meant = [service for service in services if "compose_file" in service]
    if not meant:
        return []
    return [
        told
        for engine in _compose.ENGINES
        if shutil.which(engine)
        for service, said in _compose.of_services(engine, meant)
        for told in _told(service, said, window)
    ]


def _told(service: str, said: dict[str, Any], window: Window) -> Iterator[Change]:
    state, image = said.get("State") or {}, str(said.get("ImageName") or (said.get("Config") or {}).get("Image"))
    name = str(said.get("Name", "")).lstrip("/")
    made, started, ended = (
        _seconds(at) for at in (said.get("Created"), state.get("StartedAt"), state.get("FinishedAt"))
    )
    if made is not None and window.holds(made):
        digest = f"image {str(said.get('Image', '')).rpartition(':')[2][:12]}"
        yield change("image", f"{name} {image} {digest}", f"got container {name} of {image}", made, digest, service)
    restarts = int(said.get("RestartCount") or 0)
    often = f"restarted {restarts} times by its engine" if restarts else ""
    if state.get("Status") == "running" or state.get("Running") is True:
        if started is not None and window.holds(started) and started - (made or 0) > _FIRST_START_S:
            yield change("restart", name, f"had container {name} started again", started, often, service)
    elif ended is not None and window.holds(ended):
        why = [f"exit code {state.get('ExitCode')}"]
        why += ["out of memory"] if state.get("OOMKilled") else []
        why += [often] if often else []
        yield change("restart", f"{name} ended", f"had container {name} end", ended, ", ".join(why), service)


def _seconds(text: Any) -> float | None:
    at = _timestamps.moment(text) if isinstance(text, str) and not text.startswith("0001") else None
    return None if at is None else at.timestamp()
