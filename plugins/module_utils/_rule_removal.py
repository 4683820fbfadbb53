"""Take traffic rules out again, and the clock that watches over them.

Modules use it, and the dead-man script is this very file with a plan appended (_dead_man.py): so it
imports nothing but the standard library, and is tested once for both.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}
LOCK_S = 30.0  # a clock that strikes while its rules are being loaded waits so long for that to end
_COMMAND_S = 20.0
_POLL_S = 0.5


class RuleError(OSError):
    """A packet filter did not do what it was asked; the message says which and what it said."""


def tool(name: str) -> str | None:
    """Return where a program is, also where an ordinary user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")


def call(argv: list[str], feed: str = "") -> str:
    """Run a program with `feed` as its input; return all it printed. Raise RuleError if it fails."""
    program = tool(argv[0])
    if program is None:
        raise RuleError(f"{argv[0]} is not installed on this host")
    try:
        done = subprocess.run(
            [program, *argv[1:]], input=feed, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuleError(f"{argv[0]} did not finish in {_COMMAND_S:.0f} s and was ended") from error
    if done.returncode != 0:
        raise RuleError(f"{argv[0]} exited {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def saved(family: str, table: str) -> list[str]:
    """Return a table's rules as iptables-save prints them, comments left out."""
    return [line for line in call([SAVE[family], "-t", table]).splitlines() if not line.startswith("#")]


def restore(family: str, table: str, lines: list[str]) -> None:
    """Give a table new lines beside those it has: all of them, or none. Raise RuleError then."""
    call([RESTORE[family], "--noflush", "--wait", "10"], "\n".join([f"*{table}", *lines, "COMMIT", ""]))


def jumps(lines: list[str], chain: str, marker: str) -> list[str]:
    """Return the rules that lead into `chain` and bear our marker, as `-A …`, wherever they stand."""
    target = re.compile(rf"-j {re.escape(chain)}(?= |$)")
    return [line for line in lines if line.startswith("-A ") and marker in line and target.search(line)]


def left(undo: dict[str, Any], family: str) -> tuple[list[str], list[str]]:
    """Return what is still there of an undo in one family: (jumps, chains)."""
    lines = saved(family, undo["table"])
    found = [line for chain in undo["chains"] for line in jumps(lines, chain, undo["marker"])]
    return found, [chain for chain in undo["chains"] if any(line.startswith(f":{chain} ") for line in lines)]


def remove(undo: dict[str, Any]) -> bool:
    """Remove exactly what an undo names; say whether anything of it was there.

    Raise RuleError if something remains, after all families were tried.
    """
    there, problems = False, []
    for family in undo["families"]:
        try:
            there = _remove(undo, family) or there
        except RuleError as error:
            problems.append(str(error))
    if problems:
        raise RuleError("; ".join(problems))
    return there


def _remove(undo: dict[str, Any], family: str) -> bool:
    found, chains = left(undo, family)
    if not found and not chains:
        return False
    # First the effect goes; the empty chain after it, which somebody else's rule may hold on to.
    restore(family, undo["table"], [f"-D {line[3:]}" for line in found] + [f"-F {chain}" for chain in chains])
    if chains:
        restore(family, undo["table"], [f"-X {chain}" for chain in chains])
    if any(left(undo, family)):
        raise RuleError(f"{family}: something put {', '.join(undo['chains'])} back")
    return True


@contextlib.contextmanager
def held(script: str) -> Iterator[bool]:
    """Keep the clock from striking while rules are loaded; say whether its script is still there."""
    try:
        descriptor = os.open(script, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        deadline = time.monotonic() + LOCK_S
        while not _locked(descriptor) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield Path(script).exists()
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stop(clock: dict[str, Any], *which: str) -> None:
    """Stop clocks, `confirm` or `expire`, for good. Raise OSError if one could still strike."""
    paths = [Path(clock["units"][name]) for name in which if name in clock["units"]]
    if clock["timer"] == "systemd":
        there = [path.name for path in paths if path.exists()]
        if there:
            with contextlib.suppress(RuleError):  # what counts is whether it still runs
                call(["systemctl", "disable", "--now", "--quiet", *there])
        if running := [path.name for path in paths if _active(path.name)]:
            raise RuleError(f"{', '.join(running)} could not be stopped")
        _unlink(*(f"/var/lib/systemd/timers/stamp-{path.name}" for path in paths))
    _unlink(*map(str, paths))


def disarm(clock: dict[str, Any]) -> None:
    """Remove both clocks and their script: nothing of them is left on the host."""
    stop(clock, "confirm", "expire")
    _unlink(*clock["units"].values(), clock["script"])
    if clock["timer"] == "systemd":
        call(["systemctl", "daemon-reload"])
        with contextlib.suppress(RuleError):
            call(["systemctl", "reset-failed", Path(clock["units"]["service"]).name])
    with contextlib.suppress(OSError):
        Path(clock["script"]).parent.rmdir()


def _active(unit: str) -> bool:
    try:
        call(["systemctl", "is-active", "--quiet", unit])
    except RuleError:
        return False
    return True


def _unlink(*paths: str) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


def strike(plan: dict[str, Any]) -> int:
    """Take the rules back because a clock ran out; return the exit code. This is what the script does.

    `wait WHICH TIME` among the words: without systemd the script waits for its own time, and ends as soon
    as that clock was stopped.
    """
    if sys.argv[1:2] == ["wait"] and not _wait(Path(plan["clock"]["units"][sys.argv[2]]), sys.argv[3]):
        return 0
    while True:
        try:
            with held(plan["clock"]["script"]) as there:
                if there:
                    remove(plan["undo"])
                    for path in plan["entries"]:
                        _close(Path(path))
                    disarm(plan["clock"])
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            if sys.argv[1:2] != ["wait"]:
                return 1  # systemd starts it again
            time.sleep(5)
        else:
            return 0


def _wait(token: Path, until: str) -> bool:
    """Wait for a time; say whether the clock still stands at it then, neither stopped nor set anew."""
    while (stands := _stands_at(token, until)) and time.time() < float(until):
        time.sleep(min(_POLL_S, max(0.0, float(until) - time.time())))
    return stands


def _stands_at(token: Path, until: str) -> bool:
    try:
        return token.read_text(encoding="utf-8") == until
    except FileNotFoundError:
        return False


def _close(path: Path) -> None:
    """Say in the ledger that this entry took itself back; one that cannot be read or written stays as it is."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        entry = json.loads(path.read_bytes())
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        why = "it was not confirmed in time" if entry.get("confirm_by") else "its time ran out"
        entry.update(state="lifted", lifted_at=now, lifted_because=why)
        draft = path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
            json.dump(entry, stream, sort_keys=True, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
