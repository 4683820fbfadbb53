"""Where the record cannot be written nothing is done, and what was contained can be taken back. All writes: `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults import disk
from tests.faults.campaign import CountedShop
from tests.shop import ROOT

# An outcome is lost on a full disk; the question, then a lift, on a read-only one; a step may not begin on a broken one.
WRITES = ("host_outcome contain scale_down", "question_asked", "step_started recover")


@pytest.mark.skipif(bool(disk.missing()), reason=disk.missing())
def test_a_disk_that_goes_bad_ends_every_act_but_the_lift() -> None:
    program = str(ROOT / "tests" / "faults" / "record.py")
    words = [word for write in WRITES for word in ("--at", write)]
    done = subprocess.run([sys.executable, program, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_a_record_that_is_lost_holds_no_containment_up(tmp_path: Path) -> None:
    shop = CountedShop(tmp_path)
    record = tmp_path / "state" / "record.db"
    try:
        shop.prepare()
        assert shop.run("run", "--severity", "high", "--yes", "checkout returns 500").returncode == 10
        incident = shop.status()["incident_id"]
        assert sorted(shop.acts()) == ["maintenance mode enabled", "stop worker"]

        for file in record.parent.glob("record.db*"):
            file.unlink()
        done = shop.run("lift", incident)
        assert done.returncode == 11, done.stderr
        assert f"{incident} is not in this record" in done.stderr
        lifted = {"stop worker": 1, "maintenance mode enabled": 1, "start worker": 1, "maintenance mode disabled": 1}
        assert shop.acts() == lifted

        record.write_bytes(b"no database at all\n" * 1000)
        done = shop.run("lift", incident)
        assert done.returncode == 11, done.stderr
        assert "all was taken back on the hosts" in done.stderr
        assert shop.acts() == lifted, "what was lifted is lifted again"

        vague = shop.run("lift", incident[:8])
        assert vague.returncode == 2
        assert incident in vague.stderr, "its folder tells the id"
        wrong = shop.run("lift", "INC-20260101-0300-abcd")
        assert wrong.returncode == 2
        assert "in no ledger of this-machine" in wrong.stderr
    finally:
        shop.stop()
