"""One playbook of the collection, outside of the order of an incident: `incidentctl play`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from incidentctl import (
    engine,
    evidence,
    evidence_manifest,
    gate,
    guards,
    history,
    judgement,
    monitoring,
    plan,
    retry,
    workflow,
)
from incidentctl.desk import Desk, Show
from incidentctl.errors import NotRecovered, Partial, RefusedError, UsageError
from incidentctl.history import History
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.retry import Left
from incidentctl.session import Session
from incidentctl.settings import Settings
from incidentctl.steps import ask_hosts, run_step
from incidentctl.text import nearest

_NARROW, _AGAIN = "the same with --limit or --service", "the same with"
# These act also on hosts that do not run the service: the one with Prometheus, any with something in its ledger.
_ELSEWHERE = ("enhanced_monitoring", "lift")
_RECOVERIES = ("hotfix", "restart", "rollback")


@dataclass(frozen=True)
class Play:
    """What a person asked for."""

    name: str
    services: tuple[str, ...] = ()
    limit: str | None = None
    check: bool = False
    diff: bool = False
    retry: bool = False
    override: tuple[str, ...] = ()


def by_hand(session: Session, play: Play, show: Show) -> Outcome | None:
    """Run it as `ansible-playbook` would, under the incident id `adhoc`; the host's ledger is the only record.

    With `retry`, only where the last one went wrong; None if there is no such host. Raise RefusedError if a guard does.
    """
    left = retry.by_hand(session.settings.state_dir, _known(play.name)) if play.retry else None
    if left is not None:
        session = replace(session, inventory=session.inventory or left.inventory)
    if play.retry and left is None:
        return _say_that_nothing_is_left(play, show)
    inventory = session.hosts()
    if not _hosts(play, inventory, left):
        return _say_that_nothing_is_left(play, show)
    play, step = _planned(play, inventory, left)
    _unless_refused(session, inventory, play, step, show)
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
    if not play.check:
        done = retry.Left(step.hosts, play.services, play.name, session.sources())
        retry.keep(session.settings.state_dir, done, outcome.rows)
    show("phase_done", outcome=outcome)
    if play.name == "diagnosis":
        _show_findings(session.settings, outcome, inventory, show)
    elif play.name == "health_check":
        show("roots", roots=judgement.roots(outcome.rows, inventory))
    return outcome


def _show_findings(settings: Settings, outcome: Outcome, inventory: Inventory, show: Show) -> None:
    told, problems = _history(settings, outcome, inventory)
    for problem in problems:
        show("note", text=f"monitoring: {problem}")
    show("findings", judged=judgement.of(outcome.rows, inventory, told), history=told)


def data(session: Session, outcome: Outcome | None) -> Any:
    """Return what was played as data for --json: a list of rows; of a diagnosis, an object of them and what they come to."""
    rows = [asdict(row) for row in outcome.rows] if outcome else []
    if outcome is None or outcome.step.capabilities != ("diagnosis",):
        return rows
    inventory = session.hosts()
    told, _problems = _history(session.settings, outcome, inventory)
    return {"rows": rows, **told.as_data(), **judgement.of(outcome.rows, inventory, told).as_data()}


def _history(settings: Settings, outcome: Outcome, inventory: Inventory) -> tuple[History, list[str]]:
    """Return when it began and what changed, by the hosts and by the monitoring, and which monitoring does not answer."""
    names = {name for host in outcome.step.hosts for name in (host, inventory.addresses.get(host, host))}
    down, problems = monitoring.down_since(settings.monitoring, names)
    return history.read(outcome.rows, down), problems


def within(desk: Desk, play: Play) -> Outcome | None:
    """Run it as a step of an incident: recorded there, and lifted with it.

    With `retry`, only where its containment, or the last play of it, went wrong; None if there is no such host.
    """
    if play.check:
        raise UsageError("--check belongs to no incident.", fix="leave out --incident")
    events = desk.record.events(desk.incident_id)
    left = retry.of_incident(desk.incident(), events, _known(play.name)) if play.retry else None
    if play.retry and (left is None or not _hosts(play, desk.inventory, left)):
        return _say_that_nothing_is_left(play, desk.show)
    play, step = _planned(play, desk.inventory, left)
    desk = replace(desk, override=play.override)
    gate.unless_refused(desk, step, _NARROW, _AGAIN)  # before the hosts are asked for what was cut off
    with workflow.at_work(desk):
        variables = {
            k: v for k, v in _variables(play).items() if k != "incident_evidence_dir"
        }  # the incident has its own
        if left is not None:
            ask_hosts(desk, step.hosts)  # what became of an act whose answer was lost
        outcome = run_step(desk, step, variables)
        if play.name == evidence_manifest.CAPABILITY:
            evidence.keep(desk, outcome)
    if play.name == "diagnosis":
        _show_findings(desk.settings, outcome, desk.inventory, desk.show)
    return outcome


def judge(outcome: Outcome, again: str) -> None:
    """Raise Partial if some hosts went wrong, NotRecovered if all did; `again` is the command for those."""
    wrong = [row for row in outcome.rows if row.outcome not in SUCCESS]
    if not wrong:
        return
    told = "\n".join(f"{row.host}: {row.outcome}: {row.reason}" for row in wrong)
    kind = NotRecovered if len(wrong) == len(outcome.rows) else Partial
    raise kind(
        f"{outcome.step.phase}: {len(wrong)} of {len(outcome.rows)} hosts went wrong.",
        told,
        again and f"see to them, then {again}",
    )


def _known(name: str) -> str:
    if name not in plan.PLAYABLE:
        raise UsageError(
            f"There is no playbook {name!r}{nearest(name, plan.PLAYABLE)}.",
            fix=f"choose from: {', '.join(sorted(plan.PLAYABLE))}",
        )
    return name


def _say_that_nothing_is_left(play: Play, show: Show) -> Outcome | None:
    where = f" within --limit {play.limit}" if play.limit else ""
    show("note", text=f"{play.name}: there is no host{where} on which it went wrong. Nothing was done.")
    return None


def _hosts(play: Play, inventory: Inventory, left: Left | None) -> tuple[str, ...]:
    if left is None:
        return plan.narrow(inventory, play.limit)
    meant = plan.narrow(inventory, play.limit) if play.limit is not None else left.hosts
    return tuple(host for host in plan.narrow(inventory, ",".join(left.hosts)) if host in meant)


def _planned(play: Play, inventory: Inventory, left: Left | None) -> tuple[Play, PlannedStep]:
    """Return the play with the services that it is for, and its step."""
    _known(play.name)
    if left is not None:
        if play.services:
            raise UsageError("--retry is for the services of the play that went wrong.", fix="leave out --service")
        play = replace(play, services=left.services)
    if play.name == "lift" and play.services:
        raise UsageError(
            "lift goes by what the hosts' ledgers have, not by service.",
            "With --service it would take back all of it.",
            "name hosts with --limit; one entry alone: incidentctl lift INC --only CAPABILITY/TARGET",
        )
    if play.name in (*_RECOVERIES, "isolation", "quarantine") and not play.services:
        raise RefusedError(f"{play.name}: of which service?", fix="name it with --service")
    hosts = _hosts(play, inventory, left)
    services = plan.in_scope(inventory, hosts, play.services)
    if play.services and play.name not in _ELSEWHERE:
        hosts = tuple(host for host in hosts if any(host in service.hosts for service in services))
    step = plan.step(left.phase if left else play.name, (play.name,), hosts, services)
    return play, step


def _unless_refused(session: Session, inventory: Inventory, play: Play, step: PlannedStep, show: Show) -> None:
    """A look changes nothing, so that it may be taken all the same: it says what would be refused."""
    found = gate.refusals(session.settings, inventory, session.record, (step,))
    left = [refusal for refusal in found if refusal.guard not in play.override]
    if left and not play.check:
        raise guards.refused(left, play.name, _NARROW, _AGAIN)
    for refusal in found:
        told = f"{refusal.guard} is overridden: {refusal.told}."
        if refusal in left:
            told = f"Without --check it would be refused by {refusal.guard} ({refusal.override}): {refusal.told}."
        show("note", text=told)


def _variables(play: Play) -> dict[str, Any]:
    # Where the command was given: Ansible itself works in a private folder that is gone afterwards.
    found: dict[str, Any] = {"incident_evidence_dir": str(Path.cwd() / "evidence")}
    # A recovery that made one host worse goes on to no other: in its playbook's batches, Ansible stops at a failed task.
    found["incident_continue"] = play.check or play.name not in _RECOVERIES
    if play.name == "restart":
        found["restart_again"] = True  # who asks for it by hand does not mean the one before
    if play.services:
        found["incident_only"] = list(play.services)
    if "proxy" in play.override:  # which the host itself refuses: only there it is known
        found["rate_limit_allow_proxy"] = True
    return found
