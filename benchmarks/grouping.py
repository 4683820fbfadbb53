"""How well errors are grouped: the share of them whose group is exactly the group that they belong to.

    .venv/bin/python benchmarks/grouping.py                   the logs that labelled_logs.py makes
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
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import labelled_logs  # noqa: E402 - found through the line above
from ansible_collections.incidentctl.response.plugins.module_utils import (  # noqa: E402
    _grouping,
    _log_errors,
    _log_lines,
    _log_messages,
    _patterns,
)

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
    """Make a log; return for each error of it the true group and the one that was found, "" if it was not seen."""
    entries = list(labelled_logs.log(form, ERRORS, seed))
    lines = [line for entry in entries for line in ([entry] if isinstance(entry, str) else entry.lines)]
    events = [entry for entry in entries if not isinstance(entry, str)]
    seen = list(_log_errors.Reader().errors(_log_lines.Line(line) for line in lines))
    found = []
    waiting = iter(zip(seen, groups(seen), strict=True))
    error, group = next(waiting, (None, ""))
    for event in events:
        same = error is not None and error.line == event.lines[0]
        found.append(group if same else f"not seen {len(found)}")
        if same:
            error, group = next(waiting, (None, ""))
    if error is not None:
        print(f"{form}: taken for an error, or out of order: {error.line[:200]}")
    return [event.truth for event in events], found


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
    made: dict[str, float] = {}
    for form in labelled_logs.FORMATS:
        made[form] = sum(accuracy(*of_made(form, seed)) for seed in SEEDS) / len(SEEDS)
        print(f"{form:24} {made[form]:.3f}", flush=True)
    print(f"{'mean of made logs':24} {sum(made.values()) / len(made):.3f}  worst: {min(made, key=made.__getitem__)}")
    scores: dict[str, float] = {}
    for path in sorted(path for folder in args for path in Path(folder).rglob("*_structured.csv")):
        scores[path.name] = accuracy(*of_csv(path))
        print(f"{path.name.removesuffix('.log_structured.csv'):24} {scores[path.name]:.3f}")
    if scores:
        worst = min(scores, key=scores.__getitem__)
        print(f"{'mean of labelled files':24} {sum(scores.values()) / len(scores):.3f}  worst: {worst}")


if __name__ == "__main__":
    main()
