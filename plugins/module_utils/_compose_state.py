"""Stop the containers of a compose file, and start these again: by their ids, whatever became of the file meanwhile.

No compose tool is asked: what it starts is what its file says today, and podman-compose 1.0 starts what a service depends
on as well. It makes containers anew only where they were removed meanwhile.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _compose, _order
from ansible_collections.incidentctl.response.plugins.module_utils._compose import ComposeError, Container

_KILLED = 137  # the exit code of what SIGKILL ended
_SLACK_S = 20.0  # beyond the grace: to be killed, to clear up
_START_S = 60.0
_CREATE_S = 300.0
_HEALTHY_S = 30.0  # what others need is waited for, if it has a check of its own
_STEADY_S = 0.5
_PAUSE_S = 0.1
_LOGS_S = 10.0

Known = dict[str, str]  # a container as the ledger has it: {id, name, service}


class Plan(NamedTuple):
    """What stopping a service of a compose file comes to."""

    containers: list[Known]  # what runs, in the order in which it is started again
    family: list[str]  # the services of the file, or the one that is meant
    said: str  # how it is, in words


class Now(NamedTuple):
    """What has become of containers that were stopped."""

    engine: str
    start: list[Container]
    create: list[str]  # services of which no container is left
    told: list[str]


def plan(service: dict[str, Any]) -> Plan:
    """Return what stopping a service comes to. Raise ComposeError if that cannot be told."""
    found = _ordered(_compose.look(service).containers)
    runs: list[Known] = [{"id": one.id, "name": one.name, "service": one.service} for one in found if one.alive]
    paused = [one for one in found if one.status == "paused"]
    said = f"{_names(paused)} is paused, and stays so" if paused else ""
    return Plan(runs, list(dict.fromkeys(one.service for one in found)), said)


def idle(service: dict[str, Any]) -> list[Known]:
    """Return the containers of a service that stand still and are to run, in the order in which they are started.

    What is one service of a file runs with all its containers. Of a whole file, what ended well has done its work, as a
    migration does: those count alone that ended badly, unless nothing of it runs. Raise ComposeError.
    """
    found = _ordered(_compose.look(service).containers)
    if not found:
        raise ComposeError(
            f"{service['name']}: no container of {service['compose_file']} is on this host. Fix: deploy it"
        )
    down = [one for one in found if not one.alive and one.status != "paused"]
    if "compose_service" not in service and len(down) < len(found):
        down = [one for one in down if one.exit_code]
    return [{"id": one.id, "name": one.name, "service": one.service} for one in down]


def lives(service: dict[str, Any], containers: list[Known]) -> dict[str, str | None]:
    """Return of each service of these containers which life it lives: "" between two, None where it is down."""
    deployment = _compose.look(service)
    wanted = {one["service"] for one in containers}
    there = [one for one in deployment.containers if one.service in wanted]
    said = _compose.inspect(deployment.engine, [one.id for one in there])
    began = {each["Id"]: str(each["State"]["StartedAt"]) for each in said}
    lives = {one.name: began.get(one.id, "") if one.status == "running" else "" for one in there}
    return {one.name: lives[one.name] if one.alive else None for one in there if one.alive or one.exit_code}


def last_words(service: dict[str, Any], lines: int) -> str:
    """Return the last lines that the containers of a service said; nothing if their engine does not tell."""
    finished = [_command.run(log.argv(lines), _LOGS_S) for log in _compose.logs(service)]
    return "\n".join(each.said for each in finished if each.ok)


def stop(service: dict[str, Any], containers: list[Known], grace_s: float) -> list[str]:
    """Stop these containers, what depends on others first, and see them stopped; return what had to be killed.

    The engine kills what does not end by itself in `grace_s` seconds. Raise ComposeError if one still runs then.
    """
    engine = _compose.look(service).engine
    ids = {one["id"] for one in containers}
    problems = []
    for one in reversed(containers):
        argv = [engine, "stop", "-t", str(math.ceil(grace_s)), one["id"]]
        finished = _command.run(argv, grace_s + _SLACK_S)
        problems += [] if finished.ok else [str(finished)]
    until = time.monotonic() + _SLACK_S
    while alive := [one for one in _compose.look(service).containers if one.alive and one.id in ids]:
        if time.monotonic() > until:
            raise ComposeError("; ".join(problems) or f"{_names(alive)} was stopped, but still runs")
        time.sleep(_PAUSE_S)
        for one in alive:  # it was just between an end and a new start
            _command.run([engine, "stop", "-t", str(math.ceil(grace_s)), one.id], grace_s + _SLACK_S)
    stopped = [one for one in _compose.look(service).containers if one.id in ids]
    killed = [one for one in stopped if one.exit_code == _KILLED]
    return [f"had to kill {_names(killed)} after {grace_s:g} s (exit code {_KILLED})"] if killed else []


def now(service: dict[str, Any], containers: list[Known]) -> Now:
    """Given what was stopped, return what of it is to be started today.

    That is each of those containers. Where they are gone, it is what stands in their place; what runs there already is
    left alone, and where there is nothing, it is made anew. Raise ComposeError if that cannot be told.
    """
    deployment = _compose.look(service)
    start: list[Container] = []
    create, told = [], []
    for name in dict.fromkeys(one["service"] for one in containers):
        ids = {one["id"] for one in containers if one["service"] == name}
        there = [one for one in deployment.containers if one.service == name]
        others = [one for one in there if one.id not in ids]
        own = [one for one in there if one.id in ids]
        if any(one.alive for one in others):
            told.append(f"{name} was deployed anew meanwhile, and runs")
        elif own:
            start += [one for one in own if not one.alive]
        elif others:
            told.append(f"{name} was deployed anew meanwhile: {_names(others)} is started")
            start += others
        else:
            told.append(f"the containers of {name} were removed meanwhile: it is made anew, as its file says now")
            create.append(name)
    return Now(deployment.engine, start, create, told)


def start(service: dict[str, Any], todo: Now) -> None:
    """Start what `now` says, what is depended on first, and see it run. Raise ComposeError if something does not."""
    containers = todo.start
    if todo.create:
        made = _command.run(_compose.argv({**service, "compose_running": todo.create}, "create"), _CREATE_S)
        fresh = [one for one in _compose.look(service).containers if one.service in todo.create]
        if {one.service for one in fresh} != set(todo.create):
            raise ComposeError(str(made))
        containers = containers + fresh
    containers = _ordered(containers)
    problems = []
    for place, one in enumerate(containers):
        finished = _command.run([todo.engine, "start", one.id], _START_S)
        problems += [] if finished.ok else [str(finished)]
        if any(one.service in later.needs for later in containers[place + 1 :]):
            _wait_for_health(service, one.id)
    time.sleep(_STEADY_S)
    ids = {one.id for one in containers}
    dead = [one for one in _compose.look(service).containers if one.id in ids and not one.alive and one.exit_code]
    problems += [f"{one.name} did not stay up: exit code {one.exit_code}" for one in dead]
    if problems:
        raise ComposeError("; ".join(problems))


def _wait_for_health(service: dict[str, Any], container: str) -> None:
    until = time.monotonic() + _HEALTHY_S
    while time.monotonic() < until:
        if not any(one.id == container and one.health == "starting" for one in _compose.look(service).containers):
            return
        time.sleep(_PAUSE_S)


def _ordered(containers: list[Container]) -> list[Container]:
    """Return what is depended on first. Where the tool did not write that down: every tool makes it first."""
    by_age = sorted(containers, key=lambda one: one.created.rstrip("Z"))
    return _order.needed_first(by_age, lambda one: one.service, lambda one: one.needs)


def _names(containers: list[Container]) -> str:
    return ", ".join(one.name or one.id[:12] for one in containers)
