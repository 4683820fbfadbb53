"""A hotfix that is built on the host: a new tag of the service's image, from what lies in its context now.

Without a cache and without a registry: what it builds on must be here. Bounded by a clock, and by the room on the disk.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _build_context,
    _command,
    _compose_images,
    _containerfile,
    _ledger,
    _release_builds,
    _release_image,
    _timestamps,
)
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

LABEL = "incidentctl.context"  # of an image: the digest of what it was built from
_NICE = ["-n", "10"]
_SLACK_S = 10.0  # beyond the clock: to be interrupted, and to clear up
_SAID_LINES = 5
_SAID_CHARS = 600
_MB = 1 << 20


class BuildError(OSError):
    """Nothing was built, or nothing that may be deployed; the message says why."""


class Plan(NamedTuple):
    """What is to be built; `is_built` where an earlier try has done so. `facts` are for who reviews it."""

    engine: str
    tag: str
    digest: str
    is_built: bool
    argv: list[str]
    context: _build_context.Context
    facts: dict[str, Any]
    room: int  # bytes that it may need


def plan(service: dict[str, Any], params: dict[str, Any], now: str, begun: _ledger.Entry | None) -> Plan:
    """Return what a hotfix of the service is built from, and as which tag. Raise OSError if there is nothing to build.

    `begun` is the entry of a try that was cut off: what it built is taken, if it was from the same.
    """
    name, releases = service["name"], service["releases"]
    build, image = releases["build"], releases["image"]
    engine, _found = _release_image.ready(service, params, "hotfix", now)
    seen = _build_context.look(build, engine)
    digest = params["reviewed"].get(name, seen.digest)
    same = begun is not None and begun["prior"].get("digest") == digest
    tag = begun["undo"]["from"] if begun is not None and same else _free_tag(service, params, engine)
    is_built = _is_built(engine, f"{image}:{tag}", digest)
    if digest != seen.digest and not is_built:
        raise BuildError(
            f"what lies in {build['context']} is not what was reviewed: it changed since. Nothing was built. "
            "Fix: have it reviewed as it is now"
        )
    current = _compose_images.described(engine, f"{image}:{now}") or {}
    made_at = _timestamps.moment(current.get("Created"))
    return Plan(
        engine, tag, digest, is_built, _argv(engine, service, seen, tag), seen,
        facts={
            "context": build["context"], "file": str(seen.file), "tag": tag, "digest": digest, "files": len(seen.files),
            "bytes": seen.bytes, "changed": _changed(service, params, seen, made_at, now),
            "revision": _build_context.revision(Path(build["context"])),
        },
        room=int(current.get("Size") or 0) + seen.bytes,
    )  # fmt: skip


def require(service: dict[str, Any], planned: Plan, params: dict[str, Any]) -> None:
    """Raise BuildError, saying what is missing, unless the image can be built here, or is."""
    if planned.is_built:
        return
    build = service["releases"]["build"]
    bases = _containerfile.bases(planned.context.build_file, build.get("args", {}), build.get("target", ""))
    missing = [base for base in bases if not _compose_images.identity(planned.engine, base)]
    if missing:
        raise BuildError(
            f"it builds on {' and '.join(missing)}, not on this host, and nothing is pulled in an incident. "
            f"Fix: {planned.engine} pull {missing[0]}, or {planned.engine} load, then decide again"
        )
    free, needed = _compose_images.room(planned.engine), planned.room + params["reserve_mb"] * _MB
    if free is not None and free < needed:
        raise BuildError(
            f"{needed // _MB} MB would have to be free where images are kept (as much as the one that runs, the context, "
            f"and a reserve of {params['reserve_mb']} MB), but only {free // _MB} MB are. Fix: make room, then decide again"
        )


def make(service: dict[str, Any], planned: Plan, params: dict[str, Any], after: str) -> float:
    """Build the image, unless it is there, and see that it is what was meant; return the seconds that it took.

    Raise BuildError if it was not built, not in time, or not from what was meant; OSError if it cannot be noted.
    """
    name, image, began = service["name"], service["releases"]["image"], time.monotonic()
    if not planned.is_built:
        _build(planned, params)
        if _build_context.look(service["releases"]["build"], planned.engine).digest != planned.digest:
            raise BuildError("the context changed while it was built, so what is in the image nobody reviewed")
        if not _is_built(planned.engine, f"{image}:{planned.tag}", planned.digest):
            raise BuildError(f"{planned.engine} said that it built {image}:{planned.tag}, but it is not here")
    if planned.tag not in {row["release"] for row in _release_builds.built(params, name)}:
        _release_builds.remember(params, name, planned.tag, after, planned.digest, planned.context.files)
    return round(time.monotonic() - began, 2)


def is_here(service: dict[str, Any], planned: Plan) -> bool:
    """Say whether there is an image of the planned tag, whatever it holds."""
    return bool(_compose_images.identity(planned.engine, f"{service['releases']['image']}:{planned.tag}"))


def _build(planned: Plan, params: dict[str, Any]) -> None:
    left, keep = _unfinished(planned.engine), _keeper(planned.engine, params)

    def tidy() -> None:
        _clear(planned.engine, _unfinished(planned.engine) - left)

    finished = _command.run(planned.argv, params["build_within_s"] + _SLACK_S, keep=keep, tidy=tidy)
    if not finished.ok:
        said = clean(" / ".join(finished.said.splitlines()[-_SAID_LINES:]), _SAID_CHARS)
        raise BuildError(f"{planned.engine} build exited {finished.code}: {said}")


def _argv(engine: str, service: dict[str, Any], seen: _build_context.Context, tag: str) -> list[str]:
    """docker has no word for never pulling; it does not where the images are here, which is seen to before."""
    releases = service["releases"]
    build = releases["build"]
    nice = ["nice", *_NICE] if shutil.which("nice") else []
    words = [*nice, engine, "build", "--no-cache"]
    words += ["--pull=never", "--force-rm", "--layers=false"] if engine == "podman" else []
    words += ["--label", f"{LABEL}={seen.digest}", "--tag", f"{releases['image']}:{tag}", "--file", str(seen.file)]
    words += ["--target", build["target"]] if "target" in build else []
    words += [word for key, value in build.get("args", {}).items() for word in ("--build-arg", f"{key}={value}")]
    return [*words, build["context"]]


def _free_tag(service: dict[str, Any], params: dict[str, Any], engine: str) -> str:
    """Return `hotfix-<incident>-<number>`: of the wanted number, or the first one after it that stands for nothing yet."""
    taken = {row["release"] for row in _release_builds.built(params, service["name"])}
    taken |= set(_compose_images.tags(engine, service["releases"]["image"]))
    number = params["number"]
    while (tag := f"hotfix-{params['incident_id'].lower()}-{number}") in taken:
        number += 1
    return tag


def _is_built(engine: str, name: str, digest: str) -> bool:
    said = _compose_images.described(engine, name) or {}
    return ((said.get("Config") or {}).get("Labels") or {}).get(LABEL) == digest


def _changed(
    service: dict[str, Any], params: dict[str, Any], seen: _build_context.Context, made_at: datetime | None, now: str
) -> dict[str, Any] | None:
    built = _release_builds.last(params, service["name"])
    return _build_context.changes(seen, built, made_at, now)


def _keeper(engine: str, params: dict[str, Any]) -> Callable[[], None]:
    """Return what ends a build: its clock, and a disk that comes down to its reserve, whoever fills it."""
    until, place = time.monotonic() + params["build_within_s"], _compose_images.place(engine)

    def keep() -> None:
        if time.monotonic() > until:
            raise BuildError(f"the build did not end in {params['build_within_s']:.0f} s and was ended")
        free = None if place is None else shutil.disk_usage(place).free
        if free is not None and free < params["reserve_mb"] * _MB:
            raise BuildError(f"the build was ended, for the disk came down to its reserve of {params['reserve_mb']} MB")

    return keep


def _unfinished(engine: str) -> set[str]:
    """Return the containers in which podman's builds work, or worked; --force-rm leaves those of one that is interrupted."""
    if engine != "podman":
        return set()
    said = _command.run(
        [engine, "ps", "--all", "--external", "--no-trunc", "--format={{.ID}} {{.Status}} {{.Command}}"]
    )
    rows = [line.split() for line in said.said.splitlines()] if said.ok else []
    return {row[0] for row in rows if row[1:] == ["Storage", "buildah"]}


def _clear(engine: str, containers: set[str]) -> None:
    """Remove what an ended build left; not while somebody else builds here, for it may be theirs."""
    if containers and not any(map(_builds, Path("/proc").glob("[0-9]*/cmdline"))):
        _command.run([engine, "rm", "--force", *sorted(containers)])


def _builds(cmdline: Path) -> bool:
    try:
        words = cmdline.read_bytes().split(b"\0")[:4]
    except OSError:
        return False
    programs = {word.rpartition(b"/")[2] for word in words}
    return bool(programs & {b"podman", b"buildah"}) and bool({b"build", b"bud"} & set(words))
