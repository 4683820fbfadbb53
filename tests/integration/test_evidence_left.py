"""A bundle whose collection was never brought home, on a real host: `close` tells of it, and later `lift` removes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence
from tests import fleet, light_hosts
from tests.fleet import Fleet
from tests.unit.modules.collecting import asked

from incidentctl.record import open_record

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


@pytest.fixture
def bundle() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


def incident_with_a_bundle_left(one: Fleet, bundle: list[Path]) -> str:
    """Declare an incident, and leave on its host what a driver leaves that is killed once all is packed."""
    assert one.run("run", "--severity", "medium", "--service", "lamp", "--no-input", "the lamp burns").returncode == 10
    with open_record(f"sqlite:///{one.folder}/state/record.db") as record:
        incident_id = record.find()
    answer = _evidence.run({**asked(), "incident_id": incident_id, "host_name": "h1"}, check_mode=False)
    bundle.append(Path(answer["bundle"]).parent)
    return incident_id


def test_close_tells_where_evidence_lies_or_may(bundle: list[Path]) -> None:
    with fleet.running(2, {"h2": "refusing"}, 60) as two:
        incident_with_a_bundle_left(two, bundle)
        done = two.run("lift", "-l", "h1")
        assert done.returncode == 0, done.stderr
        assert bundle[0].exists(), "it is young"
        done = two.run("close", "--leave-contained", "h2 is gone")
        assert done.returncode == 0, done.stderr
        told = done.stderr.replace("\n", " ")
        assert f"h1: evidence that was not brought home lies there: {bundle[0]}" in told
        assert "h2: evidence that was not brought home may lie there" not in told, "nothing was begun there"
        report = two.run("report").stdout
        (path,) = (two.folder / "state" / "incidents").glob("*/report.md")
        assert "evidence that was not brought home lies there" in (report + path.read_text()).replace("\\", "")


def test_five_hours_later_a_lift_of_another_incident_removes_it(bundle: list[Path]) -> None:
    with fleet.running(1, {"h1": "clock"}, 60) as one:  # five hours ahead, for the module
        incident_with_a_bundle_left(one, bundle)
        assert bundle[0].exists()
        done = one.run("play", "lift")
        assert done.returncode == 0, done.stderr
        assert f"removed 1 bundle of evidence that nobody brought home: {bundle[0].name}" in done.stderr.replace(
            "\n", " "
        )
        assert not bundle[0].exists()
