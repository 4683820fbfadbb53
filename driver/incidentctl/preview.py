"""What a severity's containment would do on the hosts as they are now: checked there before anything happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from incidentctl import approval, engine
from incidentctl.desk import Show
from incidentctl.incident import Data
from incidentctl.outcome import Outcome, Step
from incidentctl.plan import Plan, PlannedStep
from incidentctl.session import Session


def look(session: Session, made: Sequence[Plan], diff: bool, show: Show) -> tuple[Outcome | None, Mapping[str, Data]]:
    """Check the containment of all these plans in one run, which changes nothing, and shows each diff if wanted.

    Return its outcome, None where nothing would be contained; and by severity what would be done, as approval.plan_of has
    it. Before an incident no service is affected: each that is in the plan is looked at as if it were.
    """
    steps = {one.severity: step for one in made for step in one.steps if step.phase == "contain"}
    if not steps:
        return None, {}
    # Of all phases: what is contained may be meant for none of them, and an empty list would mean every service.
    services = {service for one in made for step in one.steps for _host, _capability, service in step.targets}
    outcome = _checked(session, tuple(steps.values()), sorted(services), diff, show)
    return outcome, {key: _plan(outcome, step) for key, step in steps.items()}


def _checked(
    session: Session, steps: Sequence[PlannedStep], services: Sequence[str], diff: bool, show: Show
) -> Outcome:
    capabilities = tuple(dict.fromkeys(name for step in steps for name in step.capabilities))
    hosts = tuple(dict.fromkeys(host for step in steps for host in step.hosts))
    only: dict[str, Any] = {f"{name}_only": list(services) for name in capabilities}
    show("phase", phase="check", capabilities=capabilities, hosts=hosts)
    outcome = engine.run(
        Step(
            "check",
            capabilities,
            hosts,
            {**only, "incident_continue": True},
            check=True,
            diff=diff,
            deadline_s=session.settings.deadlines.phase,
        ),
        session.sources(),
        show,
        session.settings.secret_environment(),
    )
    show("phase_done", outcome=outcome, story=diff)  # what it says is told with each plan
    return outcome


def _plan(outcome: Outcome, step: PlannedStep) -> Data:
    """Return the plan of one severity; `besides` tells what of it is never taken back: a backup, a rehearsal.

    `skipped` tells of each capability that no host would do anything of why that is.
    """
    found = approval.plan_of(outcome.rows, step.hosts, step.capabilities)
    besides = [
        f"{row.host}: {action['summary']}"
        for row in outcome.rows
        for action in row.actions
        if row.capability in step.capabilities and "after" not in action
        if action["outcome"] == "done" or action.get("news")
    ]
    return {**found, "besides": besides}
