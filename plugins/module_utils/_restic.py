"""Backups in a restic repository: encrypted, deduplicated, local or remote."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _durable
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean
from ansible_collections.incidentctl.response.plugins.module_utils._tree import Tree

_TIMEOUT_S = 3600.0
_LOOK_S = 30.0
_SAID_LIMIT = 1000
_IN_FILE = "file:"  # before the path of a file that holds the address
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")
# What its exit codes mean, where what it says does not tell. 10 to 12 are of 0.17 and later; before, it is 1 and a sentence.
_MEANINGS = {1: "", 3: "not all of it could be read: ", 10: "", 11: "", 12: "", 127: "", 130: "it was interrupted: "}
_NO_REPOSITORY, _NONE_YET = 10, "Is there a repository at the following location?"
_LOCKED, _IS_LOCKED = 11, "repository is already locked"
_WRONG_PASSWORD = "wrong password"  # noqa: S105 - of what restic says, not a password


class NoRepositoryError(OSError):
    """There is no repository to back up to: none yet, and it is not for us to initialise one; or one with two keys."""


class Restic:
    """One restic repository. Its password is read by restic itself, from a file: it is in no argument."""

    name = "restic"

    def __init__(self, repository: str, password_file: str, host: str, initialises: bool = True) -> None:
        """Keep where it is; nothing is looked at yet. Whoever sets `keep` has it called while restic writes."""
        self.repository, self.password_file, self.host = repository, password_file, host
        self._initialises = initialises
        self.keep: Callable[[], None] = lambda: None

    @staticmethod
    def usable(password_file: str) -> bool:
        """Say whether this host has restic, and a password for it."""
        return shutil.which("restic") is not None and bool(password_file) and Path(password_file).is_file()

    def store(self, _tree: Tree, stage: Path, label: str) -> str:
        """Back up the copy in `stage`, into a new repository if there is none; return the snapshot's id."""
        # From inside the folder, so that the snapshot holds names, not the path of a temporary copy.
        words = ("backup", "--json", "--host", self.host, "--tag", f"incidentctl,{label}", ".")
        # Asking first whether there is a repository would take as long as backing up a small item does.
        finished = self._write(*words, folder=stage)
        if _is_none_yet(finished):
            self.initialise()
            finished = self._write(*words, folder=stage)
        if not finished.ok:
            raise _failure(finished)
        summary = next((line for line in reversed(finished.said.splitlines()) if '"summary"' in line), "{}")
        snapshot = json.loads(summary).get("snapshot_id")
        if not snapshot:
            raise _failure(finished)
        return str(snapshot)

    def initialise(self) -> bool:
        """Make the repository, unless it is there by now; say whether it was made. Raise OSError if it cannot be used.

        Two that do it at the same moment would leave two keys, of which one opens nothing. On a disk they take turns
        here; for a remote one the controller sees to it (plugins/action/backup.py).
        """
        if not self._initialises:
            raise NoRepositoryError(f"there is no repository at {address(self.repository)} yet")
        with self._turn():
            if not _is_none_yet(self._run("--no-lock", "cat", "config")):
                return False
            before = set(self._local_keys())
            finished = self._run("init")
            if not finished.ok:
                # Cut off between its two writes, as on a full disk, it leaves a key that would never open anything.
                for key in set(self._local_keys()) - before:
                    key.unlink()
                raise _failure(finished)
        keys = self._run("--no-lock", "list", "keys")
        if not keys.ok or len(keys.said.split()) != 1:
            raise NoRepositoryError(
                f"the repository at {address(self.repository)} was initialised twice, at the same moment or after it was cut"
                f" off, so that it may not open: {clean(str(keys), _SAID_LIMIT)}. Fix: it holds nothing yet; remove it,"
                " then run this again"
            )
        return True

    def holds(self, where: str) -> bool:
        """Say whether the snapshot is still there."""
        return self._run("--no-lock", "cat", "snapshot", where).ok

    def why_closed(self) -> str:
        """Return why the password does not open the repository; nothing if it does, or if there is none yet."""
        finished = self._run("--no-lock", "cat", "config", timeout_s=_LOOK_S)
        if finished.ok or _is_none_yet(finished):
            return ""
        return "wrong password" if _WRONG_PASSWORD in finished.said else str(_failure(finished))

    def restore(self, where: str, target: Path) -> None:
        """Restore a snapshot into the new folder `target`. Raise OSError if restic cannot."""
        target.mkdir(mode=0o700)
        finished = self._write("restore", where, "--target", str(target), folder=target)
        if not finished.ok:
            raise _failure(finished)

    def command(self, where: str, target: Path) -> str:
        """Return the command that puts a backup back, in one line."""
        restore = self._words("restore", where, "--target", str(target))
        return f"mkdir -p {shlex.quote(str(target))} && {shlex.join(restore)}"

    def print_command(self, where: str, name: str) -> str:
        """Return the command that prints one file of a backup."""
        return shlex.join(self._words("dump", where, f"/{name}"))

    def _write(self, *words: str, folder: Path) -> _command.Finished:
        """Run what writes, in `folder`. A lock that somebody left who is no more is taken away, no other."""
        try:
            finished = self._run(*words, folder=folder, keep=self.keep)
            if _is_locked(finished) and self._run("unlock").ok:
                finished = self._run(*words, folder=folder, keep=self.keep)
        except OSError as error:
            # What belongs to no snapshot would go on filling that disk. No snapshot is touched by this.
            here = Path(self.repository).is_absolute()
            if here and self._run("unlock").ok and self._run("prune", "--max-unused", "unlimited").ok:
                raise
            raise OSError(f"{error}. What restic had stored until then stays until it is pruned") from error
        return finished

    def _run(
        self,
        *words: str,
        folder: Path | None = None,
        keep: Callable[[], None] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> _command.Finished:
        # What it writes for a moment goes where the copy is, whose room is watched, and is removed with it.
        temporary = [f"TMPDIR={folder.parent}"] if folder else []
        # Without a cache: nothing of it is to stay on the host, and root may have no home.
        argv = ["env", *temporary, *self._words("--no-cache", *words)]
        return _command.run(argv, timeout_s, str(folder) if folder else None, keep=keep)

    def _words(self, *words: str) -> list[str]:
        file = _file_of(self.repository)
        where = ["--repository-file", str(file)] if file else ["-r", self.repository]
        return ["restic", *where, "--password-file", self.password_file, *words]

    def _local_keys(self) -> list[Path]:
        keys, config = Path(self.repository, "keys"), Path(self.repository, "config")
        return list(keys.iterdir()) if keys.is_absolute() and keys.is_dir() and not config.exists() else []

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        folder = Path(self.repository)
        if not folder.is_absolute():
            yield
            return
        _durable.make_folders(folder)
        descriptor = os.open(folder / "initialise.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def address(repository: str) -> str:
    """Return where a repository is, as it may be shown: without the password that its address may hold."""
    file = _file_of(repository)
    try:
        text = file.read_text(encoding="utf-8").strip() if file else repository
    except (OSError, UnicodeError):
        text = repository
    return without_password(text)


def why_not(repository: str) -> str:
    """Return why an address is not to be used; nothing if it is."""
    file = _file_of(repository)
    if file is None:
        return (
            f"its address, {without_password(repository)}, holds a password, which would show in the process list and in"
            " what Ansible says. Fix: write the address into a file on the host that only the backup's user may read,"
            " and name that: incident_backup_repository: file:/etc/incidentctl/repository"
            if _PASSWORD_IN_ADDRESS.search(repository)
            else ""
        )
    if not file.is_absolute():
        return f"{repository} does not name an absolute path after {_IN_FILE}"
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return f"the file with the repository's address cannot be read: {error}"
    if mode & 0o077 and without_password(file.read_text(errors="replace")) != file.read_text(errors="replace"):
        return f"{file} holds a password and others may read it. Fix: chmod 600 {file}"
    return ""


def without_password(text: str) -> str:
    """Return a repository's address, or text with one, without the password that it may hold."""
    return _PASSWORD_IN_ADDRESS.sub(r"\1@", text)


def _file_of(repository: str) -> Path | None:
    return Path(repository[len(_IN_FILE) :]) if repository.startswith(_IN_FILE) else None


def _is_none_yet(finished: _command.Finished) -> bool:
    return finished.code == _NO_REPOSITORY or (not finished.ok and _NONE_YET in finished.said)


def _is_locked(finished: _command.Finished) -> bool:
    return finished.code == _LOCKED or (not finished.ok and _IS_LOCKED in finished.said)


def _failure(finished: _command.Finished) -> OSError:
    said = [line for line in finished.said.splitlines() if '"message_type":"status"' not in line]
    finished = _command.Finished(finished.argv, finished.code, "\n".join(said))
    meaning = "" if finished.code is None else _MEANINGS.get(finished.code, "it ended as it never should: ")
    return OSError(clean(without_password(f"{meaning}{finished}"), _SAID_LIMIT))
