"""A drill: a fault is done to hosts that may be broken, and the same response as ever has to find and mend it.

What is under way stands in a file before anything is broken, so that it can be taken back after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incidentctl import drill_score, drills, engine, plan, workflow
from incidentctl import session as sessions
from incidentctl.desk import Desk, Show
from incidentctl.drill_score import Score
from incidentctl.drills import Drill, Script
from incidentctl.errors import DecisionAwaited, IncidentctlError, LockedError, NotRecovered, Partial, RefusedError
from incidentctl.files import lasting_text, private_folder
from incidentctl.incident import ENDED
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.phases import decision, recovery
from incidentctl.plan import Inventory
from incidentctl.session import Session
from incidentctl.steps import Interrupted

CLEAN = "incidentctl drill --clean"


@dataclass(frozen=True)
class Range:
    """The hosts that may be broken, and how they are reached."""

    session: Session
    inventory: Inventory
    hosts: tuple[str, ...]
    show: Show

    @property
    def folder(self) -> Path:
        """Where drills keep what is under way."""
        return self.session.settings.state_dir / "drills"


def run(session: Session, names: Iterable[str], show: Show, told: bool = False) -> Iterator[Score]:
    """Run drills one after the other; yield how each went, when all of it is taken back again.

    `told`: people are told, as of any incident. Raise RefusedError before anything is broken if a host of a drill is none
    that may be broken, or if an earlier drill was not taken back; LockedError if another one is under way, or an incident.
    """
    folder = drills.folder_of(session.settings)
    found = drills.read(folder, names)
    site = _range(session, show)
    _unless_elsewhere(found, site)
    with _alone(site):
        if (left := _under_way(site)) is not None:
            raise RefusedError(f"The drill {left['drill']} was not taken back.", f"It began at {left['at']}.", CLEAN)
        for name, drill in found.items():
            try:
                score = _one(site, name, drill, told)
            except Partial as error:
                if _under_way(site) is not None:
                    raise
                score = drill_score.unmeasured(name, error.what)
            yield score


def clean(session: Session, name: str | None, show: Show) -> str | None:
    """Take back a drill that was cut off, or the one that is named; return its name, None if there was nothing to do.

    Raise Partial if not all of it could be taken back.
    """
    site = _range(session, show)
    with _alone(site):
        left = _under_way(site)
        if name is None and left is not None:
            name = str(left["drill"])
        if name is None:
            return None
        drill = drills.read(drills.folder_of(session.settings), [name])[name]
        _unless_elsewhere({name: drill}, site)
        mine = left is not None and left["drill"] == name
        _take_back(site, drill, left["incident_id"] if left and mine else None)
        if mine:
            _file(site).unlink(missing_ok=True)
        return name


def judge(scores: Iterable[Score]) -> None:
    """Raise NotRecovered if a drill was not recovered by the option that was recommended, Partial if one only was so partly."""
    results = {score.drill: score.result for score in scores}
    for wanted, told, kind in (
        ("not", "not recovered by the recommended option", NotRecovered),
        ("partly", "recovered, but the cause is not among the first three", Partial),
    ):
        if names := [name for name, result in results.items() if result == wanted]:
            raise kind(f"{', '.join(names)}: {told}.")


def _range(session: Session, show: Show) -> Range:
    drills.folder_of(session.settings)
    inventory = session.hosts()
    return Range(session, inventory, plan.narrow(inventory, session.settings.drills.hosts), show)


def _unless_elsewhere(found: Mapping[str, Drill], site: Range) -> None:
    """A drill is for hosts that may be broken: one that would touch any other is refused, before anything is done."""
    wrong = [
        f"{name}: {host} is none of them"
        for name, drill in found.items()
        for host in dict.fromkeys(host for script in drill.scripts() for host in _hosts(site, script))
        if host not in site.hosts
    ]
    if wrong:
        raise RefusedError(
            f"Drills may only break {site.session.settings.drills.hosts} (`drills.hosts` of incidentctl.yml): nothing was done.",
            "\n".join(wrong),
            "correct the drill's hosts; or, if they may be broken, drills.hosts",
        )


def _one(site: Range, name: str, drill: Drill, told: bool) -> Score:
    session = site.session
    _unless_open(site)
    for script in drill.prepare:
        _do(site, script, _hosts(site, script), "prepare")
    _see_well(site, drill, f"{name}: all is not well before it began, so nothing was broken.")
    time.sleep(drill.quiet)
    _begin(site, name, None)
    try:
        for script in drill.inject:
            for host in _hosts(site, script):
                _do(site, script, (host,), "inject")
        _see_symptom(site, name, drill)
        time.sleep(drill.noticed_after)
        pattern = session.settings.drills.hosts
        desk = sessions.declare(
            session, drill.title, drill.severity, pattern, (), site.show, _nobody,
            drill=name, drill_told=told, detection="a drill",
        )  # fmt: skip
        _begin(site, name, desk.incident_id)
        problem = _respond(replace(desk, contain_approved=True))
        served = _well(site, drill, drill.recovered_within)
        score = drill_score.score(name, drill, session.record.events(desk.incident_id), served, problem)
        session.record.append(desk.incident_id, "drilled", asdict(score), session.actor)
    finally:
        left = _under_way(site) or {}
        _take_back(site, drill, left.get("incident_id"))
        _file(site).unlink(missing_ok=True)
    return score


def _respond(desk: Desk) -> str:
    """Drive the incident as `run --yes` does, and decide for what is recommended. Return what went wrong, in words."""
    try:
        with contextlib.suppress(DecisionAwaited):
            workflow.drive(desk)
        option = drill_score.recommended(desk.incident())
        if desk.incident().decision is not None or option is None:
            return ""
        decision.answer(desk, str(option["key"]), option.get("playbook"))
        with contextlib.suppress(DecisionAwaited):  # what was mitigated waits for its proper fix
            workflow.drive(desk)
    except IncidentctlError as error:
        return " ".join(part for part in (error.what, error.why.partition("\n")[0]) if part)
    return ""


def _nobody(_question: str, **_facts: Any) -> None:
    """In a drill nobody is asked: the containment is approved, and what is recommended is decided."""


def _take_back(site: Range, drill: Drill, incident_id: str | None) -> None:
    """Take back the fault, then what the response contained; see that all is well. Each is tried, whatever went wrong before."""
    problems: list[str] = []
    for script in reversed(drill.lift):
        for host in reversed(_hosts(site, script)):
            with _noting(problems):
                _do(site, script, (host,), "take back")
    if incident_id is not None:
        with _noting(problems):
            desk = sessions.take_up(site.session, incident_id, site.show, _nobody)
            if desk.incident().status not in ENDED:
                with workflow.at_work(desk):
                    recovery.lift(desk)
                    recovery.close(desk)
    with _noting(problems):
        _see_well(site, drill, "All is not well after the fault was taken back.")
    if problems:
        raise Partial("The drill is not wholly taken back.", "\n".join(problems), f"see to it, then {CLEAN}")


@contextlib.contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except IncidentctlError as error:
        problems.append(" ".join(part for part in (error.what, error.why) if part))


def _do(site: Range, script: Script, hosts: tuple[str, ...], phase: str) -> None:
    """Run a script on these hosts. Raise Partial if it fails on one."""
    outcome = _run(site, script, hosts, phase)
    if outcome.worst not in SUCCESS:
        told = "\n".join(f"{row.host}: {row.reason}" for row in outcome.rows if row.outcome not in SUCCESS)
        raise Partial(f"{script.script} failed.", told, "correct the script")


def _holds(site: Range, script: Script, within_s: float) -> bool:
    """Wait until a look holds on all of its hosts; say whether it came to that."""
    look = {"drill_only_looks": True, "drill_within_s": within_s}
    return _run(site, script, _hosts(site, script), "look", **look).worst in SUCCESS


def _well(site: Range, drill: Drill, within_s: float) -> bool:
    return all(_holds(site, script, within_s) for script in drill.recovered)


def _see_well(site: Range, drill: Drill, otherwise: str) -> None:
    if not _well(site, drill, drill.recovered_within):
        told = f"`recovered` does not hold within {drill.recovered_within:.0f} s"
        raise Partial(otherwise, told, "look at these hosts; the drill's own lift may be tried again: " + CLEAN)


def _see_symptom(site: Range, name: str, drill: Drill) -> None:
    if drill.symptom is not None:
        if not _holds(site, drill.symptom, drill.symptom_within):
            raise Partial(f"{name} has no effect: {drill.symptom.script} does not hold.", fix="correct the drill")
        return
    until = time.monotonic() + drill.symptom_within
    while _well(site, drill, 0):
        if time.monotonic() > until:
            raise Partial(f"{name} has no effect: all is still well.", fix="correct the drill")
        time.sleep(1)


def _run(site: Range, script: Script, hosts: tuple[str, ...], phase: str, **variables: Any) -> Outcome:
    settings = site.session.settings
    step = Step(
        phase=phase,
        capabilities=("drill",),
        hosts=hosts,
        variables={"drill_script": str(script.script), "incident_continue": True, **variables},
        deadline_s=settings.deadlines.phase,
    )
    site.show("phase", phase=phase, capabilities=step.capabilities, hosts=hosts)
    outcome = engine.run(step, site.session.sources(), site.show, settings.secret_environment(), home=site.folder)
    site.show("phase_done", outcome=outcome, story=False)
    if outcome.interrupted:
        raise Interrupted(phase)
    return outcome


def _hosts(site: Range, script: Script) -> tuple[str, ...]:
    return plan.narrow(site.inventory, ",".join(script.hosts))


def _unless_open(site: Range) -> None:
    """What really happens goes before any drill."""
    record = site.session.record
    for incident_id in record.unsettled(datetime.now(UTC)):
        incident = record.incident(incident_id)
        if incident.status not in ENDED and set(incident.hosts) & set(site.hosts):
            fix = f"incidentctl status {incident_id} says how to go on with it; then the drill"
            raise LockedError(f"{incident_id} is open on these hosts: no drill now.", incident.title, fix)


@contextlib.contextmanager
def _alone(site: Range) -> Iterator[None]:
    path = private_folder(site.folder) / "lock"
    path.touch(mode=0o600)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError("Another drill is under way.", f"It holds {path}.", "wait for its end") from None
        yield


def _file(site: Range) -> Path:
    return site.folder / "under_way.json"


def _begin(site: Range, name: str, incident_id: str | None) -> None:
    """Note down, for good, what is about to be broken."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lasting_text(_file(site), json.dumps({"drill": name, "incident_id": incident_id, "at": at}))


def _under_way(site: Range) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(_file(site).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
