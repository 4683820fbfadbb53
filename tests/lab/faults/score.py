"""How often the cause of a fault is found: each is injected, diagnosed as a person would, and the three likeliest causes read.

score.py [NAME…]      these faults, by default all that lie here; what was measured is kept in tests/faults/results
score.py --further    those in further/, which came when the rules were there already
score.py --inject NAME / --lift NAME    only that, to look at it by hand; the site must be laid out: site_on_lab.py

A fault is a folder with the drill.yml of `incidentctl drill`, and what it has in common with the others stands in drills.yml:
scripts for a shell, run as root on the hosts that are named, in that order (`lift` in the reverse one), and by what a cause is
known to be the right one. Nothing in it knows incidentctl, and nothing of it is read by incidentctl here. A cause is
right if for one entry of `right` its hosts are among the cause's, its kind is one of `kinds`, and each pattern of `says` is
found in its sentence or in what it names.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import site_on_lab as site
import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "faults"))

from machine import LabError
from results_file import Results, until_told

FURTHER = "further"
TOP = 3
SYMPTOM_S, HEALTHY_S = 180, 180  # how long each is waited for
STANDS_S = 10  # a fault has been there for so long when somebody looks
QUIET_S = 30  # and nothing happened for so long before
AS_ROOT = "sudo sh -eu -s"
SAID = 150  # characters of a cause in the table


class Cause(NamedTuple):
    """One row of the ranked list."""

    text: str
    hosts: tuple[str, ...]
    kind: str
    about: str  # what it names: a path, a unit, a release


class Score(NamedTuple):
    """What became of one fault."""

    rank: int | None  # of the first right cause, from 1
    causes: list[Cause]
    seconds: float  # of the diagnosis


def measure(name: str, quiet_s: float) -> Score:
    """Inject a fault, wait until it shows, diagnose it, take it back. Raise LabError if site or fault are not as they should."""
    truth = told(name)
    see_healthy(truth)
    site.age()
    time.sleep(quiet_s)
    try:
        inject(truth)
        see_symptom(name, truth)
        time.sleep(STANDS_S)
        began = time.monotonic()
        causes = diagnose()
        seconds = time.monotonic() - began
    finally:
        lift(truth)
    see_healthy(truth)
    return Score(next((n for n, cause in enumerate(causes, 1) if is_right(cause, truth)), None), causes, seconds)


def known(place: str = "") -> list[str]:
    """Return the names of all faults that lie here, or in a folder beside them."""
    return sorted(str(path.parent.relative_to(HERE)) for path in (HERE / place).glob("*/drill.yml"))


def told(name: str) -> dict[str, Any]:
    """Return the truth about a fault, with its scripts as (host, path), in order."""
    folder = HERE / name
    own, common = yaml.safe_load((folder / "drill.yml").read_text()), yaml.safe_load((HERE / "drills.yml").read_text())
    found = {key: scripts(common[key], HERE) for key in ("symptom", "recovered")}
    return (
        own
        | found
        | {key: scripts(own[key], folder) for key in ("inject", "lift", "symptom", "recovered") if key in own}
    )


def scripts(rows: Any, folder: Path) -> list[tuple[str, Path]]:
    """Return which script runs on which host."""
    listed = [(row, row["hosts"]) for row in (rows if isinstance(rows, list) else [rows])]
    return [
        (host, folder / row["script"])
        for row, hosts in listed
        for host in ([hosts] if isinstance(hosts, str) else hosts)
    ]


def inject(truth: dict[str, Any]) -> None:
    """Do the fault to its hosts."""
    for host, script in truth["inject"]:
        site.login(host, AS_ROOT, script.read_bytes())


def lift(truth: dict[str, Any]) -> None:
    """Take the fault back."""
    for host, script in reversed(truth["lift"]):
        site.login(host, AS_ROOT, script.read_bytes())


def is_right(cause: Cause, truth: dict[str, Any]) -> bool:
    """Say whether a person who knows the truth would call this the cause."""
    return any(
        set(row.get("hosts", ())) <= set(cause.hosts)
        and cause.kind in row["kinds"]
        and all(re.search(pattern, f"{cause.text} {cause.about}", re.IGNORECASE) for pattern in row["says"])
        for row in truth["right"]
    )


def diagnose() -> list[Cause]:
    """Diagnose the whole site with the command that a person would give; return what it found, the likeliest cause first."""
    program = str(Path(sys.executable).with_name("incidentctl"))
    argv = [program, "play", "diagnosis", "--config", str(HERE / "incidentctl.yml"), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    try:
        found = json.loads(done.stdout)["causes"]
    except (ValueError, LookupError, TypeError):
        raise LabError(f"{' '.join(argv)}\nexited {done.returncode}: {done.stderr[-2000:]}") from None
    return [Cause(cause["title"], tuple(cause["hosts"]), cause["kind"], json.dumps(cause["about"])) for cause in found]


def holds(looks: list[tuple[str, Path]]) -> bool:
    """Say whether all of these look well."""
    return all(b"yes" in site.login(host, f"{AS_ROOT} && echo yes || true", path.read_bytes()) for host, path in looks)


def see_healthy(truth: dict[str, Any]) -> None:
    """Wait until all is well. Raise LabError if that does not come."""
    wait(lambda: holds(truth["recovered"]), HEALTHY_S, "The site is not healthy.")


def see_symptom(name: str, truth: dict[str, Any]) -> None:
    """Wait until the fault shows. Raise LabError if it does not."""
    wait(lambda: holds(truth["symptom"]), SYMPTOM_S, f"{name} has no effect.")


def wait(holds: Any, seconds: float, otherwise: str) -> None:
    """Wait until something holds. Raise LabError if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"{otherwise}\nFix: python tests/lab/faults/site_on_lab.py, or lab.py reset and that again")
        time.sleep(1)


def report(results: Results, name: str, score: Score) -> None:
    """Say what became of one fault."""
    place = f"{score.rank} of {len(score.causes)}" if score.rank else f"not among {len(score.causes)}"
    right = "right" if score.rank and score.rank <= TOP else "wrong"
    results.say(
        f"{name}: {right}, rank {place}, {score.seconds:.1f} s",
        (f"{n}. {cause.text[:SAID]} ({', '.join(cause.hosts)})" for n, cause in enumerate(score.causes[:TOP], 1)),
    )


def main() -> int:
    """Read the words of the command, measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known()))
    parser.add_argument("--further", action="store_true", help="without names: those in further/")
    parser.add_argument("--inject", action="store_true", help="only inject")
    parser.add_argument("--lift", action="store_true", help="only take back")
    parser.add_argument(
        "--quiet", type=float, default=QUIET_S, metavar="SECONDS", help=f"before each fault ({QUIET_S})"
    )
    options = parser.parse_args()
    there = [*known(), *known(FURTHER)]
    if unknown := set(options.names) - set(there):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}. There are {', '.join(there)}")
    names = options.names or known(FURTHER if options.further else "")
    if options.inject or options.lift:
        for name in names:
            (lift if options.lift else inject)(told(name))
        return 0
    scores: dict[str, Score] = {}
    broken = False
    with Results("causes") as results, until_told():
        for name in names:
            try:
                scores[name] = measure(name, options.quiet)
            except LabError as error:
                broken = True
                results.say(f"{name}: not measured", wrong=[str(error)])
            else:
                report(results, name, scores[name])
        found = sum(score.rank is not None and score.rank <= TOP for score in scores.values())
        results.say(f"the cause among the first {TOP}: {found} of {len(scores)}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
