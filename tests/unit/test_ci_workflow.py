"""What CI runs is what `make` runs, and no molecule scenario is forgotten there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def targets(job: str) -> list[str]:
    """The make targets that a job runs."""
    said = "\n".join(step.get("run", "") for step in JOBS[job]["steps"])
    return re.findall(r"\bmake ([a-z-]+)", said)


def test_every_scenario_has_a_job_of_its_own() -> None:
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")} - {"default"}
    assert sorted(JOBS["molecule"]["strategy"]["matrix"]["scenario"]) == sorted(scenarios)
    assert any(
        "make molecule SCENARIO=${{ matrix.scenario }}" in step.get("run", "") for step in JOBS["molecule"]["steps"]
    )


@pytest.mark.parametrize("job", JOBS)
def test_a_job_runs_the_target_of_its_name(job: str) -> None:
    assert targets(job) == [job]
    assert job in TARGETS


def test_what_runs_the_tests_as_root_lets_them_know_that_it_is_ci() -> None:
    """Else they try random cases: what those find is for a developer, and not red for whoever changed something else."""
    told = [step["run"] for job in JOBS.values() for step in job["steps"] if "make test" in step.get("run", "")]
    assert told
    assert all(line.startswith('sudo env "PATH=$PATH" "CI=$CI" ') for line in told)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_within_the_hour(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 60
