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
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?=/|$)")
_LIMIT = 64 * 1024


class Home(NamedTuple):
    """Where a process belongs; empty where it does not."""

    unit: str
    container: str  # the first twelve digits of its id


def home(pid: int) -> Home:
    """Return the unit and the container of a process, as its control group is named."""
    path = of_process(pid)
    own = of_process(1).rpartition("/")[0]  # this host may itself be a container
    path = path[len(own) :] if own and path.startswith(f"{own}/") else path
    container = _CONTAINER.search(path)
    units = _UNIT.findall(path)
    plain = [unit for unit in units if not unit.startswith(("libpod-", "docker-", "crio-", "cri-containerd-"))]
    return Home(plain[-1] if plain else "", next(filter(None, container.groups())) if container else "")


def of_process(pid: int) -> str:
    """Return the control group of a process as systemd has it: the unified one, or in its own hierarchy (version 1)."""
    found = dict.fromkeys(("", "name=systemd"), "")
    for line in _procfs.text(str(pid), "cgroup", limit=_LIMIT).splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if controllers in found:
            found[controllers] = path
    return found["name=systemd"] or found[""]
