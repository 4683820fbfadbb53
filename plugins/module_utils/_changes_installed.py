"""Packages that came lately by rpm, which is asked, and by pip, which leaves a folder for each; versions before are not known."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _capture
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window
from ansible_collections.incidentctl.response.plugins.module_utils._changes_packages import Act, told

RPM_DATABASES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
SHARED = ("/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages")
_RPM = ["rpm", "-qa", "--queryformat", "%{INSTALLTIME}\\t%{NAME}\\t%{VERSION}-%{RELEASE}\\n"]
_LIMIT, _ANSWER_S = 4 << 20, 3.0
_FOLDERS, _ENTRIES = 50, 5000
_INFO = ".dist-info"


def of_rpm(window: Window, databases: Iterable[str] = RPM_DATABASES) -> list[Change]:
    """Return the packages that rpm has installed within the window. Raise OSError if it does not answer.

    It is asked only if its database was written since: that alone takes it longer than all else here.
    """
    files = [path for folder in databases for path in Path(folder).glob("*") if path.is_file()]
    if not shutil.which("rpm") or not any(path.stat().st_mtime >= window.since for path in files):
        return []
    said, _cut = _capture.capture(_RPM, _LIMIT, _ANSWER_S)
    rows = (line.split("\t") for line in said.decode("utf-8", "replace").splitlines())
    acts = [Act(float(row[0]), "installed", row[1], "", row[2]) for row in rows if len(row) == 3 and row[0].isdigit()]
    return told((act for act in acts if window.holds(act.at)), "rpm")


def of_pip(
    folders: Iterable[tuple[str, str | None]], window: Window, patterns: Iterable[str] = SHARED
) -> Iterator[Change]:
    """Given (environment, service), and for all of the host, give what was installed there within the window."""
    shared = [(str(path), None) for pattern in patterns for path in Path("/").glob(pattern.lstrip("/"))]
    own = [
        (str(path), service)
        for folder, service in dict(folders).items()
        for path in Path(folder).glob("lib/python3*/site-packages")
    ]
    for folder, service in [*shared, *own][:_FOLDERS]:
        for each in told(_installed(folder, window), f"pip in {folder}"):
            yield {**each, "service": service, "path": folder}


def _installed(folder: str, window: Window) -> Iterator[Act]:
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= _ENTRIES:
                return
            if entry.name.endswith(_INFO) and window.holds(at := entry.stat(follow_symlinks=False).st_mtime):
                name, _dash, version = entry.name[: -len(_INFO)].partition("-")
                yield Act(at, "installed", name, "", version)
