"""Units of every sort under a real systemd: what is stopped with them, what is killed, and what lift starts again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.lab.play import Hosts, Play, lab

HOST = "worker1"
FOLDER = "/etc/systemd/system"
SLEEP = "[Service]\nExecStart=/bin/sleep infinity\n"
# Hears no SIGTERM, and has a child.
DEAF = "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; /bin/sleep infinity & while :; do wait; done'\n"


class Site:
    """Units of a test's own on the worker, and an incident that stops some of them."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.id = hosts, f"INC-{secrets.token_hex(4)}"
        self.units: list[str] = []

    def has(self, **units: str) -> None:
        """Lay out units; `front_timer="…"` is the unit t-front.timer."""
        for name, text in units.items():
            file = f"t-{name.replace('_at', '@').replace('_', '.')}"
            self.units.append(file)
            lab.ssh(HOST, f"sudo tee {FOLDER}/{file} >/dev/null", feed=text.encode())
        self.run("systemctl", "daemon-reload")

    def run(self, *words: str) -> str:
        return self.hosts.run(HOST, *words)

    def start(self, *units: str) -> None:
        self.run("systemctl", "start", *units)

    def states(self, *units: str) -> list[str]:
        return self.hosts.says(HOST, "systemctl", "is-active", *units).split()

    def service(self, name: str, unit: str = "", **more: Any) -> dict[str, Any]:
        return {"name": name, "hosts": "workers", "manager": "systemd", "unit": unit or f"t-{name}.service", **more}

    def play(self, playbook: str, *services: dict[str, Any], incident: str = "", **variables: Any) -> Play:
        own = {"incident_id": incident or self.id, "incident_services": list(services)}
        names = [service["name"] for service in services]
        return self.hosts.play(playbook, HOST, **{**own, "incident_only": names, **variables})

    def isolate(self, *services: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
        return told(self.play("isolation", *services, **more))

    def lift(self, incident: str = "") -> list[tuple[str, str]]:
        return told(self.play("lift", incident=incident))

    def clear(self) -> None:
        self.hosts.says(HOST, "systemctl", "kill", "--signal=SIGKILL", *self.units, "2>/dev/null")
        self.hosts.says(HOST, "systemctl", "stop", "'t-*'", *[u for u in self.units if "@." not in u], "2>/dev/null")
        self.run("rm", "-rf", *[f"{FOLDER}/{unit}" for unit in self.units], "/var/lib/incidentctl/ledger")
        self.run("systemctl", "daemon-reload")
        self.hosts.says(HOST, "systemctl", "reset-failed")


def told(play: Play) -> list[tuple[str, str]]:
    return [(row["outcome"], row["summary"]) for row in play.block(HOST)["actions"]]


@pytest.fixture
def site(hosts: Hosts) -> Iterator[Site]:
    hosts.need(HOST)
    site = Site(hosts)
    yield site
    site.clear()


def test_what_would_start_it_again_and_what_goes_down_with_it_are_stopped_and_started_again(site: Site) -> None:
    site.has(
        shop_socket="[Socket]\nListenStream=127.0.0.1:18999\n",
        shop_service=SLEEP,
        front_service=f"[Unit]\nBindsTo=t-shop.service\nAfter=t-shop.service\n{SLEEP}",
        front_timer="[Timer]\nOnCalendar=hourly\n",
        report_service=f"[Unit]\nPartOf=t-shop.service\n{SLEEP}",  # does not run, and stays so
    )
    all_units = ["t-shop.socket", "t-shop.service", "t-front.service", "t-front.timer", "t-report.service"]
    site.start("t-shop.socket", "t-front.service", "t-front.timer")
    before = site.states(*all_units)
    assert before == ["active", "active", "active", "active", "inactive"]
    ((outcome, summary),) = site.isolate(site.service("shop"))
    assert outcome == "done"
    assert all(unit in summary for unit in all_units[:4]), summary
    assert site.states(*all_units) == ["inactive"] * 5
    ((outcome, summary),) = site.lift()
    assert (outcome, site.states(*all_units)) == ("done", before), summary


def test_what_only_waits_is_disarmed_and_armed_again_without_being_started(site: Site) -> None:
    site.has(
        one_socket="[Socket]\nListenStream=127.0.0.1:18998\n", one_service=SLEEP,
        two_timer="[Timer]\nOnCalendar=hourly\n", two_service="[Service]\nType=oneshot\nExecStart=/bin/true\n",
        three_path="[Path]\nPathExists=/run/t-three\n", three_service=SLEEP,
    )  # fmt: skip
    triggers, services = (
        ["t-one.socket", "t-two.timer", "t-three.path"],
        [f"t-{n}.service" for n in ("one", "two", "three")],
    )
    site.start(*triggers)
    rows = site.isolate(*(site.service(name) for name in ("one", "two", "three")))
    assert [outcome for outcome, _said in rows] == ["done"] * 3, rows
    assert site.states(*triggers) == ["inactive"] * 3
    site.run("touch", "/run/t-three")
    site.hosts.says(HOST, "curl", "--silent", "--max-time", "1", "http://127.0.0.1:18998")
    assert site.states(*services) == ["inactive"] * 3
    site.run("rm", "/run/t-three")
    rows = site.lift()
    assert site.states(*triggers, *services) == ["active"] * 3 + ["inactive"] * 3, rows


def test_what_does_not_end_by_itself_is_killed_after_the_grace_and_named(site: Site) -> None:
    site.has(deaf_service=DEAF, quick_service=f"{DEAF}TimeoutStopSec=1\n")
    site.start("t-deaf.service", "t-quick.service")
    rows = site.isolate(site.service("deaf"), site.service("quick"), isolation_grace_s=3)
    assert [outcome for outcome, _said in rows] == ["done", "done"]
    assert "had to kill, after 3 s, sh (pid " in rows[0][1], rows
    assert "sleep (pid " in rows[0][1]
    assert "systemd had to kill sh (pid " in rows[1][1], rows
    assert "of t-quick.service, after its own time" in rows[1][1]
    assert "active" not in site.states("t-deaf.service", "t-quick.service")
    site.lift()
    assert site.states("t-deaf.service", "t-quick.service") == ["active", "active"]


def test_processes_that_their_unit_leaves_behind_are_named(site: Site) -> None:
    site.has(lax_service=f"{DEAF}KillMode=process\nTimeoutStopSec=1\n")
    site.start("t-lax.service")
    ((_outcome, summary),) = site.isolate(site.service("lax"))
    assert "sleep (pid " in summary
    assert "of t-lax.service is left running, as its KillMode says" in summary


def test_masked_failed_and_missing_units_are_told_and_left_as_they_are(site: Site) -> None:
    site.has(failed_service="[Service]\nExecStart=/bin/false\nType=oneshot\n")
    site.run("ln", "-sf", "/dev/null", f"{FOLDER}/t-masked.service")
    site.units.append("t-masked.service")
    site.run("systemctl", "daemon-reload")
    site.hosts.says(HOST, "systemctl", "start", "t-failed.service", "2>/dev/null")
    rows = site.isolate(*(site.service(name) for name in ("masked", "failed", "missing")))
    assert rows == [
        ("unchanged", "masked is not running: t-masked.service is masked, and stays so"),
        ("unchanged", "failed is not running: t-failed.service failed (exit-code)"),
        ("failed", "unit t-missing.service: not-found"),
    ]
    assert [outcome for outcome, _said in site.lift()] == ["unchanged"]
    assert site.states("t-failed.service") == ["failed"]
    assert site.hosts.says(HOST, "systemctl", "is-enabled", "t-masked.service") == "masked"


def test_a_flapping_unit_counts_as_running(site: Site) -> None:
    site.has(
        flap_service="[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 0.05\nRestart=always\nRestartSec=3\n"
    )
    site.start("t-flap.service")
    time.sleep(0.5)
    assert site.states("t-flap.service") == ["activating"]
    assert site.isolate(site.service("flap")) == [("done", "flap stopped")]
    time.sleep(4)
    assert site.states("t-flap.service") == ["inactive"]
    ((outcome, _summary),) = site.lift()
    assert (outcome, site.states("t-flap.service") == ["inactive"]) == ("done", False)


def test_a_template_means_the_instances_that_run(site: Site) -> None:
    site.has(job_at_service=SLEEP)
    site.start("t-job@1.service", "t-job@2.service", "t-job@3.service")
    site.run("systemctl", "stop", "t-job@3.service")
    instances = [f"t-job@{number}.service" for number in (1, 2, 3)]
    ((outcome, summary),) = site.isolate(site.service("one", "t-job@1.service"))
    assert (outcome, site.states(*instances)) == ("done", ["inactive", "active", "inactive"]), summary
    site.lift()
    assert site.states(*instances) == ["active", "active", "inactive"]
    ((outcome, summary),) = site.isolate(site.service("jobs", "t-job@.service"))
    assert (outcome, site.states(*instances)) == ("done", ["inactive"] * 3), summary
    site.lift()
    assert site.states(*instances) == ["active", "active", "inactive"]
    assert site.isolate(site.service("none", "t-none@.service")) == [("failed", "unit t-none@.service: not-found")]


def test_lift_starts_nothing_that_stood_still_before(site: Site) -> None:
    site.has(cache_service=SLEEP, shop_service=f"[Unit]\nWants=t-cache.service\n{SLEEP}")
    site.start("t-shop.service")
    site.run("systemctl", "stop", "t-cache.service")
    site.isolate(site.service("shop"))
    site.lift()
    assert site.states("t-shop.service", "t-cache.service") == ["active", "inactive"]
    # The same, were it stopped by another incident meanwhile.
    site.start("t-cache.service")
    site.isolate(site.service("shop"))
    site.isolate(site.service("cache"), incident="INC-other")
    site.lift()
    assert site.states("t-shop.service", "t-cache.service") == ["active", "inactive"]
    site.lift("INC-other")
    assert site.states("t-shop.service", "t-cache.service") == ["active", "active"]


def test_what_went_down_with_anothers_service_is_held_until_both_are_lifted(site: Site) -> None:
    site.has(db_service=SLEEP, shop_service=f"[Unit]\nRequires=t-db.service\nAfter=t-db.service\n{SLEEP}")
    units = ["t-db.service", "t-shop.service"]
    for first in ("A", "B"):
        a, b = f"INC-{first}-a", f"INC-{first}-b"
        site.start("t-shop.service")
        assert site.isolate(site.service("db"), incident=a)[0][0] == "done"
        ((outcome, summary),) = site.isolate(site.service("shop"), incident=b)
        assert outcome == "unchanged"
        assert f"by isolation of {a}" in summary
        if first == "A":
            ((_outcome, summary),) = site.lift(a)
            assert "t-shop.service stays as it is" in summary, summary
            assert site.states(*units) == ["active", "inactive"]
            site.lift(b)
        else:
            ((_outcome, summary),) = site.lift(b)
            assert "shop stays as it is" in summary, summary
            assert site.states(*units) == ["inactive", "inactive"]
            site.lift(a)
        assert site.states(*units) == ["active", "active"]


def test_several_are_stopped_and_started_in_the_order_of_what_they_need(site: Site) -> None:
    log = "/run/t-order"
    for name in ("db", "shop", "mail"):
        note = f"[Service]\nExecStartPre=/bin/sh -c 'echo +{name} >>{log}'\nExecStart=/bin/sleep infinity\n"
        site.has(**{f"{name}_service": f"{note}ExecStopPost=/bin/sh -c 'echo -{name} >>{log}'\n"})
    site.run("rm", "-f", log)
    site.start("t-db.service", "t-shop.service", "t-mail.service")
    needs = {"depends_on": [{"name": "db", "check": "tcp://127.0.0.1:1"}]}
    site.isolate(site.service("db"), site.service("shop", **needs))
    assert site.run("cat", log).split()[3:] == ["-shop", "-db"]
    site.lift()
    assert site.run("cat", log).split()[5:] == ["+db", "+shop"]
    # Stopped one by one, the other way round: what was stopped last is needed by nobody.
    site.isolate(site.service("db"))
    site.isolate(site.service("shop", **needs))
    site.lift()
    assert site.run("cat", log).split()[7:] == ["-db", "-shop", "+db", "+shop"]


def test_what_others_did_meanwhile_is_told_and_kept(site: Site) -> None:
    site.has(
        shop_socket="[Socket]\nListenStream=127.0.0.1:18997\n", shop_service=SLEEP, mail_service=SLEEP, web_service=SLEEP,
    )  # fmt: skip
    site.start("t-shop.socket", "t-shop.service", "t-mail.service", "t-web.service")
    site.isolate(*(site.service(name) for name in ("shop", "mail", "web")))
    site.start("t-mail.service")
    site.start("t-shop.service")  # without its socket, which systemd does not start beside it any more
    site.has(web_service=SLEEP.replace("infinity", "9999"))
    before = site.run("systemctl", "show", "--property=MainPID", "t-mail.service")
    rows = sorted(site.lift())
    assert rows[0] == ("done", "mail was already running")
    assert rows[1][0] == "done"
    assert "the file of t-web.service was changed meanwhile: what runs is as it says now" in rows[1][1]
    assert rows[2][0] == "failed"
    assert "t-shop.socket did not start" in rows[2][1]
    assert "Fix: stop that, then lift again" in rows[2][1], rows
    assert site.run("systemctl", "show", "--property=MainPID", "t-mail.service") == before
    site.run("systemctl", "stop", "t-shop.service")
    assert [outcome for outcome, _said in site.lift()] == ["done"]
    assert site.states("t-shop.socket", "t-shop.service") == ["active", "active"]


def test_what_could_not_be_started_again_or_takes_the_login_away_is_refused(site: Site) -> None:
    site.run("systemd-run", "--quiet", "--unit=t-transient", "/bin/sleep", "infinity")
    site.units.append("t-transient.service")
    rows = site.isolate(site.service("transient"), site.service("login", "ssh.service"))
    assert [outcome for outcome, _said in rows] == ["refused", "refused"], rows
    assert "nobody could log in any more" in rows[1][1]
    assert site.states("t-transient.service", "ssh.service") == ["active", "active"]


def test_what_is_sick_after_the_lift_is_told_and_does_not_hold_up_the_rest_for_long(site: Site) -> None:
    site.has(sick_service=SLEEP, well_service=SLEEP)
    site.start("t-sick.service", "t-well.service")
    sick = site.service("sick", health={"url": "http://127.0.0.1:1/health", "timeout_s": 1})
    site.isolate(sick, site.service("well"))
    began = time.monotonic()
    rows = sorted(site.lift())
    assert time.monotonic() - began < 45
    assert "sick started but not healthy within 30 s: no answer" in rows[0][1]
    assert rows[1][1] == "well started"
