"""A rate limit: its lines are what they should be, and it acts only with a clock over it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _clocks,
    _crowding,
    _dead_man,
    _ledger,
    _lift,
    _rate_limit,
    _rule_removal,
    _ssh_session,
    _traffic_rule,
)
from tests.unit.modules.packet_filter import LOGIN, row, second, table, wait_until_gone

ASKED = {"incident_id": "INC-1", "capability": "rate_limit"}
UNDO = _chain.undo(_rate_limit.KIND, ASKED, "shop", ["ipv4", "ipv6"])
CHAIN = UNDO["chains"][0]
REMOVED = "rate_limit of shop removed; it held back 14 attempts to connect from an unknown number of sources"
LIMIT = {
    "ports": [8000],
    "per_minute": 10,
    "burst": 10,
    "total": 0,
    "exempt": ["192.0.2.0/24", "2001:db8::7", "192.0.2.9/24"],
    "remember": False,
}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    return {
        "capability": "rate_limit",
        "state": "limited",
        "services": [{"name": "shop", "hosts": "h1", "ports": [8000, "22"]}],
        "only": [],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(tmp_path / "state"),
        "per_minute": 10,
        "burst": 10,
        "total_per_minute": 0,
        "expires_after": 600,
        "confirm_within": 0,
        "management_cidrs": ["198.51.100.0/24"],
        "exempt_cidrs": [],
        "proxies_known": False,
        "max_source_fraction": 0.3,
        "allow_proxy": False,
        "allow_proxy_of": ["mail"],
        "acted": [],
    }


def test_a_limit_in_ipv4() -> None:
    over = "-m hashlimit --hashlimit-above 10/minute --hashlimit-burst 10 --hashlimit-mode srcip --hashlimit-srcmask 32"
    chain = UNDO["chains"][0]
    lines = _rate_limit.rules(CHAIN, "ipv4", LIMIT)
    assert lines[:2] == [f"-A {chain} -i lo -j RETURN", f"-A {chain} -s 192.0.2.0/24 -j RETURN"]
    assert lines[2].startswith(f"-A {chain} -p tcp --syn -m multiport --dports 8000 {over} --hashlimit-name ic")
    assert lines[2].endswith("--hashlimit-htable-expire 60000 -j DROP")
    assert lines[3:] == [f"-A {chain} -p tcp --syn -m multiport --dports 8000 -j RETURN"]  # it counts what came through


def test_a_limit_in_ipv6_counts_a_whole_64_as_one_source() -> None:
    lines = _rate_limit.rules(CHAIN, "ipv6", LIMIT)
    assert lines[1] == f"-A {UNDO['chains'][0]} -s 2001:db8::7/128 -j RETURN"
    assert "--hashlimit-srcmask 64 " in lines[2]


def test_only_new_connections_meet_the_chain_and_the_jump_says_whose_it_is() -> None:
    (line,) = _chain.jumps(_rate_limit.KIND, UNDO, LIMIT)
    mark = f"incidentctl:INC-1:rate_limit:shop:{_chain.fingerprint(_rate_limit.KIND, LIMIT)}"
    assert line == f'-I PREROUTING 1 -p tcp --syn -m comment --comment "{mark}" -j {UNDO["chains"][0]}'


def test_names_are_short_and_an_incidents_own() -> None:
    undos = [
        _chain.undo(_rate_limit.KIND, {**ASKED, "incident_id": i}, s, [])
        for i in ("INC-1", "INC-2")
        for s in ("a", "b")
    ]
    names = {undo["chains"][0] for undo in undos}
    assert len(names) == 4
    assert max(map(len, names)) <= 28


def test_more_ports_than_a_rule_takes_are_spread_and_share_one_account() -> None:
    lines = _rate_limit.rules(CHAIN, "ipv4", {**LIMIT, "ports": list(range(1000, 1020)), "exempt": []})
    drops = [line for line in lines if line.endswith("-j DROP")]
    assert [len(line.split("--dports ")[1].split()[0].split(",")) for line in drops] == [15, 5]
    assert len({line.split("--hashlimit-name ")[1].split()[0] for line in drops}) == 1


def test_all_sources_together_come_after_each_by_itself() -> None:
    lines = _rate_limit.rules(CHAIN, "ipv6", {**LIMIT, "total": 500, "ports": list(range(1000, 1020)), "exempt": []})
    lines = [line for line in lines if line.endswith("-j DROP")]
    assert ["-mode srcip" in line for line in lines] == [True, True, False, False]
    assert all("--hashlimit-above 500/minute --hashlimit-burst 500 --hashlimit-name ic" in line for line in lines[2:])
    assert len({line.split("--hashlimit-name ")[1].split()[0] for line in lines}) == 2


@pytest.mark.parametrize(("family", "mask"), [("ipv4", "255.255.255.255"), ("ipv6", "ffff:ffff:ffff:ffff::")])
def test_who_is_held_back_is_remembered_where_the_kernel_can(family: str, mask: str) -> None:
    line = _rate_limit.rules(CHAIN, family, {**LIMIT, "remember": True})[-2]
    before, _set, after = line.partition(" -m recent --set --name ic")
    assert ("-m hashlimit" in before, after[12:]) == (True, f" --mask {mask} --rsource -j DROP")


def test_a_source_is_not_forgotten_before_its_burst_is_whole_again() -> None:
    line = _rate_limit.rules(CHAIN, "ipv4", {**LIMIT, "per_minute": 2, "burst": 10})[-2]
    assert "--hashlimit-htable-expire 300000 " in line


def test_another_rate_gets_another_account_for_the_kernel_keeps_the_rate_of_a_name() -> None:
    names = {
        _rate_limit.rules(CHAIN, "ipv4", {**LIMIT, "burst": burst})[-2].split("--hashlimit-name ")[1].split()[0]
        for burst in (10, 20)
    }
    assert len(names) == 2


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {"per_minute": 0, "burst": 10001, "total_per_minute": -1, "max_source_fraction": 0}
    wrong |= {"management_cidrs": ["192.0.2.0/33"], "exempt_cidrs": ["here"]}
    found = _rate_limit.problems(wrong)
    assert len(found) == 6


@pytest.mark.parametrize("seconds", [10**12, -1])
def test_a_time_that_no_clock_can_be_set_to_is_said_before_anything_is_written(
    tools: Path, params: dict[str, Any], seconds: int
) -> None:
    wrong = {"expires_after": seconds, "confirm_within": seconds, "per_minute": 0}
    outcome, summary = row(_traffic_rule.run({**params, **wrong}, False))
    assert (outcome, summary.count("must be from 0 to 31536000 seconds"), "per_minute" in summary) == (
        "failed",
        2,
        True,
    )
    assert (table(tools), _ledger.entries(params)) == ([], ([], []))


def test_only_rules_with_our_mark_are_ours() -> None:
    chain = UNDO["chains"][0]
    ours = f'-A PREROUTING -p tcp -m comment --comment "{UNDO["marker"]}abc" -j {chain}'
    others = [f"-A PREROUTING -j {chain}", f'-A PREROUTING -m comment --comment "{UNDO["marker"]}abc" -j {chain}x']
    assert _rule_removal.jumps([*others, ours], chain, UNDO["marker"]) == [ours]


def test_who_is_logged_in() -> None:
    assert (_ssh_session.peer(LOGIN), _ssh_session.server_port(LOGIN)) == ("192.0.2.7", 2222)
    assert _ssh_session.peer("fe80::1%eth0 1 fe80::2%eth0 22") == "fe80::1"
    assert _ssh_session.peer("::ffff:192.0.2.7 1 ::ffff:192.0.2.1 22") == "192.0.2.7"
    assert (_ssh_session.peer(""), _ssh_session.server_port("")) == (None, 22)


def test_an_ancestor_knows_the_login_that_sudo_hides() -> None:
    code = "import sys; sys.path[:0] = {!r}; from {} import connection; print(connection())"
    inner = code.format(sys.path, _ssh_session.__name__)
    # Two shells: the outer one has it, the inner one, as sudo would start it, does not.
    script = 'env --unset=SSH_CONNECTION "$0" -c "$1"; true'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, inner],
        env={**os.environ, "SSH_CONNECTION": LOGIN},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == LOGIN


def test_it_is_put_in_once_and_taken_out_without_a_trace(tools: Path, params: dict[str, Any]) -> None:
    other = "-A PREROUTING -s 203.0.113.0/24 -j ACCEPT"
    (tools / "table4").write_text(other + "\n")
    outcome, summary = row(_traffic_rule.run(params, False))
    assert outcome == "done", summary
    assert "port 8000: 10 new connections a minute for each source, 10 at once, until " in summary
    assert "port 22 is how this host is reached, and stays open" in summary
    assert sum("192.0.2.7/32 -j RETURN" in line for line in table(tools)) == 1
    assert sum("198.51.100.0/24 -j RETURN" in line for line in table(tools)) == 1
    again = _traffic_rule.run(params, False)
    assert (row(again)[0], again["changed"]) == ("unchanged", False)
    assert "; held back 14 attempts to connect from an unknown number of sources; port 22" in row(again)[1]
    assert again["incident"]["actions"][0]["news"] is True
    assert again["incident"]["facts"]["limits"][0]["held_back"] == {"ipv4": 7, "ipv6": 7}
    assert [e["state"] for e in _ledger.entries(params)[0]] == ["applied"]
    lifted = _lift.run(params, False)
    assert row(lifted) == ("done", REMOVED)
    assert lifted["incident"]["facts"]["held_back"] == {"000001-rate-limit-shop": REMOVED.partition("; it ")[2]}
    assert (table(tools), table(tools, "6")) == ([other], [])
    assert not (Path(params["state_dir"]) / "clocks").exists()
    assert _lift.run(params, False)["changed"] is False


def test_another_rate_replaces_the_limit(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    assert row(_traffic_rule.run({**params, "per_minute": 30}, False))[0] == "done"
    assert sum("-j DROP" in line for line in table(tools)) == 1
    assert sum("30/minute" in line for line in table(tools)) == 1
    assert len(_ledger.entries(params)[0]) == 1
    _lift.run(params, False)
    assert table(tools) == []


def test_the_check_shows_the_lines_and_changes_nothing(tools: Path, params: dict[str, Any]) -> None:
    answer = _traffic_rule.run(params, True)
    assert (row(answer)[0], answer["changed"]) == ("done", True)
    assert [d["before_header"] for d in answer["diff"]] == ["iptables-save -t mangle", "ip6tables-save -t mangle"]
    assert "--hashlimit-above 10/minute" in answer["diff"][0]["after"]
    assert (table(tools), _ledger.entries(params)) == ([], ([], []))


def test_a_plan_is_the_same_whoever_logs_in_and_another_with_another_rate(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    def ends(**more: Any) -> tuple[Any, Any]:
        (found,) = _traffic_rule.run({**params, **more}, True)["incident"]["actions"]
        return found["before"], found["after"]

    planned = ends()
    assert planned[0] is None
    assert ends(per_minute=30)[1] != planned[1]
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("192.0.2.7", "192.0.2.8"))
    assert ends() == planned
    _traffic_rule.run(params, False)
    assert ends() == (planned[1], planned[1])
    before, after = ends(per_minute=30)
    assert (set(before), after["per_minute"]) == ({"ipv4", "ipv6"}, 30)


@pytest.mark.parametrize(("allowed", "meant"), [("allow_proxy", True), ("allow_proxy_of", ["shop"])])
def test_a_proxy_is_not_limited_unless_that_is_meant(
    tools: Path, params: dict[str, Any], monkeypatch: Any, allowed: str, meant: Any
) -> None:
    told = "10.0.0.5 holds 41% of the 120 connections to port 8000, as a proxy does"
    monkeypatch.setattr(_crowding, "crowding", lambda ports, _spared, _fraction: told if ports == [8000] else "")
    for check_mode in (True, False):
        outcome, summary = row(_traffic_rule.run(params, check_mode))
        assert (outcome, summary.startswith(f"shop: {told}"), "--override proxy" in summary) == ("refused", True, True)
    assert (table(tools), _ledger.entries(params)) == ([], ([], []))
    params[allowed] = meant
    (checked,) = _traffic_rule.run(params, True)["incident"]["actions"]
    assert (checked["outcome"], checked["proxy"]) == ("done", told)
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, f"{told}, and is limited all the same" in summary) == ("done", True)


def test_who_is_no_proxy_by_what_the_site_declares_is_limited(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(_crowding, "crowding", lambda *_given: "10.0.0.5 holds 41% of the 120 connections to port 8000")
    params |= {"exempt_cidrs": ["10.0.0.1/32"], "proxies_known": True}
    (checked,) = _traffic_rule.run(params, True)["incident"]["actions"]
    assert checked["outcome"] == "done"
    assert "proxy" not in checked, "there is nothing for the guard"
    assert row(_traffic_rule.run(params, False))[0] == "done"


def test_when_the_second_family_fails_the_first_is_taken_back(tools: Path, params: dict[str, Any]) -> None:
    (tools / "broken6").touch()
    outcome, summary = row(_traffic_rule.run(params, False))
    assert outcome == "failed"
    assert "line 3 failed; nothing of it was left in place" in summary
    assert table(tools) == []
    assert [e["state"] for e in _ledger.entries(params)[0]] == ["lifted"]
    assert not (Path(params["state_dir"]) / "clocks").exists()


def test_a_family_that_is_not_there_is_said(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(_chain, "has_ipv6", lambda: False)
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "this host has no IPv6" in summary) == ("done", True)
    assert table(tools, "6") == []


def test_a_family_that_cannot_be_limited_is_warned_of(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    found = _rule_removal.tool
    monkeypatch.setattr(_rule_removal, "tool", lambda name: None if name == "ip6tables-save" else found(name))
    answer = _traffic_rule.run(params, False)
    assert answer["warnings"] == ["IPv6 is NOT limited: ip6tables-save is not installed"]


def test_without_a_packet_filter_it_is_refused(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(_rule_removal, "tool", lambda _name: None)
    assert row(_traffic_rule.run(params, False))[0] == "refused"


def test_the_port_of_ssh_is_never_limited(tools: Path, params: dict[str, Any]) -> None:
    params["services"][0]["ports"] = [22, 2222]
    assert row(_traffic_rule.run(params, False))[0] == "skipped"
    assert table(tools) == []


def test_a_limit_that_nobody_confirms_takes_itself_back(tools: Path, params: dict[str, Any]) -> None:
    params["confirm_within"] = 6
    answer = _traffic_rule.run(params, False)
    assert answer["incident"]["facts"]["to_confirm"] == ["shop"]
    assert table(tools)
    wait_until_gone(Path(params["state_dir"]) / "clocks")
    assert (table(tools), table(tools, "6")) == ([], [])
    (entry,), _unreadable = _ledger.entries(params)
    assert (entry["state"], entry["lifted_because"]) == ("lifted", "it was not confirmed in time")
    late = _traffic_rule.run({**params, "state": "confirmed", "acted": answer["incident"]["actions"]}, False)
    assert late["incident"]["facts"]["to_confirm"] == []
    assert row(late)[0] == "failed"
    assert row(_lift.run(params, False))[0] == "unchanged"


def test_only_a_fresh_login_confirms(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    params["confirm_within"] = 60
    acted = _traffic_rule.run(params, False)["incident"]["actions"]
    confirm = {**params, "state": "confirmed", "acted": acted}
    outcome, summary = row(_traffic_rule.run(confirm, False))
    assert (outcome, "this is the login that the rules came by" in summary) == ("failed", True)
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    answer = _traffic_rule.run(confirm, False)
    assert row(answer)[0] == "done"
    assert row(answer)[1].endswith("; confirmed by a fresh login")
    assert answer["incident"]["facts"]["to_confirm"] == []
    (entry,), _unreadable = _ledger.entries(params)
    assert (entry["confirm_by"], entry["state"]) == (None, "applied")
    assert entry["expires_at"]
    _lift.run(params, False)
    assert table(tools) == []


def test_what_failed_is_not_told_as_unconfirmed_when_another_is_confirmed(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    params |= {"confirm_within": 60, "services": [*params["services"], {"name": "mail", "hosts": "h1", "ports": [25]}]}
    load = _traffic_rule._put_in

    def all_but_mail(kind: Any, undo: dict[str, Any], *more: Any) -> None:
        if ":mail:" in undo["marker"]:
            raise OSError("no rules today")
        load(kind, undo, *more)

    monkeypatch.setattr(_traffic_rule, "_put_in", all_but_mail)
    acted = _traffic_rule.run(params, False)["incident"]["actions"]
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    answer = _traffic_rule.run({**params, "state": "confirmed", "acted": acted}, False)
    shop, mail = answer["incident"]["actions"]
    assert (shop["outcome"], shop["summary"].endswith("; confirmed by a fresh login")) == ("done", True)
    assert (mail["outcome"], mail["summary"]) == (
        "failed",
        "mail: no rules today; nothing of it was left in place",
    )
    _lift.run(params, False)


def test_the_script_is_the_one_whose_hash_is_in_the_ledger(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    (entry,), _unreadable = _ledger.entries(params)
    script = Path(entry["clock"]["script"])
    assert hashlib.sha256(script.read_bytes()).hexdigest() == entry["clock"]["sha256"]
    assert script.stat().st_mode & 0o777 == 0o600
    # It needs nothing but itself: not even the ledger's entry.
    Path(entry["path"]).unlink()
    done = subprocess.run([sys.executable, "-I", "-B", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, table(tools)) == (0, "", [])
    assert not script.exists()


def test_without_any_clock_nothing_is_left_running(tools: Path, params: dict[str, Any]) -> None:
    params["expires_after"] = 0
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "until it is lifted" in summary) == ("done", True)
    (entry,), _unreadable = _ledger.entries(params)
    assert (entry["timer"], entry["expires_at"], entry["confirm_by"]) == ("none", None, None)
    _lift.run(params, False)
    assert table(tools) == []


def test_no_clock_no_act(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    def full(*_words: Any) -> None:
        raise OSError("no clock today")

    monkeypatch.setattr(_dead_man, "_start", full)
    assert row(_traffic_rule.run(params, False)) == ("failed", "shop: no clock today; nothing of it was left in place")
    assert table(tools) == []


def test_a_limit_that_lost_its_clock_does_not_stay(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    _traffic_rule.run(params, False)

    def full(*_words: Any) -> None:
        raise OSError("no clock today")

    monkeypatch.setattr(_dead_man, "_start", full)
    assert row(_traffic_rule.run({**params, "per_minute": 30}, False))[0] == "failed"
    assert table(tools) == []
    assert [e["state"] for e in _ledger.entries(params)[0]] == ["lifted"]


def test_a_clock_past_half_time_is_set_anew(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    assert row(_traffic_rule.run({**params, "expires_after": 1000}, False))[0] == "unchanged"
    outcome, summary = row(_traffic_rule.run({**params, "expires_after": 6000}, False))
    assert (outcome, summary.startswith("shop stays limited, until ")) == ("done", True)
    (entry,), _unreadable = _ledger.entries(params)
    assert 5900 < _dead_man.remaining(entry["expires_at"]) <= 6001
    _lift.run(params, False)


def test_a_clock_that_was_set_anew_does_not_strike_at_its_old_time(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run({**params, "expires_after": 8}, False)
    assert row(_traffic_rule.run(params, False))[0] == "done"
    time.sleep(9)
    assert table(tools)
    assert row(_lift.run(params, False)) == ("done", REMOVED)


def test_a_clock_that_cannot_be_set_anew_strikes_at_its_old_time(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    _traffic_rule.run({**params, "expires_after": 6}, False)
    (before,), _unreadable = _ledger.entries(params)

    def full(*_words: Any) -> None:
        raise OSError("no clock today")

    with monkeypatch.context() as patched:
        patched.setattr(_dead_man, "_start", full)
        assert row(_traffic_rule.run(params, False)) == ("failed", "shop: no clock today")
    (after,), _unreadable = _ledger.entries(params)
    assert (after["state"], after["expires_at"], after["clock"]) == ("applied", before["expires_at"], before["clock"])
    assert table(tools)
    wait_until_gone(Path(params["state_dir"]) / "clocks")
    assert (table(tools), [e["state"] for e in _ledger.entries(params)[0]]) == ([], ["lifted"])


def test_units_that_were_half_written_are_as_they_were(tools: Path, params: dict[str, Any], tmp_path: Path) -> None:
    calls = tools / "calls"
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{calls}\ncase "$*" in enable*) exit 1;; esac\n')
    (tools / "systemctl").chmod(0o755)
    _traffic_rule.run(params, False)
    (entry,), _unreadable = _ledger.entries(params)
    clock = {**entry["clock"], "timer": "systemd", "units": str(tmp_path / "units")}
    (tmp_path / "units").mkdir()
    files = [*_clocks.units(clock, "expire"), _clocks.token(clock, "expire")]
    for path in files[:2]:
        path.write_text("as it was")
    before = [path.read_text() for path in files]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_dead_man, "LASTING", clock["units"])
        with pytest.raises(_rule_removal.RuleError):
            _dead_man.prolong({**entry, "timer": "systemd", "clock": clock}, 6000)
    assert [path.read_text() for path in files] == before
    assert calls.read_text().splitlines()[-2:] == ["daemon-reload", f"restart {files[0].name}"]


def test_rules_that_a_reboot_took_count_as_lifted(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    (tools / "table4").unlink()
    (tools / "table6").unlink()
    assert row(_lift.run(params, False)) == ("done", "rate_limit of shop was already gone")


def test_a_clock_that_struck_just_before_the_confirmation_does_nothing_after_it(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    """systemd has started the service, or the script has seen its time come; the confirmation is faster."""
    acted = _traffic_rule.run({**params, "confirm_within": 60}, False)["incident"]["actions"]
    (entry,), _unreadable = _ledger.entries(params)
    token = _clocks.token(entry["clock"], "confirm")
    struck = [sys.executable, "-I", "-B", entry["clock"]["script"], "confirm", token.read_text()]
    with _clocks.held(entry["clock"]["script"]):
        process = subprocess.Popen(struck)
        time.sleep(0.5)  # it waits for its turn
        _dead_man.confirmed(entry)
    assert process.wait(20) == 0
    assert table(tools)
    assert [e["state"] for e in _ledger.entries(params)[0]] == ["applied"]
    assert acted[0]["outcome"] == "done"


def test_a_confirmation_that_comes_while_the_clock_strikes_is_told_so(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    acted = _traffic_rule.run({**params, "confirm_within": 60}, False)["incident"]["actions"]
    (entry,), _unreadable = _ledger.entries(params)
    slow, striking = tools / "iptables-restore", tools / "striking"
    begins = f"import pathlib, sys, time\npathlib.Path({str(striking)!r}).touch()\ntime.sleep(1)\n"
    slow.write_text(slow.read_text().replace("import pathlib, sys\n", begins))
    token = _clocks.token(entry["clock"], "confirm")
    process = subprocess.Popen([sys.executable, "-I", "-B", entry["clock"]["script"], "confirm", token.read_text()])
    while not striking.exists():
        assert process.poll() is None
        time.sleep(0.01)
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    outcome, summary = row(_traffic_rule.run({**params, "state": "confirmed", "acted": acted}, False))
    assert (outcome, "not confirmed in time: the host took the rules back" in summary) == ("failed", True), summary
    assert process.wait(20) == 0
    assert (table(tools), [e["state"] for e in _ledger.entries(params)[0]]) == ([], ["lifted"])


def test_rules_that_a_restart_took_are_not_confirmed(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    acted = _traffic_rule.run({**params, "confirm_within": 60}, False)["incident"]["actions"]
    (tools / "table6").unlink()
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    answer = _traffic_rule.run({**params, "state": "confirmed", "acted": acted}, False)
    outcome, summary = row(answer)
    assert (outcome, "not confirmed: the rules are not all there any more" in summary) == ("failed", True), summary
    assert answer["incident"]["facts"]["to_confirm"] == []
    assert (table(tools), [e["state"] for e in _ledger.entries(params)[0]]) == ([], ["lifted"])


def test_a_host_that_no_longer_reaches_itself_is_not_confirmed(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    acted = _traffic_rule.run({**params, "confirm_within": 60}, False)["incident"]["actions"]
    monkeypatch.setattr(_ssh_session, "connection", lambda: LOGIN.replace("50000", "50001"))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_words: errno.ETIMEDOUT)
    outcome, summary = row(_traffic_rule.run({**params, "state": "confirmed", "acted": acted}, False))
    assert (outcome, "no longer reaches itself over loopback (ipv4" in summary) == ("failed", True), summary
    assert [bool(entry["confirm_by"]) for entry in _ledger.entries(params)[0]] == [True]


def test_a_wall_clock_that_is_set_back_holds_nothing_up(tools: Path, params: dict[str, Any]) -> None:
    _traffic_rule.run(params, False)
    (entry,), _unreadable = _ledger.entries(params)
    late = str(int(time.time()) + 5 * 3600)  # what the clock was set to before somebody set it back
    _clocks.write(_clocks.token(entry["clock"], "expire"), late, 0o600)
    reading = time.clock_gettime(time.CLOCK_BOOTTIME) + 1
    argv = [sys.executable, "-I", "-B", entry["clock"]["script"], "expire", late, str(reading)]
    assert subprocess.run(argv, timeout=20, check=False).returncode == 0
    assert table(tools) == []


def test_rules_that_somebody_saved_are_swept_out_until_they_are_saved_anew(
    tools: Path, params: dict[str, Any], tmp_path: Path
) -> None:
    _traffic_rule.run(params, False)
    saved = tmp_path / "etc" / "iptables" / "rules.v4"
    saved.parent.mkdir(parents=True)
    saved.write_text("\n".join(table(tools)))
    outcome, summary = row(_lift.run(params, False))
    assert outcome == "done"
    assert summary.startswith(f"{REMOVED}; {saved} may bring it back")
    assert f"({CHAIN}-sweep). Fix: save the host's rules anew" in summary
    (tools / "table4").write_text(saved.read_text())  # a boot does
    clocks = Path(params["state_dir"]) / "clocks"
    deadline = time.monotonic() + 20
    while table(tools) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert table(tools) == []
    assert clocks.exists()
    saved.write_text("")
    wait_until_gone(clocks)
    assert not clocks.exists()


def test_a_limit_put_in_anew_is_not_swept_out(tools: Path, params: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    _traffic_rule.run(params, False)
    (tmp_path / "etc" / "rules").write_text("\n".join(table(tools)))
    assert "-sweep" in row(_lift.run(params, False))[1]
    assert row(_traffic_rule.run(params, False))[0] == "done"
    time.sleep(3)
    assert table(tools)
    (tmp_path / "etc" / "rules").unlink()
    assert row(_lift.run(params, False)) == ("done", REMOVED)
    assert not (Path(params["state_dir"]) / "clocks").exists()


@pytest.mark.parametrize("lost", ["nothing", "sweep", "ledger"])
def test_what_was_saved_in_an_earlier_limit_of_the_same_name_is_swept_out_after_the_later_one(
    tools: Path, params: dict[str, Any], tmp_path: Path, monkeypatch: Any, lost: str
) -> None:
    saved = tmp_path / "etc" / "rules"
    saved.parent.mkdir()
    _traffic_rule.run(params, False)
    saved.write_text("\n".join(table(tools)))
    assert "-sweep" in row(_lift.run(params, False))[1]
    (entry,), _unreadable = _ledger.entries(params)
    if lost == "sweep":
        _clocks.token(entry["clock"], "sweep").unlink()
    if lost == "ledger":  # forgotten by the lift of another incident
        Path(entry["path"]).unlink()
    now = _ledger.now
    monkeypatch.setattr(_ledger, "now", lambda days=0: now(days + 30))  # and nobody has saved rules since
    assert row(_traffic_rule.run(params, False))[0] == "done"
    assert f"{saved} may bring it back" in row(_lift.run(params, False))[1]
    saved.unlink()
    wait_until_gone(Path(params["state_dir"]) / "clocks")
    assert not (Path(params["state_dir"]) / "clocks").exists()


@pytest.mark.parametrize("line", [":INPUT DROP [0:0]", "-A INPUT -j DROP", "-P INPUT DROP", "-A {chain} -j DROP\n-F"])
def test_what_no_lift_would_take_back_is_not_loaded(
    tools: Path, params: dict[str, Any], monkeypatch: Any, line: str
) -> None:
    bad = _rate_limit.KIND._replace(rules=lambda chain, _family, _limit: [line.format(chain=chain)])
    monkeypatch.setitem(_traffic_rule.KINDS, "rate_limit", bad)
    outcome, summary = row(_traffic_rule.run(params, False))
    assert (outcome, "nothing was loaded, for no lift would take this back" in summary) == ("failed", True)
    assert (table(tools), [e["state"] for e in _ledger.entries(params)[0]]) == ([], ["lifted"])


def test_a_timer_has_an_absolute_time_and_outlives_a_reboot() -> None:
    unit = _dead_man._timer("confirm", 1893456000, 60, "INC-1")
    assert "OnCalendar=2030-01-01 00:00:00 UTC\n" in unit
    assert "Persistent=true\n" in unit
    assert "WantedBy=timers.target\n" in unit


def test_rules_are_found_where_they_are_whatever_iptables_means(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    second(tools)
    monkeypatch.setattr(_rule_removal, "_BACKENDS", ("nft",))
    _traffic_rule.run(params, False)
    for family in ("4", "6"):
        (tools / f"table{family}").rename(tools / f"table{family}nft")
    assert len(table(tools, "4nft")) > 3
    assert row(_lift.run(params, True))[1] == "rate_limit of shop would be removed"
    assert row(_lift.run(params, False)) == ("done", REMOVED)
    assert (table(tools, "4nft"), table(tools, "6nft")) == ([], [])


def test_after_a_switch_they_are_in_one_place_again(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    second(tools)
    monkeypatch.setattr(_rule_removal, "_BACKENDS", ("nft",))
    _traffic_rule.run(params, False)
    (tools / "table4").rename(tools / "table4nft")
    assert row(_traffic_rule.run(params, False))[0] == "done"
    assert sum(line.endswith("-j DROP") for line in table(tools)) == 1
    assert table(tools, "4nft") == []
    assert len(_ledger.entries(params)[0]) == 1


def test_a_filter_that_the_kernel_has_not_is_no_place(tools: Path, params: dict[str, Any], monkeypatch: Any) -> None:
    second(tools)
    monkeypatch.setattr(_rule_removal, "_BACKENDS", ("nft",))
    (tools / "iptables-nft-save").write_text(
        "#!/bin/sh\necho 'Could not fetch rule set generation id: no' >&2; exit 4\n"
    )
    assert _rule_removal.backends("ipv4", "mangle") == [""]
    assert _rule_removal.backends("ipv6", "mangle") == ["", "nft"]


def test_the_legacy_filter_is_asked_only_for_tables_that_it_has(tools: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tools / "iptables-legacy-save").write_text("#!/bin/sh\nexit 1\n")
    (tools / "iptables-legacy-save").chmod(0o755)
    names = tmp_path / "names"
    monkeypatch.setattr(_rule_removal, "_BACKENDS", ("legacy",))
    monkeypatch.setattr(_rule_removal, "_LEGACY_TABLES", {"ipv4": str(names)})
    assert _rule_removal.backends("ipv4", "mangle") == [""]
    names.write_text("filter\nmangle\n")
    assert _rule_removal.backends("ipv4", "mangle") == ["", "legacy"]


@pytest.mark.parametrize("by", ["lift", "clock"])
def test_a_comment_of_others_in_any_encoding_holds_nothing_up(tools: Path, params: dict[str, Any], by: str) -> None:
    others = b'-A PREROUTING -m comment --comment "B\xfcro" -j ACCEPT\n'
    (tools / "table4").write_bytes(others)
    outcome, summary = row(_traffic_rule.run(params, False))
    assert outcome == "done", summary
    (tools / "table6").write_bytes((tools / "table6").read_bytes() + others)
    if by == "lift":
        assert row(_lift.run(params, False)) == ("done", REMOVED)
    else:
        (entry,), _unreadable = _ledger.entries(params)
        argv = [sys.executable, "-I", "-B", entry["clock"]["script"]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert [(tools / f"table{family}").read_bytes() for family in "46"] == [others, others]


def test_a_clock_that_meets_what_nobody_thought_of_tries_again(
    tools: Path, params: dict[str, Any], monkeypatch: Any
) -> None:
    _traffic_rule.run(params, False)
    (entry,), _unreadable = _ledger.entries(params)
    moment = _clocks.token(entry["clock"], "expire").read_text()
    tries: list[dict[str, Any]] = []

    def second_time(undo: dict[str, Any]) -> bool:
        tries.append(undo)
        if len(tries) == 1:
            raise ValueError("who would have thought")
        return _rule_removal.remove(undo)

    monkeypatch.setattr(_clocks, "remove", second_time)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    plan = {"undo": entry["undo"], "clock": entry["clock"], "entries": [entry["path"]]}
    monkeypatch.setattr(sys, "argv", ["script", "expire", moment])
    assert _clocks.strike(plan) == 1, "systemd starts it again"
    tries.clear()
    monkeypatch.setattr(sys, "argv", ["script", "expire", moment, "0"])
    assert (_clocks.strike(plan), len(tries), table(tools)) == (0, 2, [])


def test_what_nft_does_not_say_is_not_taken_for_gone(tools: Path, params: dict[str, Any]) -> None:
    nft = tools / "nft"
    nft.write_text("#!/bin/sh\necho 'Error: Could not process rule: Device or resource busy' >&2\nexit 1\n")
    nft.chmod(0o755)
    _traffic_rule.run(params, False)
    outcome, summary = row(_lift.run(params, False))
    assert (outcome, "Device or resource busy" in summary, "is kept" in summary) == ("failed", True, True), summary
    assert table(tools) == [], "what iptables knows of is out all the same"
    nft.write_text("#!/bin/sh\necho 'Error: No such file or directory' >&2\nexit 1\n")
    assert row(_lift.run(params, False)) == ("done", "rate_limit of shop was already gone")


@pytest.mark.parametrize(
    "says",
    [
        "Error: No such file or directory\nlist chain ip6 mangle incidentctl-x",
        "Error: Could not process rule: Table 'mangle' does not exist",
        "netlink: Error: cache initialization failed: Protocol not supported",
        "Error: Could not process rule: Address family not supported by protocol",
        "netlink: Error: cache initialization failed: Invalid argument",
        "netlink: Error: cache initialization failed: Operation not permitted",
    ],
)
def test_a_host_whose_kernel_has_nothing_for_nft_has_nothing_left_there(tools: Path, says: str) -> None:
    (tools / "nft").write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\nexit 1\n")
    (tools / "nft").chmod(0o755)
    assert not _rule_removal.there(UNDO)


def test_the_undo_is_plain_json() -> None:
    assert json.loads(json.dumps(UNDO)) == UNDO
