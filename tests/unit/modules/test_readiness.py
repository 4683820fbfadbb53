"""Readiness of a host: only what its catalogue makes necessary is missed, and each thing with a way to mend it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _readiness, _rule_removal

PASSWORD_FILE = "password"  # noqa: S105 - a file's name
DATABASE = {"name": "db", "hosts": "web1", "data": [{"kind": "postgresql", "database": "shop"}]}
# A unit runs it, so that nothing but what it is built from is missed.
BUILT = {
    "manager": "command",
    "control": {key: ["/bin/true"] for key in ("start", "stop", "status")},
    "compose_file": "/srv/compose.yml",
    "releases": {"kind": "compose_image", "image": "shop", "variable": "TAG", "build": {"context": "/srv/no/src"}},
}
FILES = {"name": "shop", "hosts": "web1", "data": [{"kind": "files", "path": "/srv"}]}


def look(folder: Path, *services: dict[str, Any], **own: Any) -> list[dict[str, str]]:
    params = {
        "services": list(services),
        "host_name": "web1",
        "host_groups": [],
        "state_dir": str(folder / "state"),
        "repository": str(folder / "repository"),
        "password_file": str(folder / PASSWORD_FILE),
        "password_required": False,
        "prometheus_hosts": "mon1",
        "asked_at": time.time(),
        **own,
    }
    before = sorted(folder.rglob("*"))
    answer = _readiness.run(params, False)
    assert sorted(folder.rglob("*")) == before, "it only looks"
    findings: list[dict[str, str]] = answer["incident"]["facts"]["findings"]
    wrong = [finding for finding in findings if finding["level"] == "wrong"]
    assert answer["incident"]["outcome"] == ("failed" if wrong else "unchanged")
    assert len(answer.get("warnings", [])) == len(findings) - len(wrong)
    assert all(finding["fix"] for finding in findings)
    return findings


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which no program is; that its disks have room is the business of other tests."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(_readiness, "_room_on_disks", lambda *_: iter(()))
    monkeypatch.setattr(_rule_removal, "tool", lambda _name: None)
    return tmp_path


def test_a_login_that_could_not_be_used_is_told_once_for_each_service(bare: Path) -> None:
    (bare / "there").write_text("sesame")
    request = {"url": "https://127.0.0.1:8443/x", "method": "POST", "secret_ref": {"file": str(bare / "there")}}
    missing = {**request, "secret_ref": {"file": str(bare / "missing"), "scheme": "bearer"}}
    authority = {**request, "ca_file": str(bare / "there")}
    well = {"name": "well", "hosts": "web1", "maintenance": {"on": request, "off": request}}
    shop = {
        "name": "shop",
        "hosts": "web1",
        "maintenance": {"on": request, "off": missing},
        "circuit_breakers": [{"name": "payments", "open": missing, "close": authority}],
    }
    assert [finding["text"] for finding in look(bare, well, shop)] == [
        f"shop: maintenance.off: secret file {bare}/missing: No such file or directory: maintenance_mode would fail",
        f"shop: circuit_breakers.payments.close: ca_file {bare}/there holds no certificate in PEM: circuit_breaker would fail",
    ]


@pytest.mark.parametrize(
    ("service", "missed"),
    [
        ({}, ""),
        ({"manager": "systemd", "unit": "x.service"}, "systemctl is not here"),
        ({"manager": "compose", "compose_file": "/srv/compose.yml"}, "neither podman nor docker"),
        ({"compose_file": "/srv/compose.yml"}, ""),  # nobody needs the tool of a file that only describes
        ({"compose_file": "/srv/compose.yml", "logs": [{"kind": "compose"}]}, "neither podman nor docker"),
        ({"logs": [{"kind": "journal", "unit": "x.service"}]}, "journalctl is not here"),
        ({"logs": [{"kind": "file", "path": "/var/log/x"}]}, ""),
        ({"ports": [80]}, "IPv4 is NOT limited: iptables-save is not installed"),
        (
            {"circuit_breakers": [{"name": "search", "egress": {"host": "192.0.2.9", "port": 9200}}]},
            "IPv4 is NOT cut: iptables-save is not installed",
        ),
        ({"data": [{"kind": "postgresql", "database": "shop"}]}, "psql, pg_dump, pg_dumpall, pg_restore"),
        ({"data": [{"kind": "sqlite", "path": "/srv/shop.db"}]}, ""),
        (
            {"releases": {"kind": "symlink", "root": "/srv", "current": "/srv/current", "hotfix": ["/srv/fix.sh"]}},
            "/srv/fix.sh is not here",
        ),
        (BUILT, "/srv/no/src has no Containerfile and no Dockerfile"),
        (
            {"manager": "command", "control": {key: ["shopctl"] for key in ("start", "stop", "status")}},
            "shopctl is not",
        ),
    ],
)
def test_a_program_is_missed_where_the_catalogue_needs_it(bare: Path, service: dict[str, Any], missed: str) -> None:
    found = look(bare, {"name": "shop", "hosts": "web1", **service})
    assert [missed in finding["text"] for finding in found] == ([True] * len(found) if missed else [])
    assert bool(found) == bool(missed)


def test_what_runs_elsewhere_needs_nothing_here(bare: Path) -> None:
    assert look(bare, {**DATABASE, "hosts": "db1", "manager": "systemd", "unit": "x.service", "ports": [1]}) == []


def test_podman_alone_cannot_start_a_compose_file(bare: Path) -> None:
    podman = bare / "bin" / "podman"
    podman.write_text("#!/bin/sh\nexit 125\n")  # as podman does for a word that it does not know
    podman.chmod(0o755)
    service = {"name": "shop", "hosts": "web1", "compose_file": "/srv/compose.yml"}
    (found,) = look(bare, {**service, "manager": "compose"})
    assert found["text"] == "shop: podman is here, but not podman-compose: stopping and starting it would fail"
    assert look(bare, {**service, "logs": [{"kind": "compose"}]}) == []


def test_promtool_is_missed_beside_prometheus_and_only_as_a_warning(bare: Path) -> None:
    (found,) = look(bare, FILES, prometheus_hosts="web1")
    assert found["level"] == "warning"
    assert "promtool is not here" in found["text"]


def test_without_a_password_plain_archives_are_meant(bare: Path) -> None:
    assert look(bare, FILES) == []


def test_restic_is_missed_where_there_is_a_password_for_it(bare: Path) -> None:
    (bare / PASSWORD_FILE).write_text("sesame")
    (found,) = look(bare, FILES)
    assert "backups would be plain archives" in found["text"]
    assert look(bare, {"name": "shop", "hosts": "web1"}) == [], "a host without data needs no restic"


def test_an_address_of_restic_needs_restic_and_is_told_without_its_password(bare: Path) -> None:
    file = bare / "repository-address"
    file.write_text("rest:https://ops:sesame@backup.example/shop\n")
    file.chmod(0o600)
    found = look(bare, FILES, repository=f"file:{file}")
    assert ["nothing could be backed up to rest:https://ops@backup.example/shop" in row["text"] for row in found] == [
        True,
        False,
    ]
    assert "cannot be read: No such file" in found[1]["text"]


def test_a_password_in_the_address_is_told_without_it_and_what_to_do(bare: Path) -> None:
    found = look(bare, FILES, repository="rest:https://ops:sesame@backup.example/shop")[-1]
    assert "rest:https://ops@backup.example/shop, holds a password" in found["text"]
    assert "file:/etc/incidentctl/repository" in found["fix"]
    assert "sesame" not in json.dumps(found)
    file = bare / "repository-address"
    file.write_text("rest:https://ops:sesame@backup.example/shop\n")
    file.chmod(0o644)
    assert "others may read it" in look(bare, FILES, repository=f"file:{file}")[-1]["text"]


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read: No such file"), ("\n", "is empty")])
def test_a_password_that_is_required_is_missed(bare: Path, content: str | None, told: str) -> None:
    if content is not None:
        (bare / PASSWORD_FILE).write_text(content)
    found = look(bare, FILES, password_required=True)
    assert [told in row["text"] for row in found] == [False, True]
    assert str(bare / PASSWORD_FILE) in found[1]["fix"]


@pytest.mark.parametrize(
    ("percent", "levels"), [(50.0, []), (84.9, []), (85.0, ["warning"]), (95.0, ["wrong"]), (None, ["wrong"])]
)
def test_a_disk_is_told_once_with_all_that_would_go_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, percent: float | None, levels: list[str]
) -> None:
    free = None if percent is None else 1 << 30
    disk = {"path": "/", "used_percent": percent, "free_bytes": free, "inodes_used_percent": 1.0}
    monkeypatch.setattr(_readiness._disks, "disks_of", lambda paths: [disk] * len(paths))
    found = look(tmp_path, FILES)
    assert [finding["level"] for finding in found] == levels
    assert all("the ledger and evidence and backups would go there" in finding["text"] for finding in found)


def test_the_clock_comes_back_beside_ours(bare: Path) -> None:
    asked = time.time()
    params = {"services": [], "host_name": "web1", "host_groups": [], "asked_at": asked, "prometheus_hosts": "mon1"}
    params.update(state_dir="/", repository="/", password_file="/x", password_required=False)  # noqa: S106 - a path
    clock = _readiness.run(params, False)["incident"]["facts"]["clock"]
    assert clock["asked_at"] == asked <= clock["began_at"] <= clock["ended_at"] <= time.time()
