"""How far a large bundle has come is seen where it lands: of hosts whose collection is under way, once a second at most."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.plugin_utils import _resumption

from incidentctl import arrivals
from incidentctl.arrivals import Watch
from incidentctl.outcome import Step

WEB1, WEB2 = ("web1", "log_collection"), ("web2", "log_collection")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(arrivals, "_PAUSE_S", 0.0)
    return []


def watch(folder: Path, seen: list[dict[str, Any]], **more: Any) -> Watch:
    variables = {"incident_evidence_dir": str(folder), **more}
    step = Step("triage", ("health_check", "log_collection"), ("web1", "web2"), variables, deadline_s=60)

    def show(kind: str, **facts: Any) -> None:
        seen.append({"kind": kind, **facts})

    return Watch(step, show)


def arriving(folder: Path, host: str, came: int, size: int) -> Path:
    part = _resumption.part_of(folder / host / "evidence-1.tar.gz")
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as stream:
        stream.truncate(came)
    _resumption.write_note(part, "wish", {"bundle": "x", "incident": {"files": [{"bytes": size}]}})
    return part


def test_what_grows_is_told_in_megabytes(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    arriving(tmp_path, "web1", 120_400_000, 240_000_000)
    watch(tmp_path, seen).look({WEB1, WEB2}, {})
    told = {"kind": "cell", "host": "web1", "capability": "log_collection", "outcome": "running"}
    assert seen[0] == {**told, "told": "120 of 240 MB"}


def collecting(folder: Path, host: str, seconds_ago: float, monkeypatch: pytest.MonkeyPatch) -> Path:
    part = _resumption.part_of(folder / host / "evidence-1.tar.gz")
    part.parent.mkdir(parents=True, exist_ok=True)
    now = time.time()
    with monkeypatch.context() as before:
        before.setattr("time.time", lambda: now - seconds_ago)
        _resumption.write_collecting(part, 60, 52_428_800)
    return part


def test_a_host_that_collects_is_told_with_for_how_long_and_what_it_may_take(
    tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = collecting(tmp_path, "web1", 12.0, monkeypatch)
    look = watch(tmp_path, seen)
    look.look({WEB1}, {})
    assert [row["told"] for row in seen] == ["collects: 12 of 60 s, 52 MB at most", "1 collect: 12 of 60 s"]
    _resumption.remove(part)  # it has answered, and the transfer is too small to be told
    look.look({WEB1}, {})
    assert [row["told"] for row in seen[2:]] == ["is brought home", ""]
    look.look({WEB1}, {WEB1})
    assert [row["told"] for row in seen[4:]] == [""]


def test_all_of_them_are_told_in_one_sum(
    tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    collecting(tmp_path, "web1", 12.0, monkeypatch)
    collecting(tmp_path, "web2", 34.0, monkeypatch)
    look = watch(tmp_path, seen)
    look.look({WEB1, WEB2}, {})
    arriving(tmp_path, "web1", 20_000_000, 80_000_000)
    look.look({WEB1, WEB2}, {})
    arriving(tmp_path, "web2", 100_000_000, 160_000_000)
    look.look({WEB1, WEB2}, {})
    told = [row["told"] for row in seen if row["kind"] == "sum"]
    assert told == ["2 collect: 34 of 60 s", "1 collect: 34 of 60 s, 20 of 80 MB", "120 of 240 MB"]


def test_what_is_not_under_way_is_not_told(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    arriving(tmp_path, "web1", 1, 2)
    look = watch(tmp_path, seen)
    look.look(set(), {})
    look.look({WEB1}, {WEB1})
    look.look({WEB2}, {})
    watch(tmp_path / "elsewhere", seen).look({WEB1}, {})
    assert seen == []
    watch(tmp_path / "elsewhere", seen, log_collection_dest=str(tmp_path)).look({WEB1}, {})
    assert [row.get("host") for row in seen] == ["web1", None]


def test_what_is_whole_or_no_note_in_between_is_passed_over(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    part = arriving(tmp_path, "web1", 1, 2)
    note = _resumption.note_of(part)
    for text in (
        "{",
        "7",
        json.dumps({"bytes": None}),
        '{"collecting": 7}',
        '{"collecting": {"since": "x"}}',
        "[" * 100_000,
    ):
        note.write_text(text)
        watch(tmp_path, seen).look({WEB1}, {})
    part.unlink()
    note.write_text('{"bytes": 2}')
    watch(tmp_path, seen).look({WEB1}, {})
    assert seen == []


def test_it_looks_once_in_a_while(tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_PAUSE_S", 60.0)
    arriving(tmp_path, "web1", 1, 2)
    look = watch(tmp_path, seen)
    look.look({WEB1}, {})
    look.look({WEB1}, {})
    assert [row["kind"] for row in seen] == ["cell", "sum"]
