"""Every role on Debian 11 and 13, beside the 12 of the other hosts: it acts, acts once, and lift leaves the host as it was."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import yaml
from tests.lab.play import Hosts, Play, lab

CARGO = ("demo/shop", "molecule/shared", "molecule/enhanced_monitoring/prometheus.sh", "tests/lab/hosts/web/hotfix.sh")
THERE = "/opt/lab"
VARIABLES = lab.REPOSITORY / "molecule" / "inventory" / "group_vars" / "all.yml"  # the same shop as in every scenario
OF_A_RUN = r"/var/lib/incidentctl|^process|/srv/shop/run/"  # what the second clock and a restart leave otherwise


class Act(NamedTuple):
    """A role, what it is told, the release that the shop runs by then, and what may be otherwise once it is lifted."""

    role: str
    told: Mapping[str, Any] = MappingProxyType({})
    release: str = "42"
    changes: bool = True
    stays: str = ""


ACTS = [
    Act("log_collection", changes=False),
    Act("diagnosis", changes=False),
    Act("health_check", changes=False),
    Act("readiness", changes=False),
    Act("prepare_rollback", changes=False),
    Act("backup", stays="/var/backups/incidentctl"),
    Act("isolation", {"incident_only": ["shop"]}, release="41"),
    Act("scale_down"),
    Act("maintenance_mode"),
    Act("circuit_breaker"),
    Act("rate_limit", {"rate_limit_services": [{"name": "exporter", "hosts": "all", "ports": [9100]}]}),
    Act("quarantine", {"incident_only": ["shop"]}),
    Act("enhanced_monitoring", {"incident_prometheus_hosts": "all"}),
    Act("rollback", {"incident_only": ["shop"]}, stays=r"/srv/shop/(current\s|data/shop\.db)"),
    Act("hotfix", {"incident_only": ["shop"]}, stays=r"/srv/shop/(current\s|data/shop\.db|releases/43)"),
]
FAILING = {"health_check", "readiness"}  # what they look at is broken, and they say so


class Site:
    """A host of another Debian version, with the demo's shop under systemd."""

    def __init__(self, hosts: Hosts, name: str, evidence: Path) -> None:
        self.hosts, self.name = hosts, name
        described = yaml.safe_load(VARIABLES.read_text())
        self._variables = {key: value for key, value in described.items() if not key.startswith(("ansible_", "host_"))}
        for service in self._variables["incident_services"]:
            if service["name"] == "shop":
                service["data"].append({"kind": "postgresql", "database": "shop", "user": "postgres"})
        self._variables |= {"incident_evidence_dir": str(evidence), "incident_management_cidrs": [f"{lab.IPV4}1/32"]}
        self.evidence, self.inventory = evidence, evidence.with_name("inventory.yml")
        address = {"ansible_host": lab.described(name).addresses[0], "lab_dir": str(lab.STATE)}
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": {name: address}}}))

    def lay_out(self, act: Act) -> None:
        """Take away what was there, let the shop sell, and break it, unless its release is 41."""
        self.run(f"sh {THERE}/molecule/shared/reset.sh")
        self.run(f"cp {THERE}/molecule/shared/shop.service /etc/systemd/system/")
        self.run(f"sh {THERE}/molecule/shared/break.sh {act.release}")
        self.run(f"install -m 755 {THERE}/tests/lab/hosts/web/hotfix.sh /srv/shop/")
        if act.role == "enhanced_monitoring":
            self.run(f"sh {THERE}/molecule/enhanced_monitoring/prometheus.sh")

    def run(self, command: str) -> str:
        return lab.inside(self.name, "sh", "-euc", command)

    def look(self, stays: str = "") -> set[str]:
        """Return all that a role could change on the host, less what may be otherwise."""
        left_out = re.compile("|".join(part for part in (OF_A_RUN, stays) if part))
        lines = self.run(f"sh {THERE}/molecule/shared/state.sh").splitlines()
        return {line for line in lines if not left_out.search(line)}

    def play(self, playbook: str, incident: str, *flags: str, **told: Any) -> Play:
        variables = {**self._variables, "incident_id": incident, "incident_continue": True, **told}
        return self.hosts.play(playbook, self.name, "-i", str(self.inventory), *flags, **variables)


@pytest.fixture(scope="module", params=sorted(lab.OTHERS))
def site(request: pytest.FixtureRequest, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = request.param
    hosts.fresh(name)
    archive = lab.run("tar", "--create", "--exclude=__pycache__", f"--directory={lab.REPOSITORY}", *CARGO).stdout
    lab.inside(name, "tar", "--extract", "--no-same-owner", f"--one-top-level={THERE}", feed=archive)
    site = Site(hosts, name, tmp_path_factory.mktemp(name) / "evidence")
    # Debian 13 starts it at boot, and it ends by itself when nobody wanted it for a while.
    site.run(
        "systemctl disable --quiet --now netavark-dhcp-proxy.socket netavark-dhcp-proxy.service 2>/dev/null || true"
    )
    site.run("systemctl start postgresql.service && runuser -u postgres -- createdb shop")
    site.run("runuser -u postgres -- psql -qc 'CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id' shop")
    yield site
    site.run(f"sh {THERE}/molecule/shared/reset.sh")


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.role)
def test_a_role_acts_once_and_lift_leaves_the_host_as_it_was(site: Site, act: Act) -> None:
    go_through(site, act)


@pytest.mark.parametrize("role", ["rate_limit", "quarantine"])
def test_rules_are_put_in_and_taken_out_with_the_legacy_iptables_too(site: Site, role: str) -> None:
    programs = ("iptables", "ip6tables")
    for program in programs:
        site.run(f"update-alternatives --set {program} /usr/sbin/{program}-legacy")
    try:
        go_through(site, next(act for act in ACTS if act.role == role))
    finally:
        for program in programs:
            site.run(f"update-alternatives --auto {program}")


def go_through(site: Site, act: Act) -> None:
    """Check, act, act again and lift, and look at the host after each."""
    incident = f"INC-{secrets.token_hex(3)}"
    site.lay_out(act)
    before, kept = site.look(), site.look(act.stays)

    check = site.play(act.role, incident, "--check", **act.told)
    assert check.code == 0, check.said
    assert site.look() == before

    first = site.play(act.role, incident, **act.told)
    assert first.code == 0, first.said
    if act.role == "log_collection":
        assert list(site.evidence.glob(f"{site.name}/evidence-*.tar.*")), first.said
    else:
        rows = first.block(site.name)["actions"]
        assert rows, first.said
        assert act.role in FAILING or {row["outcome"] for row in rows} <= {"done", "unchanged"}, rows
        assert all(row.get("verified", True) is not False for row in rows), rows
    assert (site.look() != before) == act.changes

    again = site.play(act.role, incident, **act.told)
    assert re.search(r"changed=0 .*failed=0", again.said), again.said

    lifted = site.play("lift", incident)
    assert lifted.code == 0, lifted.said
    assert site.look(act.stays) == kept


def test_the_commands_that_are_named_bring_the_data_back(site: Site) -> None:
    site.lay_out(Act("backup"))
    site.run("systemctl stop shop.service")
    read = "import sqlite3; print(list(sqlite3.connect('/srv/shop/data/shop.db').iterdump()))"
    orders = "runuser -u postgres -- psql -XqAtc 'SELECT count(*), sum(id) FROM orders' shop"
    look = f'python3 -c "{read}"; {orders}; sha256sum /srv/shop/releases/41/*.py'
    data = [
        {"kind": "files", "path": "/srv/shop/releases"},
        {"kind": "sqlite", "path": "/srv/shop/data/shop.db"},
        {"kind": "postgresql", "database": "shop", "user": "postgres"},
    ]
    before = site.run(look)
    services = [{"name": "shop", "hosts": "all", "data": data}]
    backups = site.play("backup", "INC-1", incident_services=services).block(site.name)["facts"]["services"]["shop"]
    assert [backup["verified"] for backup in backups] == [True] * 3, backups

    site.run("rm -rf /srv/shop/releases/41 /srv/shop/data/shop.db")
    site.run("runuser -u postgres -- psql -Xqc 'DELETE FROM orders' shop")
    for backup in backups:
        site.run(backup["restore"])
    assert site.run(look) == before


def test_what_restic_says_of_a_repository_is_understood(site: Site) -> None:
    """Its exit codes have changed: up to 0.16 each of these was 1 and a sentence."""
    act = Act("backup")
    site.lay_out(act)
    files = {
        "incident_services": [{"name": "shop", "hosts": "all", "data": [{"kind": "files", "path": "/srv/shop/data"}]}]
    }
    (first,) = site.play("backup", "INC-1", **files).block(site.name)["actions"]
    assert (first["outcome"], first["verified"]) == ("done", True), first

    other = {**files, "incident_backup_password_file": "/etc/machine-id"}
    (closed,) = site.play("backup", "INC-2", **other).block(site.name)["actions"]
    assert (closed["outcome"], closed["verified"]) == ("failed", False)
    assert "wrong password" in closed["summary"], closed

    # Whoever had the lock is no more: it is taken away, and the backup goes on.
    lock = "restic -r /var/backups/incidentctl --password-file /etc/incidentctl/restic --no-cache check --read-data"
    site.run(
        f"({lock} >/dev/null & pid=$!; until ls /var/backups/incidentctl/locks/* >/dev/null 2>&1; do :; done; kill -9 $pid)"
    )
    site.run("ls /var/backups/incidentctl/locks/*")
    (after,) = site.play("backup", "INC-3", **files).block(site.name)["actions"]
    assert (after["outcome"], after["verified"]) == ("done", True), after
    assert site.run("ls /var/backups/incidentctl/locks") == ""
