"""Cut incidents off at every point, go on, and count on the target what was done: `make faults`.

Nothing may be lost, nothing done twice, and no ansible-playbook of a run that was cut off may be alive while the next
one acts. An incident is cut off many times, each time at a point that no other cut has covered, then taken to its end. It is
one of high severity on the demo's shop: a worker stopped, maintenance, a rollback, all lifted.

What an incident passes that nobody cuts off are the points; what only a resumed one passes is added when it is first seen.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import yaml

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from tests.faults import checks
from tests.faults.count import runs_alive
from tests.faults.cut import POINTS
from tests.faults.results_file import Results, until_told
from tests.shop import ROOT, Shop

from incidentctl import processes

ANSWERS = ("--yes", "--option", "rollback")
RUN = ("run", "--severity", "high", *ANSWERS, "checkout returns 500")
RESUME = ("resume", *ANSWERS)
# What an incident that nobody cuts off does to the shop; the first chain sees to it that this stays true.
ACTS = Counter(
    {
        "stop worker": 1, "maintenance mode enabled": 1,
        "stop shop": 1, "start shop": 1,  # the rollback
        "maintenance mode disabled": 1, "start worker": 1,
    }
)  # fmt: skip
WORK_PLACES = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - looked at only: where a bundle of evidence waits to be fetched
TRIES = 3  # chains that may try for a point before it counts as not reached


class CountedShop(Shop):
    """A shop whose starts, stops and maintenance are counted from when it broke."""

    def prepare(self, worker_stops_s: float = 0) -> None:
        self.lay_out(
            severities={"high": {"contain": ["scale_down", "maintenance_mode", "prepare_rollback"]}},
            verify={"window": "1s", "within": "20s"},
        )
        program = str(ROOT / "tests" / "faults" / "count.py")
        counted = [sys.executable, program, str(self.log), str(self.folder), str(worker_stops_s)]
        content = yaml.safe_load(self.override.read_text())
        content["all"]["hosts"]["this-machine"]["shop_control"] = [*counted, *self.control()]
        self.override.write_text(yaml.safe_dump(content))
        self.start()
        self.break_it(3)

    @property
    def log(self) -> Path:
        return self.folder / "acts.log"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def lines(self) -> list[list[str]]:
        return [line.rsplit(" ", 1) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def acts(self) -> Counter[str]:
        said = (self.root / "logs" / "shop.log").read_text()
        modes = {f"maintenance mode {mode}": said.count(f"maintenance mode {mode}") for mode in ("enabled", "disabled")}
        return +Counter({**Counter(act for act, _ in self.lines()), **modes})

    def cut(self, targets: Collection[str], *words: str) -> subprocess.CompletedProcess[str]:
        """Run an incidentctl command that is cut off at the first of these points that it passes."""
        _, _, _, *own = self.command(*words)
        file = self.folder / "targets"
        file.write_text("".join(f"{label}\n" for label in targets))
        program = str(ROOT / "tests" / "faults" / "cut.py")
        argv = [sys.executable, program, str(file), str(self.folder / "cut.log"), *own]
        # Its output goes to a file: what it leaves running would hold a pipe open.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False
            )
            said.seek(0)
            return subprocess.CompletedProcess(argv, done.returncode, said.read(), "")

    def told(self, word: str) -> list[str]:
        """What the commands that were cut off have logged with this word."""
        log = self.folder / "cut.log"
        lines = [line.split(" ", 1) for line in log.read_text().splitlines()] if log.exists() else []
        return [rest for first, rest in lines if first == word]

    def end(self) -> None:
        """Stop the shop, and whatever was left at work on it."""
        processes.end(processes.controllers_of(self.folder))
        self.stop()


@dataclass
class Chain:
    """One incident: where it was cut off, which points it passed, and what was wrong with it."""

    cuts: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def settled(shop: CountedShop) -> list[str]:
    """What is wrong with an incident that was cut off and taken to its end; nothing, if all is well."""
    acts = shop.acts()
    wrong = [f"lost: {act}" for act in (ACTS - acts).elements()]
    wrong += [f"doubled: {act}" for act in (acts - ACTS).elements()]
    wrong += [f"{int(alive) - 1} orphan(s) alive at: {act}" for act, alive in shop.lines() if int(alive) > 1]
    wrong += [f"orphan(s) alive: {said}" for said in shop.told("alive")]
    events = checks.events(shop.state)
    incident_id = events[0].incident_id
    lifted = {event.data["capability"] for event in events if event.kind == "containment_lifted"}
    looks = {
        "the worker's or the shop's containment is not in the record": lifted == {"scale_down", "maintenance_mode"},
        "still in maintenance": shop.ask("GET", "/admin/maintenance-mode")[1]["mode"] == "disabled",
        "it does not sell": shop.checkout() == 201,
        "not on release 41": (shop.root / "current").resolve().name == "41",
        "evidence was left on the host": not [
            path for place in WORK_PLACES for path in Path(place).glob(f"incidentctl-evidence-{incident_id}-*")
        ],
        "an ansible-playbook lives on": not runs_alive(str(shop.folder)),
    }
    return wrong + [what for what, well in looks.items() if not well] + checks.at_the_end(shop.state)


def chain(folder: Path, targets: Collection[str], worker_stops_s: float = 0) -> Chain:
    """Cut one incident off wherever it comes by a target, then take it to its end."""
    shop, it = CountedShop(folder), Chain()
    try:
        shop.prepare(worker_stops_s)
        while not it.wrong:
            words = RESUME if checks.events(shop.state) else RUN
            done = shop.cut(set(targets) - set(it.cuts), *words)
            if done.returncode == 0:  # nothing was cut off, or a worker when its work was done already
                break
            it.cuts = shop.told("cut")
            by_itself = it.cuts[-1:] and it.cuts[-1].startswith(("task-playbook", "task-worker"))
            if done.returncode != (11 if by_itself else -9) or "Traceback" in done.stdout:
                it.wrong.append(f"{words[0]} ended with {done.returncode}: {done.stdout[-2000:]}")
            it.wrong += checks.after_a_cut(shop.state)
            if checks.over(shop.state):
                break
        it.passed = shop.told("passed")
        it.wrong = it.wrong or settled(shop)
        return it
    finally:
        shop.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--point", action="append", choices=POINTS, help="only these points; all, if none is named")
    parser.add_argument("--cuts", type=int, default=12, metavar="N", help="cut each incident off about so often (12)")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no further incident after so many minutes"
    )
    parser.add_argument(
        "--slow", type=float, default=8, metavar="S", help="to stop the worker takes S seconds more (8)"
    )
    parser.add_argument(
        "--after", type=Path, action="append", default=[], metavar="RESULTS", help="leave out what was cut there"
    )
    parser.add_argument("--only", type=Path, metavar="FILE", help="one incident, cut off at the labels in this file")
    options = parser.parse_args()

    def play(targets: Collection[str]) -> Chain:
        with tempfile.TemporaryDirectory() as folder:
            return chain(Path(folder), targets, options.slow)

    if options.only:
        it = play([line.strip() for line in options.only.read_text().splitlines() if line.strip()])
        print("\n".join([*it.cuts, *it.wrong]))
        return 1 if it.wrong else 0

    began = time.monotonic()
    points: dict[str, str] = {}  # each label that was ever passed, and what became of it
    for path in options.after:
        lines = [line.strip() for line in path.read_text().splitlines() if line.startswith("  ")]
        points |= {line: "cut earlier" for line in lines if line.startswith(POINTS) and not line.endswith(")")}
    tried: Counter[str] = Counter()
    incidents = cuts = failed = 0
    with Results("cut-off") as results:
        with until_told():
            while time.monotonic() - began < options.minutes * 60:
                waiting = [label for label, state in points.items() if state == "waits"]
                if incidents and not waiting:
                    break
                start, targets = time.monotonic(), waiting[:: math.ceil(len(waiting) / options.cuts) or 1]
                it = play(targets)
                if not incidents:
                    uncut = Counter(label.split()[0] for label in it.passed)
                    results.say(f"uncut it passes: {', '.join(f'{point} {count}' for point, count in uncut.items())}")
                wanted = [label for label in it.passed if label.startswith(tuple(options.point or POINTS))]
                points = {**dict.fromkeys(wanted, "waits"), **points}
                tried.update(targets)
                points |= {label: "not reached" for label in targets if tried[label] >= TRIES}
                points |= dict.fromkeys(it.cuts, "cut")
                incidents, cuts, failed = incidents + 1, cuts + len(it.cuts), failed + bool(it.wrong)
                told = f"incident {incidents}: {len(it.cuts)} cuts, {time.monotonic() - start:.0f} s"
                results.say(told, it.cuts, it.wrong)
        for point in POINTS:
            states = Counter(state for label, state in points.items() if label.startswith(point))
            earlier = f" and {states['cut earlier']} earlier" if options.after else ""
            results.say(f"{point}: cut at {states['cut']}{earlier} of {states.total()}")
        results.say(
            "not cut:", sorted(f"{label} ({state})" for label, state in points.items() if not state.startswith("cut"))
        )
        seconds = time.monotonic() - began
        results.say(f"{cuts} cuts in {incidents} incidents, {seconds:.0f} s; wrong: {results.faults()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
