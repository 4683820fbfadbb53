"""Ask many things at once, so that one that hangs costs its own time once, and no other's."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any, Callable

AT_ONCE = 32
LATE = None  # the answer of a call that did not come back in time


def each(work: Callable[[Any], Any], items: Sequence[Any], within_s: float) -> list[Any]:
    """Return `work(item)` for every item, in order; LATE for one that took longer than `within_s` seconds.

    Threads are daemons: a name server or a disk that never answers cannot keep the module from ending.
    """
    answers: list[Any] = []
    for first in range(0, len(items), AT_ONCE):
        running = [start(work, item) for item in items[first : first + AT_ONCE]]
        deadline = time.monotonic() + within_s
        answers += [answer(future, deadline) for future in running]
    return answers


def start(work: Callable[[Any], Any], item: Any) -> Future[Any]:
    """Begin `work(item)` beside all else; `answer` has what comes of it."""
    future: Future[Any] = Future()

    def go() -> None:
        try:
            future.set_result(work(item))
        except BaseException as error:  # handed to whoever asks for the answer
            future.set_exception(error)

    threading.Thread(target=go, daemon=True).start()
    return future


def answer(future: Future[Any], deadline: float) -> Any:
    """Return what has come of it, LATE if nothing has by then, on the monotonic clock."""
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except NotInTime:
        if future.done():  # the work itself raised it
            raise
        return LATE
