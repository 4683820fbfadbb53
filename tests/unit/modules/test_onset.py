"""Which errors are new, since what, and since when it all goes wrong."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _bursts, _own_looks, _service_errors

MIDNIGHT = 1_763_856_000.0  # 2025-11-23
HOUR = 3600.0
Said = tuple[float, str]


def every(seconds: float, said: str, since: float, until: float) -> list[Said]:
    """Say something every so many seconds, `since` and `until` being hours of the day."""
    count = int((until - since) * HOUR / seconds)
    return [(MIDNIGHT + since * HOUR + number * seconds, said) for number in range(count)]


def read(folder: Path, *lines: Said, deployed: float | None = None, well: tuple[float, ...] = ()) -> Any:
    written = "".join(f"{iso(at)} {said}\n" for at, said in sorted(lines))
    (folder / "shop.log").write_text(written)
    service = {"logs": [{"kind": "file", "path": str(folder / "shop.log")}]}
    deployed_at = None if deployed is None else iso(MIDNIGHT + deployed * HOUR)
    seen = [MIDNIGHT + each * HOUR for each in well]
    return _service_errors.read(service, 1 << 24, deployed_at, time.monotonic() + 60, seen)


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


# A release that was bad from 2.80 to 2.83, was rolled back, was seen well at 2.84, and came again at 2.86.
AGAIN = every(5, "ERROR fresh one", 2.801, 2.83) + every(5, "ERROR fresh one", 2.861, 3)


def test_onset_of_what_came_back_lies_after_the_service_was_seen_well(tmp_path: Path) -> None:
    reading = read(tmp_path, *QUIET, *USUAL, *AGAIN, deployed=2.86, well=(2.84,))
    assert hour(reading) == 2.861
    assert reading.onset_source == f"'fresh one' again in {tmp_path / 'shop.log'}"
    assert since(reading) == {"fresh one": (True, "release"), "usual one": (False, None)}
    again = {error["template"]: error["again_since"] for error in reading.errors}
    assert again["usual one"] is None, "it went on while the service was well"
    assert again["fresh one"] == reading.onset
    counts = {error["template"]: (error["count"], error["again_count"]) for error in reading.errors}
    assert counts == {"fresh one": (len(AGAIN), 100), "usual one": (len(USUAL), None)}


def test_nobody_having_seen_it_well_what_came_back_within_minutes_is_one_burst(tmp_path: Path) -> None:
    reading = read(tmp_path, *QUIET, *USUAL, *AGAIN, deployed=2.86)
    assert (hour(reading), since(reading)["fresh one"]) == (2.801, (False, None))


def test_error_that_went_on_while_the_service_was_seen_well_did_not_begin_anew(tmp_path: Path) -> None:
    """Health that does not see an error says nothing of it: then there is no floor for its onset."""
    unseen = every(5, "ERROR fresh one", 2.801, 3)
    reading = read(tmp_path, *QUIET, *USUAL, *unseen, deployed=2.86, well=(2.84, 2.9))
    assert (hour(reading), since(reading)["fresh one"]) == (2.801, (False, None))
    clumps = [(at + number, said) for at, said in every(300, "ERROR of a job", 0, 3) for number in range(20)]
    assert hour(read(tmp_path, *QUIET, *clumps, *FRESH, well=(2.7,))) == 2.85


def test_what_came_back_after_hours_is_new_since_its_release_only_if_it_was_well_between(tmp_path: Path) -> None:
    earlier = every(5, "ERROR fresh one", 0.5, 0.6)
    assert since(read(tmp_path, *QUIET, *earlier, *FRESH, deployed=2.8, well=(1.5,)))["fresh one"] == (True, "release")
    assert since(read(tmp_path, *QUIET, *earlier, *FRESH, deployed=2.8))["fresh one"] == (False, None)
    nightly = [each for begun in (0.2, 1.1, 2.0, 2.9) for each in every(5, "ERROR of a job", begun, begun + 0.05)]
    reading = read(tmp_path, *QUIET, *nightly, deployed=2.8, well=(2.5,))
    assert since(reading)["of a job"] == (False, None), "it is silent for as long between its other times"


def test_third_time_is_told_from_the_second_and_the_first(tmp_path: Path) -> None:
    times = [each for begun in (2.5, 2.56, 2.62) for each in every(5, "ERROR fresh one", begun, begun + 0.02)]
    for well in ((2.54, 2.60), (2.54, 2.6, 2.61)):
        assert hour(read(tmp_path, *QUIET, *times, deployed=2.61, well=well)) == 2.62


def test_error_of_two_logs_is_said_to_be_of_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{iso(MIDNIGHT)} ERROR a\n")
    (tmp_path / "b.log").write_text(f"{iso(MIDNIGHT)} ERROR a\n")
    logs = [{"kind": "file", "path": str(tmp_path / name)} for name in ("a.log", "b.log")]
    assert _service_errors.read({"logs": logs}, 1 << 20, None, time.monotonic() + 60).onset_source == "first 'a'"


def bursts(*times: float, well: tuple[float, ...] = ()) -> _bursts.Bursts:
    found = _bursts.Bursts(well)
    found.add(times)
    return found


def test_bursts_are_the_same_in_whatever_order_their_times_come() -> None:
    times = [at for begun in (0, 5000, 9000, 40_000) for at in range(begun, begun + 1000, 50)]
    mixed = random.Random(1).sample(times, len(times))  # noqa: S311 - no secret
    halves = bursts(*mixed[:30])
    halves.join(bursts(*mixed[30:]))
    for found in (bursts(*times), bursts(*mixed), bursts(*reversed(times)), halves):
        assert (found.first, found.last, found.latest()) == (0, 40_950, (40_000, 20))


def test_bursts_that_a_look_divides_are_the_same_in_whatever_order_their_times_come() -> None:
    well = (1200.5, 6100.5)
    times = [at for begun in (0, 1300, 5000, 6200) for at in range(begun, begun + 1000, 50)]
    mixed = random.Random(2).sample(times, len(times))  # noqa: S311 - no secret
    halves = bursts(*mixed[:30], well=well)
    halves.join(bursts(*mixed[30:], well=well))
    for found in (bursts(*times, well=well), bursts(*mixed, well=well), bursts(*reversed(times), well=well), halves):
        assert [span[:3] for span in found._spans] == [
            [0, 950, 20],
            [1300, 2250, 20],
            [5000, 5950, 20],
            [6200, 7150, 20],
        ]
    found = bursts(*times, well=well)
    assert (found.latest(), found.anew()) == ((6200, 20), 6200)


@pytest.mark.parametrize(
    ("times", "well", "began"),
    [
        ([0, 1, 2, 60, 61], (30,), 60),
        ([0, 1, 2, 60, 61], (), 0),
        ([0, 1, 2, 60, 61], (61.5,), 0),  # not between them
        ([0, 20, 40, 60, 80], (50,), 0),  # it goes on
        ([0, 31, 60, 61], (45,), 0),  # as silent at another time
        ([0, 60], (30,), 60),  # it comes too seldom to say
        ([0, 1, 2, 50_000, 50_001, 50_002, 50_060], (50_030,), 50_060),  # silent for long before that
        ([0, 1, 60, 61, 130, 131], (30, 100), 130),
    ],
)
def test_burst_begins_after_a_silence_in_which_all_was_well(times: Any, well: Any, began: float) -> None:
    found = bursts(*times, well=well)
    assert (found.latest()[0], found.anew()) == (began, began)


def test_few_bursts_are_kept_whatever_divides_them() -> None:
    well = tuple(float(at) for at in range(1000, 9000, 1000))
    found = bursts(*range(0, 1_000_000, 700), well=well)
    assert len(found._spans) <= _bursts.KEPT + len(well)
    assert found.latest()[0] == 0


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


# Twice we looked in the last half hour, and look now: at 2.70, 2.85 and 2.99.
LOOKS = [(MIDNIGHT + begin * HOUR, MIDNIGHT + (begin + 0.005) * HOUR) for begin in (2.70, 2.85, 2.99)]
PROVOKED = [(begin + 3, "ERROR asked for health") for begin, _end in LOOKS]


def asked(folder: Path, *lines: Said) -> Any:
    (folder / "shop.log").write_text("".join(f"{iso(at)} {said}\n" for at, said in sorted(lines)))
    service = {"logs": [{"kind": "file", "path": str(folder / "shop.log")}]}
    reading = _service_errors.read(service, 1 << 24, None, time.monotonic() + 60, (), LOOKS)
    return reading, {error["template"]: error["ours"] for error in reading.errors}


def test_what_came_only_while_we_looked_is_ours_and_makes_no_onset(tmp_path: Path) -> None:
    reading, ours = asked(tmp_path, *QUIET, *PROVOKED)
    assert ours == {"asked for health": True}
    assert (reading.onset, reading.onset_source) == (None, None)


def test_what_users_meet_as_well_is_theirs(tmp_path: Path) -> None:
    """Also if it is the same error as the one that our looks provoke, and once at any other time."""
    once = (MIDNIGHT + 2.8 * HOUR, "ERROR asked for health")
    reading, ours = asked(tmp_path, *QUIET, *PROVOKED, once)
    assert ours == {"asked for health": False}
    assert hour(reading) == round((PROVOKED[0][0] - MIDNIGHT) / HOUR, 3)
    reading, ours = asked(tmp_path, *QUIET, *PROVOKED, *every(1, "ERROR fresh one", 2.9, 3))
    assert (ours["fresh one"], hour(reading)) == (False, 2.9)


@pytest.mark.parametrize(
    "lines",
    [
        [(LOOKS[0][0] + number, "ERROR asked for health") for number in range(5)],  # in one look
        [*PROVOKED, (0.0, "ERROR asked for health")],
    ],
)
def test_of_what_cannot_be_told_for_certain_nothing_is_said(tmp_path: Path, lines: list[Said]) -> None:
    assert asked(tmp_path, *QUIET, *lines)[1] == {"asked for health": False}


def test_looks_that_took_most_of_the_known_time_prove_nothing(tmp_path: Path) -> None:
    """A log that begins with them, and looks on end: when else should it have come?"""
    looks = [(MIDNIGHT, MIDNIGHT + 60), (MIDNIGHT + 70, MIDNIGHT + 130)]
    found = _bursts.Bursts((), looks)
    found.add([MIDNIGHT + 5, MIDNIGHT + 50, MIDNIGHT + 75])
    assert not _own_looks.provoked(found, 3, looks, MIDNIGHT - 1000)
    assert _own_looks.provoked(found, 3, looks, MIDNIGHT - 1100)
    assert not _own_looks.provoked(found, 4, looks, MIDNIGHT - 1100), "one of them tells no time"


def test_looks_that_touch_are_one_and_what_is_no_age_is_left_out() -> None:
    begun = time.time()
    told = [[120, 110], [118, 100], [9], [3, "x"], "no", [-5, 1], [1e9, 5]]
    first, now = _own_looks.known({"looks": told}, begun)
    assert (round(begun - first[0]), round(begun - first[1])) == (135, 100)
    assert now[0] == int(begun)
    (_begin, end), now = _own_looks.known({"looks": [[10, 0]]}, begun)
    assert end == now[0], "which had ended when this one began"


def test_where_errors_came_is_the_same_in_whatever_order_they_are_added() -> None:
    looks = [(10.0, 20.0), (50.0, 60.0)]
    one, other = _bursts.Bursts((), looks), _bursts.Bursts((), looks)
    one.add([12, 55])
    other.add([51])
    one.join(other)
    assert (one.met, one.count) == ({0, 1}, 3)
    other.add([30])
    one.join(other)
    assert one.met is None
