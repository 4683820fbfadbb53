"""Start, stop and look at the shop and its worker, without a service manager. Python 3.9+.

Exit codes: 0 done, or running; 1 it could not be done; 3 (status) not running.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPTS = {"shop": "app.py", "worker": "worker.py"}
START_S, TERM_S, KILL_S = 15.0, 10.0, 5.0  # seconds to come up, to end by itself, to be ended
PAUSE_S = 0.05


class Program(NamedTuple):
    """One background process of a laid-out shop."""

    name: str
    root: Path
    port: int

    @property
    def pid_file(self) -> Path:
        """Where the process writes its id, once it is up."""
        return self.root / "run" / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """Where everything goes that it says."""
        return self.root / "logs" / f"{self.name}.log"

    @property
    def words(self) -> list[str]:
        """The words after `python` that this program alone is started with.

        The script is named by way of `current`: a restart after a switch runs the other release.
        """
        script = self.root / "current" / SCRIPTS[self.name]
        return [str(script), "--root", str(self.root), "--pid-file", str(self.pid_file)]


class ControlError(Exception):
    """It could not be done; the message says what, why and what to do."""


def running_pid(program: Program) -> int | None:
    """Return the id of the program's process, None if it does not run.

    The number in the pid file may by now be anybody's: it counts only if that process was started by us.
    """
    try:
        pid = int(program.pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if " ".join(program.words) in _command_line(pid) else None


def start(program: Program) -> str:
    """Start the program, unless it runs, and wait until it is up; return what was done."""
    with _turn(program):
        pid = running_pid(program)
        if pid is not None:
            return f"{program.name} runs already, pid {pid}"
        process = _spawn(program)
        _wait(lambda: running_pid(program) == process.pid or process.poll() is not None, START_S)
        if process.poll() is None and running_pid(program) == process.pid:
            return f"{program.name} started, pid {process.pid}"
        process.kill()
        process.wait()
        raise ControlError(f"{program.name} did not come up. Fix: see the end of {program.log}")


def stop(program: Program) -> str:
    """End the program's own process, if it runs, and wait until it is gone; return what was done."""
    with _turn(program):
        pid = running_pid(program)
        if pid is None:
            return f"{program.name} does not run"
        for number, patience in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
            with suppress(ProcessLookupError):  # it ended by itself just now, which is what we want
                os.kill(pid, number)
            if _wait(lambda: running_pid(program) is None, patience):
                program.pid_file.unlink(missing_ok=True)
                return f"{program.name} stopped, pid {pid}"
        raise ControlError(f"{program.name}: pid {pid} does not end. Fix: look at what it waits for")


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    port = ["--port", str(program.port)] if program.name == "shop" else []
    # No pipe and no terminal: whoever started us can go, and nothing waits for our output to end.
    with program.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *program.words, *port],
            cwd=str(program.root),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _command_line(pid: int) -> str:
    """Return the words of a process, empty if there is none (or only its exit code is left)."""
    if not Path("/proc/self").exists():  # not Linux
        shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
        return shown.stdout.decode("utf-8", "replace")
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode("utf-8", "replace")


def _wait(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True


@contextmanager
def _turn(program: Program) -> Iterator[None]:
    """Let one start or stop of a program happen at a time."""
    try:
        lock = program.pid_file.with_suffix(".lock").open("w")
    except OSError as error:
        raise ControlError(f"no shop is laid out here: {error}. Fix: deploy.py lay-out") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Read the words of the command, do it, say what was done; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("start", "stop", "status"))
    parser.add_argument("program", choices=sorted(SCRIPTS))
    parser.add_argument("--root", type=Path, required=True, help="the folder that the shop is laid out in")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SHOP_PORT", "18480")))
    options = parser.parse_args()
    program = Program(options.program, options.root.resolve(), options.port)
    if options.verb == "status":
        pid = running_pid(program)
        print(f"{program.name} runs, pid {pid}" if pid is not None else f"{program.name} does not run")
        return 0 if pid is not None else 3
    try:
        print(start(program) if options.verb == "start" else stop(program))
    except ControlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
