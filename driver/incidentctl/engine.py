"""A Step in, an Outcome out. The only module that knows ansible-runner.

One step is one ansible-playbook run over import-only plays. Every (host, capability) of the step ends
with exactly one outcome, also when the run was cut off (docs/contracts.md, 6).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import ansible_runner
import yaml

from incidentctl import ansible_setup, processes, reasons, stopping
from incidentctl.arrivals import Watch
from incidentctl.errors import IncidentctlError
from incidentctl.files import private_folder
from incidentctl.outcome import HostOutcome, Outcome, Step, complete, merged, worst

COLLECTION = "incidentctl.response"
_SAID_LINES = 40
_RUN = "run-"
# Of these a second task brings home what the first one has made.
_SEVERAL_TASKS = ("rate_limit", "quarantine", "circuit_breaker")


def run(
    step: Step,
    inventory: tuple[str, ...],
    show: Callable[..., None],
    hide: frozenset[str] = frozenset(),
    landed: Callable[[HostOutcome], None] | None = None,
    home: Path | None = None,
) -> Outcome:
    """Run the step on its hosts, tell `show("cell", host=, capability=, outcome=)` as they come in, with `told=` how far.

    `hide` names environment variables that hold secrets: Ansible does not get them. `landed` gets each host's row when
    it comes in, and anew when a later task adds to it; if it raises, the run is ended, and what it raised first is raised
    again: until then it goes on to get what comes in.
    `home` is the incident's folder, and its lock is held: what a killed driver left running there is ended first.
    Ctrl-C and SIGTERM end ansible-playbook and come back as an Outcome with `interrupted`, never as an exception: what
    was reached must be recorded first; so does, with `killed`, an ansible-playbook that did not come to its
    end because it, or a worker of it, was killed. Raise IncidentctlError if ansible-playbook could not start its work at all.
    """
    if not step.hosts:  # an empty --limit means every host of the inventory to Ansible
        return Outcome(step, (), 0.0)
    started = time.monotonic()
    broken: list[Exception] = []
    rows: dict[tuple[str, str], HostOutcome] = {}
    begun: set[tuple[str, str]] = set()
    said: list[str] = []

    ended = threading.Event()

    def on_event(event: dict[str, Any]) -> bool:
        if event.get("event") == "playbook_on_stats":
            ended.set()
        row = _take(event, rows, begun, said, show)
        if row is not None and landed is not None:
            try:
                landed(row)
            except Exception as error:  # here it would leave ansible-playbook running alone
                broken.append(error)
        return False  # nothing of it is written to disk

    late = threading.Event()
    arrivals = Watch(step, show)

    def cut_off() -> bool:
        """Our own deadline, for ansible-runner's would leave Ansible's workers alive; and a look at what arrives meanwhile."""
        arrivals.look(begun, rows)
        if time.monotonic() - started > step.deadline_s:
            late.set()
        if not (late.is_set() or stopped.is_set() or broken):
            return False
        processes.end(processes.controllers_below(os.getpid()))
        return True

    if home is not None:
        end_what_was_left(home)
    with _private_folder(home) as folder, _stop_requests() as stopped:
        _write_project(folder, step)
        try:
            runner = ansible_runner.run(
                private_data_dir=str(folder),
                playbook=str(folder / "project" / "phase.yml"),  # whole: it tells the process apart (end_what_was_left)
                inventory=list(inventory),
                limit=",".join(step.hosts),
                extravars=dict(step.variables),
                envvars={**ansible_setup.environment(_patience_s(step)), processes.MARK: str(folder)},
                cmdline=" ".join(flag for flag, on in (("--check", step.check), ("--diff", step.diff)) if on) or None,
                event_handler=on_event,
                status_handler=lambda _status, runner_config: _forget(runner_config.env, hide),
                cancel_callback=cut_off,
                suppress_env_files=True,
                quiet=True,
            )
        except OSError:  # it writes to the disk that has just failed our record
            if not broken:
                raise
            raise broken[0] from None
        # ansible-runner has no exit code of a process that a signal ended; and without a worker that was killed
        # ansible-playbook gives up.
        status, killed = runner.status, runner.rc is None or bool(begun and not ended.is_set())
    if broken:
        raise broken[0]
    interrupted = stopped.is_set()
    killed = killed and not (interrupted or late.is_set())
    cut = f"timed out after {step.deadline_s:.0f} s" if late.is_set() else "cut off" if interrupted or killed else ""
    if cut and not step.check:
        rows = {pair: _as_far_as_it_came(row) for pair, row in rows.items()}
    if not rows and not (interrupted or killed) and status == "failed" and not begun:
        raise IncidentctlError(
            f"Ansible could not begin the phase {step.phase}.",
            "\n".join(said[-12:]),
            "look at the lines above; ansible-playbook would say the same",
        )
    return Outcome(
        step=step,
        rows=tuple(complete(step, rows, begun, cut)),
        seconds=time.monotonic() - started,
        interrupted=interrupted,
        killed=killed,
        timed_out=late.is_set(),
        said="\n".join(said),
    )


@contextlib.contextmanager
def _private_folder(home: Path | None) -> Iterator[Path]:
    # Below `home` it is also how the next driver finds what runs in it, from before there is a process to note down.
    folder = Path(tempfile.mkdtemp(prefix=_RUN if home else "incidentctl-", dir=home and home.resolve()))
    folder.chmod(0o700)  # whatever the umask
    try:
        yield folder
    finally:
        processes.end_controllers_of(folder)  # ansible-runner leaves it alone when it cannot write its own files
        processes.end(processes.clients_of(folder))
        shutil.rmtree(folder, ignore_errors=True)  # nothing in it is kept: the record holds what counts


def end_what_was_left(home: Path) -> None:
    """End the runs of a driver that was killed: ansible-playbook lives on without it, and would act beside us.

    Modules that run on this machine are let finish, as they would be on a remote host: half an act is worse. They hold
    their host's turn until then (plugins/module_utils/_ledger.py).
    """
    for folder in home.resolve().glob(f"{_RUN}*"):
        if not processes.end_controllers_of(folder):
            raise IncidentctlError(
                "ansible-playbook of an earlier run is still at work, and cannot be ended.",
                f"It runs in {folder}.",
                f"end it as the user who started it: pgrep -f {folder}",
            )
        processes.end(processes.clients_of(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _patience_s(step: Step) -> float | None:
    """Return how long one task may take on one host; None if that need not be bounded.

    Ansible has all hosts wait for the slowest after each task. One that hangs must leave the others time for what comes
    after; where nothing does, it has all the time there is.
    """
    return step.deadline_s / 2 if len(step.capabilities) > 1 or step.capabilities[0] in _SEVERAL_TASKS else None


def _as_far_as_it_came(row: HostOutcome) -> HostOutcome:
    """Of a run that was cut off, the row of a task whose capability had more to do there, and did not come to it."""
    if row.facts.get("to_confirm"):
        why = "cut off before a fresh login confirmed it: the host undoes it by itself"
    elif row.facts.get("egress") and "to_confirm" not in row.facts:
        why = "cut off before the egress was reset"
    else:
        return row
    return dataclasses.replace(row, outcome=worst((row.outcome, "unknown")), reason=why)


def _write_project(folder: Path, step: Step) -> None:
    plays: list[dict[str, Any]] = []
    for name in step.capabilities:
        own = Path(name).is_absolute()
        plays.append({"name": Path(name).stem, "import_playbook": name if own else f"{COLLECTION}.{name}"})
    plays.append({"name": "Verdict", "import_playbook": f"{COLLECTION}.verdict"})
    for part in ("project", "env"):
        private_folder(folder / part)
    (folder / "project" / "phase.yml").write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    # ansible-runner drops settings that are passed as an argument when env/ has no file of them. Its default
    # of five seconds between two looks would delay a cancel by as much.
    settings = {"pexpect_timeout": 0.2, "suppress_output_file": True}
    (folder / "env" / "settings").write_text(json.dumps(settings), encoding="utf-8")


@contextlib.contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event for as long as Ansible runs (main thread only)."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.note(number)
        stopped.set()

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget(env: dict[str, str], names: frozenset[str]) -> None:
    for name in names:
        env.pop(name, None)


def _take(
    event: dict[str, Any],
    rows: dict[tuple[str, str], HostOutcome],
    begun: set[tuple[str, str]],
    said: list[str],
    show: Callable[..., None],
) -> HostOutcome | None:
    """Take one event of ansible-runner into the rows; return the row that it made or changed."""
    kind, data = event.get("event"), event.get("event_data") or {}
    host, capability = data.get("host"), _capability(data)
    if kind == "verbose" and str(event.get("stdout", "")).strip():
        said.append(str(event["stdout"]))
        del said[:-_SAID_LINES]
    if not host or not capability or capability == "verdict":
        return None
    pair = (host, capability)
    if kind == "runner_on_start":
        if pair not in begun:
            begun.add(pair)
            show("cell", host=host, capability=capability, outcome="running")
        return None
    row = _row(kind, host, capability, data)
    if row is not None:
        begun.add(pair)
        rows[pair] = row = merged(rows[pair], row) if pair in rows else row
        show("cell", host=host, capability=capability, outcome=row.outcome)
    return row


def _row(kind: Any, host: str, capability: str, data: dict[str, Any]) -> HostOutcome | None:
    res = data.get("res") or {}
    block = res.get("incident")
    if isinstance(block, dict):
        diff = res.get("diff") or []
        return HostOutcome(
            host=host,
            capability=capability,
            outcome=str(block.get("outcome")),
            reason=str(block.get("reason", "")),
            actions=tuple(block.get("actions") or ()),
            facts=_timed(block.get("facts") or {}, data),
            files=tuple(block.get("files") or ()),
            diff=tuple(diff if isinstance(diff, list) else [diff]),
        )
    away = kind == "runner_on_unreachable"
    if away or (kind == "runner_on_failed" and not data.get("ignore_errors")):
        outcome, why = reasons.in_words(away, res, float(data.get("duration") or 0))
        # ssh says no word of an agent that it could not ask.
        gone = why.startswith(reasons.NO_LOGIN) and processes.agent_is_gone(os.environ.get("SSH_AUTH_SOCK", ""))
        return HostOutcome(host, capability, outcome, reasons.NO_AGENT if gone else why)
    return None


def _timed(facts: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Beside what a host says that it is `now`: between which moments, by our clock, it said so."""
    clock = facts.get("clock")
    if not isinstance(clock, dict) or "now" not in clock:
        return facts
    return {**facts, "clock": {**clock, "asked_at": data.get("start"), "answered_at": data.get("end")}}


def _capability(data: dict[str, Any]) -> str:
    """The role's own name; outside of a role the playbook's file name (a playbook of the user's own)."""
    role = data.get("resolved_role") or data.get("role")
    if role:
        return str(role).rpartition(".")[2]
    return Path(str(data.get("task_path") or "").rpartition(":")[0]).stem
