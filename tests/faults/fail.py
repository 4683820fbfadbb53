"""An incidentctl whose disk goes bad at one write to its record: fail.py KIND FOLDER WORDS…

FOLDER holds `disk`, `state` (where the disk is mounted), `only` (how the writes begin that are meant; nothing: all of them) and
`failed`: the writes at which it has gone bad before. It goes bad in the middle of the first that is meant and not among
them, and stays so; `after` then says how many ansible-playbook were started once the record could not be written.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from ansible_runner import runner
from tests.faults.disk import Disk

from incidentctl import cli, record
from incidentctl.record import Record, RecordError

_TELLING = ("phase", "capability", "about", "what", "option", "text")


class Fault:
    """Lets the disk go bad once; counts what is started after a write has failed."""

    def __init__(self, kind: str, folder: Path) -> None:
        """Read at which writes it has gone bad before."""
        self._kind, self._folder = kind, folder
        self._known = (folder / "failed").read_text().splitlines() if (folder / "failed").exists() else []
        self._meant = tuple((folder / "only").read_text().splitlines()) or ("",)
        self._lock = threading.Lock()  # the outbox writes from threads of its own
        self._spoilt = self._denied = False
        self.started = 0

    def writing(self, kind: str, data: dict[str, Any]) -> None:
        label = " ".join([kind, *(str(data[key]) for key in _TELLING if key in data)])
        with self._lock:
            if self._spoilt or label in self._known or not label.startswith(self._meant):
                return
            self._spoilt = True
        with (self._folder / "failed").open("a") as stream:
            stream.write(label + "\n")
        Disk(self._folder / "disk", self._folder / "state").spoil(self._kind)

    def denied(self) -> None:
        self._denied = True

    def starting(self) -> None:
        self.started += self._denied


def wrap(fault: Fault) -> None:
    append, transaction, spawn = record._append, Record._transaction, runner.pexpect.spawn

    def appended(connection: Any, incident_id: str, kind: str, data: Any, actor: str) -> Any:
        fault.writing(kind, dict(data))
        return append(connection, incident_id, kind, data, actor)

    @contextmanager
    def around(self: Record, *, writes: bool = False) -> Iterator[Any]:
        try:
            with transaction(self, writes=writes) as connection:
                yield connection
        except RecordError:
            if writes:
                fault.denied()
            raise

    def spawned(*words: Any, **options: Any) -> Any:
        fault.starting()
        return spawn(*words, **options)

    record._append, Record._transaction, runner.pexpect.spawn = appended, around, spawned


def main() -> None:
    kind, folder, *words = sys.argv[1:]
    fault = Fault(kind, Path(folder))
    wrap(fault)
    sys.argv = ["incidentctl", *words]
    try:
        cli.main()
    finally:
        (Path(folder) / "after").write_text(str(fault.started))


if __name__ == "__main__":
    main()
