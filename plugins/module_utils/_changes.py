"""What changed on a host lately: gathered from all sources, bounded in time; looks, and changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _changes_files,
    _changes_packages,
    _changes_paths,
)
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change, some
from ansible_collections.incidentctl.response.plugins.module_utils._changes_paths import Owners, Run
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TIME_S = 5.0  # for all sources
SHOWN = 100
_INFO = Path("/var/lib/dpkg/info")
_LISTED = 50  # packages whose files are looked up
_LIST_LIMIT = 1 << 20
_DEEP = ("/etc", "/usr/local/lib/systemd", "/var/spool/cron")


class Host(NamedTuple):
    """Where on a host its changes are to be seen."""

    deep: tuple[str, ...] = _DEEP
    dpkg_log: Path = _changes_packages.LOG
    dpkg_info: Path = _INFO


class Looked(NamedTuple):
    """The changes, newest first, and what could not be looked at or was left out, in words."""

    changes: list[Change]
    notes: list[str]


class _Gathering:
    """What is gathered while one source after the other is asked."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.until = time.monotonic() + TIME_S
        self.changes: list[Change] = []
        self.notes: list[str] = []

    def ask(self, what: str, source: Callable[[], Any], otherwise: Any) -> Any:
        """Return what a source says; what goes wrong with it is a note, and the others are asked all the same."""
        if time.monotonic() > self.until:
            self.notes.append(f"{what}: not looked at, the other changes took {TIME_S:.0f} s")
            return otherwise
        try:
            return source()
        except FileNotFoundError:  # a host without it
            return otherwise
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.notes.append(f"{what}: cannot be read: {error}")
            return otherwise


def look(
    services: list[dict[str, Any]], releases: dict[str, Any], since: float, until: float, host: Host | None = None
) -> Looked:
    """Given the host's services, and by name what is known of their releases, return what changed from `since` to `until`.

    Both are in seconds since 1970.
    """
    host, gathering = host or Host(), _Gathering(Window(since, until))
    gathering.changes += _of_releases(releases, gathering.window)
    runs = _packages(gathering, host)
    _files(gathering, services, runs, host)
    newest = sorted(gathering.changes, key=lambda one: str(one["at"]), reverse=True)
    if len(newest) > SHOWN:
        gathering.notes.append(f"{len(newest) - SHOWN} older changes are not shown")
    return Looked(newest[:SHOWN], [clean(note, 300) for note in gathering.notes])


def _of_releases(releases: dict[str, Any], window: Window) -> Iterable[Change]:
    for service, release in releases.items():
        at = release and release["deployed_at"] and datetime.fromisoformat(release["deployed_at"]).timestamp()
        if at and window.holds(at):
            before = f" (before it: {release['previous']})" if release["previous"] else ""
            text = f"got release {release['current']} of {service}{before}"
            yield change("release", release["current"], text, at, service=service)


def _packages(gathering: _Gathering, host: Host) -> list[Run]:
    found = gathering.ask("packages", lambda: _changes_packages.of_dpkg(gathering.window, host.dpkg_log), ([], []))
    changes, acts = found
    gathering.changes += changes
    return [_run(run, host.dpkg_info) for run in _changes_packages.runs(acts)]


def _run(acts: list[_changes_packages.Act], info: Path) -> Run:
    names = list(dict.fromkeys(act.package for act in acts))
    paths: set[str] = set()
    for name in names[:_LISTED]:
        for each in (info / f"{name}.list", *info.glob(f"{name}:*.list")):
            if each.is_file():
                with each.open("rb") as stream:
                    paths.update(stream.read(_LIST_LIMIT).decode("utf-8", "replace").splitlines())
    return Run(acts[0].at, acts[-1].at, some(names), frozenset(paths))


def _files(gathering: _Gathering, services: list[dict[str, Any]], runs: list[Run], host: Host) -> None:
    declared = {path: service["name"] for service in services for path in _configuration(service)}
    data = {path: service["name"] for service in services for path in _data(service)}
    names = {name: service["name"] for service in services for name in _names(service)}
    roots = [*host.deep, *(path for path in declared if not path.startswith(tuple(f"{root}/" for root in host.deep)))]
    seen = gathering.ask(
        "files",
        lambda: _changes_files.look(roots, data, gathering.window, gathering.until),
        _changes_files.Seen([], 0, []),
    )
    gathering.notes += seen.notes
    ours = [each for each in seen.touched if _changes_paths.is_ours(each.path)]
    if ours:
        gathering.notes.append(f"left out, for an incident put them there: {some([each.path for each in ours])}")
    others = [each for each in seen.touched if not _changes_paths.is_ours(each.path)]
    gathering.changes += _changes_paths.read(others, Owners({**data, **declared}, names), runs)


def _configuration(service: dict[str, Any]) -> Iterable[str]:
    """Return the files and folders that hold how a service is to run."""
    yield from service.get("config", [])
    if "compose_file" in service:
        yield service["compose_file"]
        yield str(Path(service["compose_file"]).parent / ".env")


def _data(service: dict[str, Any]) -> Iterable[str]:
    """Return what a service writes: its data and logs, and the folders in which they are."""
    for item in (*service.get("data", []), *service.get("logs", [])):
        path = str(item.get("path") or "")
        if path.startswith("/"):
            yield path
            if not os.path.isdir(path):  # noqa: PTH112 - a Path would refuse a NUL with another error
                yield os.path.dirname(path)  # noqa: PTH120


def _names(service: dict[str, Any]) -> Iterable[str]:
    yield service["name"]
    if "unit" in service:
        yield str(service["unit"]).partition(".")[0].partition("@")[0]
