"""Backups in a restic repository: encrypted, deduplicated, local or remote."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _command
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean
from ansible_collections.incidentctl.response.plugins.module_utils._tree import Tree

_TIMEOUT_S = 3600.0
_LOOK_S = 30.0
_SAID_LIMIT = 1000
# What restic says when there is no repository; since 0.17 its exit code says so, too.
_NO_REPOSITORY, _NONE_YET = 10, "Is there a repository at the following location?"
_WRONG_PASSWORD = "wrong password"  # noqa: S105 - of what restic says, not a password


class Restic:
    """One restic repository. Its password is read by restic itself, from a file: it is in no argument."""

    name = "restic"

    def __init__(self, repository: str, password_file: str, host: str) -> None:
        """Keep where it is; nothing is looked at yet."""
        self.repository, self.password_file, self.host = repository, password_file, host

    @staticmethod
    def usable(password_file: str) -> bool:
        """Say whether this host has restic, and a password for it."""
        return shutil.which("restic") is not None and bool(password_file) and Path(password_file).is_file()

    def store(self, _tree: Tree, stage: Path, label: str) -> str:
        """Back up the copy in `stage`, into a new repository if there is none; return the snapshot's id."""
        # From inside the folder, so that the snapshot holds names, not the path of a temporary copy.
        words = ("backup", "--json", "--host", self.host, "--tag", f"incidentctl,{label}", ".")
        finished = self._run(*words, folder=stage)
        # Asking first whether there is a repository would take as long as backing up a small item does.
        # restic does not initialise one that is there, whatever else was wrong.
        if not finished.ok and self._run("init").ok:
            finished = self._run(*words, folder=stage)
        if not finished.ok:
            raise _failure(finished)
        summary = next((line for line in reversed(finished.said.splitlines()) if '"summary"' in line), "{}")
        snapshot = json.loads(summary).get("snapshot_id")
        if not snapshot:
            raise _failure(finished)
        return str(snapshot)

    def holds(self, where: str) -> bool:
        """Say whether the snapshot is still there."""
        return self._run("--no-lock", "cat", "snapshot", where).ok

    def why_closed(self) -> str:
        """Return why the password does not open the repository; nothing if it does, or if there is none yet."""
        finished = self._run("--no-lock", "cat", "config", timeout_s=_LOOK_S)
        if finished.ok or finished.code == _NO_REPOSITORY or _NONE_YET in finished.said:
            return ""
        return "wrong password" if _WRONG_PASSWORD in finished.said else str(_failure(finished))

    def restore(self, where: str, target: Path) -> None:
        """Restore a snapshot into the new folder `target`. Raise OSError if restic cannot."""
        target.mkdir(mode=0o700)
        finished = self._run("restore", where, "--target", str(target))
        if not finished.ok:
            raise _failure(finished)

    def command(self, where: str, target: Path) -> str:
        """Return the command that puts a backup back, in one line."""
        restore = self._words("restore", where, "--target", str(target))
        return f"mkdir -p {shlex.quote(str(target))} && {without_password(shlex.join(restore))}"

    def print_command(self, where: str, name: str) -> str:
        """Return the command that prints one file of a backup."""
        return without_password(shlex.join(self._words("dump", where, f"/{name}")))

    def _run(self, *words: str, folder: Path | None = None, timeout_s: float = _TIMEOUT_S) -> _command.Finished:
        # Without a cache: nothing of it is to stay on the host, and root may have no home.
        return _command.run(self._words("--no-cache", *words), timeout_s, str(folder) if folder else None)

    def _words(self, *words: str) -> list[str]:
        return ["restic", "-r", self.repository, "--password-file", self.password_file, *words]


def without_password(text: str) -> str:
    """Return a repository's address, or text with one, without the user and password that it may hold."""
    return re.sub(r"://[^/@\s]*@", "://", text)


def _failure(finished: _command.Finished) -> OSError:
    return OSError(clean(str(finished), _SAID_LIMIT))
