"""Rules on a real host: on both packet filters and while one is switched for the other, by halves, and of two incidents."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import crowd
import pytest
from machine import containers_conf
from tests.lab.edge import (
    EDGE,
    FAMILIES,
    PORTS,
    WINDOW_S,
    Incident,
    fresh_login,
    let_through,
    normal,
    power,
    strikes,
    traces,
    wait_until_lifted,
)
from tests.lab.play import lab

BACKENDS = ("nft", "legacy")
OTHER = {"nft": "legacy", "legacy": "nft"}
TABLES = {"ipv4": "iptables", "ipv6": "ip6tables"}
PAIRS = [("rate_limit", "rate_limit"), ("quarantine", "quarantine"), ("rate_limit", "quarantine")]
INNOCENTS = range(1, crowd.SOURCES)


@contextmanager
def meaning(backend: str) -> Iterator[None]:
    """Have iptables mean one of its two packet filters."""
    switch(backend)
    try:
        yield
    finally:
        switch("nft")


def switch(backend: str) -> None:
    for name in TABLES.values():
        lab.inside(EDGE, "update-alternatives", "--quiet", "--set", name, f"/usr/sbin/{name}-{backend}")


def everything() -> dict[tuple[str, str], list[str]]:
    """Return the rules of each address family in each packet filter."""
    pairs = [(family, backend) for family in FAMILIES for backend in BACKENDS]
    return {(f, b): normal(lab.inside(EDGE, f"{TABLES[f]}-{b}-save")) for f, b in pairs}


def ours(incident: Incident) -> set[tuple[str, str]]:
    """Return in which families and packet filters there is a chain of an incident."""
    chains = [chain for entry in incident.entries() for chain in entry["undo"]["chains"]]
    return {where for where, lines in everything().items() if any(chain in line for line in lines for chain in chains)}


def through(numbers: list[int] | range, family: str, port: int) -> int:
    return sum(crowd.connect([crowd.source(n, family) for n in numbers], family, port).values())


@pytest.fixture
def second(incident: Incident) -> Iterator[Incident]:
    """Another incident on the same host."""
    other = Incident(incident.hosts, incident.inventory)
    yield other
    other.play("lift")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_limit_holds_back_one_source_and_all_together_and_says_how_many(
    incident: Incident, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with meaning(backend):
        before = everything()
        limited = incident.play("rate_limit", rate_limit_total_per_minute=35)
        assert (limited.code, limited.block(EDGE)["outcome"]) == (0, "done"), limited.said
        assert ours(incident) == {(family, backend) for family in FAMILIES}
        counts, most = {}, {}
        for family in FAMILIES:
            for port in PORTS.values():
                began = time.monotonic()
                attacker = through([0] * 60, family, port)
                of_one = let_through(10, began)
                # He does not use up what is there for all: that is counted behind him.
                innocent = through(INNOCENTS, family, port)
                crush = through([n for n in INNOCENTS for _ in range(5)], family, port)
                counts[family, port] = (attacker, innocent, crush)
                most[family, port] = (of_one, let_through(35, began))
        again = incident.play("rate_limit", rate_limit_total_per_minute=35)
        fresh_login()
        lifted = incident.play("lift")
        told = [row["summary"] for row in again.block(EDGE)["actions"]]
        with capsys.disabled():
            print(f"\n{backend}: attacker of 60, innocents of 20, crush of 100: {counts}\n  {told}")
        for (attacker, innocent, crush), (of_one, of_all) in zip(counts.values(), most.values(), strict=True):
            assert 10 <= attacker <= of_one
            assert innocent == 20
            assert attacker + innocent + crush <= of_all
        assert (again.code, again.block(EDGE)["outcome"]) == (0, "unchanged"), again.said
        for name, port in (("echo-in-container", crowd.OF_CONTAINER), ("echo-on-host", crowd.OF_HOST)):
            apart = sum(60 - counts[family, port][0] for family in FAMILIES)
            together = sum(100 - counts[family, port][2] for family in FAMILIES)
            words = f"{name} is limited already; held back {apart} attempts to connect from 2 sources, and {together}"
            assert any(text.startswith(f"{words} because all sources together were too many") for text in told), told
        removed = [row["summary"] for row in lifted.block(EDGE)["actions"]]
        assert all("removed; it held back " in text for text in removed), removed
        assert everything() == before
    assert through([0] * 30, "ipv4", crowd.OF_HOST) == 30


def test_of_a_whole_64_one_source_is_told(incident: Incident) -> None:
    incident.play("rate_limit")
    crowd.connect(crowd.neighbours("ipv6") * 20, "ipv6", crowd.OF_HOST)
    told = [row["summary"] for row in incident.play("rate_limit").block(EDGE)["actions"]]
    assert any("attempts to connect from 1 source" in text for text in told), told


@pytest.mark.parametrize("playbook", ["rate_limit", "quarantine"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lift_finds_the_rules_where_they_were_put(incident: Incident, backend: str, playbook: str) -> None:
    before = everything()
    with meaning(backend):
        done = incident.play(playbook, incident_only=["echo-on-host"])
        assert done.block(EDGE)["outcome"] == "done", done.said
    switch(OTHER[backend])
    try:
        assert ours(incident) == {(family, backend) for family in FAMILIES}
        assert through([1] * 20, "ipv4", crowd.OF_HOST) < 20
        lifted = incident.play("lift").block(EDGE)
    finally:
        switch("nft")
    assert (lifted["outcome"], ours(incident)) == ("done", set())
    assert all("removed" in row["summary"] for row in lifted["actions"])
    assert everything() == before
    assert through([1] * 20, "ipv4", crowd.OF_HOST) == 20


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_clock_finds_the_rules_where_they_were_put(incident: Incident, backend: str) -> None:
    before = everything()
    with meaning(backend):
        incident.act_alone(confirm_within=WINDOW_S)
        switch(OTHER[backend])
        assert ours(incident)
        wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert everything() == before


def test_put_in_again_after_the_switch_all_of_it_is_lifted(incident: Incident) -> None:
    before = everything()
    incident.play("rate_limit")
    with meaning("legacy"):
        assert incident.play("rate_limit").block(EDGE)["outcome"] == "done"
        assert ours(incident) == {(family, "legacy") for family in FAMILIES}
        assert incident.play("lift").block(EDGE)["outcome"] == "done"
    assert (everything(), incident.states(), traces()) == (before, {"lifted"}, "")


@pytest.mark.parametrize("playbook", ["rate_limit", "quarantine"])
def test_where_the_kernel_refuses_the_second_family_the_first_is_taken_back(incident: Incident, playbook: str) -> None:
    """Somebody's program owns the table of that name: the kernel shows it to others, and lets none of them change it."""
    before = everything()
    with owned("ip6", "mangle"):
        play = incident.play(playbook, incident_only=["echo-on-host"])
        (row,) = play.block(EDGE)["actions"]
        assert (play.code, row["outcome"]) == (2, "failed"), play.said
        assert "ip6tables-restore exited" in row["summary"], row
        assert "nothing of it was left in place" in row["summary"], row
        assert ours(incident) == set()
        assert through([1] * 20, "ipv4", crowd.OF_HOST) == 20
    assert (everything(), incident.states(), traces()) == (before, {"lifted"}, "")


@contextmanager
def owned(family: str, table: str) -> Iterator[None]:
    config = {"CONTAINERS_CONF": str(containers_conf())} if containers_conf().exists() else {}
    lab.inside(EDGE, "sh", "-c", f"nft delete table {family} {table} 2>/dev/null || true")
    owner = subprocess.Popen(
        ["podman", "exec", "--interactive", lab.container(EDGE), "nft", "-i"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **config},
    )
    assert owner.stdin is not None
    owner.stdin.write(f"add table {family} {table} {{ flags owner; }}\n")
    owner.stdin.flush()
    deadline = time.monotonic() + 10
    while "flags owner" not in lab.inside(EDGE, "nft", "list", "tables") + lab.inside(EDGE, "nft", "list", "ruleset"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    try:
        yield
    finally:
        owner.stdin.close()
        owner.wait(10)


def test_without_ip6tables_ipv4_is_limited_and_it_says_so(incident: Incident) -> None:
    with away("ip6tables-save"):
        play = incident.play("rate_limit")
        assert (play.code, play.block(EDGE)["outcome"]) == (0, "done"), play.said
        assert "IPv6 is NOT limited: ip6tables-save is not installed" in play.block(EDGE)["actions"][0]["summary"]
        assert "[WARNING]: IPv6 is NOT limited" in play.said
        assert 10 <= through([0] * 60, "ipv4", crowd.OF_HOST) <= 12
        assert through([0] * 60, "ipv6", crowd.OF_HOST) == 60
        assert incident.play("lift").block(EDGE)["outcome"] == "done"
    assert through([0] * 60, "ipv4", crowd.OF_HOST) == 60


def test_without_ip6tables_nothing_is_quarantined_by_half(incident: Incident) -> None:
    before = everything()
    with away("ip6tables-save"):
        play = incident.play("quarantine", incident_only=["echo-on-host"])
    assert (play.code, play.block(EDGE)["outcome"]) == (2, "refused"), play.said
    assert "IPv6 is NOT cut off: ip6tables-save is not installed. Fix: " in play.block(EDGE)["reason"]
    assert (everything(), incident.entries()) == (before, [])


@contextmanager
def away(program: str) -> Iterator[None]:
    """Have a program of the packet filter's not be there."""
    lab.inside(EDGE, "mv", f"/usr/sbin/{program}", f"/usr/sbin/{program}.away")
    try:
        yield
    finally:
        lab.inside(EDGE, "mv", f"/usr/sbin/{program}.away", f"/usr/sbin/{program}")


@pytest.mark.parametrize("first_out", [0, 1], ids=["the-older", "the-newer"])
@pytest.mark.parametrize("playbooks", PAIRS, ids="-".join)
def test_two_incidents_do_not_touch_each_others_chains(
    incident: Incident, second: Incident, playbooks: tuple[str, str], first_out: int
) -> None:
    before = everything()
    both, states = (incident, second), []
    for one, playbook in zip(both, playbooks, strict=True):
        done = one.play(playbook, incident_only=["echo-on-host"])
        assert done.block(EDGE)["outcome"] == "done", done.said
        states.append(everything())
    out, stays = both[first_out], both[1 - first_out]
    (entry,) = stays.entries()
    (chain,) = entry["undo"]["chains"]
    whole = {where: [line for line in lines if chain in line] for where, lines in everything().items()}
    assert out.play("lift").block(EDGE)["outcome"] == "done"
    assert {where: [line for line in lines if chain in line] for where, lines in everything().items()} == whole
    assert (out.states(), stays.states(), ours(out)) == ({"lifted"}, {"applied"}, set())
    if first_out == 1:
        assert everything() == states[0]
    limit = 12 if playbooks[1 - first_out] == "rate_limit" else 0
    for family in FAMILIES:
        assert through([0] * 30, family, crowd.OF_HOST) <= limit
    again = stays.play(playbooks[1 - first_out], incident_only=["echo-on-host"])
    assert again.block(EDGE)["outcome"] == "unchanged", again.said
    assert stays.play("lift").block(EDGE)["outcome"] == "done"
    assert everything() == before
    for family in FAMILIES:
        assert through([0] * 30, family, crowd.OF_HOST) == 30


def test_where_ipv6_is_off_there_is_nothing_to_do_in_it(incident: Incident) -> None:
    """The last of all: it takes the host's addresses, which come back with its power."""
    lab.inside(EDGE, "sysctl", "--quiet", "--write", "net.ipv6.conf.all.disable_ipv6=1")
    try:
        for playbook in ("rate_limit", "quarantine"):
            play = incident.play(playbook, incident_only=["echo-on-host"])
            (row,) = play.block(EDGE)["actions"]
            assert (play.code, row["outcome"]) == (0, "done"), play.said
            assert "this host has no IPv6" in row["summary"]
            assert {family for family, _backend in ours(incident)} == {"ipv4"}
            assert through([0] * 30, "ipv4", crowd.OF_HOST) <= 12
        assert incident.play("lift").block(EDGE)["outcome"] == "done"
    finally:
        lab.inside(EDGE, "sysctl", "--quiet", "--write", "net.ipv6.conf.all.disable_ipv6=0")
        power(incident, off_until=0)
