"""What this host remembers of a service's releases: which are bad, and which were seen healthy or sick, and when.

Bad is a release that a rollback went away from, and with success. The file stands beside the ledger.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _ledger

KEPT = 100  # releases of which the health is remembered

Row = dict[str, Any]


class NoReleaseError(OSError):
    """There is no release to go back to; the message says which ones were passed over, and why."""


def known_bad(params: dict[str, Any], service: str) -> set[str]:
    """Return the names of the known bad releases. Raise OSError if the file is there but cannot be read."""
    return {row["release"] for row in _read(_path(params, service))["bad"]}


def seen(params: dict[str, Any], service: str, release: str) -> Row | None:
    """Return when a service was last seen healthy and sick under a release, None if that was never noted.

    Raise OSError if the file is there but cannot be read.
    """
    return next((row for row in _read(_path(params, service))["seen"] if row["release"] == release), None)


def was_bad(params: dict[str, Any], service: str, release: str, before: str) -> bool:
    """Say whether a release was here before a time (ISO 8601), and was sick or went away as bad. Raise OSError as `seen` does."""
    known = _read(_path(params, service))
    times = [row.get("at") for row in known["bad"] if row["release"] == release]
    times += [row.get("sick_at") for row in known["seen"] if row["release"] == release]
    return any(isinstance(at, str) and at < before for at in times)


def healthy(params: dict[str, Any], service: str) -> list[str]:
    """Return when a service was last seen healthy under each of its releases. Raise OSError as `seen` does."""
    return [row["healthy_at"] for row in _read(_path(params, service))["seen"] if row["healthy_at"] is not None]


def condemn(params: dict[str, Any], service: str, bad: str, good: str | None = None) -> None:
    """Note one release as bad, and if there is one, that another has proved good. Raise OSError if it cannot be written."""
    with _changing(params, service) as known:
        kept = [row for row in known["bad"] if row["release"] not in (bad, good)]
        known["bad"] = [*kept, {"release": bad, "at": _ledger.now(), "incident": params["incident_id"]}]


def note(params: dict[str, Any], service: str, release: str, healthy: bool) -> None:
    """Note that the service was seen healthy, or sick, under a release just now. Raise OSError if it cannot be written."""
    with _changing(params, service) as known:
        before = next((row for row in known["seen"] if row["release"] == release), {})
        kept = [row for row in known["seen"] if row["release"] != release]
        row = {"healthy_at": None, "sick_at": None, **before, "release": release}
        known["seen"] = [*kept, {**row, "healthy_at" if healthy else "sick_at": _ledger.now()}][-KEPT:]


def noted(params: dict[str, Any], service: str, release: str, seen: dict[str, Any] | None) -> str:
    """Note what health said of a release, if it said anything; return what a summary has to add if that cannot be."""
    try:
        if seen is not None:
            note(params, service, release, seen["healthy"])
    except OSError as error:
        return f"; how {release} is could not be noted: {error}"
    return ""


def choose(params: dict[str, Any], service: str, now: str, earlier: Sequence[str], place: str) -> tuple[str, str]:
    """Given the releases before `now`, oldest first, return the one to go back to, and why it is that one.

    It is the nearest one that is neither known to be bad nor was seen here without ever being healthy. One of which
    nothing is known is not passed over for an older one that was healthy once: the way back would grow longer on the
    strength of what was not noted. Raise NoReleaseError if there is none, OSError if the memory cannot be read.
    """
    known = _read(_path(params, service))
    bad = {row["release"] for row in known["bad"]}
    healthy = {row["release"]: row["healthy_at"] for row in known["seen"]}
    passed: list[str] = []
    for name in reversed(earlier):
        if name in bad:
            passed.insert(0, f"{name} (known bad)")
        elif name in healthy and not healthy[name]:
            passed.insert(0, f"{name} (seen here, never healthy)")
        else:
            return name, "; ".join([_because(name, now, earlier, healthy), *_over(passed)])
    told = f"no release before {now} in {place}"
    raise NoReleaseError(f"{told}, but {', '.join(passed)}" if passed else told)


def why_named(params: dict[str, Any], service: str, name: str) -> str:
    """Return what is known of a release that a person named. Raise OSError if the memory cannot be read."""
    known = _read(_path(params, service))
    bad = " although it is known bad" if any(row["release"] == name for row in known["bad"]) else ""
    row: Row = next((row for row in known["seen"] if row["release"] == name), {})
    if row.get("healthy_at"):
        return f"named{bad}; last seen healthy here {_clock(row['healthy_at'])}"
    return f"named{bad}; " + ("seen here, never healthy" if row else "nothing is known of its health here")


def _because(name: str, now: str, earlier: Sequence[str], healthy: dict[str, str | None]) -> str:
    if seen := healthy.get(name):
        return f"the last one seen healthy here, {_clock(seen)}"
    told = f"the release before {now}" if name == earlier[-1] else f"the nearest before {now} not known to be bad"
    told += "; nothing is known of its health here"
    older = [(one, seen) for one in earlier[: earlier.index(name)] if (seen := healthy.get(one))]
    return told + (f" (last seen healthy: {older[-1][0]}, {_clock(older[-1][1])})" if older else "")


def _clock(iso: str) -> str:
    return f"{iso[:16].replace('T', ' ')} UTC"


def _over(passed: list[str]) -> list[str]:
    return [f"passed over: {', '.join(passed)}"] if passed else []


@contextlib.contextmanager
def _changing(params: dict[str, Any], service: str) -> Iterator[dict[str, list[Row]]]:
    """Give what is known, to be changed, and write it; nobody else changes it meanwhile."""
    path = _path(params, service)
    _durable.make_folders(path.parent.parent, path.parent)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = _read(path)
        yield known
        _durable.write(path, known)
    finally:
        os.close(folder)


def _read(path: Path) -> dict[str, list[Row]]:
    try:
        said = json.loads(path.read_bytes())
        # `seen` came later than `bad`: a file that an older version wrote has none.
        known = {key: [{**row, "release": str(row["release"])} for row in said.get(key, [])] for key in ("bad", "seen")}
        times = [row["healthy_at"] for row in known["seen"] if row["healthy_at"] is not None]
    except FileNotFoundError:
        return {"bad": [], "seen": []}
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise OSError(f"{path} cannot be read ({error}): known bad releases are unknown") from error
    if not all(isinstance(at, str) for at in times):
        raise OSError(f"{path} cannot be read (a healthy_at is no time): known bad releases are unknown")
    return known


def _path(params: dict[str, Any], service: str) -> Path:
    return Path(params["state_dir"]) / "releases" / f"{service}.json"
