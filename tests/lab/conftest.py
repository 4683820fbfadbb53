"""The lab as a fixture: the hosts that a test needs are started, and removed again if they were not there before."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # lab.py is a command, and finds what stands beside it
import crowd
from tests.lab.edge import FAMILIES, PORTS, Incident, rules, wait_for_no_trace
from tests.lab.play import Hosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Give the lab's hosts; remove at the end those that were started for it."""
    hosts = Hosts(tmp_path_factory.mktemp("lab"))
    yield hosts
    hosts.end()


@pytest.fixture(scope="module")
def edge(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with crowd.present():
        inventory = tmp_path_factory.mktemp("edge") / "edge.yml"
        inventory.write_text(yaml.safe_dump(crowd.inventory()))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if all(
                crowd.connect([crowd.source(1, f)], f, p)[crowd.source(1, f)] for f in FAMILIES for p in PORTS.values()
            ):
                break
        yield inventory


@pytest.fixture
def incident(hosts: Hosts, edge: Path) -> Iterator[Incident]:
    before = rules()
    incident = Incident(hosts, edge)
    yield incident
    incident.play("lift")
    wait_for_no_trace()
    left = rules()
    if incident.rebooted:
        before, left = (
            {f: [r for r in table if r.startswith("*mangle")] for f, table in x.items()} for x in (before, left)
        )
    assert left == before
