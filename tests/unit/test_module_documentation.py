"""Every module's documentation, as ansible-doc reads it, says what the module's own argument spec says."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FQCN = "incidentctl.response."
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
SAME = ("type", "elements", "default", "choices", "required")
BLOCK = {"capability", "outcome", "actions", "facts", "files"}


def spec(name: str) -> dict[str, dict[str, Any]]:
    module = importlib.import_module(f"ansible_collections.incidentctl.response.plugins.modules.{name}")
    found: dict[str, dict[str, Any]] = module.ARGUMENT_SPEC
    return found


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """What ansible-doc knows of all modules, fragments merged in."""
    argv = [Path(sys.executable).parent / "ansible-doc", "--json", *(FQCN + name for name in MODULES)]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT)}
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name.removeprefix(FQCN): entry for name, entry in found.items()}


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_they_are(documented: dict[str, dict[str, Any]], name: str) -> None:
    options, arguments = documented[name]["doc"]["options"], spec(name)
    assert set(options) == set(arguments)
    for option, told in options.items():
        assert told["description"], option
        for key in SAME:
            missing = False if key == "required" else None
            assert told.get(key, missing) == arguments[option].get(key, missing), f"{option}: {key}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_what_there_is(documented: dict[str, dict[str, Any]], name: str) -> None:
    arguments, tasks = spec(name), yaml.safe_load(documented[name]["examples"])
    assert tasks
    for task in tasks:
        assert task["name"]
        given = task[FQCN + name]
        assert set(given) <= set(arguments)
        assert {option for option, about in arguments.items() if about.get("required")} <= set(given)
        for option, value in given.items():
            assert value in arguments[option].get("choices", [value]), option


@pytest.mark.parametrize("name", MODULES)
def test_what_comes_back_is_documented_with_a_sample(documented: dict[str, dict[str, Any]], name: str) -> None:
    block = documented[name]["return"]["incident"]
    assert block["description"]
    assert block["returned"] == "always"
    assert set(block["sample"]) == BLOCK
    assert all({"target", "outcome", "summary"} <= set(row) for row in block["sample"]["actions"])


@pytest.mark.parametrize("name", MODULES)
def test_it_says_how_it_takes_check_and_diff_mode(documented: dict[str, dict[str, Any]], name: str) -> None:
    attributes = documented[name]["doc"]["attributes"]
    assert {key: attributes[key]["support"] for key in ("check_mode", "diff_mode")} == {
        "check_mode": "full",
        "diff_mode": "full",
    }
