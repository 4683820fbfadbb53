"""What it costs a host to say what changed: CPU, its own and that of the programs it asks, and wall time.

    python3 benchmarks/changes.py [HOURS] [UNIT]

On the host itself, as whom the diagnosis runs there; with UNIT it asks systemd for one, as for a service that has it.
Medians of nine looks, the first apart: its folders may not be in memory yet.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ansible_collections.incidentctl.response.plugins.module_utils import _changes

LOOKS = 9


def main(hours: float, unit: str | None) -> None:
    """Look so often, and print the figures."""
    services = [{"name": "one", "unit": unit}] if unit else []
    rows = [_look(services, hours) for _number in range(LOOKS + 1)]
    changes = _changes.look(services, {}, (time.time() - hours * 3600, time.time())).changes
    print(f"{len(changes)} changes in {hours:g} h; of {LOOKS} looks after the first, medians (and the first):")
    for number, name in enumerate(("CPU of its own", "CPU of the programs", "wall")):
        figures = [row[number] * 1000 for row in rows]
        print(f"  {name:<20} {statistics.median(figures[1:]):7.1f} ms ({figures[0]:.1f})")


def _look(services: list[dict[str, str]], hours: float) -> tuple[float, float, float]:
    began, own, others = time.monotonic(), time.process_time(), _others()
    _changes.look(services, {}, (time.time() - hours * 3600, time.time()))
    return time.process_time() - own, _others() - others, time.monotonic() - began


def _others() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 48, sys.argv[2] if len(sys.argv) > 2 else None)
