"""The EXAMPLES of every module, as people copy them: each runs on a host, over ssh, and does what it says.

Adapted is only where things are on the host: the folders, the addresses of Prometheus and of the service, how long is waited.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import light_hosts, repositories
from tests.certificates import Authority
from tests.faults.acts import World, monitored
from tests.light_hosts import LightHosts
from tests.small_service import Answer, Endpoint, endpoint

ROOT = Path(__file__).resolve().parents[2]
FQCN = "incidentctl.response."
NAMES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.incidentctl.response.plugins.modules.{name}")


def examples(name: str) -> list[dict[str, Any]]:
    """Return a module's tasks."""
    found: list[dict[str, Any]] = yaml.safe_load(module(name).EXAMPLES)
    return found


class Host(World):
    """A light host, web1 to Ansible, with the service that the examples speak of, and a Prometheus beside it."""

    def __init__(self, folder: Path, hosts: LightHosts, monitoring: Endpoint, admin: Endpoint) -> None:
        super().__init__(folder, folder / "state", "checkout")
        self._hosts, self.monitoring = hosts, monitoring
        self.moved = {"https://127.0.0.1:8443": admin.url}
        self.moved |= dict.fromkeys(("http://mon1.example:9093", "https://mon2.example:9093"), monitoring.url)
        self.moved |= dict.fromkeys(("/etc/prometheus", "/etc/incidentctl", "/etc/checkout"), str(folder / "etc"))
        for name in ("admin", "prometheus"):
            (folder / "etc" / name).write_text("of a minute\n")
        self.data, self.written = folder / "data", folder / "checkout.log"
        self.data.mkdir()
        (self.data / "orders").write_text("1\n")
        self.written.write_text("ERROR out of stock\n")
        (folder / "password").write_text("of a minute")
        script = self.shop.home / "start.sh"
        script.write_text(script.read_text().replace(sys.executable, "/usr/bin/python3"))  # a light host has no other
        self.shop.release("41")
        self.shop.release("42", health="500")
        monitored(self)
        self.elsewhere = {
            "state_dir": self.state,
            "repository": folder / "repository",
            "password_file": folder / "password",
            "dest": folder / "evidence" / "web1" / "evidence.tar.gz",
            "prometheus_url": monitoring.url,
            "alertmanager_url": "",
            "rules_dir": folder / "rules.d",
            "window_s": 0.5,
        }

    def start(self, release: str) -> None:
        self.shop.point(release)
        self._hosts.inside("h1", "sh", str(self.shop.home / "start.sh"))
        self._hosts.inside("h1", "timeout", "10", "sh", "-c", f"until [ -e {self.shop.pid} ]; do sleep 0.05; done")

    def end(self) -> None:
        """End the service, by the process id that it has on its host."""
        self._hosts.inside("h1", "sh", "-c", f"[ ! -e {self.shop.pid} ] || kill -9 $(cat {self.shop.pid})")

    def catalogue(self) -> list[dict[str, Any]]:
        more: dict[str, Any] = {
            "ports": [self.shop.port],
            "data": [{"kind": "files", "path": str(self.data)}],
            "logs": [{"kind": "file", "path": str(self.written)}],
            "alerts": [],
            "essential": False,
        }
        beside = {"name": "shop", "hosts": "web"}
        return [self.service("releases", "maintenance", "circuit_breakers", **more), beside]

    def adapted(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return a task with what is elsewhere here than where it was written."""
        (name,) = (key.removeprefix(FQCN) for key in task if key.startswith(FQCN))
        elsewhere = {key: str(value) for key, value in self.elsewhere.items() if key in module(name).ARGUMENT_SPEC}
        text = json.dumps({**task, FQCN + name: {**task[FQCN + name], **elsewhere}})
        for there, here in self.moved.items():
            text = text.replace(there, here)
        return dict(json.loads(text))

    def run(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:  # type: ignore[override]
        """Run tasks as one play; return the incident block of each. Fail if one fails."""
        tasks = [{"register": f"__of_{n}", **self.adapted(task)} for n, task in enumerate(tasks)]
        told = self.folder / "told.json"
        results = ", ".join(task["register"] for task in tasks)
        keep = {"content": f"{{{{ [{results}] | to_json }}}}", "dest": str(told), "mode": "0600"}
        tasks.append({"ansible.builtin.copy": keep, "delegate_to": "localhost", "connection": "local", "become": False})
        play = {"hosts": "web1", "gather_facts": False, "become": True, "tasks": tasks}
        (self.folder / "play.json").write_text(json.dumps([play]))
        web1 = {**self._hosts.variables("h1"), "incident_services": self.catalogue()}
        groups = {"web": {"hosts": {"web1": web1}}, "monitoring": {"hosts": {"web1": {}}}}
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"children": groups}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        argv = self._hosts.beside(program, "-i", f"{self.folder}/inventory.json", f"{self.folder}/play.json", "-v")
        with light_hosts.short_folder() as home:
            env = {
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(home),
                "ANSIBLE_NOCOLOR": "1",
            }
            done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return [dict(result["incident"]) for result in json.loads(told.read_text())]


@contextmanager
def within(pid: int, make: Callable[[], AbstractContextManager[Endpoint]]) -> Iterator[Endpoint]:
    """Open what `make` opens in the network of another process; a socket stays in the network that it was made in."""
    opened: list[Endpoint] = []
    manager = make()

    def open_there() -> None:
        with Path(f"/proc/{pid}/ns/net").open() as network:
            assert ctypes.CDLL(None, use_errno=True).setns(network.fileno(), NEW_NETWORK) == 0, ctypes.get_errno()
        opened.append(manager.__enter__())

    thread = threading.Thread(target=open_there)
    thread.start()
    thread.join()
    (served,) = opened
    try:
        yield served
    finally:
        manager.__exit__(None, None, None)


@pytest.fixture(scope="module")
def light() -> Iterator[LightHosts]:
    if lack := light_hosts.missing() or repositories.missing("local"):
        pytest.skip(lack)
    with light_hosts.running(1) as hosts:
        yield hosts


@pytest.fixture
def host(light: LightHosts) -> Iterator[Host]:
    network = light.first_process("h1")
    with light_hosts.short_folder() as folder:
        folder.chmod(0o755)
        authority = Authority(folder / "etc")
        shutil.copy(authority.file, folder / "etc" / "ca.pem")
        vouched = authority.vouch("IP:127.0.0.1").server()
        prometheus = within(network, lambda: endpoint(lambda *_: (500, {})))
        with prometheus as monitoring, within(network, lambda: endpoint(breaker(), vouched)) as admin:
            host = Host(folder, light, monitoring, admin)
            yield host
            host.end()


def breaker() -> Callable[[str, str, Any], Answer]:
    """Return the admin endpoint of a circuit breaker that takes forms."""
    said = {"state": "closed"}

    def answer(method: str, _path: str, body: Any) -> Answer:
        if method == "POST":
            said["state"] = body.removeprefix("state=")
        return 200, said

    return answer


@pytest.mark.parametrize("name", NAMES)
def test_each_example_does_what_it_says(host: Host, name: str) -> None:
    host.start("42" if name == "release" else "41")
    take_back, *_rest = examples("lift")
    tasks = examples(name)
    if name == "lift":  # there must be something to lift
        tasks = [task for lift in tasks for task in (*examples("service_state"), lift)]
    blocks = host.run([*tasks, take_back])
    assert len(blocks) == len(tasks) + 1
    for block in blocks[:-1]:
        assert block["outcome"] in ("done", "unchanged"), block
        assert block["actions"], block
        assert {row["outcome"] for row in block["actions"]} <= {"done", "unchanged"}, block
    assert blocks[-1]["outcome"] in ("done", "unchanged", "skipped"), blocks[-1]


def test_an_example_with_an_option_that_does_not_exist_is_noticed(host: Host) -> None:
    task, *_rest = examples("lift")
    task[f"{FQCN}lift"]["nonsense"] = "x"
    with pytest.raises(AssertionError, match="nonsense"):
        host.run([task])
