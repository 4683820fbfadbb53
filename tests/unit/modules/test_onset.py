"""Which errors are new, since what, and since when it all goes wrong."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _bursts, _service_errors

MIDNIGHT = 1_763_856_000.0  # 2025-11-23
HOUR = 3600.0
Said = tuple[float, str]


def every(seconds: float, said: str, since: float, until: float) -> list[Said]:
    """Say something every so many seconds, `since` and `until` being hours of the day."""
    count = int((until - since) * HOUR / seconds)
    return [(MIDNIGHT + since * HOUR + number * seconds, said) for number in range(count)]


def read(folder: Path, *lines: Said, deployed: float | None = None) -> Any:
    written = "".join(f"{iso(at)} {said}\n" for at, said in sorted(lines))
    (folder / "shop.log").write_text(written)
    service = {"logs": [{"kind": "file", "path": str(folder / "shop.log")}]}
    deployed_at = None if deployed is None else iso(MIDNIGHT + deployed * HOUR)
    return _service_errors.read(service, 1 << 24, deployed_at, time.monotonic() + 60)


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")


def hour(reading: Any) -> float:
    return round((datetime.fromisoformat(reading.onset).timestamp() - MIDNIGHT) / HOUR, 3)


def since(reading: Any) -> dict[str, Any]:
    return {error["template"]: (error["new"], error["new_since"]) for error in reading.errors}


QUIET = every(30, "INFO fine", 0, 3)
USUAL = every(120, "ERROR usual one", 0, 3)
FRESH = every(1, "ERROR fresh one", 2.85, 3)


def test_error_that_came_late_is_new_since_the_onset_where_no_release_is_known(tmp_path: Path) -> None:
    reading = read(tmp_path, *QUIET, *USUAL, *FRESH)
    assert since(reading) == {"fresh one": (True, "onset"), "usual one": (False, None)}
    assert [error["template"] for error in reading.errors] == ["fresh one", "usual one"]
    assert hour(reading) == 2.85
    assert reading.onset_source == f"first 'fresh one' in {tmp_path / 'shop.log'}"


def test_release_goes_before_the_onset_where_the_log_reaches_back_to_it(tmp_path: Path) -> None:
    assert since(read(tmp_path, *QUIET, *USUAL, *FRESH, deployed=2.8))["fresh one"] == (True, "release")
    assert since(read(tmp_path, *QUIET, *USUAL, *FRESH, deployed=2.9))["fresh one"] == (False, None)
    assert since(read(tmp_path, *QUIET, *USUAL, *FRESH, deployed=-1 / 60)) == since(
        read(tmp_path, *QUIET, *USUAL, *FRESH)
    ) | {"usual one": (True, "release"), "fresh one": (True, "release")}


def test_nothing_is_new_since_the_onset_in_a_log_that_has_only_begun(tmp_path: Path) -> None:
    reading = read(tmp_path, *every(1, "ERROR a", 2.95, 3), *every(1, "ERROR b", 2.98, 3))
    assert set(since(reading).values()) == {(None, None)}


def test_earlier_incident_of_the_same_log_makes_no_onset(tmp_path: Path) -> None:
    earlier = every(1, "ERROR fresh one", 0.5, 0.7) + every(1, "ERROR of that time only", 0.5, 0.8)
    reading = read(tmp_path, *QUIET, *earlier, *FRESH)
    assert hour(reading) == 2.85
    assert since(reading)["fresh one"] == (False, None), "it is the second time"
    assert [error["template"] for error in reading.errors] == ["fresh one", "of that time only"]


def test_rare_error_a_while_before_makes_no_onset(tmp_path: Path) -> None:
    rare = every(HOUR, "ERROR now and then", 0.6, 3)
    once = (MIDNIGHT + 2.84 * HOUR, "ERROR only once")
    assert hour(read(tmp_path, *QUIET, *rare, once, *FRESH)) == 2.85


def test_error_that_is_over_makes_no_onset(tmp_path: Path) -> None:
    assert hour(read(tmp_path, *QUIET, *every(1, "ERROR over", 1.5, 1.7), *FRESH)) == 2.85


def test_without_anything_late_the_onset_is_the_first_error(tmp_path: Path) -> None:
    assert hour(read(tmp_path, *QUIET, *USUAL)) == 0
    assert read(tmp_path, *QUIET).onset is None
    assert read(tmp_path, *QUIET).onset_source is None


def test_error_of_two_logs_is_said_to_be_of_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{iso(MIDNIGHT)} ERROR a\n")
    (tmp_path / "b.log").write_text(f"{iso(MIDNIGHT)} ERROR a\n")
    logs = [{"kind": "file", "path": str(tmp_path / name)} for name in ("a.log", "b.log")]
    assert _service_errors.read({"logs": logs}, 1 << 20, None, time.monotonic() + 60).onset_source == "first 'a'"


def bursts(*times: float) -> _bursts.Bursts:
    found = _bursts.Bursts()
    found.add(times)
    return found


def test_bursts_are_the_same_in_whatever_order_their_times_come() -> None:
    times = [at for begun in (0, 5000, 9000, 40_000) for at in range(begun, begun + 1000, 50)]
    mixed = random.Random(1).sample(times, len(times))  # noqa: S311 - no secret
    halves = bursts(*mixed[:30])
    halves.join(bursts(*mixed[30:]))
    for found in (bursts(*times), bursts(*mixed), bursts(*reversed(times)), halves):
        assert (found.first, found.last, found.latest()) == (0, 40_950, (40_000, 20))


@pytest.mark.parametrize(
    ("times", "began"),
    [
        ([0, 1, 2, 700, 701, 702], 700),
        ([0, 1, 2, 500, 501, 502], 0),  # no long silence
        ([0, 1, 2, 700, 701], 0),  # too few
        (range(0, 100_000, 3600), 0),  # once an hour: no silence is unusual
        ([*range(0, 36_000, 3600), *range(90_000, 90_010)], 90_000),
    ],
)
def test_burst_begins_after_a_silence_that_is_unusual(times: Any, began: float) -> None:
    assert bursts(*times).latest()[0] == began


def test_few_bursts_are_kept_however_many_there_were_and_the_longest_silences_stay() -> None:
    times = [at for day in range(50) for at in range(day * 90_000, day * 90_000 + 10)]
    found = bursts(*times, *range(10_000_000, 10_000_010))
    assert 1 < len(found._spans) <= _bursts.KEPT
    assert (found.first, found.last, found.latest()) == (0, 10_000_009, (10_000_000, 10))
