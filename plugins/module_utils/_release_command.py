"""Releases that only the service's own commands know: `current`, `rollback` and, if declared, `forward`.

Like every kind of release: `current`, `plan`, `rehearse`, `go` and `go_forward`.
"""

from __future__ import annotations

import shutil
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _migrations

TIMEOUT_S = 300.0  # a rollback may pull an image or build a cache


class CommandError(OSError):
    """A command did not do what it is there for; the message says which and what it said."""


def current(service: dict[str, Any]) -> str:
    """Return the last line that the `current` command says, as the name of the release."""
    releases = service["releases"]
    said = _run(releases, "current").said
    if not said:
        raise CommandError(f"{' '.join(releases['current'])} said nothing: the current release is unknown")
    return said.splitlines()[-1].strip()[:100]


def plan(service: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of going back; where to, only the command knows. `reason` if it cannot be done."""
    facts: dict[str, Any] = {
        "kind": "command",
        "from": None,
        "to": None,
        "why": None,
        "feasible": False,
        "reason": None,
    }
    facts.update(deployed_at=None, **_migrations.undeclared("the service's own command chooses the release"))
    try:
        facts["from"] = current(service)
    except OSError as error:
        return {**facts, "reason": str(error)}
    if params["to"]:
        return {**facts, "reason": f"the rollback command of {service['name']} chooses the release by itself"}
    return {**facts, "feasible": True, "why": "the service's own command chooses it"}


def rehearse(service: dict[str, Any], _to: str, _check_mode: bool) -> None:
    """See that the rollback command is there. Raise CommandError if it is not."""
    program = _argv(service["releases"], "rollback")[0]
    if shutil.which(program) is None:
        raise CommandError(f"there is no program {program}")


def go(service: dict[str, Any], now: str, _to: str) -> None:
    """Run the rollback command, unless it already led away from the release `now`."""
    releases = service["releases"]
    if current(service) != now:
        return
    _run(releases, "rollback")
    if current(service) == now:
        raise CommandError(f"{' '.join(releases['rollback'])} succeeded, but the release is still {now}")


def go_forward(service: dict[str, Any], to: str) -> None:
    """Run the forward command and see that it led to a release. Raise CommandError if there is none."""
    releases = service["releases"]
    if "forward" not in releases:
        raise CommandError(f"{service['name']} declares no forward command")
    _run(releases, "forward")
    reached = current(service)
    if reached != to:
        raise CommandError(f"{' '.join(releases['forward'])} led to {reached}")


def _run(releases: dict[str, Any], verb: str) -> _command.Finished:
    finished = _command.run(_argv(releases, verb), TIMEOUT_S)
    if not finished.ok:
        raise CommandError(str(finished))
    return finished


def _argv(releases: dict[str, Any], verb: str) -> list[str]:
    argv = releases[verb]
    # A plain string would be taken apart into letters.
    if not isinstance(argv, list) or not argv:
        raise CommandError(f"releases.{verb} must be a list of words (argv)")
    return argv
