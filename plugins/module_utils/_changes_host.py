"""What happened to a host as a whole: reboots, another kernel, its clock set, who logged in. From wtmp and /proc."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change, some

WTMP, PROC, BOOT = Path("/var/log/wtmp"), Path("/proc"), Path("/boot")
# struct utmp of glibc, as all of its 64-bit architectures write it: type, pid, line, id, user, host, exit, session, time.
_RECORD = struct.Struct("=hxxi32s4s32s256shhiii16s20x")
_TAIL = 4000 * _RECORD.size
_RUN_LEVEL, _BOOT_TIME, _NEW_TIME, _OLD_TIME, _LOGIN = 1, 2, 3, 4, 7
_SAME_BOOT_S = 120  # between two ways to tell the same boot
_VISIT_S = 3600  # logins of one person that follow each other within so long are one visit


class Record(NamedTuple):
    """One line of wtmp."""

    type: int
    user: str
    line: str
    host: str
    at: float


def look(window: Window, wtmp: Path = WTMP, proc: Path = PROC, boot: Path = BOOT) -> list[Change]:
    """Return what happened to the host within the window. Raise OSError or ValueError if wtmp is there and cannot be read."""
    try:
        records = read(wtmp)
    except FileNotFoundError:  # newer systems have none
        records = []
    return [
        *_reboots(records, window, proc),
        *_kernels(window, boot),
        *_clock(records, window),
        *_logins(records, window),
    ]


def read(wtmp: Path) -> list[Record]:
    """Return the last few thousand records. Raise OSError if it cannot be read, ValueError if that is not what it holds."""
    with wtmp.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size % _RECORD.size:
            raise ValueError(f"{wtmp} holds no records of {_RECORD.size} bytes")
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    found = []
    for kind, _pid, line, _id, user, host, _end, _exit, _session, seconds, micro, _address in _RECORD.iter_unpack(tail):
        texts = (part.partition(b"\0")[0].decode("utf-8", "replace") for part in (user, line, host))
        found.append(Record(kind, *texts, seconds + micro / 1e6))
    return found


def started_at(proc: Path = PROC) -> float:
    """Return when process 1 was started, in seconds since 1970: the boot of a machine, the start of a container."""
    said = (proc / "stat").read_text(encoding="ascii", errors="replace")
    booted = next(float(line.split()[1]) for line in said.splitlines() if line.startswith("btime "))
    fields = (proc / "1" / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _reboots(records: list[Record], window: Window, proc: Path) -> Iterator[Change]:
    boots = [record for record in records if record.type == _BOOT_TIME]
    now = started_at(proc)
    if not any(abs(record.at - now) <= _SAME_BOOT_S for record in boots):
        boots.append(Record(_BOOT_TIME, "reboot", "", os.uname().release, now))
    for number, record in enumerate(boots):
        if window.holds(record.at):
            earlier = boots[number - 1] if number else None
            text = "rebooted"
            if earlier is not None and earlier.host and record.host and earlier.host != record.host:
                text = f"rebooted, from kernel {earlier.host} to {record.host}"
            ended = [
                r for r in records if earlier and r.type == _RUN_LEVEL and r.user == "shutdown" and r.at >= earlier.at
            ]
            sudden = earlier is not None and not any(r.at <= record.at for r in ended)
            yield change("reboot", text, text, record.at, "it was not shut down before" if sudden else "")


def _kernels(window: Window, boot: Path) -> Iterator[Change]:
    for path in sorted(boot.glob("vmlinuz-*"))[:20]:
        said, name = path.lstat(), path.name.partition("-")[2]
        if window.holds(said.st_ctime) and name != os.uname().release:
            text = f"got kernel {name}"
            yield change(
                "kernel", name, text, said.st_ctime, f"{os.uname().release} runs until a reboot", path=str(path)
            )


def _clock(records: list[Record], window: Window) -> Iterator[Change]:
    before = None
    for record in records:
        if record.type == _OLD_TIME:
            before = record.at
        elif record.type == _NEW_TIME and before is not None:
            if window.holds(record.at):
                text = f"had its clock set {'forward' if record.at > before else 'back'} by {abs(record.at - before):.0f} s"
                yield change("clock", "clock set", text, record.at)
            before = None


def _logins(records: list[Record], window: Window) -> Iterator[Change]:
    visits: dict[str, list[Record]] = {}
    for record in records:
        if record.type == _LOGIN and record.user and window.holds(record.at):
            visit = visits.setdefault(record.user, [])
            if visit and record.at - visit[-1].at > _VISIT_S:
                yield _login(visits.pop(record.user))
                visit = visits.setdefault(record.user, [])
            visit.append(record)
    for visit in visits.values():
        yield _login(visit)


def _login(visit: list[Record]) -> Change:
    places = list(dict.fromkeys(record.host or record.line for record in visit))
    often = f", {len(visit)} times" if len(visit) > 1 else ""
    return change("login", visit[0].user, f"had a login of {visit[0].user}", visit[0].at, f"from {some(places)}{often}")
