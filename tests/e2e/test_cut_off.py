"""One incident, cut off once in each way there is: nothing is lost, nothing done twice. All points: `make faults`."""

from __future__ import annotations

from pathlib import Path

import pexpect
from tests.faults import checks
from tests.faults.campaign import RESUME, RUN, CountedShop, settled

# Where a command is cut off (tests/faults/cut.py), which, how it ends, and the phase that stands as interrupted then.
CUTS = (
    # The driver, while the worker is being stopped: that goes on alone. The next one, when it has just begun to ask of it.
    ("task-driver contain: scale_down, Stop the non-essential services 1", RUN, -9, "contain"),
    ("spawn-after resume: ansible-playbook 1", RESUME, -9, "contain"),
    ("task-playbook contain: maintenance_mode, Turn maintenance mode on 1", RESUME, 11, "contain"),
    ("task-worker recover: rollback, Roll the named services back 1", RESUME, 11, "recover"),
    # The driver, which has an outcome in hand that is not yet recorded; and when it has just started the lift.
    ("write-before recover: host_outcome rollback 1", RESUME, -9, "recover"),
    ("spawn-after lift: ansible-playbook 1", RESUME, -9, "lift"),
)


def test_cut_off_in_every_way_it_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    shop = CountedShop(tmp_path)
    try:
        shop.prepare(worker_stops_s=2)
        for point, words, code, phase in CUTS:
            cut = shop.cut([point], *words)
            assert cut.returncode == code, (point, cut.stdout)
            assert "Traceback" not in cut.stdout, point
            assert checks.under_way(checks.events(shop.state)) == phase, point
            assert checks.after_a_cut(shop.state) == [], point
        go_on_in_a_terminal(shop)
        assert settled(shop) == []
    finally:
        shop.end()


def go_on_in_a_terminal(shop: CountedShop) -> None:
    """As somebody does who knows nothing of the cut: `run` once more."""
    child = shop.in_terminal(*RUN)
    try:
        child.expect("cut off in lift")
        child.expect("Go on with it")
        child.sendline("y")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0
    assert shop.status()["acknowledged_by"]
