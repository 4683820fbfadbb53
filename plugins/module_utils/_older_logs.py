"""The older parts of a log that lie beside it, as logrotate, log4j and their like name them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import PurePath
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._untrusted_path import open_folder

_COMPRESSED = ("gz", "xz", "bz2", "zst", "lz4", "Z")
_MOST_NAMES = 200_000  # in a folder, that are looked at
_MOST = 50


class Older(NamedTuple):
    """One of them. `written`: when last, in seconds since 1970; `file`: its device and inode, whatever its name becomes."""

    path: str
    written: float
    size: int
    compressed: bool
    file: tuple[int, int]


def find(path: str) -> list[Older]:
    """Return what lies beside the log `path` and is an older part of it, the newest first. Raise OSError.

    x.log.1, x.log.2.gz, x.log-20261128.gz, x.log.2026-11-28, x-20261128.log, x.log.old …
    """
    log = PurePath(path)
    pattern = re.compile(
        rf"(?:{re.escape(log.name)}(?:[.-]\d[\d._T-]*|\.old)"
        + (rf"|{re.escape(log.stem)}[.-]\d[\d._T-]*{re.escape(log.suffix)}" if log.suffix else "")
        + rf")(?:\.({'|'.join(_COMPRESSED)}))?"
    )
    found = []
    with open_folder(str(log.parent)) as folder, os.scandir(folder) as entries:
        for _number, entry in zip(range(_MOST_NAMES), entries):
            match = pattern.fullmatch(entry.name)
            if match is None:
                continue
            status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                at, file = str(log.parent / entry.name), (status.st_dev, status.st_ino)
                found.append(Older(at, status.st_mtime, status.st_size, match.group(1) is not None, file))
    # Two that were written at the same moment are as they are numbered: x.log.2 before x.log.10.
    return sorted(found, key=lambda older: (-older.written, len(older.path), older.path))[:_MOST]
