"""Every module has an action that carries it, and asks for nothing that only one of the two carriers can do."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _act

from incidentctl import plan

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
NAMESPACE = "ansible_collections.incidentctl.response.plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))


def test_every_module_has_an_action_and_every_action_a_module() -> None:
    assert sorted(path.stem for path in (PLUGINS / "action").glob("*.py")) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_the_action_carries_the_module_of_its_name(name: str) -> None:
    module = importlib.import_module(f"{NAMESPACE}.modules.{name}")
    cargo = importlib.import_module(f"{NAMESPACE}.action.{name}").ActionModule.cargo
    assert cargo.run == (module.run.__module__, "run")
    assert cargo.capability is module.capability
    assert set(cargo.argument_spec) == set(module.ARGUMENT_SPEC)


@pytest.mark.parametrize("name", MODULES)
def test_options_are_of_the_kind_that_travels_either_way(name: str) -> None:
    """Secret options, second names and lists of paths would have to be treated by the action, too."""
    spec = importlib.import_module(f"{NAMESPACE}.modules.{name}").ARGUMENT_SPEC
    for option, about in spec.items():
        assert set(about) <= {"type", "elements", "default", "choices", "required", "no_log"}, option
        assert not about.get("no_log"), option
        assert about.get("elements") != "path", option


def test_whatever_changes_a_host_or_takes_that_back_waits_for_its_turn_there() -> None:
    assert plan.LIFTABLE | {"drill", "hotfix", "restart", "rollback", "lift"} == _act.IN_TURN


def test_health_check_brings_no_diagnosis_along() -> None:
    action = importlib.import_module(f"{NAMESPACE}.action.diagnosis_info").ActionModule
    light = action.cargo_for(action, {"capability": "health_check", "figures": False})
    assert light.run == (f"{NAMESPACE}.module_utils._health_check", "run")
    assert len(light.library) < len(action.cargo.library) / 3
    figures = action.cargo_for(action, {"capability": "health_check", "figures": True})
    assert figures.run == (f"{NAMESPACE}.module_utils._health_figures", "run")
    assert len(figures.library) < len(action.cargo.library) / 1.8
    assert action.cargo_for(action, {"capability": "diagnosis"}) is action.cargo
