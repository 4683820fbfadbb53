"""The two clocks over a network entry: one wants a confirmation, one ends what was forgotten.

Both are on the host before the change, as systemd timers with an absolute time that survive a reboot;
where there is no systemd, as a process of their own, which does not (docs/contracts.md, 4). What they do when
they strike stands in _clocks and _rule_removal.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import math
import re
import stat
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _clocks,
    _durable,
    _ledger,
    _rule_removal,
)

BOOTED = "/run/systemd/system"  # there exactly where systemd runs
LASTING, PASSING = "/etc/systemd/system", BOOTED
_FIELDS = {"confirm": "confirm_by", "expire": "expires_at"}  # what the ledger calls a clock's time
# Whoever loads saved rules at boot must have done so, if there is something to be taken out of them.
_AFTER = "network-pre.target netfilter-persistent.service iptables.service ip6tables.service nftables.service"


def arm(entry: _ledger.Entry, deadlines: dict[str, int]) -> _ledger.Entry:
    """Start the clocks that `deadlines` names (`confirm`, `expire`: seconds from now); return the entry with them.

    The entry is written with both times, the script's place and its hash. Raise OSError if a clock does not
    run: then the act must not happen. Without deadlines no clock is wanted, and none is started.
    """
    clock = _clock(entry)
    entry = {**entry, "timer": "none", "clock": None, **dict.fromkeys(_FIELDS.values())}
    with _clocks.held(clock["script"], insist=True):  # of an older limit in the same place, or of a sweep after one
        try:
            if not deadlines:
                _clocks.disarm(clock)
                return _ledger.mark(entry, entry["state"])
            entry = _set(entry, clock, deadlines)
            _clocks.stop(clock, *(which for which in _FIELDS if which not in deadlines))
        except OSError:
            with contextlib.suppress(OSError):
                _clocks.disarm(clock)
            raise
    return entry


def prolong(entry: _ledger.Entry, seconds: int) -> _ledger.Entry:
    """Set the clock that ends a forgotten entry anew; return the entry.

    Raise OSError if it does not run: then the old one stands, as far as the host lets us.
    """
    clock = {key: value for key, value in (entry.get("clock") or _clock(entry)).items() if key != "sha256"}
    files = [_clocks.token(clock, "expire"), Path(clock["script"]), *_clocks.units(clock, "expire")]
    with _clocks.held(clock["script"]):
        before = [(path, path.read_text(encoding="utf-8"), path.stat().st_mode) for path in files if path.exists()]
        try:
            return _set(entry, clock, {"expire": seconds})
        except OSError:
            _set_back(entry, clock, before)
            raise


def confirmed(entry: _ledger.Entry) -> _ledger.Entry:
    """Stop the clock that waits for a confirmation; return the entry."""
    if not entry["expires_at"]:
        _clocks.disarm(entry["clock"])
        entry = {**entry, "timer": "none", "clock": None}
    else:
        _clocks.stop(entry["clock"], "confirm")
    return _ledger.mark({**entry, "confirm_by": None, "confirmed_at": _ledger.now()}, entry["state"])


def runs(entry: _ledger.Entry) -> bool:
    """Say whether all clocks that the entry names still run."""
    clock, wanted = entry.get("clock"), [which for which, field in _FIELDS.items() if entry[field]]
    if not clock:
        return not wanted
    files = [*(_clocks.token(clock, which) for which in wanted), *_clocks.units(clock, *wanted)]
    return all(path.exists() for path in (Path(clock["script"]), *files))


def put_away(entry: _ledger.Entry) -> list[str]:
    """Remove the clocks of an entry whose rules were taken out; return the files that may bring those back.

    Where there are any, a sweep is left on the host (_clocks.put_away).
    """
    clock = entry.get("clock") or _clock(entry)
    if not Path(clock["script"]).exists() and _clocks.keepers(clock):
        _durable.make_folders(Path(clock["script"]).parent)
        _clocks.write(Path(clock["script"]), _script(entry, clock), 0o600)
    return _clocks.put_away(clock)


def held(entry: _ledger.Entry) -> contextlib.AbstractContextManager[bool]:
    """Keep the entry's clocks from striking while the body runs; it is told whether there are any left to strike."""
    return _clocks.held((entry.get("clock") or _clock(entry))["script"])


def remaining(moment: str) -> float:
    """Given a time as the ledger writes it, return the seconds until then."""
    return datetime.datetime.fromisoformat(moment).timestamp() - time.time()


def _clock(entry: _ledger.Entry) -> dict[str, Any]:
    """Return what will be on the host: which kind of timer, the script, the folder of the units."""
    # Where the entry could be written, the script can be, too.
    folder = (_ledger.spare(entry) if entry.get("volatile") else Path(entry["path"])).parents[2] / "clocks"
    systemd = Path(BOOTED).is_dir() and _rule_removal.tool("systemctl")
    clock = {
        "timer": "systemd" if systemd else "detached",
        "script": str(folder / f"{entry['undo']['chains'][0]}.py"),
        "units": PASSING if entry.get("volatile") else LASTING,
    }
    return {**clock, "since": 0.0 if _clocks.token(clock, "sweep").exists() else _since(entry)}


def _since(entry: _ledger.Entry) -> float:
    """Return when a chain of this name was put in first: another act of the same incident has the same one.

    Where a sweep goes on that is not asked, since the ledger of that act may be forgotten: any file counts then.
    """
    folder = Path(entry["path"]).parents[2]
    found, _unreadable = _ledger.entries({"incident_id": entry["incident"], "state_dir": str(folder)})
    same = [one["at"] for one in [*found, entry] if one["undo"].get("chains") == entry["undo"]["chains"]]
    return min(datetime.datetime.fromisoformat(at).timestamp() for at in same)


def _script(entry: _ledger.Entry, clock: dict[str, Any]) -> str:
    """Return the program that a clock starts: two modules, the second without its imports of ours, and a plan."""
    sources = []
    for module in (_rule_removal, _clocks):
        spec = importlib.util.find_spec(module.__name__)
        sources.append(spec.loader.get_source(module.__name__))  # also out of the archive that Ansible sends
    sources[1] = re.sub(r"^from (__future__|ansible_collections\.\S+) import .*\n", "", sources[1], flags=re.MULTILINE)
    plan = {"undo": entry["undo"], "clock": clock, "entries": [entry["path"], str(_ledger.spare(entry))]}
    sources.append(f"\nsys.exit(strike(json.loads({json.dumps(plan, sort_keys=True)!r})))\n")
    return "\n".join(sources)


def _set(entry: _ledger.Entry, clock: dict[str, Any], deadlines: dict[str, int]) -> _ledger.Entry:
    """Write down the clocks and set them; return the entry with them. One that is not named here goes on as it is."""
    script = _script(entry, clock)
    times = {which: math.ceil(time.time()) + seconds for which, seconds in deadlines.items()}
    about = {
        "timer": clock["timer"],
        "clock": {**clock, "sha256": hashlib.sha256(script.encode()).hexdigest()},
        **{_FIELDS[which]: _iso(moment) for which, moment in times.items()},
    }
    entry = _ledger.mark({**entry, **about}, entry["state"])
    _durable.make_folders(Path(clock["script"]).parent)
    _clocks.stop(clock, "sweep")
    _clocks.write(Path(clock["script"]), script, 0o600)
    for which, moment in times.items():
        _clocks.write(_clocks.token(clock, which), str(moment), 0o600)
    _start(clock, times, deadlines, entry["incident"])
    return entry


def _set_back(entry: _ledger.Entry, clock: dict[str, Any], before: list[tuple[Path, str, int]]) -> None:
    """Give a clock back what it had, each file by itself: it strikes only at the moment that its token holds."""
    for path, text, mode in before:
        with contextlib.suppress(OSError):
            _clocks.write(path, text, stat.S_IMODE(mode))
    with contextlib.suppress(OSError):
        _ledger.mark(entry, entry["state"])
    # A process that waits may have seen the new moment, and ended.
    if clock["timer"] == "detached" and before and before[0][0] == _clocks.token(clock, "expire"):
        with contextlib.suppress(OSError, ValueError):
            _detach(clock, "expire", before[0][1], float(before[0][1]) - time.time())
    timers = [path.name for path, _text, _mode in before if path.suffix == ".timer"]
    for words in [["daemon-reload"], ["restart", *timers]] if timers else []:
        with contextlib.suppress(OSError):
            _rule_removal.call(["systemctl", *words])


def _start(clock: dict[str, Any], times: dict[str, int], deadlines: dict[str, int], incident: str) -> None:
    if clock["timer"] == "detached":
        for which, moment in times.items():
            _detach(clock, which, str(moment), deadlines[which])
        return
    names = []
    for which, moment in times.items():
        timer, service = _clocks.units(clock, which)
        _clocks.write(service, _service(_clocks.command(clock, which, str(moment)), incident), 0o644)
        _clocks.write(timer, _timer(which, moment, deadlines[which], incident), 0o644)
        names.append(timer.name)
    # enable makes systemd read its units anew, too.
    lasting = clock["units"] == LASTING
    _rule_removal.call(["systemctl", "enable", "--quiet", *names] if lasting else ["systemctl", "daemon-reload"])
    _rule_removal.call(["systemctl", "restart", *names])
    for name in names:  # of several, one that runs would do
        _rule_removal.call(["systemctl", "is-active", name])


def _detach(clock: dict[str, Any], which: str, moment: str, seconds: float) -> None:
    reading = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    _clocks.detach([sys.executable, "-I", "-B", clock["script"], which, moment, str(reading)])


def _service(command: str, incident: str) -> str:
    return (
        f"[Unit]\nDescription=Take back what {incident} put in\nAfter={_AFTER}\nStartLimitIntervalSec=0\n\n"
        f"[Service]\nExecStart={command}\nRestart=on-failure\nRestartSec=5\n"
    )


def _timer(which: str, moment: int, seconds: int, incident: str) -> str:
    at = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    # The second time is for a wall clock that is set back meanwhile.
    return (
        f"[Unit]\nDescription=When to take back what {incident} put in ({which})\n\n"
        f"[Timer]\nOnCalendar={at}\nOnActiveSec={seconds + 1}\nAccuracySec=100ms\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def _iso(moment: int) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).isoformat(timespec="milliseconds")
