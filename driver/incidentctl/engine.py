"""A Step in, an Outcome out. The only module that knows ansible-runner.

One step is one ansible-playbook run over import-only plays. Every (host, capability) of the step ends
with exactly one outcome, also when the run was cut off (docs/contracts.md, 6).
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

from incidentctl.errors import ConfigurationError, IncidentctlError

COLLECTION = "incidentctl.response"
# From what must be looked at first to what needs no look.
WORST_FIRST = (
    "failed", "unknown", "unreachable", "refused", "not_attempted", "done", "unchanged", "skipped",
)  # fmt: skip
SUCCESS = frozenset({"done", "unchanged", "skipped"})
_SAID_LINES = 40
# Ours where the user's own ansible.cfg says nothing: (section, option), environment, value. Pipelining saves
# round trips; the keep-alives end a host that vanished in the middle after 20 s instead of never.
_DEFAULTS = (
    (("defaults", "forks"), "ANSIBLE_FORKS", "50"),
    (("connection", "pipelining"), "ANSIBLE_PIPELINING", "True"),
    (("ssh_connection", "ssh_args"), "ANSIBLE_SSH_ARGS",
     "-C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=5 -o ServerAliveCountMax=3"),
    (("defaults", "timeout"), "ANSIBLE_TIMEOUT", "10"),
    # ansible-runner would switch it off.
    (("defaults", "host_key_checking"), "ANSIBLE_HOST_KEY_CHECKING", "True"),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What to run: playbooks of the collection by name (or a path of the user's own), on which hosts.

    `variables` holds ids, numbers and names that the inventory has; nothing that a person typed.
    """

    phase: str
    capabilities: tuple[str, ...]
    hosts: tuple[str, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    check: bool = False
    diff: bool = False
    deadline_s: float = 600.0


@dataclass(frozen=True)
class HostOutcome:
    """How one capability ended on one host."""

    host: str
    capability: str
    outcome: str
    reason: str = ""
    actions: tuple[dict[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[dict[str, Any], ...] = ()
    diff: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a step ended: one row for each (host, capability), and what Ansible said that belongs to no host."""

    step: Step
    rows: tuple[HostOutcome, ...]
    seconds: float
    interrupted: bool = False
    timed_out: bool = False
    said: str = ""

    @property
    def worst(self) -> str:
        """The outcome that must be looked at first; `skipped` for a step without hosts."""
        return worst(row.outcome for row in self.rows)


def worst(outcomes: Iterator[str] | Any) -> str:
    """Given outcomes, return the one that must be looked at first."""
    seen = set(outcomes)
    return next((name for name in WORST_FIRST if name in seen), "skipped")


def run(
    step: Step, inventory: tuple[str, ...], show: Callable[..., None], hide: frozenset[str] = frozenset()
) -> Outcome:
    """Run the step on its hosts, tell `show("cell", host=, capability=, outcome=)` as they come in.

    `hide` names environment variables that hold secrets: Ansible does not get them. Ctrl-C and SIGTERM end
    ansible-playbook and come back as an Outcome with `interrupted`, never as an exception: what was reached
    must be recorded first. Raise IncidentctlError if ansible-playbook could not start its work at all.
    """
    started = time.monotonic()
    rows: dict[tuple[str, str], HostOutcome] = {}
    begun: set[tuple[str, str]] = set()
    said: list[str] = []

    def on_event(event: dict[str, Any]) -> bool:
        _take(event, rows, begun, said, show)
        return False  # nothing of it is written to disk

    late = threading.Event()

    def cut_off() -> bool:
        """Our own deadline, for ansible-runner's would leave Ansible's workers alive."""
        if time.monotonic() - started > step.deadline_s:
            late.set()
        if not (late.is_set() or stopped.is_set()):
            return False
        end_controllers(os.getpid())
        return True

    with _private_folder() as folder, _stop_requests() as stopped:
        _write_project(folder, step)
        runner = ansible_runner.run(
            private_data_dir=str(folder),
            playbook="phase.yml",
            inventory=list(inventory),
            limit=",".join(step.hosts),
            extravars=dict(step.variables),
            envvars=environment(),
            cmdline=" ".join(flag for flag, on in (("--check", step.check), ("--diff", step.diff)) if on) or None,
            event_handler=on_event,
            status_handler=lambda _status, runner_config: _forget(runner_config.env, hide),
            cancel_callback=cut_off,
            suppress_env_files=True,
            quiet=True,
        )
        status = runner.status
    interrupted = stopped.is_set()
    if not rows and not interrupted and status == "failed" and not begun:
        raise IncidentctlError(
            f"Ansible could not begin the phase {step.phase}.",
            "\n".join(said[-12:]),
            "look at the lines above; ansible-playbook would say the same",
        )
    return Outcome(
        step=step,
        rows=tuple(_complete(step, rows, begun, cut=interrupted or late.is_set())),
        seconds=time.monotonic() - started,
        interrupted=interrupted,
        timed_out=late.is_set(),
        said="\n".join(said),
    )


def capability_of(playbook: str) -> str:
    """Return the capability that a playbook's name, or the path of one of the user's own, stands for."""
    return Path(playbook).stem


def read_inventory(sources: tuple[str, ...]) -> dict[str, Any]:
    """Return what `ansible-inventory --list` says of the sources. Raise ConfigurationError if it cannot."""
    for source in sources:
        if "," not in source and not Path(source).exists():
            raise ConfigurationError(
                f"The inventory {source} does not exist.", fix="name one that does with -i, or in incidentctl.yml"
            )
    argv = [sys.executable, "-m", "ansible", "inventory", "--list"]
    for source in sources:
        argv += ["-i", source]
    env = {**os.environ, **environment(), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ConfigurationError(
            "Ansible cannot read the inventory.",
            done.stderr.strip()[-2000:],
            "ansible-inventory --list -i INVENTORY shows the same",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def own_inventory() -> bool:
    """Say whether Ansible itself has an inventory configured: then -i can be left out."""
    if os.environ.get("ANSIBLE_INVENTORY") or Path("/etc/ansible/hosts").exists():
        return True
    return _configured(_ansible_cfg()).has_option("defaults", "inventory")


def collection_root() -> Path:
    """Return the folder whose ansible_collections holds the copy that belongs to this driver.

    A checkout (also one installed with pip -e) runs itself, an installed wheel runs what came with it.
    """
    here = Path(__file__).resolve()
    checkout = here.parents[2]
    if (checkout / "ansible_collections" / "incidentctl" / "response" / "galaxy.yml").exists():
        return checkout
    return here.parents[1]


def environment() -> dict[str, str]:
    """Return what Ansible needs in its environment, the user's own ansible.cfg honoured.

    ansible-runner works in a folder of its own, where Ansible would not find the user's ansible.cfg.
    """
    cfg = _ansible_cfg()
    configured = _configured(cfg)
    usual = "~/.ansible/collections:/usr/share/ansible/collections"
    theirs = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or configured.get(
        "defaults", "collections_path", fallback=usual
    )
    base = cfg.parent if cfg else Path.cwd()
    paths = [str(base / Path(part).expanduser()) for part in (theirs or usual).split(":") if part]
    env = {"ANSIBLE_COLLECTIONS_PATH": ":".join(dict.fromkeys([str(collection_root()), *paths]))}
    if cfg:
        env["ANSIBLE_CONFIG"] = str(cfg)
    for (section, option), name, value in _DEFAULTS:
        if name in os.environ:
            continue
        found = configured.get(section, option, fallback=None)
        if name == "ANSIBLE_HOST_KEY_CHECKING":
            env[name] = found or value
        elif found is None:
            env[name] = value
    env["ANSIBLE_NOCOLOR"] = "1"
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return env


def _ansible_cfg() -> Path | None:
    """Find ansible.cfg where Ansible would: environment, this folder (unless others may write it), home, /etc."""
    named = os.environ.get("ANSIBLE_CONFIG")
    if named:
        path = Path(named).expanduser().absolute()
        return path / "ansible.cfg" if path.is_dir() else path
    places = [Path.home() / ".ansible.cfg", Path("/etc/ansible/ansible.cfg")]
    if not Path.cwd().stat().st_mode & stat.S_IWOTH:
        places.insert(0, Path.cwd() / "ansible.cfg")
    return next((place for place in places if place.is_file()), None)


def _configured(cfg: Path | None) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    if cfg is not None:
        try:
            parser.read(cfg, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ConfigurationError(f"Ansible's own {cfg} cannot be read.", str(error), "mend that file") from error
    return parser


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="incidentctl-"))  # 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # nothing in it is kept: the record holds what counts


def _write_project(folder: Path, step: Step) -> None:
    plays: list[dict[str, Any]] = []
    for name in step.capabilities:
        own = Path(name).is_absolute()
        plays.append({"name": Path(name).stem, "import_playbook": name if own else f"{COLLECTION}.{name}"})
    plays.append({"name": "Verdict", "import_playbook": f"{COLLECTION}.verdict"})
    for part in ("project", "env"):
        (folder / part).mkdir(mode=0o700)
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
    for number in before:
        signal.signal(number, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_controllers(ancestor: int) -> None:
    """Kill every ansible-playbook process below `ancestor`.

    Its workers are sessions of their own, which the runner's kill of the process group leaves alive. Modules
    that run on this machine are let finish, as they would be on a remote host: half an act is worse.
    """
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family - {ancestor}:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"/ansible-playbook") for word in words[:3]):
                os.kill(pid, signal.SIGKILL)


def _forget(env: dict[str, str], names: frozenset[str]) -> None:
    for name in names:
        env.pop(name, None)


def _take(
    event: dict[str, Any],
    rows: dict[tuple[str, str], HostOutcome],
    begun: set[tuple[str, str]],
    said: list[str],
    show: Callable[..., None],
) -> None:
    """Take one event of ansible-runner into the rows."""
    kind, data = event.get("event"), event.get("event_data") or {}
    host, capability = data.get("host"), _capability(data)
    if kind == "verbose" and str(event.get("stdout", "")).strip():
        said.append(str(event["stdout"]))
        del said[:-_SAID_LINES]
    if not host or not capability or capability == "verdict":
        return
    pair = (host, capability)
    if kind == "runner_on_start":
        if pair not in begun:
            begun.add(pair)
            show("cell", host=host, capability=capability, outcome="running")
        return
    row = _row(kind, host, capability, data.get("res") or {}, bool(data.get("ignore_errors")))
    if row is not None:
        begun.add(pair)
        rows[pair] = row = _merged(rows[pair], row) if pair in rows else row
        show("cell", host=host, capability=capability, outcome=row.outcome)


def _row(kind: Any, host: str, capability: str, res: dict[str, Any], ignored: bool) -> HostOutcome | None:
    block = res.get("incident")
    if isinstance(block, dict):
        diff = res.get("diff") or []
        return HostOutcome(
            host=host,
            capability=capability,
            outcome=str(block.get("outcome")),
            reason=str(block.get("reason", "")),
            actions=tuple(block.get("actions") or ()),
            facts=block.get("facts") or {},
            files=tuple(block.get("files") or ()),
            diff=tuple(diff if isinstance(diff, list) else [diff]),
        )
    if kind == "runner_on_unreachable":
        return HostOutcome(host, capability, "unreachable", _message(res))
    if kind == "runner_on_failed" and not ignored:
        return HostOutcome(host, capability, "failed", _message(res))
    return None


def _merged(earlier: HostOutcome, later: HostOutcome) -> HostOutcome:
    """Two tasks of one capability (an act, and its confirmation) are one outcome: the worse, with all that is known."""
    actions = {action.get("target"): action for action in earlier.actions}
    for action in later.actions:
        before = actions.get(action.get("target"), {})
        both = [told["outcome"] for told in (before, action) if told]
        actions[action.get("target")] = {**before, **action, "outcome": worst(both)}
    return HostOutcome(
        host=later.host,
        capability=later.capability,
        outcome=worst((earlier.outcome, later.outcome)),
        reason="; ".join(reason for reason in dict.fromkeys((earlier.reason, later.reason)) if reason),
        actions=tuple(actions.values()),
        facts={**earlier.facts, **later.facts},
        files=tuple({str(f.get("path")): f for f in (*earlier.files, *later.files)}.values()),
        diff=earlier.diff + later.diff,
    )


def _message(res: dict[str, Any]) -> str:
    text = str(res.get("msg") or res.get("stderr") or "Ansible gave no reason")
    return " ".join(text.split())[:1000]


def _capability(data: dict[str, Any]) -> str:
    """The role's own name; outside of a role the playbook's file name (a playbook of the user's own)."""
    role = data.get("resolved_role") or data.get("role")
    if role:
        return str(role).rpartition(".")[2]
    return Path(str(data.get("task_path") or "").rpartition(":")[0]).stem


def _complete(
    step: Step, rows: dict[tuple[str, str], HostOutcome], begun: set[tuple[str, str]], cut: bool
) -> Iterator[HostOutcome]:
    """One row for every (host, capability) of the step; what nobody reported is said to be so."""
    for host in step.hosts:
        lost = ""
        for name in step.capabilities:
            capability = capability_of(name)
            row = rows.get((host, capability))
            if row is None:
                row = _unreported(step, host, capability, (host, capability) in begun, cut, lost)
            if row.outcome == "unreachable" or (row.outcome == "failed" and not row.actions):
                lost = lost or f"{capability} {row.outcome} there before"
            yield row


def _unreported(step: Step, host: str, capability: str, begun: bool, cut: bool, lost: str) -> HostOutcome:
    if begun and cut:
        return HostOutcome(host, capability, "unknown", "cut off in the middle: the host's ledger knows")
    if begun and Path(step.capabilities[0]).is_absolute():
        return HostOutcome(host, capability, "done", "every task of the playbook ended well")
    if cut:
        return HostOutcome(host, capability, "not_attempted", "cut off before its turn")
    return HostOutcome(host, capability, "not_attempted", lost or "the play did not reach this host")
