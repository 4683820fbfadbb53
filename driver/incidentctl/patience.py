"""An end in time for what has none by itself: a server that sends a byte a second keeps every timeout of a socket."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, act: Callable[[], T]) -> T:
    """Return what `act` returns, and raise what it raises; raise TimeoutError once it has taken so long.

    It then goes on by itself, in a thread that keeps no command from ending.
    """
    answer: Future[T] = Future()

    def go() -> None:
        try:
            answer.set_result(act())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=go, daemon=True).start()
    return answer.result(seconds)
