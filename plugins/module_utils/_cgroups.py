"""To which unit of systemd, or to which container, a process belongs; and the files of a unit's control group."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _procfs

ROOT = Path("/sys/fs/cgroup")
_CONTAINER = re.compile(
    r"(?:libpod|docker|crio|cri-containerd)-([0-9a-f]{12})[0-9a-f]{52}|/docker/([0-9a-f]{12})[0-9a-f]{52}"
)
_MACHINE = re.compile(r"(?:/machine-[^/]+\.scope|/lxc(?:\.payload)?[./][^/]+)(?=/)")  # of systemd-nspawn, libvirt, LXC
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?=/|$)")
_CONTAINER_SCOPES = ("libpod-", "docker-", "crio-", "cri-containerd-")
_INIT = "/init.scope"
_LIMIT = 64 * 1024


class Home(NamedTuple):
    """Where a process belongs; empty where it does not."""

    unit: str
    container: str  # the first twelve digits of its id


def home(pid: int) -> Home:
    """Return the unit and the container of a process, as its control group is named."""
    path = of_process(pid)
    own = own_root()
    path = path[len(own) :] if own and path.startswith(f"{own}/") else path
    return Home(unit_of(path), container_of(path))


def container_of(path: str) -> str:
    """Return the container that a control group is of; empty if it is of none."""
    container = _CONTAINER.search(path)
    return next(filter(None, container.groups())) if container else ""


def unit_of(path: str) -> str:
    """Return the unit of this host that a control group is of; empty if it is of none.

    A container or machine may have a systemd of its own: its units are not ours, though their names may be the same.
    """
    inside = _MACHINE.search(path)
    path = path[: inside.end()] if inside else path
    container = _CONTAINER.search(path)
    path = path[: container.start()] if container else path
    plain = [unit for unit in _UNIT.findall(path) if not unit.startswith(_CONTAINER_SCOPES)]
    return plain[-1] if plain else ""


def folder(group: str, controller: str = "") -> Path | None:
    """Return where the kernel keeps the figures of a control group, unified or of one controller (version 1); None: nowhere."""
    roots = [ROOT / controller] if controller else [ROOT / "unified", ROOT]  # beside version 1 it is one of several
    own = own_root(controller)
    inner = group[len(own) :] if own and (group == own or group.startswith(f"{own}/")) else group
    # A container sees its own part as the root, or all of it.
    places = [root / path.lstrip("/") for root in roots for path in dict.fromkeys((group, inner))]
    return next((place for place in places if (place / "cgroup.procs").exists()), None) if group else None


def text(place: Path | None, name: str) -> str:
    """Return what a file of a control group says; nothing if it cannot be read."""
    if place is None:
        return ""
    try:
        with (place / name).open("rb") as file:
            return file.read(_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""


def own_root(controller: str = "") -> str:
    """Return the control group below which all of this host is: it may itself be a container. Of a host it is ""."""
    path = of_process(1, controller)
    return path[: -len(_INIT)] if path.endswith(_INIT) else path.rstrip("/")


def of_process(pid: int, controller: str = "") -> str:
    """Return the control group of a process: as systemd has it, or of one controller of version 1; "" if there is none."""
    found: dict[str, str] = {}
    for line in _procfs.text(str(pid), "cgroup", limit=_LIMIT).splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        found.update(dict.fromkeys(controllers.split(","), path))
    return found.get(controller, "") if controller else found.get("name=systemd", found.get("", ""))
