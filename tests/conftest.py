"""Tests see the checkout's own driver and collection, whatever else is installed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "driver")]

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and that is no fault. What random cases find is for a developer's run; CI tells of the commit alone.
settings.register_profile("incidentctl", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("incidentctl")
