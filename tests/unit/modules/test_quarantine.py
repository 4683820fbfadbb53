"""A quarantine: its lines are what they should be, it cuts a host off only when told to, and never by half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _ledger,
    _lift,
    _quarantine,
    _rule_removal,
    _sockets,
    _ssh_session,
    _traffic_rule,
)
from tests.unit.modules.packet_filter import LOGIN, row, table, wait_until_gone

ASKED = {"incident_id": "INC-1", "capability": "quarantine"}
UNDO = _chain.undo(_quarantine.KIND, ASKED, "host", ["ipv4", "ipv6"])
(CHAIN,) = UNDO["chains"]
CUT = {"spared": ["203.0.113.9/24", "2001:db8::7"], "bridges": ["podman1"]}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    return {
        **ASKED,
        "state": "limited",
        "services": [{"name": "shop", "hosts": "h1"}, {"name": "mail", "hosts": "h2"}],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "state_dir": str(tmp_path / "state"),
        "per_minute": 10,
        "burst": 10,
        "total_per_minute": 0,
        "expires_after": 600,
        "confirm_within": 0,
        "management_cidrs": ["203.0.113.0/24"],
        "exempt_cidrs": [],
        "acted": [],
    }


@pytest.fixture(autouse=True)
def network(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with three bridges: of containers, of machines beside an uplink, and one that is the way out."""
    answers = {
        "address": "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 192.0.2.1/24 scope global eth0\n"
        "3: podman1    inet 198.18.0.1/24 scope global podman1\n3: podman1    inet6 fe80::1/64 scope link \n",
        "link": "4: veth0@if2: <UP> master podman1\n5: veth1@if2: <UP> master br0\n6: veth2@if2: <UP> master br1\n",
        "route": "default via 192.0.2.254 dev br1 \n",
    }
    cases = "".join(f"*{word}*) cat <<'END'\n{text}END\n;; " for word, text in answers.items())
    found = 'case "$*" in *--kill*) echo one; echo two;; esac'
    for name, script in (("ip", f'case "$*" in {cases}esac'), ("ss", f'echo "$@" >>{tools}/calls\n{found}')):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    for bridge, ports in {"podman1": ["veth0"], "br0": ["veth1", "eth1"], "br1": ["veth2"], "empty": []}.items():
        for path in ("bridge", "brif", *(f"brif/{port}" for port in ports)):
            (tmp_path / "net" / bridge / path).mkdir(parents=True)
    monkeypatch.setattr(_quarantine, "_INTERFACES", tmp_path / "net")
    monkeypatch.setattr(_sockets, "_other_networks", list)
    return tools / "calls"


@pytest.mark.parametrize(("family", "spared"), [("ipv4", "203.0.113.0/24"), ("ipv6", "2001:db8::7/128")])
def test_all_is_dropped_but_what_is_named_before(family: str, spared: str) -> None:
    lines = _quarantine.rules(CHAIN, family, CUT)
    assert lines[:2] == [f"-A {CHAIN} -i lo -j RETURN", f"-A {CHAIN} -o lo -j RETURN"]
    assert [line for line in lines if "/24" in line or "/128" in line] == [
        f"-A {CHAIN} -s {spared} -j RETURN",
        f"-A {CHAIN} -d {spared} -j RETURN",
    ]
    assert all(line.endswith("-j RETURN") for line in lines[:-1])
    assert lines[-1] == f"-A {CHAIN} -j DROP"


def test_containers_are_open_to_the_host_itself_alone() -> None:
    found = [line for line in _quarantine.rules(CHAIN, "ipv4", CUT) if "podman1" in line]
    assert found == [
        f"-A {CHAIN} -i podman1 -m addrtype --dst-type LOCAL -j RETURN",
        f"-A {CHAIN} -o podman1 -m addrtype --src-type LOCAL -j RETURN",
        f"-A {CHAIN} -i podman1 -o podman1 -j RETURN",
    ]


def test_all_ways_lead_into_the_chain_before_all_other_rules() -> None:
    mark = f"incidentctl:INC-1:quarantine:host:{_chain.fingerprint(_quarantine.KIND, CUT)}"
    target = f'-m comment --comment "{mark}" -j {CHAIN}'
    assert _chain.jumps(_quarantine.KIND, UNDO, CUT) == [f"-I {h} 1 {target}" for h in ("INPUT", "FORWARD", "OUTPUT")]


def test_it_is_cut_off_once_and_opened_without_a_trace(tools: Path, params: dict[str, Any], network: Path) -> None:
    outcome, summary = row(_traffic_rule.run(params, False))
    assert outcome == "done", summary
    assert summary.startswith("host cut off in and out, but for 192.0.2.7/32, 203.0.113.0/24, until ")
    assert summary.endswith("; 4 open connections ended")  # two before the rules came in, and two after
    for family in ("4", "6"):
        assert [line for line in table(tools, family) if line.endswith("-j DROP")] == [f"-A {CHAIN} -j DROP"]
    assert [line.split()[2] for line in network.read_text().splitlines()] == ["--tcp"] * 4
    kept = "not dst 127.0.0.0/8 and not dst [::1] and not dst 203.0.113.0/24 and not dst 192.0.2.7"
    own = "not dst 127.0.0.1 and not dst 192.0.2.1 and not dst 198.18.0.0/24 and not dst [fe80::1]"
    assert all(line.endswith(f"{kept} and {own}") for line in network.read_text().splitlines())
    again = _traffic_rule.run(params, False)
    assert (row(again), again["changed"]) == (("unchanged", "host is cut off already; held back 14 packets"), False)
    assert again["incident"]["facts"]["quarantined"][0]["held_back"] == {"ipv4": 7, "ipv6": 7}
    assert row(_lift.run({**params, "only": []}, False)) == (
        "done",
        "quarantine of host removed; it held back 14 packets",
    )
    assert (table(tools), table(tools, "6")) == ([], [])
    assert not (Path(params["state_dir"]) / "clocks").exists()


def test_only_bridges_of_containers_stay_open(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    assert {line.split("-i ")[1].split()[0] for line in table(tools) if "-i " in line} == {"lo", "podman1"}


def test_without_iproute_it_is_cut_off_all_the_same(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    found = _rule_removal.tool
    monkeypatch.setattr(_rule_removal, "tool", lambda name: None if name in ("ip", "ss") else found(name))
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "ss is not installed" in summary) == ("done", True)
    assert table(tools)[-1].startswith("-A OUTPUT ")


def test_disks_of_others_are_named(tools: Path, params: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nfiler:/orders /srv/orders nfs4 rw,addr=198.18.5.5 0 0\n")
    monkeypatch.setattr(_quarantine, "_MOUNTS", mounts)
    told = row(_traffic_rule.run(params, True))[1]
    assert told.count("hangs") == 1
    assert "/srv/orders is on filer:/orders, and hangs unless that is in the management networks" in told


def test_who_was_logged_in_first_stays_spared(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    _traffic_rule.run(params, False)
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("192.0.2.7", "192.0.2.8"))
    assert row(_traffic_rule.run(params, False))[0] == "done"
    assert [p for p in ("192.0.2.7", "192.0.2.8") if any(f"-s {p}/32 " in line for line in table(tools))] == [
        "192.0.2.7",
        "192.0.2.8",
    ]
    assert len(_ledger.entries(params)[0]) == 1


def test_nothing_named_is_refused(tools: Path, params: dict[str, Any]) -> None:
    outcome, summary = row(_traffic_rule.run({**params, "only": []}, False))
    assert (outcome, "no service was named" in summary) == ("refused", True)
    assert table(tools) == []


def test_a_host_of_other_services_is_left_alone(tools: Path, params: dict[str, Any]) -> None:
    block = _traffic_rule.run({**params, "only": ["mail"]}, False)["incident"]
    assert (block["outcome"], block["reason"]) == ("skipped", "no named service runs on this host")
    assert table(tools) == []


def test_half_a_quarantine_is_refused(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    found = _rule_removal.tool
    monkeypatch.setattr(_rule_removal, "tool", lambda name: None if name == "ip6tables-save" else found(name))
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "IPv6 is NOT cut off: ip6tables-save is not installed" in summary) == ("refused", True)
    assert (table(tools), _ledger.entries(params)) == ([], ([], []))


def test_a_management_network_of_everybody_is_refused(tools: Path, params: dict[str, Any]) -> None:
    outcome, summary = row(_traffic_rule.run({**params, "management_cidrs": ["0.0.0.0/0"]}, False))
    assert (outcome, "would leave everything open" in summary) == ("refused", True)
    assert table(tools) == []


def test_what_is_no_network_is_said(tools: Path, params: dict[str, Any]) -> None:
    outcome, summary = row(_traffic_rule.run({**params, "management_cidrs": ["here", "192.0.2.0/33"]}, False))
    assert (outcome, summary.count("not an address or network")) == ("failed", 2)


def test_when_the_second_family_fails_the_first_is_taken_back(tools: Path, params: dict[str, Any]) -> None:
    (tools / "broken6").touch()
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "nothing of it was left in place" in summary) == ("failed", True)
    assert table(tools) == []


def test_without_a_confirmation_it_is_taken_back(tools: Path, params: dict[str, Any]) -> None:
    answer = _traffic_rule.run({**params, "confirm_within": 6}, False)
    assert answer["incident"]["facts"]["to_confirm"] == ["host"]
    assert table(tools)
    wait_until_gone(Path(params["state_dir"]) / "clocks")
    assert (table(tools), table(tools, "6")) == ([], [])


def test_the_check_shows_the_lines_and_changes_nothing(tools: Path, params: dict[str, Any], network: Path) -> None:
    answer = _traffic_rule.run(params, True)
    assert (row(answer)[0], answer["changed"]) == ("done", True)
    assert all(d["after"].splitlines()[-4].endswith("-j DROP") for d in answer["diff"])
    assert (table(tools), _ledger.entries(params), network.exists()) == ([], ([], []), False)
