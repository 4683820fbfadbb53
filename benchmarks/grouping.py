"""How well errors are grouped: the share of them whose group is exactly the group that they belong to.

    .venv/bin/python benchmarks/grouping.py                   the logs that labelled_*.py make
    .venv/bin/python benchmarks/grouping.py --only programs   one of them: logs, programs, held-back, held-back-later,
                                                              systems, systems-held-back, fleet
    .venv/bin/python benchmarks/grouping.py FOLDER            and every *_structured.csv there (Content, EventId)
    .venv/bin/python benchmarks/grouping.py --wrong java      what went wrong with one of them

An error is right if the set of errors grouped with it equals the set of those from the same template: the grouping
accuracy of the literature on log parsing. One that was not seen to be an error is wrong. Made logs pass through all
that a host does with them; of a CSV file, which holds lines of all levels, the messages are grouped.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import labelled_fleet  # noqa: E402 - found through the line above
import labelled_logs  # noqa: E402
import labelled_programs  # noqa: E402
import labelled_systems  # noqa: E402
from ansible_collections.incidentctl.response.plugins.module_utils import (  # noqa: E402
    _grouping,
    _log_errors,
    _log_lines,
    _log_messages,
    _patterns,
)

MADE = {
    form: source
    for source in (labelled_logs, labelled_programs, labelled_systems, labelled_fleet)
    for form in source.FORMATS
}
HELD_BACK = labelled_programs.HELD_BACK
SETS = {
    "logs": list(labelled_logs.FORMATS),
    "programs": [
        form for form in labelled_programs.FORMATS if form not in (*HELD_BACK, *labelled_programs.HELD_BACK_LATER)
    ],
    "held-back": HELD_BACK,
    "held-back-later": labelled_programs.HELD_BACK_LATER,
    "systems": [form for form in labelled_systems.FORMATS if form not in labelled_systems.HELD_BACK],
    "systems-held-back": labelled_systems.HELD_BACK,
    "fleet": list(labelled_fleet.FORMATS),
}
ERRORS = 5000
SEEDS = (1, 2, 3)


def accuracy(truth: Sequence[str], found: Sequence[str]) -> float:
    """Given for each error its true group and the one that was found, return the share that is grouped right."""
    sizes, true_sizes, both = Counter(found), Counter(truth), Counter(zip(truth, found, strict=True))
    right = sum(count for (true, group), count in both.items() if sizes[group] == true_sizes[true] == count)
    return right / len(truth)


def groups(errors: Sequence[_log_messages.Error]) -> list[str]:
    """Return the group of each error."""
    keys = [_patterns.key(error) for error in errors]
    template = _grouping.merged(dict.fromkeys(keys))
    return [template[key] for key in keys]


def of_made(form: str, seed: int) -> tuple[list[str], list[str]]:
    """Make a log; return for each error of it the true group and the one that was found, if it was seen as one error."""
    entries = list(MADE[form].log(form, ERRORS, seed))
    lines = [
        _log_lines.Line(line, error=form == "journal" and not isinstance(entry, str))
        for entry in entries
        for line in ([entry] if isinstance(entry, str) else entry.lines)
    ]
    events = [entry for entry in entries if not isinstance(entry, str)]
    seen = list(_log_errors.Reader().errors(lines))
    found: list[list[str]] = [[] for _ in events]
    left = [list(event.lines) for event in events]  # two errors may begin with the same line
    at, strays = 0, []
    for error, group in zip(seen, groups(seen), strict=True):
        near = (number for number in range(at, min(at + 200, len(events))) if error.line in left[number])
        number = next(near, None)
        if number is None:
            strays.append(error.line)
        else:
            at = number
            left[number].remove(error.line)
            found[number].append(group)
    if strays:
        print(f"{form}: {len(strays)} taken for errors: {strays[0][:200]!r}")
    pieces = [
        group[0] if len(group) == 1 else f"seen {len(group)} times: {number}" for number, group in enumerate(found)
    ]
    return [event.truth for event in events], pieces


def of_csv(path: Path) -> tuple[list[str], list[str]]:
    """Read a file of labelled messages; return the true groups and the ones that were found."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream))
    errors = [_log_messages.Error(_log_messages.masked(row["Content"]), row["Content"], ()) for row in rows]
    return [row["EventTemplate"] for row in rows], groups(errors)


def wrong(truth: Sequence[str], found: Sequence[str]) -> None:
    """Print the templates that were split or joined, largest first."""
    groups_of, templates_of = defaultdict(Counter), defaultdict(Counter)
    for true, group in zip(truth, found, strict=True):
        groups_of[true][group] += 1
        templates_of[group][true] += 1
    for true, counts in sorted(groups_of.items(), key=lambda item: -item[1].total()):
        if len(counts) > 1 or len(templates_of[next(iter(counts))]) > 1:
            print(f"  {counts.total()} of: {true}")
            for group, count in counts.most_common(5):
                print(f"      {count} of {templates_of[group].total()} in: {_patterns.shown(group)}")


def main() -> None:
    """Print one line for each format, and the means."""
    args = sys.argv[1:]
    if args[:1] == ["--wrong"]:
        wrong(*(of_csv(Path(args[1])) if args[1].endswith(".csv") else of_made(args[1], SEEDS[0])))
        return
    only, args = (args[1], args[2:]) if args[:1] == ["--only"] else ("", args)
    for name, forms in SETS.items():
        if only in ("", name):
            told(
                name,
                {form: lambda form=form: mean([accuracy(*of_made(form, seed)) for seed in SEEDS]) for form in forms},
            )
    paths = sorted(path for folder in args for path in Path(folder).rglob("*_structured.csv"))
    told("files", {path.name.partition(".")[0]: lambda path=path: accuracy(*of_csv(path)) for path in paths})


def told(name: str, measures: dict[str, Callable[[], float]]) -> None:
    """Measure each and print it, and their mean."""
    scores = {}
    for form, measure in measures.items():
        scores[form] = measure()
        print(f"{form:24} {scores[form]:.3f}", flush=True)
    if scores:
        print(
            f"{'mean of ' + name:24} {mean(list(scores.values())):.3f}  worst: {min(scores, key=scores.__getitem__)}\n"
        )


if __name__ == "__main__":
    main()
