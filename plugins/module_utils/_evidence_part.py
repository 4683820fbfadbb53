"""One piece of evidence: how it is called, where it comes from, how it is read, and what may be spent on it."""

from __future__ import annotations

import time
from typing import Any, Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture


class Allowance(NamedTuple):
    """What reading one part may cost: bytes kept, the monotonic time to be done by, CPU seconds of a command."""

    bytes: int
    until: float
    cpu_s: float


class Content(NamedTuple):
    """What was read. `cut_by` says what left the rest out: `bytes`, `lines` or `since`; nothing if it is whole.

    `source` says of a file how it was: its size, where in it these bytes begin, when it was last written, whose it is.
    """

    bytes: bytes
    cut_by: str = ""
    source: dict[str, Any] = {}  # noqa: RUF012 - never written to
    note: str = ""


class Part(NamedTuple):
    """`estimate`: the bytes that it will most likely take; None if nobody knows."""

    name: str
    origin: str
    read: Callable[[Allowance], Content]
    estimate: int | None = None


def left_out(name: str, origin: str, error: OSError) -> Part:
    """Return the part that will be missing, or refused, for a reason that is known already."""

    def read(_allowance: Allowance) -> Content:
        raise error

    return Part(name, origin, read, 0)


def said_by(argv: list[str], allowance: Allowance, *, merged: bool = False) -> Content:
    """Return what a command says, the end of it. Raise OSError as `_capture.capture` does."""
    seconds = min(_capture.TIMEOUT_S, max(0.1, allowance.until - time.monotonic()))
    said, cut = _capture.capture(argv, allowance.bytes, seconds, merged=merged, cpu_s=allowance.cpu_s)
    return Content(said, "bytes" if cut else "")
