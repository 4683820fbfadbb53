"""A rollback that was decided goes to one host first, then on in batches, and no further once a host was not helped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.small_service import SmallService

ROOT = Path(__file__).resolve().parents[2]
HOSTS = [f"h{number}" for number in range(1, 9)]  # a quarter is two
NOT_HELPED = "h4"  # there release 41 is as sick as 42
SETTINGS = {
    "inventory": "inventory.json",
    "state_dir": "own",
    "guards": {"max_hosts_changed": 100, "max_fraction_changed": 1.0},
    "severities": {"medium": {"contain": ["prepare_rollback"]}},
    "verify": {"within": "5s", "window": "0s"},
}


class Fleet:
    """Eight hosts of this machine, each with a shop whose release 42 is sick."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shops = {name: SmallService(folder / name) for name in HOSTS}
        for name, shop in self.shops.items():
            shop.release("41", health="500" if name == NOT_HELPED else "200")
            shop.release("42", health="500")
            shop.point("42")
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "incident_become": False,
            "incident_state_dir": f"{folder}/{{{{ inventory_hostname }}}}/state",
            "incident_services": [self._entry()],
            "rollback_within_s": 20,
            "rollback_window_s": 0.2,
        }
        hosts = {name: {"port": shop.port} for name, shop in self.shops.items()}
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        (folder / "incidentctl.yml").write_text(json.dumps(SETTINGS))

    def _entry(self) -> dict[str, Any]:
        """Return the shop as all hosts have it: the first one's, with each host's own folder and port."""
        first = self.shops["h1"]
        text = json.dumps(first.entry("health", "releases"))
        text = text.replace(str(first.home), f"{self.folder}/{{{{ inventory_hostname }}}}")
        return dict(json.loads(text.replace(f":{first.port}/", ":{{ port }}/")))

    def incidentctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("incidentctl"))
        env = {**os.environ, "INCIDENTCTL_CONFIG": str(self.folder / "incidentctl.yml"), "NO_COLOR": "1"}
        return subprocess.run(
            [program, *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    def at(self) -> dict[str, str]:
        """Return the release of each host."""
        return {name: shop.current.resolve().name for name, shop in self.shops.items()}

    def switched(self) -> list[tuple[str, int]]:
        """Return the hosts that were switched, in order, with the time of it in nanoseconds."""
        entries = {
            name: list((shop.home / "state" / "ledger").glob("*/*-rollback-*")) for name, shop in self.shops.items()
        }
        times = {name: self.shops[name].current.lstat().st_mtime_ns for name, found in entries.items() if found}
        return sorted(times.items(), key=lambda row: row[1])


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    try:
        for shop in fleet.shops.values():
            shop.start()
        yield fleet
    finally:
        for shop in fleet.shops.values():
            shop.end()


def test_it_stops_at_the_batch_that_was_not_helped_and_keeps_the_bad_release(fleet: Fleet) -> None:
    done = fleet.incidentctl("run", "--severity", "medium", "--yes", "--option", "rollback", "checkout fails")
    assert done.returncode == 12, done.stderr
    assert "Traceback" not in done.stderr

    order = [name for name, _at in fleet.switched()]
    assert order[0] == "h1"
    assert set(order[1:3]) == {"h2", "h3"}
    assert set(order[3:]) == {"h4", "h5"}
    went_back = {"h1", "h2", "h3", "h5"}
    assert fleet.at() == {name: "41" if name in went_back else "42" for name in HOSTS}
    assert all((shop.home / "releases" / "42").is_dir() for shop in fleet.shops.values())

    record = json.loads(fleet.incidentctl("status", "--json").stdout)
    timeline = fleet.incidentctl("timeline").stdout
    assert "forward again to 42" in timeline, timeline
    assert timeline.count("stopped: a host before it went wrong") == 3, timeline
    assert record["status"] != "closed"
