"""Lift restores what was there: one sequence of each class here; the campaign on real hosts is `make faults CAMPAIGN=lift`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.faults import ledger

ROOT = Path(__file__).resolve().parents[2]
# What is lifted, what another administrator does meanwhile, and what is killed.
SEQUENCES: dict[str, dict[str, Any]] = {
    "several acts, one of them kept": {
        "acts": ["maintenance_mode", "rate_limit", "enhanced_monitoring", "scale_down", "rollback"],
    },
    "another administrator between them": {
        "acts": ["egress", "circuit_breaker", "isolation shop", "scale_down"],
        "changes": ["iptables: before and after ours in OUTPUT", "ip6tables: own chain", "stops a service", "deploys"],
        "at": 3,
    },
    "killed in the act": {"acts": ["rate_limit", "quarantine"], "kill": "quarantine", "moment": 0.6},
    "killed in the lift": {"acts": ["isolation shop", "egress"], "kill": "lift", "moment": 0.5},
}
PLAY = """
import json, sys
from pathlib import Path
from tests.faults.lift import Runner, Sequence, lift_site
with lift_site.here(Path(sys.argv[1])) as site:
    runner = Runner(site, sabotaged=sys.argv[2] == "sabotaged")
    print(json.dumps([runner.play(Sequence(n, **one)) for n, one in enumerate(json.loads(sys.argv[3]))]))
"""


def played(folder: Path, *sequences: dict[str, Any], how: str = "as it is") -> list[list[str]]:
    """Play sequences on a network, mounts and processes of their own; return what was wrong in each."""
    argv = ledger.apart(sys.executable, "-c", PLAY, str(folder), how, json.dumps(sequences))
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'driver'}:{ROOT / 'tests' / 'lab'}"}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.skipif(bool(ledger.lacking()), reason=ledger.lacking())
def test_everything_is_as_it_was_and_what_others_did_is_there(tmp_path: Path) -> None:
    told = dict(zip(SEQUENCES, played(tmp_path, *SEQUENCES.values()), strict=True))
    assert told == {name: [] for name in SEQUENCES}


@pytest.mark.skipif(bool(ledger.lacking()), reason=ledger.lacking())
def test_a_lift_that_takes_nothing_back_is_found_out(tmp_path: Path) -> None:
    (wrong,) = played(tmp_path, {"acts": ["maintenance_mode", "scale_down"]}, how="sabotaged")
    assert any("lost: files:" in line and "/shop/maintenance" in line for line in wrong), wrong
    assert any("lost: answers:" in line for line in wrong), wrong
