"""Readiness: what is said of clocks, guards and hosts, and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from incidentctl import plan, readiness, wording
from incidentctl.outcome import HostOutcome
from incidentctl.readiness import Finding, NotReady
from incidentctl.settings import load

UNIT = {"manager": "systemd", "unit": "it.service"}
SERVICES = [
    {"name": "shop", "hosts": "web", **UNIT, "circuit_breakers": [{"name": "x", "open": {}, "close": {}}]},
    {"name": "worker", "hosts": "work", **UNIT, "essential": False},
]
FLEET = {"web": ["web1", "web2"], "work": ["worker1"], "rest": ["db1", "mon1"]}


@pytest.mark.parametrize(
    ("ahead", "there", "back", "took"), [(0.0, 0.4, 0.1, 0.5), (300.0, 0.1, 0.9, 0.0), (-300.0, 2.0, 0.0, 3.0)]
)
def test_a_clock_is_as_far_off_as_is_said_give_or_take_half_the_way(
    ahead: float, there: float, back: float, took: float
) -> None:
    asked = 1_000_000.0
    began = asked + there + ahead
    host = {"asked_at": asked, "began_at": began, "ended_at": began + took}
    told, give_or_take = readiness.offset(host, asked + there + took + back)
    assert give_or_take == pytest.approx((there + back) / 2)
    assert abs(told - ahead) <= give_or_take + 1e-6


@pytest.mark.parametrize(
    ("ahead", "give_or_take", "level"),
    [
        (0.5, 0.1, None),
        (30.0, 29.0, None),  # that may all be the network's
        (3.0, 0.1, "warning"),
        (-59.0, 0.5, "warning"),
        (60.5, 1.0, "warning"),
        (-300.0, 1.0, "wrong"),
        (61.0, 1.0, "wrong"),
    ],
)
def test_only_what_is_certain_of_a_clock_is_held_against_it(
    ahead: float, give_or_take: float, level: str | None
) -> None:
    found = list(readiness.clock("host web1", ahead, give_or_take))
    assert [("warning" if row.warning else "wrong") for row in found] == ([level] if level else [])
    assert all(row.fix and ("behind" in row.told) == (ahead < 0) for row in found)
    assert all(row.ok == row.warning for row in found)


def inventory() -> plan.Inventory:
    hosts = [host for members in FLEET.values() for host in members]
    return plan.parse_inventory(
        {
            "_meta": {"hostvars": {key: {"incident_services": SERVICES} for key in hosts}},
            **{name: {"hosts": members} for name, members in FLEET.items()},
        }
    )


def guards(folder: Path, text: str, *hosts: str) -> list[Finding]:
    (folder / "incidentctl.yml").write_text(text)
    fleet = inventory()
    return readiness._guards(load(folder / "incidentctl.yml"), fleet, hosts or tuple(fleet.hosts))


def test_a_guard_that_would_refuse_a_severity_is_told_in_its_own_words(tmp_path: Path) -> None:
    (found,) = guards(tmp_path, "guards: {max_fraction_changed: 0.5}")
    assert (found.what, found.ok) == ("guards for critical", False)
    told = "3 of the inventory's 5 hosts would be changed, 50% may be: web1, web2, worker1"
    assert found.told == f"would refuse: max_fraction_changed: {told}"
    assert found.fix.endswith("narrow it with --limit, or if it is meant say --override max_fraction_changed")


@pytest.mark.parametrize(("text", "hosts"), [("guards: {max_fraction_changed: 0.8}", ()), ("", ("web1", "worker1"))])
def test_what_no_guard_would_refuse_is_fine(tmp_path: Path, text: str, hosts: tuple[str, ...]) -> None:
    (found,) = guards(tmp_path, text, *hosts)
    assert found.ok, found


def test_every_severity_is_held_against_every_guard(tmp_path: Path) -> None:
    severities = "severities: {critical: {contain: [backup]}, high: {contain: [isolation]}}"
    (found,) = guards(tmp_path, f"{severities}\nguards: {{max_fraction_changed: 1, never_isolate: [work]}}")
    assert (found.what, found.ok, found.warning) == ("guards for high", False, False)
    assert "never_isolate: worker1 must never be isolated, as one of work; last_instance: nothing healthy" in found.told
    assert found.fix.endswith("--override never_isolate --override last_instance")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("severities: {high: {contain: [isolation]}}\nguards: {max_fraction_changed: 1}", "guards for high"),
        ("severities: {critical: {contain: []}}\nmitigate: [isolation]", "guards for mitigate"),
    ],
)
def test_what_only_an_incident_can_tell_is_a_warning(tmp_path: Path, text: str, what: str) -> None:
    (found,) = guards(tmp_path, text)
    assert (found.what, found.ok, found.warning) == (what, True, True)
    assert "--override last_instance" in found.fix


def test_a_mitigation_is_held_against_the_guards_for_one_service_at_a_time(tmp_path: Path) -> None:
    contained = "severities: {critical: {contain: []}}\nguards: {max_fraction_changed: %s}"
    (found,) = guards(tmp_path, contained % 0.5)  # both services run on three of five hosts
    assert (found.what, found.warning) == ("guards", False), found
    (found,) = guards(tmp_path, contained % 0.3)
    assert (found.what, found.warning) == ("guards for mitigate", True)
    assert found.told.endswith("2 of the inventory's 5 hosts would be changed, 30% may be: web1, web2")


def test_a_name_that_protects_nothing_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = guards(tmp_path, "guards: {max_fraction_changed: 1, never_isolate: [wrok, db1, all, work]}")
    assert [(row.what, row.ok) for row in found] == [("guards", False)]
    assert "protects nothing by 'wrok': no host or group has that name (did you mean work?)" in found[0].told


def test_hosts_without_a_service_have_nothing_to_be_refused(tmp_path: Path) -> None:
    (found,) = guards(tmp_path, "", "db1")
    assert found.ok


def of_host(outcome: str, reason: str = "", **own: Any) -> list[Finding]:
    row = HostOutcome("web1", own.pop("capability", "readiness"), outcome, reason, **own)
    return list(readiness._row(row, None))


@pytest.mark.parametrize(
    ("outcome", "reason", "told", "fix"),
    [
        ("unreachable", "Connection timed out", "cannot be reached", "log in"),
        ("failed", "no privilege: Missing sudo password", "no privilege", "sudoers"),
        ("failed", "No start of json char found", "readiness failed", "ansible_python_interpreter"),
    ],
)
def test_why_a_host_cannot_be_acted_on_has_a_way_out(outcome: str, reason: str, told: str, fix: str) -> None:
    (found,) = of_host(outcome, reason)
    assert not found.ok
    assert told in found.told
    assert reason in found.told
    assert fix in found.fix


def test_what_was_not_attempted_has_its_reason_elsewhere() -> None:
    assert of_host("not_attempted", "readiness unreachable there before") == []


def test_a_look_that_went_wrong_says_what_to_do() -> None:
    actions = ({"target": "shop", "outcome": "failed", "summary": "shop: 500"},)
    (found,) = of_host("failed", "shop: 500", capability="health_check", actions=actions)
    assert found.told == "health_check failed: shop: 500"
    assert "mend the service" in found.fix


def test_a_service_of_which_nothing_tells_how_it_is_is_a_warning_and_no_fault() -> None:
    def looked(**services: bool | None) -> dict[str, Any]:
        facts = {"services": {name: {"healthy": healthy} for name, healthy in services.items()}}
        actions = ({"target": "x", "outcome": "failed", "summary": "y"},)
        return {"capability": "health_check", "facts": facts, "actions": actions}

    (found,) = of_host("failed", "y", **looked(bare=None, shop=True))
    assert (found.ok, found.warning, found.told) == (True, True, "nothing tells how bare is")
    (sick,) = of_host("failed", "y", **looked(bare=None, shop=False))
    assert not sick.ok


def test_a_catalogue_that_is_wrong_is_told_once_and_not_for_every_look() -> None:
    reason = "incident_services: shop: unknown key prots (did you mean ports?)"
    actions = ({"target": "incident_services", "outcome": "failed", "summary": reason},)
    rows = [HostOutcome("web1", name, "failed", reason, actions) for name in readiness._LOOKS]
    (found,) = readiness._host("web1", rows, None)
    assert (found.told, found.fix) == (f"readiness failed: {reason}", "correct incident_services")


def test_a_host_without_a_fault_is_told_as_ready_beside_its_warnings() -> None:
    findings = [{"level": "warning", "text": "c", "fix": "d"}]
    rows = [
        HostOutcome("web1", "readiness", "unchanged", facts={"findings": findings}),
        HostOutcome("web1", "backup", "skipped", "no service with data runs on this host"),
    ]
    warned, ready = readiness._host("web1", rows, None)
    assert (warned.warning, ready.ok, ready.told) == (True, True, "reached, read, and could be acted on")


def test_what_the_host_found_is_told_once_a_finding() -> None:
    findings = [{"level": "wrong", "text": "a", "fix": "b"}, {"level": "warning", "text": "c", "fix": "d"}]
    found = of_host("failed", "a. Fix: b", facts={"findings": findings})
    assert found == [Finding("host web1", False, "a", "b"), Finding("host web1", True, "c", "d", warning=True)]


def test_what_must_be_mended_comes_first_and_each_is_named_once() -> None:
    found = [
        Finding("settings", True, "fine"),
        Finding("host web1", True, "disk", "make room", warning=True),
        Finding("host web2", False, "down", "start it"),
        Finding("host web2", False, "late", "set it"),
    ]
    assert wording.readiness(found).splitlines() == [
        "✗ host web2                down",
        "  Fix: start it",
        "✗ host web2                late",
        "  Fix: set it",
        "! host web1                disk",
        "  Fix: make room",
        "✓ settings                 fine",
    ]
    with pytest.raises(NotReady, match=r"^Not ready: host web2\.") as raised:
        readiness.judge(found)
    assert raised.value.exit_code == 11
    readiness.judge(found[:2])
