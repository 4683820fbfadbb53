"""Latency and errors against before the onset, as a real Prometheus measured them with customers: the verdict by them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import deploy
import pytest
import yaml
from tests.lab.play import Hosts
from tests.lab.test_whole_incident import INVENTORY, Driver, installed, monitoring

SLOW_S = 0.6
WELL_S, SICK_S = 45, 25  # as long customers order before it begins, and before anybody does something
PAUSE_S = 0.3
QUERIES = {
    "latency": "histogram_quantile(0.9, sum by (le) "
    '(rate(shop_request_duration_seconds_bucket{job="$service", path="/checkout"}[10s])))',
    # Its series begins with the first error, and is gone with the process: that is as it was before.
    "error_rate": 'sum(rate(shop_requests_total{job="$service", path="/checkout", code=~"5.."}[10s]))',
}
LOOKS_IT_UP = "    row = database.execute("


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """incidentctl with the lab's settings, and with queries."""
    run = installed(tmp_path, INVENTORY)
    config = tmp_path / "incidentctl.yml"
    settings = yaml.safe_load(config.read_text())
    settings["monitoring"]["queries"] = QUERIES
    config.write_text(yaml.safe_dump(settings))
    return run


@pytest.fixture
def shops(hosts: Hosts) -> Iterator[Hosts]:
    """Both shops with customers, seen by a Prometheus that knows nothing of earlier incidents."""
    hosts.fresh("mon1", "web1", "web2")
    hosts.need("db1", "worker1")
    over = threading.Event()
    customers = [threading.Thread(target=order, args=(name, over)) for name in deploy.WEB]
    for customer in customers:
        customer.start()
    time.sleep(WELL_S)
    yield hosts
    over.set()
    for customer in customers:
        customer.join()


def order(name: str, over: threading.Event) -> None:
    """Order from a web server again and again."""
    while not over.wait(PAUSE_S):
        with contextlib.suppress(OSError, http.client.HTTPException):
            deploy.checkouts(name, 1)


def slow_down(hosts: Hosts, name: str, release: str) -> None:
    """Have a release that lies on a host take its time for each order."""
    program = f"/srv/shop/releases/{release}/app.py"
    hosts.run(name, "sed", "-i", f"'s/^{LOOKS_IT_UP}/    time.sleep({SLOW_S})\\n&/'", program)


def break_it(hosts: Hosts, slow: tuple[str, ...]) -> None:
    """Deploy release 42 everywhere; these releases are slow from then on."""
    for name in deploy.WEB:
        deploy.deploy("42", name)
        for release in slow:
            slow_down(hosts, name, release)
        deploy.restart(name)
        assert deploy.checkouts(name, 1) == {500: 1}
    time.sleep(SICK_S)


def figures(incident: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the two queries came to in the end."""
    seen = {row["what"]: row for row in incident["verified"]["figures"]}
    return seen["query latency"], seen["query error_rate"]


def asked(query: str) -> float:
    """Ask the lab's Prometheus ourselves what a query gives now."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query.replace("$service", "shop")})
    ((_at, value),) = (row["value"] for row in monitoring(9090, path)["data"]["result"])
    return float(value)


def it_is_plotted(incident: dict[str, Any]) -> None:
    """What Prometheus measured before, during and after lies among the evidence, and is drawn in the report."""
    folder = Path(incident["report"]).parent
    row = incident["measured"][-1]
    text = (folder / "evidence" / row["file"]).read_bytes()
    assert hashlib.sha256(text).hexdigest() == row["sha256"]
    answers = json.loads(text)["answers"]
    seen = {one["name"]: {at: value for found in one["series"] for at, value in found["values"]} for one in answers}
    assert set(seen) == {*QUERIES, "targets_up"}
    recovered = datetime.fromisoformat(incident["verified"]["at"]).timestamp()
    began = datetime.fromisoformat(incident["onset"]["at"]).timestamp()
    before = [value for at, value in seen["latency"].items() if at < began]
    assert before
    assert max(before) < SLOW_S / 2 < max(seen["latency"].values())
    assert min(value for at, value in seen["latency"].items() if at > recovered) < SLOW_S / 2
    assert max(seen["error_rate"].values()) > 0
    assert max(seen["targets_up"].values()) == 1
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == 3
    for mark in ("onset", "declared", "contained", "decided: rollback", "recovered"):
        assert page.count(f">{mark}</text>") == 3, mark
    assert re.search(r"\| shop latency \| [\d.,]+ ms \| [\d.,]+ ms \(\d", (folder / "report.md").read_text())


def test_a_rollback_from_a_slow_release_is_recovered_by_what_prometheus_measured_before_during_and_now(
    shops: Hosts, driver: Driver
) -> None:
    fast = asked(QUERIES["latency"])
    break_it(shops, ("42",))
    slow = asked(QUERIES["latency"])
    assert slow > 5 * fast
    done = driver("run", "--severity", "high", "--yes", "--option", "rollback", "checkout is slow, and fails")
    assert done.returncode == 0, done.stdout + done.stderr
    incident = json.loads(driver("status", "--json").stdout)
    assert incident["verified"]["verdict"] == "recovered"
    latency, errors = figures(incident)
    assert (latency["judged"], errors["judged"]) == ("well", "well")
    assert 0 < latency["before"] < SLOW_S / 2 < latency["during"]
    assert 0 < latency["after"] < SLOW_S / 2
    assert (errors["before"], errors["after"]) == (0, 0)
    assert errors["during"] > 0
    it_is_plotted(incident)
    assert re.search(
        r"Recovered .*shop latency [\d,]+ ms \([\d,]+ before, [\d,]+ during\)", " ".join(done.stderr.split())
    )


def test_a_rollback_to_a_release_that_answers_as_slowly_is_improved_and_not_recovered(
    shops: Hosts, driver: Driver
) -> None:
    break_it(shops, ("41", "42"))
    done = driver("run", "--severity", "high", "--yes", "--option", "rollback", "checkout is slow, and fails")
    assert done.returncode == 12, done.stdout + done.stderr
    incident = json.loads(driver("status", "--json").stdout)
    assert deploy.checkouts("web1", 1) == {201: 1}  # it is healthy again
    assert incident["verified"]["verdict"] == "improved"
    latency, errors = figures(incident)
    assert (latency["judged"], errors["judged"]) == ("not well", "well")
    assert latency["after"] > SLOW_S / 2 > latency["before"]
    assert incident["question"] is not None
    assert incident["status"] == "identified"
