"""Every role is whole: a playbook of its name, and defaults, specs and tasks that agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "playbooks").glob("*.yml"))}
# Sets import other playbooks; they stand for no role.
OF_A_ROLE = sorted(name for name, plays in PLAYBOOKS.items() if not any("import_playbook" in p for p in plays[0]))


def read(role: str, part: str) -> Any:
    path = ROOT / "roles" / role / part
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def test_every_role_has_a_playbook_and_every_playbook_a_role() -> None:
    assert OF_A_ROLE == ROLES


@pytest.mark.parametrize("name", OF_A_ROLE)
def test_a_playbook_names_its_role_and_does_nothing_else(name: str) -> None:
    (play,) = PLAYBOOKS[name]
    assert play["roles"] == [{"role": f"incidentctl.response.{name}"}]
    assert set(play) <= {
        "name",
        "hosts",
        "gather_facts",
        "become",
        "serial",
        "max_fail_percentage",
        "strategy",
        "roles",
    }
    limit = "{{ 100 if ansible_check_mode else 0 }}"
    assert play.get("max_fail_percentage") == (limit if "serial" in play else None)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specs_agree(role: str) -> None:
    options = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert read(role, "defaults/main.yml") == {name: about.get("default") for name, about in options.items()}


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_bears_the_name_of_its_role_and_is_described_and_used(role: str) -> None:
    tasks = "".join(path.read_text() for part in ("tasks", "vars") for path in (ROOT / "roles" / role / part).glob("*"))
    for name, about in read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"].items():
        assert name.startswith(f"{role}_")
        assert about["description"]
        assert about["type"]
        assert name in tasks


@pytest.mark.parametrize("role", ROLES)
def test_galaxy_says_of_a_role_what_its_specs_say(role: str) -> None:
    spec = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]
    assert read(role, "meta/main.yml")["galaxy_info"]["description"] == spec["short_description"]
