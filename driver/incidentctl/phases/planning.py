"""What each way out would do on the hosts: looked at before the question, and once more right before it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from incidentctl import approval
from incidentctl.desk import Desk
from incidentctl.errors import IncidentctlError
from incidentctl.incident import Data
from incidentctl.outcome import HostOutcome, capability_of
from incidentctl.plan import PlannedStep
from incidentctl.steps import rehearse

PATIENCE_S = 60.0  # of a look at all hosts: the question must not wait for one that hangs
Way = tuple[PlannedStep, Mapping[str, Any]]  # what carries an option out, with its variables


def plans(desk: Desk, ways: Mapping[str, Way]) -> dict[str, Data]:
    """Given the steps of options by name, return what each would do: all are checked in one run, which changes nothing.

    A host that does not answer is in the plan as silent; so are all where the check cannot be made at all.
    """
    own = {key: step for key, (step, _variables) in ways.items() if _is_own(step)}
    found = {key: of_playbooks(step) for key, step in own.items()}
    checked = {key: way for key, way in ways.items() if key not in own}
    rows = _checked(desk, checked) if checked else ()
    return found | {key: approval.plan_of(rows, step.hosts, step.capabilities) for key, (step, _) in checked.items()}


def now(desk: Desk, step: PlannedStep, variables: Mapping[str, Any]) -> tuple[Data, tuple[HostOutcome, ...]]:
    """Return what a step would do as the hosts are now, and the rows of those that the check did not come to.

    Raise IncidentctlError if the check cannot be made: what would be done is not known then.
    """
    if _is_own(step):
        return of_playbooks(step), ()
    rows = rehearse(desk, replace(step, phase="check"), variables, PATIENCE_S).rows
    gone = {row.host: row for row in rows if approval.is_away(row)}
    away = tuple(
        HostOutcome(host, capability, row.outcome, f"when it was looked at: {row.reason}")
        for host, row in gone.items()
        for capability in map(capability_of, step.capabilities)
    )
    return approval.plan_of(rows, step.hosts, step.capabilities), away


def of_playbooks(step: PlannedStep) -> Data:
    """Return the plan of playbooks of the user's own. They are not run, not even in check mode: who knows what they do then."""
    digests = {capability_of(path): hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in step.capabilities}
    return approval.plan_of_playbooks(digests, step.hosts)


def _is_own(step: PlannedStep) -> bool:
    return any(Path(name).is_absolute() for name in step.capabilities)


def _checked(desk: Desk, ways: Mapping[str, Way]) -> tuple[HostOutcome, ...]:
    steps = [step for step, _variables in ways.values()]
    capabilities = tuple(dict.fromkeys(name for step in steps for name in step.capabilities))
    hosts = tuple(dict.fromkeys(host for step in steps for host in step.hosts))
    variables = {key: value for _step, given in ways.values() for key, value in given.items()}
    if not (capabilities and hosts):
        return ()
    try:
        return rehearse(desk, PlannedStep("check", capabilities, hosts, ()), variables, PATIENCE_S).rows
    except IncidentctlError as error:
        desk.show("note", text=f"What each way out would do could not be looked at: {error.what} {error.why}")
        return tuple(HostOutcome(h, name, "not_attempted", error.what) for h in hosts for name in capabilities)
