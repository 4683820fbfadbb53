"""An incidentctl that is cut off at the first of some points that it passes: cut.py TARGETS LOG WORDS…

It runs the driver as `python -m incidentctl WORDS…` would, with a few functions of it wrapped. TARGETS is a file of labels,
one a line: the point, the phase, what is done there, and how often this process has come by. What happens at a POINT:

  write-before, write-after   the driver kills itself before a row of the record, and after it is on disk
  spawn-before, spawn-after   … before and after a start of ansible-playbook
  task-driver                 … when a task of ansible-playbook has begun, which then runs on alone
  task-playbook, task-worker  not the driver: ansible-playbook, or all its workers, are killed at that task

LOG gets `passed LABEL` for each point, `cut LABEL`, and `alive N at LABEL` where runs of ansible-playbook are still there
when the next one is started.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "driver")]

from ansible_runner import runner
from tests.faults.count import runs_alive

from incidentctl import cli, engine, processes, record

POINTS = ("write-before", "write-after", "spawn-before", "spawn-after", "task-driver", "task-playbook", "task-worker")


class Cut:
    """Names each point that is passed, and does at the first target what it is for, once."""

    def __init__(self, targets: Path, log: Path) -> None:
        """Cut at the labels in `targets`, tell `log`."""
        self._targets, self._folder = frozenset(targets.read_text().splitlines()), log.parent
        self._log = log.open("a", encoding="utf-8", buffering=1)  # a line that was written survives a SIGKILL
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()  # the outbox writes from threads of its own
        self._done = False
        self.phase = "start"

    def passed(self, point: str, what: str, phase: str = "") -> str:
        with self._lock:
            name = f"{point} {phase or self.phase}: {what}"
            self._times[name] += 1
            label = f"{name} {self._times[name]}"
            self._log.write(f"passed {label}\n")
            if self._done or label not in self._targets:
                return label
            if point not in _OTHERS:
                self._log.write(f"cut {label}\n")
                os.kill(os.getpid(), signal.SIGKILL)
            elif _OTHERS[point]():
                self._log.write(f"cut {label}\n")
                self._done = True
        return label

    def look(self, label: str) -> None:
        alive = runs_alive(str(self._folder))
        if alive:
            self._log.write(f"alive {alive} at {label}\n")


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
    return False  # that task was over already


def _controllers() -> dict[int, bool]:
    """Our ansible-playbook processes, and whether each is a worker of another."""
    pids = processes.controllers_below(os.getpid())
    return {pid: _parent(pid) in pids for pid in pids}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


_OTHERS: dict[str, Callable[[], bool]] = {"task-playbook": _playbook, "task-worker": _workers}


def wrap(cut: Cut) -> None:
    """Put the points into the driver of this process."""
    transaction, append = record.Record._transaction, record._append
    spawn, take = runner.pexpect.spawn, engine._take
    written = threading.local()  # what this thread's transaction has appended

    def appended(connection: Any, incident_id: str, kind: str, data: Mapping[str, Any], actor: str) -> Any:
        details = (data.get("capability"), data.get("audience"), "taken over" if "cut_off" in data else None)
        what = " ".join([kind, *(word for word in details if word)])
        cut.passed("write-before", what, data.get("phase", ""))
        written.row = (kind, what, data.get("phase", ""))
        return append(connection, incident_id, kind, data, actor)

    @contextmanager
    def around(self: record.Record, *, writes: bool = False) -> Iterator[Any]:
        if writes:
            written.row = None
        with transaction(self, writes=writes) as connection:
            yield connection
        if not writes or written.row is None:
            return
        kind, what, phase = written.row
        cut.passed("write-after", what, phase)
        if kind in ("step_started", "step_finished", "resumed"):
            cut.phase = {"step_started": phase, "step_finished": f"after {phase}"}.get(kind, "resume")

    def spawned(*words: Any, **options: Any) -> Any:
        cut.look(cut.passed("spawn-before", "ansible-playbook"))
        child = spawn(*words, **options)
        cut.passed("spawn-after", "ansible-playbook")
        return child

    def taken(event: dict[str, Any], *more: Any) -> Any:
        if event.get("event") == "runner_on_start":
            data = event["event_data"]
            what = f"{engine._capability(data)}, {str(data.get('task')).partition(' - ')[0]}"
            for victim in ("driver", "playbook", "worker"):
                cut.passed(f"task-{victim}", what)
        return take(event, *more)

    record.Record._transaction, record._append = around, appended  # type: ignore[method-assign]
    runner.pexpect.spawn, engine._take = spawned, taken


def main() -> None:
    targets, log, *words = sys.argv[1:]
    wrap(Cut(Path(targets), Path(log)))
    sys.argv = ["incidentctl", *words]
    cli.main()


if __name__ == "__main__":
    main()
