"""What reading logs costs that are too large, binary, one endless line, or rotated meanwhile: time, memory, what is told.

    .venv/bin/python benchmarks/bad_logs.py >benchmarks/results/bad-logs-DATE.txt

Each is read by a process of its own, as role diagnosis reads it, with the default limit of 256 MiB. Told are seconds by the
clock and of CPU, and the most memory that the process and its grep held.
"""

from __future__ import annotations

import bz2
import datetime
import gzip
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
# Of today: of a log that begins longer ago, no older part is read.
NOW = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S").encode()
LINE = b"%s,123 INFO  [worker-7] shop.web - order 75 of bob placed in 84.5ms\n" % NOW
ERROR = b"%s,123 ERROR [worker-7] shop.web - order 75 failed\n" % NOW
_OURS = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.incidentctl.response.plugins.module_utils import _service_errors
service = {"logs": [{"kind": "file", "path": sys.argv[2]}]}
reading = _service_errors.read(service, 256 << 20, None, time.monotonic() + 60)
for error in reading.errors[:3]:
    print("   ", error["count"], "x", error["template"][:80])
for note in reading.notes + reading.unread:
    print("   ", note.replace(sys.argv[2], "the log")[:160])
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
own, grep = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
cpu = sum(used.ru_utime + used.ru_stime for used in (own, grep))
print(f"    {cpu:.2f} s of CPU, {peak / 1024:.0f} MiB, grep {grep.ru_maxrss / 1024:.0f} MiB")
"""


def text(log: Path) -> None:
    """2 GiB of lines, some of which are errors."""
    block = (LINE * 999 + ERROR) * 10
    with log.open("wb") as stream:
        for _ in range(2048 * MIB // len(block)):
            stream.write(block)


def holes(log: Path) -> None:
    """2 GiB of nothing in one line, and an error before and after it."""
    with log.open("wb") as stream:
        stream.write(ERROR)
        stream.seek(2048 * MIB)
        stream.write(b"\n" + ERROR)


def endless(log: Path) -> None:
    """One line of 255 MiB, and an error after it."""
    with log.open("wb") as stream:
        for _ in range(255):
            stream.write(b"error " * (MIB // 6))
        stream.write(b"\n" + ERROR)


def binary(log: Path) -> None:
    """256 MiB of chance."""
    with log.open("wb") as stream:
        for _ in range(256):
            stream.write(os.urandom(MIB))


def nonsense(log: Path) -> None:
    """A million errors, each of which says something else."""
    with log.open("wb") as stream:
        for _ in range(1000):
            words = os.urandom(8000).hex()
            stream.writelines(
                b"ERROR %s\n" % bytes(97 + int(c, 16) for c in words[at : at + 16]) for at in range(0, 16000, 16)
            )


def bomb(log: Path) -> None:
    """An older part of 2 MiB that grows to 2 GiB."""
    log.write_bytes(ERROR)
    (log.parent / f"{log.name}.1.gz").write_bytes(gzip.compress(b"\0" * (64 * MIB)) * 32)


def slow_bomb(log: Path) -> None:
    """The same, compressed with bzip2."""
    log.write_bytes(ERROR)
    (log.parent / f"{log.name}.1.bz2").write_bytes(bz2.compress(LINE * (64 * MIB // len(LINE))) * 8)


def rotated(log: Path) -> None:
    """256 MiB, renamed with a new one in its place every tenth of a second."""
    _ordinary(log)
    _meanwhile(lambda: (log.rename(f"{log}.1"), log.write_bytes(ERROR * 1000)))


def truncated(log: Path) -> None:
    """256 MiB, copied and emptied after a moment, and written on."""
    _ordinary(log)
    _meanwhile(lambda: (os.truncate(log, 0), log.write_bytes(ERROR)))


def _ordinary(log: Path) -> None:
    with log.open("wb") as stream:
        for _ in range(256 * MIB // (len(LINE) * 1000)):
            stream.write(LINE * 999 + ERROR)


def _meanwhile(change: Callable[[], object]) -> None:
    def repeatedly() -> None:
        for _ in range(30):
            time.sleep(0.1)
            change()

    threading.Thread(target=repeatedly, daemon=True).start()


CASES: tuple[Callable[[Path], None], ...] = (
    text, holes, endless, binary, nonsense, bomb, slow_bomb, rotated, truncated,
)  # fmt: skip


def main() -> None:
    """Print what came of each."""
    print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "shop.log"
            case(log)
            began = time.monotonic()
            argv = [sys.executable, "-c", _OURS, str(ROOT), str(log)]
            answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)
            print(f"\n{case.__name__}: {case.__doc__}\n    {time.monotonic() - began:.1f} s, exit {answer.returncode}")
            print(answer.stdout + answer.stderr, end="", flush=True)
            time.sleep(3)


if __name__ == "__main__":
    main()
