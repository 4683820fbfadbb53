"""Who depends on whom, and of all that fails the deepest; circles and hosts that see it differently included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from incidentctl.dependencies import Root, failing
from incidentctl.dependency_graph import Graph, graph
from incidentctl.plan import Service


def service(name: str, *needs: str | Mapping[str, Any], hosts: tuple[str, ...] = (), **more: Any) -> Service:
    depends_on = [{"name": n, "check": f"tcp://{n}:1"} if isinstance(n, str) else dict(n) for n in needs]
    user_facing = more.pop("user_facing", False)
    return Service(name, hosts or (f"{name}1",), True, user_facing, (), {"depends_on": depends_on, **more})


def health(healthy: bool | None = True, **needs: Any) -> dict[str, Any]:
    """Return a service's health; of each dependency whether it is fine, or what was found out about it."""
    asked = [
        {"name": name, **({"ok": told, "detail": "x"} if isinstance(told, bool) else told)}
        for name, told in needs.items()
    ]
    return {"healthy": healthy, "detail": "200" if healthy else "500", "depends_on": asked}


def found(services: tuple[Service, ...], **hosts: dict[str, Any]) -> tuple[Root, ...]:
    return failing(graph(services), {host: {"services": told} for host, told in hosts.items()})


SHOP = (
    service("shop", "orders", hosts=("web1", "web2"), user_facing=True),
    service("orders", "database", "payments", hosts=("app1",)),
    service("database", hosts=("db1",)),
    service("reports", "database", hosts=("app2",)),
)


def needs(made: Graph) -> dict[str, list[str]]:
    return {name: sorted(needed) for name, needed in made.needs.items() if needed}


def test_what_fails_deepest_is_the_root_and_what_is_above_it_only_suffers() -> None:
    (root,) = found(
        SHOP,
        web1={"shop": health(False, orders=False)},
        web2={"shop": health(False, orders=False)},
        app1={"orders": health(False, database=False, payments=True)},
        app2={"reports": health(True, database=False)},
        db1={"database": health(False)},
    )
    assert root.services == ("database",)
    assert (root.depth, root.downstream, root.suffering) == (2, ("shop", "orders", "reports"), ("shop", "orders"))
    assert (root.fails_on, root.fails_from) == (("db1",), ("app1", "app2"))
    assert root.text == "database: fails from app1, app2; not well on db1"


def test_a_root_is_told_with_why_and_who_suffers_and_who_is_still_well() -> None:
    refused = {"ok": False, "detail": "Connection \x1b[31mrefused", "failing": "connect"}
    (root,) = found(SHOP, app1={"orders": health(False, database=refused)}, app2={"reports": health(database=refused)})
    assert root.told() == (
        "database: Connection \\x1b[31mrefused; fails from app1, app2; above it: shop (well), orders, reports (well)"
    )
    many = [service(f"s{n}", "database") for n in range(9)]
    (root,) = found((*many, SHOP[2]), s11={"s1": health(database=False)})
    assert root.told().endswith("above it: s0 (well), s1 (well), s2 (well), s3 (well) and 5 more")


def test_two_that_have_nothing_to_do_with_each_other_are_two_roots_the_deeper_one_first() -> None:
    services = (*SHOP, service("mail"))
    roots = found(services, app1={"orders": health(database=False)}, mail1={"mail": health(False)})
    assert [(root.nodes[0].label, root.depth) for root in roots] == [("database", 2), ("mail", 0)]


def test_something_outside_of_the_catalogue_can_be_the_root() -> None:
    payments = {"ok": False, "detail": "no answer within 3 s", "failing": "connect"}
    (root,) = found(SHOP, app1={"orders": health(False, database=True, payments=payments)})
    assert (root.nodes[0].label, root.services, root.failing) == ("payments", (), "connect")
    assert root.details == ("no answer within 3 s",)


def test_what_fails_from_some_hosts_and_is_fine_from_others_points_at_the_network_between() -> None:
    services = (service("shop", "database", hosts=("web1", "web2", "worker1")), service("database", hosts=("db1",)))
    refused = {"ok": False, "failing": "connect", "detail": "no answer within 3 s"}
    bad, good = {"shop": health(database=refused)}, {"shop": health(database=True)}
    (root,) = found(services, web1=bad, web2=bad, worker1=good, db1={"database": health()})
    assert (root.fails_from, root.fine_from, root.fine_on) == (("web1", "web2"), ("worker1",), ("db1",))
    assert root.text == (
        "database: fails from web1, web2, fine from worker1; well on db1 itself; look at the network between them"
    )
    full = {"shop": health(database={**refused, "failing": "answer", "detail": "too many clients"})}
    (root,) = found(services, web1=full, worker1=good, db1={"database": health()})
    assert root.text == "database: fails from web1, fine from worker1; well on db1 itself"


def test_services_that_wait_for_each_other_are_one_root() -> None:
    services = (service("a", "b"), service("b", "a"), service("front", "a", user_facing=True), service("c", "c"))
    roots = found(
        services,
        a1={"a": health(False, b=False)},
        b1={"b": health(False, a=False)},
        c1={"c": health(False, c=False)},
        front1={"front": health(False, a=False)},
    )
    assert [root.services for root in roots] == [("a", "b"), ("c",)]
    assert roots[0].text.startswith("a and b (they wait for each other): fails from")
    assert (roots[0].depth, roots[0].suffering) == (1, ("front",))


def test_in_a_circle_the_one_that_alone_fails_is_the_root() -> None:
    services = (service("a", "b"), service("b", "a"))
    (root,) = found(services, a1={"a": health(True, b=False)}, b1={"b": health(False, a=True)})
    assert root.services == ("b",)


def test_nobody_knows_how_the_one_between_is_so_what_is_below_it_explains_what_is_above() -> None:
    services = (service("shop", "queue"), service("queue", "database"), service("database"))
    (root,) = found(services, shop1={"shop": health(False)}, database1={"database": health(False)})
    assert root.services == ("database",)
    roots = found(
        services, shop1={"shop": health(False, queue=True)}, queue1={"queue": health(database=False)}
    )  # it copes
    assert {root.services for root in roots} == {("shop",), ("database",)}


def test_name_that_does_not_resolve_is_the_root_and_not_what_it_stands_for() -> None:
    dns = {"ok": False, "failing": "dns", "host": "db.internal", "detail": "does not resolve", "resolver": "nxdomain"}
    (root,) = found(SHOP, app1={"orders": health(False, database=dns)}, app2={"reports": health(database=dns)})
    assert (root.nodes[0].label, root.services) == ("the name db.internal", ())
    assert root.suffering == ("orders",)


def test_resolvers_that_do_not_answer_are_one_root_for_all_names() -> None:
    names = [
        {"ok": False, "failing": "dns", "host": host, "detail": "silent", "resolver": "silent"}
        for host in ("db", "pay")
    ]
    (root,) = found(SHOP, app1={"orders": health(False, database=names[0], payments=names[1])})
    assert root.nodes[0].label == "name resolution"


def test_who_resolves_names_is_the_root_if_it_is_sick_itself_and_not_if_others_are_served() -> None:
    ask = {"name": "names", "check": "dns://db.internal"}
    services = (service("app", ask, "database", hosts=("app1", "app2")), service("database"), service("names"))
    entry = {
        **ask,
        "host": "db.internal",
        "ok": False,
        "failing": "dns",
        "resolver": "silent",
        "detail": "resolver x is silent",
    }
    bad = {"app": health(False, names=entry, database={**entry, "check": "tcp://db.internal:1"})}
    good = {"app": health(names={**entry, "ok": True, "failing": None, "resolver": None}, database=True)}
    (root,) = found(services, app1=bad, app2=bad, names1={"names": health(False)})
    assert (root.services, root.suffering) == (("names",), ("app",))
    (root,) = found(services, app1=bad, app2=good, names1={"names": health()})
    assert root.text == "name resolution: fails from app1, fine from app2; look at /etc/resolv.conf there"
    assert root.failing == "dns"


def test_what_the_incident_itself_stopped_is_told_as_that_and_last() -> None:
    finding = {"kind": "contained", "service": "database", "about": {"by": "isolation"}}
    facts = {
        "db1": {"services": {"database": health(False)}, "findings": [finding]},
        "app2": {"services": {"reports": health(False)}},
        "app1": {"services": {"orders": health(False, database=False)}},
        "web1": {"services": {"shop": health(False)}},
    }
    roots = failing(graph(SHOP), facts)
    assert [root.contained_by for root in roots] == ["isolation"]  # reports and orders suffer from it
    assert roots[0].text == "database: stopped by isolation of this incident"
    assert set(roots[0].suffering) == {"reports", "orders", "shop"}


def test_dependency_is_a_service_by_its_own_word_by_its_name_and_by_its_host_and_port() -> None:
    services = (
        service("database", hosts=("db1",), ports=[5432]),
        service("cache", hosts=("web1",), ports=["6379"]),
        service("a", {"name": "anything", "service": "database", "check": "tcp://elsewhere:1"}),
        service("b", {"name": "database", "check": "tcp://elsewhere:1"}),
        service("c", {"name": "pg", "check": "postgresql://shop@db1/shop"}),
        service("d", {"name": "pg", "check": "tcp://10.0.0.9:5432"}),
        service("e", {"name": "redis", "check": "redis://127.0.0.1"}, hosts=("web1",)),
        service("f", {"name": "redis", "check": "redis://127.0.0.1"}, hosts=("web2",)),
        service("g", {"name": "names", "check": "dns://db1"}),
        service("h", {"name": "odd", "check": "tcp://["}),
    )
    made = needs(graph(services, {"db1": "10.0.0.9"}))
    assert {made[name][0] for name in "abcd"} == {"database"}
    assert (made["e"], made["f"]) == (["cache"], ["f: 127.0.0.1:6379"])
    assert (made["g"], made["h"]) == (["check dns://db1"], ["check tcp://["])


def test_two_that_name_the_same_thing_outside_share_it() -> None:
    services = (
        service("a", {"name": "payments", "check": "https://pay.example/health"}),
        service("b", {"name": "partner", "check": "tcp://pay.example:443"}),
    )
    roots = found(services, a1={"a": health(payments=False)}, b1={"b": health(partner=False)})
    assert [(root.nodes[0].label, root.fails_from) for root in roots] == [("payments", ("a1", "b1"))]


def test_facts_of_another_form_are_passed_over() -> None:
    facts: Any = {"a": {}, "b": {"services": {"shop": None, "x": {"health": []}}}, "c": {"services": []}}
    assert failing(graph(SHOP), facts) == ()


NAMES = st.sampled_from("abcdefgh")
EDGES = st.sets(st.tuples(NAMES, NAMES), max_size=24)


@given(EDGES, st.sets(NAMES), st.sets(NAMES))
def test_no_root_needs_another_that_fails_and_each_that_fails_is_explained(
    edges: set[tuple[str, str]], sick: set[str], well: set[str]
) -> None:
    made = graph([service(name, *sorted(b for a, b in edges if a == name)) for name in "abcdefgh"])
    states = {name: name not in sick for name in sorted(sick | well)}
    roots = failing(made, {f"{n}1": {"services": {n: health(fine)}} for n, fine in states.items()})
    of_root = {name: number for number, root in enumerate(roots) for name in root.services}
    for root in roots:
        for name in root.services:
            assert name in sick
            for needed in made.needs[name] & sick:
                assert of_root.get(needed) == of_root[name]  # they wait for each other
    for name in sick:
        assert name in of_root or any(name in root.suffering for root in roots)
    assert [root.depth for root in roots] == sorted((root.depth for root in roots), reverse=True)
