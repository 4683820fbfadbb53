"""Lay the shop out on disk, and switch its release. Python 3.9+, standard library only.

A laid-out ROOT holds releases/NN, current (a symlink to one of them), and what outlives releases:
data/ (the database, the maintenance flag), logs/ and run/ (pid files).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

FIRST_RELEASE = "41"
PRODUCTS = [  # sku, title, price in cents
    ("coffee-1kg", "Coffee, whole beans, 1 kg", 1890),
    ("tea-100g", "Darjeeling, first flush, 100 g", 1250),
    ("mug", "Mug, stoneware", 990),
    ("filter-100", "Paper filters, 100", 390),
]


def lay_out(root: Path) -> None:
    """Install all releases under `root`, seed the database, make the first release current.

    Raise FileExistsError if a shop is laid out there already: its orders are not ours to lose.
    """
    for folder in ("releases", "data", "logs", "run"):
        (root / folder).mkdir(parents=True)
    for source in sorted((Path(__file__).parent / "releases").iterdir()):
        target = root / "releases" / source.name
        shutil.copytree(source, target)
        os.utime(target)  # a release is as old as its installation, not as its source
    switch(root, FIRST_RELEASE)
    _seed(root)


def switch(root: Path, release: str) -> None:
    """Make `release` current, in one step: at no moment is `current` missing."""
    if not (root / "releases" / release / "app.py").is_file():
        raise FileNotFoundError(f"release {release} is not installed under {root}")
    draft = root / "current.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("releases") / release)
    draft.replace(root / "current")


def _seed(root: Path) -> None:
    with closing(sqlite3.connect(root / "data" / "shop.db")) as database, database:
        for migration in sorted((root / "current" / "migrations").glob("*.sql")):
            database.executescript(migration.read_text(encoding="utf-8"))
        database.executemany("INSERT INTO products (sku, title, price) VALUES (?, ?, ?)", PRODUCTS)


def main() -> None:
    """Read the words of the command and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in (verbs.add_parser("lay-out"), verbs.add_parser("switch")):
        verb.add_argument("--root", type=Path, required=True)
    verbs.choices["switch"].add_argument("release")
    options = parser.parse_args()
    try:
        if options.verb == "switch":
            switch(options.root, options.release)
        else:
            lay_out(options.root)
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
