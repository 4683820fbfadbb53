"""Files that only we may read: folders 0700, files 0600, whatever the umask (docs/contracts.md, 5)."""

from __future__ import annotations

from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make a folder with every part of it that is missing, 0700 each, and return it."""
    for part in reversed([path, *path.parents]):
        if not part.exists():
            part.mkdir(mode=0o700, exist_ok=True)
    return path


def private_text(path: Path, text: str) -> None:
    """Write a text file with mode 0600; what cannot be encoded is replaced."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8", errors="replace")


def seal(folder: Path) -> None:
    """Make everything below a folder ours alone: Ansible's fetch leaves files as the umask has them."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
