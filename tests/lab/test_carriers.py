"""Two ways to a host, one behaviour: as an ordinary module, and in one exec on standard input (docs/decisions/0007)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import light_hosts

ROOT = Path(__file__).resolve().parents[2]
COUNT = 10
CARRIERS = ("module", "stdin")
CATALOGUE = [{"name": "shop", "hosts": "all", "ports": [8000]}]
LIMIT = {
    "capability": "rate_limit",
    "services": CATALOGUE,
    "host_name": "{{ inventory_hostname }}",
    "host_groups": ["all"],
    "incident_id": "INC-carriers",
    "state_dir": "~/$WHERE",
    "confirm_within": 0,
    "expires_after": 0,
}
LIFT = {"incident_id": "INC-carriers", "state_dir": "~/$WHERE"}

pytestmark = pytest.mark.skipif(bool(light_hosts.missing()), reason=light_hosts.missing())


@dataclass
class Play:
    """How one play ended: its exit code, the last result of each host, all it said."""

    code: int
    results: dict[str, dict[str, Any]]
    said: str


class Site:
    """The light hosts, through Ansible."""

    def __init__(self, hosts: light_hosts.LightHosts, folder: Path) -> None:
        self.hosts, self.folder, self.plays = hosts, folder, 0

    def play(
        self, carrier: str, module: str, options: dict[str, Any], *flags: str, user: str = "free",
        limit: str = "h1", keywords: dict[str, Any] | None = None, pipelining: bool = True, **variables: Any,
    ) -> Play:  # fmt: skip
        """Run one task under become, by one carrier."""
        self.plays += 1
        tree = self.folder / f"tree{self.plays}"
        task = {f"incidentctl.response.{module}": options, "environment": {"WHERE": "ledger"}, **(keywords or {})}
        plays = [{"hosts": limit, "gather_facts": False, "become": True, "tasks": [task]}]
        (self.folder / "play.json").write_text(json.dumps(plays))
        inventory = {"all": {"hosts": {name: self.hosts.variables(name, user) for name in self.hosts.names()}}}
        inventory["all"]["vars"] = {"incident_carrier": carrier, **variables}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        env = {
            **os.environ,
            "ANSIBLE_CALLBACKS_ENABLED": "tree",
            "ANSIBLE_CALLBACK_TREE_DIR": str(tree),
            "ANSIBLE_FORKS": "10",
            "ANSIBLE_INJECT_INVOCATION": "True",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
        }
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = ["-i", str(self.folder / "inventory.json"), str(self.folder / "play.json"), "-vvv", *flags]
        done = subprocess.run(
            self.hosts.beside(program, *words),
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        results = {path.name: json.loads(path.read_text()) for path in tree.iterdir()} if tree.is_dir() else {}
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        return Play(done.returncode, results, said)

    def one(self, carrier: str, module: str, options: dict[str, Any], *flags: str, **more: Any) -> dict[str, Any]:
        """Run one task on h1; return its result, and in `failed` whether Ansible took it for failed."""
        play = self.play(carrier, module, options, *flags, **more)
        assert set(play.results) == {"h1"}, play.said
        return {**play.results["h1"], "failed": play.code == 2}

    def rules(self) -> dict[str, str]:
        """Return all rules of all hosts, counters and comments left out."""
        script = "for program in iptables-save ip6tables-save; do $program | grep -v ^#; done"
        return {name: self.hosts.inside(name, "sh", "-c", script) for name in self.hosts.names()}

    def forget(self) -> None:
        """Remove all ledgers: the next act is the first of its incident."""
        for name in self.hosts.names():
            self.hosts.inside(name, "rm", "-rf", "/root/ledger")

    def ledger(self) -> str:
        """Return what is left of any act on h1."""
        return self.hosts.inside("h1", "find", "/root", "/home", "-name", "*rate-limit*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("light")
    with light_hosts.running(COUNT) as hosts:
        made = Site(hosts, folder)
        made.play("stdin", "traffic_rule", LIMIT, limit="all")
        made.play("stdin", "lift", LIFT, limit="all")  # iptables-save shows empty tables from now on
        yield made


def alike(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what no two runs share: times."""
    text = json.dumps(result, sort_keys=True)
    return dict(json.loads(re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)", "TIME", text)))


def execs(play: Play) -> int:
    return play.said.count("SSH: EXEC")


def test_ten_hosts_say_and_do_the_same_and_lift_restores_them(site: Site) -> None:
    before, acts, lifts, counts = site.rules(), {}, {}, {}
    for carrier in CARRIERS:
        site.forget()
        act = site.play(carrier, "traffic_rule", LIMIT, limit="all")
        assert act.code == 0, act.said
        assert all("incidentctl" in rules for rules in site.rules().values())
        lift = site.play(carrier, "lift", LIFT, limit="all")
        assert lift.code == 0, lift.said
        assert site.rules() == before
        acts[carrier] = {name: alike(result) for name, result in act.results.items()}
        lifts[carrier] = {name: alike(result) for name, result in lift.results.items()}
        counts[carrier] = execs(act)
    assert len(acts["stdin"]) == COUNT
    assert acts["stdin"] == acts["module"]
    assert lifts["stdin"] == lifts["module"]
    assert acts["stdin"]["h1"]["incident"]["outcome"] == "done"
    assert acts["stdin"]["h1"]["invocation"]["module_args"]["state_dir"] == "/root/ledger"
    assert counts["stdin"] == COUNT


def test_the_check_changes_nothing_and_says_what_would(site: Site) -> None:
    site.forget()
    before, told = site.rules(), {}
    for carrier in CARRIERS:
        told[carrier] = alike(site.one(carrier, "traffic_rule", LIMIT, "--check", "--diff"))
        assert (site.rules(), site.ledger()) == (before, "")
    assert told["stdin"] == told["module"]
    assert "--hashlimit-above 10/minute" in told["stdin"]["diff"][0]["after"]
    assert told["stdin"]["changed"] is True


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_forgotten_limit_ends_by_itself(site: Site, carrier: str) -> None:
    """The clock's script is made of a module's source, which only the carrier knows."""
    site.forget()
    before = site.rules()
    result = site.one(carrier, "traffic_rule", {**LIMIT, "expires_after": 5})
    assert result["incident"]["facts"]["limits"][0]["expires_at"]
    assert site.rules() != before
    deadline = time.monotonic() + 15
    while site.rules() != before:
        assert time.monotonic() < deadline, "the limit is still there"
        time.sleep(0.5)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "no pipelining"])
@pytest.mark.parametrize(
    ("user", "variables"),
    [
        ("free", {}),
        ("asked", {"ansible_become_password": light_hosts.PASSWORD}),
        ("free", {"ansible_become_method": "su", "ansible_become_password": light_hosts.ROOT_PASSWORD}),
    ],
    ids=["sudo", "sudo with a password", "su"],
)
def test_every_way_to_become_root(
    site: Site, carrier: str, pipelining: bool, user: str, variables: dict[str, Any]
) -> None:
    play = site.play(carrier, "traffic_rule", LIMIT, "--check", user=user, pipelining=pipelining, **variables)
    assert play.code == 0, play.said
    assert play.results["h1"]["incident"]["outcome"] == "done"
    if carrier == "stdin":
        assert execs(play) == 1


@pytest.mark.parametrize(
    ("user", "variables", "told"),
    [
        ("asked", {"ansible_become_password": "wrong"}, "Incorrect sudo password"),
        ("asked", {}, "Missing sudo password"),
        ("free", {"ansible_become_method": "su", "ansible_become_password": "wrong"}, "Incorrect su password"),
    ],
    ids=["sudo refuses it", "sudo wants one", "su refuses it"],
)
def test_a_wrong_password_is_told_the_same(site: Site, user: str, variables: dict[str, Any], told: str) -> None:
    results = [site.one(carrier, "traffic_rule", LIMIT, user=user, **variables) for carrier in CARRIERS]
    assert results[0] == results[1]
    assert told in results[0]["msg"]


@pytest.mark.parametrize("wrong", [{"per_minute": 0}, {"services": [{"name": "shop"}]}], ids=["limit", "catalogue"])
def test_a_refused_limit_fails_the_same(site: Site, wrong: dict[str, Any]) -> None:
    results = [alike(site.one(carrier, "traffic_rule", {**LIMIT, **wrong})) for carrier in CARRIERS]
    assert results[0] == results[1]
    assert results[0]["failed"] is True
    assert results[0]["msg"].startswith("rate_limit failed: ")
    kept = [alike(site.one(carrier, "traffic_rule", {**LIMIT, **wrong, "keep_going": True})) for carrier in CARRIERS]
    assert kept[0] == kept[1]
    assert kept[0]["incident"] == results[0]["incident"]
    assert kept[0]["failed"] is False


@pytest.mark.parametrize(
    "wrong",
    [{"per_minute": "many"}, {"typo": 1}, {"state": "off"}, {"services": None}, {"burst": "x", "expires_after": "y"}],
    ids=["type", "unknown", "choice", "required", "two at once"],
)
def test_wrong_arguments_are_told_the_same(site: Site, wrong: dict[str, Any]) -> None:
    options = {key: value for key, value in {**LIMIT, **wrong}.items() if value is not None}
    results = [site.one(carrier, "traffic_rule", options)["msg"] for carrier in CARRIERS]
    assert results[0] == results[1]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_log_hides_what_was_asked_and_answered(site: Site, carrier: str) -> None:
    options = {**LIMIT, "exempt_cidrs": ["203.0.113.77/32"], "per_minute": 0}
    play = site.play(carrier, "traffic_rule", options, keywords={"no_log": True})
    assert "no_log" in play.results["h1"]["censored"]
    assert "203.0.113.77" not in play.said + json.dumps(play.results)


def test_no_command_line_shows_what_is_carried(site: Site) -> None:
    """Neither on the hosts nor here, whose processes are all in this machine's /proc."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        options = {
            **LIMIT,
            "services": [{**CATALOGUE[0], "health": {"url": "http://127.0.0.1/canary-of-the-catalogue"}}],
        }
        keywords = {"environment": {"TOKEN": "canary-of-the-environment", "WHERE": "ledger"}}
        password = light_hosts.PASSWORD
        play = site.play("stdin", "traffic_rule", options, "--check", limit="all", user="asked", keywords=keywords,
                         ansible_become_password=password)  # fmt: skip
        assert play.code == 0, play.said
    finally:
        done.set()
        watcher.join()
    assert any(b"-I -S -B -" in line for line in seen)
    assert not [line for line in seen if b"canary" in line or password.encode() in line]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_a_login_says_beside_it_is_passed_over(site: Site, carrier: str) -> None:
    noise = r"printf 'Welcome \303\050 {\"changed\": false}\nno newline at the end'"
    site.hosts.inside("h1", "sh", "-c", f"cat >/home/free/.bashrc <<'END'\n{noise}\nEND")
    try:
        result = site.one(carrier, "traffic_rule", LIMIT, "--check", keywords={"become": True})
    finally:
        site.hosts.inside("h1", "rm", "/home/free/.bashrc")
    assert result["incident"]["outcome"] == "done"


def test_no_python_is_told_the_same(site: Site) -> None:
    nowhere = {"ansible_python_interpreter": "/opt/nowhere/python3"}
    results = [site.one(carrier, "traffic_rule", LIMIT, "-e", json.dumps(nowhere)) for carrier in CARRIERS]
    assert results[0]["msg"] == results[1]["msg"]
    assert "/opt/nowhere/python3" in results[0]["msg"]


def test_the_host_finds_its_own_python(site: Site) -> None:
    play = site.play("stdin", "traffic_rule", LIMIT, "--check", "-e", "ansible_python_interpreter=auto")
    assert (play.code, execs(play)) == (0, 1), play.said


def test_an_unreachable_host_is_unreachable_by_either(site: Site) -> None:
    for carrier in CARRIERS:
        play = site.play(carrier, "traffic_rule", LIMIT, "-e", "ansible_port=23")
        assert play.code == 4, play.said
        assert play.results["h1"]["unreachable"] is True


def test_a_module_that_is_killed_is_told_with_what_to_do(site: Site) -> None:
    """Here a tool that the module calls kills it."""
    script = (
        "mkdir -p /home/bad && printf '#!/bin/sh\\nkill -9 $PPID\\n' >/home/bad/iptables-save && chmod 755 /home/bad/*"
    )
    site.hosts.inside("h1", "sh", "-c", script)
    path = "/home/bad:/usr/sbin:/usr/bin:/sbin:/bin"
    keywords = {"environment": {"PATH": path, "WHERE": "ledger"}}
    for carrier in CARRIERS:
        result = site.one(carrier, "traffic_rule", LIMIT, keywords=keywords)
        assert result["failed"] is True
    assert "ended before it answered (exit code 137)" in result["msg"]
    assert "Fix: run it again, or take it back with lift" in result["msg"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_task_that_takes_too_long_fails(site: Site, carrier: str) -> None:
    script = (
        "mkdir -p /home/slow && printf '#!/bin/sh\\nsleep 5\\n' >/home/slow/iptables-save && chmod 755 /home/slow/*"
    )
    site.hosts.inside("h1", "sh", "-c", script)
    keywords = {"environment": {"PATH": "/home/slow:/usr/sbin:/usr/bin:/sbin:/bin", "WHERE": "ledger"}, "timeout": 3}
    result = site.one(carrier, "traffic_rule", LIMIT, "--check", keywords=keywords)
    assert result["failed"] is True
    assert "Timed out after 3 second(s)" in result["msg"]


def test_where_sudo_wants_a_terminal_it_goes_as_an_ordinary_module(site: Site) -> None:
    strict = "sed '1iDefaults requiretty' /etc/sudoers >/run/sudoers && chmod 440 /run/sudoers"
    script = f"{strict} && mount --bind /run/sudoers /etc/sudoers"
    site.hosts.inside("h1", "sh", "-c", script)
    try:
        play = site.play("stdin", "traffic_rule", LIMIT, "--check", pipelining=False)
    finally:
        site.hosts.inside("h1", "umount", "/etc/sudoers")
    assert play.code == 0, play.said
    assert execs(play) > 1


@pytest.mark.parametrize("carrier", CARRIERS)
def test_in_the_background(site: Site, carrier: str) -> None:
    result = site.one(carrier, "traffic_rule", LIMIT, keywords={"async": 30, "poll": 1})
    lifted = site.one(carrier, "lift", LIFT)
    assert (result["incident"]["outcome"], lifted["incident"]["outcome"]) == ("done", "done")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_delegated_it_acts_on_the_other_host(site: Site, carrier: str) -> None:
    before = site.rules()
    site.one(carrier, "traffic_rule", LIMIT, keywords={"delegate_to": "h2"})
    after = site.rules()
    site.one(carrier, "lift", LIFT, keywords={"delegate_to": "h2"})
    assert {name for name in before if before[name] != after[name]} == {"h2"}
    assert site.rules() == before
