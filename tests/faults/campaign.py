"""Cut an incident off at every point, go on, and count on the target what was done: `make faults`.

Nothing may be lost, nothing done twice, and no ansible-playbook of the run that was cut off may be alive while the next
one acts. The incident is one of high severity on the demo's shop: a worker stopped, maintenance, a rollback, all lifted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from tests.faults.count import runs_alive
from tests.faults.cut import POINTS
from tests.shop import ROOT, Shop

from incidentctl.record import open_record

ANSWERS = ("--yes", "--option", "rollback")
RUN = ("run", "--severity", "high", *ANSWERS, "checkout returns 500")
# What an incident that nobody cuts off does to the shop; `count` sees to it that this stays true.
ACTS = Counter(
    {
        "stop worker": 1, "maintenance mode enabled": 1,
        "stop shop": 1, "start shop": 1,  # the rollback
        "maintenance mode disabled": 1, "start worker": 1,
    }
)  # fmt: skip
RESULTS = Path(__file__).resolve().parent / "results"


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

    def lines(self) -> list[list[str]]:
        return [line.rsplit(" ", 1) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def acts(self) -> Counter[str]:
        said = (self.root / "logs" / "shop.log").read_text()
        modes = {f"maintenance mode {mode}": said.count(f"maintenance mode {mode}") for mode in ("enabled", "disabled")}
        return +Counter({**Counter(act for act, _ in self.lines()), **modes})

    def cut(self, point: str, number: int, *words: str) -> subprocess.CompletedProcess[str]:
        """Run an incidentctl command that is cut off at the number-th time that a point is passed."""
        _, _, _, *own = self.command(*words)
        argv = [sys.executable, str(ROOT / "tests" / "faults" / "cut.py"), point, str(number), *own]
        # Its output goes to a file: what it leaves running would hold a pipe open.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False
            )
            said.seek(0)
            return subprocess.CompletedProcess(argv, done.returncode, said.read(), "")

    def declared(self) -> bool:
        with open_record(f"sqlite:///{self.folder}/state/record.db") as record:
            return bool(record.incidents())


def settled(shop: CountedShop) -> list[str]:
    """What is wrong with an incident that was cut off and taken to its end; nothing, if all is well."""
    acts, incident = shop.acts(), shop.status()
    wrong = [f"lost: {act}" for act in (ACTS - acts).elements()]
    wrong += [f"doubled: {act}" for act in (acts - ACTS).elements()]
    wrong += [f"{int(alive) - 1} orphan(s) alive at: {act}" for act, alive in shop.lines() if int(alive) > 1]
    kinds = Counter(event["kind"] for event in shop.events())
    wrong += [f"{kinds[kind]} times {kind}" for kind in ("declared", "resolved", "closed") if kinds[kind] != 1]
    if len({row["text"] for row in incident["follow_ups"]}) != len(incident["follow_ups"]):
        wrong.append("a follow-up stands there twice")
    folder = Path(incident["report"]).parent
    checks = {
        f"status {incident['status']}": incident["status"] == "closed",
        "still contained": not incident["contained"],
        "the worker's or the shop's containment is not in the record": kinds["containment_lifted"] == 2,
        "still in maintenance": shop.ask("GET", "/admin/maintenance-mode")[1]["mode"] == "disabled",
        "it does not sell": shop.checkout() == 201,
        "not on release 41": (shop.root / "current").resolve().name == "41",
        "no report": (folder / "report.md").exists(),
        "a private folder was left behind": not list(folder.glob("run-*")),
        "an ansible-playbook lives on": not runs_alive(str(shop.folder)),
    }
    with open_record(f"sqlite:///{shop.folder}/state/record.db") as record:
        checks["the chain of the record is broken"] = record.verify(record.find()) is None
    return wrong + [what for what, well in checks.items() if not well]


def case(folder: Path, point: str, number: int, worker_stops_s: float = 0) -> list[str]:
    """Cut one incident off, go on with it, and return what is wrong then."""
    shop = CountedShop(folder)
    try:
        shop.prepare(worker_stops_s)
        first = shop.cut(point, number, *RUN)
        if first.returncode == 0:
            return [f"{point} {number} was never passed"]
        words = ("resume", *ANSWERS) if shop.declared() else RUN
        done = shop.run(*words)
        if done.returncode != 0:
            return [
                f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}",
                f"before it: {first.stdout[-800:]}",
            ]
        return settled(shop)
    finally:
        shop.stop()


def possible() -> dict[str, int]:
    """How often an incident that nobody cuts off passes each point."""
    with tempfile.TemporaryDirectory() as folder:
        shop = CountedShop(Path(folder))
        try:
            shop.prepare()
            done = shop.cut("count", 0, *RUN)
            wrong = settled(shop)
        finally:
            shop.stop()
    if done.returncode != 0 or wrong:
        raise SystemExit(f"without any cut: {done.stdout} {wrong}")
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", action="append", choices=POINTS, help="only these points; all, if none is named")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="only every K-th time that a point is passed")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="N", help="begin with the N-th time")
    parser.add_argument("--minutes", type=float, default=0, help="begin no further case after so many minutes")
    parser.add_argument("--slow", type=float, default=0, metavar="S", help="to stop the worker takes S seconds more")
    options = parser.parse_args()
    began, counts, failed, told = time.monotonic(), possible(), 0, 0
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"cut-off-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
    with path.open("w", encoding="utf-8") as stream:

        def say(line: str) -> None:
            print(line, flush=True)
            stream.write(line + "\n")
            stream.flush()

        say(f"command: python tests/faults/campaign.py {' '.join(sys.argv[1:])}".rstrip())
        say(f"date: {datetime.now(UTC).isoformat(timespec='seconds')}")
        say(
            f"machine: {platform.system()} {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
        )
        say(f"an incident passes: {', '.join(f'{point} {count}' for point, count in counts.items())}")
        for point in options.point or POINTS:
            for number in range(options.first, counts[point] + 1, options.every):
                if options.minutes and time.monotonic() - began > options.minutes * 60:
                    break
                with tempfile.TemporaryDirectory() as folder:
                    wrong = case(Path(folder), point, number, options.slow)
                told, failed = told + 1, failed + bool(wrong)
                say(f"{point} {number}: {' '.join('; '.join(wrong).split()) or 'well'}")
        say(f"{told} cases, {failed} of them with something lost, doubled or left; {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
