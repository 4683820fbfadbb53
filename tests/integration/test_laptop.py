"""The machine at which somebody responds: it sleeps in the middle, and its ssh-agent goes. On real hosts, over ssh."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import light_hosts

ROOT = Path(__file__).resolve().parents[2]
ASLEEP_S = 25.0  # longer than ssh lets a host be silent
RUN = """
import json, sys
from incidentctl import engine
from incidentctl.outcome import Step

step = Step("slow", (sys.argv[1],), ("h1",), deadline_s=300)
outcome = engine.run(step, (sys.argv[2],), lambda _kind, **facts: print(json.dumps(facts), flush=True))
print(json.dumps([(row.outcome, row.reason) for row in outcome.rows]))
"""

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


@pytest.fixture(scope="module")
def hosts() -> Iterator[light_hosts.LightHosts]:
    with light_hosts.running(1) as made:
        yield made


class Run:
    """A phase of a playbook of the user's own on h1: `commands`, one task each. It is at work when this is made."""

    def __init__(
        self, hosts: light_hosts.LightHosts, folder: Path, *commands: str, variables: dict[str, Any], **env: str
    ) -> None:
        """Start it, and wait until the first task has begun."""
        tasks = [{"name": command, "ansible.builtin.raw": command} for command in commands]
        (folder / "slow.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"h1": variables}}}))
        (folder / "run.py").write_text(RUN)
        argv = hosts.beside(sys.executable, str(folder / "run.py"), str(folder / "slow.yml"), str(folder / "hosts.yml"))
        self._mark = f"TEST_OF_A_LAPTOP={folder}"
        marked = dict([self._mark.split("=", 1)])
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "driver"), **marked, **env},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def signal(self, number: int) -> int:
        """Send a signal to all of its processes, ssh's masters too; return how many these are."""
        found = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    os.kill(int(path.name), number)
                    found += 1
        return found

    def end(self) -> list[str]:
        """Return the outcome and the reason."""
        said, _ = self._process.communicate(timeout=120)
        return list(json.loads(said.splitlines()[-1])[0])


def test_a_laptop_that_sleeps_goes_on_where_it_was(hosts: light_hosts.LightHosts, tmp_path: Path) -> None:
    act = "echo begun >> acts; until [ -e asleep ]; do sleep 0.1; done; echo ended >> acts"
    run = Run(hosts, tmp_path, act, "echo later >> acts", variables=hosts.variables("h1"))
    acts = Path("/home/free/acts")
    while "begun" not in hosts.inside("h1", "sh", "-c", f"cat {acts} || true"):
        time.sleep(0.1)
    assert run.signal(signal.SIGSTOP) >= 3, "driver, ansible-playbook and ssh"
    hosts.inside("h1", "touch", "/home/free/asleep")
    time.sleep(ASLEEP_S)
    assert hosts.inside("h1", "cat", str(acts)).split() == ["begun", "ended"], "the host does not sleep"
    run.signal(signal.SIGCONT)
    assert run.end()[0] == "done"
    assert hosts.inside("h1", "cat", str(acts)).split() == ["begun", "ended", "later"]


def test_an_agent_that_goes_in_the_middle_is_named(hosts: light_hosts.LightHosts, tmp_path: Path) -> None:
    variables = hosts.variables("h1")
    key = variables.pop("ansible_ssh_private_key_file")
    # Else the connection that stands lets the next task in without a login.
    variables["ansible_ssh_common_args"] += " -o ControlMaster=no -o ControlPath=none"
    address = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    try:
        while not Path(address).exists():
            time.sleep(0.05)
        subprocess.run(
            ["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": address}, stdin=subprocess.DEVNULL, check=True
        )
        run = Run(
            hosts,
            tmp_path,
            "touch reached; until [ -e gone ]; do sleep 0.1; done",
            "true",
            variables=variables,
            SSH_AUTH_SOCK=address,
        )
        while "reached" not in hosts.inside("h1", "ls", "/home/free"):
            time.sleep(0.1)
    finally:
        agent.kill()
        agent.wait()
    hosts.inside("h1", "touch", "/home/free/gone")
    outcome, reason = run.end()
    assert outcome == "unreachable"
    assert "the ssh-agent here is gone" in reason
    assert "ssh-add" in reason
