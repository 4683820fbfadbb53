"""No record, no act, on the host: let the ledger fail at each of its system calls, and see what is done and what is known.

For each act: every mkdir, open, write, sync, rename … that touches the state folder fails once (EIO), or from then on (EIO,
ENOSPC), or the module is killed just there. Then it must not have acted, or lift must find it and take it back. The same
for lift itself, after which a second lift must leave nothing open and do nothing twice. And on a real disk that is full,
read-only or broken before the act, or between act and lift.

Needs root: it has mounts, a network and processes of its own, which end with it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from tests.faults.acts import ACTS, INCIDENT, LIFTED, World, world
from tests.faults.disk import KINDS, Disk, missing
from tests.faults.results_file import Results, until_told

CALLS = ("mkdir", "openat", "write", "pwrite64", "ftruncate", "fsync", "rename", "unlink", "flock")
FAULTS = ("EIO", "EIO+", "ENOSPC+", "KILL")
_APART = "INCIDENTCTL_TEST_LEDGER_APART"


class Case(NamedTuple):
    """What is made to fail: in the act or its lift, at the number-th call of a kind (`+`: and at all later ones)."""

    act: str
    stage: str
    call: str
    number: int
    fault: str

    def words(self, touched: list[str], trace: Path) -> list[str]:
        """Return what stands before the command."""
        what = "signal=KILL" if self.fault == "KILL" else f"error={self.fault.rstrip('+')}"
        when = f"{self.number}{'+' if self.fault.endswith('+') else ''}"
        return [*_strace(touched, trace), "-e", f"inject={self.call}:{what}:when={when}"]

    def __str__(self) -> str:
        return f"{self.act}: {self.stage}, {self.call} {self.number}: {self.fault}"


def apart(*argv: str) -> list[str]:
    """Return the command that runs `argv` with mounts, a network and processes of its own."""
    own = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    inside = 'mount -t tmpfs none /run && ip link set lo up && exec "$@"'
    return ["unshare", *own, "env", f"{_APART}=yes", "sh", "-c", inside, "sh", *argv]


def lacking() -> str:
    """Say what this needs and is not there; "" if nothing."""
    programs = [name for name in ("strace", "ip") if shutil.which(name) is None]
    return missing() or (f"not installed: {', '.join(programs)}" if programs else "")


@contextmanager
def fresh(act: str, folder: Path, state: Path) -> Iterator[World]:
    """Give a new world in the same place, on a host that has no ledger yet."""
    for old in (folder, Path(_ledger.VOLATILE_DIR)):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir()
    with world(act, folder, state) as made:
        yield made


def plan(act: str, folder: Path) -> tuple[list[str], list[Case]]:
    """Do an act and its lift as they are; return the paths that the ledger touched, and all cases that there are."""
    state, touched, cases = folder / "state", {str(folder / "state")}, []
    stages = ("act", "lift") if act in LIFTED else ("act",)
    with fresh(act, folder, state) as made:
        for stage in stages:
            trace = folder / "trace"
            made.run(getattr(made, stage)(), "strace", "-o", str(trace), "-y", "-e", f"trace={','.join(CALLS)}")
            found = re.findall(rf'["<]({re.escape(str(state))}[^">]*)[">]', trace.read_text())
            touched |= {path.replace(" (deleted)", "") for path in found}
    with fresh(act, folder, state) as made:
        before = made.look()
        for stage in stages:
            made.run(getattr(made, stage)(), *_strace(sorted(touched), trace))
            if (made.look() == before) is (stage == "act"):
                raise SystemExit(f"without any fault, {act} does not do its {stage}")
            calls = Counter(re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE))
            places = [(call, number) for call in CALLS for number in range(1, calls[call] + 1)]
            cases += [Case(act, stage, call, number, fault) for call, number in places for fault in FAULTS]
    return sorted(touched), cases


def attempts(act: str, folder: Path, faults: list[str], every: int) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Give what there is to try of an act: its name, and what tries it and returns what is wrong then."""
    touched, cases = plan(act, folder)
    for case in [case for case in cases if case.fault in faults][::every]:
        yield str(case), partial(try_case, case, folder, touched)
    for kind in (kind for kind in KINDS if kind in faults):
        yield f"{act}: {kind} disk before the act", partial(try_disk, act, kind, True, folder)
        yield f"{act}: {kind} disk between act and lift", partial(try_disk, act, kind, False, folder)


def one(what: str, place: str) -> list[str]:
    """Try one case that is named in words, as `isolation act fsync 1 EIO` or `isolation full before`."""
    act, *words = what.split()
    folder = Path(place)
    if words[0] in KINDS:
        return try_disk(act, words[0], words[1] == "before", folder)
    touched, cases = plan(act, folder)
    stage, call, number, fault = words
    case = Case(act, stage, call, int(number), fault)
    return try_case(case, folder, touched) if case in cases else [f"other: there is no such case: {what}"]


def try_case(case: Case, folder: Path, touched: list[str]) -> list[str]:
    """Let one thing fail; return what is wrong then."""
    with fresh(case.act, folder, folder / "state") as made:
        before, words = made.look(), case.words(touched, folder / "trace")
        if case.stage == "act":
            wrong = _after_act(made, before, made.run(made.act(), *words))
            return wrong + (_taken_back(made, before) if case.act in LIFTED else [])
        made.run(made.act())
        wrong = _after_lift(made, before, made.run(made.lift(), *words))
        return wrong + _taken_back(made, before)


def try_disk(act: str, kind: str, early: bool, folder: Path) -> list[str]:
    """Let the disk go bad before the act, or between it and its lift; return what is wrong then."""
    mounted = folder.with_name("disk")
    mounted.mkdir(exist_ok=True)
    disk = Disk(folder.with_name("image"), mounted / "state")
    disk.make()
    try:
        with fresh(act, folder, mounted / "state") as made:
            before = made.look()
            if early:
                disk.spoil(kind)
            wrong = _after_act(made, before, made.run(made.act()))
            if not early:
                disk.spoil(kind)
            if act in LIFTED:
                wrong += _on_a_bad_disk(made, before, kind)
            disk.mend()
            if act in LIFTED:
                wrong += _taken_back(made, before)
            if list(Path(_ledger.VOLATILE_DIR).rglob("*.json")) and act in LIFTED:
                wrong.append("other: what is in /run was not brought home")
            return wrong
    finally:
        disk.remove()
        shutil.rmtree(mounted, ignore_errors=True)


def _on_a_bad_disk(made: World, before: Any, kind: str) -> list[str]:
    block = made.run(made.lift())
    wrong = _after_lift(made, before, block)
    if made.look() != before:
        # What stands on a disk that cannot even be read is not known now; but this has to be said.
        told = block is not None and block["outcome"] == "failed"
        return wrong if kind == "broken" and told else [*wrong, "lost: it was not taken back"]
    if made.module == "_service_state":  # a person stops it: an old incident's second lift must leave it so
        made.shop.end()
        made.run(made.lift())
        if made.shop.running():
            wrong.append("doubled: a second lift started what a person had stopped")
        made.shop.start()
    return wrong


def _after_act(made: World, before: Any, block: dict[str, Any] | None) -> list[str]:
    acted, known = made.look() != before, _known(made)
    wrong = ["lost: it acted, and nothing is recorded"] if acted and not known else []
    if block is None:
        return wrong
    told = " ".join(row["summary"] for row in block["actions"])
    # One act may have two targets, a rule and a silence, of which one fails: then all of it is told as failed.
    if acted != any(row["outcome"] == "done" for row in block["actions"]):
        wrong.append(f"other: acted is {acted}, and it said {block['outcome']}: {told}")
    if any(entry.get("volatile") and entry["state"] != "lifted" for entry in known) != ("lost at a reboot" in told):
        wrong.append(f"other: where it is recorded, and what was said of it, differ: {told}")
    return wrong


def _after_lift(made: World, before: Any, block: dict[str, Any] | None) -> list[str]:
    done = block is not None and block["outcome"] == "done"
    wrong = ["other: it said that all was taken back"] if done and made.look() != before else []
    if done and [entry["name"] for entry in _known(made) if entry["state"] != "lifted"]:
        wrong.append("other: it said done, and an entry is open")
    return wrong


def _taken_back(made: World, before: Any) -> list[str]:
    """Lift twice as it should go, and see the host as it was."""
    first, second = made.run(made.lift()), made.run(made.lift())
    wrong = [] if made.look() == before else [f"lost: lift did not take it back: {first}"]
    assert first is not None
    assert second is not None
    if second["outcome"] != "unchanged" or second["facts"]["open"]:
        wrong.append(f"other: a second lift found something to do: {second['actions']}")
    twice = [verb for verb in ("stop", "start") if made.count(verb) > 1]
    return wrong + [f"doubled: {verb}" for verb in twice]


def _known(made: World) -> list[dict[str, Any]]:
    """Return what the host knows of what was done to it."""
    if made.capability == "backup":
        return [{"state": "applied"} for _ in made.state.glob("backups/*.json")]
    try:
        return _ledger.entries({"incident_id": INCIDENT, "state_dir": str(made.state)})[0]
    except OSError:
        return []


def _strace(touched: list[str], trace: Path) -> list[str]:
    return ["strace", "-o", str(trace), "-e", f"trace={','.join(CALLS)}", *(f"--trace-path={path}" for path in touched)]


def main() -> int:
    """Run the campaign, or the few cases that are asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--act", action="append", choices=ACTS, help="only these acts; all, if none is named")
    parser.add_argument("--fault", action="append", choices=(*FAULTS, *KINDS), help="only these; all, if none is named")
    parser.add_argument(
        "--every", type=int, default=1, metavar="K", help="only every K-th case of an act's system calls"
    )
    parser.add_argument("--minutes", type=float, default=0, help="begin no further case after so many minutes")
    options = parser.parse_args()
    if why := lacking():
        raise SystemExit(f"not run: {why}")
    if _APART not in os.environ:
        return subprocess.run(apart(sys.executable, *sys.argv), check=False).returncode
    began, faults = time.monotonic(), options.fault or [*FAULTS, *KINDS]
    tried, wrong_ones = 0, 0
    with Results("ledger") as results, tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "world"
        acts = options.act or list(ACTS)
        with until_told():
            for name, attempt in (one for act in acts for one in attempts(act, folder, faults, options.every)):
                if options.minutes and time.monotonic() - began > options.minutes * 60:
                    break
                wrong = attempt()
                tried, wrong_ones = tried + 1, wrong_ones + bool(wrong)
                results.say(name if wrong else f"{name}: well", wrong=wrong)
        results.say(f"{tried} cases, {wrong_ones} of them wrong: {results.faults()}; {time.monotonic() - began:.0f} s")
    return 1 if wrong_ones else 0


if __name__ == "__main__":
    sys.exit(main())
