"""Guards: what each refuses, that nothing goes past them, and that each is lifted only by its own name."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl import engine, gate, guards, here, notify, plan, single, steps, wording
from incidentctl.desk import Desk
from incidentctl.errors import DecisionAwaited, RefusedError, UsageError
from incidentctl.guards import CONTAINED, SICK, SILENT, Known
from incidentctl.hosts import LOCAL, place
from incidentctl.incident import Event, fold
from incidentctl.outcome import Outcome, Step
from incidentctl.phases import decision, investigation, recovery
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import open_record
from incidentctl.report.content import timeline_text
from incidentctl.session import Session
from incidentctl.settings import Guards, load

ONE = "INC-20260101-0000-aaaa"
ALL = Guards(max_hosts_changed=99, max_fraction_changed=1.0)
WEB = ("web1", "web2", "web3")
SHOP = Service("shop", WEB, True, True, (), {"ports": [80], "maintenance": {}})
MAIL = Service("mail", ("web1", "db1"), False, False, (), {"ports": [25]})
SITE = Inventory(
    {"web1": frozenset({"web"}), "web2": frozenset({"web"}), "web3": frozenset({"web"}), "db1": frozenset({"db"})},
    (MAIL, SHOP),
)


def nobody(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


def step(capability: str, *hosts: str, services: tuple[Service, ...] = (SHOP,)) -> PlannedStep:
    return plan.step("contain", (capability,), hosts, services)


def refusals(one: PlannedStep, limits: Guards = ALL, known: Known | None = None) -> dict[str, str]:
    found = guards.refusals((one,), SITE, limits, known or Known())
    return {refusal.guard: refusal.told for refusal in found}


# --- what each refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(("allowed", "expected"), [(2, ["max_hosts_changed"]), (3, [])])
def test_more_hosts_than_allowed(allowed: int, expected: list[str]) -> None:
    found = refusals(step("rate_limit", *WEB), Guards(max_hosts_changed=allowed, max_fraction_changed=1.0))
    assert list(found) == expected
    assert not expected or found["max_hosts_changed"] == f"3 hosts would be changed, {allowed} may be: web1, web2, web3"


@pytest.mark.parametrize(("allowed", "expected"), [(0.7, ["max_fraction_changed"]), (0.75, [])])
def test_a_larger_part_than_allowed(allowed: float, expected: list[str]) -> None:
    found = refusals(step("maintenance_mode", *WEB), Guards(max_fraction_changed=allowed))
    assert list(found) == expected
    assert not expected or "3 of the inventory's 4 hosts would be changed, 70% may be" in found["max_fraction_changed"]


def test_half_of_two_hosts_is_no_blast_radius() -> None:
    two = Inventory({"web1": frozenset(), "web2": frozenset()}, (SHOP,))
    assert guards.refusals((step("rate_limit", "web1", "web2"),), two, Guards(max_fraction_changed=0.5), Known()) == ()


@pytest.mark.parametrize(
    "capability", ["backup", "health_check", "prepare_rollback", "enhanced_monitoring", "rollback"]
)
def test_what_changes_no_host_and_what_recovers_one_after_the_other_is_not_counted(capability: str) -> None:
    assert refusals(step(capability, *WEB), Guards(max_hosts_changed=1, max_fraction_changed=0.1)) == {}


def test_of_a_playbook_of_ones_own_all_hosts_count() -> None:
    own = plan.step("recover", ("/srv/failover.yml",), (*WEB, "db1"), (SHOP,))
    assert (
        "4 hosts would be changed"
        in refusals(own, Guards(max_hosts_changed=3, max_fraction_changed=1.0))["max_hosts_changed"]
    )


@pytest.mark.parametrize("capability", guards.ISOLATING)
@pytest.mark.parametrize(("never", "by"), [("web1", "by its name"), ("web", "as one of web"), ("all", "as one of all")])
def test_what_must_never_be_isolated(capability: str, never: str, by: str) -> None:
    found = refusals(step(capability, "web1"), Guards(max_fraction_changed=1.0, never_isolate=(never,)))
    assert found == {"never_isolate": f"web1 must never be isolated, {by}"}


def test_to_limit_is_not_to_isolate() -> None:
    assert refusals(step("rate_limit", "web1"), Guards(max_fraction_changed=1.0, never_isolate=("web1",))) == {}


@pytest.mark.parametrize(
    ("capability", "expected"),
    [("isolation", ["controller"]), ("quarantine", ["controller"]), ("rate_limit", []), ("maintenance_mode", [])],
)
def test_the_machine_that_this_runs_on(capability: str, expected: list[str]) -> None:
    assert list(refusals(step(capability, "web1"), known=Known(here=frozenset({"web1"})))) == expected


@pytest.mark.parametrize(
    ("hosts", "out", "told"),
    [
        (WEB, {}, "web1, web2, web3 would go"),
        (("web1", "web2"), {}, ""),
        (("web1", "web2"), {("web3", "shop"): SICK}, "web1, web2 would go, web3 is sick"),
        (("web1",), {("web2", "shop"): CONTAINED, ("web3", ""): SILENT}, "web1 would go, web2 is contained already, "),
        (("web2", "web3"), {("web2", "shop"): SICK}, ""),  # web1 was not looked at
        (WEB, {("web1", "shop"): SICK}, "web2, web3 would go, web1 is sick"),
        (WEB, dict.fromkeys([(host, "shop") for host in WEB], SICK), ""),  # nothing is left to lose
        (WEB, dict.fromkeys([(host, "mail") for host in WEB], SICK), "web1, web2, web3 would go"),
        (WEB, dict.fromkeys([(host, "") for host in WEB], SILENT), "web1, web2, web3 would go"),  # may well serve
    ],
)
def test_an_essential_service_keeps_an_instance_that_is_not_known_to_be_gone(
    hosts: tuple[str, ...], out: dict[tuple[str, str], str], told: str
) -> None:
    found = refusals(step("isolation", *hosts), known=Known(out=out))
    assert list(found) == (["last_instance"] if told else [])
    assert told in found.get("last_instance", "")


def test_what_is_not_essential_may_go_altogether() -> None:
    assert refusals(step("isolation", "web1", "db1", services=(MAIL,))) == {}
    assert refusals(step("isolation", *WEB, services=(MAIL,))) == {}


def test_a_host_that_is_cut_off_takes_every_service_with_it() -> None:
    whole = step("quarantine", "web1", "db1", services=(MAIL,))
    assert refusals(whole) == {}
    assert (
        "web1 would go, web2 is sick"
        in refusals(whole, known=Known(out={("web2", "shop"): SICK, ("web3", ""): SILENT}))["last_instance"]
    )


@pytest.mark.parametrize("capability", guards.ROLLING)
@pytest.mark.parametrize(
    ("hosts", "out", "told"),
    [
        (WEB, {}, ""),  # one after the other: two serve while one restarts
        (WEB, {("web2", "shop"): SICK, ("web3", "shop"): SICK}, ""),  # the sick ones come first
        (("web1",), {("web2", "shop"): SICK, ("web3", "shop"): SICK}, "web1 has the only instance of shop that serves"),
        (("web1",), {("web2", "shop"): SICK}, ""),  # web3 serves
        (("web1", "web2"), {("web2", ""): SILENT, ("web3", "shop"): CONTAINED}, "web1 has the only instance"),
        (("web2",), {("web2", "shop"): SICK}, ""),
        (WEB, dict.fromkeys([(host, "shop") for host in WEB], SICK), ""),
    ],
)
def test_what_restarts_one_host_after_the_other_leaves_one_that_serves(
    capability: str, hosts: tuple[str, ...], out: dict[tuple[str, str], str], told: str
) -> None:
    targets = tuple((host, capability, "shop") for host in hosts)
    found = refusals(PlannedStep("recover", (capability,), hosts, targets), known=Known(out=out))
    assert list(found) == (["last_instance"] if told else [])
    assert found.get("last_instance", "").startswith(told)


def test_the_only_instance_that_there_is_may_be_rolled_back() -> None:
    alone = Inventory({"web1": frozenset()}, (replace(SHOP, hosts=("web1",)),))
    one = PlannedStep("recover", ("rollback",), ("web1",), (("web1", "rollback", "shop"),))
    assert guards.refusals((one,), alone, ALL, Known()) == ()


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (None, "shop goes back across a schema change, and its data is in no verified backup (web1); it may be 24 h"),
        (
            "2025-12-31T20:00:00+00:00",
            "shop goes back across a schema change, and its data was last in a verified backup 28 h ago",
        ),
        ("2026-01-01T01:00:00+00:00", ""),
    ],
)
def test_no_rollback_across_a_schema_change_without_a_young_backup(at: str | None, told: str) -> None:
    known = Known(backups={("web1", "shop"): at}, now=NOW)
    back = PlannedStep("recover", ("rollback",), WEB, tuple((host, "rollback", "shop") for host in WEB))
    assert refusals(back, known=known).get("stale_backup", "").startswith(told)
    assert list(refusals(back, known=known)) == (["stale_backup"] if told else [])
    assert refusals(replace(back, targets=(("web1", "hotfix", "shop"),)), known=known) == {}


@pytest.mark.parametrize(
    ("state", "declared", "counts"),
    [
        ("none", True, False),
        ("compatible", False, True),
        ("breaking", True, True),
        ("unknown", True, True),
        ("unknown", False, False),
    ],
)
def test_a_schema_change_is_what_the_migrations_say_and_where_none_are_declared_none_is_known(
    state: str, declared: bool, counts: bool
) -> None:
    releases = {"migrations": "migrations/"} if declared else {}
    site = Inventory({"web1": frozenset()}, (replace(SHOP, hosts=("web1",), spec={"releases": releases}),))
    facts = {"services": {"shop": {"feasible": True, "schema": {"state": state}, "backed_up_at": "then"}}}
    rows = [{"host": "web1", "capability": "prepare_rollback", "facts": facts}]
    assert guards.across_a_schema_change(rows, site) == ({("web1", "shop"): "then"} if counts else {})


OLD = "2020-01-01T00:00:00+00:00"
BREAKING = {"feasible": True, "schema": {"state": "breaking"}}


@pytest.mark.parametrize(
    ("facts", "made"),
    [
        ({**BREAKING, "backed_up_at": at}, made)
        for at in ("garbage", "2026-01-01T00:00:00", 5, ["x"], None, (NOW + timedelta(days=400)).isoformat())
        for made in (None, "x", [], [5], [{"verified": True, "at": 5}], [{"verified": True, "at": OLD}, 5])
    ],
)  # fmt: skip
def test_a_backup_of_which_a_host_does_not_say_when_it_was_made_is_none(facts: Any, made: Any) -> None:
    with at_desk() as desk:
        for capability, told in (("prepare_rollback", facts), ("backup", made)):
            row = {"phase": "contain", "host": "web1", "capability": capability, "outcome": "done"}
            desk.note("host_outcome", **row, facts={"services": {"shop": told}})
        step = PlannedStep("recover", ("rollback",), WEB, (("web1", "rollback", "shop"),))
        with pytest.raises(RefusedError, match="stale_backup"):
            gate.admit(desk, step)


@pytest.mark.parametrize("facts", ["x", 5, [1], {"feasible": True, "schema": "x"}, {"feasible": True, "schema": [1]}])
def test_what_a_host_says_of_a_rollback_may_have_any_shape(facts: Any) -> None:
    row = {"host": "web1", "capability": "prepare_rollback", "facts": {"services": {"shop": facts}}}
    assert guards.across_a_schema_change([row], SITE) == {}


def test_a_backup_counts_when_all_data_of_a_service_was_verified_and_as_old_as_its_oldest_item() -> None:
    def row(*items: tuple[str, bool]) -> dict[str, Any]:
        told = [{"at": at, "verified": well} for at, well in items]
        return {"host": "web1", "capability": "backup", "facts": {"services": {"shop": told}}}

    assert guards.backed_up([row(("2", True), ("1", True))]) == {("web1", "shop"): "1"}
    assert guards.backed_up([row(("2", True), ("1", False))]) == {}
    assert guards.backed_up([row()]) == {}


def test_a_source_by_which_most_users_come_is_not_limited_unless_the_guard_is_named() -> None:
    told = "10.0.0.5 holds 41% of the 120 connections to port 80, as a proxy does"
    with at_desk() as desk:
        plans = {"mitigate": {"hash": "…", "rows": [], "proxies": [["web1", "shop", told]]}}
        desk.note("planned", plans=plans)
        limit = step("rate_limit", *WEB)
        with pytest.raises(RefusedError, match="refused by the guard proxy") as caught:
            steps.run_step(desk, limit, {})
        assert caught.value.why.startswith(
            f"proxy: web1: {told}: if it attacks, override this guard; if it is a load balancer, "
        )
        with pytest.raises(Reached):
            steps.run_step(replace(desk, override=("proxy",)), limit, {})
        assert gate.limited_all_the_same(desk, limit) == {"web1": ["shop"]}, "the host would still refuse it"


def test_a_guard_that_was_named_for_one_host_is_named_for_no_other() -> None:
    told = "10.0.0.5 holds 41% of the 120 connections to port 80, as a proxy does"
    seen = [{"host": host, "capability": "rate_limit", "target": "shop"} for host in ("web1", "web2")]
    with at_desk() as desk:
        limit, named = step("rate_limit", *WEB), replace(desk, override=("proxy",))
        assert gate.limited_all_the_same(desk, limit) == {}
        desk.note("planned", plans={"mitigate": {"hash": "…", "rows": seen, "proxies": [["web1", "shop", told]]}})
        gate.admit(named, limit)
        assert gate.limited_all_the_same(desk, limit) == {"web1": ["shop"]}
        assert gate.limited_all_the_same(named, limit) == {"web1": ["shop"], "web3": ["shop"]}, "nobody looked at web3"
        assert gate.limited_all_the_same(desk, step("isolation", *WEB)) == {}


def test_hosts_are_told_for_which_services_a_proxy_may_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_desk() as desk:
        limit = step("rate_limit", *WEB)
        desk.note("overridden", guard="proxy", told="…", targets=[["web1", "rate_limit", "shop"]])
        given = steps._of(desk, limit, WEB, {}).variables
    assert given["rate_limit_allow_proxy_of"] == {"web1": ["shop"]}
    assert "rate_limit_allow_proxy" not in given


def test_all_that_refuse_are_told_at_once_with_both_ways_out() -> None:
    found = guards.refusals(
        (
            step("isolation", *WEB),
            step("rate_limit", *WEB),
            PlannedStep("recover", ("rollback",), WEB, (("web1", "rollback", "shop"),)),
        ),
        SITE,
        Guards(max_hosts_changed=1, never_isolate=("web2",)),
        Known(
            frozenset({"web3"}), backups={("web1", "shop"): None}, proxies={("web1", "shop"): "by one source"}, now=NOW
        ),
    )
    assert [refusal.guard for refusal in found] == list(guards.NAMES)
    error = guards.refused(
        found, "INC-1: contain", "incidentctl resume INC-1 --limit HOSTS", "incidentctl resume INC-1"
    )
    assert error.exit_code == 15
    assert error.what.startswith("INC-1: contain is refused by the guards max_hosts_changed, max_fraction_changed, ")
    assert [line.split(":")[0] for line in error.why.splitlines()] == list(guards.NAMES)
    assert "incidentctl resume INC-1 --limit HOSTS; or" in error.fix
    assert error.fix.endswith(f"incidentctl resume INC-1 {' '.join(f'--override {name}' for name in guards.NAMES)}")


def test_a_long_list_is_cut() -> None:
    many = tuple(f"h{number:02}" for number in range(30))
    site = Inventory(dict.fromkeys(many, frozenset[str]()), (Service("x", many, True, True, (), {"ports": [1]}),))
    (told, _) = guards.refusals((plan.step("contain", ("rate_limit",), many, site.services),), site, Guards(), Known())
    assert told.told.endswith("h06, h07 and 22 more")


def test_a_guard_that_there_is_not_is_told_with_the_nearest() -> None:
    assert guards.known_names(["controller", "last_instance"]) == ("controller", "last_instance")
    with pytest.raises(UsageError, match=r"'last_instence' \(did you mean last_instance\?\)") as caught:
        guards.known_names(["controller", "last_instence"])
    assert caught.value.fix == f"choose from: {', '.join(guards.NAMES)}"


# --- what is known of the hosts ------------------------------------------------------------------


def event(number: int, kind: str, **data: Any) -> Event:
    return Event(ONE, number, f"2026-01-01T00:00:{number:02}.000+00:00", "ann", kind, data, "", "")


def looked(number: int, host: str, healthy: bool | None, outcome: str = "done") -> Event:
    facts = {"services": {"shop": {"healthy": healthy}}}
    return event(number, "host_outcome", host=host, capability="health_check", outcome=outcome, facts=facts)


def test_the_newest_look_at_an_instance_counts() -> None:
    silent = event(3, "host_outcome", host="web3", capability="health_check", outcome="unreachable", facts={})
    events = [looked(1, "web1", False), looked(2, "web2", True), silent]
    assert guards.out(events) == {("web1", "shop"): SICK, ("web3", ""): SILENT}
    events += [looked(4, "web1", True), looked(5, "web2", False, "failed"), looked(6, "web3", None)]
    assert guards.out(events) == {("web2", "shop"): SICK}


def test_what_is_contained_does_not_serve_until_it_is_lifted() -> None:
    entry = {"host": "web1", "capability": "isolation", "entry": "000001-isolation-shop", "target": "shop"}
    limited = {"host": "web2", "capability": "rate_limit", "entry": "000001-rate_limit-shop", "target": "shop"}
    cut_off = {"host": "web3", "capability": "quarantine", "entry": "000001-quarantine-host", "target": "host"}
    events = [event(n, "containment_applied", **row) for n, row in enumerate([entry, limited, cut_off])]
    assert guards.out(events) == {("web1", "shop"): CONTAINED, ("web3", ""): CONTAINED}
    assert guards.out([*events, event(9, "containment_lifted", **entry)]) == {("web3", ""): CONTAINED}


@pytest.mark.parametrize(
    "row",
    [{}, {"facts": None}, {"facts": {"services": []}}, {"facts": {"services": {"shop": None}}, "outcome": "done"}],
)
def test_whatever_a_look_left_in_the_record_is_read(row: dict[str, Any]) -> None:
    odd = event(1, "host_outcome", host="web1", capability="health_check", **row)
    assert set(guards.out([odd]).values()) <= {SILENT}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "web1"),
        ({"ansible_connection": "local", "ansible_host": "10.0.0.9"}, LOCAL),
        ({"ansible_connection": "ansible.builtin.local"}, LOCAL),
        ({"ansible_connection": "ansible.builtin.ssh", "ansible_host": "127.0.0.1"}, "127.0.0.1"),
        ({"ansible_host": "[FD00:0::1]", "ansible_port": 2222}, "fd00::1"),
        ({"ansible_host": "Shop.Example."}, "shop.example"),
        ({"ansible_host": "127.0.0.1", "ansible_ssh_common_args": "-o StrictHostKeyChecking=no"}, "127.0.0.1"),
        ({"ansible_host": "127.0.0.1", "ansible_ssh_common_args": "-J gate"}, ""),
        ({"ansible_host": "127.0.0.1", "ansible_ssh_extra_args": "-o ProxyCommand='ssh -W %h:%p gate'"}, ""),
        ({"ansible_connection": "containers.podman.podman"}, ""),
        ({"ansible_host": "{{ inventory_hostname }}.lan"}, ""),
    ],
)
def test_where_a_connection_goes(variables: dict[str, Any], expected: str) -> None:
    assert place("web1", variables) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (LOCAL, True), ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", True),  # noqa: S104
        ("", False), ("192.0.2.7", False), ("2001:db8::7", False), ("no such name", False), ("a" * 300, False),
    ],
)  # fmt: skip
def test_a_place_is_this_machine_if_it_has_that_address(where: str, expected: bool) -> None:
    assert here.hosts_here(["web1"], {"web1": where}) == ({"web1"} if expected else set())


def test_names_are_looked_up_beside_each_other_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415 - only here

    never, asked = threading.Event(), []
    resolve = here.socket.getaddrinfo

    def slow(name: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(name)
        if name.startswith("slow"):
            never.wait()
        return resolve(name, *args, **kwargs)

    monkeypatch.setattr(here.socket, "getaddrinfo", slow)
    monkeypatch.setattr(here, "PATIENCE_S", 0.2)
    places = {"web1": "slow1", "web2": "slow2", "web3": "127.0.0.1"}
    assert here.hosts_here(places, places) == {"web3"}
    assert sorted(asked) == ["127.0.0.1", "slow1", "slow2"]
    never.set()


# --- nothing goes past them ----------------------------------------------------------------------


class Reached(Exception):
    """The engine was given something to do."""


@contextmanager
def at_desk(limits: Guards = ALL, inventory: Inventory = SITE, **own: Any) -> Iterator[Desk]:
    """An incident of the shop, triaged, every way to the engine watched."""
    with tempfile.TemporaryDirectory() as folder, open_record(f"sqlite:///{folder}/record.db") as record:
        written = Path(folder) / "incidentctl.yml"
        written.write_text(json.dumps({"state_dir": folder, "guards": limits.model_dump(), **own}))
        policy = load(written)
        facts = {"services": ["shop"], "affected": ["shop"], "hosts": list(WEB), "severity": "high", "title": "x"}
        record.append(ONE, "declared", facts, "ann")
        try:
            yield Desk(ONE, record, policy, inventory, (), "ann", nobody, nobody)
        finally:
            notify.wait()  # what is on its way writes to the record


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(step: Step, *_args: Any, **_kwargs: Any) -> Outcome:
        if step.phase == "check":  # a look at what would be done
            return Outcome(step, (), 0.0)
        raise Reached

    monkeypatch.setattr(engine, "run", run)


sites = st.builds(
    lambda sizes, essential, local: (sizes, essential, local),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.booleans(),
)
limits = st.builds(
    Guards,
    max_hosts_changed=st.integers(1, 6),
    max_fraction_changed=st.sampled_from([0.2, 0.5, 1.0]),
    never_isolate=st.lists(st.sampled_from(["h0", "h1", "g0", "g1"]), max_size=2).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(
    site=sites,
    limits=limits,
    names=st.lists(st.sampled_from(sorted({*plan.CONTAINMENTS, "health_check"})), min_size=1, max_size=3, unique=True),
    named=st.sets(st.sampled_from(guards.NAMES)),
    rolling=st.booleans(),
)
def test_what_any_guard_refuses_never_reaches_the_engine_and_each_name_lifts_its_own(
    site: tuple[list[int], list[bool], bool], limits: Guards, names: list[str], named: set[str], rolling: bool
) -> None:
    sizes, essential, local = site
    hosts = {f"h{i}": f"g{g}" for i, g in enumerate(g for g, size in enumerate(sizes) for _ in range(size))}
    everything = {"ports": [1], "maintenance": {}, "circuit_breakers": [], "releases": {}, "data": []}
    services = tuple(
        Service(f"s{g}", tuple(h for h, of in hosts.items() if of == f"g{g}"), essential[g], True, (), everything)
        for g in range(len(sizes))
    )
    inventory = Inventory(
        {host: frozenset({group}) for host, group in hosts.items()}, services, places={"h0": LOCAL} if local else {}
    )
    with at_desk(limits, inventory) as desk:
        meant = plan.step("contain", names, tuple(hosts), services)
        refused = {refusal.guard for refusal in gate.refusals(desk.settings, inventory, desk.record, (meant,))}
        asked = replace(desk, override=tuple(named))
        try:
            (steps.run_rolling if rolling else steps.run_step)(asked, meant, {})
            raise AssertionError("neither refused nor reached")
        except RefusedError as error:
            told = {line.split(":")[0] for line in error.why.splitlines()}
            assert told == refused - named
            assert told
            assert [e.kind for e in desk.record.events(ONE)] == ["declared"]
        except Reached:
            assert refused <= named
            kept = {row["guard"] for row in desk.incident().overrides}
            assert kept == refused  # what was not needed is not claimed to have been overridden
            with pytest.raises(Reached):  # cut off; whoever goes on need not say it again
                steps.run_step(desk, meant, {})
            assert len(desk.incident().overrides) == len(kept)


@pytest.mark.parametrize("rolling", [False, True])
def test_an_override_is_for_these_targets_until_they_are_lifted(rolling: bool) -> None:
    run = steps.run_rolling if rolling else steps.run_step
    less, more = step("isolation", "web1", "web2"), step("isolation", *WEB)
    with at_desk(ALL.model_copy(update={"never_isolate": ("web",)})) as desk:
        with pytest.raises(Reached):
            run(replace(desk, override=("never_isolate",)), less, {})
        with pytest.raises(Reached):
            run(desk, step("isolation", "web2"), {})
        with pytest.raises(RefusedError, match="never_isolate, last_instance"):
            run(desk, more, {})
        with pytest.raises(RefusedError, match="never_isolate"):
            run(desk, step("quarantine", "web1"), {})
        desk.note("step_started", phase="lift", capabilities=["lift"], hosts=list(WEB))
        with pytest.raises(RefusedError, match="never_isolate"):
            run(desk, less, {})


def test_an_override_is_in_the_timeline_with_who_it_was() -> None:
    with at_desk(ALL.model_copy(update={"never_isolate": ("web1",)})) as desk:
        with pytest.raises(Reached):
            steps.run_step(replace(desk, override=("never_isolate", "controller")), step("isolation", "web1"), {})
        (said,) = [e for e in desk.record.events(ONE) if e.kind == "overridden"]
    assert said.actor == "ann"
    assert timeline_text(said) == "guard never_isolate overridden: web1 must never be isolated, by its name"


def test_a_containment_is_refused_before_anybody_is_asked_for_a_yes() -> None:
    policy = {"severities": {"high": {"contain": ["isolation"]}}}
    asked: list[str] = []
    with at_desk(Guards(max_fraction_changed=0.5), **policy) as found:
        desk = replace(found, ask=lambda question, **_facts: asked.append(question))
        with pytest.raises(RefusedError) as caught:
            investigation.contain(desk)
        assert (
            caught.value.what
            == f"{ONE}: contain is refused by the guards max_fraction_changed, last_instance: nothing of it was done."
        )
        assert f"incidentctl resume {ONE} --override max_fraction_changed --override last_instance" in caught.value.fix
        assert asked == []
        with pytest.raises(DecisionAwaited):  # who named them has answered that, whatever comes of the question
            investigation.contain(replace(desk, override=("last_instance", "max_fraction_changed")))
        assert asked == ["contain"]
        assert [row["guard"] for row in desk.incident().overrides] == ["max_fraction_changed", "last_instance"]
        with pytest.raises(Reached):
            investigation.contain(replace(desk, contain_approved=True))


@pytest.mark.parametrize(
    ("contain", "expected"),
    [(["prepare_rollback"], []), (["prepare_rollback", "backup"], ["contain"]), (["enhanced_monitoring"], ["contain"])],
)
def test_nobody_is_asked_for_what_only_reads(contain: list[str], expected: list[str]) -> None:
    asked: list[str] = []
    with at_desk(**{"severities": {"high": {"contain": contain}}}) as desk, pytest.raises((Reached, DecisionAwaited)):
        investigation.contain(replace(desk, ask=lambda question, **_facts: asked.append(question)))
    assert asked == expected


def at_question(desk: Desk) -> Desk:
    """The same desk, with the options weighed and the question put."""
    decision.assess(desk)
    with pytest.raises(DecisionAwaited):
        decision.decide(desk)
    return desk


@pytest.mark.parametrize("way", ["decide", "--option", "typed"])
def test_a_mitigation_is_refused_before_it_is_decided(way: str) -> None:
    with at_desk(Guards(max_hosts_changed=2, max_fraction_changed=1.0), mitigate=["rate_limit"]) as desk:
        at_question(desk)

        def answer(at: Desk) -> None:
            if way == "decide":
                decision.answer(at, "mitigate")
            elif way == "--option":
                decision.decide(replace(at, option="mitigate"))
            else:
                decision.decide(replace(at, ask=lambda *_words, **_facts: "mitigate"))

        with pytest.raises(RefusedError, match="refused by the guard max_hosts_changed") as caught:
            answer(desk)
        assert f"incidentctl resume {ONE} --option mitigate --override max_hosts_changed" in caught.value.fix
        assert desk.incident().decision is None
        answer(replace(desk, override=("max_hosts_changed",)))
        assert desk.incident().decision is not None
        with pytest.raises(Reached):  # whoever carries it out: the record says that it may be done
            recovery.recover(desk)


def test_one_that_was_decided_and_is_not_overridden_is_not_carried_out_and_nobody_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "tell", lambda _desk, about: pytest.fail(f"{about} was told"))
    with at_desk(Guards(max_hosts_changed=2, max_fraction_changed=1.0), mitigate=["rate_limit"]) as desk:
        at_question(desk)
        desk.note("decided", option="mitigate")
        with pytest.raises(RefusedError, match="recover is refused by the guard max_hosts_changed"):
            recovery.recover(desk)


def test_an_answer_that_does_not_count_overrides_nothing() -> None:
    with at_desk(Guards(max_hosts_changed=2, max_fraction_changed=1.0), mitigate=["rate_limit"]) as desk:
        at_question(desk)
        desk.note("decided", option="hotfix")
        with pytest.raises(Exception, match="decided hotfix"):
            decision.answer(replace(desk, override=("max_hosts_changed",)), "mitigate")
        assert desk.incident().overrides == ()


def test_a_playbook_of_ones_own_counts_and_waits_for_its_name(tmp_path: Path) -> None:
    (tmp_path / "failover.yml").write_text("[]")
    own = {"custom_playbooks": {"failover": str(tmp_path / "failover.yml")}}
    with at_desk(Guards(max_hosts_changed=2, max_fraction_changed=1.0), **own) as desk:
        at_question(desk)
        with pytest.raises(UsageError, match="Which playbook"):
            decision.answer(desk, "custom")
        with pytest.raises(RefusedError) as caught:
            decision.answer(desk, "custom", "failover")
        assert (
            f"incidentctl resume {ONE} --option custom --playbook failover --override max_hosts_changed"
            in caught.value.fix
        )


# --- play, plan ----------------------------------------------------------------------------------


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(Session, "hosts", lambda _self: SITE)
    with at_desk(Guards(max_fraction_changed=0.5, never_isolate=("web2",))) as desk:
        yield Session(desk.settings, desk.record, "ann", ("hosts",))


def test_lift_takes_no_service_for_it_would_take_back_all(session: Session) -> None:
    with pytest.raises(UsageError, match="not by service") as caught:
        single.by_hand(session, single.Play("lift", services=("shop",)), nobody)
    assert "--only" in caught.value.fix


def test_a_play_is_refused_unless_each_guard_is_named(session: Session) -> None:
    meant = single.Play("isolation", ("shop",))
    with pytest.raises(RefusedError) as caught:
        single.by_hand(session, meant, nobody)
    assert caught.value.what.startswith(
        "isolation is refused by the guards max_fraction_changed, never_isolate, last_instance"
    )
    with pytest.raises(RefusedError, match="guards never_isolate, last_instance"):
        single.by_hand(session, replace(meant, override=("max_fraction_changed",)), nobody)
    said: list[str] = []
    with pytest.raises(Reached):
        single.by_hand(
            session,
            replace(meant, override=("last_instance", "never_isolate", "max_fraction_changed")),
            lambda _kind, text="", **_facts: said.append(text),
        )
    overridden = [text.partition(" is overridden: ")[0] for text in said if " is overridden: " in text]
    assert overridden == ["max_fraction_changed", "never_isolate", "last_instance"]
    with pytest.raises(Reached):
        single.by_hand(session, replace(meant, limit="web1"), nobody)


def test_by_hand_it_is_known_what_open_incidents_saw_and_contained(session: Session) -> None:
    meant = single.Play("isolation", ("shop",), limit="web1")
    for host in ("web2", "web3"):
        row = looked(0, host, False)
        session.record.append(ONE, row.kind, row.data, "ann")
    with pytest.raises(RefusedError, match="last_instance") as caught:
        single.by_hand(session, meant, nobody)
    assert "web1 would go, web2 is sick, web3 is sick" in caught.value.why
    session.record.append(ONE, "closed", {}, "ann")
    with pytest.raises(Reached):
        single.by_hand(session, meant, nobody)


def test_a_look_is_not_refused_and_says_what_would_be(session: Session) -> None:
    said: list[str] = []
    with pytest.raises(Reached):
        single.by_hand(
            session,
            single.Play("isolation", ("shop",), limit="web2", check=True),
            lambda _kind, text="", **_facts: said.append(text),
        )
    assert said[0] == (
        "Without --check it would be refused by never_isolate (--override never_isolate): "
        "web2 must never be isolated, by its name."
    )


def test_a_play_within_an_incident_is_refused_before_it_is_held(session: Session) -> None:
    desk = Desk(ONE, session.record, session.settings, SITE, (), "ann", nobody, nobody)
    with pytest.raises(RefusedError, match="never_isolate"):
        single.within(desk, single.Play("isolation", ("shop",), limit="web2"))
    assert [e.kind for e in session.record.events(ONE)] == ["declared"]
    with pytest.raises(Reached):
        single.within(desk, single.Play("isolation", ("shop",), limit="web2", override=("never_isolate",)))
    kinds = [e.kind for e in session.record.events(ONE)]
    assert kinds == ["declared", "locked", "overridden", "step_started", "unlocked"]


def test_a_plan_says_which_guards_refuse_it_and_how_to_have_it_all_the_same() -> None:
    made = plan.make("critical", ("isolation",), WEB, (SHOP,))
    found = guards.refusals(made.steps, SITE, ALL, Known())
    lines = wording.plan(made, found).splitlines()
    assert lines[-2].startswith("  Refused by the guard last_instance: nothing healthy of shop, which is essential")
    assert (
        lines[-1] == "  Fix: narrow it with --limit or --service; or, if just that is meant: --override last_instance"
    )


def test_a_reopened_incident_begins_without_overrides() -> None:
    declared = event(1, "declared", severity="high")
    said = event(2, "overridden", guard="controller", told="x", targets=[["web1", "isolation", "shop"]])
    assert len(fold([declared, said]).overrides) == 1
    assert fold([declared, said, event(3, "reopened")]).overrides == ()
