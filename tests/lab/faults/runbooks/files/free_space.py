"""Make room on full file systems: LOGS are the log files, DATA the folders of services, by colons. Prints what it did.

Rotated logs and core dumps go. A log that fills its file system keeps its last lines; where it says the same of one file in the
data again and again, that file is put aside: whoever cannot do anything with it would fill the disk again. Exports and
dumps that nobody has open are put aside.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path

FULL, LARGE, DAY_S, KEPT = 0.9, 0.1, 86400, 200_000
ASIDE = Path("/var/backups/put-aside")
ROTATED = re.compile(r"\.(gz|xz|bz2|zst|old|[0-9]+)$|^core(\.[0-9]+)?$")
EXPORT = re.compile(r"\.(csv|tsv|sql|dump|dmp|tar|tgz|zip|bak|tmp)(\.[a-z0-9]+)?$", re.IGNORECASE)
LOGS = [Path(part) for part in os.environ["LOGS"].split(":") if part]
DATA = [Path(part) for part in os.environ["DATA"].split(":") if part]


def usage(path: Path) -> tuple[float, int]:
    """Which part of the file system is used, and its bytes."""
    disk = os.statvfs(path)
    return 1 - disk.f_bavail / max(disk.f_blocks, 1), disk.f_blocks * disk.f_frsize


def opened() -> set[tuple[int, int]]:
    """What any process has open, as (device, inode)."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            about = link.stat()
        except OSError:
            continue
        found.add((about.st_dev, about.st_ino))
    return found


def put_aside(path: Path) -> None:
    """Move a file to where there is room, with its path."""
    to = ASIDE / str(path).lstrip("/")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, to)
    print(f"{path} is now {to}")


def stuck_on(log: Path) -> Path | None:
    """The file of the data that most of the last lines of a log speak of."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - KEPT))
        lines = stream.read().decode(errors="replace").splitlines()
    said = [line for line in lines if re.search(r"\b(ERROR|CRITICAL|FATAL)\b", line)]
    names = Counter(name for line in said for name in set(re.findall(r"[\w.-]+\.\w+", line)))
    for name, times in names.most_common(5):
        if len(said) >= 100 and times > len(said) / 2:
            for path in (found for folder in DATA for found in folder.rglob(name)):
                return path
    return None


for folder in {*(log.parent for log in LOGS), *DATA}:
    used, size = usage(folder) if folder.is_dir() else (0.0, 0)
    growing = [log for log in LOGS if log.parent == folder and log.exists() and log.stat().st_size > size * LARGE]
    for log in growing:
        if (culprit := stuck_on(log)) is not None:
            put_aside(culprit)
    if used < FULL and not growing:
        continue
    in_use = opened()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        if not path.is_file() or path.is_symlink():
            continue
        if ROTATED.search(path.name):
            path.unlink()
            print(f"{path} is removed")
        elif path in growing:
            with path.open("rb+") as stream:
                stream.seek(-min(KEPT, about.st_size), os.SEEK_END)
                tail = stream.read()
                stream.seek(0)
                stream.write(tail)
                stream.truncate()
            print(f"{path} is cut down to its last {len(tail)} bytes")
        elif (
            EXPORT.search(path.name)
            and about.st_size > size * LARGE
            and (about.st_dev, about.st_ino) not in in_use
            and time.time() - about.st_mtime < DAY_S
        ):
            put_aside(path)
