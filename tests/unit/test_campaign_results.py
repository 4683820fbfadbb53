"""What a campaign found is kept, also beside another one that began in the same second."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.faults import results_file
from tests.faults.results_file import Results


class Noon(datetime):
    """A clock that has stopped."""

    @classmethod
    def now(cls, *_zone: object) -> datetime:  # type: ignore[override]
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_two_that_begin_together_write_a_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_file, "datetime", Noon)
    with Results("fleet", tmp_path) as one, Results("fleet", tmp_path) as two, Results("fleet", tmp_path) as three:
        for number, results in enumerate((one, two, three), start=1):
            results.say(f"found by number {number}")
    written = {path.name: path.read_text().splitlines()[-1] for path in tmp_path.iterdir()}
    assert written == {
        f"fleet-20260101-120000{tail}.txt": f"found by number {number}"
        for number, tail in enumerate(("", "-2", "-3"), start=1)
    }
