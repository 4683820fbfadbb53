"""`make demo` as a new user has it: a fresh clone, an empty home, nothing installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.shop import ROOT


def test_a_fresh_clone_with_an_empty_home_plays_the_whole_demo(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    kept = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_")) or name == "LANG"
    }
    without_ours = ":".join(part for part in os.environ["PATH"].split(":") if not part.startswith(str(ROOT)))
    done = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env={**kept, "HOME": str(home), "PATH": without_ours},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("a customer can order again", "the incident is closed", "report: ", "monitor"):
        assert told in done.stdout
    assert "NO " not in done.stdout
    assert not subprocess.run(["pgrep", "-f", str(clone)], capture_output=True, check=False).stdout, (
        "something still runs"
    )
