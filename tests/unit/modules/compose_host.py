"""A host with a compose file, as small as can be: its engine, and what it runs, are in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _env_file,
    _health,
    _ledger,
    _release,
    _release_image,
)
from tests.small_service import endpoint

# An engine and its compose, as small as can be: images and containers are in a file, calls in another. podman-compose
# starts a container as it was made; docker compose makes it anew when its image is another.
_ENGINE = """#!{python} -IS
import json, pathlib, re, sys
home, name, words = pathlib.Path({home!r}), pathlib.Path(sys.argv[0]).name, sys.argv[1:]
state = home / "state.json"
now = json.loads(state.read_text())
containers, images = now["containers"], now["images"]
if words[0] == "ps":
    print("\\n".join(containers))
elif words[0] == "inspect":
    said = []
    for one in words[2:]:
        it = containers[one]
        labels = {{f"com.docker.compose.{{key}}": it[key] for key in ("project", "service")}}
        labels["com.docker.compose.project.working_dir"] = str(home)
        labels["com.docker.compose.project.config_files"] = str(home / "compose.yml")
        config = {{"Image": it["image"], "Labels": labels}}
        said.append({{"Id": one, "Created": it["created"], "State": {{"Status": it["status"]}}, "Config": config}})
    print(json.dumps(said))
elif words[0] == "images":
    print("\\n".join(images))
elif words[:2] == ["image", "inspect"]:
    if words[-1] not in images:
        sys.exit(1)
    if words[2].startswith("--format"):
        print("sha256:" + words[-1])
        sys.exit()
    label = now["labels"].get(words[-1], {{}})
    print(json.dumps([{{"Created": "2026-01-01T00:00:00Z", "Size": now["size"], "Config": {{"Labels": label}}}}]))
elif "build" in words:
    with (home / "calls").open("a") as calls:
        calls.write(" ".join([name, *words]).replace(str(home), "") + "\\n")
    if now["breaks"] == "build":
        sys.exit("STEP 3/4: RUN make\\nno such thing today")
    for step in now["steps"]:
        exec(step, {{"home": home}})
    key, value = words[words.index("--label") + 1].split("=")
    tag = words[words.index("--tag") + 1]
    images.append(tag)
    now["labels"][tag] = {{key: value}}
    state.write_text(json.dumps(now))
elif words[0] == "info":
    if name == "docker" and "GraphRoot" in words[1]:
        sys.exit(1)
    print(home)
elif "version" not in words:
    with (home / "calls").open("a") as calls:
        calls.write(" ".join([name, *words]).replace(str(home), "") + "\\n")
    if now["breaks"] and now["breaks"] in words:
        sys.exit("no such thing today")
    tag = re.search(r'^SHOP_TAG="?([^"\\s]+)', (home / ".env").read_text(), re.MULTILINE)[1]
    file = (home / "compose.yml").read_text()
    image_of = dict(re.findall(r"(\\w+): {{image: (\\S+)}}", file))
    project = words[words.index("-p") + 1] if "-p" in words else "default"
    if words[0] == "rm":
        for one in [c for c, it in containers.items() if c in words or it["service"] in words]:
            del containers[one]
    elif "config" in words or "--dry-run" in words:
        pass
    else:
        verb = next(i for i, word in enumerate(words) if word in ("stop", "up"))
        for service in [word for word in words[verb + 1 :] if word in image_of]:
            one = next((c for c, it in containers.items() if it["service"] == service), None)
            image = image_of[service].replace("${{SHOP_TAG}}", tag)
            if words[verb] == "stop":
                containers[one]["status"] = "exited"
                continue
            if one and (name == "podman-compose" or containers[one]["image"] == image):
                containers[one]["status"] = "running"
                continue
            containers.pop(one, None)
            now["made"] += 1
            status = "exited" if image in now["crash"] else "running"
            made = {{"service": service, "image": image, "project": project, "status": status}}
            containers[str(now["made"])] = {{**made, "created": "2026-01-02T03:04:05.678901234Z"}}
    state.write_text(json.dumps(now))
"""
FILE = """services:
  shop: {image: localhost/shop:${SHOP_TAG}}
  worker: {image: localhost/shop:${SHOP_TAG}}
  migrate: {image: localhost/shop:${SHOP_TAG}}
  cache: {image: localhost/cache:7}
"""
OTHERS = "# what the shop needs\nDB_PASSWORD=s3cret  \n"


class Machine:
    """A host with a shop and a worker of one image, a cache of another, and a migration that has run."""

    def __init__(self, home: Path, url: str = "") -> None:
        self.home, self.url = home, url
        self.env, self.state = home / ".env", home / "state.json"
        (home / "bin").mkdir()
        (home / "compose.yml").write_text(FILE)
        self.health: dict[str, int] = {}

    def has(self, *tools: str) -> None:
        for tool in tools:
            program = self.home / "bin" / tool
            program.write_text(_ENGINE.format(python=sys.executable, home=str(self.home)))
            program.chmod(0o755)

    def runs(self, tag: str, *others: str, crash: tuple[str, ...] = ()) -> None:
        """Let the shop run at a tag, with images of these others here as well."""
        self.env.write_text(f'{OTHERS}SHOP_TAG="{tag}" # by the pipeline\nLAST=1')
        self.env.chmod(0o640)
        image = f"localhost/shop:{tag}"
        containers = {
            service: {"service": service, "image": name, "status": status, "project": "site", "created": "2026-01-01T00:00:00Z"}
            for service, name, status in [
                ("shop", image, "running"), ("worker", image, "running"), ("migrate", image, "exited"),
                ("cache", "localhost/cache:7", "running"),
            ]
        }  # fmt: skip
        images = [f"localhost/shop:{one}" for one in (tag, *others)] + ["localhost/cache:7", "localhost/cache:41"]
        crashing = [f"localhost/shop:{one}" for one in crash]
        self.write(containers=containers, images=images, made=0, breaks="", crash=crashing)
        self.write(labels={}, size=0, steps=[])

    def runs_on(self, tag: str) -> None:
        """Let a deployment move what runs of the image to another tag."""
        containers = self.read("containers")
        for it in containers.values():
            if it["image"].startswith("localhost/shop:"):
                it["image"] = f"localhost/shop:{tag}"
        self.env.write_text(f"SHOP_TAG={tag}\n")
        self.write(containers=containers)

    def write(self, **more: Any) -> None:
        now = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.state.write_text(json.dumps({**now, **more}))

    def read(self, key: str) -> Any:
        return json.loads(self.state.read_text())[key]

    def tags(self) -> dict[str, str]:
        """What runs: the tag of each service."""
        alive = [it for it in self.read("containers").values() if it["status"] == "running"]
        return {it["service"]: it["image"].rpartition(":")[2] for it in alive}

    def calls(self, verb: str) -> list[str]:
        calls = self.home / "calls"
        return [line for line in calls.read_text().splitlines() if verb in line.split()] if calls.exists() else []

    def answer(self, *_request: Any) -> tuple[int, Any]:
        tag = self.tags().get("shop")
        return self.health.get(str(tag), 200) if tag else 404, {}

    def service(self, **more: Any) -> dict[str, Any]:
        releases = {"kind": "compose_image", "image": "localhost/shop", "variable": "SHOP_TAG"}
        plain = {"name": "shop", "hosts": "all", "manager": "compose", "compose_file": str(self.home / "compose.yml")}
        return {
            **plain,
            "health": {"url": self.url, "timeout_s": 2},
            "releases": {**releases, **more.pop("releases", {})},
            **more,
        }


@contextmanager
def shop_host(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Such a host, whose shop answers as `health` says of the tag that runs."""
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(home / "run"))
    monkeypatch.setattr(_control, "WAIT_S", 0.4)
    monkeypatch.setattr(_health, "INTERVAL_S", 0.05)
    monkeypatch.setattr(_release_image, "ROOM", 0)
    made = Machine(home)
    with endpoint(made.answer) as served:
        made.url = served.url
        yield made


def params(machine: Machine, state: str = "rolled_back", **more: Any) -> dict[str, Any]:
    return {
        "state": state,
        "to": None,
        "remember": False,
        "within_s": 0.4,
        "window_s": 0.1,
        "build_within_s": 20.0,
        "reserve_mb": 0,
        "number": 1,
        "reviewed": {},
        "services": [machine.service(**more.pop("service", {}))],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(machine.home / "incidents"),
        **more,
    }


def act(given: dict[str, Any], check_mode: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    block = _release.run(given, check_mode)["incident"]
    return block["actions"][0], block["facts"]["services"].get("shop", {})


def states(given: dict[str, Any]) -> list[str]:
    return [entry["state"] for entry in _ledger.entries(given)[0]]


def at(machine: Machine) -> str:
    return _env_file.read(machine.env, "SHOP_TAG")
