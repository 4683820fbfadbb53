"""Some of each class of faults of tests/faults/backup.py, the whole of which takes an hour: none is called verified falsely."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import repositories

CAMPAIGN = Path(__file__).resolve().parents[1] / "faults" / "backup.py"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="small disks and other users need root")


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param("disk", marks=needs_root),
        pytest.param("unreadable", marks=needs_root),
        "a lock",
        "a wrong password",
        "a killed tool",
        "a killed run",
        "a flipped bit",
    ],
)
def test_no_fault_makes_a_false_claim(faults: str, tmp_path: Path) -> None:
    if lack := repositories.missing("local"):
        pytest.skip(lack)
    argv = [sys.executable, str(CAMPAIGN), "--scale", "0", "--only", faults, "--results", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    tried, said = done.stdout.splitlines()[-1].split(" faults, ")
    assert int(tried) > 0
    assert said.startswith("0 false verified, 0 with anything wrong")
