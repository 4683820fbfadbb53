"""Contain and lift, in random sequences, and see the host as it was: rules, services, containers, files, what was left over.

A sequence contains several things on a host of the lab, one after the other, and lifts them, twice. In every second one
another administrator changes firewall rules, starts or stops services, or deploys midway: that must be there at the end as if
nothing else had happened, so it is first done alone, and looked at. In every second one the module, or the controller with all
its processes, is killed in an act or in the lift. Lift is the module; or its playbook, where the controller's record is lost and
the services have left the inventory; or `incidentctl lift` without a record. `--sabotaged` lifts nothing: each sequence must
then be found wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "driver"), str(ROOT / "tests" / "lab")]

import lab
import yaml
from machine import containers_conf
from tests.faults import lift_site
from tests.faults.lift_site import Site
from tests.faults.results_file import Results, until_told

from incidentctl import processes

HOSTS = ("mon1", "db1")
WAYS = ("module", "playbook", "no services", "no record")
KEPT = "rollback"
LATE_S = 1.0  # what a killed controller had sent to the host begins by then
PLAY_S = 300.0
MOST, SHORT = 15, 300  # lines of what is wrong in one sequence, and how much of each
Look = dict[str, list[str]]


@dataclass
class Sequence:
    """What is done in one sequence: all of it follows from the seed and its number."""

    number: int
    acts: list[str]
    changes: list[str] = field(default_factory=list)
    at: int = 0  # after so many acts the other administrator comes
    kill: str = ""  # the act, or "lift", that is killed
    who: str = "module"  # or the module with what it started, or the controller
    moment: float = 0.0  # as part of how long it takes
    way: str = "module"
    unconfirmed: bool = False

    def __str__(self) -> str:
        """All of it in one line."""
        acts = list(self.acts)
        acts.insert(self.at, f"[{'; '.join(self.changes)}]") if self.changes else None
        killed = f"; {self.who} killed in {self.kill} at {self.moment:.0%}" if self.kill else ""
        return f"{', '.join(acts)}; lift by {self.way}{killed}"


def sequence(seed: int, number: int, acts: list[str], changes: list[str], lab: bool) -> Sequence:
    """Return the sequence of a number: every second one with an administrator, every second one with a kill."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - a sequence, no secret
    it = Sequence(number, chance.sample(acts, chance.randint(2, 5)))
    if KEPT in it.acts:  # what goes back, and is deployed anew, would not be known apart; it needs its service, too
        it.acts = [name for name in it.acts if name != "isolation shop"]
        changes = [name for name in changes if name != "deploys"]
    if "isolation shop" in it.acts:  # what the shop offers over HTTP must be asked of it while it is there
        it.acts.sort(key=lambda name: name == "isolation shop" and chance.random() < 0.9)
    if number % 2:
        it.changes, it.at = chance.sample(changes, chance.randint(2, 4)), chance.randint(0, len(it.acts))
    if number % 4 in (1, 2):
        able = [name for name in it.acts if name != KEPT]
        it.kill = chance.choice(["lift", *able])
        it.who = chance.choice(["module", "module and all", *(["controller"] if lab else [])])
        it.moment = chance.uniform(0.05, 1.0)
    it.way = chance.choice(WAYS) if lab else "module"
    it.unconfirmed = chance.random() < 0.3
    return it


class Runner:
    """Plays sequences on a site; knows how long each act takes."""

    def __init__(self, site: Site, host: str = "", folder: Path = Path(), sabotaged: bool = False) -> None:
        """`host` is the lab's name of it, "" for a site here, where no playbooks are run."""
        self.site, self.host, self.folder, self.sabotaged = site, host, folder, sabotaged
        self.took: dict[str, float] = {}
        self.before: Look = {}
        self.killed = 0

    def play(self, it: Sequence) -> list[str]:
        """Play one sequence, and return what is wrong; the site is then as it was before."""
        site, incident = self.site, f"INC-20260101-{it.number:04}-abcd"
        site.sh(f"{site.before_each}; rm -rf {site.state}/ledger/{incident}")
        before = self.before or site.look()
        changes = [site.changes[name] for name in it.changes]
        undone = [change.undo for change in reversed(changes)]
        expected = self._alone(it, before, [change.do for change in changes], undone)
        try:
            wrong = self._contained(it, incident)
            wrong += self._lifted(it, incident, expected)
        finally:
            self._clear(it, incident, undone)
        self.before = site.look()
        return wrong + [f"other: clearing up: {line}" for line in differences(before, self.before)]

    def _alone(self, it: Sequence, before: Look, done: list[str], undone: list[str]) -> Look:
        """Return how the host has to look in the end: as after what the administrator does, and a way out that is kept."""
        kept = [self.site.changes["deploys"]] if KEPT in it.acts else []
        back = [change.do.replace("releases/43", "releases/41") for change in kept]
        if not done and not back:
            return before
        self.site.sh("; ".join([*back, *done]))
        expected = self.site.look()
        self.site.sh("; ".join([*undone, *(change.undo for change in kept)]))
        return expected

    def _contained(self, it: Sequence, incident: str) -> list[str]:
        wrong: list[str] = []
        outcomes = set[str]()
        for number, name in enumerate(it.acts):
            if it.changes and number == it.at:
                self._administer(it)
            if it.kill == name:
                self._killed(it, incident, name)
                continue
            began = time.monotonic()
            block = self.site.act(name, incident)
            self.took[name] = self.took["any"] = time.monotonic() - began
            assert block is not None
            outcomes.add(block["outcome"])
            off = "isolation shop" in it.acts[:number] and name in ("circuit_breaker", "maintenance_mode")
            if block["outcome"] not in ("done", "unchanged") and not off:
                wrong.append(f"other: {name} {block['outcome']}: {block.get('reason')}")
            if block["facts"].get("to_confirm") and not it.unconfirmed:
                self.site.act(name, incident, state="confirmed", acted=block["actions"])
        if it.changes and it.at == len(it.acts):
            self._administer(it)
        if it.kill not in it.acts and "done" not in outcomes:
            wrong.append("other: nothing was contained")
        return wrong

    def _administer(self, it: Sequence) -> None:
        for name in it.changes:
            change = self.site.changes[name]
            self.site.sh(change.midway or change.do)

    def _lifted(self, it: Sequence, incident: str, expected: Look) -> list[str]:
        if it.kill == "lift":
            self._killed(it, incident, "lift")
        if self.sabotaged:  # what the sham lift calls lifted must be lifted in the end
            self.site.sh(f"cp -a {self.site.state}/ledger/{incident} {self.site.run}/ledger")
        if it.way == "module" or self.sabotaged:
            began = time.monotonic()
            block = self.site.lift(incident, sabotaged=self.sabotaged)
            self.took["lift"] = time.monotonic() - began
            wrong = [] if block and block["outcome"] in ("done", "unchanged") else [f"lost: lift said {block}"]
        else:
            wrong = self._by_playbook(it, incident)
        after = self.site.look()
        wrong += [f"lost: {line}" for line in differences(expected, after)]
        again = self.site.lift(incident, sabotaged=self.sabotaged)
        if again is None or again["outcome"] != "unchanged" or again["facts"]["open"]:
            wrong.append(f"doubled: a second lift found something to do: {again}")
        if KEPT in it.acts and not any(
            "left as it is" in row["summary"] for row in (again or {"actions": ()})["actions"]
        ):
            wrong.append("other: lift does not say that the rollback stays")
        return wrong + [f"doubled: after the second lift: {line}" for line in differences(after, self.site.look())]

    def _by_playbook(self, it: Sequence, incident: str) -> list[str]:
        if it.way == "no record":
            config = self.folder / "incidentctl.yml"
            config.write_text(yaml.safe_dump({"state_dir": str(self.folder / f"state-{it.number}")}))
            words = [
                sys.executable,
                "-m",
                "incidentctl",
                "lift",
                incident,
                "--config",
                str(config),
                "--limit",
                self.host,
            ]
            done = self._run([*words, "-i", str(ROOT / "inventories" / "lab")])
            return (
                [] if done.returncode == 11 and "taken back on the hosts" in done.stderr else [f"lost: {done.stderr}"]
            )
        own = {"incident_services": []} if it.way == "no services" else lift_site.inventory(self.site, self.host)
        done = self._run(self._playbook("lift", incident, own))
        return [] if done.returncode == 0 else [f"lost: {done.stdout[-1000:]}{done.stderr[-500:]}"]

    def _killed(self, it: Sequence, incident: str, name: str) -> None:
        """Begin an act, or the lift, and kill it."""
        act = self.site.acts.get(name)
        if it.who == "controller" and (act is None or act.playbook):
            own = lift_site.inventory(self.site, self.host) | (act.variables if act else {})
            self._kill_controller(
                self._playbook(act.playbook if act and act.playbook else "lift", incident, own), it.moment
            )
            return
        seconds = it.moment * self.took.get(name, self.took.get("any", 1.0))
        words = [
            "timeout",
            "--signal=KILL",
            *([] if it.who == "module and all" else ["--foreground"]),
            f"{seconds:.3f}",
        ]
        block = self.site.lift(incident, *words) if act is None else self.site.act(name, incident, *words)
        self.killed += block is None

    def _kill_controller(self, argv: list[str], moment: float) -> None:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1 + moment * self.took.get("playbook", 5.0))
        self.killed += process.poll() is None
        processes.end([*processes.controllers_below(process.pid), process.pid])
        process.wait()
        time.sleep(LATE_S)

    def _playbook(self, name: str, incident: str, variables: dict[str, Any]) -> list[str]:
        extra = self.folder / "variables.json"
        extra.write_text(yaml.safe_dump({"incident_id": incident, **variables}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [f"incidentctl.response.{name}", "-i", str(ROOT / "inventories" / "lab"), "--limit", self.host]
        return [program, *words, "-e", f"@{extra}"]

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        began = time.monotonic()
        env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PLAY_S, check=False)
        self.took["playbook"] = time.monotonic() - began
        return done

    def _clear(self, it: Sequence, incident: str, undone: list[str]) -> None:
        if self.sabotaged:
            there = f"{self.site.state}/ledger/{incident}"
            self.site.sh(f"rm -rf {there}; mv {self.site.run}/ledger {there}")
        self.site.lift(incident)
        own = [self.site.changes["deploys"].undo] if KEPT in it.acts else []
        self.site.sh(
            "; ".join([*undone, *own, f"rm -rf {self.site.state}/releases {self.site.state}/ledger/{incident}"])
        )


def differences(before: Look, after: Look) -> list[str]:
    """Return what is in only one of two looks, or in another order, line by line."""
    return [
        f"{section}: {line}"
        for section in before
        for line in difflib.ndiff(before[section], after[section])
        if line[0] in "+-"
    ]


@contextlib.contextmanager
def on_host(name: str, sabotaged: bool) -> Iterator[Runner]:
    """Give a runner on a host of the lab, which is started anew; bring it back to how it starts in the end."""
    with lab.alone():
        lab.reset([name])
    config = [f"CONTAINERS_CONF={containers_conf()}"] if containers_conf().exists() else []
    site = lift_site.on_lab(name, ["env", *config, "podman", "exec", "--interactive", lab.container(name)])
    try:
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(site, name, Path(folder), sabotaged)
            runner._run(runner._playbook("lift", "INC-20260101-0000-none", {}))  # so that its length is known
            yield runner
    finally:
        with lab.alone():
            lab.reset([name])


def main() -> int:
    """Run the campaign; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", choices=HOSTS, default=HOSTS[0], help="which host of the lab; it is reset")
    parser.add_argument("--sequences", type=int, default=50, metavar="N", help="so many (50)")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="only these of them")
    parser.add_argument("--seed", type=int, help="play the sequences of an earlier campaign again")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further sequence after so many")
    parser.add_argument("--sabotaged", action="store_true", help="lift nothing: every sequence must be found wrong")
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    began, failed, harmed, played = time.monotonic(), 0, 0, list[Sequence]()
    with Results(f"lift-{options.host}") as results, on_host(options.host, options.sabotaged) as runner:
        results.say(f"seed: {seed}; host: {options.host}")
        acts, changes = list(runner.site.acts), list(runner.site.changes)
        with until_told():
            for number in options.only or range(1, options.sequences + 1):
                if time.monotonic() - began > options.minutes * 60:
                    break
                it = sequence(seed, number, acts, changes, lab=True)
                started = time.monotonic()
                wrong = runner.play(it)
                played.append(it)
                failed += bool(wrong)
                harmed += bool(wrong and it.changes)
                more = [f"other: and {len(wrong) - MOST} more lines"] if len(wrong) > MOST else []
                took = time.monotonic() - started
                results.say(f"{number}: {it} ({took:.0f} s)", wrong=[line[:SHORT] for line in wrong[:MOST]] + more)
        administered = sum(bool(it.changes) for it in played)
        survived = administered - harmed
        done = Counter(name for it in played for name in it.acts)
        results.say("acts:", (f"{count} × {name}" for name, count in sorted(done.items())))
        results.say("lift by:", (f"{count} × {way}" for way, count in sorted(Counter(it.way for it in played).items())))
        told = f"{len(played)} sequences, {failed} of them wrong; {runner.killed} killed at work"
        results.say(f"{told}; what an administrator changed survived {survived} of {administered}")
        results.say(f"{results.faults()}; {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
