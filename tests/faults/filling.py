"""A disk that somebody else fills in the middle of a program, at a point that is met to the byte. Needs root and strace.

The disk is a tmpfs. strace holds each write of the program up for a moment and tells of it; at the point the disk is made as
small as what is on it, and what is freed from then on is taken, too. So the kernel refuses the program's next new block.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

TOOLS = ("strace", "mount")
_HOLD_US = 1500
_WRITES = "write,pwrite64,copy_file_range,sendfile"
_TOLD = f"{_WRITES},fallocate,openat,rename,unlink,unlinkat"
_REMOUNT = 32  # MS_REMOUNT
_CALL = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Point(NamedTuple):
    """When the disk fills: once so many bytes were written to it, or at the first such call that names such a path."""

    name: str
    written: int = 0
    call: str = ""
    path: str = ""


class Disk:
    """A tmpfs at `top`."""

    def __init__(self, top: Path, size: int) -> None:
        """Keep how large it is while nobody fills it."""
        self.top, self._size = top, size

    @property
    def free(self) -> int:
        """Bytes that are free."""
        status = os.statvfs(self.top)
        return status.f_bfree * status.f_frsize

    def shrink(self, leave: int) -> bool:
        """Take all that is free but `leave` bytes; return False, and take nothing, if more was written this moment."""
        status = os.statvfs(self.top)
        return self._resize((status.f_blocks - status.f_bfree) * status.f_frsize + leave)

    def make_room(self) -> None:
        """Give back what was taken."""
        if not self._resize(self._size):
            raise OSError(ctypes.get_errno(), f"{self.top} could not be made large again")

    def _resize(self, size: int) -> bool:
        return bool(_LIBC.mount(b"none", os.fsencode(self.top), None, _REMOUNT, b"size=%d" % size) == 0)


@contextmanager
def disk(size: int) -> Iterator[Disk]:
    """Give a disk of `size` bytes, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", folder], check=True)
        Path(folder, "others").write_bytes(b"x")  # never empty: of no bytes at all a tmpfs makes as many as one likes
        try:
            yield Disk(Path(folder), size)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


class Filling(threading.Thread):
    """Watches a program's writes to a disk, and fills it at a point; without one it only counts."""

    def __init__(self, on: Disk, point: Point | None = None, leave: int = 0) -> None:
        """Leave `leave` bytes free: none, and the disk is kept full to the end, or more, and it is filled once."""
        super().__init__()
        self._on, self._point, self._leave = on, point, leave
        self._written_there = re.compile(rf"\d+<{re.escape(str(on.top))}/")
        self._begun: dict[str, str] = {}  # process id → a call that strace has not told the end of
        self._reading, self._writing = os.pipe()
        self._over = False
        self.written, self.filled, self.refused, self.least = 0, "", "", on.free
        self.at_once = 0  # bytes of a file to come that were taken in one call, with the disk filled

    def command(self) -> list[str]:
        """Return the words before the program's own; `close` when it is started."""
        holding = f"inject={_WRITES}:delay_enter={_HOLD_US}"
        told = ("-e", f"trace={_TOLD}", "-e", "signal=none", "-e", holding, "-o", f"/dev/fd/{self._writing}")
        return ["strace", "-f", "-qq", "-y", "-s", "0", "--seccomp-bpf", *told]

    @property
    def passed(self) -> tuple[int, ...]:
        """Return the file descriptors that the program's starter passes on."""
        return (self._writing,)

    def close(self) -> None:
        """Keep no end of the pipe, so that it ends with the program."""
        os.close(self._writing)

    def run(self) -> None:
        """Read to the program's end."""
        pressing = threading.Thread(target=self._press)
        pressing.start()
        with os.fdopen(self._reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._read(line.rstrip())
                self._look()
        self._over = True
        pressing.join()

    def _press(self) -> None:
        while not self._over:
            self._look()
            time.sleep(0.0003)

    def _look(self) -> None:
        self.least = min(self.least, self._on.free)
        if self.filled and not self._leave:
            self._on.shrink(0)

    def _read(self, line: str) -> None:
        if begun := _CALL.match(line):
            if line.endswith("<unfinished ...>"):
                self._begun[begun["pid"]] = begun["rest"]
            else:
                self._take(begun["call"], begun["rest"])
        elif (ended := _RESUMED.match(line)) and ended["pid"] in self._begun:
            self._take(ended["call"], self._begun.pop(ended["pid"]) + ended["rest"])

    def _take(self, call: str, rest: str) -> None:
        """Look at one call, told to its end."""
        if str(self._on.top) not in rest:
            return
        if "ENOSPC" in rest:
            self.refused = self.refused or f"{call} {self._file(rest)}"
        if call in _WRITES.split(",") and self._written_there.match(rest):
            taken = re.search(r"\) += (\d+)", rest)  # else it was refused, or the program killed in it
            self.written += int(taken[1]) if taken else 0
        if call == "fallocate" and self.filled and (room := re.search(r", (\d+)\) += 0", rest)):
            self.at_once += int(room[1])
        if self._point and not self.filled and self._is_there(call, rest):
            while not self._on.shrink(self._leave):
                pass
            self.filled = f"{call} {self._file(rest)}"

    def _is_there(self, call: str, rest: str) -> bool:
        assert self._point
        if self._point.call:
            return call.startswith(self._point.call) and self._point.path in rest
        return self.written >= self._point.written

    def _file(self, rest: str) -> str:
        """Return the file that a call was about, below the disk's folder, without what is new in each run."""
        named = re.findall(rf"{re.escape(str(self._on.top))}/([^>\"]*)", rest)
        return re.sub(r"[0-9a-f]{16,}|(?<=work-)\w+|\d{8}T[\d.]+Z", "…", named[-1]) if named else "?"


def missing() -> str:
    """Say what is missing here to fill disks, empty if nothing is."""
    if os.geteuid():
        return "it needs root"
    return ", ".join(tool for tool in TOOLS if shutil.which(tool) is None)
