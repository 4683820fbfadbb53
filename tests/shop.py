"""The demo's shop for a test: in a folder and on a port of its own, described by inventories/demo."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import yaml
from tests.small_service import free_port

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "demo" / "shop"
INVENTORY = ROOT / "inventories" / "demo"


@dataclass
class Shop:
    """A shop below `folder`; `sources` are the inventories that describe it, `config` the driver's settings."""

    folder: Path
    port: int = field(default_factory=free_port)

    def lay_out(self, **settings: Any) -> None:
        """Lay out release 41, and write the settings and inventory that point here."""
        self.tool("deploy.py", "lay-out")
        (self.folder / "backup_password").write_text("for a test\n")
        # A host's own variables outrank the group_vars of inventories/demo.
        here = {"demo_dir": str(self.folder), "shop_url": self.url, "shop_control": self.control()}
        self.override.write_text(yaml.safe_dump({"all": {"hosts": {"this-machine": here}}}))
        content = {
            "state_dir": "state",
            "memory_bank": "memory_bank",
            "severities": {"high": {"contain": ["backup", "scale_down", "maintenance_mode", "prepare_rollback"]}},
            "mitigate": ["maintenance_mode"],
            "verify": {"window": "2s", "within": "20s"},
            **settings,
        }
        self.config.write_text(yaml.safe_dump(content))

    @property
    def root(self) -> Path:
        return self.folder / "shop"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def override(self) -> Path:
        return self.folder / "this-shop.yml"

    @property
    def config(self) -> Path:
        return self.folder / "incidentctl.yml"

    @property
    def sources(self) -> list[str]:
        return ["-i", str(INVENTORY), "-i", str(self.override)]

    def control(self) -> list[str]:
        return [sys.executable, str(TOOLS / "control.py"), f"--root={self.root}", f"--port={self.port}"]

    def tool(self, name: str, *words: str) -> None:
        argv = [sys.executable, str(TOOLS / name), *words, "--root", str(self.root)]
        subprocess.run(argv, check=True, capture_output=True)

    def start(self) -> None:
        for program in ("shop", "worker"):
            subprocess.run([*self.control(), "start", program], check=True, capture_output=True)

    def stop(self) -> None:
        for program in ("worker", "shop"):
            subprocess.run([*self.control(), "stop", program], check=True, capture_output=True)

    def deploy(self, release: str) -> None:
        self.stop()
        self.tool("deploy.py", "switch", release)
        self.start()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def checkout(self) -> int:
        return self.ask("POST", "/checkout", {"sku": "mug", "quantity": 1})[0]

    def break_it(self, customers: int = 10) -> None:
        """Sell from 41, deploy 42, and let customers run into its error."""
        assert self.checkout() == 201
        self.deploy("42")
        assert [self.checkout() for _ in range(customers)] == [500] * customers

    @contextmanager
    def broken(self, customers: int = 10) -> Iterator[Shop]:
        """Run what was laid out, with the newer release deployed and broken; stop it in the end."""
        self.start()
        try:
            self.break_it(customers)
            yield self
        finally:
            self.stop()

    def command(self, *words: str, inventory: bool = True) -> list[str]:
        """The argv of an incidentctl command on this shop."""
        sources = self.sources if inventory else []
        return [sys.executable, "-m", "incidentctl", words[0], *sources, "--config", str(self.config), *words[1:]]

    def run(self, *words: str, inventory: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an incidentctl command without a terminal."""
        return subprocess.run(
            self.command(*words, inventory=inventory),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT / "driver"), "TERM": "xterm-256color"}

    def in_terminal(self, *words: str, ignore_sighup: bool = False) -> pexpect.spawn[str]:
        """Run an incidentctl command in a terminal of 80 columns and 24 lines."""
        first, *rest = self.command(*words)
        hang_up = signal.SIG_IGN if ignore_sighup else signal.SIG_DFL  # who runs the tests may ignore it
        return pexpect.spawn(
            first, rest, cwd=str(self.folder), env=self.environment, encoding="utf-8", timeout=300,
            dimensions=(24, 80), preexec_fn=lambda: signal.signal(signal.SIGHUP, hang_up),
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        done = self.run("status", "--json", inventory=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def events(self) -> list[dict[str, Any]]:
        done = self.run("timeline", "--json", inventory=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]
