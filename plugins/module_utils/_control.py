"""Start, stop and look at a service by the manager that it declares."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _compose, _systemd

WAIT_S = 20.0
_COMMAND_S = 60.0
_COMPOSE_S = 300.0  # podman-compose stops one container after the other, and gives each ten seconds
_PAUSE_S = 0.1


class ControlError(OSError):
    """A service did not do what it was told; the message says which command and what it said."""


def is_running(service: dict[str, Any]) -> bool:
    """Ask the manager whether the service runs. Raise ControlError if the manager cannot tell."""
    if service.get("manager") == "systemd":
        return _systemd.is_running(service["unit"])
    if service.get("manager") == "compose":
        return _compose.is_running(service)
    finished = _command.run(_argv(service, "status"))
    if finished.code is None or finished.code in (126, 127):
        raise ControlError(str(finished))
    return finished.ok


def stop(service: dict[str, Any], within_s: float | None = None) -> None:
    """Stop the service and see it stopped, so many seconds after it was told at the latest. Raise ControlError otherwise."""
    _do(service, "stop", False, within_s)


def start(service: dict[str, Any]) -> None:
    """Start the service and see it running. Raise ControlError otherwise."""
    _do(service, "start", True)


def renew(service: dict[str, Any]) -> None:
    """Let a service of a compose file run as the file says now, and see it running. Raise ControlError otherwise."""
    _do(service, "renew", True)


def restart(service: dict[str, Any]) -> None:
    """Stop, if it runs, and start. (What depends on a unit is restarted by systemd, too, if it runs.)"""
    if service.get("manager") == "systemd":
        return _do(service, "restart", True)
    kept = handle(service)
    if is_running(service):
        stop(service)
    return start(kept)


def handle(service: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a service that is enough to control it later, without today's inventory.

    Of a compose file that is also which of its services run now: no others are started again.
    """
    kept = ("name", "manager", "control", "unit", "compose_file", "compose_service", "health")
    more = _compose.handle(service) if service.get("manager") == "compose" else {}
    return {**{key: service[key] for key in kept if key in service}, **more}


def _do(service: dict[str, Any], verb: str, running: bool, within_s: float | None = None) -> None:
    timeout_s = _COMPOSE_S if service.get("manager") == "compose" else _COMMAND_S
    if verb == "restart":  # it stops, and it starts
        timeout_s *= 2
    wait_s = WAIT_S if within_s is None else within_s
    finished = _command.run(_argv(service, verb), max(timeout_s, wait_s))
    if not finished.ok:
        raise ControlError(str(finished))
    deadline = time.monotonic() + wait_s
    while is_running(service) is not running:
        if time.monotonic() > deadline:
            raise ControlError(f"{service['name']}: {verb} was accepted, but nothing came of it in {wait_s:.0f} s")
        time.sleep(_PAUSE_S)


def _argv(service: dict[str, Any], verb: str) -> list[str]:
    manager = service.get("manager")
    if manager == "command":
        return list(service["control"][verb])
    if manager == "systemd":
        return ["systemctl", verb, "--", *(_systemd.names(service["unit"]) or [service["unit"]])]
    if manager == "compose":
        return _compose.argv(service, verb)
    raise ControlError(
        f"{service['name']}: manager {manager!r} cannot be controlled (command, compose and systemd can)"
    )
