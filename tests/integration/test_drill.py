"""A drill is for hosts that may be broken. One from end to end takes minutes: tests/lab/test_drill.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = {"hosts": "lab", "script": "act.sh"}
DRILL = {
    "title": "the shop fails",
    "cause": "it is broken",
    "inject": [SCRIPT],
    "lift": [SCRIPT],
    "recovered": [SCRIPT],
    "right": [{"kinds": ["release"], "hosts": ["h1"], "says": ["shop"]}],
}
SERVICES = [{"name": "shop", "hosts": "lab", "health": {"url": "http://127.0.0.1:1"}}]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """One host of this machine that may be broken, and one that may not; a drill of each leaves a file where it ran."""
    groups = {"lab": {"hosts": {"h1": {}}}, "production": {"hosts": {"h2": {}}}}
    variables = {"ansible_connection": "local", "incident_become": False, "incident_services": SERVICES}
    settings = {"inventory": "inventory.json", "state_dir": "own", "drills": {"folder": "drills", "hosts": "lab"}}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": groups, "vars": variables}}))
    (tmp_path / "incidentctl.yml").write_text(json.dumps(settings))
    for name, changed in (("ours", {}), ("elsewhere", {"symptom": {**SCRIPT, "hosts": "production"}})):
        folder = tmp_path / "drills" / name
        folder.mkdir(parents=True)
        (folder / "act.sh").write_text(f"touch {tmp_path}/acted\n")
        (folder / "drill.yml").write_text(json.dumps({**DRILL, **changed}))
    return tmp_path


def test_a_drill_never_reaches_a_host_that_may_not_be_broken(site: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("incidentctl")), "drill", "--all"],
        cwd=site,
        env={**os.environ, "INCIDENTCTL_CONFIG": str(site / "incidentctl.yml"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "elsewhere: h2 is none of them" in done.stderr) == (15, True), done.stderr
    assert not (site / "acted").exists(), "nothing of any drill was done"
