"""The folder that a hotfix is built from: what lies in it, what of that is new, and which commit it is.

Whoever reviews the hotfix is shown this, and what is built is held against it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _ignore_file
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

FILES = 20_000
BYTES = 1 << 30
WITHIN_S = 60.0
SHOWN = 10  # names of changed files in the facts
_NAME_CHARS = 120
_CHUNK = 1 << 20
_GIT_S = 10.0
_NARROWER = "Fix: let a .containerignore name what the image does not need"


class ContextError(OSError):
    """What would be built cannot be looked at; the message says why."""


class Context(NamedTuple):
    """What lies there: a SHA-256 over all that the image is made of, and one for each file; `newest` is its last change."""

    digest: str
    files: dict[str, str]
    changed_at: dict[str, float]  # by name, seconds since 1970
    bytes: int
    file: Path  # the Containerfile

    @property
    def build_file(self) -> str:
        """Return the text of the Containerfile."""
        return _read(self.file).decode("utf-8", "replace")


def look(build: dict[str, Any], engine: str) -> Context:
    """Read what an engine builds an image from, given `releases.build`. Raise OSError if it cannot be read, or is too much.

    Of a file's mode only counts, as for git, whether it may be executed; `.git` and what the ignore file names do not count.
    """
    root = Path(build["context"])
    if not root.is_dir():
        raise ContextError(f"the context {root} is no folder on this host")
    file = build_file(build)
    until = time.monotonic() + WITHIN_S
    files: dict[str, str] = {}
    changed_at: dict[str, float] = {}
    size = 0
    for name, path, status in _walk(root, _ignore_file.of(root, file, engine)):
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if len(files) >= FILES or size > BYTES:
            raise ContextError(f"the context {root} has more than {FILES} files or {BYTES >> 20} MB. {_NARROWER}")
        if time.monotonic() > until:
            raise ContextError(f"the context {root} could not be read in {WITHIN_S:.0f} s. {_NARROWER}")
        files[name] = _content(path, status)
        changed_at[name] = max(status.st_mtime, status.st_ctime)
    given = {key: build[key] for key in ("args", "target") if key in build}
    whole = json.dumps([sorted(files.items()), hashlib.sha256(_read(file)).hexdigest(), given], sort_keys=True)
    return Context(hashlib.sha256(whole.encode()).hexdigest(), files, changed_at, size, file)


def build_file(build: dict[str, Any]) -> Path:
    """Return the path of the Containerfile. Raise ContextError if there is none."""
    root = Path(build["context"])
    names = [build["file"]] if "file" in build else ["Containerfile", "Dockerfile"]
    for path in (root / name for name in names):
        if path.is_file():
            return path
    raise ContextError(f"{root} has no {' and no '.join(names)}")


def changes(
    seen: Context, built: dict[str, Any] | None, made_at: datetime | None, current: str
) -> dict[str, Any] | None:
    """Return {count, names, since}: which files are other ones than in the last build that this host knows.

    Where it knows none: those that changed after the current image was made. None where that is not known either.
    """
    if built is not None:
        before = built["files"]
        names = [name for name in {**before, **seen.files} if before.get(name) != seen.files.get(name)]
        since = f"{built['release']} was built"
    elif made_at is not None:
        names = [name for name, at in seen.changed_at.items() if at > made_at.timestamp()]
        since = f"{current} was made, by the files' times"
    else:
        return None
    shown = [clean(name, _NAME_CHARS) for name in sorted(names)[:SHOWN]]
    return {"count": len(names), "names": shown, "since": since}


def revision(folder: Path) -> dict[str, Any] | None:
    """Return {commit, subject, uncommitted} of a git checkout; None where it is none, or git is not there to tell.

    git runs as the owner of the folder: what a checkout's own configuration names is executed by it.
    """
    git = shutil.which("git")
    if git is None:
        return None
    owner = folder.stat()
    environment = ["env", "-i", f"PATH={os.environ.get('PATH', os.defpath)}", "HOME=/", "LC_ALL=C"]
    drop = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--"]
    words = [*environment, *(drop if os.geteuid() == 0 else []), git, "--no-optional-locks", "-C", str(folder)]
    told = _command.run([*words, "log", "-1", "--format=%H%n%s", "HEAD"], _GIT_S)
    if not told.ok or not told.said:
        return None
    commit, _newline, subject = told.said.partition("\n")
    status = _command.run([*words, "status", "--porcelain", "--", "."], _GIT_S)
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        return None
    changed = len(status.said.splitlines()) if status.ok else None
    return {"commit": commit, "subject": clean(subject, _NAME_CHARS), "uncommitted": changed}


def _walk(root: Path, ignored: _ignore_file.Ignored) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Give name, path and status of each file and link that a build would see, folder by folder."""
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                path = Path(entry.path)
                name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
                folder = entry.is_dir(follow_symlinks=False)
                if name == ".git" or ignored(name, folder):
                    continue
                if folder:
                    waiting.append(path)
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                    yield name, path, status


def _content(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return f"link {hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()}"  # noqa: PTH115 - as the link says it
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        left = BYTES  # a file that grows as fast as it is read has no end
        while left > 0 and (chunk := stream.read(_CHUNK)):
            digest.update(chunk)
            left -= len(chunk)
    return f"{'program' if status.st_mode & stat.S_IXUSR else 'file'} {digest.hexdigest()}"


def _read(path: Path) -> bytes:
    with open_regular(Path(os.path.realpath(path))) as stream:
        return stream.read(_CHUNK)
