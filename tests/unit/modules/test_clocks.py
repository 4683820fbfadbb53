"""Clocks that are put away leave nothing, not even what somebody left who was killed while setting them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _clocks


@pytest.mark.parametrize("timer", ["detached", "systemd"])
def test_the_drafts_of_one_that_was_killed_are_removed_and_those_of_another_chain_stay(
    tmp_path: Path, timer: str
) -> None:
    folder, units = tmp_path / "clocks", tmp_path / "units"
    folder.mkdir()
    units.mkdir()
    clock = {"timer": timer, "script": str(folder / "chain.py"), "units": str(units), "since": 0.0}
    for name in (".chain.py.draft", ".chain-confirm.draft", ".chain-expire.draft"):
        (folder / name).write_text("")
    for name in (".chain-confirm.timer.draft", ".chain-expire.service.draft", ".chain-sweep.service.draft"):
        (units / name).write_text("")
    other = folder / ".other.py.draft"
    other.write_text("")
    _clocks.disarm(clock)
    assert list(folder.iterdir()) == [other]
    assert len(list(units.iterdir())) == (0 if timer == "systemd" else 3)
    other.unlink()
    _clocks.disarm(clock)
    assert not folder.exists()
