"""A drill: a fault is done to hosts that may be broken, and the same response as ever has to find and mend it.

What is under way stands in a file before anything is broken, so that it can be taken back after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incidentctl import drill_score, drills, engine, workflow
from incidentctl import session as sessions
from incidentctl.desk import Desk, Show
from incidentctl.drill_range import Range, range_of, unless_elsewhere
from incidentctl.drill_score import Score
from incidentctl.drills import Drill, Script
from incidentctl.errors import (
    ConfigurationError,
    DecisionAwaited,
    IncidentctlError,
    LockedError,
    NotRecovered,
    Partial,
    RefusedError,
)
from incidentctl.files import lasting_text, private_folder
from incidentctl.incident import ENDED, Incident
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.phases import decision, recovery
from incidentctl.session import Session
from incidentctl.steps import Interrupted

CLEAN = "incidentctl drill --clean"


def run(session: Session, names: Iterable[str], show: Show, told: bool = False) -> Iterator[Score]:
    """Run drills one after the other; yield how each went, when all of it is taken back again.

    `told`: people are told, as of any incident. Raise RefusedError before anything is broken if a host of a drill is none
    that may be broken, or if an earlier drill was not taken back; LockedError if another one is under way, or an incident.
    """
    folder = drills.folder_of(session.settings)
    found = drills.read(folder, names)
    site = range_of(session, show)
    unless_elsewhere(site, found)
    with _alone(site):
        if (left := left_behind(session)) is not None:
            raise RefusedError(f"The drill {left} was not taken back.", "What it broke may still be broken.", CLEAN)
        for name, drill in found.items():
            try:
                score = _one(site, name, drill, told)
            except Partial as error:
                if left_behind(session) is not None:
                    raise
                score = drill_score.unmeasured(name, _in_short(error))
            yield score


def clean(session: Session, name: str | None, show: Show) -> str | None:
    """Take back a drill that was cut off, or the one that is named; return its name, None if there was nothing to do.

    Raise Partial if not all of it could be taken back.
    """
    site = range_of(session, show)
    with _alone(site):
        name = name or left_behind(session)
        if name is None:
            return None
        drill = drills.read(drills.folder_of(session.settings), [name])[name]
        unless_elsewhere(site, {name: drill})
        _take_back(site, name, drill)
        if left_behind(session) == name:
            _file(session).unlink()
        return name


def left_behind(session: Session) -> str | None:
    """Return the drill that is under way, or was cut off and not taken back. Raise ConfigurationError if that cannot be read."""
    file = _file(session)
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["drill"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = "It says which drill was not taken back, and it was changed, or the disk is bad."
        fix = f"{CLEAN} NAME takes back the drill that it was; then remove the file"
        raise ConfigurationError(f"{file} cannot be read.", why, fix) from error


def judge(scores: Iterable[Score]) -> None:
    """Raise NotRecovered if a drill was not recovered by the option that was recommended, Partial if one only was so partly."""
    results = {score.drill: score.result for score in scores}
    for wanted, told, kind in (
        ("not", "not recovered by the recommended option", NotRecovered),
        ("partly", "recovered, but the cause is not among the first three", Partial),
    ):
        if names := [name for name, result in results.items() if result == wanted]:
            raise kind(f"{', '.join(names)}: {told}.")


def _one(site: Range, name: str, drill: Drill, told: bool) -> Score:
    for other in _open_incidents(site):  # what really happens goes before any drill
        fix = f"incidentctl status {other.incident_id} says how to go on with it; then the drill"
        raise LockedError(f"{other.incident_id} is open on these hosts: no drill now.", other.title, fix)
    for script in drill.prepare:
        _do(site, script, site.meant(script), "prepare")
    _see_well(site, drill, f"{name}: all is not well before it began, so nothing was broken.")
    time.sleep(drill.quiet)
    # For good, before anything is broken. Its incident, once there is one, is found in the record.
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lasting_text(_file(site.session), json.dumps({"drill": name, "at": at}))
    try:
        score = _measured(site, name, drill, told)
    finally:
        _take_back(site, name, drill)
        _file(site.session).unlink(missing_ok=True)
    return score


def _measured(site: Range, name: str, drill: Drill, told: bool) -> Score:
    """Do the fault, have the response mend it, and score that. Raise Partial if the fault could not be done, or did nothing."""
    session = site.session
    for script in drill.inject:
        for host in site.meant(script):
            _do(site, script, (host,), "inject")
    _see_symptom(site, name, drill)
    time.sleep(drill.noticed_after)
    desk = sessions.declare(
        session, drill.title, drill.severity, session.settings.drills.hosts, (), site.show, _nobody,
        drill=name, drill_told=told, detection="a drill",
    )  # fmt: skip
    problem = _respond(replace(desk, contain_approved=True))
    served = _well(site, drill, drill.recovered_within)
    score = drill_score.score(name, drill, session.record.events(desk.incident_id), served, problem)
    session.record.append(desk.incident_id, "drilled", asdict(score), session.actor)
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
        return _in_short(error)
    return ""


def _in_short(error: IncidentctlError) -> str:
    return " ".join(part for part in (error.what, error.why.partition("\n")[0]) if part)


def _nobody(_question: str, **_facts: Any) -> None:
    """In a drill nobody is asked: the containment is approved, and what is recommended is decided."""


def _take_back(site: Range, name: str, drill: Drill) -> None:
    """Take back the fault, then what the response contained; see that all is well. Each is tried, whatever went wrong before."""
    problems: list[str] = []
    mine = [incident.incident_id for incident in _open_incidents(site) if incident.drill == name]
    for incident_id in mine:  # what a killed response left running would go on beside us
        with _noting(problems):
            engine.end_what_was_left(site.session.settings.state_dir / "incidents" / incident_id)
    for script in reversed(drill.lift):
        for host in reversed(site.meant(script)):
            with _noting(problems):
                _do(site, script, (host,), "take back")
    for incident_id in mine:
        with _noting(problems):
            desk = sessions.take_up(site.session, incident_id, site.show, _nobody)
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
    return _run(site, script, site.meant(script), "look", within_s, drill_only_looks=True).worst in SUCCESS


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


def _run(
    site: Range, script: Script, hosts: tuple[str, ...], phase: str, within_s: float = 0, **variables: Any
) -> Outcome:
    settings = site.session.settings
    given = {"drill_script": str(script.script), "drill_within_s": within_s, "incident_continue": True, **variables}
    step = Step(phase, ("drill",), hosts, given, deadline_s=settings.deadlines.phase + within_s)
    site.show("phase", phase=phase, capabilities=step.capabilities, hosts=hosts)
    outcome = engine.run(
        step, site.session.sources(), site.show, settings.secret_environment(), home=_folder(site.session)
    )
    site.show("phase_done", outcome=outcome, story=False)
    if outcome.interrupted:
        raise Interrupted(phase)
    return outcome


def _open_incidents(site: Range) -> list[Incident]:
    """Return the incidents that are open on the hosts that may be broken."""
    record = site.session.record
    found = [record.incident(incident_id) for incident_id in record.unsettled(datetime.now(UTC))]
    return [one for one in found if one.status not in ENDED and set(one.hosts) & set(site.hosts)]


@contextlib.contextmanager
def _alone(site: Range) -> Iterator[None]:
    path = private_folder(_folder(site.session)) / "lock"
    path.touch(mode=0o600)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError("Another drill is under way.", f"It holds {path}.", "wait for its end") from None
        yield


def _folder(session: Session) -> Path:
    return session.settings.state_dir / "drills"


def _file(session: Session) -> Path:
    return _folder(session) / "under_way.json"
