"""One wheel, two ways in, and always the right copy of the collection: checkout, wheel, tarball."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FQCN = "incidentctl.response.health_check"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    content = {
        "all": {
            "hosts": {
                "here": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
            },
            "vars": {
                "incident_become": False,
                "incident_state_dir": str(tmp_path / "state"),
                "incident_services": [
                    {
                        "name": "lamp",
                        "hosts": "here",
                        "manager": "command",
                        "control": {verb: ["true"] for verb in ("start", "stop", "status")},
                    }
                ],
            },
        }
    }
    path = tmp_path / "inventory.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def copy_that_ran(bin_folder: Path, playbook: str, inventory: Path, cwd: Path, **environ: str) -> tuple[Path, Path]:
    """Run the playbook; return the folder of the collection that its role, and that its module, came from."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "PYTHON"))}
    env |= {"PATH": f"{bin_folder}:{env['PATH']}", "HOME": str(inventory.parent), **environ}
    argv = ["ansible-playbook", "-vvv", "-i", str(inventory), playbook]
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    role = re.search(r"^task path: (.+)/roles/health_check/tasks/main\.yml", done.stdout, re.MULTILINE)
    module = re.search(r"Using module file (.+)/plugins/modules/diagnosis_info\.py", done.stdout)
    assert role, done.stdout
    assert module, done.stdout
    return Path(role[1]).resolve(), Path(module[1]).resolve()


@pytest.mark.parametrize("playbook", [FQCN, "playbooks/health_check.yml"])
def test_a_checkout_runs_itself_by_name_and_by_path(inventory: Path, playbook: str) -> None:
    assert copy_that_ran(Path(sys.executable).parent, playbook, inventory, ROOT) == (ROOT, ROOT)


@pytest.mark.parametrize("playbook", [FQCN, "playbooks/health_check.yml"])
def test_a_checkout_runs_itself_although_a_wheel_is_installed(installed: Path, inventory: Path, playbook: str) -> None:
    assert copy_that_ran(installed, playbook, inventory, ROOT) == (ROOT, ROOT)


def test_a_wheel_runs_what_came_with_it_from_any_folder(installed: Path, inventory: Path, tmp_path: Path) -> None:
    role, module = copy_that_ran(installed, FQCN, inventory, tmp_path)
    assert role == module
    assert role.is_relative_to(installed.parent.resolve())


def test_the_driver_of_a_wheel_runs_the_collection_of_that_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from incidentctl import ansible_setup; print(ansible_setup.collection_root())"
    done = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    root = Path(done.stdout.strip())
    assert root.is_relative_to(installed.parent)
    assert (root / "ansible_collections/incidentctl/response/roles/rollback").is_dir()


def test_the_driver_of_a_wheel_checks_the_catalogue_by_the_schema_of_that_wheel(
    installed: Path, tmp_path: Path
) -> None:
    wrong = {"name": "lamp", "hosts": "here", "manager": "systemd"}
    code = f"from incidentctl import catalogue; catalogue.unless_wrong([{wrong}])"
    done = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "lamp: manager systemd needs unit" in done.stderr


def test_the_command_of_a_wheel_answers(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "incidentctl", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "checkout returns 500" in done.stdout


def test_a_tarball_runs_what_came_with_it_and_holds_no_more(inventory: Path, tmp_path: Path) -> None:
    galaxy = [Path(sys.executable).parent / "ansible-galaxy", "collection"]
    subprocess.run([*galaxy, "build", ROOT, "--output-path", tmp_path], check=True, capture_output=True)
    tarball = next(tmp_path.glob("*.tar.gz"))
    folder = tmp_path / "collections"
    subprocess.run([*galaxy, "install", tarball, "-p", folder, "--offline", "--force"], check=True, capture_output=True)
    installed = folder / "ansible_collections" / "incidentctl" / "response"
    ran = copy_that_ran(Path(sys.executable).parent, FQCN, inventory, tmp_path, ANSIBLE_COLLECTIONS_PATH=str(folder))
    assert ran == (installed.resolve(), installed.resolve())
    unwanted = {"driver", "tests", "demo", "inventories", "ansible_collections", "molecule", ".git", ".venv", "dist"}
    assert not unwanted & {path.name for path in installed.iterdir()}
