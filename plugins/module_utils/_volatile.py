"""What a host forgets first: processes, connections, memory, load; read before anything else is."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._capture import capture

Read = Callable[[int], "tuple[bytes, bool]"]  # given a cap in bytes: the bytes, and whether some were cut off

_SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/net/unix")
_PRESSURE = ("/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory")


class Part(NamedTuple):
    """One piece of evidence: its name in the bundle, where it comes from, and how it is read."""

    name: str
    origin: str
    read: Read


def parts() -> list[Part]:
    """Return the volatile state of this host, the most volatile first."""
    return [
        Part("processes.jsonl", "/proc", _processes),
        _said("sockets.txt", ["ss", "-tuxwnap"]) if shutil.which("ss") else _kernel("sockets.txt", *_SOCKETS),
        _kernel("neighbours.txt", "/proc/net/arp", "/proc/net/route", "/proc/net/ipv6_route"),
        _kernel("load.txt", "/proc/loadavg", *_PRESSURE),
        _kernel("memory.txt", "/proc/meminfo", "/proc/vmstat"),
        _kernel("uptime.txt", "/proc/uptime"),
        _said("logins.txt", ["who", "-a"]),
        _kernel("mounts.txt", "/proc/self/mounts"),
        # Only local disks: a network disk that is gone would hold df for ever.
        _said("disks.txt", ["df", "-lPk"]),
        _said("inodes.txt", ["df", "-lPi"]),
        _said("kernel.txt", ["dmesg"]),
    ]


def said_by(argv: Sequence[str]) -> Read:
    """Return how to read what a command says."""
    return lambda cap: capture(argv, cap)


def _said(name: str, argv: Sequence[str]) -> Part:
    return Part(name, " ".join(argv), said_by(argv))


def _kernel(name: str, *paths: str) -> Part:
    """Return the part made of those of these files of /proc that this kernel has."""

    def read(cap: int) -> tuple[bytes, bool]:
        text = b""
        for path in paths:
            with contextlib.suppress(OSError):
                text += b"==> %s <==\n%s" % (path.encode(), Path(path).read_bytes())
        if not text:
            raise FileNotFoundError("this kernel does not have it")
        return text[:cap], len(text) > cap

    return Part(name, " ".join(paths), read)


def _processes(cap: int) -> tuple[bytes, bool]:
    """Return one JSON object a line and process: escaped, for a command line can hold terminal commands."""
    text = b"".join(json.dumps(process).encode() + b"\n" for process in _each_process())
    return text[:cap], len(text) > cap


def _each_process() -> Iterator[dict[str, Any]]:
    ticks, page, booted = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE"), _boot_time()
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended while we looked
            # The name of a process may hold spaces and brackets; what follows its last bracket may not.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            started = datetime.datetime.fromtimestamp(booted + int(fields[19]) / ticks, datetime.timezone.utc)
            yield {
                "pid": int(folder.name),
                "ppid": int(fields[1]),
                "uid": folder.stat().st_uid,
                "state": fields[0],
                "threads": int(fields[17]),
                "cpu_s": round((int(fields[11]) + int(fields[12])) / ticks, 2),
                "resident_bytes": int(fields[21]) * page,
                "started": started.isoformat(timespec="seconds"),
                "program": _link(folder / "exe"),
                "folder": _link(folder / "cwd"),
                "command": (folder / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0"),
            }


def _boot_time() -> int:
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("btime ")), 0)


def _link(path: Path) -> str | None:
    """Return where a link of /proc leads (it also says that the program was deleted); None if we may not know."""
    try:
        return str(path.readlink())
    except OSError:
        return None
