"""The first files of a new user: `incidentctl init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from incidentctl.errors import UsageError

# Where each file of data/ goes.
FILES = {
    "incidentctl.yml": "incidentctl.yml",
    "hosts.yml": "inventory/hosts.yml",
    "services.yml": "inventory/group_vars/all.yml",
}


def write(folder: Path) -> list[Path]:
    """Write the files and return their paths. Raise UsageError, and write nothing, if one is there already."""
    paths = {name: folder / place for name, place in FILES.items()}
    there = [str(path) for path in paths.values() if path.exists()]
    if there:
        raise UsageError("Nothing was written: these are there already.", "\n".join(there), "name another folder")
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((resources.files("incidentctl") / "data" / name).read_text(encoding="utf-8"), encoding="utf-8")
    return list(paths.values())
