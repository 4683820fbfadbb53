"""A script of a drill on this host: a fault that is done or taken back, or a look that is taken until it holds."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _command
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

CAPABILITY = "drill"
SHELL = ("/bin/sh", "-euc")
LONGEST = 100_000  # bytes: what one argument of a program may hold, and some room
LOOK_S = 1.0  # between two tries


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Run `content` as a shell script; until it exits 0, for at most `within_s` seconds. In check mode it is not run."""
    script, within_s = params["content"], params["within_s"]
    if len(script.encode()) > LONGEST:
        return result(CAPABILITY, [action("script", "failed", f"the script is longer than {LONGEST} bytes")])
    if check_mode:
        return result(CAPABILITY, [action("script", "skipped", "would run the script")])
    began = time.monotonic()
    tries, ended = 0, None
    while ended is None or (not ended.ok and time.monotonic() - began + LOOK_S < within_s):
        if ended is not None:
            time.sleep(LOOK_S)
        left_s = params["timeout_s"] if not within_s else min(params["timeout_s"], within_s)
        ended = _command.run([*SHELL, script], left_s, "/")
        tries += 1
    facts = {"exit_code": ended.code, "tries": tries, "seconds": round(time.monotonic() - began, 1)}
    answer = result(CAPABILITY, [action("script", "done" if ended.ok else "failed", _told(ended))], facts=facts)
    return {**answer, "changed": ended.ok and not params["only_looks"]}


def _told(ended: _command.Finished) -> str:
    """Say how it ended, by the last line that it said. The script itself is not repeated."""
    how = "did not end in time" if ended.code is None else f"exit code {ended.code}"
    last = ended.said.splitlines()[-1][-500:] if ended.said else ""
    return "the script came to its end" if ended.ok else f"the script failed, {how}" + (f": {last}" if last else "")
