"""Every role has a molecule scenario of its own name, and the scenario's files are there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = {"verdict"}  # it acts on nothing: it only sums up what other roles answered
ROLES = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
SCENARIOS = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")} - {"default"}


def test_scenarios_are_named_after_roles_and_no_role_is_without() -> None:
    assert SCENARIOS == ROLES - WITHOUT


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_looks_at_the_host_twice(scenario: str) -> None:
    for name in ("verify.yml", "lifted.yml"):
        assert (ROOT / "molecule" / scenario / name).is_file()


@pytest.mark.parametrize("lifts", [True, False])
def test_the_parts_of_a_scenario_are_the_whole_sequence(lifts: bool) -> None:
    config = yaml.safe_load((ROOT / ".config" / "molecule" / "config.yml").read_text())
    sequence = config["scenario"]["test_sequence"]
    parts = runpy.run_path(str(ROOT / "molecule" / "run.py"))["parts"](sequence, lifts)
    assert [step for steps, _red in parts for step in steps] == sequence[1:]  # `create` is what run.py begins with
    assert [red for _steps, red in parts] == (["verify", "verify lifted.yml", ""] if lifts else ["verify", ""])
