"""What a host forgets first: connections, processes, memory, load; read before anything else is."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import (
    Allowance,
    Content,
    Part,
    said_by,
)

_SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/net/unix")
_PRESSURE = ("/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory")
_COMMAND_BYTES = 32 * 1024  # of a process's command line


def parts() -> list[Part]:
    """Return the volatile state of this host, the most volatile first: connections, processes, memory, what is mounted."""
    return [
        _said("sockets.txt", ["ss", "-tuxwnap"]) if shutil.which("ss") else _kernel("sockets.txt", *_SOCKETS),
        _kernel("neighbours.txt", "/proc/net/arp", "/proc/net/route", "/proc/net/ipv6_route"),
        Part("processes.jsonl", "/proc", _processes),
        _kernel("memory.txt", "/proc/meminfo", "/proc/vmstat"),
        _kernel("load.txt", "/proc/loadavg", *_PRESSURE),
        _kernel("uptime.txt", "/proc/uptime"),
        _said("logins.txt", ["who", "-a"]),
        _kernel("mounts.txt", "/proc/self/mounts"),
        # Only local disks: a network disk that is gone would hold df for ever.
        _said("disks.txt", ["df", "-lPk"]),
        _said("inodes.txt", ["df", "-lPi"]),
        _said("kernel.txt", ["dmesg"]),
    ]


def _said(name: str, argv: list[str]) -> Part:
    return Part(name, " ".join(argv), lambda allowance: said_by(argv, allowance))


def _kernel(name: str, *paths: str) -> Part:
    """Return the part made of those of these files of /proc that this kernel has."""

    def read(allowance: Allowance) -> Content:
        text = b""
        for path in paths:
            with contextlib.suppress(OSError), Path(path).open("rb") as stream:
                text += b"==> %s <==\n%s" % (path.encode(), stream.read(allowance.bytes + 1))
        if not text:
            raise FileNotFoundError("this kernel does not have it")
        return _fitted(text, allowance)

    return Part(name, " ".join(paths), read)


def _processes(allowance: Allowance) -> Content:
    """Return one JSON object a line and process: escaped, for a command line can hold terminal commands."""
    text = bytearray()
    for process in _each_process():
        text += json.dumps(process).encode() + b"\n"
        if len(text) > allowance.bytes or time.monotonic() > allowance.until:
            return _fitted(bytes(text), allowance)._replace(cut_by="bytes")
    return Content(bytes(text))


def _fitted(text: bytes, allowance: Allowance) -> Content:
    return Content(text[: allowance.bytes], "bytes" if len(text) > allowance.bytes else "")


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
                "command": _command(folder / "cmdline"),
            }


def _command(path: Path) -> list[str]:
    with path.open("rb") as stream:
        return stream.read(_COMMAND_BYTES).decode("utf-8", "replace").rstrip("\0").split("\0")


def _boot_time() -> int:
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("btime ")), 0)


def _link(path: Path) -> str | None:
    """Return where a link of /proc leads (it also says that the program was deleted); None if we may not know."""
    try:
        return str(path.readlink())
    except OSError:
        return None
