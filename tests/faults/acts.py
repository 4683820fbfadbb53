"""What can be done to a host, each on a small world of its own: what the module is given, and how the host looks.

The modules run as they do on a host: a program on the standard input of its Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo
from tests.small_service import Endpoint, SmallService, endpoint

UTILS = "ansible_collections.incidentctl.response.plugins.module_utils"
INCIDENT = "INC-1"
PATIENCE_S = 100


class World:
    """One host with a shop, and one act that can be done to it."""

    def __init__(self, folder: Path, state: Path, name: str = "shop") -> None:
        """Lay it out; nothing runs yet. `name` is the service's."""
        self.folder, self.state = folder, state
        self.log = folder / "log"
        self.log.touch()
        self.shop = SmallService(folder / "shop", name)
        self.monitoring: Endpoint | None = None
        self.module, self.capability, self.options = "", "", {}  # type: str, str, dict[str, Any]
        self.look: Callable[[], Any] = self.shop.running

    def service(self, *parts: str, **more: Any) -> dict[str, Any]:
        """Return the shop as the catalogue has it; its starts and stops are counted."""
        entry = self.shop.entry("health", *parts, **more)
        for verb in ("start", "stop"):
            entry["control"][verb] = [
                "sh",
                "-c",
                f'echo {verb} >> {self.log}; exec "$@"',
                "sh",
                *entry["control"][verb],
            ]
        return entry

    def count(self, verb: str) -> int:
        return self.log.read_text().split().count(verb)

    def act(self) -> list[str]:
        """Return the command that does the act; its standard input is the file `act.py`."""
        own = {"host_name": "here", "host_groups": ["all"], "only": [], "capability": self.capability}
        return self._program("act", self.module, {**own, **self.options})

    def lift(self) -> list[str]:
        """Return the command that takes it back."""
        return self._program("lift", "_lift", {"capability": "lift"})

    def run(self, argv: list[str], *before: str) -> dict[str, Any] | None:
        """Run `act()` or `lift()`, behind other words; return its block, None if it was killed."""
        with (self.folder / f"{argv[-1]}.py").open("rb") as source:
            done = subprocess.run(
                [*before, *argv[:-1]], stdin=source, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
        said = [line for line in done.stdout.splitlines() if line.startswith("said {")]
        if said:
            return dict(json.loads(said[-1][5:])["result"]["incident"])
        if done.returncode not in (-9, 137):
            raise RuntimeError(f"{argv[-1]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return None

    def _program(self, name: str, module: str, options: dict[str, Any]) -> list[str]:
        params = {"incident_id": INCIDENT, "state_dir": str(self.state), "keep_going": True, **options}
        message = {
            "module": module,
            "run": (f"{UTILS}.{module}", "run"),
            "capability": params["capability"],
            "params": params,
            "paths": [],
            "check_mode": False,
            "environment": {},
            "log": False,
        }
        program = _cargo.program("said", _cargo.pack("_act", module), message)
        (self.folder / f"{name}.py").write_bytes(program)
        return [sys.executable, "-I", "-S", "-B", "-", name]


def _stops(world: World, capability: str) -> None:
    world.module, world.capability = "_service_state", capability
    scales = capability == "scale_down"
    only = [] if scales else ["shop"]
    world.options = {"services": [world.service(essential=False)], "only": only, "non_essential": scales}
    world.shop.start()


def _toggles(world: World, capability: str) -> None:
    world.module, world.capability = "_http_toggle", capability
    part = {"maintenance_mode": "maintenance", "circuit_breaker": "circuit_breakers"}[capability]
    entry = world.service(part)
    declared = entry[part] if isinstance(entry[part], dict) else entry[part][0]
    world.options = {"services": [entry]}
    world.shop.start()
    world.look = lambda: _asked(declared["status"]["url"])


def _limits(world: World, capability: str) -> None:
    world.module, world.capability = "_traffic_rule", capability
    cut = {"name": "search", "egress": {"host": "192.0.2.7", "port": 9200}}
    more = {"rate_limit": {"ports": [8000]}, "circuit_breaker": {"circuit_breakers": [cut]}}.get(capability, {})
    world.options = {"services": [{"name": "shop", "hosts": "all", **more}], "state": "limited", "per_minute": 10}
    world.options |= {"only": ["shop"]}
    world.options |= {"burst": 10, "total_per_minute": 0, "expires_after": 3600, "confirm_within": 0}
    world.options |= {
        "management_cidrs": [],
        "exempt_cidrs": [],
        "proxies_known": False,
        "max_source_fraction": 0.3,
        "allow_proxy": False,
        "allow_proxy_of": [],
        "acted": [],
    }
    world.look = _rules


def monitored(world: World) -> Callable[[], Any]:
    """Let the world's endpoint be a Prometheus and an Alertmanager that read `rules.d`; return what says how they are."""
    rules, silences, loaded = world.folder / "rules.d", {}, set()  # type: Path, dict[str, dict[str, Any]], set[str]
    rules.mkdir()
    firing = {"fingerprint": "1", "labels": {"alertname": "CheckoutFails", "service": "shop"}}

    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        if path == "/-/reload":
            loaded.clear()
            loaded.update(
                group["name"] for file in rules.glob("*.yml") for group in json.loads(file.read_text())["groups"]
            )
            return 200, {}
        if path.startswith("/api/v1/rules"):
            return 200, {"data": {"groups": [{"name": name} for name in loaded]}}
        if path.startswith("/api/v2/alerts"):
            return 200, [] if active() else [firing]
        if method == "POST":
            silences[str(len(silences))] = {**body, "id": str(len(silences)), "status": {"state": "active"}}
        if method == "DELETE":
            silences[path.rpartition("/")[2]]["status"] = {"state": "expired"}
        return 200, list(silences.values())

    def active() -> list[str]:
        return [number for number, one in silences.items() if one["status"]["state"] == "active"]

    assert world.monitoring is not None
    world.monitoring.script = answer
    return lambda: (sorted(file.name for file in rules.iterdir()), sorted(loaded), len(active()))


def _watches(world: World, _capability: str) -> None:
    world.module, world.capability = "_monitoring_rule", "enhanced_monitoring"
    world.look = monitored(world)
    assert world.monitoring is not None
    world.options = {"services": [world.service(alerts=[])], "only": ["shop"], "prometheus_hosts": "all"}
    world.options |= {"rules_dir": str(world.folder / "rules.d"), "inventory": {"all": ["here"]}, "expires_after": 3600}
    world.options |= {"prometheus_url": world.monitoring.url, "alertmanager_url": world.monitoring.url}
    world.options |= {"prometheus_secret_ref": {}, "prometheus_ca_file": "", "alertmanagers": []}


def _switches(world: World, capability: str) -> None:
    world.module, world.capability = "_release", capability
    for name, health in (("41", "200"), ("42", "500")):
        world.shop.release(name, health=health)
    world.shop.point("42")
    entry = world.service("releases")
    entry["releases"]["hotfix"] = ["ln", "-sfn", "releases/41", str(world.shop.current)]
    state = {"rollback": "rolled_back", "hotfix": "hotfixed"}[capability]
    world.options = {"services": [entry], "only": ["shop"], "state": state, "to": None, "remember": False}
    world.options |= {"within_s": 5, "window_s": 0.2}
    if capability == "hotfix":  # a hotfix command restarts what needs it; here the health does not need it
        world.shop.release("hot")
        del entry["health"]
    world.shop.start()
    world.look = lambda: str(world.shop.current.readlink())


def _copies(world: World, _capability: str) -> None:
    world.module, world.capability = "_backup", "backup"
    data, kept = world.folder / "data", world.folder / "kept"
    data.mkdir()
    (data / "orders").write_text("1\n")
    world.options = {"services": [world.service(data=[{"kind": "files", "path": str(data)}])], "initialise": None}
    world.options |= {"repository": str(kept), "password_file": str(world.folder / "none"), "reserve_mb": 1}
    world.look = lambda: sum(path.name.endswith((".tar.gz", ".tar.zst")) for path in kept.rglob("*"))


ACTS: dict[str, Callable[[World, str], None]] = {
    "isolation": _stops, "scale_down": _stops, "maintenance_mode": _toggles, "circuit_breaker": _toggles,
    "rate_limit": _limits, "quarantine": _limits, "egress": lambda world, _name: _limits(world, "circuit_breaker"),
    "enhanced_monitoring": _watches, "rollback": _switches, "hotfix": _switches, "backup": _copies,
}  # fmt: skip
LIFTED = frozenset(ACTS) - {"backup", "hotfix", "rollback"}


@contextmanager
def world(name: str, folder: Path, state: Path) -> Iterator[World]:
    """Give a world for one act; what runs there ends with it."""
    with ExitStack() as stack:
        made = World(folder, state)
        if name == "enhanced_monitoring":
            made.monitoring = stack.enter_context(endpoint(lambda *_: (500, {})))
        stack.callback(made.shop.end)
        ACTS[name](made, name)
        yield made


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the shop's own
        return json.load(answer)


def _rules() -> list[str]:
    found: list[str] = []
    for program in ("iptables-save", "ip6tables-save"):
        said = subprocess.run([f"/usr/sbin/{program}"], capture_output=True, text=True, check=True).stdout
        found += [line for line in said.splitlines() if line.startswith("-A") and "incidentctl" in line]
    return found
