"""A circuit breaker by egress: its lines are what they should be, it cuts nobody off who must not be, and goes again."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _egress,
    _http_toggle,
    _ledger,
    _lift,
    _rule_removal,
    _ssh_session,
    _traffic_rule,
)
from tests.unit.modules.packet_filter import LOGIN, row, table, wait_until_gone

SEARCH, SEARCH6 = "198.18.0.9", "2001:db8::9"
ASKED = {"incident_id": "INC-1", "capability": "circuit_breaker"}
UNDO = _chain.undo(_egress.KIND, ASKED, "shop/search", ["ipv4", "ipv6"])
CUT = {"host": "search", "port": 9200, "addresses": [SEARCH, SEARCH6]}


def breaker(host: str, port: int = 9200, name: str = "search") -> dict[str, Any]:
    return {"name": name, "egress": {"host": host, "port": port}}


def asked(tmp_path: Path, *breakers: dict[str, Any]) -> dict[str, Any]:
    return {
        **ASKED,
        "state": "limited",
        "services": [{"name": "shop", "hosts": "h1", "circuit_breakers": list(breakers)}],
        "only": [],
        "host_name": "h1",
        "host_groups": [],
        "state_dir": str(tmp_path / "state"),
        "per_minute": 10,
        "burst": 10,
        "total_per_minute": 0,
        "expires_after": 600,
        "confirm_within": 0,
        "management_cidrs": ["203.0.113.0/24", "2001:db8:1::/48"],
        "exempt_cidrs": [],
        "acted": [],
    }


@pytest.fixture(autouse=True)
def sockets(tools: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose `ss` ends one connection of two; return what it was called with."""
    calls = tools / "calls"
    found = '[ "$1" = --net ] && shift; case "$*" in *--kill*) echo one;; *) echo two;; esac'
    (tools / "ss").write_text(f'#!/bin/sh\necho "$@" >>{calls}\n{found}\n')
    (tools / "nsenter").write_text("#!/bin/sh\nexit 1\n")
    for name in ("ss", "nsenter"):
        (tools / name).chmod(0o755)
    return calls


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def look_up(_name: str, _port: int, **_how: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_each_family_resets_its_own_addresses_and_spares_loopback_and_resets() -> None:
    (chain,) = UNDO["chains"]
    spared = [f"-A {chain} -o lo -j RETURN", f"-A {chain} -p tcp -m tcp --tcp-flags RST RST -j RETURN"]
    reset = "-p tcp -m tcp --dport 9200 -j REJECT --reject-with tcp-reset"
    assert _egress.rules(chain, "ipv4", CUT) == [*spared, f"-A {chain} -d {SEARCH} {reset}"]
    assert _egress.rules(chain, "ipv6", CUT) == [*spared, f"-A {chain} -d {SEARCH6} {reset}"]


def test_both_ways_out_lead_into_the_chain_before_all_other_rules() -> None:
    mark = f"incidentctl:INC-1:circuit_breaker:shop/search:{_chain.fingerprint(_egress.KIND, CUT)}"
    target = f'-p tcp -m comment --comment "{mark}" -j {UNDO["chains"][0]}'
    assert _chain.jumps(_egress.KIND, UNDO, CUT) == [f"-I OUTPUT 1 {target}", f"-I FORWARD 1 {target}"]


def test_a_way_out_that_is_open_again_is_not_in_place() -> None:
    lines = [f"-A {line[3:].replace(' 1 ', ' ', 1)}" for line in _chain.jumps(_egress.KIND, UNDO, CUT)]
    lines += _egress.rules(UNDO["chains"][0], "ipv4", CUT)
    assert _chain.in_place(_egress.KIND, UNDO, "ipv4", CUT, lines)
    assert not _chain.in_place(_egress.KIND, UNDO, "ipv4", CUT, lines[1:])
    assert not _chain.in_place(_egress.KIND, UNDO, "ipv4", CUT, lines[:-1])


def test_it_is_opened_once_and_closed_without_a_trace(tools: Path, tmp_path: Path) -> None:
    params = asked(tmp_path, breaker(SEARCH))
    outcome, summary = row(_traffic_rule.run(params, False))
    assert outcome == "done", summary
    assert summary.startswith(
        f"circuit breaker shop/search opened for {SEARCH} port 9200: connections are refused, until "
    )
    assert sum("tcp-reset" in line for line in table(tools)) == 1
    assert table(tools, "6") == []
    again = _traffic_rule.run(params, False)
    assert (row(again), again["changed"]) == (
        ("unchanged", "circuit breaker shop/search is open already; held back 7 packets"),
        False,
    )
    assert again["incident"]["facts"]["cuts"][0]["held_back"] == {"ipv4": 7}
    (entry,), _unreadable = _ledger.entries(params)
    assert entry["egress"] == {"host": SEARCH, "port": 9200, "addresses": [SEARCH]}
    assert row(_lift.run(params, False)) == ("done", "circuit_breaker of shop/search removed; it held back 7 packets")
    assert table(tools) == []
    assert not (Path(params["state_dir"]) / "clocks").exists()


def test_the_check_shows_the_lines_and_changes_nothing(tools: Path, tmp_path: Path, sockets: Path) -> None:
    params = asked(tmp_path, breaker(SEARCH))
    answer = _traffic_rule.run(params, True)
    assert (row(answer)[0], answer["changed"]) == ("done", True)
    assert [d["before_header"] for d in answer["diff"]] == ["iptables-save -t filter"]
    assert "--reject-with tcp-reset" in answer["diff"][0]["after"]
    assert (table(tools), _ledger.entries(params), sockets.exists()) == ([], ([], []), False)


def test_a_name_is_cut_at_all_addresses_that_it_has_or_had(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    params = asked(tmp_path, breaker("search.example"))
    names(monkeypatch, SEARCH, SEARCH6, SEARCH)
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, f"search.example ({SEARCH}, {SEARCH6}) port 9200" in summary) == ("done", True)
    names(monkeypatch, "198.18.0.10")
    assert row(_traffic_rule.run(params, False))[0] == "done"
    assert [a for a in (SEARCH, "198.18.0.10") if any(f"-d {a} " in line for line in table(tools))] == [
        SEARCH,
        "198.18.0.10",
    ]
    names(monkeypatch)
    assert row(_traffic_rule.run(params, False))[0] == "unchanged"
    (entry,), _unreadable = _ledger.entries(params)
    assert entry["egress"]["addresses"] == [SEARCH, "198.18.0.10", SEARCH6]
    _lift.run(params, False)
    assert (table(tools), table(tools, "6")) == ([], [])


def test_a_name_without_an_address_fails(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    names(monkeypatch)
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker("nowhere.example")), False))
    assert (outcome, "nowhere.example has no address on this host" in summary) == ("failed", True)
    assert table(tools) == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.7", "is where this login comes from"),
        ("::ffff:192.0.2.7", "is where this login comes from"),
        ("203.0.113.5", "is in incident_management_cidrs"),
        ("2001:db8:1::5", "is in incident_management_cidrs"),
        ("0.0.0.0", "is no host's address"),  # noqa: S104 - nothing is bound to it
        ("::", "is no host's address"),
        ("255.255.255.255", "is no host's address"),
        ("224.0.0.1", "is no host's address"),
        ("127.0.0.1", "is this host itself"),
        ("127.9.9.9", "is this host itself"),
        ("::1", "is this host itself"),
    ],
)
def test_who_must_not_be_cut_off(tools: Path, tmp_path: Path, host: str, why: str) -> None:
    params = asked(tmp_path, breaker(host), breaker(SEARCH, name="other"))
    first, second = _traffic_rule.run(params, False)["incident"]["actions"]
    assert (first["outcome"], why in first["summary"], second["outcome"]) == ("refused", True, "done")
    assert sum("tcp-reset" in line for line in table(tools)) == 1
    _lift.run(params, False)


def test_an_address_of_this_host_is_refused_whatever_the_port(tools: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((SEARCH, 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(own)), False))
    assert (outcome, f"{own} is this host itself, and loopback is never cut" in summary) == ("refused", True)


def test_one_address_of_a_name_that_must_not_be_cut_is_enough(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    names(monkeypatch, SEARCH, "203.0.113.5")
    assert row(_traffic_rule.run(asked(tmp_path, breaker("search.example")), False))[0] == "refused"
    assert table(tools) == []


def test_a_family_that_is_missing_matters_to_its_addresses_alone(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    found = _rule_removal.tool
    monkeypatch.setattr(_rule_removal, "tool", lambda name: None if name == "ip6tables-save" else found(name))
    answer = _traffic_rule.run(asked(tmp_path, breaker(SEARCH)), False)
    assert (row(answer)[0], "warnings" in answer) == ("done", False)
    _lift.run(asked(tmp_path), False)
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH6)), False))
    assert (outcome, "IPv6 is NOT cut: ip6tables-save is not installed" in summary) == ("refused", True)
    monkeypatch.setattr(_chain, "has_ipv6", lambda: False)
    assert row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH6)), False)) == (
        "skipped",
        "circuit breaker shop/search: this host has no IPv6",
    )


def test_connections_that_are_open_are_ended(tmp_path: Path, sockets: Path) -> None:
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH)), False))
    assert outcome == "done"
    assert "; 1 open connection ended; 1 could not be ended, and end when they next send something" in summary
    assert f"--kill state established dst {SEARCH}:9200\n" in sockets.read_text()
    _lift.run(asked(tmp_path), False)


def test_a_kernel_that_ends_none_is_not_told_to_have_ended_less_than_none(tools: Path, tmp_path: Path) -> None:
    (tools / "ss").write_text('#!/bin/sh\ncase "$*" in *--kill*) ;; *) echo one; echo two;; esac\n')
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH)), False))
    assert (outcome, "; 0 open connections ended; 2 could not be ended, and" in summary) == ("done", True)
    _lift.run(asked(tmp_path), False)


def test_that_they_cannot_be_ended_is_said(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    found = _rule_removal.tool
    monkeypatch.setattr(_rule_removal, "tool", lambda name: None if name == "ss" else found(name))
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH)), False))
    assert (outcome, "ss is not installed: an open connection ends when it next sends" in summary) == ("done", True)
    _lift.run(asked(tmp_path), False)


def test_that_the_kernel_was_not_asked_is_said(tools: Path, tmp_path: Path) -> None:
    (tools / "ss").write_text("#!/bin/sh\necho 'unrecognized option --kill' >&2; exit 255\n")
    outcome, summary = row(_traffic_rule.run(asked(tmp_path, breaker(SEARCH)), False))
    assert (outcome, "ss exited 255: unrecognized option --kill: an open connection ends" in summary) == ("done", True)
    _lift.run(asked(tmp_path), False)


def test_what_nobody_confirms_takes_itself_back(tools: Path, tmp_path: Path) -> None:
    params = {**asked(tmp_path, breaker(SEARCH)), "confirm_within": 6}
    answer = _traffic_rule.run(params, False)
    assert answer["incident"]["facts"]["to_confirm"] == ["shop/search"]
    assert table(tools)
    wait_until_gone(Path(params["state_dir"]) / "clocks")
    assert table(tools) == []
    (entry,), _unreadable = _ledger.entries(params)
    assert (entry["state"], entry["lifted_because"]) == ("lifted", "it was not confirmed in time")


def test_a_fresh_login_confirms_beside_breakers_of_the_other_kind(
    tools: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    params = {**asked(tmp_path, breaker(SEARCH)), "confirm_within": 60}
    _ledger.intend(params, "circuit_breaker", "shop/payments", {}, {"kind": "http_call"})
    acted = _traffic_rule.run(params, False)["incident"]["actions"]
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    answer = _traffic_rule.run({**params, "state": "confirmed", "acted": acted}, False)
    assert row(answer)[1].endswith("; confirmed by a fresh login")
    assert [cut["breaker"] for cut in answer["incident"]["facts"]["cuts"]] == ["shop/search"]
    _lift.run(params, False)
    assert table(tools) == []


def test_each_module_leaves_the_others_breakers_alone(tools: Path, tmp_path: Path) -> None:
    endpoint = {"name": "payments", "open": {"url": "http://127.0.0.1:9/"}, "close": {"url": "http://127.0.0.1:9/"}}
    params = asked(tmp_path, endpoint)
    assert _traffic_rule.run(params, False)["incident"]["reason"] == "no service on this host has a breaker by egress"
    toggled = _http_toggle.run(asked(tmp_path, breaker(SEARCH)), False)["incident"]
    assert (toggled["outcome"], toggled["facts"]) == ("skipped", {"egress": ["shop/search"]})
