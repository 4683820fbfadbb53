"""The files of a folder of migrations: which there are, what they hold. Bounded, and nothing is ever run."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._migration import UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular

MOST_FILES = 20_000
MOST_BYTES = 256 << 20  # of all files of both folders, to compare them
TEXT_BYTES = 1 << 20  # of one file that is to be understood
TIME_S = 30.0
_CHUNK = 1 << 20
# What stands beside migrations and is none: notes for people, and templates of migrations to come.
_BESIDE = re.compile(r"(?:^|/)(?:readme|license)$|\.(?:pyc|md|rst|txt|mako)$", re.IGNORECASE)
_APPLICATION = re.compile(r"[^/]/migrations/[0-9]{4}_\w+\.py$")
_OF_APPLICATIONS = re.compile(r"(?:^|/)(?:migrations|versions)/|\.(?:sql|rb)$")


class Folder(NamedTuple):
    """Where it is; a SHA-256 for each file that may be a migration; and why others could not be read."""

    root: Path
    digests: dict[str, str]
    unread: dict[str, str]

    def text(self, name: str) -> str:
        """Return what a file holds. Raise UnclearError, saying why, if it cannot be read as text."""
        try:
            with open_regular(self.root / name) as stream:
                content = stream.read(TEXT_BYTES + 1)
        except OSError as error:
            raise UnclearError(f"it cannot be read: {error.strerror or error}") from error
        if len(content) > TEXT_BYTES:
            raise UnclearError(f"it is larger than {TEXT_BYTES >> 20} MiB")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnclearError("it is not UTF-8") from error


def read(roots: tuple[Path, Path]) -> tuple[Folder, Folder]:
    """Read two folders of migrations. Raise OSError if one is not there, or they are too large to be compared.

    Where there are Django applications below a folder, only what stands in their `migrations` counts, and SQL and Ruby.
    """
    listed = [_listed(root) for root in roots]
    applications = any(_APPLICATION.search(name) for names, _unread in listed for name in names)
    budget = _Budget(MOST_BYTES, time.monotonic() + TIME_S)
    folders = []
    for root, (names, links) in zip(roots, listed):
        unread = {name: why for name, why in links.items() if _counts(name, applications) or why.endswith("folder")}
        digests = {}
        for name in sorted(filter(lambda one: _counts(one, applications), names)):
            try:
                digests[name] = _digest(root / name, budget)
            except TooMuchError:
                raise
            except OSError as error:
                unread[name] = str(error.strerror or error)
        folders.append(Folder(root, digests, unread))
    return folders[0], folders[1]


class TooMuchError(OSError):
    """There is more than can be compared in an incident; the message says what."""


class _Budget:
    def __init__(self, size: int, until: float) -> None:
        self.size, self.until = size, until

    def spend(self, size: int) -> None:
        self.size -= size
        if self.size < 0:
            raise TooMuchError(f"the folders hold more than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > self.until:
            raise TooMuchError(f"the folders could not be read within {TIME_S:.0f} s")


def _counts(name: str, applications: bool) -> bool:
    return not applications or bool(_OF_APPLICATIONS.search(name))


def _listed(root: Path) -> tuple[list[str], dict[str, str]]:
    if not root.is_dir():
        raise NotADirectoryError(f"there is no {root}")
    names: list[str] = []
    links: dict[str, str] = {}
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                name = str(Path(entry.path).relative_to(root))
                if entry.name.startswith(".") or entry.name == "__pycache__" or _BESIDE.search(name):
                    continue
                if entry.is_symlink():
                    links[name] = "it is a symlink" + (" to a folder" if entry.is_dir() else "")
                elif entry.is_dir():
                    waiting.append(Path(entry.path))
                else:
                    names.append(name)
                if len(names) + len(links) + len(waiting) > MOST_FILES:
                    raise TooMuchError(f"there are more than {MOST_FILES} files in {root}: name a smaller folder")
    return names, links


def _digest(path: Path, budget: _Budget) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            budget.spend(len(chunk))
            digest.update(chunk)
    return digest.hexdigest()
