"""What a person types at a question: a whole line that was typed after the question was put, or nothing."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Callable

_POLL_S = 1.0


def forget() -> None:
    """Throw away what was typed before: nobody can have meant a question that was not there yet."""
    with contextlib.suppress(termios.error, OSError, ValueError):  # no terminal, or none any more
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def hush() -> Callable[[], None]:
    """Have the terminal not show what is typed; return what has it shown again."""
    try:
        before = termios.tcgetattr(sys.stdin)
        if os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():  # in the background, to change a terminal is to be stopped
            return lambda: None
        termios.tcsetattr(sys.stdin, termios.TCSANOW, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
    except (AttributeError, termios.error, OSError, ValueError):  # no terminal, or none any more
        return lambda: None

    def speak() -> None:
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)

    return speak


def line(answered: Callable[[], bool]) -> str | None:
    """Return the next line without its end; None as soon as `answered`, or when no more is typed.

    A line without its end was not sent off: whoever began it is gone.
    """
    while not select.select([sys.stdin], [], [], _POLL_S)[0]:
        if answered():
            return None
    try:
        typed = sys.stdin.readline()
    except OSError:  # the terminal hung up
        return None
    return typed.rstrip("\n") if typed.endswith("\n") else None
