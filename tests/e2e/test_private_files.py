"""What a whole incident leaves on the controller: for our eyes only, whatever the umask, and no more than it needs."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from tests.faults.campaign import CountedShop
from tests.shop import ROOT

STRICT = 0o777 if os.geteuid() == 0 else 0o077  # with the former nobody but root could read what they write


def respond(shop: CountedShop, umask: int, *words: str) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "driver")}
    done = subprocess.run(
        shop.command(*words),
        cwd=shop.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        umask=umask,
        check=False,
    )
    return done.returncode


def open_to_others(folder: Path) -> list[str]:
    found = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in found if not path.is_symlink()}
    return [f"{path} {mode:o}" for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)]


def test_all_files_of_an_incident_are_ours_alone(tmp_path: Path) -> None:
    shop = CountedShop(tmp_path)
    state = tmp_path / "state"
    try:
        shop.prepare()
        assert respond(shop, 0o000, "run", "--severity", "high", "--yes", "checkout returns 500") == 10
        assert open_to_others(state) == []
        assert respond(shop, STRICT, "decide", "rollback") == 0
        assert open_to_others(state) == []
    finally:
        shop.stop()
    kept = {path.name for path in (state / "incidents").glob("INC-*/*")}
    assert kept == {"evidence", "report.md", "report.html", "post-mortem.md", "post-mortem.ics"}
    assert {path.name for path in state.iterdir()} == {
        "record.db",
        "incidents",
        "tickets",
        "outbox.lock",
        "tracker.lock",
    }
