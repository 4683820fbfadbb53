"""Keep what a command says, byte for byte: the last `cap` bytes of it, in bounded time and memory."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

TIMEOUT_S = 20.0
_CHUNK = 1 << 16
_COMPLAINT_LIMIT = 300
_MOMENT_S = 0.1  # to end, once all was said


def capture(
    argv: Sequence[str], cap: int, timeout_s: float = TIMEOUT_S, *, merged: bool = False, cpu_s: float | None = None
) -> tuple[bytes, bool]:
    """Run `argv`; return the tail of its standard output, at most `cap` bytes, and whether more was said.

    `merged`: together with its standard error. `cpu_s`: the CPU seconds that it may take. Raise OSError if it cannot be
    started, says nothing and fails (merged: fails, whatever it said), or does not end in time.
    """
    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else complaint,
            start_new_session=True,
        )
        if cpu_s is not None:
            _limit(process.pid, cpu_s)
        deadline = time.monotonic() + timeout_s
        with process.stdout as output:
            ended, tail, cut = _read_tail(output, cap, deadline)
        ended = ended and _ends(process, deadline)  # it may have closed its output, and go on
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if not ended:
            raise OSError(f"{argv[0]} did not finish in {timeout_s:.0f} s and was ended")
        if cpu_s is not None and code in (-signal.SIGXCPU, -signal.SIGKILL):
            raise OSError(f"{argv[0]} needed more than {math.ceil(cpu_s)} s of CPU and was ended")
        if code != 0 and (merged or not tail):
            complaint.seek(0)
            told = tail[-_COMPLAINT_LIMIT:] if merged else complaint.read(_COMPLAINT_LIMIT)
            said = told.decode("utf-8", "replace").strip()
            raise OSError(f"{argv[0]} exited {code}" + (f": {said}" if said else ""))
        return tail, cut


def _ends(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(_MOMENT_S, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _limit(process: int, cpu_s: float) -> None:
    seconds = max(1, math.ceil(cpu_s))
    with contextlib.suppress(OSError):  # it has ended already
        resource.prlimit(process, resource.RLIMIT_CPU, (seconds, seconds + 1))


def _read_tail(output: IO[bytes], cap: int, deadline: float) -> tuple[bool, bytes, bool]:
    """Return whether the output came to its end before `deadline`, its tail, and whether more came before it."""
    tail, cut = bytearray(), False
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(output.fileno(), _CHUNK)
            if not chunk:
                return True, bytes(tail), cut
            tail += chunk
            if len(tail) > cap:
                del tail[: len(tail) - cap]
                cut = True
    return False, bytes(tail), cut
