"""What this host remembers of the images that were built here as hotfixes: from what, and which release each came after.

The file stands beside that of the releases' health. Without it nobody knew where in the order of releases a hotfix stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _ledger

KEPT = 100  # builds

Row = dict[str, Any]


def built(params: dict[str, Any], service: str) -> list[Row]:
    """Return {release, after, digest, at, incident} of each, oldest first. Raise OSError if that cannot be read."""
    return list(_read(_path(params, service))["builds"])


def last(params: dict[str, Any], service: str) -> Row | None:
    """Return {release, files} of the last build: the hash of each file of its context. None where none is known."""
    found: Row | None = _read(_path(params, service))["last"]
    return found


def remember(
    params: dict[str, Any], service: str, release: str, after: str, digest: str, files: dict[str, str]
) -> None:
    """Note a build, in place of an earlier one of that name. Raise OSError if it cannot be written."""
    path = _path(params, service)
    rows = [row for row in _read(path)["builds"] if row["release"] != release]
    row = {"release": release, "after": after, "digest": digest, "at": _ledger.now(), "incident": params["incident_id"]}
    _durable.make_folders(path.parent.parent, path.parent)
    _durable.write(path, {"builds": [*rows, row][-KEPT:], "last": {"release": release, "files": files}})


def placed(names: Sequence[str], rows: Sequence[Row], here: set[str]) -> list[str]:
    """Given releases, oldest first, return them with each build that is here right behind what it came after.

    One that the order names already stays where it is.
    """
    ordered = list(names)
    for row in rows:
        release, after = row["release"], row["after"]
        if release in here and release not in ordered and after in ordered:
            place = ordered.index(after) + 1
            while place < len(ordered) and any(
                one["release"] == ordered[place] and one["after"] == after for one in rows
            ):
                place += 1
            ordered.insert(place, release)
    return ordered


def origin(release: str, rows: Sequence[Row]) -> str:
    """Return what a release goes back to that was not built here: itself, unless it was."""
    after = {row["release"]: row["after"] for row in rows}
    seen: set[str] = set()
    while release in after and release not in seen:
        seen.add(release)
        release = after[release]
    return release


def _path(params: dict[str, Any], service: str) -> Path:
    return Path(params["state_dir"]) / "releases" / f"{service}.builds.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
        rows = [{**row, "release": str(row["release"]), "after": str(row["after"])} for row in said["builds"]]
        return {"builds": rows, "last": {"release": str(said["last"]["release"]), "files": dict(said["last"]["files"])}}
    except FileNotFoundError:
        return {"builds": [], "last": None}
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise OSError(f"{path} cannot be read ({error}): which hotfixes were built here is unknown") from error
