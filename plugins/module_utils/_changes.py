"""What changed on a host lately: gathered from all sources, bounded in time; looks, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _changes_containers,
    _changes_files,
    _changes_host,
    _changes_installed,
    _changes_packages,
    _changes_paths,
    _changes_releases,
    _changes_units,
    _changes_users,
    _parallel,
)
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, some
from ansible_collections.incidentctl.response.plugins.module_utils._changes_paths import Owners, Run
from ansible_collections.incidentctl.response.plugins.module_utils._changes_units import Unit
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TIME_S = 5.0  # for all sources
_GRACE_S = 0.5  # for one that minds the time itself
SHOWN = 100
_DEEP = ("/etc", "/usr/local/lib/systemd", "/var/spool/cron", "/root/.config/systemd")
_SHARED = ("/", "/home", "/opt", "/srv", "/tmp", "/var", "/var/lib", "/var/log", "/var/tmp")  # noqa: S108 - named, not used
_OURS_S = 120  # from a ledger's entry to what it speaks of
_SWITCHES = ("rollback", "hotfix")
# What an incident does to a service, and by which capabilities: a switch to maintenance deploys nothing.
_OURS = {"release": _SWITCHES, "image": _SWITCHES, "restart": (*_SWITCHES, "isolation", "scale_down")}

Service = dict[str, Any]


class Host(NamedTuple):
    """Where on a host its changes are to be seen."""

    etc: Path = Path("/etc")
    deep: tuple[str, ...] = _DEEP
    dpkg_log: Path = _changes_packages.LOG
    dpkg_info: Path = _changes_packages.INFO
    wtmp: Path = _changes_host.WTMP
    proc: Path = _changes_host.PROC
    boot: Path = _changes_host.BOOT
    python: tuple[str, ...] = _changes_installed.SHARED
    rpm: tuple[str, ...] = _changes_installed.RPM_DATABASES


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
        left_s = self.until - time.monotonic() + _GRACE_S
        try:
            (answer,) = _parallel.each(lambda _: source(), [None], left_s)  # a disk may never answer
        except FileNotFoundError:  # a host without it
            return otherwise
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self.notes.append(f"{what}: cannot be read: {error}")
            return otherwise
        if answer is _parallel.LATE:
            self.notes.append(f"{what}: no answer in time")
            return otherwise
        return answer

    def add(self, what: str, source: Callable[[], Iterable[Change]]) -> None:
        """Take in the changes that a source tells."""
        self.changes += self.ask(what, lambda: list(source()), [])


def look(
    services: Sequence[Service],
    releases: dict[str, Any],
    window: tuple[float, float],
    ledger: Sequence[dict[str, Any]] = (),
    host: Host | None = None,
) -> Looked:
    """Given the host's services, and by name what is known of their releases, return what changed within the window.

    It is in seconds since 1970. What the entries of this incident's `ledger` stand for is left out.
    """
    host, gathering = host or Host(), _Gathering(Window(*window))
    units = gathering.ask("units", lambda: _changes_units.ask(services), [])
    gathering.add("releases", lambda: _changes_releases.look(services, releases, gathering.window))
    gathering.add("git", lambda: _changes_releases.of_git(_folders(services, units), gathering.window))
    runs = _packages(gathering, host)
    _files(gathering, services, units, runs, host)
    gathering.add("host", lambda: _changes_host.look(gathering.window, host.wtmp, host.proc, host.boot))
    gathering.add("users", lambda: _changes_users.look(gathering.window, host.etc))
    booted_at = gathering.ask("boot", lambda: _changes_host.started_at(host.proc), 0.0)
    gathering.add("restarts", lambda: _changes_units.look(units, gathering.window, booted_at))
    gathering.add("containers", lambda: _changes_containers.look(services, gathering.window))
    gathering.add(
        "pip", lambda: _changes_installed.of_pip(_environments(services, units), gathering.window, host.python)
    )
    gathering.add("rpm", lambda: _changes_installed.of_rpm(gathering.window, host.rpm))
    return _looked(gathering, ledger)


def _looked(gathering: _Gathering, ledger: Sequence[dict[str, Any]]) -> Looked:
    ours = [one for one in gathering.changes if any(_stands_for(entry, one) for entry in ledger)]
    if ours:
        gathering.notes.append(f"left out, for this incident did it: {some([one['text'] for one in ours])}")
    newest = sorted((one for one in gathering.changes if one not in ours), key=lambda one: str(one["at"]), reverse=True)
    if len(newest) > SHOWN:
        gathering.notes.append(f"{len(newest) - SHOWN} older changes are not shown")
    return Looked(newest[:SHOWN], [clean(note, 300) for note in gathering.notes])


def _stands_for(entry: dict[str, Any], one: Change) -> bool:
    """Say whether a change is what an entry of the ledger speaks of."""
    if entry.get("capability") not in _OURS.get(one["kind"], ()) or one["service"] != entry.get("target"):
        return False
    times = [datetime.fromisoformat(at) for key in ("at", "applied_at", "lifted_at") if (at := entry.get(key))]
    return any(-1 <= (datetime.fromisoformat(one["at"]) - at).total_seconds() <= _OURS_S for at in times)


def _packages(gathering: _Gathering, host: Host) -> list[Run]:
    changes, acts = gathering.ask(
        "packages", lambda: _changes_packages.of_dpkg(gathering.window, host.dpkg_log), ([], [])
    )
    gathering.changes += changes
    return gathering.ask("packages", lambda: [_run(acts, host) for acts in _changes_packages.runs(acts)], [])


def _run(acts: list[_changes_packages.Act], host: Host) -> Run:
    names = list(dict.fromkeys(act.package for act in acts))
    paths = _changes_packages.files(names, host.dpkg_info)
    units = frozenset(path.rpartition("/")[2] for path in paths if "/systemd/" in path)
    return Run(acts[0].at, acts[-1].at, some(names), paths, units)


def _files(
    gathering: _Gathering, services: Sequence[Service], units: Sequence[Unit], runs: list[Run], host: Host
) -> None:
    declared = {path: service["name"] for service in services for path in _configuration(service)}
    declared.update({path: unit.service for unit in units for path in unit.files})
    data = {path: service["name"] for service in services for path in _data(service)}
    names = {name: service["name"] for service in services for name in _names(service)}
    deep = tuple(f"{root}/" for root in host.deep)
    roots = [*host.deep, *(path for path in declared if not path.startswith(deep))]
    nothing = _changes_files.Seen([], 0, [])
    seen = gathering.ask("files", lambda: _changes_files.look(roots, data, gathering.window, gathering.until), nothing)
    gathering.notes += seen.notes
    ours = [each.path for each in seen.touched if _changes_paths.is_ours(each.path)]
    if ours:
        gathering.notes.append(f"left out, for an incident put it there: {some(ours)}")
    known = {str(host.etc / name) for name in _changes_users.FILES}  # told by who is in them
    others = [each for each in seen.touched if each.path not in known and not _changes_paths.is_ours(each.path)]
    owners = Owners({**data, **declared}, names)
    told = _changes_paths.read(others, owners, runs, _changes_units.unread(units))
    runs_as = {unit.service: unit for unit in units if unit.user}
    gathering.changes += [_with_denied(one, data, runs_as) for one in told]


def _with_denied(one: Change, data: Mapping[str, str], units: Mapping[str, _changes_units.Unit]) -> Change:
    """Return a change of mode or owner with who may not write there because of it, though it must: `denied`."""
    path = str(one["path"])
    unit = units.get(data.get(path) or data.get(str(Path(path).parent)) or "")
    if one["kind"] != "permission" or unit is None:
        return one
    try:
        if _changes_files.may_write(path, unit.user, *unit.groups):
            return one
    except (OSError, KeyError, subprocess.SubprocessError):  # gone meanwhile, or a user or group that no list knows
        return one
    said = f"{unit.user}, as whom {one['service']} runs, may not write there"
    return {**one, "detail": f"{one['detail']}; {said}", "denied": unit.user}


def _configuration(service: Service) -> Iterable[str]:
    """Return the files and folders that hold how a service is to run."""
    yield from service.get("config", [])
    if "compose_file" in service:
        yield service["compose_file"]
        yield str(Path(service["compose_file"]).parent / ".env")


def _data(service: Service) -> Iterable[str]:
    """Return what a service writes: its data and logs, and the folders in which they are, unless those are everybody's."""
    for item in (*service.get("data", []), *service.get("logs", [])):
        path = str(item.get("path") or "")
        if path.startswith("/"):
            yield path
            folder = os.path.dirname(path)  # noqa: PTH120 - a text
            if folder not in _SHARED and not os.path.isdir(path):  # noqa: PTH112 - a Path refuses a NUL in its own way
                yield folder


def _names(service: Service) -> Iterable[str]:
    yield service["name"]
    if "unit" in service:
        yield str(service["unit"]).partition(".")[0].partition("@")[0]


def _folders(services: Sequence[Service], units: Sequence[Unit]) -> Iterable[tuple[str, str]]:
    """Return the folders from which services run, any of which may be a checkout."""
    for service in services:
        for key in ("root", "current"):
            if path := service.get("releases", {}).get(key):
                yield str(path), service["name"]
        if "compose_file" in service:
            yield str(Path(service["compose_file"]).parent), service["name"]
    for unit in units:
        if (path := unit.said.get("WorkingDirectory", "").lstrip("!-")).startswith("/"):
            yield path, unit.service


def _environments(services: Sequence[Service], units: Sequence[Unit]) -> Iterable[tuple[str, str]]:
    """Return the folders that may be virtual environments of services."""
    for folder, service in _folders(services, units):
        for name in ("", "venv", ".venv", "env"):
            yield str(Path(folder) / name), service
    for unit in units:
        if "/bin/" in unit.program and not unit.program.startswith(("/bin", "/usr/bin", "/usr/local/bin")):
            yield str(Path(unit.program).parent.parent), unit.service
