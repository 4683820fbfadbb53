"""Twenty real hosts, four of them sick, each in its own way: one outcome each, the same wherever it is told, in time."""

from __future__ import annotations

import re
import time

import pytest
from tests import fleet, light_hosts
from tests.fleet import Fleet

FAULTS = {"h17": "refusing", "h18": "silent", "h19": "hangs", "h20": "no privilege"}
# Twenty hosts are done within 6 s on a quiet machine of two cores; one that is slow, or does other things too, has time as well.
DEADLINE_S = 60
AFTER_S = 10

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


def on_screen(shown: str, phase: str) -> dict[str, str]:
    """Return the hosts with a line of their own in the last matrix of a phase, and `N more`, with what is told of each."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")
    matrix = re.findall(rf"^{phase} +\d[\d.]* s *\nhost .*\n((?:h\d+ .*\n)*\d+ more .*\n)", plain, re.MULTILINE)[-1]
    return {" ".join(line.split()[: 2 if " more" in line else 1]): line for line in matrix.splitlines()}


def go_through(sick: Fleet) -> None:
    """Contain an incident on a fleet with faults, mend it, go on where that is needed, and lift."""
    code, shown = sick.in_terminal("run", "--severity", "medium", "--service", "lamp", "--yes", "the lamp burns")
    assert code == 10, shown  # it waits for a decision
    assert "Traceback" not in shown
    assert all(seconds < sick.deadline_s + AFTER_S for seconds in sick.seconds().values()), sick.seconds()
    assert sick.left_running() == []

    told = sick.recorded("contain")
    assert set(told) == {(name, "isolation") for name in sick.hosts.names()}
    for name in sick.hosts.names():
        outcome, why = fleet.EXPECTED[sick.faults.get(name, "")]
        assert told[name, "isolation"][0] == outcome, (name, told[name, "isolation"])
        assert why in told[name, "isolation"][1], name
    well = [name for name in sick.hosts.names() if told[name, "isolation"][0] == "done"]
    needed = set(sick.hosts.names()) - set(well)
    assert [sick.acts(name) for name in well] == [1] * len(well)
    assert not any(sick.lit(name) for name in well)

    assert sick.as_json("contain") == told
    assert sick.reported("contain") == {pair: outcome for pair, (outcome, _) in told.items()}
    matrix = on_screen(shown, "contain")
    assert set(matrix) == {*needed, f"{len(well)} more"}
    assert all(told[name, "isolation"][0] in matrix[name] for name in needed)
    assert matrix[f"{len(well)} more"].split()[2:] == [f"✓{len(well)}"]

    sick.mend()
    incident = re.findall(r"INC-\w+-\w+-\w+", shown)[0]
    done, touched = sick.touched("play", "isolation", "--retry", "--incident", incident)
    assert done.returncode == 0, done.stderr
    assert touched == needed
    assert [sick.acts(name) for name in well] == [1] * len(well)
    assert not any(sick.lit(name) for name in sick.hosts.names())
    assert {outcome for outcome, _ in sick.recorded("contain").values()} <= {"done", "unchanged"}

    assert sick.contained() == set(sick.hosts.names())

    done, touched = sick.touched("play", "isolation", "--retry", "--incident", incident)
    assert (done.returncode, touched) == (0, set())
    assert "Nothing was done" in done.stderr

    away = next(name for name, fault in sick.faults.items() if fault == "refusing")
    sick.hosts.break_(away, "refusing")
    done, touched = sick.touched("lift", incident)
    assert done.returncode == 11, done.stderr
    assert touched == set(sick.hosts.names()) - {away}
    assert [name for name in sick.hosts.names() if not sick.lit(name)] == [away]
    sick.hosts.mend(away, "refusing")
    done, touched = sick.touched("lift", incident)
    assert (done.returncode, touched) == (0, {away}), done.stderr
    assert sick.lit(away)


def test_an_incident_on_a_fleet_with_sick_hosts() -> None:
    with fleet.running(20, FAULTS, DEADLINE_S) as sick:
        go_through(sick)


def test_a_play_by_hand_is_done_again_where_it_went_wrong() -> None:
    with fleet.running(4, {"h3": "refusing", "h4": "no privilege"}, DEADLINE_S) as few:
        # Too long for the address of a socket: no obstacle, each command then has a connection of its own.
        home = few.folder / ("x" * 90)
        home.mkdir()
        few.settings["HOME"] = str(home)
        done, _ = few.touched("play", "isolation", "--service", "lamp")
        assert done.returncode == 11, done.stderr
        assert "h3: unreachable: refused" in done.stderr
        assert "h4: failed: no privilege: Missing sudo password" in done.stderr
        assert "incidentctl play isolation --retry" in done.stderr
        few.mend()
        done, touched = few.touched("play", "isolation", "--retry", "-l", "h4")
        assert (done.returncode, touched) == (0, {"h4"}), done.stderr
        done, touched = few.touched("play", "isolation", "--retry")
        assert (done.returncode, touched) == (0, {"h3"}), done.stderr
        assert [few.acts(name) for name in few.hosts.names()] == [1, 1, 1, 1]
        done, touched = few.touched("play", "isolation", "--retry")
        assert (done.returncode, touched) == (0, set())
        assert "Nothing was done" in done.stderr


def test_a_host_that_vanishes_is_given_up_whatever_ssh_args_the_user_has() -> None:
    with fleet.running(2, {"h2": "silent"}, 300) as few:
        few.settings["ANSIBLE_SSH_ARGS"] = "-C -o ControlMaster=auto -o ControlPersist=60s"
        began = time.monotonic()
        done = few.run("play", "isolation", "--service", "lamp")
        assert done.returncode == 11, done.stderr
        assert time.monotonic() - began < 120  # keep-alives take 20 s of it
        assert "in the middle; what was begun may go on there" in done.stderr
        assert few.left_running() == []


def test_hosts_that_wait_to_be_confirmed_do_not_wait_for_a_slow_one() -> None:
    with fleet.running(3, {"h3": "slow"}, 300) as few:
        done = few.run("play", "rate_limit", "--service", "lamp")
        assert done.returncode == 0, done.stderr
        time.sleep(fleet.SLOW_S / 2)  # what is not confirmed is undone by then
        rules = {name: few.hosts.inside(name, "iptables-save") for name in few.hosts.names()}
        assert all("hashlimit" in text for text in rules.values()), done.stderr
