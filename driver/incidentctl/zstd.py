"""Unpack zstd, with bounds: through the program of that name, for Python has it only from 3.14 on."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import select
import shutil
import subprocess
import tempfile
from typing import Any, BinaryIO

MAGIC = b"\x28\xb5\x2f\xfd"
WHY_NOT = "zstd is not installed here"
FIX = "install zstd on this machine (apt install zstd, dnf install zstd), and try again"
_CHUNK = 64 << 10
_WINDOW_MIB = 128  # a frame says how much memory it wants: zstd -19 and --long=27 want no more than that
_MEMORY = 512 << 20  # of the program as a whole, for it takes other formats than zstd, too
_CPU_S = 120
_SAID = 300


def is_here() -> bool:
    """Say whether there is the program."""
    return shutil.which("zstd") is not None


class Unpacked(io.RawIOBase):
    """What is packed in a stream, read from its beginning to its end once. Close it: a program runs.

    Reading raises ValueError at the end of what cannot be unpacked, and FileNotFoundError where there is no program.
    """

    def __init__(self, stream: BinaryIO | io.BufferedReader[Any]) -> None:
        """Start the program; it gets nothing before something is read."""
        self._stream, self._waiting = stream, b""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._program = subprocess.Popen(
            ["zstd", "-dcq", f"--memory={_WINDOW_MIB}MB"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        assert self._program.stdin is not None and self._program.stdout is not None  # noqa: S101, PT018 - they are pipes
        self._into, self._out = self._program.stdin, self._program.stdout
        os.set_blocking(self._into.fileno(), False)
        for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU_S)):
            resource.prlimit(self._program.pid, kind, (most, most))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Feed the program until it says something."""
        while True:
            feeding = [] if self._into.closed else [self._into]
            ready, hungry, _ = select.select([self._out], feeding, [])
            if ready:
                content = os.read(self._out.fileno(), min(len(buffer), _CHUNK))
                buffer[: len(content)] = content
                if not content:
                    self._end()
                return len(content)
            if hungry:
                self._feed()

    def _feed(self) -> None:
        self._waiting = self._waiting or self._stream.read(_CHUNK)
        try:
            written = os.write(self._into.fileno(), self._waiting) if self._waiting else 0
        except BrokenPipeError:  # it has ended, and says why
            written = 0
        self._waiting = self._waiting[written:]
        if not written:
            self._into.close()

    def _end(self) -> None:
        self._into.close()
        if code := self._program.wait():
            self._said.seek(0)
            said = self._said.read(_SAID).decode("utf-8", "replace").strip()
            raise ValueError(f"zstd exited {code}" + (f": {said}" if said else ""))

    def close(self) -> None:
        """End the program."""
        if not self.closed:
            self._program.kill()
            with contextlib.suppress(OSError):
                self._into.close()
            self._out.close()
            self._program.wait()
            self._said.close()
        super().close()
