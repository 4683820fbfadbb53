"""A small disk that can go bad: an ext4 of its own in a file, mounted where a test wants it. Needs root.

Whoever mounts it does so in a mount namespace of their own (`apart`), so that nothing outlives them. What a disk in trouble
does, the kernel does here: nothing is pretended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

KINDS = ("full", "readonly", "broken")
_SIZE = 24 << 20
_BALLAST = "ballast"
_APART = "INCIDENTCTL_TEST_APART"
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: from then on every read and write is EIO
_NOLOGFLUSH = 2  # … and what was not synced is lost, as when the power fails


def missing() -> str:
    """Say what such a disk lacks on this machine; "" if nothing."""
    if os.geteuid() != 0:
        return "a disk of its own needs root"
    lacking = [tool for tool in ("mkfs.ext4", "e2fsck", "mount", "unshare") if shutil.which(tool) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def apart(*argv: str) -> list[str]:
    """Return the command that runs `argv` with mounts of its own, which end with the last of its processes."""
    return ["unshare", "--mount", "--propagation", "private", "env", f"{_APART}=yes", *argv]


def is_shared() -> bool:
    """Say whether what this process mounts would outlive it."""
    return _APART not in os.environ


class Disk:
    """A disk in the file `image`, mounted at `folder`."""

    def __init__(self, image: Path, folder: Path) -> None:
        """Keep where they are; `make` makes them."""
        self._image, self._folder = image, folder

    def make(self) -> None:
        with self._image.open("wb") as stream:
            stream.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._folder.mkdir(mode=0o700)
        self._mount()

    def spoil(self, kind: str) -> None:
        """Let it go bad, while files on it may be open."""
        {"full": self._fill, "readonly": self._protect, "broken": self._break}[kind]()

    def mend(self) -> None:
        """Make it well again. Raise CalledProcessError while a process still has a file on it open."""
        _run("umount", str(self._folder))
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)  # 1: it mended something
        self._mount()
        (self._folder / _BALLAST).unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave only the file."""
        subprocess.run(["umount", "--lazy", str(self._folder)], capture_output=True, check=False)

    def _mount(self) -> None:
        # commit: what nobody syncs is not written in passing either, however long a busy machine takes.
        _run("mount", "-o", "loop,errors=remount-ro,commit=3600", str(self._image), str(self._folder))
        self._folder.chmod(0o700)

    def _fill(self) -> None:
        with (self._folder / _BALLAST).open("wb", buffering=0) as stream:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while stream.write(b"x" * size):
                        pass
            with contextlib.suppress(OSError):
                os.fsync(stream.fileno())

    def _protect(self) -> None:
        """The kernel does this to a file system that it found damaged."""
        shown = subprocess.run(["findmnt", "-no", "SOURCE", str(self._folder)], capture_output=True, check=True)
        device = Path(shown.stdout.decode().strip()).name
        (Path("/sys/fs/ext4") / device / "trigger_fs_error").write_text("a test\n")

    def _break(self) -> None:
        opened = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.ioctl(opened, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(opened)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        done.check_returncode()
