"""One case of each kind that `tests/faults/release.py` tries: read while it is switched, killed, sick, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from tests.faults import release

TRIES = 6  # how often it asks whether the service runs by now is another thing each time: there may be no such call


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return tmp_path / "host"


def test_no_read_fails_or_sees_a_mixture_while_it_is_switched(folder: Path) -> None:
    ((line, wrong),) = release.reads(folder, switches=10, least=1000)
    assert wrong == [], line


# Before and after the rename of the link, while it is stopped, while it is started, and when all is done but the ledger.
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    ("call", "place"), [("rename", 0.0), ("rename", 0.5), ("clone", 0.4), ("clone", 0.9), ("rename", 1.0)]
)
def test_a_rollback_that_is_killed_is_gone_on_with(folder: Path, call: str, place: float) -> None:
    for _ in range(TRIES):
        numbers = [number for what, number in release.places(folder, "200") if what == call]
        number = numbers[round(place * (len(numbers) - 1))]
        was_killed, wrong = release.killed(folder, "200", call, number, ("done", "41"))
        assert wrong == []
        if was_killed:
            return
    pytest.fail(f"it never came to its {call} {number}")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_one_that_was_to_go_forward_again_is_gone_on_with(folder: Path) -> None:
    numbers = [number for what, number in release.places(folder, "500") if what == "symlink"]
    assert release.killed(folder, "500", "symlink", numbers[-1], ("failed", "42")) == (True, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own needs root")
def test_a_disk_that_gets_full_leaves_one_whole_release(folder: Path) -> None:
    folder.mkdir()
    program = """
import pathlib, sys
from tests.faults import release
release._ledger.VOLATILE_DIR = sys.argv[1] + "-run"
wrong = [f"{line}: {fault}" for line, faults in release.full(pathlib.Path(sys.argv[1])) for fault in faults]
sys.exit("\\n".join(wrong) or 0)
"""
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", program, str(folder)]
    done = subprocess.run(words, cwd=release.ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def four(folder: Path) -> Path:
    """An inventory of four hosts, of which the first cannot be helped: its rollback command fails."""
    folder.mkdir()
    at = str(folder / "{{ inventory_hostname }}")
    rollback = ["sh", "-c", f"touch {at}-tried; test {{{{ inventory_hostname }}}} != h0 && echo 41 >{at}"]
    releases = {"kind": "command", "current": ["sh", "-c", f"cat {at} || echo 42"], "rollback": rollback}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "incident_become": False,
        "incident_state_dir": f"{at}-state",
        "incident_services": [{"name": "shop", "hosts": "all", "releases": releases}],
    }
    inventory = {"all": {"hosts": {f"h{number}": {} for number in range(4)}, "vars": variables}}
    (folder / "inventory.yml").write_text(json.dumps(inventory))
    return folder


def tried(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix("-tried") for path in folder.glob("*-tried"))


def test_a_play_touches_no_further_host_once_one_was_not_helped(four: Path) -> None:
    settings = {"inventory": "inventory.yml", "state_dir": f"{four}/own", "guards": {"max_fraction_changed": 1.0}}
    (four / "incidentctl.yml").write_text(json.dumps(settings))
    environment = {**os.environ, "INCIDENTCTL_CONFIG": str(four / "incidentctl.yml"), "NO_COLOR": "1"}
    words = [str(Path(sys.executable).with_name("incidentctl")), "play", "rollback", "--service", "shop"]
    done = subprocess.run(words, cwd=four, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, tried(four)) == (12, ["h0"]), done.stderr
    assert done.stderr.count("not_attempted") == 3


def test_the_playbook_begins_no_further_batch_once_one_host_was_not_helped(four: Path) -> None:
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "incidentctl.response.rollback"]
    words += ["-i", str(four / "inventory.yml"), "-e", "rollback_serial=50%", "-e", '{"rollback_only": ["shop"]}']
    done = subprocess.run(words, cwd=release.ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, tried(four)) == (2, ["h0", "h1"]), done.stdout
    assert "went back from 42 to 41" in done.stdout or "changed=1" in done.stdout
