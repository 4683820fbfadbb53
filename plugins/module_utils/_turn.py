"""One act at a time on a host, whatever the incident: who is at work there, since when, and who waits for whom.

A file `turn` in the state folder is held under `flock`, which the kernel lets go of when its holder dies. What the
file says is for those who wait, and for a person who looks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _ledger

_NAME = "turn"
_WAIT_S = 120.0
_OWN_WAIT_S = 1000.0  # at the most, for what the same incident has begun: a build may take a quarter of an hour
_PAUSE_S = 0.1

_held: list[int] = []  # this process's own files, while it has its turn
_said: dict[str, Any] = {}  # and what they say


@contextlib.contextmanager
def held(params: dict[str, Any], capability: str, acts: bool) -> Iterator[dict[str, Any] | None]:
    """Hold this host's turn for as long as the body runs; give {seconds, for} if it had to be waited for.

    An act goes on when its controller dies. Whoever comes next, be it only to look, waits for its end, and finds it
    in the ledger instead of acting beside it. Who only looks (not `acts`) leaves nothing on a host that has no ledger.
    Raise OSError if it does not end in two minutes.
    """
    files = _open(params, acts)
    try:
        waited = _wait(files, params["incident_id"])
        _held[:] = files
        _say(incident=params["incident_id"], capability=capability, pid=os.getpid(), since=_ledger.now())
        yield waited
    finally:
        if _held:
            _say()
            _held.clear()
        for descriptor in files:
            os.close(descriptor)


def noting(timeout_s: float) -> Callable[[], None] | None:
    """Return what the new process of a command has to do before it is that command: leave its id in our name.

    Should this act be killed, whoever comes next waits for the command's end, but no longer than the act would have.
    Until then the new process has our files too, so no command begins that nobody knows of. None without a turn, and for
    what threads start beside each other: that only looks.
    """
    if not _held or threading.current_thread() is not threading.main_thread():
        return None
    until = time.monotonic() + timeout_s

    def note() -> None:
        pid = os.getpid()
        _say(**{**_said, "command": {"pid": pid, "born": born(pid), "until": until}})

    return note


def is_noted() -> bool:
    """Say whether whoever comes next learns of a command that is begun now, and waits for its end, should we be killed."""
    return bool(_held)


def _open(params: dict[str, Any], acts: bool) -> list[int]:
    """Open the files that stand for the turn, always in this order.

    Mostly that is one. Where the disk takes no writes it is the one in /run, too, and it is taken from then on, so that
    nobody passes by who began when the disk was full. Where nothing can be opened, no act gets as far as the ledger.
    """
    top, spare = Path(params["state_dir"]), Path(_ledger.VOLATILE_DIR)
    first, writable = _file(top, acts)
    second, _ = _file(spare, acts and not writable)
    return [descriptor for descriptor in (first, second) if descriptor is not None]


def _file(folder: Path, create: bool) -> tuple[int | None, bool]:
    path, flags = folder / _NAME, os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        if create:
            _durable.make_folders(folder)
        return os.open(path, os.O_RDWR | flags | (os.O_CREAT if create else 0), 0o600), True
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | flags), False
    return None, False


def _wait(files: list[int], incident: str) -> dict[str, Any] | None:
    """Wait until all files are ours, and what a killed holder left running has ended."""
    began, whom = time.monotonic(), ""
    last = began  # when it might still take longer: who ends clears its name a moment before it lets go
    for descriptor in files:
        while not try_lock(descriptor) or _still_runs(descriptor):
            whom, now = _holder(files) or whom, time.monotonic()
            if _may_take_longer(descriptor, incident):
                last = now
            seconds = now - began
            if now - last > _WAIT_S or seconds > _OWN_WAIT_S:
                raise OSError(
                    f"{whom or 'another act'} is still at work on this host after {seconds:.0f} s of waiting; one act at "
                    "a time. Fix: wait for it to end, then run this again"
                )
            time.sleep(_PAUSE_S)
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 1), "for": whom or "another act"} if seconds > _PAUSE_S else None


def try_lock(descriptor: int) -> bool:
    """Lock a file for this process alone, unless another holds it; say whether it is ours."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_runs(descriptor: int) -> bool:
    """Say whether a command still runs that an act has started which was killed: its effect is yet to come."""
    left = _read(descriptor).get("command")
    return left is not None and born(left["pid"]) == left["born"] and time.monotonic() < left["until"]


def _may_take_longer(descriptor: int, incident: str) -> bool:
    """Say whether it is the same incident that is at work, with a command that may go on: who resumes waits for what it began."""
    said = _read(descriptor)
    left = said.get("command")
    return said.get("incident") == incident and left is not None and time.monotonic() < left["until"]


def _holder(files: list[int]) -> str:
    """Return who is at work, in words; nothing if it could not leave its name."""
    told = max(map(_read, files), key=lambda said: said.get("since", ""), default={})
    if not told:
        return ""
    since = told["since"][:19].replace("T", " ")
    ended = "" if born(told["pid"]) else ", which was killed, but what it started goes on"
    return f"{told['capability']} of {told['incident']} (pid {told['pid']}, since {since} UTC{ended})"


def _read(descriptor: int) -> dict[str, Any]:
    """Return what a file says; nothing if that is not what a turn says."""
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        left = said.get("command")
        if left is not None:
            left = {"pid": int(left["pid"]), "born": str(left["born"]) or None, "until": float(left["until"])}
        words = {key: str(said[key]) for key in ("incident", "capability", "since")}
        return {**words, "pid": int(said["pid"]), "command": left}
    except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError):
        return {}


def _say(**told: Any) -> None:
    """Write it over what the files said; a disk that takes no writes leaves us without a name, not without our turn."""
    _said.clear()
    _said.update(told)
    text = json.dumps(told).encode() + b"\n" if told else b""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))


def born(pid: int) -> str:
    """Return what tells a process from a later one of the same number; nothing if it has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]
