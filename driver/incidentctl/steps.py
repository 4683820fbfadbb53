"""Run a step: the intent is in the record before anything starts, every host's outcome after."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from incidentctl import engine, gate, ledgers, plan
from incidentctl.desk import Desk
from incidentctl.errors import Partial
from incidentctl.files import private_folder, seal
from incidentctl.outcome import SUCCESS, HostOutcome, Outcome, Step, capability_of
from incidentctl.plan import PlannedStep
from incidentctl.record import RecordError


class Interrupted(KeyboardInterrupt):
    """A phase, which it names, was stopped by Ctrl-C or SIGTERM; what it reached is recorded."""


def run_step(
    desk: Desk, step: PlannedStep, variables: Mapping[str, Any], finish: bool = True, patience_s: float | None = None
) -> Outcome:
    """Record the intent, run the step, record every host's outcome. Raise RefusedError, and Interrupted when it was stopped.

    It may take as long as any phase, or no longer than `patience_s`.
    """
    _begin(desk, step)
    outcome = _run(desk, step, step.hosts, variables, patience_s)
    return _end(desk, outcome, finish)


def rehearse(desk: Desk, step: PlannedStep, variables: Mapping[str, Any], patience_s: float) -> Outcome:
    """Run a step in check mode, within these seconds: nothing is changed, and nothing is recorded. Raise Interrupted."""
    private_folder(desk.folder)
    deadline_s = min(patience_s, desk.settings.deadlines.phase)
    given = {**_common(desk), **variables, "rate_limit_allow_proxy": True}  # a guard judges what the check says
    asked = Step(step.phase, step.capabilities, step.hosts, given, check=True, deadline_s=deadline_s)
    desk.show("busy", text="asking the hosts what would be done there")
    outcome = engine.run(asked, desk.sources, unseen, desk.settings.secret_environment(), home=desk.folder)
    _unless_cut_off(desk, outcome)
    return outcome


def run_rolling(
    desk: Desk, step: PlannedStep, variables: Mapping[str, Any], away: Sequence[HostOutcome] = ()
) -> Outcome:
    """Run a step that may hurt: one host first, then in batches of a quarter, and no further once one has failed.

    A host that cannot be reached stops nobody: the next one is tried in its place. `away` are the rows of those that are
    known not to be: they are not tried. The caller finishes the step.
    Raise LockedError, and go to no further host, if somebody took the incident over meanwhile.
    """
    _begin(desk, step)
    for row in away:
        _record_row(desk, step.phase, row)
    gone = {row.host for row in away}
    parts: list[Outcome] = [Outcome(_of(desk, step, tuple(gone), variables), tuple(away), 0.0)] if away else []
    waiting = tuple(host for host in step.hosts if host not in gone)
    while waiting:
        desk.record.must_be_ours(desk.incident_id)
        proven = any(row.outcome in SUCCESS for part in parts for row in part.rows)
        size = max(1, len(step.hosts) // 4) if proven else 1
        parts.append(_run(desk, step, waiting[:size], variables))
        waiting = waiting[size:]
        if (
            parts[-1].interrupted
            or parts[-1].killed
            or any(row.outcome in ("failed", "unknown") for row in parts[-1].rows)
        ):
            break
    skipped = tuple(
        HostOutcome(host, capability, "not_attempted", "stopped: a host before it went wrong")
        for host in waiting
        for capability in map(capability_of, step.capabilities)
    )
    for row in skipped:
        _record_row(desk, step.phase, row)
    whole = dataclasses.replace(
        parts[-1],
        rows=tuple(row for part in parts for row in part.rows) + skipped,
        seconds=sum(part.seconds for part in parts),
    )
    return _end(desk, whole, finish=False)


def _begin(desk: Desk, step: PlannedStep) -> None:
    gate.admit(desk, step)
    desk.show("phase", phase=step.phase, capabilities=step.capabilities, hosts=step.hosts)
    # For whom: a retry must find that in the record.
    services = {name: sorted({s for _, what, s in step.targets if what == name}) for name in step.capabilities}
    facts = {"capabilities": list(step.capabilities), "hosts": list(step.hosts), "services": services}
    desk.note("step_started", phase=step.phase, **facts)


def unseen(*_words: Any, **_facts: Any) -> None:
    """Show nothing: a check in a table would read as if it were done, and what is done on the side is told in a line."""


def _common(desk: Desk) -> dict[str, Any]:
    return {
        "incident_id": desk.incident_id,
        "incident_continue": True,
        "incident_evidence_dir": str(desk.folder / "evidence"),
        "rate_limit_max_source_fraction": desk.settings.guards.max_source_fraction,
    }


def _of(
    desk: Desk,
    step: PlannedStep,
    hosts: tuple[str, ...],
    variables: Mapping[str, Any],
    patience_s: float | None = None,
) -> Step:
    allowed = {"rate_limit_allow_proxy_of": gate.limited_all_the_same(desk, step)}
    given = {**_common(desk), **allowed, **variables}
    longest = desk.settings.deadlines.phase
    return Step(step.phase, step.capabilities, hosts, given, deadline_s=min(longest, patience_s or longest))


def _run(
    desk: Desk,
    step: PlannedStep,
    hosts: tuple[str, ...],
    variables: Mapping[str, Any],
    patience_s: float | None = None,
) -> Outcome:
    private_folder(desk.folder)
    recorded: dict[tuple[str, str], HostOutcome] = {}
    lost: dict[tuple[str, str], HostOutcome] = {}

    def landed(row: HostOutcome) -> None:
        lost[row.host, row.capability] = row
        _record_row(desk, step.phase, row, recorded.get((row.host, row.capability)))
        recorded[row.host, row.capability] = lost.pop((row.host, row.capability))

    try:
        outcome = engine.run(
            _of(desk, step, hosts, variables, patience_s),
            desk.sources,
            desk.show,
            desk.settings.secret_environment(),
            landed,
            desk.folder,
        )
        for row in outcome.rows:
            if recorded.get((row.host, row.capability)) != row:  # what nobody reported
                landed(row)
    except RecordError as error:
        told = [f"Not in the record, but so on the host: {_in_words(row)}" for row in lost.values()]
        went_on = "ansible-playbook was ended. An act that had begun on a host goes on to its end there."
        raise RecordError(error.what, "\n".join([error.why, *told, went_on]), error.fix) from error
    seal(desk.folder)
    return outcome


def _in_words(row: HostOutcome) -> str:
    told = "; ".join(str(action["summary"]) for action in row.actions) or row.reason
    return f"{row.host}: {row.capability} {row.outcome}" + (f": {told}" if told else "")


def _end(desk: Desk, outcome: Outcome, finish: bool) -> Outcome:
    desk.show("phase_done", outcome=outcome)
    _unless_cut_off(desk, outcome)
    if finish:
        finish_step(desk, outcome)
    return outcome


def finish_step(desk: Desk, outcome: Outcome, verdict: str | None = None, **facts: Any) -> None:
    """Record that the phase came to its end, with the worst of its outcomes unless the caller knows better."""
    desk.note("step_finished", phase=outcome.step.phase, outcome=verdict or outcome.worst, **facts)


def ask_hosts(desk: Desk, hosts: tuple[str, ...] = ()) -> Outcome:
    """Ask the ledgers of these hosts, or of all, what stands open: the record may have missed the answer.

    Return what they said; it is recorded. One that the inventory does not have any more cannot be asked, and has a row too.
    """
    meant = hosts or desk.incident().hosts
    step = Step(
        phase="resume",
        capabilities=("lift",),
        hosts=tuple(host for host in meant if host in desk.inventory.hosts),
        variables={"incident_id": desk.incident_id, "incident_continue": True},
        check=True,
        deadline_s=desk.settings.deadlines.phase,
    )
    private_folder(desk.folder)
    desk.show("busy", text="asking the hosts what was done to them")
    if step.hosts:
        hide = desk.settings.secret_environment()
        outcome = engine.run(step, desk.sources, desk.show, hide, home=desk.folder)
    else:  # Ansible takes it for an error
        engine.end_what_was_left(desk.folder)
        outcome = Outcome(step, (), 0.0)
    gone = [HostOutcome(h, "lift", "not_attempted", "not in the inventory") for h in meant if h not in step.hosts]
    outcome = dataclasses.replace(outcome, rows=(*outcome.rows, *gone))
    _unless_cut_off(desk, outcome)
    for row in outcome.rows:
        if waited := row.facts.get("waited"):
            desk.note("note", text=f"{row.host}: waited {waited['seconds']:.0f} s for {waited['for']} to end")
    ledgers.record(desk, outcome)
    return outcome


def _unless_cut_off(desk: Desk, outcome: Outcome) -> None:
    """Raise if the run did not come to its end: the phase is not finished then, and resume asks the hosts."""
    if outcome.interrupted:
        raise Interrupted(outcome.step.phase)
    if outcome.killed:
        raise Partial(
            f"{desk.incident_id}: ansible-playbook was cut off in the middle of {outcome.step.phase}.",
            "It, or a worker of it, was killed, as the kernel does when memory runs out."
            + (f" It said: {outcome.said.splitlines()[-1]}" if outcome.said else ""),
            f"incidentctl resume {desk.incident_id} asks the hosts what was done, and goes on",
        )


def _record_row(desk: Desk, phase: str, row: HostOutcome, earlier: HostOutcome | None = None) -> None:
    """Record a row when it lands: a crash in the middle of a phase must not lose what is known by then."""
    data = {k: v for k, v in dataclasses.asdict(row).items() if k != "diff"}
    desk.note("host_outcome", phase=phase, **data)
    if row.capability not in plan.LIFTABLE:
        return
    told = {action.get("entry") for action in earlier.actions} if earlier else set()
    # Unchanged may be new to this incident all the same: what another one did is from now on held by both.
    same = any(action["outcome"] == "unchanged" for action in row.actions)  # the state is read only where it matters
    known = {entry["entry"] for entry in desk.incident().contained if entry["host"] == row.host} if same else set()
    for action in row.actions:
        if action.get("entry") not in {None, *told} and not (
            action["outcome"] == "unchanged" and action["entry"] in known
        ):
            kept = {key: action[key] for key in ("entry", "target", "summary")}
            desk.note("containment_applied", host=row.host, capability=row.capability, **kept)
