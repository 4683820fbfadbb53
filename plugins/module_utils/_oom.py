"""Whom the kernel has killed for want of memory, and when: by the journal, or else by its own log."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _cgroups, _procfs
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

DAYS = 1
AT_MOST = 10
_KMSG = "/dev/kmsg"
_WITHIN_S = 4.0
_JOURNAL = 512 * 1024  # bytes of what the journal answers, from its end
_KERNEL = 8192  # records of the kernel's own log
_RECORD = 8192  # bytes of one
_APART_S = 3.0  # systemd notices the end of a process after the kernel has killed it
_KILLED = re.compile(r"[Kk]ill(?:ed )?process (\d+) \((.*?)\),? .*?anon-rss:(\d+)kB")
_WHERE = re.compile(r"^oom-kill:constraint=(\w+),.*?,task_memcg=(.*),task=(.*),pid=(\d+),")
# systemd: a process of a unit was killed for want of memory; a process of a unit has ended.
_UNIT_OOM, _UNIT_EXIT = "fe6faa94e7774663a0da52717891d8ef", "98e322203f7a4ed290d09fe03c09fe15"

Facts = dict[str, Any]


class Line(NamedTuple):
    """One line of a log."""

    at: float  # seconds since 1970
    said: str
    unit: str  # that systemd speaks of


class Kill(NamedTuple):
    """One process that was killed."""

    at: float
    name: str
    group: str  # its control group; empty where the kernel did not say
    limited: bool  # by the limit of a control group, not by the host's memory
    rss_bytes: int


def look() -> tuple[list[Facts] | None, str]:
    """Return whom the kernel has killed for want of memory within a day, the last first, and why that is not known.

    {name, unit, container, count, first_at, last_at, rss_bytes, limited}: `name` is the process's, `unit` and `container`
    what it belonged to, as far as that is known. None where neither log can be read.
    """
    lines, why = _from_journal()
    if not any(line.unit == "" for line in lines or ()):
        kernel, why_not = _from_kernel()
        lines, why = (lines or []) + kernel if kernel is not None else lines, why or why_not
        if not lines and kernel is None and os.geteuid():  # the journal answers only with what is ours to see: nothing
            lines = None
    if lines is None:
        return None, why
    found: dict[tuple[str, str, str], list[Kill]] = {}
    for kill in _kills(lines):
        found.setdefault((kill.name, _unit(kill, lines), _cgroups.container_of(kill.group)), []).append(kill)
    rows = [_told(*key, kills) for key, kills in found.items()]
    return sorted(rows, key=lambda row: row["last_at"], reverse=True)[:AT_MOST], ""


def _told(name: str, unit: str, container: str, kills: list[Kill]) -> Facts:
    last = max(kills, key=lambda kill: kill.at)
    return {
        "name": clean(name, 32),
        "unit": clean(unit, 100),
        "container": container,
        "count": len(kills),
        "first_at": _iso(min(kill.at for kill in kills)),
        "last_at": _iso(last.at),
        "rss_bytes": last.rss_bytes,
        "limited": last.limited,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")


def _from_journal() -> tuple[list[Line] | None, str]:
    argv = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--since=-{DAYS}d"]
    argv += ["--output-fields=MESSAGE,UNIT,_TRANSPORT", "--grep=oom-kill:|[Kk]ill(ed)? process|OOM killer|code=killed"]
    # Anybody may log with a MESSAGE_ID, but only systemd as process 1.
    argv += ["_TRANSPORT=kernel", "+", "_PID=1", f"MESSAGE_ID={_UNIT_OOM}", f"MESSAGE_ID={_UNIT_EXIT}"]
    try:
        said, _cut = _capture.capture(argv, _JOURNAL, _WITHIN_S)
    except OSError as error:
        return ([], "") if "exited 1" in str(error) and ":" not in str(error) else (None, str(error))
    lines = []
    for row in said.decode("utf-8", "replace").splitlines():
        try:
            entry = json.loads(row)
            at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            lines.append(Line(at, str(entry.get("MESSAGE", "")), str(entry.get("UNIT", ""))))
        except (ValueError, KeyError, TypeError):  # the first may be cut off
            continue
    return lines, ""


def _from_kernel() -> tuple[list[Line] | None, str]:
    """Return the lines of the kernel's own log: of this boot, the last of them."""
    now, uptime = time.time(), float((_procfs.text("uptime").split() or ["0"])[0])
    lines: list[Line] = []
    try:
        for record in _records():
            head, _semicolon, said = record.partition(";")
            fields = head.split(",")
            if ("oom-kill:" in said or "process" in said) and len(fields) > 2 and fields[2].isdigit():
                lines.append(Line(now - uptime + int(fields[2]) / 1e6, said.partition("\n")[0], ""))
    except OSError as error:
        return None, f"whom the kernel has killed is not known: {error.strerror}"
    return [line for line in lines if now - line.at < DAYS * 86400], ""


def _records() -> Iterator[str]:
    """Give the records of the kernel's log, one a read, until there are no more. Raise OSError if it is not ours to read."""
    log = os.open(_KMSG, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _record in range(_KERNEL):
            try:
                yield os.read(log, _RECORD).decode("utf-8", "replace")
            except BrokenPipeError:  # it was overwritten before we came to it
                continue
            except BlockingIOError:
                return
    finally:
        os.close(log)


def _kills(lines: list[Line]) -> list[Kill]:
    """Return the kills of this host's own processes, each once, though the kernel tells each in two lines."""
    where = {match.group(4): match for line in lines if (match := _WHERE.search(line.said))}
    own = _cgroups.own_root("memory") or _cgroups.own_root()
    found: dict[tuple[str, int], Kill] = {}
    for line in lines:
        match = _KILLED.search(line.said)
        if not match or line.unit:
            continue
        more = where.get(match.group(1))
        group, limited = (more.group(2), more.group(1) == "CONSTRAINT_MEMCG") if more else ("", False)
        if group.startswith(own):  # the kernel's log also tells of other containers
            rss = 1024 * int(match.group(3))
            found[match.group(1), int(line.at)] = Kill(line.at, match.group(2), group[len(own) :], limited, rss)
    return list(found.values())


def _unit(kill: Kill, lines: list[Line]) -> str:
    """Return the unit of a process that was killed: by its control group, or by which unit lost a process just then.

    One of a container is of no unit.
    """
    unit = _cgroups.unit_of(kill.group)
    if unit or _cgroups.container_of(kill.group):
        return unit
    near = [line for line in lines if line.unit and -0.5 <= line.at - kill.at <= _APART_S]
    return min(near, key=lambda line: abs(line.at - kill.at)).unit if near else ""
