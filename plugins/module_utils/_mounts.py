"""Which file systems are mounted, and which should be, by /proc/self/mountinfo and /etc/fstab."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _procfs

FSTAB = Path("/etc/fstab")
# Those that hold files of services, and are this host's own.
_ON_DISK = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs")
_KEPT = (*_ON_DISK, "tmpfs")
_IN_MEMORY = ("/tmp", "/run", "/dev/shm", "/var/tmp", "/var/log", "/srv", "/mnt", "/home", "/opt")  # noqa: S108 - compared only
_ESCAPED = re.compile(r"\\([0-7]{3})")
_AT_MOST = 24


class Mount(NamedTuple):
    """One file system in its place."""

    path: str
    device: str  # major:minor
    kind: str
    read_only: bool
    whole: bool  # not only a folder or file of it


def mounted() -> list[Mount]:
    """Return what is mounted; of several in one place the last, which is the one that is seen."""
    found: dict[str, Mount] = {}
    for line in _procfs.text("self", "mountinfo").splitlines():
        before, _dash, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 6 or len(rest) < 2:
            continue
        options = [*fields[5].split(","), *(rest[2].split(",") if len(rest) > 2 else [])]
        path = _plain(fields[4])
        found[path] = Mount(path, fields[2], rest[0], "ro" in options, fields[3] == "/")
    return list(found.values())


def own() -> list[str]:
    """Return where file systems of this host are that its programs write to, each once."""
    found: dict[str, str] = {}
    for mount in sorted(mounted(), key=lambda mount: len(mount.path)):
        kept = mount.kind in _KEPT and (mount.kind != "tmpfs" or mount.path.startswith(_IN_MEMORY))
        if kept and mount.whole and not mount.read_only:
            found.setdefault(mount.device, mount.path)
    return list(found.values())[:_AT_MOST]


def missing() -> list[str]:
    """Return the places where /etc/fstab wants something mounted at boot, and nothing is."""
    here = {mount.path for mount in mounted()}
    wanted = [fields for fields in _fstab() if "noauto" not in fields[3].split(",") and fields[2] != "swap"]
    return [
        path for fields in wanted if (path := _plain(fields[1]).rstrip("/") or "/") not in here and path.startswith("/")
    ]


def read_only() -> list[str]:
    """Return the places that are mounted read-only, though nobody wrote down that they should be."""
    meant = {_plain(fields[1]).rstrip("/") or "/" for fields in _fstab() if "ro" in fields[3].split(",")}
    written = {_plain(fields[1]).rstrip("/") or "/" for fields in _fstab()}
    return [
        mount.path
        for mount in mounted()
        if mount.read_only
        and mount.path not in meant
        and (mount.path in written or (mount.whole and mount.kind in _ON_DISK))
    ]


def _fstab() -> list[list[str]]:
    try:
        lines = FSTAB.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [fields for line in lines if len(fields := line.split()) >= 4 and not line.lstrip().startswith("#")]


def _plain(escaped: str) -> str:
    """Return a path as it is: blanks in it are written as octal numbers."""
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), escaped)
