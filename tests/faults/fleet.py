"""Twenty hosts, eight of them sick, each time others: one outcome each, told everywhere the same, in time: `make faults`.

What is done and asserted stands in tests/integration/test_fleet.py; here each fault there is strikes, many times.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pexpect

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from tests import fleet, light_hosts
from tests.faults.results_file import Results, until_told
from tests.integration.test_fleet import DEADLINE_S, go_through

FAULTS = [fault for fault in fleet.EXPECTED if fault]


def main() -> int:
    """Run the campaign; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="which hosts are sick")
    parser.add_argument("--deadline", type=int, default=DEADLINE_S, help="seconds that a phase may take")
    words = parser.parse_args()
    if lacking := light_hosts.missing():
        print(f"fleet: not run, {lacking}")
        return 0
    chance, failed, tried = random.Random(words.seed), 0, 0  # noqa: S311 - no secret; the same each time
    with Results("fleet") as results, until_told():
        end = time.monotonic() + 60 * words.minutes
        while time.monotonic() < end:
            sick = dict(zip(chance.sample(range(1, 21), len(FAULTS)), FAULTS, strict=True))
            faults = {f"h{number}": fault for number, fault in sick.items()}
            told = ", ".join(f"{name} {fault}" for name, fault in faults.items())
            began, wrong = time.monotonic(), []
            try:
                with fleet.running(20, faults, words.deadline) as one:
                    go_through(one)
            except (AssertionError, OSError, subprocess.SubprocessError, pexpect.ExceptionPexpect) as error:
                wrong = [f"{error!r} at {traceback.extract_tb(error.__traceback__)[-1].lineno}"]
            tried, failed = tried + 1, failed + bool(wrong)
            results.say(f"{told}: {time.monotonic() - began:.0f} s", wrong=wrong)
        results.say(f"{tried} fleets of 20 hosts, {len(FAULTS)} of them sick; {failed} not as promised")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
