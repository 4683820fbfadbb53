"""The catalogue: one schema, all errors at once, a host's own services."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import (
    CatalogueError,
    check,
    services_of_host,
)


def params(*services: dict[str, Any], **own: Any) -> dict[str, Any]:
    return {"services": list(services), "only": [], "host_name": "web1", "host_groups": ["web"], **own}


@pytest.mark.parametrize(
    ("place", "mine"), [("web1", True), ("web", True), ("all", True), ("web2", False), ("db", False)]
)
def test_a_host_has_the_services_of_its_name_its_groups_and_all(place: str, mine: bool) -> None:
    assert bool(services_of_host(params({"name": "shop", "hosts": place}))) is mine


def test_only_narrows_and_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    both = ({"name": "shop", "hosts": "web"}, {"name": "mail", "hosts": "web"})
    assert [s["name"] for s in services_of_host(params(*both, only=["mail"]))] == ["mail"]
    with pytest.raises(CatalogueError, match="did you mean mail"):
        services_of_host(params(*both, only=["mial"]))


def test_all_errors_come_at_once() -> None:
    problems = check(
        [
            {"name": "Shop", "hosts": "web"},
            {"name": "mail", "hosts": "web", "manger": "systemd"},
            {"name": "mail", "hosts": "web", "manager": "systemd"},
            {"name": "db", "hosts": "web", "manager": "command", "control": {"start": "service db start"}},
            {"name": "log", "hosts": "web", "logs": [{"kind": "fiel", "path": "/x"}], "data": [{"kind": "sqlite"}]},
            "text",
        ]
    )
    for told in (
        "Shop: name must be lower-case",
        "manger (did you mean manager?)",
        "manager systemd needs unit",
        "control.start must be a list of words",
        "control.stop is missing",
        "(did you mean file?)",
        "data.path is missing",
        "entry 6 must be a mapping",
        "mail: is there twice",
    ):
        assert any(told in problem for problem in problems), told


def test_configuration_is_named_by_absolute_paths() -> None:
    service = {"name": "shop", "hosts": "web", "config": ["/etc/shop", "/srv/shop/app.ini"]}
    assert check([service]) == []
    problems = check([{**service, "config": ["/etc/shop", "app.ini", "/etc/\x1b[2J", 7]}])
    assert problems == [f"shop: config must hold absolute paths: {path!r}" for path in ("app.ini", "/etc/\x1b[2J", 7)]


@pytest.mark.parametrize("keys", [("on", "off"), (True, False), ("true", "false"), ("True", "False")])
def test_a_bare_on_and_off_which_yaml_makes_booleans_are_taken_as_meant(keys: tuple[Any, Any]) -> None:
    toggles = {key: {"url": "http://127.0.0.1/x"} for key in keys}
    (service,) = services_of_host(params({"name": "shop", "hosts": "web", "maintenance": toggles}))
    assert set(service["maintenance"]) == {"on", "off"}


def test_circuit_breakers_are_checked_by_their_kind() -> None:
    request = {"url": "http://127.0.0.1/x"}
    good = [
        {"name": "payments", "open": request, "close": request, "status": {**request, "expect": {"open": True}}},
        {"name": "search", "egress": {"host": "10.0.0.9", "port": 9200}},
    ]
    assert check([{"name": "shop", "hosts": "web", "circuit_breakers": good}]) == []
    bad = [
        {"name": "payments", "open": request},
        {"name": "payments", "open": {"ulr": "x"}, "close": request},
        {"name": "Search/x", "egress": {"host": "10.0.0.9"}, "open": request},
        {"egress": 9200},
        {"name": "way", "egress": {"host": "10.0.0.9/24", "port": 9200}},
        {"name": "far", "egress": {"host": "2001:db8::9", "port": 65536}},
        "text",
    ]
    problems = check([{"name": "shop", "hosts": "web", "circuit_breakers": bad}])
    for told in (
        "circuit_breakers.close is missing",
        "circuit_breakers.payments.open.ulr (did you mean url?)",
        "circuit_breakers.payments.open.url is missing",
        "unknown key circuit_breakers.open",
        "circuit_breakers.egress.port is missing",
        "'Search/x'",
        "circuit_breakers.egress must be a mapping",
        "circuit_breakers.egress.host must be a host's name or address: '10.0.0.9/24'",
        "circuit_breakers.egress.port must be a number from 1 to 65535: 65536",
        "circuit_breakers.name is missing",
        "circuit_breakers must be a mapping",
        "circuit breaker payments is there twice",
    ):
        assert any(told in problem for problem in problems), told


def test_an_image_is_named_without_its_tag_and_its_compose_file_with_it() -> None:
    good = {"kind": "compose_image", "image": "registry.example:5000/team/shop", "variable": "SHOP_TAG"}
    service = {"name": "shop", "hosts": "web", "manager": "compose", "compose_file": "/srv/shop/compose.yml"}
    for more in ({}, {"history": "/srv/shop/log"}, {"hotfix": ["/srv/shop/fix"]}, {"image": "shop"}):
        assert check([{**service, "releases": {**good, **more}}]) == []
    for more, told in (
        ({"image": "localhost/shop:42"}, "an image's name without a tag: 'localhost/shop:42'"),
        ({"image": "shop@sha256:0"}, "an image's name without a tag"),
        ({"image": "-shop"}, "an image's name without a tag"),
        ({"variable": "${SHOP_TAG}"}, "a variable's name, as in the compose file"),
        ({"root": "/srv"}, "unknown key releases.root"),
    ):
        assert any(told in problem for problem in check([{**service, "releases": {**good, **more}}])), told
    build = {"context": "/srv/shop/src", "file": "deploy/Containerfile", "target": "slim", "args": {"V": 2}}
    assert check([{**service, "releases": {**good, "build": build}}]) == []
    for wrong, told in (
        ({"context": "src"}, "releases.build.context must be an absolute path: 'src'"),
        ({"file": "--privileged"}, "releases.build.file must be text, and not begin with a dash"),
        ({"args": {"-V": "2"}}, "releases.build.args must be a mapping of names to values"),
        ({"args": {"V": "a\nb"}}, "releases.build.args: each value must be text on one line"),
        ({"network": "host"}, "unknown key releases.build.network"),
    ):
        problems = check([{**service, "releases": {**good, "build": {**build, **wrong}}}])
        assert any(told in problem for problem in problems), told
    both = check([{**service, "releases": {**good, "build": build, "hotfix": ["/srv/fix"]}}])
    assert both == ["shop: releases.build and releases.hotfix exclude each other: a hotfix is built, or a command"]
    (one, two) = check([{"name": "shop", "hosts": "web", "releases": good}])
    assert (one, two) == tuple(
        f"shop: releases of kind compose_image need {key}" for key in ("manager", "compose_file")
    )
