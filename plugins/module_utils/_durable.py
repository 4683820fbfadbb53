"""Write a small file so that it is there after a crash: whole, private, synced."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON, mode 0600, synced to disk. Raise OSError; then the old file stands."""
    draft = path.with_suffix(".draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(value, stream, sort_keys=True, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # a read-only disk refuses even to remove what is not there
            draft.unlink()
        raise
    sync_folder(path.parent)


def make_folders(*folders: Path) -> None:
    """Make folders that are not there yet, outermost first, mode 0700, their names synced to disk."""
    for folder in folders:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk too, not the bytes of its files alone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
