"""The lab as a fixture: the hosts that a test needs are started, and removed again if they were not there before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # lab.py is a command, and finds what stands beside it
from tests.lab.play import Hosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Give the lab's hosts; remove at the end those that were started for it."""
    hosts = Hosts(tmp_path_factory.mktemp("lab"))
    yield hosts
    hosts.end()
