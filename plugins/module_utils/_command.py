"""Run a command on the host: argv only, a deadline, bounded output, never a shell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from ansible_collections.incidentctl.response.plugins.module_utils import _procfs, _turn

_LOOK_S = 0.02  # between two looks whether a command may go on
_MIND_S = 0.2  # the same, once we are gone
_LEAVE_S = 3.0  # to clear up, for one that may not
OUTPUT_LIMIT = 4000  # bytes kept of what a command says: enough for an error, too little to hurt


class Finished:
    """How a command ended: `code` (None: killed at its deadline) and the tail of what it said."""

    def __init__(self, argv: Sequence[str], code: int | None, said: str) -> None:
        """Keep what is needed to say how it went."""
        self.argv = list(argv)
        self.code = code
        self.said = said
        self.ok = code == 0

    def __str__(self) -> str:
        """Say how it ended, for an error message."""
        how = "did not finish in time and was ended" if self.code is None else f"exited {self.code}"
        return f"{' '.join(self.argv)}: {how}" + (f": {self.said}" if self.said else "")


def run(
    argv: Sequence[str],
    timeout_s: float = 60.0,
    folder: str | None = None,
    *,
    source: BinaryIO | None = None,
    into: BinaryIO | None = None,
    keep: Callable[[], None] | None = None,
    tidy: Callable[[], None] = lambda: None,
) -> Finished:
    """Run `argv`, at most `timeout_s` seconds, in `folder` if one is given; its output goes to a file, not a pipe.

    A pipe would stay open for as long as a daemon that the command started keeps it, and hang us.
    It reads the file `source`, if one is given; the file `into` takes its output, and only its errors are kept.
    When `keep`, which is called before it starts and while it runs, raises, it is interrupted, then killed, `tidy` clears up
    what it cannot have, and that is raised.
    Should we be killed, `keep` is minded all the same, or it is ended, where nobody would wait for its end.
    A command that cannot be started at all ends with code 127.
    """
    if keep is not None:
        keep()
    with tempfile.TemporaryFile() as output, _minded(keep, tidy) as begin:
        note = _turn.noting(timeout_s)
        steps = [step for step in (note, begin) if step is not None]
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if source is None else source,
                stdout=output if into is None else into,
                stderr=output,
                start_new_session=True,
                cwd=folder,
                preexec_fn=(lambda: [step() for step in steps]) if steps else None,  # noqa: PLW1509 - from the main thread alone
            )
        except OSError as error:
            return Finished(argv, 127, str(error))
        try:
            code: int | None = process.wait(timeout_s) if keep is None else _watched(process, timeout_s, keep, tidy)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        output.seek(0, os.SEEK_END)
        output.seek(max(0, output.tell() - OUTPUT_LIMIT))
        return Finished(argv, code, output.read().decode("utf-8", "replace").strip())


def _watched(
    process: subprocess.Popen[bytes], timeout_s: float, keep: Callable[[], None], tidy: Callable[[], None]
) -> int:
    until = time.monotonic() + timeout_s
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > until:
                raise
        try:
            keep()
        except OSError:
            _interrupt(process.pid)
            process.wait()
            tidy()
            raise


@contextlib.contextmanager
def _minded(keep: Callable[[], None] | None, tidy: Callable[[], None]) -> Iterator[Callable[[], None] | None]:
    """Have a fork of us mind a command as we do, should we be killed: it would fill the disk with nobody looking.

    What whoever comes next knows of, and waits for, may come to its end; anything else is ended. Give what the new process
    of the command has to do before it is that command: tell who it is, so that none begins that is not minded.
    """
    if keep is None:
        yield None
        return
    theirs, ours = os.pipe()
    minder = os.fork()
    if minder == 0:
        try:
            os.close(ours)
            _mind(theirs, keep, tidy)
        finally:
            os._exit(0)
    os.close(theirs)

    def tell() -> None:
        os.write(ours, b"%d\n" % os.getpid())

    try:
        yield tell
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(minder, signal.SIGKILL)
        os.waitpid(minder, 0)
        os.close(ours)


def _mind(theirs: int, keep: Callable[[], None], tidy: Callable[[], None]) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # else the login would not end with us
        os.dup2(nothing, descriptor)
    may_end = _turn.is_noted()  # the turn is ours, too, until we end: nobody begins before all is tidy
    with os.fdopen(theirs) as said:
        pid = int(said.readline() or 0)  # it comes back empty once we are gone
        since = _turn.born(pid)
        said.read()
    try:
        while since and _turn.born(pid) == since:
            if not may_end:
                raise OSError("nobody would know of it")
            keep()
            time.sleep(_MIND_S)
    except OSError:
        _interrupt(pid)
        tidy()


def _interrupt(group: int) -> None:
    """End a command and all that it started; a chance to clear up behind itself comes first.

    What an engine builds with runs in a group of its own, and goes on when the engine is ended before it can end that. So
    the engine is held still, and starts no more of it.
    """
    os.killpg(group, signal.SIGSTOP)
    for pid in _strays(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGCONT):
        os.killpg(group, number)
    until = time.monotonic() + _LEAVE_S
    while _turn.born(group) and time.monotonic() < until:  # who minds it for us cannot wait for it
        time.sleep(_LOOK_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _strays(group: int) -> Iterator[int]:
    """Give what the leader of a group started, directly or not, that is of another group now."""
    known = _procfs.processes()
    for one in known.values():
        if any(parent.pid == group for parent in _procfs.parents(one, known)):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(one.pid) != group:
                    yield one.pid
