"""No record, no act: let the disk of the record go bad at every write of an incident, and count what is done on the target.

Three ways: the disk is full; the kernel makes it read-only; every read and write of it is an I/O error, and what was not synced
is lost. From the write on that fails nothing may be started; what was begun with a synced intent may end. The command must
say so in words, and once the disk is well again the incident must come to its right end with `resume`. Half-way, with the disk
still bad, all is taken back with `lift`.

The incident is the one that `campaign.py` cuts off. Needs root; its mounts end with it.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from tests.faults.campaign import RESUME, RUN, CountedShop, settled
from tests.faults.count import runs_alive
from tests.faults.disk import KINDS, Disk, apart, is_shared, missing
from tests.faults.results_file import Results, until_told
from tests.shop import ROOT

from incidentctl.record import open_record

PATIENCE_S = 900.0  # of a busy machine; what hangs, hangs longer
# What each act on the target needs to have in the record before it.
INTENTS = {
    "stop worker": "contain", "maintenance mode enabled": "contain",
    "stop shop": "recover", "start shop": "recover",
    "maintenance mode disabled": "lift", "start worker": "lift",
}  # fmt: skip
CONTAINED = Counter({act: 1 for act, phase in INTENTS.items() if phase == "contain"})
LIFTED = Counter({act: 1 for act, phase in INTENTS.items() if phase == "lift"})
LOCKED = 13  # the exit code of `run` beside an open incident
LIFT_AT = "question_asked"  # once this could not be written, the containment is lifted with the disk still bad


class Site(CountedShop):
    """A counted shop whose incident has a disk of its own for all that the controller writes, and people who are told."""

    def lay_out(self, **settings: Any) -> None:
        self.disk = Disk(self.folder / "disk", self.folder / "state")
        self.disk.make()
        self.early: Counter[str] = Counter()  # what was lifted before its time
        (self.folder / "nobody_listens").write_text("json://127.0.0.1:1/\n")
        settings["severities"]["high"] |= {"notify": ["team"], "ticket": True}
        people = {"team": {"send": [{"file": str(self.folder / "nobody_listens")}]}}
        super().lay_out(**settings, audiences=people, status_page={"folder": "state/status"})

    def fail(self, kind: str, *words: str) -> tuple[subprocess.CompletedProcess[str], str | None]:
        """Run a command whose disk goes bad at a write at which it never did; return how it ended, and which that was."""
        _, _, _, *own = self.command(*words)
        before = self.failed()
        program = str(ROOT / "tests" / "faults" / "fail.py")
        done = self._run([sys.executable, program, kind, str(self.folder), *own])
        return done, next(iter(self.failed()[len(before) :]), None)

    def failed(self) -> list[str]:
        file = self.folder / "failed"
        return file.read_text().splitlines() if file.exists() else []

    def try_it(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command as it is."""
        return self._run(self.command(*words), **env)

    def _run(self, argv: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.folder,
            env={
                "PYTHONPATH": str(ROOT / "driver"),
                "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def started_after(self) -> int:
        return int((self.folder / "after").read_text())


def in_words(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What is wrong with how a command told that the record failed it."""
    checks = {
        f"ended with {done.returncode}": done.returncode not in (0, -9),
        "no words but a traceback": "Traceback" not in done.stdout and "Internal error" not in done.stdout,
        "no way out is told": done.stdout.count("Fix:") == 1,
    }
    return [f"{what}: {done.stdout[-1500:]}" for what, well in checks.items() if not well]


def denied(shop: Site, kind: str, done: subprocess.CompletedProcess[str], at: str) -> list[str]:
    """What is wrong after the record could not be written any more; the disk is well again then."""
    wrong = in_words(done)
    if shop.started_after():
        wrong.append(f"{shop.started_after()} ansible-playbook started without a record")
    if runs_alive(str(shop.folder)):
        wrong.append("an ansible-playbook lives on")
    if at.startswith("host_outcome"):
        _, _, capability = at.split()
        if f"this-machine: {capability}" not in done.stdout:
            wrong.append(f"what happened on the host is not told: {done.stdout[-1500:]}")
    if at.startswith(LIFT_AT):
        wrong += lifted(shop, kind, re.findall(r"INC-[0-9]{8}-[0-9]{4}-\w{4}", done.stdout)[-1])
    shop.disk.mend()
    return wrong + unmeant(shop)


def lifted(shop: Site, kind: str, incident: str) -> list[str]:
    """What is wrong with a lift, and with a new incident, while the disk is bad."""
    home = str(shop.folder / "state")
    begun = shop.try_it(*RUN)
    wrong = in_words(begun)
    readable = begun.returncode == LOCKED and incident in begun.stdout  # a full disk may still tell that there is one
    if not readable and "INCIDENTCTL_STATE_DIR=" not in begun.stdout:
        wrong.append(f"how to begin without that disk is not told: {begun.stdout[-1500:]}")
    # A disk that takes nothing may be that of the home and the temporary folder, too.
    done = shop.try_it("lift", incident, **({} if kind == "broken" else {"HOME": home, "TMPDIR": home}))
    shop.early = LIFTED
    wrong += in_words(done) if done.returncode else []
    if shop.acts() != CONTAINED + LIFTED:
        wrong.append(f"lost: not all was lifted without the record: {shop.acts()} {done.stdout[-1500:]}")
    return wrong


def unmeant(shop: Site) -> list[str]:
    """What was done on the target of which no intent outlived the disk."""
    with open_record(f"sqlite:///{shop.folder}/state/record.db") as record:
        known = record.incidents()
        if known:
            (shop.folder / "declared").write_text(known[0])
        events = record.events(known[0]) if known else []
        whole = not known or record.verify(known[0]) is None
    meant = {event.data["phase"] for event in events if event.kind == "step_started"}
    wrong = [f"done without an intent: {act}" for act in shop.acts() - shop.early if INTENTS[act] not in meant]
    return wrong if whole else [*wrong, "the chain of the record is broken"]


def chain(
    folder: Path,
    kinds: tuple[str, ...],
    only: tuple[str, ...],
    results: Results | None = None,
    cases: list[tuple[str, str]] | None = None,
    tried: Sequence[str] = (),
) -> list[str]:
    """Let the disk go bad at each write (or at those that begin with one of `only`), the kinds in turn.

    Not at those that were `tried` before. Return what was wrong; add each (write, kind) to `cases`.
    """
    shop, wrong = Site(folder), []
    (folder / "only").write_text("\n".join(only))
    (folder / "failed").write_text("".join(f"{write}\n" for write in tried))
    try:
        shop.prepare()
        while True:
            words, start = RESUME if (folder / "declared").exists() else RUN, time.monotonic()
            kind = kinds[len(shop.failed()) % len(kinds)]
            done, at = shop.fail(kind, *words)
            if at is None:
                break
            found = denied(shop, kind, done, at)
            wrong += [f"{at}: {one}" for one in found]
            if cases is not None:
                cases.append((at, kind))
            if results is not None:
                results.say(f"{kind}: {at}: {time.monotonic() - start:.0f} s", wrong=found)
        ended = [f"the last {words[0]} ended with {done.returncode}: {done.stdout[-2000:]}"] if done.returncode else []
        ended = ended or settled(shop)
        if results is not None:
            results.say(f"gone on to the end: {time.monotonic() - start:.0f} s", wrong=ended)
        return wrong + ended
    finally:
        shop.stop()
        shop.disk.remove()


def tried_in(path: Path) -> list[tuple[str, str]]:
    """Return each (write, kind) of a campaign's results."""
    found = re.findall(rf"^({'|'.join(KINDS)}): (.+): \d+ s$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [(write, kind) for kind, write in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this way; all, if none is named")
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="TEXT",
        help="only at writes that begin so, the kinds in turn; no file is kept",
    )
    parser.add_argument("--minutes", type=float, default=0, help="end after so many minutes, and sum up")
    parser.add_argument(
        "--after", type=Path, action="append", default=[], metavar="RESULTS", help="leave out what was tried there"
    )
    options = parser.parse_args()
    wrong: list[str] = []
    if missing():
        print(f"record: not run, {missing()}")
        return 0
    if is_shared():
        os.execvp("unshare", apart(sys.executable, *sys.argv))
    kinds = tuple(options.kind or KINDS)
    if options.at:
        whole = False
        with until_told(), tempfile.TemporaryDirectory() as folder:
            wrong, whole = chain(Path(folder), kinds, tuple(options.at)), True
        print("\n".join(wrong))
        return 1 if wrong or not whole else 0
    began = time.monotonic()
    if options.minutes:
        timer = threading.Timer(options.minutes * 60, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()
    earlier = {case for path in options.after for case in tried_in(path)}
    with Results("record") as results:
        cases: list[tuple[str, str]] = []
        with until_told():
            for kind in kinds:
                tried = sorted(write for write, way in earlier if way == kind)
                with tempfile.TemporaryDirectory() as folder:
                    wrong += chain(Path(folder), (kind,), (), results, cases, tried)
        cases += earlier
        ways = Counter(kind for _, kind in set(cases))
        writes = {write for write, _ in cases}
        told = ", ".join(f"{kind} at {ways[kind]}" for kind in kinds)
        results.say(f"{len(writes)} writes; {told}; {time.monotonic() - began:.0f} s; wrong: {results.faults()}")
        results.say(
            "not in every way:", sorted(write for write in writes if any((write, k) not in cases for k in kinds))
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
