"""What it costs to bring one module to many hosts: as an ordinary module, and in one exec on standard input.

    sudo .venv/bin/python benchmarks/carriers.py 1 10 50 >benchmarks/results/carriers-DATE.txt

Hosts are namespaces of this machine with an sshd each (tests/light_hosts.py). The job is one task, a rate limit put
in by `traffic_rule` under sudo, which is lifted again, unmeasured, after each run. Every way runs three times in
turn; the median is shown. Hosts and controller share this machine's processors: wall time says little where others
use it too, CPU seconds hold. Controller: ansible-playbook with its workers and ssh clients. Targets: all that ran
under the hosts' sshd, its own part of the key exchange included. Bytes: at the hosts' interfaces, both ways, TCP
and all. ssh does without ControlMaster, whose process would outlive the run and escape the count.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests import light_hosts  # noqa: E402 - found through the line above

RUNS = 3
WAYS = {
    "module, pipelining off": ("module", "False"),
    "module, pipelining on": ("module", "True"),
    "standard input": ("stdin", "True"),
}
_TASKS = {
    "act": {"traffic_rule": {"capability": "rate_limit", "confirm_within": 0, "expires_after": 0}},
    "lift": {"lift": {}},
}


@dataclass
class Cost:
    """What one run took: seconds, CPU seconds of controller and all targets, kilobytes (to, from) all targets."""

    wall: float
    controller: float
    targets: float
    sent: float
    received: float


def main() -> None:
    """Print one table: for each number of hosts, each way's cost."""
    if lacking := light_hosts.missing():
        sys.exit(f"The benchmark cannot run: {lacking}.\nFix: run it as root on Debian, with these installed")
    counts = [int(word) for word in sys.argv[1:]] or [1, 10]
    version = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[
        0
    ]
    print(f"{datetime.date.today()}, python benchmarks/carriers.py {' '.join(map(str, counts))}")
    print(f"{version}, Python {platform.python_version()}, {os.cpu_count()} processors, median of {RUNS} runs\n")
    print("hosts  way                      wall s  controller CPU s  target CPU s  kB sent  kB received")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder, light_hosts.running(count) as hosts:
            runs: dict[str, list[Cost]] = {way: [] for way in WAYS}
            for _turn in range(RUNS):
                for way in WAYS:
                    runs[way].append(_measure(hosts, Path(folder), way))
        for way, costs in runs.items():
            figures = [statistics.median(column) for column in zip(*map(astuple, costs), strict=True)]
            print("{:5}  {:23} {:7.2f} {:17.2f} {:13.2f} {:8.0f} {:12.0f}".format(count, way, *figures), flush=True)


def _measure(hosts: light_hosts.LightHosts, folder: Path, way: str) -> Cost:
    targets, (sent, received) = _targets_cpu(hosts), _bytes(hosts)
    wall, controller = _play(hosts, folder, way, "act")
    cost = Cost(
        wall,
        controller,
        _targets_cpu(hosts) - targets,
        *(a - b for a, b in zip(_bytes(hosts), (sent, received), strict=True)),
    )
    _play(hosts, folder, way, "lift")
    return cost


def _play(hosts: light_hosts.LightHosts, folder: Path, way: str, name: str) -> tuple[float, float]:
    """Run one task on all hosts; return its wall and CPU seconds. Raise RuntimeError where it changed nothing."""
    carrier, pipelining = WAYS[way]
    common = {"incident_id": "INC-benchmark", "state_dir": "/root/incidentctl"}
    if name == "act":
        catalogue = [{"name": "shop", "hosts": "all", "ports": [8000]}]
        common |= {"services": catalogue, "host_name": "{{ inventory_hostname }}", "host_groups": ["all"]}
    ((module, own),) = _TASKS[name].items()
    task = {f"incidentctl.response.{module}": {**common, **own}}
    play = {"hosts": "all", "gather_facts": False, "become": True, "tasks": [task]}
    (folder / "play.json").write_text(json.dumps([play]))
    inventory = {"all": {"hosts": {host: hosts.variables(host) for host in hosts.names()}}}
    inventory["all"]["vars"] = {"incident_carrier": carrier}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    env = {
        **os.environ,
        "ANSIBLE_FORKS": "50",
        "ANSIBLE_PIPELINING": pipelining,
        "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=no",
        "ANSIBLE_NOCOLOR": "1",
    }
    argv = hosts.beside(_program(), "-i", str(folder / "inventory.json"), str(folder / "play.json"))
    began = time.monotonic()
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=said, stderr=said)
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        said.seek(0)
        text = said.read()
    if process.returncode != 0 or text.count("changed=1") != len(hosts.names()):
        raise RuntimeError(text)
    return wall, used.ru_utime + used.ru_stime


def _targets_cpu(hosts: light_hosts.LightHosts) -> float:
    """Return the CPU seconds of all sshd and of what ended under them."""
    ticks = 0
    for name in hosts.names():
        words = Path(f"/proc/{hosts.first_process(name)}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _bytes(hosts: light_hosts.LightHosts) -> tuple[float, float]:
    seen = [hosts.bytes_seen(name) for name in hosts.names()]
    return sum(sent for sent, _ in seen) / 1000, sum(received for _, received in seen) / 1000


def _program() -> str:
    return str(Path(sys.executable).with_name("ansible-playbook"))


if __name__ == "__main__":
    main()
