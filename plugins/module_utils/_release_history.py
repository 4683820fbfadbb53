"""Which releases of a service are known bad on this host: what a rollback went away from, and with success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _ledger


def known(params: dict[str, Any], service: str) -> set[str]:
    """Return the names of the known bad releases. Raise OSError if the file is there but cannot be read."""
    return {row["release"] for row in _rows(_path(params, service))}


def remember(params: dict[str, Any], service: str, bad: str, good: str) -> None:
    """Note one release as bad, and that another has proved good. Raise OSError if it cannot be written."""
    path = _path(params, service)
    rows = [row for row in _rows(path) if row["release"] not in (bad, good)]
    rows.append({"release": bad, "at": _ledger.now(), "incident": params["incident_id"]})
    _durable.make_folders(path.parent.parent, path.parent)
    _durable.write(path, {"bad": rows})


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_bytes())["bad"]
        return [{**row, "release": str(row["release"])} for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"{path} cannot be read ({error}): known bad releases are unknown") from error


def _path(params: dict[str, Any], service: str) -> Path:
    return Path(params["state_dir"]) / "releases" / f"{service}.json"
