"""The clocks over traffic rules as a host has them: how they are held, stopped and put away, and what happens when one strikes.

It is the second half of the dead-man script (_dead_man.py), behind _rule_removal: so it imports nothing but that and the
standard library. `clock` is what the ledger says of an entry's clocks: {timer, script, units (the folder of
systemd's), since}. Each has a token beside the script, which holds the moment that it stands at; without its token a
clock does nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._rule_removal import RuleError, call, remove

LOCK_S = 30.0  # a clock that strikes while its rules are being loaded waits so long for that to end
# Where rules are saved, and scripts that load them at boot.
PLACES = [
    *("/etc", "/root", "/usr/local/bin", "/usr/local/etc", "/usr/local/sbin"),
    *("/var/lib/iptables", "/var/lib/ip6tables", "/var/lib/nftables"),
]
_POLL_S = 0.5
_BOOT_S = 300.0  # for so long a sweep looks every two seconds, since something may load rules late; then less often
_SWEEP_S = (2.0, 30.0)
_LARGEST = 16 << 20  # bytes of a file that may hold saved rules
_DAY_S = 86400
# How a rule set names a chain that it brings back, or a script does; a note that names it brings nothing back.
_LOADS = "|".join(
    [
        r"^[ \t]*:{0}",  # iptables-save
        r"(?<![\w-])-(?:[AINRgj]|-(?:append|goto|insert|jump|new-chain|replace))[\"', \t=]+{0}",
        r"\b(?:jump|goto)[ \t]+[\"']?{0}",  # nft
        r"\bchain[ \t]+[\"']?{0}[\"']?[ \t]*(?:[{{;]|$)",
        r"\b(?:chain|rule)[ \t]+\S+[ \t]+\S+[ \t]+[\"']?{0}",
        r"\bchain[ \t]*=[ \t]*[\"']?{0}",  # firewalld
        r"\"(?:name|chain|target)\"\s*:\s*\"{0}",  # nft's JSON
    ]
)
_MOUNTS = "/proc/self/mountinfo"
_OURS = ("overlay", "ramfs", "tmpfs", "zfs")  # kinds of filesystems that are this host's own, but of no device
ALL = ("confirm", "expire", "sweep")
_WHY = {"confirm": "it was not confirmed in time", "expire": "its time ran out", "": "its script was run by hand"}


@contextlib.contextmanager
def held(script: str, insist: bool = False) -> Iterator[bool]:
    """Keep the clocks of a script to ourselves while the body runs; say whether it is still there, and ours.

    Who insists goes on when another, which hangs, does not let go of it in half a minute.
    """
    descriptor, deadline = None, time.monotonic() + LOCK_S
    try:
        while True:
            try:
                descriptor = os.open(script, os.O_RDONLY)
            except FileNotFoundError:
                yield False
                return
            while not (ours := _locked(descriptor)) and time.monotonic() < deadline:
                time.sleep(0.05)
            if not ours or _is_at(descriptor, script):
                break
            os.close(descriptor)  # it was written anew, or removed, while we waited
            descriptor = None
        yield ours or insist
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except FileNotFoundError:
        return False


def token(clock: dict[str, Any], which: str) -> Path:
    """Return the file that says at which moment a clock, `confirm` or `expire`, stands; or that a `sweep` goes on."""
    script = Path(clock["script"])
    return script.with_name(f"{script.stem}-{which}")


def units(clock: dict[str, Any], *which: str) -> list[Path]:
    """Return the files of systemd's units for these clocks; those that are to be started come first."""
    if clock["timer"] != "systemd":
        return []
    stems = [Path(clock["units"], token(clock, name).name) for name in which]
    started = [stem.with_suffix(".service" if stem.name.endswith("-sweep") else ".timer") for stem in stems]
    return [*started, *(stem.with_suffix(".service") for stem in stems if not stem.name.endswith("-sweep"))]


def stop(clock: dict[str, Any], *which: str) -> None:
    """Stop clocks, `confirm` or `expire`, or the `sweep`, for good. Raise OSError if one could still strike."""
    # From here on one that has struck just now, and waits for its turn, does nothing.
    _unlink(*(token(clock, name) for name in which))
    files = [path for path in units(clock, *which) if path.exists()]
    if files:
        timers = [path.name for path in files if path.suffix == ".timer"]
        services = [path.name for path in files if path.name.endswith("-sweep.service")]
        # What counts is whether it still runs. (A sweep sees that its token is gone; it may be the one that calls this.)
        for words in ([["disable", "--now", *timers]] if timers else []) + [["disable", *services] for _ in services]:
            with contextlib.suppress(RuleError):
                call(["systemctl", "--quiet", *words])
        if running := [name for name in timers if _active(name)]:
            raise RuleError(f"{', '.join(running)} could not be stopped")
        _unlink(*(Path(f"/var/lib/systemd/timers/stamp-{name}") for name in timers), *files)
        # Their tokens and files are gone: what systemd still has in mind strikes nothing.
        with contextlib.suppress(RuleError):
            call(["systemctl", "daemon-reload"])


def disarm(clock: dict[str, Any]) -> None:
    """Remove all clocks, the sweep and the script: nothing of them is left on the host."""
    files = units(clock, "confirm", "expire")
    services = [path.name for path in files if path.suffix == ".service" and path.exists()]
    stop(clock, "confirm", "expire", "sweep")
    ours = [Path(clock["script"]), *(token(clock, which) for which in ALL), *units(clock, *ALL)]
    _unlink(Path(clock["script"]), *map(_draft, ours))  # a draft is left by who was killed while it wrote
    if services:
        with contextlib.suppress(RuleError):
            call(["systemctl", "reset-failed", *services])
    with contextlib.suppress(OSError):
        Path(clock["script"]).parent.rmdir()


def put_away(clock: dict[str, Any]) -> list[str]:
    """Remove the clocks of rules that were taken out; return the files that may bring those back.

    Where there are any, a sweep is left: it takes the rules out whenever they are back, also after a reboot, and
    ends with the last of these files that names them.
    """
    files = keepers(clock)
    if not files:
        disarm(clock)
        return []
    # First the sweep, then the clocks: a disk that is full leaves one of them.
    write(token(clock, "sweep"), "", 0o600)
    for unit in units(clock, "sweep"):
        words = command(clock, "sweep")
        text = (
            f"[Unit]\nDescription=Take out what {', '.join(files)} may bring back\n\n"
            f"[Service]\nExecStart={words}\nRestart=on-failure\nRestartSec=5\n\n[Install]\nWantedBy=multi-user.target\n"
        )
        write(unit, text, 0o644)
        call(["systemctl", "--quiet", "enable", "--now", unit.name])
    if clock["timer"] != "systemd":
        detach([sys.executable, "-I", "-B", clock["script"], "sweep"])
    stop(clock, "confirm", "expire")
    return files


def keepers(clock: dict[str, Any]) -> list[str]:
    """Return the files in which somebody has saved rules while ours were in: a boot would bring ours back."""
    chain, own = Path(clock["script"]).stem, str(Path(clock["script"]).parents[1])  # our own ledger names it, too
    left_out = {own, *_elsewhere()}
    found = []
    for place in PLACES:
        for folder, folders, files in os.walk(place):
            folders[:] = [name for name in folders if name[0] != "." and f"{folder}/{name}" not in left_out]
            paths = [f"{folder}/{name}" for name in files if not name.startswith((".", chain))]
            found += [path for path in paths if path not in left_out and _names(path, chain, clock["since"])]
    return sorted(found)


def _elsewhere() -> list[str]:
    """Return where something is mounted that is not this host's own: a share whose server is gone would hang who looks."""
    try:
        lines = Path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = {}
    for line in lines:
        about, _dash, (kind, source, *_more) = (part.split() for part in line.partition(" - "))
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), about[4])
        found[place] = not (source.startswith("/dev/") or kind in _OURS)  # of several the last is the one on top
    return [place for place, is_elsewhere in found.items() if is_elsewhere]


def _names(path: str, chain: str, since: float) -> bool:
    """Say whether a file that was written since then (a day is given for clocks that were set) would load our chain."""
    try:
        about = os.lstat(path)
        likely = stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST and about.st_ctime > since - _DAY_S
        text = Path(path).read_bytes() if likely else b""
    except OSError:
        return False
    # Most files are done with by the plain look.
    loads = _LOADS.format(rf"{re.escape(chain)}(?![\w-])").encode()
    return chain.encode() in text and bool(re.search(loads, text, re.MULTILINE))


def command(clock: dict[str, Any], *words: str) -> str:
    """Return how systemd starts the script."""
    argv = [sys.executable, "-I", "-B", clock["script"], *words]
    return " ".join('"' + word.replace("%", "%%").replace('"', '\\"') + '"' for word in argv)


def detach(argv: list[str]) -> None:
    """Start a process that nobody waits for, of a session and in a folder of its own. Raise OSError if it does not start."""
    process = os.fork()
    if process == 0:
        try:
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except BaseException:  # or there would be two of us from here on
            os._exit(1)
        os._exit(0)
    if os.waitpid(process, 0)[1] != 0:
        raise RuleError(f"{argv[0]} could not be started beside this")


def write(path: Path, text: str, mode: int) -> None:
    """Replace a file, synced to disk with its name. Raise OSError; then the old one stands."""
    draft = _draft(path)
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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.draft")


def _active(unit: str) -> bool:
    try:
        call(["systemctl", "is-active", "--quiet", unit])
    except RuleError:
        return False
    return True


def _unlink(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def strike(plan: dict[str, Any]) -> int:
    """Take the rules back because a clock ran out; return the exit code. This is what the script does.

    Its words: which clock, and the moment that it was set to; without systemd also the reading of the clock that nobody
    can set (seconds since boot) at which to strike, until when it waits. Or `sweep`. Without any it takes the rules
    back at once, for a person at the console.
    """
    which, moment, *reading = [*sys.argv[1:], "", ""][: max(2, len(sys.argv) - 1)]
    if which == "sweep":
        return _sweep(plan)
    clock = plan["clock"]
    if reading and not _wait(token(clock, which), moment, float(reading[0])):
        return 0
    while True:
        try:
            with held(clock["script"], insist=True) as there:
                # It may have been called off, or set anew, after its time had come and before its turn.
                if there and (not which or _stands_at(token(clock, which), moment)):
                    remove(plan["undo"])
                    for path in plan["entries"]:
                        _close(Path(path), which)
                    put_away(clock)
        except Exception as error:  # whatever it is: what ends here leaves the rules in place
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            if not reading:
                return 1  # systemd starts it again
            time.sleep(5)
        else:
            return 0


def _wait(stands: Path, moment: str, reading: float) -> bool:
    """Wait for a moment, or what it was in seconds since boot; say whether the clock still stands at it then."""
    while going := _stands_at(stands, moment):
        left_s = min(float(moment) - time.time(), reading - time.clock_gettime(time.CLOCK_BOOTTIME))
        if left_s <= 0:
            break
        time.sleep(min(_POLL_S, left_s))
    return going


def _stands_at(path: Path, moment: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == moment
    except FileNotFoundError:
        return False
    except OSError:  # a disk that cannot be read calls nothing off
        return True


def _sweep(plan: dict[str, Any]) -> int:
    """Take the rules out whenever they are back, until no saved file names them any more; return the exit code."""
    clock, began, files = plan["clock"], time.monotonic(), []  # type: dict[str, Any], float, list[str]
    goes_on, chain = token(clock, "sweep"), Path(clock["script"]).stem
    while goes_on.exists():
        with contextlib.suppress(RuleError), held(clock["script"], insist=True) as there:
            if not (there and goes_on.exists()):
                return 0
            if remove(plan["undo"]):
                print(f"{chain} was back, and is out again: {', '.join(files) or 'saved rules'}", flush=True)
            files = [path for path in files if _names(path, chain, clock["since"])] or keepers(clock)
            if not files:
                disarm(clock)
                return 0
        until = time.monotonic() + _SWEEP_S[time.monotonic() - began > _BOOT_S]
        while goes_on.exists() and time.monotonic() < until:
            time.sleep(_POLL_S)
    return 0


def _close(path: Path, which: str) -> None:
    """Say in the ledger that this entry took itself back; one that cannot be read or written stays as it is."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        entry = json.loads(path.read_bytes())
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        entry.update(state="lifted", lifted_at=now, lifted_because=_WHY[which])
        write(path, json.dumps(entry, sort_keys=True, indent=1), 0o600)
