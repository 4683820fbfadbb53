"""An incidentctl that is cut off at one point: cut.py POINT NUMBER WORDS…

It runs the driver as `python -m incidentctl WORDS…` would, with one function of it wrapped. What can happen at POINT:

  write-before, write-after   the driver kills itself around its NUMBER-th write to the record
  spawn-before, spawn-after   … around its NUMBER-th start of ansible-playbook
  task                        … when the NUMBER-th task of ansible-playbook has begun, which then runs on alone
  playbook, worker            not the driver: ansible-playbook, or all its workers, are killed at that task
  count                       nothing; in the end it says how often each of them would have been possible
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "driver"))

from ansible_runner import runner

from incidentctl import cli, engine, processes
from incidentctl.record import Record

POINTS = ("write-before", "write-after", "spawn-before", "spawn-after", "task", "playbook", "worker")


class Cut:
    """Counts how often each point is passed, and does there what it is for, once."""

    def __init__(self, point: str, number: int) -> None:
        """Cut at the number-th time that `point` is passed."""
        self._point, self._number = point, number
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()  # the outbox writes from threads of its own
        self._done = False

    def passed(self, point: str) -> None:
        with self._lock:
            self._passed[point] += 1
            due = point == self._point and self._passed[point] >= self._number and not self._done
        if due:
            self._done = _CUTS.get(point, _driver)()

    def told(self) -> str:
        return json.dumps({point: self._passed[point] for point in POINTS})


def _driver() -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def _playbook() -> bool:
    found = _controllers()
    processes.end(pid for pid, is_worker in found.items() if not is_worker)
    return bool(found)


def _workers() -> bool:
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:  # a task is told of just before its worker is started
        workers = [pid for pid, is_worker in _controllers().items() if is_worker]
        if workers:
            processes.end(workers)
            return True
        time.sleep(0.01)
    return False  # that task was over already: the next one is tried


def _controllers() -> dict[int, bool]:
    """Our ansible-playbook processes, and whether each is a worker of another."""
    pids = processes.controllers_below(os.getpid())
    return {pid: _parent(pid) in pids for pid in pids}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


_CUTS: dict[str, Callable[[], bool]] = {"playbook": _playbook, "worker": _workers}


def wrap(cut: Cut) -> None:
    """Put the points into the driver of this process."""
    transaction, spawn, take = Record._transaction, runner.pexpect.spawn, engine._take

    @contextmanager
    def around(self: Record, *, writes: bool = False) -> Iterator[Any]:
        if writes:
            cut.passed("write-before")
        with transaction(self, writes=writes) as connection:
            yield connection
        if writes:
            cut.passed("write-after")

    def spawned(*words: Any, **options: Any) -> Any:
        cut.passed("spawn-before")
        child = spawn(*words, **options)
        cut.passed("spawn-after")
        return child

    def taken(event: dict[str, Any], *more: Any) -> Any:
        if event.get("event") == "runner_on_start":
            for point in ("task", "playbook", "worker"):
                cut.passed(point)
        return take(event, *more)

    Record._transaction, runner.pexpect.spawn, engine._take = around, spawned, taken


def main() -> None:
    point, number, *words = sys.argv[1:]
    cut = Cut(point, int(number))
    wrap(cut)
    sys.argv = ["incidentctl", *words]
    try:
        cli.main()
    finally:
        if point == "count":
            print(cut.told())


if __name__ == "__main__":
    main()
