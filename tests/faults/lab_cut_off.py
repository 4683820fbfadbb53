"""Cut critical incidents on the lab's real hosts off at random moments, go on, and count on the hosts what was done.

A moment is as random as the victim: the driver, ansible-playbook, or its workers. An incident is cut off several times, some of
them anywhere in it, most soon after it is gone on with; after the last cut it is taken to its end. Every act must have been
done once on each host, but for backups: one that was cut off is made again, for its copy may be anything.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "driver"), str(ROOT / "tests" / "lab")]

import deploy
import lab
from tests.faults import checks, lab_count
from tests.faults.count import runs_alive
from tests.faults.results_file import Results, until_told
from tests.lab.play import INVENTORY
from tests.lab.test_whole_incident import inbox, installed, looks

from incidentctl import processes

ANSWERS = ("--yes", "--option", "rollback")
RUN = ("run", "--severity", "critical", *ANSWERS, "checkout returns 500")
RESUME = ("resume", *ANSWERS)
SHORTEST_S = 0.3
VICTIMS = ("driver", "playbook", "workers")
END_S = 300.0  # for a command to end
GONE_S = 10.0  # for what ran on a host to be gone, once nobody waits for it
CATALOGUE = yaml.safe_load((INVENTORY / "group_vars" / "all.yml").read_text())["incident_services"]
UNITS = frozenset(service["unit"] for service in CATALOGUE)
ACTS = Counter(
    {
        **{
            f"{name}: {act}": 1
            for name in deploy.WEB
            for act in (
                "breaker open", "current switched", "shop.service stopped", "shop.service started", "breaker closed",
            )
        },
        "worker1: shop-worker.service stopped": 1,
        "worker1: shop-worker.service started": 1,
    }
)  # fmt: skip
BACKED_UP = (*deploy.WEB, "db1")


@dataclass
class Chain:
    """One incident: where it was cut off, and what was wrong with it."""

    cuts: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    again: int = 0  # messages that were delivered a second time: at least once is what is promised


class Incident:
    """One critical incident on the lab, in a folder of its own."""

    def __init__(self, folder: Path, anew: bool) -> None:
        """Break the checkout of both shops, on hosts that are made `anew` or left as they are, and begin to count."""
        if anew:
            lab.remove([*deploy.WEB, "worker1"])
        lab.up(list(lab.HOSTS))
        for name in deploy.WEB:
            deploy.deploy("42", name)
            deploy.checkouts(name, 5)
        self.folder, self.state = folder, folder / "state_dir"
        installed(folder, INVENTORY)  # writes the settings
        self.inits = lab_count.inits()
        self.before, self.began = looks(None), time.time()
        self.cursors, self.switches = lab_count.cursors(), lab_count.Switches(self.inits)
        self.left_at_work: dict[tuple[int, str], str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.wrong: list[str] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Begin the incident, or go on with it."""
        words = RESUME if checks.events(self.state) else RUN
        self.begun_by = len(checks.events(self.state))
        argv = [
            sys.executable,
            "-m",
            "incidentctl",
            words[0],
            "--config",
            str(self.folder / "incidentctl.yml"),
            *words[1:],
        ]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
        with (self.folder / "said").open("wb") as said:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        return self.process

    def wait(self, seconds: float) -> bool:
        """Watch until so much time is over, or the command has ended; say whether it still runs."""
        assert self.process is not None
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self.process.poll() is None:
            alive = runs_alive(str(self.folder))
            if alive > 1:
                self.wrong.append(f"orphan: {alive} runs of ansible-playbook at a time")
            time.sleep(min(0.25, left))
        return self.process.poll() is None

    def cut(self, victims: list[str]) -> str:
        """Kill the first of these that is there; return what was cut off, and where."""
        assert self.process is not None
        self._nobody_is_left()
        self.left_at_work |= lab_count.at_work(self.inits)
        phase = checks.under_way(checks.events(self.state)) or "between phases"
        controllers = processes.controllers_below(self.process.pid)
        workers = {pid for pid in controllers if _parent(pid) in controllers}
        there = {"driver": {self.process.pid}, "playbook": controllers - workers, "workers": workers}
        victim = next(name for name in victims if there[name])
        processes.end(there[victim])
        # A worker may have had nothing more to do: then the command goes on to its end as if nothing had happened.
        code = self.process.wait(END_S)
        if code not in ((-signal.SIGKILL,) if victim == "driver" else (0, 11)):
            self.wrong.append(f"{victim} killed in {phase}: it ended with {code}: {self.said()}")
        self.wrong += checks.after_a_cut(self.state)
        return f"{victim} in {phase}"

    def _nobody_is_left(self) -> None:
        """What ran on a host at an earlier cut must be gone once a phase was begun since: the hosts were asked before it."""
        if any(event.kind == "step_started" for event in checks.events(self.state)[self.begun_by :]):
            left = self.left_at_work.keys() & lab_count.at_work(self.inits).keys()
            self.wrong += [f"orphan on {self.left_at_work[key]}" for key in left]
            self.left_at_work.clear()

    def said(self) -> str:
        """Return the end of what the command said."""
        return (self.folder / "said").read_text(errors="replace")[-1500:]

    def settled(self) -> tuple[list[str], int]:
        """Return what is wrong in the end, and how many messages were delivered more than once."""
        events = checks.events(self.state)
        if not events:
            return ["nothing was declared"], 0
        incident_id = events[0].incident_id
        acts = lab_count.acts(self.cursors, UNITS) + self.switches.counted()
        wrong = [f"lost: {act}" for act in (ACTS - acts).elements()]
        wrong += [f"doubled: {act}" for act in (acts - ACTS).elements()]
        backups = lab_count.backups(self.inits, incident_id)
        wrong += [f"lost: {name}: backup" for name in BACKED_UP if not backups[name, "stored", True]]
        # One that was cut off may stay `intended` in the list: nobody believes it, and a verified one stands beside it.
        wrong += [f"a backup is {row}" for row in backups if row[1:] not in (("stored", True), ("intended", False))]
        wrong += [f"not lifted: {row}" for row in lab_count.open_entries(self.inits, incident_id)]
        wrong += [f"orphan on {what}" for what in self._at_work_in_the_end()]
        if runs_alive(str(self.folder)):
            wrong.append("orphan: an ansible-playbook lives on")
        for name in deploy.WEB:
            if lab.ssh(name, "readlink", "/srv/shop/current").stdout.decode().strip() != "releases/41":
                wrong.append(f"{name}: not on release 41")
            if (sold := deploy.checkouts(name, 3)) != {201: 3}:
                wrong.append(f"{name}: it does not sell: {sold}")
        after = looks(None)
        wrong += [f"{name}: changed: {line}" for name in after for line in sorted(after[name] ^ self.before[name])]
        told, again = self._told()
        return wrong + told + checks.at_the_end(self.state), again

    def _at_work_in_the_end(self) -> list[str]:
        until = time.monotonic() + GONE_S
        while (left := lab_count.at_work(self.inits)) and time.monotonic() < until:
            time.sleep(0.2)
        return list(left.values())

    def _told(self) -> tuple[list[str], int]:
        """What was not delivered, though it is recorded that it was; how often something was delivered again."""
        recorded = Counter(
            event.data["audience"]
            for event in checks.events(self.state)
            if event.kind == "notified" and event.data.get("state") == "sent" and event.data["audience"] in lab.TOLD
        )
        came = {name: inbox(name, self.began) for name in recorded}
        distinct = {name: {json.dumps(row["content"], sort_keys=True) for row in rows} for name, rows in came.items()}
        again = sum(len(rows) - len(distinct[name]) for name, rows in came.items())
        return [f"lost: a message to {name}" for name in recorded if len(came[name]) < recorded[name]], again

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None:
            processes.end([*processes.controllers_below(self.process.pid), *processes.controllers_of(self.folder)])
            self.process.kill()
            self.process.wait()
        self.switches.close()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def chain(folder: Path, anew: bool, cuts: int, longest_s: float, chance: random.Random) -> Chain:
    """Cut one incident off so often, then take it to its end."""
    it, incident = Chain(), Incident(folder, anew)
    try:
        for number in range(cuts + 1):
            incident.start()
            if number == cuts:
                incident.wait(END_S)
                break
            moment = chance.uniform(SHORTEST_S, longest_s if number % 3 else 4 * longest_s)
            victims = chance.sample(VICTIMS, len(VICTIMS))
            if not incident.wait(moment):
                break
            it.cuts.append(f"{incident.cut(victims)} after {moment:.1f} s")
            if incident.wrong or checks.over(incident.state):
                break
        it.wrong, code = incident.wrong, incident.process.wait(END_S) if incident.process else None
        if not it.wrong and not checks.over(incident.state):
            it.wrong.append(f"the last command ended with {code}: {incident.said()}")
        wrong, it.again = incident.settled()
        it.wrong += wrong
        return it
    finally:
        incident.end()


@contextlib.contextmanager
def held(path: Path | None) -> Iterator[None]:
    """Hold a file's lock, so that others who hold it too do not use the lab meanwhile."""
    with contextlib.ExitStack() as stack:
        if path is not None:
            fcntl.flock(stack.enter_context(path.open("a")), fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--moments", type=int, default=200, metavar="N", help="cut incidents off so often in all (200)")
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help="cut each incident off so often (10)")
    parser.add_argument(
        "--longest", type=float, default=15, metavar="S", help="go on for at most S seconds before a cut (15)"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further incident after so many")
    parser.add_argument("--seed", type=int, help="play the moments of an earlier campaign again")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="hold this file's lock during each incident")
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    began, incidents, failed, again = time.monotonic(), 0, 0, 0
    anew = True  # an earlier campaign may have been ended in the middle of an incident, and left it contained
    cuts: list[str] = []
    with Results("lab-cut-off") as results:
        results.say(f"seed: {seed}")
        with until_told():
            while len(cuts) < options.moments and time.monotonic() - began < options.minutes * 60:
                with held(options.lock), tempfile.TemporaryDirectory() as folder:
                    start = time.monotonic()
                    # Each incident has moments of its own: the first n are the same, however many follow.
                    chance = random.Random(f"{seed} {incidents}")  # noqa: S311 - moments, not secrets
                    it = chain(
                        Path(folder), anew, min(options.cuts, options.moments - len(cuts)), options.longest, chance
                    )
                anew = bool(it.wrong)
                incidents, failed, again = incidents + 1, failed + bool(it.wrong), again + it.again
                cuts += it.cuts
                results.say(
                    f"incident {incidents}: {len(it.cuts)} cuts, {time.monotonic() - start:.0f} s", it.cuts, it.wrong
                )
                time.sleep(1)  # for others who wait for the lab
        where = Counter(cut.rpartition(" after ")[0] for cut in cuts)
        results.say("cut off:", (f"{count} × {what}" for what, count in sorted(where.items())))
        results.say(f"messages delivered again: {again}")
        seconds = time.monotonic() - began
        told = f"{len(cuts)} of {options.moments} cuts in {incidents} incidents, {seconds:.0f} s"
        results.say(f"{told}; wrong: {results.faults()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
