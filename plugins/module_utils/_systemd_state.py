"""Stop the units of a service with what would start them again and what goes down with them, and start exactly these again.

Nothing is enabled, disabled or masked: what starts with the host starts with it again.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _systemd
from ansible_collections.incidentctl.response.plugins.module_utils._systemd import TRIGGERS, Unit, UnitError, look

_LOGINS = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket")
_START_S = 100.0  # systemd itself gives a unit 90 s, unless it says otherwise
_STEADY_S = 0.5  # what crashes at once is not running
_PAUSE_S = 0.1
_JOURNAL_S = 10.0
_SLACK_S = 20.0  # beyond the grace: to be killed, to clear up
_TOLD = 5  # processes that are named


class Plan(NamedTuple):
    """What stopping a service comes to."""

    units: list[str]  # what runs and is to be stopped, in the order in which it is started again
    family: list[str]  # all that would be, if it ran
    down: list[str]  # what it names as needed or wanted, and stands still: starting it must not start that
    definition: str  # what its files say, as a hash
    said: str  # how it is, in words
    refusal: str  # why it must not be stopped; mostly nothing


def plan(unit: str) -> Plan:
    """Return what stopping a service's unit comes to: what would start it again is stopped too.

    Those are its sockets, timers and paths, and those of what goes down with it. Raise UnitError if it is not there.
    """
    own = [_systemd.require(each) for each in _systemd.own(unit)]
    own += look(name for each in own if each.is_trigger for name in each.names("Triggers"))
    # A socket must be there before its service: beside one that runs systemd starts none.
    family = sorted(_systemd.closure(own, (*_systemd.BRINGS_DOWN, "TriggeredBy")), key=lambda each: not each.is_trigger)
    runs = [each for each in family if not each.is_down]
    known = {each.name for each in family}
    needed = [each for each in _systemd.closure(runs, _systemd.PULLS_IN, _is_plain) if each.name not in known]
    return Plan(
        [each.name for each in runs],
        [each.name for each in family],
        [each.name for each in needed if each.is_down and not each.runs_once],
        _definition(own),
        ", ".join(filter(None, map(_how, own))),
        "; ".join(filter(None, map(_refusal, runs))),
    )


def stop(units: list[str], grace_s: float) -> list[str]:
    """Stop these units and see them down; what is not after `grace_s` seconds of stopping is killed.

    Return what had to be killed, and what is left running although its unit is down. Raise UnitError.
    """
    groups = {each.name: each.said.get("ControlGroup", "") for each in look(units) if not each.is_down}
    if not groups:
        return []
    there = {name: processes(group) for name, group in groups.items()}
    seen = dict(there)  # systemd may kill before we look again
    _do("stop", "--no-block", "--", *groups)
    began: dict[str, float] = {}
    killed: list[str] = []
    until = time.monotonic() + len(groups) * grace_s + _SLACK_S
    while still := [each for each in look(groups) if not each.is_down]:
        now = time.monotonic()
        if now > until:
            raise UnitError(f"stopping was accepted, but {_listed([each.name for each in still])} is not down yet")
        for each in still:
            if each.state != "deactivating":  # it waits for others
                continue
            if not each.said.get("SubState", "").endswith("sigkill"):  # else it may be that only some are left
                seen[each.name] = there[each.name] or seen[each.name]
            there[each.name] = processes(groups[each.name])
            if now - began.setdefault(each.name, now) >= grace_s:
                killed.append(f"had to kill, after {grace_s:g} s, {_listed(there[each.name])} of {each.name}")
                _command.run(["systemctl", "kill", "--signal=SIGKILL", "--", each.name])  # it may just have ended
                began[each.name] = now
        time.sleep(_PAUSE_S)
    own = [each.name for each in look(groups) if each.said.get("Result") == "timeout"]
    killed += [f"systemd had to kill {_listed(seen[name])} of {name}, after its own time" for name in own]
    left = [(name, found) for name, group in groups.items() if (found := processes(group))]
    return killed + [f"{_listed(found)} of {name} is left running, as its KillMode says" for name, found in left]


def to_start(units: list[str]) -> list[str]:
    """Return which of these units are down, or on their way there: a stop goes on when the act that began it was killed.

    Raise UnitError if one could not be started.
    """
    found = [each for each in look(units) if each.is_down or each.state == "deactivating"]
    return [each.name for each in found if _require_startable(each)]


def start(units: list[str], down: list[str]) -> list[str]:
    """Start these units and see them run; none of those in `down` with them, if it stands still.

    Return what is still on its way. Raise UnitError.
    """
    found = look(units)
    waiting = [each for each in _systemd.closure(found, _systemd.PULLS_IN, _is_plain)[len(found) :] if each.is_down]
    words = [each.name for each in found if not each.runs_once]
    mode = []
    if set(down) & {each.name for each in waiting}:
        # Else systemd would start them as well. What it would start otherwise is named instead.
        mode = ["--job-mode=ignore-requirements"]
        words = [each.name for each in waiting if each.name not in down] + words
    once = [each.name for each in found if each.runs_once]
    problem = ""
    if once:
        _do("start", "--no-block", *mode, "--", *once)  # whose work may take hours
    if words:
        finished = _command.run(["systemctl", "start", *mode, "--", *words], _START_S)
        problem = "" if finished.ok else f": {finished.said or finished}"
    time.sleep(_STEADY_S)
    now = look(units)
    dead = [each for each in now if each.is_down and not (each.runs_once and each.said.get("Result") == "success")]
    if dead:
        raise UnitError(f"{_listed([each.name for each in dead])} did not start{problem}{_advice(dead)}")
    return [f"{each.name} is {each.state}" for each in now if each.state == "activating"]


def idle(unit: str) -> list[str]:
    """Return what of a service's unit stands still and is to run, in the order in which it is started.

    Of a template with instances that run, only those that failed: others may have been stopped for good. Raise UnitError.
    """
    own = [_systemd.require(each) for each in _systemd.own(unit)]
    failed = [each for each in own if each.state == "failed"]
    down = failed if any(not each.is_down for each in own) else own
    masked = [each.name for each in down if each.said.get("LoadState") == "masked"]
    if masked:
        raise UnitError(f"{_listed(masked)} is masked. Fix: systemctl unmask {masked[0]}")
    # Beside a service that failed too often its socket fails, too; beside one that runs it could not be started.
    triggers = [each for each in look(n for one in down for n in one.names("TriggeredBy")) if each.state == "failed"]
    return [each.name for each in (*triggers, *down)]


def forgive(units: list[str]) -> None:
    """Have systemd forget how often these units failed: else it may refuse to start them once more."""
    _command.run(["systemctl", "reset-failed", "--", *units])  # one that is not loaded has nothing to be forgiven


def lives(units: list[str]) -> dict[str, str | None]:
    """Return of each of these units that is to go on running which life it lives: "" between two, None where it is down."""
    lasting = [each for each in look(units) if not each.runs_once and not each.is_trigger]
    return {each.name: None if each.is_down else _life(each) for each in lasting}


def last_words(units: list[str], lines: int) -> str:
    """Return the last lines that the journal has of these units; nothing if it cannot be read."""
    words = [word for unit in units for word in ("--unit", unit)]
    finished = _command.run(["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", *words], _JOURNAL_S)
    return finished.said if finished.ok else ""


def changes(unit: str, definition: str) -> str:
    """Given what a unit's files said when it was stopped, return in words what became of them; mostly nothing."""
    own = _systemd.own(unit)
    if _definition(own) == definition:
        return ""
    if any(each.said.get("NeedDaemonReload") == "yes" for each in own):
        return (
            f"the file of {unit} was changed meanwhile, but systemd has not read it: what runs is as before. "
            "Fix: systemctl daemon-reload, then restart it"
        )
    return f"the file of {unit} was changed meanwhile: what runs is as it says now"


def processes(group: str) -> list[str]:
    """Return the processes of a control group and those below it, each by name and number."""
    found = []
    for folder in sorted(Path("/proc").iterdir()) if group.strip("/") else ():
        try:
            paths = [line.split(":", 2)[2] for line in (folder / "cgroup").read_text().splitlines()]
            if folder.name.isdigit() and any(f"{path}/".startswith(f"{group}/") for path in paths):
                found.append(f"{(folder / 'comm').read_text().strip()} (pid {folder.name})")
        except (OSError, IndexError):  # it has ended, or is no process
            continue
    return found


def _require_startable(unit: Unit) -> bool:
    if unit.said.get("LoadState") == "masked":
        raise UnitError(
            f"{unit.name} was masked meanwhile, and stays so. Fix: systemctl unmask {unit.name}, then lift again"
        )
    return _systemd.require(unit) is not None


def _is_plain(name: str) -> bool:
    """Say whether this is what people stop and start, no target, mount or slice of the system."""
    return name.endswith((".service", *TRIGGERS))


def _refusal(unit: Unit) -> str:
    if unit.name in _LOGINS:
        return f"{unit.name} would be stopped, and nobody could log in any more"
    if unit.said.get("LoadState") == "masked":
        return f"{unit.name} runs, but is masked: it could not be started again. Fix: systemctl unmask {unit.name}"
    if unit.said.get("Transient") == "yes" or unit.said.get("CanStart") == "no":
        return f"{unit.name} could not be started again: it is transient, or its file is gone, or it refuses that"
    holding = [each.name for each in look(unit.names("UpheldBy")) if not each.is_down]
    return f"{unit.name} would be started again at once by {_listed(holding)}, which upholds it" if holding else ""


def _how(unit: Unit) -> str:
    if unit.said.get("LoadState") == "masked":
        return f"{unit.name} is masked, and stays so"
    return f"{unit.name} failed ({unit.said.get('Result', 'unknown')})" if unit.state == "failed" else ""


def _life(unit: Unit) -> str:
    return "" if unit.said.get("SubState") == "auto-restart" else unit.said.get("InvocationID", "?")


def _definition(units: list[Unit]) -> str:
    digest = hashlib.sha256()
    for path in sorted({path for unit in units for path in unit.names("FragmentPath", "DropInPaths")}):
        try:
            digest.update(path.encode() + b"\0" + Path(path).read_bytes() + b"\0")
        except OSError:  # its hash is then that of a file that is not there
            digest.update(path.encode())
    return digest.hexdigest()


def _advice(dead: list[Unit]) -> str:
    sockets = [each for each in dead if each.name.endswith(".socket")]
    busy = [other.name for each in sockets for other in look(each.names("Triggers")) if not other.is_down]
    if busy:
        return f". {_listed(busy)} was started meanwhile without it. Fix: stop that, then lift again"
    return f". Fix: see journalctl --unit={dead[0].name}, then lift again"


def _do(verb: str, *words: str) -> None:
    finished = _command.run(["systemctl", verb, *words])
    if not finished.ok:
        raise UnitError(str(finished))


def _listed(words: list[str]) -> str:
    more = [f"{len(words) - _TOLD} more"] if len(words) > _TOLD else []
    return ", ".join([*words[:_TOLD], *more]) or "what was left"
