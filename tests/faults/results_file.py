"""What a campaign found, written while it goes on: how it was started, when, where, with which code, then line by line."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "results"
KINDS = ("lost", "doubled", "orphan")  # what a fault begins with, when it is one of those that are promised not to be


class Results:
    """A campaign's file in results/: all that is said goes there and to stdout."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        """Begin a file of this name, with what is needed to repeat the campaign."""
        folder.mkdir(exist_ok=True)
        self._stream = _new(folder, f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        self._faults: Counter[str] = Counter()
        program = os.path.relpath(sys.argv[0], ROOT)
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        self.say(f"command: python {' '.join([program, *sys.argv[1:]])}")
        self.say(f"date: {datetime.now(UTC).isoformat(timespec='seconds')}")
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
        self.say(f"machine: {system}")
        self.say(f"commit: {commit.stdout.strip() or 'unknown'}")

    def __enter__(self) -> Self:
        """Return the results themselves."""
        return self

    def __exit__(self, *_exception: Any) -> None:
        """Close the file."""
        self._stream.close()

    def say(self, line: str, parts: Iterable[str] = (), wrong: Iterable[str] = ()) -> None:
        """Say one line, below it its parts, and what was wrong."""
        faults = [" ".join(fault.split()) for fault in wrong]
        self._faults.update(next((kind for kind in KINDS if kind in fault[:12]), "other") for fault in faults)
        for text in (line, *(f"  {part}" for part in parts), *(f"  WRONG: {fault}" for fault in faults)):
            print(text, flush=True)
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def faults(self) -> str:
        """Return how many acts were lost, doubled, how many orphans were seen, and what else was wrong."""
        return ", ".join(f"{self._faults[kind]} {kind}" for kind in (*KINDS, "other"))


def _new(folder: Path, name: str, number: int = 1) -> TextIO:
    """Open a file that was not there: two campaigns may begin in the same second."""
    try:
        return (folder / f"{name}{f'-{number}' if number > 1 else ''}.txt").open("x", encoding="utf-8")
    except FileExistsError:
        return _new(folder, name, number + 1)


class _Told(Exception):
    pass


@contextmanager
def until_told() -> Iterator[None]:
    """Leave the body at SIGTERM or Ctrl-C, so that what was found by then is summed up."""

    def leave(*_: Any) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the clearing up
        raise _Told

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    except _Told:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
