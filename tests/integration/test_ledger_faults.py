"""No record, no act, on the host: one case of each class; the whole campaign is `make faults CAMPAIGN=ledger`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults import ledger

ROOT = Path(__file__).resolve().parents[2]
CASES = [
    "isolation act fsync 1 EIO",  # the bytes of the intent
    "isolation act fsync 5 EIO",  # its name in the folder
    "isolation act rename 1 KILL",  # the intent
    "isolation act rename 2 KILL",  # acted, and killed before it could say so
    "rate_limit act write 1 ENOSPC+",
]


def attempt(what: str, folder: Path) -> str:
    """Try one case in mounts and a network of its own; return what was wrong."""
    code = "import sys; from tests.faults import ledger; print(*ledger.one(sys.argv[1], sys.argv[2]), sep='\\n')"
    argv = ledger.apart(sys.executable, "-c", code, what, str(folder / "world"))
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'driver'}"}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(bool(ledger.lacking()), reason=ledger.lacking())
@pytest.mark.parametrize("what", CASES)
def test_what_fails_in_the_ledger_leaves_nothing_done_that_is_not_known(what: str, tmp_path: Path) -> None:
    assert attempt(what, tmp_path) == ""


@pytest.mark.skipif(bool(ledger.lacking()), reason=ledger.lacking())
@pytest.mark.parametrize("what", ["full before", "readonly between", "broken between"])
def test_on_a_bad_disk_all_is_known_and_taken_back(what: str, tmp_path: Path) -> None:
    assert attempt(f"isolation {what}", tmp_path) == ""
