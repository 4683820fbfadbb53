"""Every role has a molecule scenario of its own name, and the scenario's files are there."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = {
    "verdict",  # it acts on nothing: it only sums up what other roles answered
    # to be written, with a stand for each: a dependency, a Prometheus, a release to build
    "circuit_breaker",
    "enhanced_monitoring",
    "hotfix",
}
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def test_what_has_no_scenario_is_a_role_and_has_none() -> None:
    assert [name for name in WITHOUT if name not in ROLES or (ROOT / "molecule" / name).exists()] == []


@pytest.mark.parametrize("role", [name for name in ROLES if name not in WITHOUT])
def test_a_role_has_a_scenario_that_looks_at_the_host_twice(role: str) -> None:
    for name in ("molecule.yml", "verify.yml", "lifted.yml"):
        assert (ROOT / "molecule" / role / name).is_file()
