"""Services of a compose file: which of their containers run, and the commands that stop and start them.

What runs is asked of the engine, by the labels that every compose tool gives its containers: podman-compose 1.0
has no answer that could be read. Labels hold the folder and the file, so that no project's name is guessed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _command

ENGINES = ("podman", "docker")
# One that is paused does nothing, and no engine stops it cleanly. To podman `stopped` is what ended a moment ago, and may
# be about to be started again.
_ALIVE = ("running", "restarting", "stopping")
_RESTARTED = ("always", "unless-stopped", "on-failure")
_LABEL = "com.docker.compose."
_ANSWER_LIMIT = 8 << 20
_ANSWER_S = 20.0


class ComposeError(OSError):
    """It cannot be told what runs, or there is nothing to tell it with; the message says why."""


class ContainerLog(NamedTuple):
    """What a container of a compose file said, if it still runs or not: how to ask for it, and what it is called."""

    engine: str
    id: str
    service: str

    def argv(self, lines: int, since_s: int = 0) -> list[str]:
        """Return the command that prints its last lines (0: all), on both of its outputs, with their times."""
        words = ["--timestamps"]
        words += [f"--tail={lines}"] if lines else []
        words += [f"--since={since_s}s"] if since_s else []
        return [self.engine, "logs", *words, self.id]

    def __str__(self) -> str:
        """Return what it is called."""
        return f"{self.service} {self.id[:12]}"


class Container(NamedTuple):
    """One container of a compose file."""

    id: str
    service: str
    project: str
    alive: bool
    status: str = ""  # as the engine says it: running, exited, paused …
    name: str = ""
    created: str = ""  # as the engine says it
    exit_code: int | None = None
    health: str = ""  # as its own check says: starting, healthy, unhealthy; nothing without one
    needs: tuple[str, ...] = ()  # the services that it depends on, as far as the tool wrote them down


class Deployment(NamedTuple):
    """The engine that runs a compose file, and the file's containers, stopped ones too."""

    engine: str
    containers: list[Container]

    @property
    def running(self) -> list[str]:
        """The services of which a container runs."""
        return sorted({container.service for container in self.containers if container.alive})


def look(service: dict[str, Any]) -> Deployment:
    """Ask every engine of this host for the containers of a service. Raise ComposeError if that cannot be told."""
    engines = [engine for engine in ENGINES if shutil.which(engine)]
    if not engines:
        raise ComposeError(f"{service['name']}: this host has neither podman nor docker")
    problems = []
    for engine in engines:
        try:
            containers = _containers(engine, service)
        except (OSError, ValueError) as error:
            problems.append(f"{engine}: {error}")
            continue
        if containers:
            return Deployment(engine, containers)
    if problems:
        raise ComposeError(f"{service['name']}: {'; '.join(problems)}")
    return Deployment(engines[0], [])


def is_running(service: dict[str, Any]) -> bool:
    """Say whether a container of the service runs; of a `handle`, whether one of each that it names does."""
    running = look(service).running
    wanted = service.get("compose_running")
    return set(wanted) <= set(running) if wanted else bool(running)


def argv(service: dict[str, Any], verb: str) -> list[str]:
    """Return the command that stops, starts, renews or creates a service, or reads its file, with what this host has.

    Renewed it runs, and created it is, as its file says now: what it depends on is left alone, nothing is built, and
    nothing pulled. Raise ComposeError if the host has nothing to do it with.
    """
    deployment = look(service)
    project = _project(service, deployment)
    tool = _tool(deployment.engine)
    words = {"stop": ["stop"], "start": ["up", "-d"], "renew": ["up", "-d", "--no-deps", "--no-build"]}.get(verb, [])
    if verb == "create":
        words = ["up", "--no-start", "--no-deps", "--no-build"]
    if verb in ("renew", "create") and deployment.engine == "docker":
        words += ["--pull", "never"]
    if verb == "parse" and tool == ["podman-compose"]:
        tool, words = [*tool, "--dry-run"], ["stop"]  # podman-compose 1.0 has no `config`
    elif verb == "parse":
        words = ["config", "--quiet"]
    one = [service["compose_service"]] if "compose_service" in service else []
    names = service.get("compose_running") or one
    return [*tool, "-f", service["compose_file"], *(["-p", project] if project else []), *words, *names]


def handle(service: dict[str, Any]) -> dict[str, Any]:
    """Return what else is needed to start exactly what runs now. Raise ComposeError if that cannot be told."""
    deployment = look(service)
    project = _project(service, deployment)
    # What was cut off while it was stopped, or removed to be made anew, is known by an earlier handle alone.
    running = deployment.running or service.get("compose_running", [])
    return {"compose_running": running, **({"compose_project": project} if project else {})}


def logs(service: dict[str, Any]) -> list[ContainerLog]:
    """Return the logs of a service's containers, stopped ones too. Raise FileNotFoundError where there is none."""
    if "compose_file" not in service:
        raise FileNotFoundError(f"{service['name']} names no compose_file")
    deployment = look(service)
    if not deployment.containers:
        raise FileNotFoundError(f"no container of {service['compose_file']} is on this host")
    return [ContainerLog(deployment.engine, each.id, each.service) for each in deployment.containers]


def why_not(starts: bool) -> str:
    """Return which program this host lacks to look at a compose file's containers, or to start them; nothing if none."""
    engines = [engine for engine in ENGINES if shutil.which(engine)]
    if not engines:
        return "neither podman nor docker is here"
    problems = []
    for engine in engines if starts else ():
        try:
            _tool(engine)
        except ComposeError as error:
            problems.append(str(error))
        else:
            return ""
    return "; ".join(problems)


def _project(service: dict[str, Any], deployment: Deployment) -> str:
    projects = sorted({container.project for container in deployment.containers})
    if len(projects) > 1:
        raise ComposeError(f"{service['name']}: its file runs as several projects: {', '.join(projects)}")
    return projects[0] if projects else service.get("compose_project", "")


def inspect(engine: str, ids: list[str]) -> list[dict[str, Any]]:
    """Return all that an engine says of these containers. Not by a template: docker fails where a field is not there."""
    return list(json.loads(_ask([engine, "inspect", "--type=container", *ids]))) if ids else []


def of_services(engine: str, services: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return (service's name, all that the engine says of a container of its), asked once for all of these services.

    Raise OSError or ValueError if the engine does not answer as it should.
    """
    found = _all_containers(engine)
    return [(service["name"], said) for said, labels in found for service in services if _is_of(labels, service)]


def _containers(engine: str, service: dict[str, Any]) -> list[Container]:
    return [_container(said, labels) for said, labels in _all_containers(engine) if _is_of(labels, service)]


def _all_containers(engine: str) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Give what the engine says of each container of any compose file, and the labels that its tool gave it."""
    listing = [engine, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={_LABEL}project.working_dir"]
    for said in inspect(engine, _ask(listing).split()):
        own = said["Config"].get("Labels") or {}
        yield said, {key[len(_LABEL) :]: str(value) for key, value in own.items() if key.startswith(_LABEL)}


def _container(said: dict[str, Any], labels: dict[str, str]) -> Container:
    state = said["State"]
    policy = (said.get("HostConfig", {}).get("RestartPolicy") or {}).get("Name")
    alive = state["Status"] in _ALIVE or (state["Status"] == "stopped" and policy in _RESTARTED)
    return Container(
        said["Id"],
        labels.get("service", ""),
        labels.get("project", ""),
        alive,
        state["Status"],
        str(said.get("Name", "")).lstrip("/"),
        str(said.get("Created", "")),
        state.get("ExitCode"),
        (state.get("Health") or {}).get("Status", ""),
        # Of docker compose: `db:service_healthy:false,cache:service_started:true`
        tuple(word.split(":")[0] for word in labels.get("depends_on", "").split(",") if word),
    )


def _is_of(labels: dict[str, str], service: dict[str, Any]) -> bool:
    file = Path(service["compose_file"])
    names = [Path(path).name for path in labels.get("project.config_files", "").split(",")]
    here = Path(labels["project.working_dir"]).resolve() == file.parent.resolve()
    # What `compose run` started beside the services was begun by a person, who ends it, too.
    counts = labels.get("oneoff", "").lower() != "true"
    return here and file.name in names and counts and service.get("compose_service") in (None, labels.get("service"))


def _ask(argv: list[str]) -> str:
    said, _cut = _capture.capture(argv, _ANSWER_LIMIT, _ANSWER_S)
    return said.decode("utf-8", "replace")


def _tool(engine: str) -> list[str]:
    if shutil.which(f"{engine}-compose") and engine == "podman":
        return ["podman-compose"]
    if _command.run([engine, "compose", "version"]).ok:
        return [engine, "compose"]
    raise ComposeError(f"{engine} is here, but not {'podman-compose' if engine == 'podman' else 'its compose plugin'}")
