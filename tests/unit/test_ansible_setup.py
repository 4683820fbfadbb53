"""How ssh is run: what the user set counts, and no host can hang for ever."""

from __future__ import annotations

import locale
from pathlib import Path

import pytest

from incidentctl import ansible_setup
from incidentctl.errors import ConfigurationError

ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
NAMES = ("ANSIBLE_SSH_ARGS", "ANSIBLE_SSH_EXTRA_ARGS", "ANSIBLE_SSH_CONTROL_PATH_DIR", "ANSIBLE_TASK_TIMEOUT")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a short path, where nothing is set."""
    for name in (*NAMES, "ANSIBLE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ops")
    return tmp_path


def test_every_program_that_ansible_starts_keeps_its_connection_alive() -> None:
    env = ansible_setup.environment()
    assert {env[f"ANSIBLE_{name}_EXTRA_ARGS"] for name in ("SSH", "SFTP", "SCP")} == {ALIVE}
    assert env["ANSIBLE_SSH_CONTROL_PATH_DIR"] == "/home/ops/.ansible/incidentctl"
    assert "ControlPersist=60s" in env["ANSIBLE_SSH_ARGS"]


def test_what_the_user_has_comes_first_and_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ansible.cfg").write_text(
        "[ssh_connection]\nssh_args = -C\nscp_extra_args = -l 100\n[defaults]\ntask_timeout = 7\n"
    )
    monkeypatch.setenv("ANSIBLE_SSH_EXTRA_ARGS", "-o ServerAliveInterval=60")
    env = ansible_setup.environment(patience_s=300)
    assert "ANSIBLE_SSH_ARGS" not in env
    assert "ANSIBLE_TASK_TIMEOUT" not in env
    assert env["ANSIBLE_SSH_EXTRA_ARGS"] == f"-o ServerAliveInterval=60 {ALIVE}"
    assert env["ANSIBLE_SCP_EXTRA_ARGS"] == f"-l 100 {ALIVE}"


def test_a_home_too_long_for_sockets_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/" + "x" * 80)
    env = ansible_setup.environment()
    assert env["ANSIBLE_SSH_ARGS"] == "-C"
    assert "ANSIBLE_SSH_CONTROL_PATH_DIR" not in env


def test_one_task_has_the_time_that_it_is_given() -> None:
    assert ansible_setup.environment(patience_s=300)["ANSIBLE_TASK_TIMEOUT"] == "300"
    assert "ANSIBLE_TASK_TIMEOUT" not in ansible_setup.environment()


def test_an_inventory_that_hangs_is_told(home: Path) -> None:
    script = home / "inventory.sh"
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    script.chmod(0o755)
    with pytest.raises(ConfigurationError, match="did not read the inventory within 3 s"):
        ansible_setup.read_inventory((str(script),), 3)


@pytest.mark.parametrize("name", ["C", "xx_XX.UTF-8"])
def test_ansible_begins_whatever_locale_came_with_the_login(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", name)
    before = locale.setlocale(locale.LC_ALL)
    found = ansible_setup.read_inventory(("here,",), 60)
    assert found["_meta"] is not None
    assert locale.setlocale(locale.LC_ALL) == before


def test_a_locale_of_utf_8_stays_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert "LC_ALL" not in ansible_setup.environment()
