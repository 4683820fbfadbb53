"""A circuit breaker by egress on a real host: what it cuts fails at once, all else goes on, and it leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import crowd
import pytest
from machine import containers_conf, podman
from tests.lab.edge import EDGE, FAMILIES, WINDOW_S, Incident, fresh_login, rules, strikes, traces, wait_until_lifted
from tests.lab.play import lab

NAME, PORT, OTHER_PORT = "search.lab", 9200, 9201
SEARCH, NEIGHBOUR = crowd.CLIENT.addresses, (crowd.source(1, "ipv4"), crowd.source(1, "ipv6"))
WHO = {"process": (), "container": ("podman", "exec", "--interactive", "echo")}
CATALOGUE = [
    {"name": "shop", "hosts": EDGE, "circuit_breakers": [{"name": "search", "egress": {"host": NAME, "port": PORT}}]}
]

# Connects to each place once; says how that ended, and after how many seconds.
_TRY = """
import json, socket, sys, time
def attempt(address, port):
    began = time.monotonic()
    try:
        with socket.create_connection((address, port), timeout=3) as s:
            s.sendall(b"hello")
            ended = s.recv(5).decode()
    except OSError as error:
        ended = type(error).__name__
    return ended, time.monotonic() - began
print(json.dumps([attempt(*place) for place in json.loads(sys.argv[1])]))
"""
# Holds two connections, one busy and one that waits for an answer; says for each what ended it, or that nothing did.
_HOLD = """
import socket, sys, threading, time
ended = {}
def hold(what, busy):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
    opened.release()
    try:
        while True:
            if busy:
                s.sendall(b"x")
            s.recv(1)
            time.sleep(0.05)
    except OSError as error:
        ended[what] = type(error).__name__
opened = threading.Semaphore(0)
for what in ("busy", "waiting"):
    threading.Thread(target=hold, args=(what, what == "busy"), daemon=True).start()
    opened.acquire()
print("open", flush=True)
sys.stdin.readline()
print(ended.get("busy"), ended.get("waiting"), flush=True)
"""


def places(hosts: tuple[str, str], port: int) -> list[tuple[str, int]]:
    return [(address, port) for address in hosts]


def attempts(who: str, *where: tuple[str, int]) -> list[tuple[str, float]]:
    """Have a process of edge1, or one in a container there, connect to places; return how, and in how many seconds."""
    return [tuple(end) for end in json.loads(lab.inside(EDGE, *WHO[who], "python3", "-c", _TRY, json.dumps(where)))]


def ends(who: str, *where: tuple[str, int]) -> set[str]:
    return {ended for ended, _seconds in attempts(who, *where)}


@contextmanager
def held(who: str, address: str) -> Iterator[list[str]]:
    """Keep a busy and a waiting connection to the search; the list gets what ended each."""
    told: list[str] = []
    config = {"CONTAINERS_CONF": str(containers_conf())} if containers_conf().exists() else {}
    process = subprocess.Popen(
        ["podman", "exec", "--interactive", lab.container(EDGE), *WHO[who], "python3", "-c", _HOLD, address, str(PORT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **config},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        yield told
    finally:
        process.stdin.write("enough\n")
        process.stdin.close()
        told += process.stdout.read().split()
        process.stdout.close()
        process.wait(10)


def connections_of_search() -> int:
    """Return how many connections the search believes to have."""
    words = ["ss", "--no-header", "--tcp", "--numeric", "state", "established", "sport", "=", f":{PORT}"]
    return len(podman("exec", crowd.NAME, *words).splitlines())


@pytest.fixture(scope="module")
def search(edge: Any) -> None:
    """The crowd answers on two ports, at its own addresses and its neighbours'; edge1 knows it by a name."""
    for port in (PORT, OTHER_PORT):
        podman("exec", "--detach", crowd.NAME, "python3", "-c", crowd.ECHO, str(port))
    lab.inside(EDGE, "sh", "-c", "".join(f"echo {address} {NAME} >>/etc/hosts;" for address in SEARCH))
    every = [place for hosts in (SEARCH, NEIGHBOUR) for port in (PORT, OTHER_PORT) for place in places(hosts, port)]
    deadline = time.monotonic() + 20
    while any(ends(who, *every) != {"hello"} for who in WHO):
        assert time.monotonic() < deadline, {who: attempts(who, *every) for who in WHO}
        time.sleep(0.3)


@pytest.mark.parametrize("who", WHO)
def test_what_is_cut_fails_at_once_and_all_else_goes_on(
    incident: Incident, search: None, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, at_first = rules(), connections_of_search()
    with held(who, SEARCH[0]) as old4, held(who, SEARCH[1]) as old6, held(who, f"::ffff:{SEARCH[0]}") as old46:
        assert connections_of_search() == at_first + 6
        play = incident.play("circuit_breaker", incident_services=CATALOGUE)
        assert (play.code, play.block(EDGE)["outcome"]) == (0, "done"), play.said
        cut = attempts(who, *places(SEARCH, PORT))
        others = [*places(SEARCH, OTHER_PORT), *places(NEIGHBOUR, PORT)]
        assert ends(who, *others) == {"hello"}
        # The busy ones it lets go of when it next sends something.
        assert connections_of_search() <= at_first + 3
    (row,) = play.block(EDGE)["actions"]
    with capsys.disabled():
        print(f"\n{who}: {cut}; open ones: {old4} {old6} {old46}; {row['summary']}")
    assert {ended for ended, _seconds in cut} == {"ConnectionRefusedError"}
    assert max(seconds for _ended, seconds in cut) < 1
    assert "None" not in {*old4, *old6, *old46}
    assert row["summary"].endswith("; confirmed by a fresh login")
    fresh_login()
    (entry,) = incident.entries()
    assert entry["egress"] == {"host": NAME, "port": PORT, "addresses": list(SEARCH)}
    again = incident.play("circuit_breaker", incident_services=CATALOGUE)
    assert (again.code, again.block(EDGE)["outcome"]) == (0, "unchanged"), again.said
    held_back = again.block(EDGE)["facts"]["cuts"][0]["held_back"]
    assert all(held_back[family] > 0 for family in FAMILIES)
    lifted = incident.play("lift")
    assert lifted.block(EDGE)["outcome"] == "done", lifted.said
    assert (rules(), traces()) == (before, "")
    assert ends(who, *places(SEARCH, PORT)) == {"hello"}


def test_the_check_changes_nothing_and_shows_the_rules(incident: Incident, search: None) -> None:
    before = rules()
    play = incident.play("circuit_breaker", "--check", "--diff", incident_services=CATALOGUE)
    assert (play.code, play.block(EDGE)["outcome"], play.results[EDGE]["changed"]) == (0, "done", True)
    assert f"-d {SEARCH[0]} -p tcp -m tcp --dport {PORT} -j REJECT --reject-with tcp-reset" in play.said
    assert (rules(), incident.entries(), traces()) == (before, [], "")


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        (f"{lab.IPV4}1", PORT, "where this login comes from"),
        (f"{lab.IPV6}1", 22, "incident_management_cidrs"),
        (crowd.EDGE.addresses[0], 22, "this host itself"),
        (crowd.EDGE.addresses[1], PORT, "this host itself"),
    ],
)
def test_nobody_is_shut_out(incident: Incident, search: None, host: str, port: int, why: str) -> None:
    before = rules()
    wrong = [
        {"name": "shop", "hosts": EDGE, "circuit_breakers": [{"name": "us", "egress": {"host": host, "port": port}}]}
    ]
    play = incident.play("circuit_breaker", incident_services=wrong)
    assert (play.code, play.block(EDGE)["outcome"]) == (2, "refused"), play.said
    assert why in play.block(EDGE)["reason"]
    assert (rules(), incident.entries()) == (before, [])


def test_without_a_confirmation_it_is_taken_back(incident: Incident, search: None) -> None:
    before = rules()
    block = incident.act_alone(capability="circuit_breaker", services=CATALOGUE, confirm_within=WINDOW_S)
    assert block["facts"]["to_confirm"] == ["shop/search"]
    assert rules() != before
    wait_until_lifted(incident, strikes(incident, "confirm_by"))
    assert {entry["lifted_because"] for entry in incident.entries()} == {"it was not confirmed in time"}
    assert rules() == before
