"""A file that must last is there whole, ours alone, and written through nobody's link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from incidentctl import files


def test_a_file_takes_the_place_of_the_older_one_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "under_way.json"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        files.lasting_text(path, "new")
    finally:
        os.umask(before)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_link_that_somebody_planted_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".ours.new").symlink_to(tmp_path / "theirs")
    files.lasting_text(tmp_path / "ours", "ours")
    assert ((tmp_path / "theirs").read_text(), (tmp_path / "ours").read_text()) == ("theirs", "ours")


def test_the_older_one_stays_where_the_disk_refuses_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "ours"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(OSError, match="Input/output"):
        files.lasting_text(path, "new")
    assert path.read_text() == "old"
