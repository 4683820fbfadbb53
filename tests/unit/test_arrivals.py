"""How far a large bundle has come is seen where it lands: of hosts whose collection is under way, once a second at most."""

from __future__ import annotations

import json
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
    assert seen == [{**told, "told": "120 of 240 MB"}]


def test_what_is_not_under_way_is_not_told(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    arriving(tmp_path, "web1", 1, 2)
    look = watch(tmp_path, seen)
    look.look(set(), {})
    look.look({WEB1}, {WEB1})
    look.look({WEB2}, {})
    watch(tmp_path / "elsewhere", seen).look({WEB1}, {})
    assert seen == []
    watch(tmp_path / "elsewhere", seen, log_collection_dest=str(tmp_path)).look({WEB1}, {})
    assert [row["host"] for row in seen] == ["web1"]


def test_what_is_whole_or_no_note_in_between_is_passed_over(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    part = arriving(tmp_path, "web1", 1, 2)
    note = _resumption.note_of(part)
    for text in ("{", "7", json.dumps({"bytes": None}), "[" * 100_000):
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
    assert len(seen) == 1
