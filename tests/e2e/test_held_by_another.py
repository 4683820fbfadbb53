"""An incident beside a containment that is somebody else's: it joins it, is not held up by it, and leaves it there."""

from __future__ import annotations

from pathlib import Path

from tests.faults.campaign import RUN, CountedShop


def test_what_a_person_stopped_by_hand_is_no_failure_of_the_incident_and_stays_stopped(tmp_path: Path) -> None:
    shop = CountedShop(tmp_path)
    try:
        shop.prepare()
        assert shop.run("play", "scale_down").returncode == 0
        done = shop.run(*RUN)
        assert done.returncode == 0, done.stderr
        incident = shop.status()
        assert incident["status"] == "closed"
        assert "worker" in incident["affected"]
        assert any("scale_down of adhoc too: it still holds worker" in row["text"] for row in incident["follow_ups"]), (
            incident
        )
        assert shop.acts()["stop worker"] == 1
        assert shop.acts()["start worker"] == 0
    finally:
        shop.stop()
