"""Are all risks found that Rails' own dump of the schema shows? Each release of a Git repository against the one before it.

    .venv/bin/python benchmarks/migrations_against_dump.py GIT-DIRECTORY RELEASE RELEASE…

Rails writes db/schema.rb from the database after its migrations were run. Whatever is gone from it, differs, or must be
filled is a risk to the older release; so are unique indexes and foreign keys that come or go. A risk is named if what
the reader of migrations found to be no harmless operation names it; told if the migrations hold something that was not
understood, so that a person is asked; else it is missed, and printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import migrations
from ansible_collections.incidentctl.response.plugins.module_utils import _migrations

_COLUMN = re.compile(r'    t\.(?P<kind>\w+) "(?P<name>\w+)"(?P<options>.*)')
_INDEX = re.compile(r"    t\.index (?P<options>.*unique: true.*)")
_KEY = re.compile(r'  add_foreign_key "(?P<table>\w+)", (?P<options>.*)')


def dumped(repository: str, release: str) -> dict[str, dict[str, str]]:
    """Return the tables of a dump, each with its columns, unique indexes and foreign keys as they are written."""
    shown = ["git", "-C", repository, "show", f"{release}:db/schema.rb"]
    tables: dict[str, dict[str, str]] = {}
    table = ""
    for line in subprocess.run(shown, check=True, capture_output=True, text=True).stdout.splitlines():
        if begun := re.match(r'  create_table "(\w+)"', line):
            table = begun[1]
            tables[table] = {}
        elif column := _COLUMN.match(line):
            tables[table][column["name"]] = column["kind"] + column["options"]
        elif index := _INDEX.match(line):
            tables[table][f"index {index['options']}"] = "index"
        elif key := _KEY.match(line):
            tables.setdefault(key["table"], {})[f"key {key['options']}"] = "key"
    return tables


def risks(older: dict[str, dict[str, str]], newer: dict[str, dict[str, str]]) -> set[tuple[str, str, str]]:
    """Return what stands in the older release's way, as (table, what of it, why)."""
    found = {(table, "", "gone") for table in older.keys() - newer.keys()}
    for table in older.keys() & newer.keys():
        before, after = older[table], newer[table]
        found |= {(table, name, "gone") for name in before.keys() - after.keys()}
        found |= {(table, name, "differs") for name in before.keys() & after.keys() if before[name] != after[name]}
        for name in after.keys() - before.keys():
            required = "null: false" in after[name] and "default:" not in after[name]
            if required or after[name] in ("index", "key"):
                found.add((table, name, "added"))
    return found


def main(repository: str, *releases: str) -> None:
    """Compare each release with the one before it, and print what was missed."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        folders = [
            migrations.take_out(repository, "db/migrate", release, Path(place, str(at)))
            for at, release in enumerate(releases)
        ]
        for (before, after), (older, newer) in zip(pairwise(releases), pairwise(folders), strict=True):
            found = _migrations.between(newer, older)
            risky = [one for migration in found.migrations for one in migration.operations if one.harmless is not True]
            words = " ".join(map(str, risky))
            asked = bool(found.problems) or any(one.op == "unknown" for one in risky)
            for table, name, why in sorted(risks(dumped(repository, before), dumped(repository, after))):
                column = "" if name.startswith(("index ", "key ")) else name
                named = re.search(rf"\b{table}\b", words) and (not column or re.search(rf"\b{column}\b", words))
                kind = "named" if named else "told" if asked else "missed"
                counts[kind] += 1
                if kind == "missed":
                    print(f"{before} → {after} ({found.state}): {table}.{name} {why}")
    print(dict(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
