"""What tests need of Debian's packages: installed where it is missing and that can be done, else said."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def find(tool: str) -> str | None:
    """Return where a command is, also one that only root has on its path."""
    return shutil.which(tool, path=SEARCHED)


def lacking(tools: Mapping[str, str]) -> str:
    """Given commands and the packages that bring them, install what is missing; say what is missing then, "" if nothing."""
    missing = [tool for tool in tools if find(tool) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ("-o", "DPkg::Lock::Timeout=300")
        packages = sorted({tools[tool] for tool in missing})
        # For an update nobody waits who finds another at it: then nothing would be found to install.
        with Path(__file__).open() as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            for words in (("update",), ("install", "--yes", "--no-install-recommends", *packages)):
                subprocess.run(["apt-get", *wait, *words], env=env, capture_output=True, check=False)
        missing = [tool for tool in missing if find(tool) is None]
    return f"not installed, and could not be: {', '.join(missing)}" if missing else ""
