"""The machinery that scores a diagnosis: a fault that is there is named first, and one that is not there is not named."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from tests.lab.play import Hosts, lab

sys.path.insert(0, str(lab.LAB / "faults"))  # its programs are no package
import score
import site_on_lab


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[None]:
    hosts.fresh(*lab.HOSTS)
    site_on_lab.lay_out()
    score.see_healthy(score.told("disk_full"))
    yield
    hosts.fresh(*lab.HOSTS)


def test_on_a_healthy_site_no_fault_is_called_the_cause(site: None) -> None:
    causes = score.diagnose()
    for name in (*score.known(), *score.known(score.FURTHER)):
        truth = score.told(name)
        assert not [cause for cause in causes if score.is_right(cause, truth)], name


def test_the_cause_of_a_full_disk_comes_first(site: None) -> None:
    truth = score.told("disk_full")
    try:
        score.inject(truth)
        score.see_symptom("disk_full", truth)
        first = score.diagnose()[0]
    finally:
        score.lift(truth)
    assert score.is_right(first, truth), first
    score.see_healthy(truth)
