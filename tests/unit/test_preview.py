"""What a containment would do, before anything happens: also what no host would do anything of, and why."""

from __future__ import annotations

import pytest

from incidentctl import plan, preview, wording
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.plan import Inventory, Service

HOSTS = ("web1", "web2", "mon1")
SHOP = Service("shop", HOSTS[:2], True, True, (), {"ports": [80]})
SITE = Inventory({host: frozenset() for host in HOSTS}, (SHOP,))
NO_PROMETHEUS = "Prometheus does not run on this host"


def checked(*rows: HostOutcome, severity: str = "high") -> str:
    step = plan.step("contain", ("enhanced_monitoring", "rate_limit"), HOSTS, (SHOP,), ("shop",))
    outcome = Outcome(Step("check", step.capabilities, HOSTS, deadline_s=1.0), rows, 1.0)
    return wording.plan(plan.Plan(severity, (step,)), (), preview._plan(outcome, step))


def skipped(host: str, reason: str = NO_PROMETHEUS, capability: str = "enhanced_monitoring") -> HostOutcome:
    return HostOutcome(host, capability, "skipped", reason)


def test_what_every_host_skips_is_told_with_the_reasons_that_they_give() -> None:
    told = checked(*map(skipped, HOSTS), *(skipped(host, "no ports", "rate_limit") for host in HOSTS))
    assert f"    web1, web2, mon1: enhanced_monitoring is skipped: {NO_PROMETHEUS}\n" in told
    assert "    web1, web2, mon1: rate_limit is skipped: no ports" in told
    assert "    nothing" not in told


def test_each_reason_is_told_with_its_hosts() -> None:
    told = checked(skipped("web1"), skipped("web2", "nothing to load"), skipped("mon1", ""))
    reasons = {"web1": NO_PROMETHEUS, "web2": "nothing to load", "mon1": "no reason is given"}
    for host, reason in reasons.items():
        assert f"    {host}: enhanced_monitoring is skipped: {reason}" in told


@pytest.mark.parametrize("outcome", ["done", "unchanged", "refused", "unreachable"])
def test_where_one_host_does_not_skip_it_that_others_do_is_how_it_is_meant(outcome: str) -> None:
    done = HostOutcome("mon1", "enhanced_monitoring", outcome, actions=())
    assert "enhanced_monitoring is skipped" not in checked(*map(skipped, HOSTS[:2]), done)
