"""Images of a compose file's services: which tags are on this host, which run, and how a service is moved to another.

A registry is never asked for anything here.
"""

from __future__ import annotations

import json
import shutil
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _command, _compose, _control

_USUAL = ("docker.io/library/", "docker.io/", "localhost/")  # engines say and leave out these as they like
_LIMIT = 1 << 20


class Instance(NamedTuple):
    """A container of a compose file that was made from the image in question."""

    id: str
    service: str
    tag: str
    created: str  # as the engine says it: when its service was moved to this tag
    alive: bool


def instances(deployment: _compose.Deployment, image: str) -> list[Instance]:
    """Return the containers of a compose file that are of an image, whatever its tag."""
    said = _compose.inspect(deployment.engine, [container.id for container in deployment.containers])
    told = {one["Id"]: (str(one["Created"]), *_split(one["Config"]["Image"])) for one in said}
    found = [(c, *told[c.id]) for c in deployment.containers if c.id in told]
    return [Instance(c.id, c.service, tag, at, c.alive) for c, at, name, tag in found if _short(name) == _short(image)]


def tags(engine: str, image: str) -> list[str]:
    """Return the tags of an image that are on this host, in no order."""
    said = _ask([engine, "images", "--format={{.Repository}}:{{.Tag}}", image])
    names = [_split(line.strip()) for line in said.splitlines()]
    return sorted({tag for name, tag in names if _short(name) == _short(image) and tag != "<none>"})


def identity(engine: str, name: str) -> str:
    """Return what an image, tag and all, is on this host: its id; nothing where it is not there."""
    finished = _command.run([engine, "image", "inspect", "--format={{.Id}}", name])
    return finished.said.strip() if finished.ok else ""


def described(engine: str, name: str) -> dict[str, Any] | None:
    """Return all that the engine says of an image, tag and all; None if it is not on this host."""
    if not identity(engine, name):
        return None
    try:
        return dict(json.loads(_ask([engine, "image", "inspect", name]))[0])
    except (ValueError, TypeError, LookupError) as error:
        raise _compose.ComposeError(f"{engine} image inspect {name} cannot be understood: {error}") from error


def place(engine: str) -> str | None:
    """Return the folder where the engine keeps images and containers; None if it does not say."""
    for field in ("{{.Store.GraphRoot}}", "{{.DockerRootDir}}"):
        finished = _command.run([engine, "info", f"--format={field}"])
        if finished.ok and finished.said.startswith("/"):
            return finished.said.splitlines()[0]
    return None


def room(engine: str) -> int | None:
    """Return the free bytes where the engine keeps containers; None if it does not say where that is."""
    where = place(engine)
    return None if where is None else shutil.disk_usage(where).free


def renew(service: dict[str, Any], outdated: list[Instance]) -> None:
    """Let the services in `compose_running` run as their file and its variables say now. Raise OSError if they do not.

    podman-compose 1.0 starts a container as it was made; so outdated ones are stopped and removed first. docker compose
    makes them anew by itself, and keeps their anonymous volumes.
    """
    deployment = _compose.look(service)
    if deployment.engine == "podman" and outdated:
        names = sorted({one.service for one in outdated})
        if any(one.alive for one in outdated):
            _control.stop({**service, "compose_running": names})
        _do([deployment.engine, "rm", *(one.id for one in outdated)])
    _control.renew(service)


def _split(name: str) -> tuple[str, str]:
    """Take `registry:5000/shop:41` apart into `registry:5000/shop` and `41`."""
    path, slash, last = name.rpartition("/")
    image, _colon, tag = last.partition(":")
    return f"{path}{slash}{image}", tag or "latest"


def _short(image: str) -> str:
    return next((image[len(prefix) :] for prefix in _USUAL if image.startswith(prefix)), image)


def _ask(argv: list[str]) -> str:
    said, _cut = _capture.capture(argv, _LIMIT)
    return said.decode("utf-8", "replace")


def _do(argv: list[str]) -> None:
    finished = _command.run(argv)
    if not finished.ok:
        raise _compose.ComposeError(str(finished))
