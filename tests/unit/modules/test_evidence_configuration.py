"""Configuration as evidence: unit files, compose files, what the catalogue names, a little of /etc; never a key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence_configuration
from tests.unit.modules.collecting import Params, collect, reasons


def taken(members: dict[str, bytes], owner: str = "shop") -> list[bytes]:
    return [content for name, content in members.items() if name.startswith(f"configuration/{owner}/")]


def of(params: Params, **service: object) -> Params:
    return {**params, "services": [{"name": "shop", "hosts": "web", **service}]}


def test_files_and_folders_that_the_catalogue_names_are_taken(params: Params, tmp_path: Path) -> None:
    (tmp_path / "shop.d" / "deep").mkdir(parents=True)
    (tmp_path / "shop.ini").write_bytes(b"ini\xff")
    (tmp_path / "shop.d" / "a.conf").write_text("a")
    (tmp_path / "shop.d" / "deep" / "b.conf").write_text("b")
    asked = of(params, config=[str(tmp_path / "shop.ini"), str(tmp_path / "shop.d"), str(tmp_path / "gone")])
    _block, members, manifest = collect(asked)
    assert sorted(taken(members)) == [b"a", b"b", b"ini\xff"]
    assert "No such file" in reasons(manifest, "missing")[str(tmp_path / "gone")]


def test_names_that_are_alike_once_they_are_made_safe_are_two_members(params: Params, tmp_path: Path) -> None:
    (tmp_path / "shop.d").mkdir()
    for name in ("a b.conf", "a;b.conf", "a_b.conf"):
        (tmp_path / "shop.d" / name).write_text(name)
    _block, members, manifest = collect(of(params, config=[str(tmp_path / "shop.d")]))
    assert sorted(taken(members)) == [b"a b.conf", b"a;b.conf", b"a_b.conf"]
    assert len(members) == len(manifest["members"])


def test_the_unit_and_what_is_dropped_in_are_read_where_they_lie(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    (etc / "worker@1.service.d").mkdir(parents=True)
    (etc / "worker@1.service.d" / "limits.conf").write_text("limits")
    usr.mkdir()
    (usr / "worker@.service").write_text("template")
    (usr / "other.service").write_text("other")
    monkeypatch.setattr(_evidence_configuration, "_UNITS", (str(etc), str(usr)))
    _block, members, _manifest = collect(of(params, manager="systemd", unit="worker@1.service"))
    assert sorted(taken(members)) == [b"limits", b"template"]


def test_a_compose_file_comes_with_what_lies_beside_it(params: Params, tmp_path: Path) -> None:
    for name in ("compose.yml", ".env", "compose.override.yml", "data.db"):
        (tmp_path / name).write_text(name)
    _block, members, _manifest = collect(of(params, manager="compose", compose_file=str(tmp_path / "compose.yml")))
    assert sorted(taken(members)) == [b".env", b"compose.override.yml", b"compose.yml"]


def test_the_host_s_own_configuration_is_taken(params: Params) -> None:
    _block, members, manifest = collect(params)
    origins = {row["origin"] for row in manifest["members"]}
    assert {"/etc/hosts", "/etc/passwd", "/etc/resolv.conf"} <= origins
    assert Path("/etc/hosts").read_bytes() in taken(members, "host")
    assert not [origin for origin in origins if "shadow" in origin]


@pytest.mark.parametrize("name", ["shadow", "server.key", "id_ed25519", "ssh_host_rsa_key", "store.JKS", "tls.pem"])
def test_passwords_and_private_keys_are_refused(name: str, params: Params, tmp_path: Path) -> None:
    key = tmp_path / name
    key.write_text("certificate\n-----BEGIN RSA PRIVATE KEY-----\nthe secret\n" if name == "tls.pem" else "the secret")
    (tmp_path / "shop.conf").write_text("fine")
    for config in ([str(key)], [str(tmp_path)]):
        (tmp_path / "work").mkdir(exist_ok=True)
        _block, members, manifest = collect(of(params, config=config))
        assert "private key" in reasons(manifest, "refused")[str(key)]
        assert b"the secret" not in b"".join(taken(members))


def test_a_link_in_a_configuration_folder_leads_nowhere(params: Params, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "secret").write_text("the secret")
    (tmp_path / "conf" / "a.conf").symlink_to(tmp_path / "secret")
    (tmp_path / "conf" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "conf" / "pipe")
    _block, members, manifest = collect(of(params, config=[str(tmp_path / "conf")]))
    assert taken(members) == []
    assert reasons(manifest, "refused") == {str(tmp_path / "conf" / "pipe"): "it is a FIFO"}


def test_of_a_folder_with_far_too_many_files_some_are_taken_and_that_is_said(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_evidence_configuration, "FILES", 20)
    (tmp_path / "conf").mkdir()
    for number in range(100):
        (tmp_path / "conf" / f"{number}.conf").write_text("x")
    _block, members, manifest = collect(of(params, config=[str(tmp_path / "conf")]))
    assert len(taken(members)) == 20
    assert "more than 20 files" in reasons(manifest, "missing")[str(tmp_path / "conf")]


def test_configuration_keeps_its_place_beside_logs_that_would_take_all(params: Params, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(os.urandom(1 << 20))
    (tmp_path / "shop.ini").write_text("ini")
    logs = [{"kind": "file", "path": str(tmp_path / "app.log")}]
    volatile = sum(row["bytes"] for row in collect(params)[2]["members"] if row["name"].startswith("volatile/"))
    asked = of({**params, "max_bytes": volatile + (1 << 19)}, logs=logs, config=[str(tmp_path / "shop.ini")])
    _block, members, _manifest = collect(asked)
    assert taken(members) == [b"ini"]


def test_that_a_folder_has_more_than_was_looked_at_is_said(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = tmp_path / "deep", tmp_path / "links", tmp_path / "few"
    folders[0].joinpath(*"123456789").mkdir(parents=True)
    for folder in folders[1:]:
        folder.mkdir()
    for number in range(4):
        (folders[1] / f"{number}").symlink_to("/")
    (folders[2] / "a").write_text("a")
    monkeypatch.setattr(_evidence_configuration, "_ENTRIES", 3)
    _block, _members, manifest = collect(of(params, config=list(map(str, folders))))
    told = reasons(manifest, "missing")
    assert [str(folder) in told for folder in folders] == [True, True, False]
    assert "the rest was left" in told[str(folders[0])]
