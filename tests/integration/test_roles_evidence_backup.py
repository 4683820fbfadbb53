"""Roles log_collection and backup as an operator runs them: by name, through ansible-playbook."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bundle import contents

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """A small site on this machine: two hosts that are both it, one service with logs and data."""

    def __init__(self, top: Path) -> None:
        self.top = top
        data, logs = top / "srv" / "data", top / "srv" / "logs"
        data.mkdir(parents=True)
        logs.mkdir()
        (data / "orders.txt").write_text("1\n2\n")
        with contextlib.closing(sqlite3.connect(top / "srv" / "shop.db")) as shop:
            shop.execute("CREATE TABLE orders (id)")
            shop.execute("INSERT INTO orders VALUES (1)")
            shop.commit()
        self.log = logs / "app.log"
        self.log.write_bytes(b"line\n\xff\xfe not UTF-8\n")
        (logs / "link.log").symlink_to("/etc/hosts")
        service = {
            "name": "shop",
            "hosts": "web",
            "logs": [{"kind": "file", "path": str(self.log)}, {"kind": "file", "path": str(logs / "link.log")}],
            "data": [
                {"kind": "files", "path": str(data)},
                {"kind": "sqlite", "path": str(top / "srv" / "shop.db")},
            ],
        }
        self.write_inventory({"web1": {}, "web2": {}}, service)

    def write_inventory(self, hosts: dict[str, Any], service: dict[str, Any]) -> None:
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "incident_become": False,
            "incident_state_dir": str(self.top / "state" / "{{ inventory_hostname }}"),
            "incident_backup_repository": str(self.top / "repository"),
            "incident_backup_password_file": str(self.top / "no-password"),
            "incident_services": [service],
        }
        inventory = {"all": {"vars": common, "children": {"web": {"hosts": hosts}}}}
        (self.top / "inventory.yml").write_text(yaml.safe_dump(inventory))

    def play(self, name: str, *arguments: str) -> tuple[int, dict[str, dict[str, int]], dict[str, Any]]:
        """Run a playbook of the collection here; return its code, its figures and its answers by host."""
        env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.top / "ansible"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }
        argv = ["ansible-playbook", "-v", f"incidentctl.response.{name}", "-i", str(self.top / "inventory.yml")]
        done = subprocess.run(
            [*argv, *arguments], env=env, cwd=self.top, capture_output=True, text=True, check=False, timeout=120
        )
        figures = {
            host: {key: int(value) for key, value in (pair.split("=") for pair in rest.split())}
            for host, rest in re.findall(r"^(\S+)\s+: (ok=.*)$", done.stdout, re.MULTILINE)
        }
        assert figures, done.stdout + done.stderr
        return done.returncode, figures, answers_of(done.stdout)


def answers_of(said: str) -> dict[str, Any]:
    """Find what our module answered last of each host, and the bundle that it told of, in what Ansible said."""
    found: dict[str, Any] = {}
    for start in re.finditer(r"^(?:ok|changed|fatal|skipping): \[([^\]]+)\][^\n{]*(?=\{)", said, re.MULTILINE):
        with contextlib.suppress(ValueError):
            answer, _end = json.JSONDecoder().raw_decode(said, start.end())
            if "incident" in answer:
                bundle = answer.get("bundle") or found.get(start.group(1), {}).get("bundle")
                found[start.group(1)] = {**answer["incident"], "bundle": bundle}
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def changed(figures: dict[str, dict[str, int]]) -> int:
    return sum(host["changed"] for host in figures.values())


def bundles(top: Path) -> list[Path]:
    return sorted(path for path in top.rglob("*.tar.*") if path.parts[-3] == "evidence")


def test_evidence_comes_home_private_and_whole_and_nothing_stays(site: Site) -> None:
    code, figures, answers = site.play("log_collection")
    assert (code, changed(figures)) == (0, 0)
    (bundle,) = bundles(site.top / "evidence" / "web1")
    told = answers["web1"]["files"][0]
    assert (told["path"], told["bytes"]) == (str(bundle), bundle.stat().st_size)
    assert told["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
    assert bundle.name.endswith(".zst" if shutil.which("zstd") else ".gz")
    assert contents(bundle)["logs/shop/01-app.log"] == site.log.read_bytes()
    assert any("link.log: it is a symbolic link" in text for text in answers["web1"]["facts"]["refused"])
    assert not Path(answers["web1"]["bundle"]).parent.exists()


def test_a_second_collection_changes_nothing_and_keeps_the_first(site: Site) -> None:
    site.play("log_collection")
    first = {path: path.read_bytes() for path in bundles(site.top)}
    code, figures, _answers = site.play("log_collection")
    assert (code, changed(figures)) == (0, 0)
    assert len(bundles(site.top)) == 4
    assert {path: path.read_bytes() for path in first} == first


def test_who_asks_for_gzip_gets_gzip(site: Site) -> None:
    assert site.play("log_collection", "-e", "log_collection_compression=gzip")[0] == 0
    assert {path.suffix for path in bundles(site.top)} == {".gz"}


def test_check_mode_collects_nothing(site: Site) -> None:
    code, figures, answers = site.play("log_collection", "--check")
    assert (code, changed(figures)) == (0, 0)
    assert "would collect" in answers["web1"]["actions"][0]["summary"]
    assert not (site.top / "evidence").exists()


def test_a_host_whose_name_leads_elsewhere_fails_alone(site: Site) -> None:
    site.write_inventory({"../../outside": {}, "web2": {}}, {"name": "shop", "hosts": "web"})
    code, figures, _answers = site.play("log_collection")
    assert code != 0
    assert {host: row["failed"] for host, row in figures.items()} == {"../../outside": 1, "web2": 0}
    assert [path.parent.name for path in bundles(site.top)] == ["web2"]
    assert not (site.top.parent / "outside").exists()


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_bundle_that_cannot_be_brought_home_is_a_failure_that_silences_nothing(site: Site, keep_going: bool) -> None:
    (site.top / "evidence").write_text("a file where the folder would be")
    code, figures, answers = site.play("log_collection", "-e", json.dumps({"incident_continue": keep_going}))
    assert (code == 0) is keep_going
    assert {row["failed"] for row in figures.values()} == {0 if keep_going else 1}
    assert {block["outcome"] for block in answers.values()} == {"failed"}
    assert "did not reach" in answers["web1"]["reason"]
    home = hashlib.sha256(str(site.top / "evidence" / "web1").encode()).hexdigest()[:8]
    assert not list(Path("/var/tmp").glob(f"incidentctl-evidence-*-{home}-*"))  # noqa: S108 - where bundles are made


def test_a_refused_collection_that_keeps_going_fetches_nothing(site: Site) -> None:
    arguments = ("-e", '{"incident_continue": true, "incident_only": ["nobody"]}')
    code, figures, answers = site.play("log_collection", *arguments)
    assert (code, changed(figures)) == (0, 0)
    assert answers["web1"]["outcome"] == "failed"
    assert not bundles(site.top)


def test_backup_converges_and_its_facts_name_the_way_back(site: Site) -> None:
    code, figures, answers = site.play("backup")
    assert (code, changed(figures)) == (0, 2)
    facts = answers["web1"]["facts"]["services"]["shop"]
    assert [(fact["kind"], fact["verified"], fact["tool"]) for fact in facts] == [
        ("files", True, "tar"),
        ("sqlite", True, "tar"),
    ]
    (site.top / "srv" / "data" / "orders.txt").unlink()
    subprocess.run(facts[0]["restore"], shell=True, check=True)  # noqa: S602 - as a person would
    assert (site.top / "srv" / "data" / "orders.txt").read_text() == "1\n2\n"


def test_a_second_backup_changes_nothing(site: Site) -> None:
    first = site.play("backup")[2]
    code, figures, answers = site.play("backup")
    assert (code, changed(figures)) == (0, 0)
    assert {block["outcome"] for block in answers.values()} == {"unchanged"}
    for host, block in answers.items():
        for before, now in zip(*(told["facts"]["services"]["shop"] for told in (first[host], block)), strict=True):
            assert {**now, "at": before["at"]} == before
            assert now["at"] > before["at"], "what was proved anew is as old as before"


def test_check_mode_backs_up_nothing(site: Site) -> None:
    code, figures, _answers = site.play("backup", "--check", "--diff")
    assert (code, changed(figures)) == (0, 2)
    assert not (site.top / "state").exists()
    assert not (site.top / "repository").exists()


def test_a_refused_backup_fails_the_host_unless_it_is_to_go_on(site: Site, tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("1\n")
    site.write_inventory(
        {"web1": {}},
        {"name": "shop", "hosts": "web", "data": [{"kind": "files", "path": str(tmp_path / "orders")}]},
    )
    assert site.play("backup", "-e", '{"backup_reserve_mb": 1000000000}')[0] != 0
    code, _figures, answers = site.play("backup", "-e", '{"backup_reserve_mb": 1000000000, "incident_continue": true}')
    assert code == 0
    assert answers["web1"]["outcome"] == "refused"
    assert "room" in answers["web1"]["reason"] or "free" in answers["web1"]["reason"]
