"""The two clocks over a network entry: one wants a confirmation, one ends what was forgotten.

Both are on the host before the change, as systemd timers with an absolute time that survive a reboot;
where there is no systemd, as a process of their own, which does not (docs/contracts.md, 4).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _ledger, _rule_removal

BOOTED = "/run/systemd/system"  # there exactly where systemd runs
LASTING, PASSING = "/etc/systemd/system", BOOTED
# Whoever loads saved rules at boot must have done so, if there is something to be taken out of them.
_AFTER = "network-pre.target netfilter-persistent.service iptables.service ip6tables.service nftables.service"


def arm(entry: _ledger.Entry, deadlines: dict[str, int]) -> _ledger.Entry:
    """Start the clocks that `deadlines` names (`confirm`, `expire`: seconds from now); return the entry with them.

    The entry is written with both times, the script's place and its hash. Raise OSError if a clock does not
    run: then the act must not happen. Without deadlines no clock is wanted, and none is started.
    """
    times = {which: math.ceil(time.time()) + seconds for which, seconds in deadlines.items()}
    clock = _clock(entry, times)
    script = _script(entry, clock) if times else ""
    entry = _ledger.mark(
        {
            **entry,
            "timer": clock["timer"],
            "clock": {**clock, "sha256": hashlib.sha256(script.encode()).hexdigest()} if times else None,
            "confirm_by": _iso(times.get("confirm")),
            "expires_at": _iso(times.get("expire")),
        },
        entry["state"],
    )
    if times:
        try:
            _durable.make_folders(Path(clock["script"]).parent)
            _write(Path(clock["script"]), script, 0o600)
            _start(clock, times, deadlines, entry["incident"])
        except OSError:
            with contextlib.suppress(OSError):
                _rule_removal.disarm(clock)
            raise
    return entry


def prolong(entry: _ledger.Entry, seconds: int) -> _ledger.Entry:
    """Set the clock that ends a forgotten entry anew; return the entry. Raise OSError if it does not run."""
    deadlines = {"expire": seconds}
    if entry["confirm_by"]:
        deadlines["confirm"] = max(1, math.ceil(remaining(entry["confirm_by"])))
    return arm(entry, deadlines)


def confirmed(entry: _ledger.Entry) -> _ledger.Entry:
    """Stop the clock that waits for a confirmation; return the entry."""
    _rule_removal.stop(entry["clock"], "confirm")
    clock = {**entry["clock"], "units": {k: v for k, v in entry["clock"]["units"].items() if k != "confirm"}}
    entry = _ledger.mark({**entry, "confirm_by": None, "confirmed_at": _ledger.now(), "clock": clock}, entry["state"])
    if not entry["expires_at"]:
        _rule_removal.disarm(clock)
        return _ledger.mark({**entry, "timer": "none", "clock": None}, entry["state"])
    return entry


def runs(entry: _ledger.Entry) -> bool:
    """Say whether all clocks that the entry names still run."""
    clock = entry.get("clock")
    if not clock:
        return not (entry["confirm_by"] or entry["expires_at"])
    armed = [clock["units"][w] for w in ("confirm", "expire") if w in clock["units"]]
    return all(Path(path).exists() for path in (clock["script"], *armed))


def disarm(entry: _ledger.Entry) -> None:
    """Remove clocks and script, if the entry has any."""
    if entry.get("clock"):
        _rule_removal.disarm(entry["clock"])


def remaining(moment: str) -> float:
    """Given a time as the ledger writes it, return the seconds until then."""
    return datetime.datetime.fromisoformat(moment).timestamp() - time.time()


def _clock(entry: _ledger.Entry, times: dict[str, int]) -> dict[str, Any]:
    """Return what will be on the host: which kind of timer, the script, the files of the units."""
    name = entry["undo"]["chains"][0]
    # Where the entry could be written, the script can be, too.
    folder = (_ledger.spare(entry) if entry.get("volatile") else Path(entry["path"])).parents[2] / "clocks"
    clock: dict[str, Any] = {"timer": "none", "script": str(folder / f"{name}.py"), "units": {}}
    if not times:
        return clock
    if Path(BOOTED).is_dir() and _rule_removal.tool("systemctl"):
        units = Path(PASSING if entry.get("volatile") else LASTING)
        clock["timer"] = "systemd"
        clock["units"] = {which: str(units / f"{name}-{which}.timer") for which in times}
        clock["units"]["service"] = str(units / f"{name}.service")
    else:
        clock["timer"] = "detached"
        clock["units"] = {which: str(folder / f"{name}-{which}") for which in times}
    return clock


def _script(entry: _ledger.Entry, clock: dict[str, Any]) -> str:
    spec = importlib.util.find_spec(_rule_removal.__name__)
    source = spec.loader.get_source(_rule_removal.__name__)  # also out of the archive that Ansible sends
    plan = {"undo": entry["undo"], "clock": clock, "entries": [entry["path"], str(_ledger.spare(entry))]}
    return f"{source}\n\nsys.exit(strike(json.loads({json.dumps(plan, sort_keys=True)!r})))\n"


def _start(clock: dict[str, Any], times: dict[str, int], deadlines: dict[str, int], incident: str) -> None:
    if clock["timer"] == "detached":
        for which, moment in times.items():
            _write(Path(clock["units"][which]), str(moment), 0o600)
            _detach([sys.executable, "-I", "-B", clock["script"], "wait", which, str(moment)])
        return
    service = Path(clock["units"]["service"])
    _write(service, _service(clock["script"], incident), 0o644)
    timers = []
    for which, moment in times.items():
        timer = Path(clock["units"][which])
        _write(timer, _timer(which, moment, deadlines[which], service.name, incident), 0o644)
        timers.append(timer.name)
    # enable makes systemd read its units anew, too.
    lasting = str(service.parent) == LASTING
    _rule_removal.call(["systemctl", "enable", "--quiet", *timers] if lasting else ["systemctl", "daemon-reload"])
    _rule_removal.call(["systemctl", "restart", *timers])
    _rule_removal.call(["systemctl", "is-active", *timers])


def _service(script: str, incident: str) -> str:
    words = " ".join('"' + word.replace("%", "%%").replace('"', '\\"') + '"' for word in ("-I", "-B", script))
    return (
        f"[Unit]\nDescription=Take back what {incident} put in\nAfter={_AFTER}\nStartLimitIntervalSec=0\n\n"
        f"[Service]\nExecStart={sys.executable} {words}\nRestart=on-failure\nRestartSec=5\n"
    )


def _timer(which: str, moment: int, seconds: int, service: str, incident: str) -> str:
    at = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    # The second time is for a wall clock that is set back meanwhile.
    return (
        f"[Unit]\nDescription=When to take back what {incident} put in ({which})\n\n"
        f"[Timer]\nOnCalendar={at}\nOnActiveSec={seconds + 1}\nAccuracySec=100ms\nPersistent=true\nUnit={service}\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def _detach(argv: list[str]) -> None:
    """Start a process that nobody waits for, of a session and in a folder of its own."""
    process = os.fork()
    if process == 0:
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        os._exit(0)
    os.waitpid(process, 0)


def _write(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f".{path.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _durable.sync_folder(path.parent)


def _iso(moment: int | None) -> str | None:
    if moment is None:
        return None
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).isoformat(timespec="milliseconds")
