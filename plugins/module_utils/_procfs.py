"""What the kernel tells of the host and its processes, in /proc. What cannot be read counts as not there."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PROC = Path("/proc")
_LIMIT = 256 * 1024  # bytes; /proc/sys gives nothing to who asks for 4 MiB at once
_INTERPRETERS = ("python", "perl", "ruby", "node", "php", "sh", "bash", "dash", "java")
_CHAIN = 32  # of parents
_MUCH = 4 << 20  # bytes of memory: of what has less it is not asked how much is its own


class Process(NamedTuple):
    """One process, by its short name: a command line may hold a password."""

    pid: int
    name: str
    state: str
    parent: int
    ticks: int  # of CPU time so far
    children_ticks: int  # of those that it has waited for
    waited_s: float  # for a CPU, while it could have run; 0 where the kernel does not count it
    threads: int
    started: int  # in ticks since boot
    rss_bytes: int
    own_bytes: int  # of these, what is neither a file's nor shared with others


def text(*parts: str, limit: int = _LIMIT) -> str:
    """Return a file below /proc, at most `limit` bytes of it; nothing if it cannot be read."""
    try:
        with PROC.joinpath(*parts).open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def figures(said: str) -> dict[str, int]:
    """Return what a text says in lines of a word and a whole number, as vmstat and memory.events do."""
    rows = (line.split() for line in said.splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) >= 2 and row[1].isdigit()}


def processes() -> dict[int, Process]:
    """Return all processes that can be seen, by their number."""
    try:
        pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return {}
    return {pid: found for pid in pids if (found := process(pid))}


def process(pid: int) -> Process | None:
    """Return one process; None if it is gone."""
    # The name is in brackets and may itself hold brackets and blanks.
    head, _bracket, tail = text(str(pid), "stat", limit=4096).rpartition(")")
    fields = tail.split()
    if len(fields) < 22:
        return None
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    name, state, parent = head.partition("(")[2], fields[0], int(fields[1])
    rss = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    scheduled = text(str(pid), "schedstat", limit=256).split()
    waited = int(scheduled[1]) / 1e9 if len(scheduled) > 1 else 0.0
    threads, started, shared = int(fields[17]), int(fields[19]), _shared_bytes(pid) if rss >= _MUCH else 0
    return Process(pid, name, state, parent, own, children, waited, threads, started, rss, max(0, rss - shared))


def _shared_bytes(pid: int) -> int:
    pages = text(str(pid), "statm", limit=256).split()
    return int(pages[2]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 2 else 0


def parents(one: Process, known: dict[int, Process]) -> list[Process]:
    """Return the parents of a process that are known, the nearest first."""
    chain: list[Process] = []
    while one.parent in known and len(chain) < _CHAIN:
        one = known[one.parent]
        chain.append(one)
    return chain


def script(one: Process) -> str:
    """Return the name of a process, and of an interpreter's also the script's, without its folder; never an argument."""
    # The command line of what waits for a disk may not come before that disk answers.
    if one.state == "D" or not one.name.startswith(_INTERPRETERS):
        return one.name
    words = text(str(one.pid), "cmdline", limit=4096).split("\0")
    if len(words) < 2 or words[1].startswith("-") or not words[1]:
        return one.name
    return f"{one.name} {PurePosixPath(words[1]).name}"


def started_at(one: Process) -> str | None:
    """Return when a process began, in ISO 8601; None if the host does not say when it was booted."""
    boot = figures(text("stat")).get("btime")
    if boot is None:
        return None
    moment = boot + one.started / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")
