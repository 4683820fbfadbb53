"""A drill on a small shop: broken, found, mended by what is recommended, scored, and all as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.small_service import SmallService

DRILL = {
    "title": "the shop fails",
    "cause": "release 42 is sick",
    "inject": [{"hosts": "lab", "script": "inject.sh"}],
    "lift": [{"hosts": "lab", "script": "lift.sh"}],
    "recovered": [{"hosts": "lab", "script": "well.sh"}],
    "right": [{"kinds": ["release"], "hosts": ["h1"], "says": ["shop", "42"]}],
    "quiet": 0,
    "noticed_after": 0,
}


class Lab:
    """One host of this machine that may be broken, with a shop, and one that may not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shop = shop = SmallService(folder / "h1")
        for release in ("41", "42"):
            shop.release(release, health="200" if release == "41" else "500")
        shop.point("41")
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "incident_become": False,
            "incident_state_dir": f"{folder}/{{{{ inventory_hostname }}}}/state",
            "incident_services": [shop.entry("health", "releases", hosts="h1")],
        }
        groups = {"lab": {"hosts": {"h1": {}}}, "production": {"hosts": {"h2": {}}}}
        settings = {
            "inventory": "inventory.json",
            "state_dir": "own",
            "severities": {"high": {"contain": ["prepare_rollback"]}},
            "verify": {"within": "5s", "window": "0s"},
            "drills": {"folder": "drills", "hosts": "lab"},
        }
        (folder / "inventory.json").write_text(json.dumps({"all": {"children": groups, "vars": variables}}))
        (folder / "incidentctl.yml").write_text(json.dumps(settings))
        self.write("bad_release")

    def write(self, name: str, **changed: Any) -> None:
        home, drill = self.shop.home, self.folder / "drills" / name
        drill.mkdir(parents=True)
        switch = f"kill $(cat {home}/pid)\nwhile [ -e {home}/pid ]; do sleep 0.05; done\nsh {home}/start.sh\n"
        (drill / "inject.sh").write_text(f"ln -sfn releases/42 {home}/current\n{switch}")
        (drill / "lift.sh").write_text(
            f"[ $(readlink {home}/current) = releases/41 ] || {{ ln -sfn releases/41 {home}/current\n{switch}}}\n"
        )
        (drill / "well.sh").write_text(
            f'{sys.executable} -c "import urllib.request as u; u.urlopen(\\"http://127.0.0.1:{self.shop.port}/health\\")"\n'
        )
        (drill / "drill.yml").write_text(yaml.safe_dump({**DRILL, **changed}))

    def start(self, *words: str) -> subprocess.Popen[str]:
        program = str(Path(sys.executable).with_name("incidentctl"))
        env = {**os.environ, "INCIDENTCTL_CONFIG": str(self.folder / "incidentctl.yml"), "NO_COLOR": "1"}
        return subprocess.Popen(
            [program, *words], cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def incidentctl(self, *words: str, code: int = 0) -> str:
        """Run it to its end; return what it said, on stdout if that is what was asked for."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == code, out + err
        return out if code == 0 else out + err

    @property
    def under_way(self) -> Path:
        return self.folder / "own" / "drills" / "under_way.json"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.shop.start()
    yield lab
    lab.shop.end()


def test_what_was_broken_is_found_mended_by_what_is_recommended_and_scored(lab: Lab) -> None:
    (score,) = json.loads(lab.incidentctl("drill", "bad_release", "--json"))
    assert (score["result"], score["rank"], score["option"], score["recovered"]) == ("recovered", 1, "rollback", True)
    assert 0 < score["diagnosed_s"] <= score["asked_s"] <= score["recovered_s"]
    incident = json.loads(lab.incidentctl("status", score["incident_id"], "--json"))
    assert (incident["status"], incident["drill"], incident["hosts"]) == ("closed", "bad_release", ["h1"])
    assert incident["drilled"]["rank"] == 1, "the record has the score"
    assert (incident["tickets"], incident["notified"]) == ([], [])
    metrics = json.loads(lab.incidentctl("metrics", "--json"))
    assert (metrics["incidents"]["closed"], metrics["drills"]["closed"]) == (0, 1)
    assert lab.shop.current.resolve().name == "41"
    assert not lab.under_way.exists()


def test_a_drill_never_reaches_a_host_that_may_not_be_broken(lab: Lab) -> None:
    lab.write("elsewhere", symptom={"hosts": "production", "script": "well.sh"})
    said = lab.incidentctl("drill", "--all", code=15)
    assert "elsewhere: h2 is none of them" in said
    assert lab.shop.current.resolve().name == "41", "nothing of any drill was done"
