"""One variable of a compose file's `.env`: read it, and change it in one step that leaves the rest as it is."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils import _durable, _regular_file

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # what a registry takes for a tag
_LIMIT = 1 << 20
# NAME=41, NAME="41" # with a note, export NAME=41
_LINE = rb"""(\s*(?:export\s+)?%s\s*=\s*)(["']?)(%s)(\2)(\s+#.*|\s*)"""


class EnvFileError(OSError):
    """The file does not say what it must, or cannot be changed; the message says why, and never what else it holds."""


def beside(compose_file: str) -> Path:
    """Return the `.env` that compose tools read by themselves; where it is a link, what that leads to."""
    return Path(os.path.realpath(Path(compose_file).parent / ".env"))


def read(path: Path, variable: str) -> str:
    """Return the tag that a variable holds. Raise OSError if it is not there once, or holds no tag."""
    _lines, _index, match = _find(path, variable)
    return match.group(3).decode("ascii")


def change(path: Path, variable: str, tag: str) -> None:
    """Give a variable another tag; mode and owner of the file stay. Raise OSError; then the old file stands."""
    draft = _draft(path, variable, tag)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    _durable.sync_folder(path.parent)


def rehearse(path: Path, variable: str, tag: str) -> None:
    """Do all of a change but the last step, and clear it up. Raise OSError, saying what would not work."""
    _draft(path, variable, tag).unlink()


def _draft(path: Path, variable: str, tag: str) -> Path:
    """Write the changed file beside the one that it is to replace, synced, with its mode and owner."""
    if not TAG.fullmatch(tag):
        raise EnvFileError(f"{tag!r} is no tag of an image")
    lines, index, match = _find(path, variable)
    lines[index] = lines[index][: match.start(3)] + tag.encode() + lines[index][match.end(3) :]
    status = path.stat()
    draft = path.with_name(f"{path.name}.incidentctl")
    draft.unlink(missing_ok=True)  # of one that was cut off
    try:
        # Private until it has its owner: it holds whatever else the file holds.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b"".join(lines))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    return draft


def _find(path: Path, variable: str) -> tuple[list[bytes], int, re.Match[bytes]]:
    """Return the lines of the file, with their ends, and which one gives the variable its tag."""
    try:
        with _regular_file.open_regular(path) as stream:
            text = stream.read(_LIMIT + 1)
    except _regular_file.NotRegularError as error:
        raise EnvFileError(f"{path} cannot be read: {error}") from error
    if len(text) > _LIMIT:
        raise EnvFileError(f"{path} is larger than {_LIMIT} bytes")
    lines = text.splitlines(keepends=True)
    sets = re.compile(rb"\s*(?:export\s+)?%s\s*=" % variable.encode())
    found = [index for index, line in enumerate(lines) if sets.match(line)]
    if len(found) != 1:
        raise EnvFileError(f"{path} sets {variable} {len(found)} times, and must once")
    match = re.fullmatch(_LINE % (variable.encode(), TAG.pattern.encode()), lines[found[0]].rstrip(b"\r\n"))
    if not match:
        raise EnvFileError(f"{path}: what {variable} holds is no tag of an image")
    return lines, found[0], match
