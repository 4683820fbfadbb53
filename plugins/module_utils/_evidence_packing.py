"""What a bundle is packed with: the host's zstd where it works, which takes less CPU and less room, else gzip."""

from __future__ import annotations

import contextlib
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from ansible_collections.incidentctl.response.plugins.module_utils import _capture

# The fastest level, in a thread: 12 MiB of memory, whatever comes.
_ZSTD = ("zstd", "-q", "-1", "--single-thread", "-c")
_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_LEVEL = 3
_TRIAL_S = 5.0
_END_S = 60.0  # for what is still in its memory, on a disk that is slow
_SAID = 300


class PackerError(Exception):
    """zstd did not pack it to its end; the message says how it ended."""


def has_zstd() -> bool:
    """Say whether the host has a zstd that works: it is asked to pack nothing."""
    try:
        packed, _cut = _capture.capture(_ZSTD, 100, _TRIAL_S)
    except OSError:
        return False
    return packed.startswith(_MAGIC)


@contextlib.contextmanager
def tar(stream: BinaryIO, zstd: bool) -> Iterator[tarfile.TarFile]:
    """Give an archive to add to, which goes into an open file as it grows. Raise PackerError if zstd does not come to its end."""
    if not zstd:
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=_GZIP_LEVEL) as archive:
            yield archive
        return
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(_ZSTD, stdin=subprocess.PIPE, stdout=stream, stderr=said) as program,
    ):
        try:
            with contextlib.suppress(BrokenPipeError), program.stdin, _written(program.stdin) as archive:
                yield archive
            code = program.wait(_END_S)
        except BaseException:
            program.kill()
            raise
        if code:
            said.seek(0)
            how = f"zstd exited {code}" if code > 0 else f"zstd was ended by signal {-code}"
            words = said.read(_SAID).decode("utf-8", "replace").strip()
            raise PackerError(f"{how}: {words}" if words else how)


def _written(pipe: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=pipe, mode="w|")
