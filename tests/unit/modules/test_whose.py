"""Units, containers and ports are told with the service of the catalogue that they are of."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _cgroups, _compose, _whose

ID = "2cb2f11a6978184fc3642a1a41520acc0b465cc37fc6db60f5d58d5a5c3c8fc0"
SERVICES: list[dict[str, Any]] = [
    {"name": "worker", "unit": "worker@.service", "ports": [9000]},
    {"name": "shop", "compose_file": "/srv/shop/compose.yml", "health": {"url": "https://127.0.0.1/health"}},
    {"name": "odd", "health": {"url": "http://[broken"}},
]


def test_instance_is_of_its_template_and_no_unit_of_nobody() -> None:
    assert _whose.of_unit("worker@3.service", SERVICES) == "worker"
    assert _whose.of_unit("cron.service", SERVICES) is None
    assert _whose.of_unit("", SERVICES) is None


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("/system.slice/shop.service", "shop.service"),
        ("/system.slice/shop.service/worker", "shop.service"),
        ("/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        (f"/system.slice/shop.service/libpod-payload-{ID}", "shop.service"),
        (f"/machine.slice/libpod-{ID}.scope/container", ""),
        (f"/machine.slice/libpod-{ID}.scope/container/system.slice/shop.service", ""),
        (f"/docker/{ID}/system.slice/shop.service", ""),
        ("/machine.slice/machine-guest.scope/payload/system.slice/shop.service", "machine-guest.scope"),
        ("/lxc.payload.guest/system.slice/shop.service", ""),
        ("/lxc/101/ns/system.slice/shop.service", ""),
    ],
)
def test_unit_within_a_container_is_none_of_this_host(group: str, unit: str) -> None:
    assert _cgroups.unit_of(group) == unit


def test_ports_are_those_of_the_catalogue_and_of_health_checks() -> None:
    assert _whose.of_ports(SERVICES) == {"9000": "worker", "443": "shop"}


def test_engine_is_asked_only_where_a_container_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look(service: dict[str, Any]) -> _compose.Deployment:
        asked.append(service["name"])
        return _compose.Deployment("podman", [_compose.Container(ID, "web", "shop", True)])

    monkeypatch.setattr(_compose, "look", look)
    rows = [{"container": "", "service": None}]
    _whose.of_containers(rows, SERVICES, [])
    assert asked == []
    rows = [{"container": ID[:12], "service": None}, {"container": "0" * 12, "service": None}]
    _whose.of_containers(rows, SERVICES, [])
    assert asked == ["shop"]
    assert [row["service"] for row in rows] == ["shop", None]


def test_engine_that_cannot_tell_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_service: dict[str, Any]) -> _compose.Deployment:
        raise _compose.ComposeError("podman: no answer")

    monkeypatch.setattr(_compose, "look", fail)
    notes: list[str] = []
    _whose.of_containers([{"container": ID[:12], "service": None}], SERVICES, notes)
    assert notes == ["which containers are of shop is not known: podman: no answer"]
