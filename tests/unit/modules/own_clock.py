"""A clock of a test's own, that no busy machine can hurry: time passes where the test, or who sleeps, says so."""

from __future__ import annotations

from types import ModuleType

import pytest


class OwnClock:
    """Stands for `time` in a module."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Say what it is now, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so much pass."""
        self.now += seconds


def given(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> OwnClock:
    """Give these modules a clock of their own."""
    clock = OwnClock()
    for module in modules:
        monkeypatch.setattr(module, "time", clock)
    return clock
