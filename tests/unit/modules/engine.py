"""A container engine and its compose, as small as can be, that answer as podman 4.3 and docker 26 do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Containers are in a file for each engine, calls that change something in another. What it is not asked in the way in which
# both engines answer, it refuses: docker's templates fail on a field that a container does not have.
_PROGRAM = r"""#!{python}
import json, pathlib, sys
home, name, words = pathlib.Path({home!r}), pathlib.Path(sys.argv[0]).name, sys.argv[1:]
engine = name.replace("-compose", "")
state = home / (engine + ".json")
containers = json.loads(state.read_text())

def save():
    state.write_text(json.dumps(containers))

def call():
    with (home / "calls").open("a") as calls:
        calls.write(" ".join([name, *words]) + "\n")

def find(word):
    return next((c for c in containers if c["id"] == word), None)

def inspected(c):
    said = {{"Status": c["status"], "Running": c["status"] == "running", "ExitCode": c.get("exit", 0), "Error": ""}}
    if engine == "podman":
        said["Health"] = {{"Status": c.get("health", ""), "FailingStreak": 0, "Log": None}}
    elif "health" in c:
        said["Health"] = {{"Status": c["health"], "FailingStreak": 0, "Log": []}}
    slash = "" if engine == "podman" else "/"
    return {{
        "Id": c["id"], "Created": c["created"], "State": said, "Name": slash + c["name"], "RestartCount": 0,
        "HostConfig": {{"RestartPolicy": {{"Name": c.get("restart", "no"), "MaximumRetryCount": 0}}, "AutoRemove": False}},
        "Config": {{"Image": c.get("image", "localhost/shop:1"), "Labels": c["labels"]}},
    }}

def stop(c):
    if c["status"] == "running":
        c["status"], c["exit"] = "exited", 137 if c.get("deaf") else 143

if words[:1] == ["ps"]:
    label = words[words.index("--filter") + 1].split("=", 1)[1]
    print("\n".join(c["id"] for c in containers if label in (c["labels"] or {{}})))
elif words[:1] == ["inspect"]:
    if any(word.startswith(("--format", "-f")) for word in words):
        sys.exit("template parsing error: map has no entry for key")
    wanted = [word for word in words[1:] if not word.startswith("--")]
    print(json.dumps([inspected(c) for c in map(find, wanted) if c], indent=4))
    for word in [word for word in wanted if not find(word)]:
        print(f"Error: No such container: {{word}}", file=sys.stderr)
    sys.exit(0 if all(map(find, wanted)) else 1)
elif words[:1] in (["stop"], ["start"]):
    call()
    wanted = words[3:] if words[0] == "stop" else words[1:]
    if words[0] == "stop":
        assert words[1] == "-t" and int(words[2]) >= 0
    missing = [word for word in wanted if not find(word)]
    for c in [c for c in map(find, wanted) if c]:
        if words[0] == "stop":
            stop(c)
        elif not c.get("broken"):
            c["status"] = "running"
        else:
            c["status"], c["exit"] = "exited", 1
    save()
    for word in missing:
        print(f"Error response from daemon: No such container: {{word}}", file=sys.stderr)
    sys.exit(1 if missing else 0)
elif "version" not in words:
    call()
    verb = next(i for i, word in enumerate(words) if word in ("stop", "up"))
    named = [word for word in words[verb + 1 :] if not word.startswith("-") and word not in ("never",)]
    for c in containers:
        if not named or (c["labels"] or {{}}).get("com.docker.compose.service") in named:
            stop(c) if words[verb] == "stop" else c.update(status="running") if "--no-start" not in words else None
    there = {{(c["labels"] or {{}}).get("com.docker.compose.service") for c in containers}}
    for service in [n for n in named if n not in there and words[verb] == "up"]:
        labels = json.loads((home / "labels.json").read_text())
        labels["com.docker.compose.service"] = service
        containers.append({{"id": "new-" + service, "name": "shop_" + service + "_1", "labels": labels,
            "created": "2026-01-03T00:00:00Z", "status": "created" if "--no-start" in words else "running"}})
    save()
"""
_LABEL = "com.docker.compose."


class Machine:
    """A host with these tools alone."""

    def __init__(self, home: Path) -> None:
        """Lay out the folder of a shop; nothing runs there yet."""
        self.home, self.folder = home, home / "shop"
        self.folder.mkdir()
        self.file = str(self.folder / "compose.yml")
        own = {"project": "shop", "project.working_dir": str(self.folder), "project.config_files": self.file}
        self.labels = {f"{_LABEL}{key}": value for key, value in own.items()}
        (home / "labels.json").write_text(json.dumps(self.labels))

    def has(self, *tools: str) -> None:
        """Install these tools."""
        for tool in tools:
            program = self.home / "bin" / tool
            program.parent.mkdir(exist_ok=True)
            program.write_text(_PROGRAM.format(python=sys.executable, home=str(self.home)))
            program.chmod(0o755)
            state = self.home / f"{tool.replace('-compose', '')}.json"
            state.exists() or state.write_text("[]")

    def runs(self, engine: str, *services: str, more: dict[str, Any] | None = None, **labels: str) -> None:
        """Add a container for each of `services`, each made after the one before; one that ends in `!` is stopped."""
        found = self.containers(engine)
        for service in services:
            name, number = service.rstrip("!"), len(found)
            given = {**self.labels, **{f"{_LABEL}{key}": value for key, value in {**labels, "service": name}.items()}}
            status = "exited" if service.endswith("!") else "running"
            made = f"2026-01-01T00:00:{number:02}.5Z"
            found.append(
                {"id": f"{number}", "name": f"shop_{name}_{number}", "status": status, "labels": given, "created": made}
            )
            found[-1].update(more or {})
        self.write(engine, found)

    def containers(self, engine: str) -> list[dict[str, Any]]:
        """Return an engine's containers."""
        return list(json.loads((self.home / f"{engine}.json").read_text()))

    def write(self, engine: str, containers: list[dict[str, Any]]) -> None:
        """Let an engine have these containers."""
        (self.home / f"{engine}.json").write_text(json.dumps(containers))

    def change(self, engine: str, service: str, **values: Any) -> None:
        """Let something become of the containers of a service."""
        found = self.containers(engine)
        for one in found:
            if one["labels"].get(f"{_LABEL}service") == service:
                one.update(values)
        self.write(engine, found)

    def remove(self, engine: str, service: str) -> None:
        """Remove the containers of a service."""
        kept = [one for one in self.containers(engine) if one["labels"].get(f"{_LABEL}service") != service]
        self.write(engine, kept)

    def service(self, **more: Any) -> dict[str, Any]:
        """Return the shop as the catalogue has it."""
        return {"name": "shop", "hosts": "all", "manager": "compose", "compose_file": self.file, **more}

    def calls(self) -> list[str]:
        """Return all commands that changed something."""
        calls = self.home / "calls"
        return calls.read_text().replace(self.file, "FILE").splitlines() if calls.exists() else []
