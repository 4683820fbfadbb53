"""A host that triage did not get the evidence of is asked once more by `resume`, before anything else is done there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests import fleet, light_hosts
from tests.fleet import Fleet

LOG = "/var/log/lamp.log"
STILL = "h4"
RUN = ("run", "--severity", "medium", "--service", "lamp", "--no-input", "the lamp burns")

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


@pytest.fixture
def sick() -> Iterator[Fleet]:
    """h1 is well, h2 lacks a log, h3 and h4 refuse logins; what no light host has is not asked for."""
    with fleet.running(4, {"h3": "refusing", STILL: "refusing"}, 60) as found:
        inventory = found.folder / "inventory.yml"
        said = yaml.safe_load(inventory.read_text())
        said["all"]["vars"]["incident_services"][0]["logs"] = [{"kind": "file", "path": LOG}]
        inventory.write_text(yaml.safe_dump(said))
        for name in found.hosts.names():
            if name != "h2":
                found.hosts.path(name, LOG).write_text("a line\n")
        yield found


def manifest(sick: Fleet) -> dict[str, Any]:
    (path,) = (sick.folder / "state" / "incidents").glob("*/evidence/manifest.json")
    return dict(json.loads(path.read_text())["hosts"])


def states(sick: Fleet) -> dict[str, str]:
    return {host: said["state"] for host, said in manifest(sick).items()}


def test_who_was_away_or_lacked_something_is_asked_again_and_nobody_else(sick: Fleet) -> None:
    assert sick.run(*RUN).returncode == 10
    assert states(sick) == {"h1": "whole", "h2": "partial", "h3": "missing", STILL: "missing"}
    sick.hosts.mend("h3", "refusing")
    sick.hosts.path("h2", LOG).write_text("it is there by now\n")
    done, touched = sick.touched("resume", "--no-input")
    assert done.returncode == 10, done.stderr
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("Evidence collected again")]
    assert "h2 was partial, is whole" in told
    assert "h3 was missing, is whole" in told
    assert f"{STILL} was missing, is missing still (unreachable: refused" in told
    assert touched == {"h2", "h3"}
    assert states(sick) == {"h1": "whole", "h2": "whole", "h3": "whole", STILL: "missing"}
    hosts = manifest(sick)
    assert {host: [bundle.get("again") for bundle in said["bundles"]] for host, said in hosts.items()} == {
        "h1": [None],
        "h2": [None, "partial"],
        "h3": ["missing"],
        STILL: [],
    }
    assert sick.run("evidence", "verify").returncode == 0
    assert not any(sick.acts(name) for name in sick.hosts.names()), "it was collected after something was done"


def test_what_the_host_does_not_have_is_asked_for_once_and_who_is_away_holds_nothing_up(sick: Fleet) -> None:
    assert sick.run(*RUN).returncode == 10
    for name in ("h3", STILL):
        sick.hosts.mend(name, "refusing")
        sick.hosts.break_(name, "silent")  # nothing answers: it takes as long as a login may
    done, touched = sick.touched("resume", "--no-input")
    assert touched == {"h2"}
    assert "h2 was partial, is partial" in done.stderr
    assert sick.seconds()["log_collection"] < sick.deadline_s - 10, "ten seconds for a login, for both at once"
    done, touched = sick.touched("resume", "--no-input")
    assert (done.returncode, touched) == (10, set()), done.stderr
