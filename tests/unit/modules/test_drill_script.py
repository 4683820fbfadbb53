"""A script of a drill: run once, or until it holds, and told how it ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _drill_script


def ran(content: str, check_mode: bool = False, **params: Any) -> tuple[dict[str, Any], bool]:
    given = {"content": content, "within_s": 0.0, "timeout_s": 10.0, "only_looks": False, **params}
    answer = _drill_script.run(given, check_mode)
    return answer["incident"], answer["changed"]


def test_it_runs_in_the_root_folder_and_stops_at_the_first_error(tmp_path: Path) -> None:
    block, changed = ran(f"pwd >{tmp_path}/where")
    assert (block["outcome"], changed) == ("done", True)
    assert (tmp_path / "where").read_text() == "/\n"
    block, changed = ran(f"echo so it is >&2; false; touch {tmp_path}/after")
    assert (block["outcome"], changed) == ("failed", False)
    assert block["reason"] == "the script failed, exit code 1: so it is"
    assert not (tmp_path / "after").exists()


def test_a_look_changes_nothing() -> None:
    block, changed = ran("true", only_looks=True)
    assert (block["outcome"], changed) == ("done", False)


def test_it_is_tried_again_until_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_drill_script, "LOOK_S", 0.02)
    script = f"echo x >>{tmp_path}/tries; test $(wc -l <{tmp_path}/tries) -ge 3"
    block, _ = ran(script, within_s=5.0)
    assert (block["outcome"], block["facts"]["tries"]) == ("done", 3)
    block, _ = ran("false", within_s=0.2)
    assert block["outcome"] == "failed"
    assert block["facts"]["tries"] > 1


def test_one_that_hangs_is_ended() -> None:
    began = time.monotonic()
    block, _ = ran("sleep 600", timeout_s=0.2)
    assert block["reason"] == "the script failed, did not end in time"
    assert time.monotonic() - began < 60


def test_in_check_mode_and_if_too_long_it_is_not_run(tmp_path: Path) -> None:
    touch = f"touch {tmp_path}/trace"
    assert ran(touch, check_mode=True)[0]["outcome"] == "skipped"
    assert ran(f"{touch} #{'x' * _drill_script.LONGEST}")[0]["outcome"] == "failed"
    assert list(tmp_path.iterdir()) == []
