"""Two ways to a host, one behaviour, on this machine; on real hosts with sudo and su: tests/lab/test_carriers.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.small_service import SmallService

ROOT = Path(__file__).resolve().parents[2]
CARRIERS = ("module", "stdin")
UNLOCK = "open sesame"


@dataclass
class Task:
    """How one task ended: its exit code, its result, all that was said, how many commands the host was sent."""

    code: int
    result: dict[str, Any]
    said: str
    commands: int


class Here:
    """This machine as a host, with one small service."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.service = folder, SmallService(folder / "shop")
        self.service.start()
        self.options: dict[str, Any] = {
            "services": [self.service.entry("health")],
            "host_name": "here",
            "host_groups": ["all"],
            "incident_id": "INC-carriers",
        }

    def run(self, carrier: str, module: str, options: dict[str, Any], *flags: str, **keywords: Any) -> Task:
        """Run one task; its ledger is in a folder that only the host's own variable names."""
        options = {"state_dir": "$WHERE/state", **options}
        task = {f"incidentctl.response.{module}": options, "environment": {"WHERE": str(self.folder)}, **keywords}
        play = [{"hosts": "here", "gather_facts": False, "vars_files": ["vault.yml"], "tasks": [task]}]
        (self.folder / "play.json").write_text(json.dumps(play))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"all": {"hosts": {"here": {**host, "incident_carrier": carrier}}}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        tree = self.folder / "tree"
        env = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "tree", "ANSIBLE_CALLBACK_TREE_DIR": str(tree)}
        env |= {"ANSIBLE_PIPELINING": "True", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_INJECT_INVOCATION": "True"}
        vault = ["--vault-password-file", str(self.folder / "password")]
        words = ["-i", str(self.folder / "inventory.json"), str(self.folder / "play.json"), "-vvv", *vault, *flags]
        done = self.program("ansible-playbook", *words, env=env)
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        return Task(done.returncode, json.loads((tree / "here").read_text()), said, said.count("<here> EXEC"))

    def keep_secret(self, name: str, value: str) -> None:
        """Put a variable into a vault that the next tasks can open."""
        (self.folder / "password").write_text(UNLOCK)
        vault = ["--vault-password-file", str(self.folder / "password")]
        done = self.program("ansible-vault", "encrypt_string", *vault, "--name", name, value, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        (self.folder / "vault.yml").write_text(done.stdout)

    @staticmethod
    def program(name: str, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        argv = [str(Path(sys.executable).with_name(name)), *words]
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    made = Here(tmp_path)
    made.keep_secret("url", made.service.entry("health")["health"]["url"])
    yield made
    made.service.end()


def alike(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what no two runs share: entry numbers, times, durations, process ids."""
    text = re.sub(r"00000\d-", "N-", json.dumps(result, sort_keys=True))
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)", "TIME", text)
    return dict(json.loads(re.sub(r"\d+ ms", "MS", text)))


def test_what_is_done_and_told_is_the_same(here: Here) -> None:
    options = {**here.options, "capability": "isolation", "only": ["shop"]}
    told: dict[str, list[dict[str, Any]]] = {}
    for carrier in CARRIERS:
        check = here.run(carrier, "service_state", options, "--check", "--diff")
        assert here.service.running()
        assert not (here.folder / "state").exists() or carrier == "stdin"
        act = here.run(carrier, "service_state", options, "--diff")
        assert (act.code, act.result["incident"]["outcome"]) == (0, "done"), act.said
        assert not here.service.running()
        again = here.run(carrier, "service_state", options)
        assert (again.code, again.result["changed"]) == (0, False), again.said
        lift = here.run(carrier, "lift", {"incident_id": "INC-carriers"})
        assert (lift.code, here.service.running()) == (0, True), lift.said
        lift.result["incident"]["facts"].pop("lifted")  # those of the other carrier, too
        told[carrier] = [alike(task.result) for task in (check, act, again, lift)]
        assert (check.commands, act.commands) == (1, 1)
        assert ("Using module file" in act.said) == (carrier == "module")
    assert told["stdin"] == told["module"]


def test_a_failure_is_told_the_same(here: Here) -> None:
    options = {**here.options, "capability": "isolation", "only": ["shop"], "services": [{"name": "No Name"}]}
    tasks = [here.run(carrier, "service_state", options) for carrier in CARRIERS]
    assert [task.code for task in tasks] == [2, 2]
    assert tasks[0].result == tasks[1].result
    assert tasks[0].result["msg"].startswith("isolation failed: ")
    tasks = [here.run(carrier, "service_state", {**options, "keep_going": True}) for carrier in CARRIERS]
    assert [task.code for task in tasks] == [0, 0]
    assert tasks[0].result == tasks[1].result


def test_wrong_arguments_never_reach_the_host(here: Here) -> None:
    options = {**here.options, "capability": "typo", "onyl": ["shop"]}
    tasks = {carrier: here.run(carrier, "service_state", options) for carrier in CARRIERS}
    assert tasks["stdin"].result["msg"] == tasks["module"].result["msg"]
    assert tasks["stdin"].commands == 0


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_a_vault_holds_arrives_readable(here: Here, carrier: str) -> None:
    service = {**here.options["services"][0], "health": {"url": "{{ url }}"}}
    options = {**here.options, "services": [service], "capability": "health_check"}
    task = here.run(carrier, "diagnosis_info", options)
    assert (task.code, task.result["incident"]["facts"]["services"]["shop"]["healthy"]) == (0, True), task.said


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_log_hides_it(here: Here, carrier: str) -> None:
    options = {**here.options, "capability": "health_check", "host_groups": ["all", "canary"]}
    task = here.run(carrier, "diagnosis_info", options, no_log=True)
    assert task.code == 0, task.said
    assert "no_log" in task.result["censored"]
    assert "canary" not in task.said + json.dumps(task.result)


def test_a_carrier_that_there_is_not_is_refused(here: Here) -> None:
    task = here.run("pigeon", "lift", {"incident_id": "INC-carriers"})
    assert task.code == 2
    assert "incident_carrier is 'pigeon'. Fix: set it to stdin or module" in task.said
