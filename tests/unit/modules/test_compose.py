"""What runs of a compose file is read from labels, whatever tool there is, and lift starts exactly what was stopped."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose,
    _control,
    _evidence,
    _ledger,
    _service_errors,
    _service_state,
)

# An engine and its compose, as small as can be: containers are in a file, calls in another.
_FAKE = """#!{python}
import json, pathlib, sys
home, name, words = pathlib.Path({home!r}), pathlib.Path(sys.argv[0]).name, sys.argv[1:]
state = home / (name.replace("-compose", "") + ".json")
containers = json.loads(state.read_text())
if words[:1] == ["ps"]:
    print("\\n".join(c["id"] for c in containers))
elif words[:1] == ["inspect"]:
    for c in containers:
        print(c["id"], c["status"], json.dumps(c["labels"]))
elif "version" not in words:
    with (home / "calls").open("a") as calls:
        calls.write(" ".join([name, *words]) + "\\n")
    verb = next(i for i, word in enumerate(words) if word in ("stop", "up"))
    named = [word for word in words[verb + 1 :] if word != "-d"]
    for c in containers:
        if not named or c["labels"]["com.docker.compose.service"] in named:
            c["status"] = "exited" if words[verb] == "stop" else "running"
    state.write_text(json.dumps(containers))
"""


class Machine:
    """A host with these tools alone."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "shop"
        self.folder.mkdir()
        self.file = str(self.folder / "compose.yml")

    def has(self, tool: str) -> None:
        program = self.home / "bin" / tool
        program.parent.mkdir(exist_ok=True)
        program.write_text(_FAKE.format(python=sys.executable, home=str(self.home)))
        program.chmod(0o755)
        state = self.home / f"{tool.replace('-compose', '')}.json"
        state.exists() or state.write_text("[]")

    def runs(self, engine: str, *services: str, **labels: str) -> None:
        """Add a container for each of `services`; one that ends in `!` is stopped."""
        state = self.home / f"{engine}.json"
        own = {"project": "shop", "project.working_dir": str(self.folder), "project.config_files": self.file}
        found = json.loads(state.read_text())
        for service in services:
            given = {**own, **labels, "service": service.rstrip("!")}
            status = "exited" if service.endswith("!") else "running"
            named = {f"com.docker.compose.{key}": value for key, value in given.items()}
            found.append({"id": f"{len(found)}", "status": status, "labels": named})
        state.write_text(json.dumps(found))

    def service(self, **more: Any) -> dict[str, Any]:
        return {"name": "shop", "hosts": "all", "manager": "compose", "compose_file": self.file, **more}

    def calls(self) -> list[str]:
        calls = self.home / "calls"
        return calls.read_text().replace(self.file, "FILE").splitlines() if calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    return made


def params(machine: Machine, **more: Any) -> dict[str, Any]:
    return {
        "capability": "isolation",
        "non_essential": False,
        "services": [machine.service(**more)],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(machine.home / "state"),
    }


@pytest.mark.parametrize(
    ("tools", "engine", "words"),
    [
        (["podman", "podman-compose"], "podman", "podman-compose -f"),
        (["podman"], "podman", "podman compose -f"),
        (["docker"], "docker", "docker compose -f"),
        (["podman", "podman-compose", "docker"], "docker", "docker compose -f"),
    ],
)
def test_the_tool_is_the_one_whose_engine_runs_the_file(
    machine: Machine, tools: list[str], engine: str, words: str
) -> None:
    for tool in tools:
        machine.has(tool)
    machine.runs(engine, "web")
    assert _control.is_running(machine.service())
    _control.stop(machine.service())
    _control.start(machine.service())
    rest = words.replace(" -f", "")
    assert machine.calls() == [f"{rest} -f FILE -p shop stop", f"{rest} -f FILE -p shop up -d"]


def test_lift_starts_exactly_what_was_stopped(machine: Machine) -> None:
    machine.has("podman")
    machine.has("podman-compose")
    machine.runs("podman", "web", "cache", "migrate!")
    given = params(machine)
    assert _service_state.run(given, False)["incident"]["outcome"] == "done"
    assert _compose.look(machine.service()).running == []
    assert _service_state.run(given, False)["incident"]["outcome"] == "unchanged"
    (entry,) = _ledger.entries(given)[0]
    assert _service_state.start_again(entry, False) == ("shop started", True)
    assert _compose.look(machine.service()).running == ["cache", "web"]
    assert machine.calls()[-1] == "podman-compose -f FILE -p shop up -d cache web"
    assert _service_state.start_again(entry, False) == ("shop was already running", True)


def test_a_part_that_somebody_started_meanwhile_does_not_keep_the_rest_stopped(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine)
    _service_state.run(given, False)
    _control.start(machine.service(compose_service="cache"))
    _service_state.start_again(_ledger.entries(given)[0][0], False)
    assert _compose.look(machine.service()).running == ["cache", "web"]


def test_one_service_of_a_file_is_stopped_alone(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine, compose_service="cache")
    _service_state.run(given, False)
    assert _compose.look(machine.service()).running == ["web"]
    (entry,) = _ledger.entries(given)[0]
    assert entry["undo"]["service"]["compose_service"] == "cache"
    _service_state.start_again(entry, False)
    assert machine.calls()[-1] == "docker compose -f FILE -p shop up -d cache"


def test_containers_of_other_files_and_folders_are_not_the_services(machine: Machine) -> None:
    machine.has("podman")
    machine.runs("podman", "web", **{"project.working_dir": "/elsewhere"})
    machine.runs("podman", "web", **{"project.config_files": str(machine.folder / "other.yml")})
    assert not _control.is_running(machine.service())
    (machine.home / "link").symlink_to(machine.folder)
    machine.runs("podman", "web", **{"project.config_files": "base.yml,compose.yml"})
    assert _control.is_running(machine.service(compose_file=str(machine.home / "link" / "compose.yml")))


def test_one_file_as_two_projects_is_not_guessed_at(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web")
    machine.runs("docker", "web", project="staging")
    row = _service_state.run(params(machine), False)["incident"]["actions"][0]
    assert row["outcome"] == "failed"
    assert "several projects: shop, staging" in row["summary"]


def test_a_host_without_an_engine_or_its_compose_says_so(machine: Machine) -> None:
    with pytest.raises(_compose.ComposeError, match="neither podman nor docker"):
        _control.is_running(machine.service())
    machine.has("docker")
    program = machine.home / "bin" / "docker"
    program.write_text(
        program.read_text().replace('elif "version" not in words', 'elif "version" in words: sys.exit(1)\nelse')
    )
    with pytest.raises(_compose.ComposeError, match="not its compose plugin"):
        _control.stop(machine.service())


def test_an_engine_that_does_not_answer_is_not_taken_for_a_stopped_service(machine: Machine) -> None:
    machine.has("podman")
    machine.has("docker")
    (machine.home / "bin" / "docker").write_text("#!/bin/sh\necho 'no daemon' >&2\nexit 1\n")
    with pytest.raises(_compose.ComposeError, match="no daemon"):
        _control.is_running(machine.service())
    machine.runs("podman", "web")
    assert _control.is_running(machine.service())


# What a container says on both of its outputs, with the times that the engine puts before each line.
_LOGS = """#!/bin/sh
case "$1" in
  ps) echo 0123456789abcdef ;;
  inspect) cat {labels} ;;
  logs) echo "$@" >{home}/asked
    echo '2026-01-01T03:00:00.5Z GET /health 200'
    echo '2026-01-01T03:00:01.123456789Z ERROR no such column: x' >&2 ;;
esac
"""


@pytest.fixture
def talking(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A host whose container was ended by its error: what it said is asked of the engine."""
    machine.has("podman")
    labels = {"project.working_dir": str(machine.folder), "project.config_files": machine.file, "service": "web"}
    named = {f"com.docker.compose.{key}": value for key, value in labels.items()}
    (machine.home / "labels").write_text(f"0123456789abcdef exited {json.dumps(named)}\n")
    script = _LOGS.format(home=machine.home, labels=machine.home / "labels")
    (machine.home / "bin" / "podman").write_text(script)
    monkeypatch.setenv("PATH", f"{machine.home / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(_compose, "ENGINES", ("podman",))
    return machine


def test_errors_are_found_in_what_containers_said(talking: Machine) -> None:
    service = talking.service(logs=[{"kind": "compose"}])
    reading = _service_errors.read(service, 100_000, "2026-01-01T02:00:00+00:00", time.monotonic() + 60)
    (error,) = reading.errors
    assert (error["first_seen"], error["count"], error["new"]) == ("2026-01-01T03:00:01.123+00:00", 1, True)
    assert "no such column" in str(error)
    assert (reading.unread, (talking.home / "asked").read_text()) == (
        [],
        "logs --timestamps --tail=1000 0123456789abcdef\n",
    )


def test_what_containers_said_is_evidence_within_its_caps(talking: Machine) -> None:
    given = {"lines": 50, "since_s": 600}
    (part,) = _evidence._logs(talking.service(logs=[{"kind": "compose"}]), given)
    assert (part.name, part.origin) == ("logs/shop/01-compose-web_0123456789ab", "container web 0123456789ab")
    said, cut = part.read(1000)
    assert (said.count(b"\n"), cut) == (2, False)
    assert (talking.home / "asked").read_text() == "logs --timestamps --tail=50 --since=600s 0123456789abcdef\n"
    assert part.read(10)[1] is True


def test_an_engine_that_fails_is_no_log(talking: Machine) -> None:
    script = (talking.home / "bin" / "podman").read_text()
    (talking.home / "bin" / "podman").write_text(
        script.replace("  logs)", "  logs) echo 'no such container'; exit 125;")
    )
    reading = _service_errors.read(talking.service(logs=[{"kind": "compose"}]), 100_000, None, time.monotonic() + 60)
    assert "no such container" in reading.unread[0]
