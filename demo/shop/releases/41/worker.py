"""The recommendations worker: looks for the best seller now and then. The shop sells without it."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

PAUSE_S = 2.0
BEST_SELLER = "SELECT sku, sum(quantity) AS sold FROM orders GROUP BY sku ORDER BY sold DESC, sku LIMIT 1"


def best_seller(database: Path) -> str:
    """Return one line on what sells best."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        row = connection.execute(BEST_SELLER).fetchone()
    return f"best seller is {row[0]}, {row[1]} sold" if row else "nothing sold yet"


def main() -> None:
    """Write a heartbeat line to stderr every few seconds, until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--pid-file", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options.pid_file.write_text(str(os.getpid()), encoding="utf-8")
    while True:
        try:
            level, said = "INFO", f"heartbeat: {best_seller(options.root.resolve() / 'data' / 'shop.db')}"
        except sqlite3.Error as error:
            level, said = "WARNING", f"heartbeat: no recommendations: {error}"
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        print(f"{now}Z {level} {said}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
