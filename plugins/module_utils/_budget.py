"""What collecting may cost a host that is in trouble already: time and CPU, with that of the commands it starts."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from ansible_collections.incidentctl.response.plugins.module_utils import _capture

# Behind others, but not so far that it is starved where all processors are busy: evidence gets old.
_NICE = 5


class Budget:
    """Time and CPU seconds from now on."""

    def __init__(self, seconds: float, cpu_s: float) -> None:
        """Begin to count."""
        self._seconds, self._cpu_s = seconds, cpu_s
        self._begun, self._cpu_begun = time.monotonic(), _cpu()

    @property
    def until(self) -> float:
        """The monotonic time at which it is over."""
        return self._begun + self._seconds

    @property
    def left_cpu_s(self) -> float:
        """CPU seconds that are left."""
        return self._cpu_s - self.used()["cpu_s"]

    def used(self) -> dict[str, float]:
        """Return what was used until now: `seconds` and `cpu_s`."""
        return {"seconds": round(time.monotonic() - self._begun, 3), "cpu_s": round(_cpu() - self._cpu_begun, 3)}

    def why_over(self) -> str:
        """Say what is used up; nothing while there is some of both."""
        if time.monotonic() >= self.until:
            return f"the {self._seconds:g} s for this host were over before it"
        if self.left_cpu_s <= 0:
            return f"the {self._cpu_s:g} s of CPU for this host were used up before it"
        return ""


def step_back() -> None:
    """Let this thread, and all that it starts, go behind whatever else the host has to do."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))
    with contextlib.suppress(OSError):  # a host without it: what is read comes from memory for the most part
        _capture.capture(["ionice", "-c", "2", "-n", "7", "-p", str(thread)], 100, 2.0)


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
