"""Releases as tags of one image, in a compose file that takes its tag from a variable in the `.env` beside it.

Like every kind of release: `current`, `plan`, `rehearse`, `go` and `go_forward`.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _compose,
    _compose_images,
    _control,
    _env_file,
    _ledger,
    _migrations,
    _release_builds,
    _release_history,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._compose_images import Instance
from ansible_collections.incidentctl.response.plugins.module_utils._natural import natural

ROOM = 100 << 20  # bytes that a new container may need of its engine's disk: its own layer, and its first logs
_HISTORY_LIMIT = 1 << 20
_PAUSE_S = 0.1


class ImageError(OSError):
    """The releases of a service are not as they must be; the message says what is wrong with them."""


def current(service: dict[str, Any]) -> str:
    """Return the tag that the variable holds. Raise OSError if it cannot be told."""
    return _env_file.read(_env_file.beside(service["compose_file"]), service["releases"]["variable"])


def plan(service: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of going back, to `params["to"]` or the last good tag; `reason` if it cannot be done."""
    facts: dict[str, Any] = {"kind": "compose_image", "from": None, "to": None, "why": None}
    facts.update(feasible=False, reason=None, deployed_at=None)
    facts.update(_migrations.undeclared("what images hold is not looked into"))
    try:
        now = facts["from"] = current(service)
        engine, found = ready(service, params, "rollback", now)
        facts["deployed_at"] = _deployed_at(found)
        if params["to"]:
            facts.update(to=params["to"], why=_release_history.why_named(params, service["name"], params["to"]))
        else:
            facts["to"], facts["why"] = _choose(service, params, engine, now)
        facts["image"] = _require_here(service, engine, now, facts["to"])
    except OSError as error:
        return {**facts, "reason": str(error)}
    return {**facts, "feasible": True}


def rehearse(service: dict[str, Any], to: str, check_mode: bool) -> None:
    """Try all of a rollback that changes nothing. Raise OSError, saying what would not work."""
    path = _env_file.beside(service["compose_file"])
    if not check_mode:
        _env_file.rehearse(path, service["releases"]["variable"], to)
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        raise ImageError(f"{path.parent} cannot be written")
    parsed = _command.run(_compose.argv(service, "parse"))
    if not parsed.ok:
        raise ImageError(f"the compose file cannot be used: {parsed}")
    engine, found = _look(service)
    if service.get("manager") == "compose":
        _moved(service, found)
    free = _compose_images.room(engine)
    if free is not None and free < ROOM:
        raise ImageError(f"only {free >> 20} MiB are free where containers are kept, {ROOM >> 20} are needed")
    _control.is_running(service)


def go(service: dict[str, Any], _now: str, to: str) -> None:
    """Let the variable say another tag, in one step, and the service run with it. Raise OSError if it does not."""
    if current(service) != to:
        _env_file.change(_env_file.beside(service["compose_file"]), service["releases"]["variable"], to)
    if service.get("manager") != "compose":
        _control.restart(service)
        return _see(service, None, to)
    _engine, found = _look(service)
    names = _moved(service, found)
    outdated = [one for one in found if one.service in names and one.tag != to]
    _compose_images.renew({**service, "compose_running": names}, outdated)
    return _see(service, names, to)


def go_forward(service: dict[str, Any], to: str) -> None:
    """Go to the tag that a rollback came from: the same way."""
    go(service, current(service), to)


def look(service: dict[str, Any], params: dict[str, Any] | None = None) -> tuple[str, list[str], str | None]:
    """Return the current tag, all on this host in their order, and since when it runs. Raise OSError if that is unknown.

    With the module's parameters also what was built here is put in its place.
    """
    now = current(service)
    engine, found = _look(service)
    return now, _ordered(service, engine, now, params), _deployed_at(found)


def ready(service: dict[str, Any], params: dict[str, Any], capability: str, now: str) -> tuple[str, list[Instance]]:
    """Return the engine and what runs of the image, where a switch of the variable would move it. Raise OSError if not."""
    engine, found = _look(service)
    _require_used(service)
    _require_agreed(service, params, capability, found, now)
    return engine, found


def _deployed_at(found: list[Instance]) -> str | None:
    """Return since when what runs is there: when the first of its containers was made."""
    times = [_timestamps.iso(_timestamps.moment(one.created)) for one in found if one.alive]
    return min((at for at in times if at), default=None)


def _look(service: dict[str, Any]) -> tuple[str, list[Instance]]:
    deployment = _compose.look(service)
    return deployment.engine, _compose_images.instances(deployment, service["releases"]["image"])


def _moved(service: dict[str, Any], found: list[Instance]) -> list[str]:
    """Return the services of the file that move to another tag: what runs of this image, and nothing else."""
    if "compose_service" in service:
        return [service["compose_service"]]
    of_image = {one.service for one in found}
    there = {container.service for container in _compose.look(service).containers}
    ran = service.get("compose_running") or sorted({one.service for one in found if one.alive})
    # What ran when we began and has no container now was cut off between its old one and its new one.
    names = [name for name in ran if name in of_image or name not in there]
    if not names:
        image, file = service["releases"]["image"], service["compose_file"]
        raise ImageError(f"no container of {image} runs from {file}: name its compose_service")
    return names


def _see(service: dict[str, Any], names: list[str] | None, to: str) -> None:
    deadline = time.monotonic() + _control.WAIT_S
    while True:
        seen = {one.tag for one in _look(service)[1] if one.alive and (names is None or one.service in names)}
        if seen == {to}:
            return
        if time.monotonic() > deadline:
            runs = " and ".join(sorted(seen)) or "nothing"
            raise ImageError(f"{service['name']}: {to} was asked for, but {runs} of its image runs")
        time.sleep(_PAUSE_S)


def _require_used(service: dict[str, Any]) -> None:
    variable, file = service["releases"]["variable"], Path(service["compose_file"])
    if not re.search(rb"\$(?:\{%s[}:?+-]|%s\b)" % ((variable.encode(),) * 2), file.read_bytes()):
        raise ImageError(f"{file} does not use ${{{variable}}}: changing it would move nothing")


def _require_agreed(
    service: dict[str, Any], params: dict[str, Any], capability: str, found: list[Instance], now: str
) -> None:
    """What is said and what runs must be one, else nobody knows where we come from; unless we were cut off ourselves."""
    entry = _ledger.latest_open(params, capability, service["name"])
    cut_off = entry is not None and entry["state"] == "intended"
    ours = {entry["undo"]["from"], entry["undo"]["to"]} if entry is not None and cut_off else set()
    others = sorted({one.tag for one in found if one.alive} - {now} - ours)
    if others:
        told = f"{', '.join(others)} of {service['releases']['image']} runs, but {service['releases']['variable']}"
        raise ImageError(f"{told} says {now}: bring them together first")


def _choose(service: dict[str, Any], params: dict[str, Any], engine: str, now: str) -> tuple[str, str]:
    releases = service["releases"]
    names = _ordered(service, engine, now, params)
    if now not in names:
        named = releases.get("history", f"the list of {releases['image']} on this host")
        raise ImageError(f"{named} does not name {now}: which release came before it is unknown")
    place = f"{releases['image']} on this host"
    return _release_history.choose(params, service["name"], now, names[: names.index(now)], place)


def _ordered(service: dict[str, Any], engine: str, now: str, params: dict[str, Any] | None) -> list[str]:
    """Return `now` and the other tags on this host, oldest first.

    That is as the history has them; else in natural order, of those alone that are written like `now`: 41 and 42, or
    v1.9.2 and v1.10, but neither `latest` nor 42-debug. Tags that do not sort by age need a history. What was built here
    stands right behind what it came after.
    """
    releases = service["releases"]
    here = {now, *_compose_images.tags(engine, releases["image"])}
    rows = _built(service, params)
    if "history" in releases:
        names = [tag for tag in _history(Path(releases["history"])) if tag in here]
    else:
        shape = _shape(_release_builds.origin(now, rows))
        names = sorted((tag for tag in here if _shape(tag) == shape), key=natural)
    return _release_builds.placed(names, rows, here)


def _built(service: dict[str, Any], params: dict[str, Any] | None) -> list[_release_builds.Row]:
    try:
        return _release_builds.built(params, service["name"]) if params else []
    except PermissionError:  # root's, and we only look
        return []


def _shape(tag: str) -> str:
    return re.sub("[0-9.]+", "0", tag)


def _history(path: Path) -> list[str]:
    """Return the tags of a deployment log, what was deployed last at the end: the last word of each line."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _HISTORY_LIMIT))
        lines = stream.read(_HISTORY_LIMIT).decode("utf-8", "replace").splitlines()
    words = [line.split()[-1] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return list(dict.fromkeys(reversed(words)))[::-1]


def _require_here(service: dict[str, Any], engine: str, now: str, to: str) -> str:
    """Return the id of the image that the tag is: a tag may come to be another's."""
    if to == now:
        raise ImageError(f"{to} is the current release")
    image = f"{service['releases']['image']}:{to}"
    identity = _compose_images.identity(engine, image) if _env_file.TAG.fullmatch(to) else ""
    if not identity:
        raise ImageError(f"the image {image} is not on this host, and none is pulled in an incident")
    return identity
