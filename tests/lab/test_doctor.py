"""`incidentctl doctor` on real hosts: each thing that would stand in the way is made so for real, found, and put back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab.play import INVENTORY, Hosts, lab
from tests.small_service import free_port

INBOX = f"{lab.HOSTS['mon1'].addresses[0]}:{lab.INBOX_PORT}"
BACKUPS, PASSWORD = "/var/backups/incidentctl", "/etc/incidentctl/restic"
ASIDE = "/root/aside"
LOOKED_AT = {"settings", "record", "inventory", "guards", "audience on_call", "tracker", "monitoring"}
NOT_READY = 11

Row = dict[str, Any]


class Doctor:
    """The doctor, with the lab's settings and a state of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        of_lab = yaml.safe_load((lab.LAB / "incidentctl.yml").read_text())
        self.write("on_call", f"json://{INBOX}/on_call")
        self.write("tickets", f"http://{INBOX}/tickets")
        self.settings: dict[str, Any] = {
            "inventory": str(INVENTORY),
            "state_dir": "state",
            "memory_bank": "memory",
            "monitoring": of_lab["monitoring"],
            "guards": of_lab["guards"],
            "audiences": {"on_call": {"kind": "on_call", "send": [{"file": "on_call"}]}},
            "tracker": {"kind": "webhook", "url": {"file": "tickets"}},
            "severities": {"critical": {"notify": ["on_call"]}},
        }

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(f"{text}\n")
        return self.folder / name

    def inventory(self, **groups: Row) -> tuple[str, ...]:
        """Return the words for the lab's inventory with more said about these groups."""
        return ("-i", str(INVENTORY), "-i", str(self.write("own.yml", yaml.safe_dump(groups))))

    def says(self, *words: str) -> tuple[int, list[Row]]:
        """Ask the doctor; return its exit code and what it found."""
        done = self._run("--json", *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def finds(self, *words: str) -> list[Row]:
        """Return what the doctor says must be mended, each with its way to mend it."""
        code, rows = self.says(*words)
        wrong = [row for row in rows if not row["ok"]]
        assert code == (NOT_READY if wrong else 0), rows
        assert all(row["told"] and row["fix"] for row in rows if row["warning"] or not row["ok"]), rows
        return wrong

    def finds_one(self, what: str, *words: str) -> str:
        """Return what it says must be mended, which is one thing, of `what`."""
        (row,) = self.finds(*words)
        assert row["what"] == what
        return str(row["told"])

    def prints(self, *words: str) -> list[str]:
        return self._run(*words).stdout.splitlines()

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = self.write("incidentctl.yml", yaml.safe_dump(self.settings))
        argv = [sys.executable, "-m", "incidentctl", "doctor", "--config", str(config), *words]
        return subprocess.run(argv, cwd=lab.REPOSITORY, capture_output=True, text=True, check=False)


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


@contextmanager
def moved_aside(name: str, path: str) -> Iterator[None]:
    """Take a file of a host away as root, without needing sudo for it, and bring it back."""
    lab.inside(name, "mv", "--no-clobber", path, ASIDE)
    try:
        yield
    finally:
        lab.inside(name, "mv", ASIDE, path)


def test_a_healthy_lab_gives_no_finding(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need(*lab.HOSTS)
    code, rows = doctor.says()
    assert code == 0
    assert [row for row in rows if not row["ok"] or row["warning"]] == []
    assert {row["what"] for row in rows} == LOOKED_AT | {f"host {name}" for name in lab.HOSTS}


def test_a_host_that_is_down(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("worker1")
    lab.podman("stop", "--time=10", lab.container("worker1"))
    try:
        told = doctor.finds_one("host worker1", "-l", "worker1")
    finally:
        lab.podman("start", lab.container("worker1"))
        lab.wait_for_boot("worker1")
    assert told.startswith("cannot be reached: ")
    assert doctor.finds("-l", "worker1") == []


def test_a_login_that_may_not_become_root(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("worker1", "mon1")
    with moved_aside("worker1", "/etc/sudoers.d/lab"):
        told = doctor.finds_one("host worker1", "-l", "worker1")
        first, second, *_rest = doctor.prints("-l", "worker1")
    assert told == "no privilege: Missing sudo password"
    assert first.startswith("✗ host worker1 "), "what is wrong comes first"
    assert second.startswith("  Fix: let the login user become root there")
    assert doctor.finds("-l", "worker1") == []


def test_a_password_that_is_not_the_backups(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("web1", "db1")
    own = {"incident_backup_repository": "/root/backups", "incident_state_dir": "/root/state"}
    words = doctor.inventory(web={"vars": own})
    try:
        assert hosts.play("backup", "web1", **own).code == 0, "now there is a repository"
        with moved_aside("web1", PASSWORD):
            lab.inside("web1", "tee", PASSWORD, feed=b"sesame\n")
            told = doctor.finds_one("host web1", *words, "-l", "web1")
        assert told == f"the password in {PASSWORD} does not open the backups in /root/backups: wrong password"
        assert doctor.finds(*words, "-l", "web1") == []
    finally:
        lab.inside("web1", "rm", "-rf", *own.values())


def test_a_password_that_is_missing_where_the_inventory_names_it(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("web1", "db1")
    words = (*doctor.inventory(web={"vars": {"incident_backup_password_file": PASSWORD}}), "-l", "web1")
    with moved_aside("web1", PASSWORD):
        told = doctor.finds_one("host web1", *words)
    assert told == f"the backups' password file {PASSWORD} cannot be read: No such file or directory"
    assert doctor.finds(*words) == []


def test_a_disk_that_is_full_where_backups_go(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("web1", "db1")
    lab.inside("web1", "mkdir", "-p", BACKUPS)
    lab.inside("web1", "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", BACKUPS)
    try:
        lab.inside("web1", "sh", "-c", f"head -c 8100000 /dev/zero >{BACKUPS}/old")
        found = doctor.finds("-l", "web1")
    finally:
        lab.inside("web1", "umount", BACKUPS)
        lab.inside("web1", "rmdir", "--ignore-fail-on-non-empty", BACKUPS)
    assert [row["what"] for row in found] == ["host web1", "host web1"]
    assert re.match(rf"disk {BACKUPS}: 9\d(\.\d)? % full, [\d.]+ MiB free; backups would go there", found[0]["told"])
    assert found[1]["told"].startswith("backup refused: "), "as it would refuse in an incident"
    assert doctor.finds("-l", "web1") == []


@pytest.mark.parametrize(("offset_s", "side"), [(300, "ahead of"), (-300, "behind")])
def test_a_clock_that_is_five_minutes_off(hosts: Hosts, doctor: Doctor, offset_s: int, side: str) -> None:
    """Hosts share the kernel's clock with us: libfaketime answers for it to the Python that our module runs in."""
    hosts.fresh("worker1")
    python = "/usr/local/bin/python3-elsewhen"
    script = f'#!/bin/sh\nexec faketime -f "{offset_s:+}s" /usr/bin/python3 "$@"\n'
    lab.inside("worker1", "install", "--mode=755", "/dev/stdin", python, feed=script.encode())
    words = doctor.inventory(workers={"hosts": {"worker1": {"ansible_python_interpreter": python}}})
    try:
        told = doctor.finds_one("host worker1", *words, "-l", "worker1")
    finally:
        lab.inside("worker1", "rm", python)
    measured = re.match(rf"its clock is ([\d.]+) s {side} this machine's, give or take ([\d.]+) s", told)
    assert measured, told
    seconds, give_or_take = map(float, measured.groups())
    assert abs(seconds - abs(offset_s)) <= give_or_take + 0.1
    assert give_or_take < 10
    assert doctor.finds("-l", "worker1") == []


@pytest.mark.parametrize(
    ("name", "program", "told"),
    [
        ("web1", "/usr/bin/restic", "restic is not here, but a password for it is: backups would be plain archives"),
        ("db1", "/usr/bin/pg_dump", "database: pg_dump of PostgreSQL's client is not on this host: install it: backup"),
        ("db1", "/usr/sbin/iptables-restore", "database: IPv4 is NOT limited: iptables-restore is not installed"),
    ],
)
def test_a_program_that_the_catalogue_needs(hosts: Hosts, doctor: Doctor, name: str, program: str, told: str) -> None:
    hosts.need("web1", "db1")
    with moved_aside(name, program):
        found = doctor.finds("-l", name)
    assert {row["what"] for row in found} == {f"host {name}"}
    assert sum(row["told"].startswith(told) for row in found) == 1, found
    assert doctor.finds("-l", name) == []


def test_a_program_that_nothing_on_the_host_needs(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need("worker1")
    with moved_aside("worker1", "/usr/bin/restic"):
        assert doctor.finds("-l", "worker1") == []


@pytest.mark.parametrize(("name", "what"), [("on_call", "audience on_call"), ("tickets", "tracker")])
def test_an_address_behind_which_nobody_listens(hosts: Hosts, doctor: Doctor, name: str, what: str) -> None:
    hosts.need("worker1", "mon1")
    scheme = "json" if name == "on_call" else "http"
    doctor.write(name, f"{scheme}://127.0.0.1:{free_port()}/sesame")
    told = doctor.finds_one(what, "-l", "worker1")
    assert told == f"the address in file {doctor.folder / name} cannot be connected to: Connection refused"
    doctor.write(name, f"{scheme}://{INBOX}/{name}")
    inbox = lab.ssh("mon1", "curl", "--silent", f"http://127.0.0.1:{lab.INBOX_PORT}/{name}").stdout
    assert doctor.finds("-l", "worker1") == []
    assert lab.ssh("mon1", "curl", "--silent", f"http://127.0.0.1:{lab.INBOX_PORT}/{name}").stdout == inbox, "it sent"


@contextmanager
def a_web_page() -> Iterator[str]:
    """Give the address of a server that answers everything with HTML, as a login page in front of Prometheus does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Log in</title>")

        log_message: Callable[..., None] = lambda *_: None

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_monitoring_that_answers_with_a_web_page(hosts: Hosts, doctor: Doctor, name: str) -> None:
    hosts.need("worker1", "mon1")
    right = doctor.settings["monitoring"][name]
    with a_web_page() as address:
        doctor.settings["monitoring"][name] = address
        told = doctor.finds_one("monitoring", "-l", "worker1")
    assert told == f"{address} does not answer as it should: is it really there?"
    doctor.settings["monitoring"][name] = right
    assert doctor.finds("-l", "worker1") == []


def test_a_guard_that_would_refuse_what_a_severity_contains(hosts: Hosts, doctor: Doctor) -> None:
    hosts.need(*lab.HOSTS)
    doctor.settings["guards"] = {"max_fraction_changed": 0.5}
    told = doctor.finds_one("guards for critical")
    assert "max_fraction_changed: 3 of the inventory's 5 hosts would be changed, 50% may be" in told
