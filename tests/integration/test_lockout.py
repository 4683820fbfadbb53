"""Nobody is locked out: one bad rule set with each fault, all at once; the whole campaign is `make faults CAMPAIGN=lockout`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests import light_hosts
from tests.faults.lockout import Case, attempt
from tests.faults.lockout_hosts import light

CONFIRM_S = 7  # time enough to see in the window that nobody comes in
CASES = [
    Case("loopback cut", "ipv4", "no fault", "rate_limit"),
    Case("all dropped on the way in", "ipv6", "controller killed", "circuit_breaker"),
    Case("another range spared", "ipv4", "link down", "quarantine"),
    Case("new ones dropped", "ipv6", "ssh killed", "rate_limit"),
]
# On a slow or busy machine all comes later, but it comes. The campaign holds it to the seconds that are promised.
PATIENCE_S = 30.0


@pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())
def test_whatever_is_loaded_and_breaks_a_fresh_login_comes_through_at_the_deadline() -> None:
    with light_hosts.short_folder() as top, light(len(CASES)) as site, ThreadPoolExecutor(len(CASES)) as pool:
        tried = [
            pool.submit(attempt, site, name, c, top, CONFIRM_S, late_s=PATIENCE_S)
            for name, c in zip(site.names(), CASES, strict=True)
        ]
        assert {str(case): one.result()[1] for case, one in zip(CASES, tried, strict=True)} == {
            str(c): [] for c in CASES
        }
