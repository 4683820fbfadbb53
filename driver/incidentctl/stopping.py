"""What may end a response that is under way, and what may not: a terminal that went away, and a reader, do not.

SIGTERM ends it in order, as Ctrl-C does. Signals are the process's own, so what was heard of them is kept here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from types import FrameType

_UNREAD = (errno.EPIPE, errno.EIO, errno.EBADF)
_heard: set[str] = set()


class _Lasting(io.FileIO):
    """An output that takes what is written to it also when nobody reads it any more."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _UNREAD:
                raise
            _heard.add("unseen")
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)  # type: ignore[arg-type]


def withstand() -> None:
    """From now on go on where nobody reads what is said, and where the terminal went away; end at SIGTERM as at Ctrl-C.

    Ctrl-C once more while what was begun is being recorded does not spoil that; a third one ends it at once.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            stream.flush()
            raw = io.BufferedWriter(_Lasting(stream.fileno(), "w", closefd=False))
            lasting = io.TextIOWrapper(raw, encoding=stream.encoding, errors=stream.errors, line_buffering=True)
            setattr(sys, name, lasting)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: _heard.add("unseen"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def note(number: int) -> None:
    """Keep which signal asks for the end."""
    _heard.add(signal.Signals(number).name)


def terminated() -> bool:
    """Say whether it was SIGTERM that asked for the end: nobody sits here and knows of it."""
    return signal.SIGTERM.name in _heard


def unseen() -> bool:
    """Say, once, that nobody sees any more what is said here."""
    if "unseen" not in _heard:
        return False
    _heard.discard("unseen")
    return True


def _end(number: int, _frame: FrameType | None) -> None:
    if not _heard & {signal.SIGINT.name, signal.SIGTERM.name}:
        note(number)
        raise KeyboardInterrupt
    if "again" in _heard:
        raise KeyboardInterrupt
    _heard.add("again")
    with contextlib.suppress(OSError):
        os.write(2, b"Ending: what was begun is being recorded. Once more ends at once.\n")
