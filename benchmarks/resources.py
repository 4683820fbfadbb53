"""What it costs a host to be looked at for its resources: wall and CPU time of five looks, and the size of the facts.

    .venv/bin/python benchmarks/resources.py

Of the wall time 0.8 s is the pause between the two readings, which in a diagnosis is filled by the other looks. A disk of
this machine that is 80 % full is looked through, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ansible_collections.incidentctl.response.plugins.module_utils import _resources

SERVICES = [
    {"name": "ssh", "manager": "systemd", "unit": "ssh.service", "config": ["/etc/ssh"], "ports": [22]},
    {
        "name": "files",
        "data": [{"kind": "files", "path": "/srv"}],
        "logs": [{"kind": "file", "path": "/var/log/syslog"}],
    },
]
TIMES = 5


def main() -> None:
    """Measure and print."""
    for _time in range(TIMES):
        began, cpu = time.monotonic(), sum(os.times()[:4])
        found = _resources.look(SERVICES, _resources.begin(SERVICES))
        wall, spent = time.monotonic() - began, sum(os.times()[:4]) - cpu
        print(f"{wall:.2f} s, {spent:.2f} s of CPU, {len(json.dumps(found)):,} bytes; {found['notes'] or 'no notes'}")


if __name__ == "__main__":
    main()
