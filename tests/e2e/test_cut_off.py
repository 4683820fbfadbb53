"""One incident, cut off once in each way there is: nothing is lost, nothing done twice. All points: `make faults`."""

from __future__ import annotations

from pathlib import Path

import pexpect
from tests.faults.campaign import ANSWERS, RUN, CountedShop, settled

from incidentctl.record import open_record

RESUME = ("resume", *ANSWERS)
# The point, the number of times it is passed in that command, and how the command ends.
CUTS = (
    ("task", 12, RUN, -9),  # the driver, while the worker is being stopped: that goes on alone
    ("playbook", 8, RESUME, 11),  # ansible-playbook, while maintenance is turned on
    ("worker", 18, RESUME, 11),  # its worker, in the middle of the rollback
    ("write-before", 4, RESUME, -9),  # the driver, which has an outcome in hand that is not yet recorded
    ("spawn-after", 4, RESUME, -9),  # the driver, when it has just started the lift
)
BEGUN = ("contain", "contain", "recover", "recover", "lift")


def test_cut_off_in_every_way_it_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    shop = CountedShop(tmp_path)
    try:
        shop.prepare()
        for (point, number, words, code), phase in zip(CUTS, BEGUN, strict=True):
            cut = shop.cut(point, number, *words)
            with open_record(f"sqlite:///{tmp_path}/state/record.db") as record:
                incident = record.incident(record.find())
            assert cut.returncode == code, (point, cut.stdout)
            assert "Traceback" not in cut.stdout, point
            assert incident.holder is None, "a process that is gone holds it"
            assert (incident.phases[-1].name, incident.phases[-1].state) == (phase, "interrupted"), point
        go_on_in_a_terminal(shop)
        assert settled(shop) == []
    finally:
        shop.stop()


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
