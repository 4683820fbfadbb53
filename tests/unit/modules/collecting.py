"""Collect evidence of this machine into a folder of a test, and read the bundle."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _evidence

Params = dict[str, Any]


def asked() -> Params:
    """Ask for all evidence of one host."""
    return {
        "services": [],
        "only": [],
        "host_name": "web1",
        "host_groups": ["web"],
        "incident_id": "INC-1",
        "dest": "/controller/web1/evidence.tar.gz",
        "login_user": None,
        "max_bytes": 50 * 1024 * 1024,
        "max_file_bytes": 10 * 1024 * 1024,
        "lines": 0,
        "since_s": 0,
        "max_seconds": 60,
        "max_cpu_seconds": 20,
        "compression": "gzip",
        "state": "collected",
        "bundle": "",
        "reason": "",
    }


def of_logs(params: Params, *paths: Path | str, **more: Any) -> Params:
    """Ask for the logs at these paths, of one service."""
    logs = [{"kind": "file", "path": str(path)} for path in paths]
    return {**params, "services": [{"name": "shop", "hosts": "web", "logs": logs}], **more}


def collect(params: Params) -> tuple[dict[str, Any], dict[str, bytes], dict[str, Any]]:
    """Run, and return the incident block, the members of the bundle, and its manifest."""
    answer = _evidence.run(params, check_mode=False)
    assert answer["changed"] is False
    with tarfile.open(answer["bundle"]) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    return answer["incident"], members, json.loads(members.pop("manifest.json"))


def row_of(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the manifest says of one member."""
    return next(row for row in manifest["members"] if row["name"] == name)


def reasons(manifest: dict[str, Any], key: str) -> dict[str, str]:
    """Return why what is `missing` or `refused` is not there, by where it would come from."""
    return {row["origin"]: row["reason"] for row in manifest[key]}
