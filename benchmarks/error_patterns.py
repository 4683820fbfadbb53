"""What it costs to find and group the errors of a large log, beside grep -c and a template miner from PyPI.

    .venv/bin/python benchmarks/error_patterns.py >benchmarks/results/error-patterns-DATE.txt
    .venv/bin/python benchmarks/error_patterns.py json 64          one format, so many MiB
    .venv/bin/python benchmarks/error_patterns.py json 64 FOLDER   the same, beside another checkout

Logs are made by labelled_logs.py: every second line is an error, one in twenty, one in a hundred, or one in a thousand; of
the others one in a hundred speaks of errors. A tenth of the log is made and written ten times, each with another year. Ours
is a process of its own, the start of Python counted, that does with a log what role diagnosis does, `gc.freeze` as on a host
included. `grep -cE 'ERROR|CRITICAL|FATAL'` only counts lines, and of logs in small letters finds none; beside it stands grep
with the pattern that we give it. drain3 is measured where it is installed, in a process of its own, on the errors alone,
which it need not find: what grep takes to find them is not counted. Each runs five times in turn; the median is shown, wall
and CPU seconds.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import labelled_logs  # noqa: E402 - found through the line above
from ansible_collections.incidentctl.response.plugins.module_utils import _log_hints  # noqa: E402

RUNS = 5
COPIES = 10
MIB = 256
FORMATS = ("java", "json", "logfmt", "syslog")
ERRORS_OF = (2, 20, 100, 1000)  # one line in so many is an error
_OURS = """
import gc, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.incidentctl.response.plugins.module_utils import _service_errors
gc.freeze()
service = {"logs": [{"kind": "file", "path": sys.argv[2]}]}
reading = _service_errors.read(service, 1 << 40, None, time.monotonic() + 600)
print(sum(error["count"] for error in reading.errors), len(reading.errors))
"""
_DRAIN = """
import sys
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
miner = TemplateMiner(config=TemplateMinerConfig())
with open(sys.argv[1], errors="replace") as stream:
    count = sum(1 for line in stream if miner.add_log_message(line.rstrip("\\n")))
print(count, len(miner.drain.clusters))
"""


@dataclass(frozen=True)
class Cost:
    """What one run took, wall and CPU seconds; and what it said."""

    wall: float
    processor: float
    said: str


def main() -> None:
    """Print one table."""
    forms = (sys.argv[1],) if len(sys.argv) > 1 else FORMATS
    mib = int(sys.argv[2]) if len(sys.argv) > 2 else MIB
    other = sys.argv[3] if len(sys.argv) > 3 else ""
    today, load = datetime.datetime.now(datetime.UTC), os.getloadavg()[0]
    print(
        f"{today:%Y-%m-%d}, load {load:.1f}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    print(f"{_first('grep', '--version')}, locale {locale}, drain3 {_drain() or 'is not installed'}")
    for form in forms:
        for share in ERRORS_OF:
            with tempfile.TemporaryDirectory() as folder:
                _measure(form, share, mib, Path(folder), other)


def _measure(form: str, share: int, mib: int, folder: Path, other: str) -> None:
    log, alone = folder / "shop.log", folder / "errors.log"
    lines, errors = _make(form, share, mib, log, alone)
    size = log.stat().st_size
    print(f"\n{form}: {size / 2**20:.0f} MiB, {lines} lines, {errors} errors")
    ways = {
        "grep -c": (["grep", "-cE", "ERROR|CRITICAL|FATAL", str(log)], {}),
        "grep -c, our longest": (["grep", "-caE", "-e", _log_hints.ALL.expression, str(log)], {"LC_ALL": "C"}),
        "ours": ([sys.executable, "-c", _OURS, str(ROOT), str(log)], {}),
    }
    if other:
        ways["the other checkout"] = ([sys.executable, "-c", _OURS, other, str(log)], {})
    if _drain():
        ways["drain3, errors alone"] = ([sys.executable, "-c", _DRAIN, str(alone)], {})
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for _ in range(RUNS):
        for way, (argv, more) in ways.items():
            costs[way].append(_run(argv, more))
    grep = [statistics.median(cost.processor for cost in costs["grep -c"])]
    grep.append(statistics.median(cost.wall for cost in costs["grep -c"]))
    for way, runs in costs.items():
        wall = statistics.median(cost.wall for cost in runs)
        processor = statistics.median(cost.processor for cost in runs)
        speed = f"of grep's speed {grep[0] / processor:5.2f} by CPU, {grep[1] / wall:5.2f} by the clock"
        print(f"  {way:22} {wall:7.2f} s  {processor:7.2f} s CPU  {speed}  {runs[0].said}", flush=True)


def _make(form: str, share: int, mib: int, log: Path, alone: Path) -> tuple[int, int]:
    """Write a log, and its errors alone; return how many lines and errors it has."""
    parts: list[str] = []
    errors: list[str] = []
    room = mib * 2**20 // COPIES
    for entry in labelled_logs.log(form, 10**9, 1, share - 1):
        if isinstance(entry, str):
            parts.append(entry)
            room -= len(entry) + 1
        else:
            parts += entry.lines
            errors.append(entry.lines[0])
            room -= sum(len(line) + 1 for line in entry.lines)
        if room < 0:
            break
    with log.open("w") as stream, alone.open("w") as some:
        for copy in range(COPIES):
            stream.writelines(f"{line}\n".replace("2026", str(2010 + copy), 1) for line in parts)
            some.writelines(f"{line}\n".replace("2026", str(2010 + copy), 1) for line in errors)
    return len(parts) * COPIES, len(errors) * COPIES


def _run(argv: list[str], more: dict[str, str]) -> Cost:
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdout=said, env={**os.environ, **more})
        _pid, _status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = 0
        said.seek(0)
        words = said.read().decode().strip()
    return Cost(wall, usage.ru_utime + usage.ru_stime, words)


def _first(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _drain() -> str:
    try:
        return importlib.metadata.version("drain3")
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
