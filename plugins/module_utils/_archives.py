"""Backups as plain tar.gz files, for a host that has no restic."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _durable
from ansible_collections.incidentctl.response.plugins.module_utils._tree import Tree

# Unlike the default it keeps names that are not UTF-8 in a way that every tar understands.
_FORMAT = tarfile.GNU_FORMAT
_CHUNK = 1 << 20


class Archives:
    """A folder, 0700, of one archive and one manifest a backup, both 0600."""

    name = "tar"

    def __init__(self, repository: Path, host: str) -> None:
        """Archives of `host` lie in a folder of their own, for hosts may share a network disk.

        Whoever sets `keep` has it called before each piece that is written.
        """
        self.folder = repository / "archives" / host
        self.keep: Callable[[], None] = lambda: None

    def store(self, tree: Tree, stage: Path, label: str) -> str:
        """Write the copy in `stage` as a new archive; return its path. Raise OSError; then there is none."""
        _durable.make_folders(self.folder.parent.parent, self.folder.parent, self.folder)
        archive = self.folder / f"{label}.tar.gz"
        draft = archive.with_suffix(".draft")
        for leftover in self.folder.glob("*.draft"):  # of a run that was killed: there is one run at a time
            leftover.unlink()
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with io.BufferedWriter(_Kept(descriptor, self.keep), _CHUNK) as stream:
                # Level 1: in an incident, time is scarcer than room.
                with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1, format=_FORMAT) as tar:
                    for name in sorted(tree.rows):
                        tar.add(stage / name, arcname=name, recursive=False)
                stream.flush()
                os.fsync(stream.fileno())
            _durable.write(self.folder / f"{label}.manifest.json", tree.rows)
            draft.replace(archive)
        except (OSError, tarfile.TarError) as error:
            draft.unlink(missing_ok=True)
            raise OSError(str(error)) from error
        _durable.sync_folder(self.folder)
        return str(archive)

    def holds(self, where: str) -> bool:
        """Say whether the archive is still there."""
        return Path(where).is_file()

    def restore(self, where: str, target: Path) -> None:
        """Unpack an archive into the new folder `target`. Raise OSError if it is damaged."""
        target.mkdir(mode=0o700)
        try:
            with tarfile.open(where, "r:gz") as tar:
                _unpack(tar, target, self.keep)
        except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
            raise OSError(f"{where} is damaged: {error or type(error).__name__}") from error

    def command(self, where: str, target: Path) -> str:
        """Return the command that puts a backup back, in one line."""
        folder = shlex.quote(str(target))
        return f"mkdir -p {folder} && tar -xpzf {shlex.quote(where)} -C {folder}"

    def print_command(self, where: str, name: str) -> str:
        """Return the command that prints one file of a backup."""
        return f"tar -xzOf {shlex.quote(where)} {shlex.quote(name)}"


class _Kept(io.FileIO):
    """A file that asks before each write."""

    def __init__(self, descriptor: int, keep: Callable[[], None]) -> None:
        super().__init__(descriptor, "wb")
        self._keep = keep

    def write(self, data: Any) -> int:
        self._keep()
        return super().write(data)


def _unpack(tar: tarfile.TarFile, target: Path, keep: Callable[[], None]) -> None:
    """Unpack our own archive, which may be damaged: nothing outside `target`, nothing through a link.

    Links and modes come last. tarfile's own filters would refuse links that lead outside, which data has.
    """
    links, modes = [], []
    for member in tar:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise OSError(f"{tar.name} is damaged: it holds the name {member.name!r}")
        place = target / name
        if member.issym():
            links.append((place, member.linkname))
            continue
        if member.isdir():
            place.mkdir(mode=0o700)
        else:
            _unpack_file(tar, member, place, keep)
        modes.append((place, member.mode))
    for place, leads_to in links:
        place.symlink_to(leads_to)
    for place, mode in reversed(modes):
        place.chmod(mode)


def _unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path, keep: Callable[[], None]) -> None:
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise OSError(f"{tar.name} is damaged: {member.name!r} is neither file, folder nor link")
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with content, os.fdopen(descriptor, "wb") as stream:
        for chunk in iter(lambda: content.read(_CHUNK), b""):
            keep()
            stream.write(chunk)
