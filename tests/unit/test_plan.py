"""Policy and inventory → plan: exactly the hosts that are meant, or an error before anything is connected to."""

from __future__ import annotations

from typing import Any

import pytest

from incidentctl import plan
from incidentctl.errors import ConfigurationError, UsageError


def listed(*hosts: str, services: list[dict[str, Any]] | None = None, **groups: list[str]) -> dict[str, Any]:
    catalogue = [{"name": "shop", "hosts": "all"}] if services is None else services
    variables = {"incident_services": catalogue}
    return {
        "_meta": {"hostvars": dict.fromkeys(hosts, variables)},
        "all": {"children": ["ungrouped", *groups]},
        "ungrouped": {"hosts": [h for h in hosts if not any(h in members for members in groups.values())]},
        **{name: {"hosts": members} for name, members in groups.items()},
    }


@pytest.fixture
def fleet() -> plan.Inventory:
    return plan.parse_inventory(listed("db1", "web1", "web2", web=["web1", "web2"], db=["db1"]))


@pytest.mark.parametrize(
    ("limit", "hosts"),
    [
        (None, ("db1", "web1", "web2")),
        ("all", ("db1", "web1", "web2")),
        ("web", ("web1", "web2")),
        ("web1,db1", ("db1", "web1")),
        ("web:!web2", ("web1",)),
        ("!web2:web", ("web1",)),
        ("web:&web2", ("web2",)),
        ("!db", ("web1", "web2")),
        ("web*", ("web1", "web2")),
        ("~web[2-9]", ("web2",)),
        ("web1 db1", ("db1", "web1")),
        (" web1 , web1 ", ("web1",)),
    ],
)
def test_a_limit_means_these_hosts(fleet: plan.Inventory, limit: str | None, hosts: tuple[str, ...]) -> None:
    assert plan.narrow(fleet, limit) == hosts


@pytest.mark.parametrize(
    "limit", ["wbe", "web:!wbe2", "web,nope", "web:&db", "", " ", "!all", "web[0]", "web[", "~", "~(", "web:&db,web1"]
)
def test_a_limit_that_matches_nothing_somewhere_is_an_error(fleet: plan.Inventory, limit: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan.narrow(fleet, limit)
    assert caught.value.fix


def test_a_misspelt_limit_names_the_nearest(fleet: plan.Inventory) -> None:
    with pytest.raises(UsageError, match="did you mean web1"):
        plan.narrow(fleet, "wbe1")


def of_machines(**variables: dict[str, Any]) -> plan.Inventory:
    answer = listed(*variables)
    for name, own in variables.items():
        answer["_meta"]["hostvars"][name] = {**answer["_meta"]["hostvars"][name], **own}
    return plan.parse_inventory(answer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"ansible_host": "10.0.0.9"}, {"ansible_host": "10.0.0.9", "ansible_user": "other"}),
        ({"ansible_host": "b"}, {}),
        ({"ansible_host": "b", "ansible_connection": "ansible.builtin.ssh"}, {}),
        ({"ansible_host": "Shop.Example"}, {"ansible_ssh_host": "shop.example."}),
        ({"ansible_host": "fd00::1"}, {"ansible_host": "[fd00:0::1]", "ansible_port": 22}),
    ],
)
def test_two_names_of_one_machine_are_an_error_that_names_both(one: dict[str, Any], other: dict[str, Any]) -> None:
    inventory = of_machines(a=one, b=other)
    with pytest.raises(UsageError) as caught:
        plan.narrow(inventory, None)
    assert "a and b are all" in caught.value.why
    assert plan.narrow(inventory, "a") == ("a",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"ansible_host": "10.0.0.9", "ansible_port": 2201}, {"ansible_host": "10.0.0.9", "ansible_port": 2202}),
        ({"ansible_host": "10.0.0.9"}, {"ansible_host": "10.0.0.9", "ansible_ssh_common_args": "-J gate"}),
        ({"ansible_host": "{{ inventory_hostname }}.lan"}, {"ansible_host": "{{ inventory_hostname }}.lan"}),
        ({"ansible_connection": "local"}, {"ansible_connection": "local"}),
    ],
)
def test_what_may_be_two_machines_is_taken_for_two(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert plan.narrow(of_machines(a=one, b=other), None) == ("a", "b")


def test_a_host_that_ansible_loses_behind_a_group_is_an_error() -> None:
    answer = listed("web1", web=["web1"])
    answer["_meta"]["hostvars"]["web"] = {}
    with pytest.raises(ConfigurationError) as caught:
        plan.parse_inventory(answer)
    assert "'web' is a host and also a group" in caught.value.why


def test_groups_of_groups_count() -> None:
    inventory = plan.parse_inventory(
        {
            "_meta": {"hostvars": {"a": {"incident_services": [{"name": "shop", "hosts": "outer"}]}}},
            "all": {"children": ["outer"]},
            "outer": {"children": ["inner"]},
            "inner": {"hosts": ["a"]},
        }
    )
    assert inventory.services[0].hosts == ("a",)
    assert plan.narrow(inventory, "outer") == ("a",)


def test_all_errors_of_an_inventory_come_at_once() -> None:
    services = [
        {"name": "shop", "hosts": "wbe"},
        {"name": "{{ team }}-mail", "hosts": "all"},
        {"name": "search", "hosts": "all", "essential": "no"},
        {"hosts": "all"},
    ]
    with pytest.raises(ConfigurationError) as caught:
        plan.parse_inventory(listed("a/../b", services=services))
    for told in ("a/../b", "'wbe'", "must be a literal", "essential must be", "entry 4: name is missing"):
        assert told in caught.value.why


@pytest.mark.parametrize("variables", [{}, {"incident_services": []}, {"incident_services": "shop"}])
def test_an_inventory_without_a_catalogue_is_an_error(variables: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        plan.parse_inventory({"_meta": {"hostvars": {"a": variables}}, "all": {"hosts": ["a"]}})


def test_an_inventory_without_hosts_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no hosts"):
        plan.parse_inventory({"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}})


def test_an_unknown_service_is_an_error_that_names_the_nearest(fleet: plan.Inventory) -> None:
    with pytest.raises(UsageError, match="did you mean shop"):
        plan.in_scope(fleet, ["web1"], ["shpo"])


def test_what_is_not_essential_is_scaled_down_and_nothing_else() -> None:
    services = [{"name": "shop", "hosts": "all"}, {"name": "mail", "hosts": "all", "essential": False}]
    inventory = plan.parse_inventory(listed("a", services=services))
    step = plan.step("contain", ["scale_down"], ("a",), inventory.services)
    assert step.targets == (("a", "scale_down", "mail"),)


def test_the_hash_is_of_what_is_done_and_not_of_the_order(fleet: plan.Inventory) -> None:
    one = plan.make("high", ["isolation", "log_collection"], ("web1", "web2"), fleet.services)
    other = plan.make("high", ["log_collection", "isolation"], ("web2", "web1"), fleet.services)
    less = plan.make("high", ["isolation"], ("web1",), fleet.services)
    assert one.hash == other.hash != less.hash


def test_once_it_is_known_who_is_sick_what_acts_on_those_is_planned_for_those_alone() -> None:
    services = [{"name": "shop", "hosts": "all"}, {"name": "mail", "hosts": "all", "essential": False}]
    inventory = plan.parse_inventory(listed("a", services=services))
    step = plan.step("contain", ["isolation", "scale_down"], ("a",), inventory.services, ["shop"])
    assert step.targets == (("a", "isolation", "shop"), ("a", "scale_down", "mail"))
