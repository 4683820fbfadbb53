"""Packages that were installed, upgraded or removed lately, as dpkg's own log tells, one change for each run of it."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change, some

LOG, INFO = Path("/var/log/dpkg.log"), Path("/var/lib/dpkg/info")
_TAIL = 4 << 20  # bytes of a log that are read: some 40,000 lines
_LISTED, _LIST_LIMIT = 50, 1 << 20  # packages whose files are looked up, and bytes of the list of one
_OLDER = 4  # rotated logs that are looked into
_RUN_S = 60  # a run of a package manager is over when nothing has come for so long, or the same package comes again
_DONE = {"install": "installed", "upgrade": "upgraded", "remove": "removed", "configure": "configured"}
_NONE = ("<none>", "")


class Act(NamedTuple):
    """What was done to one package; versions are empty where there is none."""

    at: float
    done: str  # installed, upgraded, downgraded, removed, configured
    package: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        """Say the package and its versions."""
        versions = " → ".join(version for version in (self.before, self.after) if version)
        return f"{self.package} {versions}".strip()


def of_dpkg(window: Window, log: Path = LOG) -> tuple[list[Change], list[Act]]:
    """Return the changes within the window, and each act on its own. Raise OSError if a log cannot be read."""
    acts = [act for act in _acts(_lines(log, window)) if window.holds(act.at)]
    return told(acts, "dpkg"), acts


def told(acts: Iterable[Act], manager: str) -> list[Change]:
    """Return one change for each run of a package manager."""
    return [_run(run, manager) for run in runs(sorted(acts, key=lambda act: act.at))]


def files(packages: Iterable[str], info: Path = INFO) -> frozenset[str]:
    """Return the files that dpkg says belong to these packages, of the first few."""
    found: set[str] = set()
    for name in list(packages)[:_LISTED]:
        for path in (info / f"{name}.list", *info.glob(f"{name}:*.list")):
            if path.is_file():
                with path.open("rb") as stream:
                    found.update(stream.read(_LIST_LIMIT).decode("utf-8", "replace").splitlines())
    return frozenset(found)


def _run(run: list[Act], manager: str) -> Change:
    by_done: dict[str, list[Act]] = {}
    for act in run:
        by_done.setdefault(act.done, []).append(act)
    most = sorted(by_done.items(), key=lambda item: -len(item[1]))
    first = run[0]
    if len(run) == 1:
        text, detail, name = f"had {first.package} {first.done}", str(first)[len(first.package) :].strip(), str(first)
    else:
        counts = [f"{len(acts)} {done}" for done, acts in most]
        counts[0] = counts[0].replace(" ", " package " if len(most[0][1]) == 1 else " packages ", 1)
        text, detail = f"had {' and '.join(counts)}", some([str(act) for _done, acts in most for act in acts])
        name = f"{detail} {text}"
    return change("package", name, text, first.at, f"{detail} by {manager}".strip())


def runs(acts: list[Act]) -> Iterator[list[Act]]:
    """Give the acts, in order of time, run by run."""
    run: list[Act] = []
    done: dict[str, tuple[str, str]] = {}
    for act in acts:
        again = done.get(act.package, (act.done, act.after)) != (act.done, act.after)
        if run and (again or act.at - run[-1].at > _RUN_S):
            yield run
            run, done = [], {}
        run.append(act)
        done[act.package] = act.done, act.after
    if run:
        yield run


def _lines(log: Path, window: Window) -> Iterator[str]:
    """Give the lines of the log and of its rotated parts, as far as they were written within the window."""
    older = [Path(f"{log}.{number}{end}") for number in range(_OLDER, 0, -1) for end in (".gz", "")]
    for path in [*older, log]:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= window.since:
                yield from _text(path).decode("utf-8", "replace").splitlines()


def _text(path: Path) -> bytes:
    if path.suffix != ".gz":
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL))
            return stream.read(_TAIL)
    try:
        with gzip.open(path) as stream:
            return stream.read(_TAIL)
    except (EOFError, zlib.error) as error:
        raise OSError(f"{path} is damaged: {error}") from error


def _acts(lines: Iterable[str]) -> Iterator[Act]:
    """Read `2026-11-29 02:31:12 upgrade libssl3:amd64 3.0.15-1 3.0.17-1`, in the host's own time."""
    handled: set[str] = set()  # what was unpacked is configured as well: told once
    for line in lines:
        words = line.split()
        if len(words) < 5 or words[2] not in _DONE:
            continue
        try:
            at = datetime.fromisoformat(f"{words[0]} {words[1]}").timestamp()
        except (ValueError, OverflowError):
            continue
        package, before = words[3].partition(":")[0], words[4] if words[4] not in _NONE else ""
        after = words[5] if len(words) > 5 and words[5] not in _NONE else ""
        if words[2] == "configure":  # here the version that it has stands first
            before, after = "", before
        if words[2] != "configure" or package not in handled:
            yield Act(at, _DONE[words[2]], package, before, after)
        if words[2] == "configure":
            handled.discard(package)
        else:
            handled.add(package)
