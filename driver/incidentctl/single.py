"""One playbook of the collection, outside of the order of an incident: `incidentctl play`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidentctl import engine, plan, workflow
from incidentctl.desk import Desk, Show
from incidentctl.errors import NotRecovered, Partial, RefusedError, UsageError
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.session import Session
from incidentctl.settings import Settings
from incidentctl.steps import run_step
from incidentctl.text import nearest

# These act also on hosts that do not run the service: the one with Prometheus, any with something in its ledger.
_ELSEWHERE = ("enhanced_monitoring", "lift")
# What may be played; `verdict` alone means nothing.
CAPABILITIES = (*plan.CONTAINMENTS, *plan.TRIAGE, "diagnosis", "hotfix", "lift", "rollback")


@dataclass(frozen=True)
class Play:
    """What a person asked for."""

    name: str
    services: tuple[str, ...] = ()
    limit: str | None = None
    check: bool = False
    diff: bool = False


def by_hand(session: Session, play: Play, show: Show) -> Outcome:
    """Run it as `ansible-playbook` would, under the incident id `adhoc`; the host's ledger is the only record."""
    step = _planned(play, session.hosts(), session.settings)
    show("phase", phase=step.phase, capabilities=step.capabilities, hosts=step.hosts)
    outcome = engine.run(
        Step(
            step.phase,
            step.capabilities,
            step.hosts,
            _variables(play),
            play.check,
            play.diff,
            deadline_s=session.settings.deadlines.phase,
        ),
        session.sources(),
        show,
        session.settings.secret_environment(),
    )
    show("phase_done", outcome=outcome)
    if play.name == "diagnosis":
        show("findings", rows=outcome.rows)
    return outcome


def within(desk: Desk, play: Play) -> Outcome:
    """Run it as a step of an incident: recorded there, and lifted with it."""
    if play.check:
        raise UsageError("--check belongs to no incident.", fix="leave out --incident")
    step = _planned(play, desk.inventory, desk.settings)
    with workflow.at_work(desk):
        variables = {
            k: v for k, v in _variables(play).items() if k != "incident_evidence_dir"
        }  # the incident has its own
        return run_step(desk, step, variables)


def judge(outcome: Outcome) -> None:
    """Raise Partial if some hosts went wrong, NotRecovered if all did."""
    wrong = [row for row in outcome.rows if row.outcome not in SUCCESS]
    if not wrong:
        return
    told = "\n".join(f"{row.host}: {row.outcome}: {row.reason}" for row in wrong)
    kind = NotRecovered if len(wrong) == len(outcome.rows) else Partial
    raise kind(f"{outcome.step.phase}: {len(wrong)} of {len(outcome.rows)} hosts went wrong.", told)


def _planned(play: Play, inventory: Inventory, settings: Settings) -> PlannedStep:
    if play.name not in CAPABILITIES:
        raise UsageError(
            f"There is no playbook {play.name!r}{nearest(play.name, CAPABILITIES)}.",
            fix=f"choose from: {', '.join(sorted(CAPABILITIES))}",
        )
    if play.name in ("hotfix", "isolation", "rollback") and not play.services:
        raise RefusedError(f"{play.name}: of which service?", fix="name it with --service")
    hosts = plan.narrow(inventory, play.limit)
    services = plan.in_scope(inventory, hosts, play.services)
    if play.services and play.name not in _ELSEWHERE:
        hosts = tuple(host for host in hosts if any(host in service.hosts for service in services))
    step = plan.step(play.name, (play.name,), hosts, services)
    guards = settings.guards
    made = plan.Plan("", (step,))
    plan.guard(made, inventory, guards.max_hosts_changed, guards.max_fraction_changed, guards.never_isolate)
    return step


def _variables(play: Play) -> dict[str, Any]:
    # Where the command was given: Ansible itself works in a private folder that is gone afterwards.
    found: dict[str, Any] = {"incident_continue": True, "incident_evidence_dir": str(Path.cwd() / "evidence")}
    if play.services:
        found["incident_only"] = list(play.services)
    return found
