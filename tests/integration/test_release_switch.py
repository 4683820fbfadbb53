"""One case of each kind that `tests/faults/release.py` tries: read while it is switched, killed, sick, on a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from tests.faults import release


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
    numbers = [number for what, number in release.places(folder, "200") if what == call]
    number = numbers[round(place * (len(numbers) - 1))]
    assert release.killed(folder, "200", call, number, ("done", "41")) == (True, [])


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
