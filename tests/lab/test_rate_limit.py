"""A rate limit on a real host: it holds back the attacker alone, never locks us out, and leaves no trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import crowd
import pytest
from tests.lab.edge import (
    BOOT_S,
    EDGE,
    FAMILIES,
    PORTS,
    WINDOW_S,
    Incident,
    fresh_login,
    let_through,
    power,
    program,
    rules,
    strikes,
    traces,
    wait_until_lifted,
)
from tests.lab.play import INVENTORY, lab

INNOCENTS = range(1, crowd.SOURCES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_the_limit_limits_the_attacker_alone(incident: Incident, family: str, port: int, capsys: Any) -> None:
    attacker = crowd.source(0, family)
    assert crowd.connect([attacker] * 60, family, port) == {attacker: 60}
    with crowd.transfer(family, port) as figures:
        play = incident.play("rate_limit")
        assert (play.code, play.block(EDGE)["outcome"]) == (0, "done"), play.said
        began = time.monotonic()
        through = crowd.connect([attacker] * 60, family, port)[attacker]
        most = let_through(10, began)
        innocent = crowd.connect([crowd.source(n, family) for n in INNOCENTS], family, port)
        fresh_login()
        again = incident.play("rate_limit")
    with capsys.disabled():
        print(
            f"\n{family} port {port}: attacker {through}/60, innocents {sum(innocent.values())}/20, transfer {figures}"
        )
    assert 10 <= through <= most
    assert set(innocent.values()) == {1}
    assert figures[0] == figures[1] > 0
    assert (again.code, again.block(EDGE)["outcome"]) == (0, "unchanged")
    held = {limit["service"]: limit["held_back"][family] for limit in again.block(EDGE)["facts"]["limits"]}
    assert sum(held.values()) == 60 - through
    lifted = incident.play("lift")
    assert lifted.block(EDGE)["outcome"] == "done", lifted.said
    assert crowd.connect([attacker] * 60, family, port) == {attacker: 60}


def test_who_has_a_whole_64_is_one_source(incident: Incident) -> None:
    incident.play("rate_limit")
    began = time.monotonic()
    through = crowd.connect(crowd.neighbours("ipv6") * 20, "ipv6", crowd.OF_HOST)
    assert 10 <= sum(through.values()) <= let_through(10, began)


def test_management_is_never_limited(incident: Incident) -> None:
    incident.play("rate_limit")
    for address in crowd.EDGE.addresses:
        probe = f"for n in $(seq 30); do timeout 1 bash -c '</dev/tcp/{address}/{crowd.OF_HOST}' || exit 1; done"
        assert subprocess.run(["bash", "-c", probe], check=False).returncode == 0
    probe = probe.replace(crowd.EDGE.addresses[1], "127.0.0.1")
    lab.inside(EDGE, "bash", "-c", probe)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_the_rule_that_everybody_writes_holds_nobody_back(incident: Incident, family: str, port: int) -> None:
    """A rule that accepts up to a limit, and nothing that drops beyond it: the attacker gets through, all 60 times."""
    command = {"ipv4": "iptables", "ipv6": "ip6tables"}[family]
    rule = ["INPUT", "-p", "tcp", "--dport", str(port), "-m", "limit", "--limit", "10/minute", "-j", "ACCEPT"]
    attacker = crowd.source(0, family)
    lab.inside(EDGE, command, "-A", *rule)
    try:
        assert crowd.connect([attacker] * 60, family, port)[attacker] == 60
    finally:
        lab.inside(EDGE, command, "-D", *rule)


def test_what_nobody_confirms_is_gone_at_the_deadline(incident: Incident) -> None:
    before = rules()
    block = incident.act_alone(confirm_within=WINDOW_S)
    assert block["facts"]["to_confirm"] == ["echo-in-container", "echo-on-host"]
    assert rules() != before
    wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert {entry["lifted_because"] for entry in incident.entries()} == {"it was not confirmed in time"}
    assert rules() == before
    assert incident.play("lift").block(EDGE)["outcome"] == "unchanged"


def test_a_killed_controller_locks_nobody_out(incident: Incident) -> None:
    before = rules()
    words = ["incidentctl.response.rate_limit", "-i", str(INVENTORY), "-i", str(incident.inventory), "-l", EDGE]
    variables = json.dumps({"incident_id": incident.id, "rate_limit_confirm_within": 5})
    process = subprocess.Popen(
        [program("ansible-playbook"), *words, "-e", variables],
        cwd=lab.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Have the limits confirmed" in line:
            os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert process.wait(10) == -signal.SIGKILL
    wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert rules() == before
    fresh_login()


def test_a_connection_that_was_open_before_does_not_confirm(incident: Incident) -> None:
    """Somebody shuts new logins out. The open one would still answer, and must not count."""
    before = rules()
    incident.play("lift")  # leaves an open connection behind
    shut = ["INPUT", "-p", "tcp", "--dport", "22", "--syn", "-j", "DROP"]
    lab.inside(EDGE, "iptables", "-I", *shut)
    try:
        play = incident.play("rate_limit", "--timeout", "3", rate_limit_confirm_within=6)
        assert play.code == 4, play.said
        wait_until_lifted(incident, strikes(incident, "confirm_by"))
    finally:
        lab.inside(EDGE, "iptables", "-D", *shut)
    assert rules() == before


def test_a_forgotten_limit_ends_by_itself(incident: Incident) -> None:
    before = rules()
    play = incident.play("rate_limit", rate_limit_expires_after=WINDOW_S)
    assert play.block(EDGE)["actions"][0]["summary"].endswith("; confirmed by a fresh login")
    assert rules() != before
    wait_until_lifted(incident, strikes(incident, "expires_at"))
    assert {entry["lifted_because"] for entry in incident.entries()} == {"its time ran out"}
    assert rules() == before


def test_the_clocks_outlive_a_reboot(incident: Incident) -> None:
    """The power fails, and is back when the deadline is over."""
    incident.act_alone(confirm_within=5, expires_after=600)
    power(incident, off_until=strikes(incident, "confirm_by") + 1)
    wait_until_lifted(incident, time.time(), BOOT_S)


def test_a_limit_that_a_reboot_took_counts_as_lifted(incident: Incident) -> None:
    incident.play("rate_limit")
    power(incident, off_until=0)
    assert "incidentctl-" in traces()
    lifted = incident.play("lift").block(EDGE)
    assert {row["outcome"] for row in lifted["actions"]} == {"done"}
    assert all("already gone" in row["summary"] for row in lifted["actions"])


def test_what_others_changed_meanwhile_stays(incident: Incident) -> None:
    incident.play("rate_limit")
    theirs = ["PREROUTING", "-s", "203.0.113.9/32", "-j", "ACCEPT"]
    lab.inside(EDGE, "iptables", "-t", "mangle", "-I", *theirs)
    lab.inside(EDGE, "iptables", "-A", "INPUT", *theirs[1:])
    try:
        assert incident.play("lift").block(EDGE)["outcome"] == "done"
        assert [line for line in rules()["ipv4"] if "203.0.113.9" in line] == [
            "*filter -A INPUT -s 203.0.113.9/32 -j ACCEPT",
            "*mangle -A PREROUTING -s 203.0.113.9/32 -j ACCEPT",
        ]
        assert incident.play("lift").block(EDGE)["outcome"] == "unchanged"
    finally:
        lab.inside(EDGE, "iptables", "-t", "mangle", "-D", *theirs)
        lab.inside(EDGE, "iptables", "-D", "INPUT", *theirs[1:])


def test_when_one_family_fails_the_other_is_taken_back(incident: Incident) -> None:
    before = rules()
    broken = "/usr/local/sbin/ip6tables-restore"  # which sudo finds before the real one
    lab.inside(EDGE, "sh", "-c", f"printf '#!/bin/sh\\necho broken >&2; exit 2\\n' >{broken}; chmod 755 {broken}")
    try:
        play = incident.play("rate_limit")
    finally:
        lab.inside(EDGE, "rm", broken)
    assert play.code == 2, play.said
    assert {row["outcome"] for row in play.block(EDGE)["actions"]} == {"failed"}
    assert (rules(), incident.states(), traces()) == (before, {"lifted"}, "")


def test_the_check_changes_nothing_and_shows_the_rules(incident: Incident) -> None:
    before = rules()
    play = incident.play("rate_limit", "--check", "--diff")
    assert (play.code, play.block(EDGE)["outcome"], play.results[EDGE]["changed"]) == (0, "done", True)
    assert "--hashlimit-above 10/minute" in play.said
    assert (rules(), incident.entries(), traces()) == (before, [], "")
