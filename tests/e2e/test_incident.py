"""An incident on this machine through the command line, from the declaration to the closed report."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pexpect
import pytest
import yaml
from tests.receiver import Receiver
from tests.shop import ROOT, Shop

from incidentctl.record import open_record

# Everybody is told within 5 s by a quiet machine; a slow one may take longer, and one on which many programs stand in line much
TOLD_S = 15 if os.getloadavg()[0] < 2 * (os.cpu_count() or 1) else 120
PHASES = ["triage", "contain", "diagnose", "recover", "verify", "lift", "monitor"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "driver"), "TERM": "xterm-256color"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that sells, and whose newer release is deployed and broken."""
    shop = Shop(tmp_path)
    shop.lay_out()
    with shop.broken():
        yield shop


def healthy_as_before(shop: Shop) -> bool:
    return (
        shop.checkout() == 201
        and shop.ask("GET", "/admin/maintenance-mode")[1]["mode"] == "disabled"
        and (shop.root / "current").resolve().name == "41"
        and subprocess.run([*shop.control(), "status", "worker"], capture_output=True, check=False).returncode == 0
    )


def record_is_true(shop: Shop) -> bool:
    with open_record(f"sqlite:///{shop.folder}/state/record.db") as record:
        return record.verify(record.find()) is None


def test_without_a_terminal_it_stops_where_a_person_must_decide(shop: Shop) -> None:
    done = shop.run("run", "--severity", "high", "--yes", "checkout returns 500")
    assert done.returncode == 10, done.stderr
    incident = shop.status()
    assert f"Fix: incidentctl decide {incident['incident_id']} rollback" in done.stderr
    assert incident["question"]
    assert not incident["decision"]
    assert (shop.root / "current").resolve().name == "42", "somebody acted without a decision"
    assert shop.ask("GET", "/admin/maintenance-mode")[1]["mode"] == "enabled"

    second = shop.run("run", "--severity", "high", "--yes", "me too")
    assert second.returncode == 13
    assert incident["incident_id"] in second.stderr
    assert f"Fix: incidentctl run --join {incident['incident_id']}" in second.stderr

    refused = shop.run("close")
    assert refused.returncode == 15
    assert "lift" in refused.stderr

    decided = shop.run("decide", "rollback")
    assert decided.returncode == 0, decided.stderr
    assert shop.status()["status"] == "closed"
    assert healthy_as_before(shop)


def test_without_yes_the_containment_waits_for_a_person_who_acknowledges_by_taking_it_up(shop: Shop) -> None:
    done = shop.run("run", "--severity", "high", "checkout returns 500")
    assert done.returncode == 10, done.stderr
    assert "--yes" in done.stderr
    assert shop.status()["acknowledged_by"] is None

    child = shop.in_terminal("resume")
    try:
        child.expect("Contain now")
        assert shop.status()["acknowledged_by"]
        child.sendline("n")
        child.expect("Which way")
        child.sendline("q")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 10
    assert not shop.status()["contained"]
    assert shop.ask("GET", "/admin/maintenance-mode")[1]["mode"] == "disabled"


def test_stopped_in_every_phase_it_goes_on_and_loses_nothing(shop: Shop) -> None:
    words = ["run", "--severity", "high", "--yes", "--option", "rollback", "checkout returns 500"]
    for phase in PHASES:
        process = subprocess.Popen(
            shop.command(*words),
            cwd=shop.folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until_begun(shop, phase)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        incident = shop.status()
        assert process.returncode == 130, (phase, said)
        assert "Traceback" not in said, phase
        assert f"to go on: incidentctl resume {incident['incident_id']}" in said, phase
        assert incident["phases"][-1]["name"] == phase
        assert incident["phases"][-1]["state"] == "interrupted"
        assert incident["holder"] is None
        assert record_is_true(shop), phase
        words = ["resume", "--yes", "--option", "rollback"]
    done = shop.run(*words)
    assert done.returncode == 0, done.stderr
    assert shop.status()["status"] == "closed"
    assert not shop.status()["contained"]
    assert healthy_as_before(shop)
    assert [e["kind"] for e in shop.events()].count("declared") == 1


def wait_until_begun(shop: Shop, phase: str) -> None:
    """Wait until a host is at work in this phase: the record says so, and its ansible-playbook runs."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if not (shop.folder / "state" / "record.db").exists():
            continue
        with open_record(f"sqlite:///{shop.folder}/state/record.db") as record:
            if not record.incidents():
                continue
            # The outbox writes beside the phase: what is asked is the newest event of a step.
            steps = [event for event in record.events(record.find()) if event.kind.startswith("step_")]
            if steps and steps[-1].kind == "step_started" and steps[-1].data["phase"] == phase and ansible_runs(shop):
                return
    raise AssertionError(f"{phase} did not begin")


def ansible_runs(shop: Shop) -> bool:
    """Say whether an ansible-playbook of this shop's runs: its private folder is on its command line."""
    folder = os.fsencode(shop.folder / "state")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended while we looked
            line = path.read_bytes()
            if b"ansible-playbook" in line and folder in line:
                return True
    return False


def test_in_a_terminal_it_shows_the_matrix_and_asks(shop: Shop) -> None:
    child = shop.in_terminal("run", "--severity", "high", "checkout returns 500")
    try:
        child.expect("Contain now")
        assert "this-machine" in child.before
        child.sendline("y")
        child.expect("Which way")
        assert "recommended" in child.before
        child.sendline("Z")
        child.expect("Not one of A")
        child.sendline("a")
        child.expect("Recovered")
        child.expect("Report: ")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0
    assert healthy_as_before(shop)
    assert shop.status()["acknowledged_by"]


def test_a_question_can_be_answered_from_another_terminal(shop: Shop) -> None:
    child = shop.in_terminal("run", "--severity", "high", "--yes", "checkout returns 500")
    try:
        child.expect("Which way")
        elsewhere = shop.run("decide", "rollback")
        assert elsewhere.returncode == 0, elsewhere.stderr
        child.expect("Answered elsewhere")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0
    assert healthy_as_before(shop)


def test_the_report_tells_it_all(shop: Shop) -> None:
    done = shop.run("run", "-s", "high", "--yes", "--option", "rollback", "checkout <b>returns</b> 500")
    assert done.returncode == 0, done.stderr
    incident = shop.status()
    folder = Path(incident["report"]).parent
    text = (folder / "report.md").read_text()
    for told in (
        incident["incident_id"], "no such column", "went back from 42 to 41", "worker stopped", "Evidence", "restore",
    ):  # fmt: skip
        assert told in text.replace("\\", ""), told
    assert any(event["hash"] in text for event in shop.events()[-3:]), "the report does not hold the head of the chain"
    page = (folder / "report.html").read_text()
    assert "checkout &lt;b&gt;returns&lt;/b&gt; 500" in page
    assert "<b>returns" not in page
    assert "DTSTART" in (folder / "post-mortem.ics").read_text()
    assert incident["incident_id"] in (folder / "post-mortem.md").read_text()
    for name in ("activeContext.md", "progress.md"):
        assert incident["incident_id"] in (shop.folder / "memory_bank" / name).read_text()
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_everybody_concerned_is_told_within_seconds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{receiver.port}")
    hook = [{"env": "HOOK"}]
    audiences = {name: {"kind": name, "send": hook} for name in ("on_call", "management", "customers", "partners")}
    settings = yaml.safe_load(shop.config.read_text())
    settings["severities"]["high"]["notify"] = list(audiences)
    shop.config.write_text(yaml.safe_dump({**settings, "audiences": audiences, "status_page": {"folder": "page"}}))
    try:
        done = shop.run("run", "-s", "high", "--yes", "--option", "rollback", "checkout returns 500")
    finally:
        receiver.stop()
    assert done.returncode == 0, done.stderr
    events = shop.events()
    at = {event["kind"]: datetime.fromisoformat(event["at"]) for event in events}
    told = [
        (event["data"]["audience"], event["data"]["about"], datetime.fromisoformat(event["at"]))
        for event in events
        if event["kind"] == "notified" and event["data"]["state"] == "sent"
    ]
    for audience in ("on_call", "management"):
        sent = next(when for name, about, when in told if (name, about) == (audience, "declared"))
        assert (sent - at["declared"]).total_seconds() < TOLD_S
    assert [about for name, about, _ in told if name == "on_call"] == ["declared", "decided", "resolved", "closed"]
    assert [about for name, about, _ in told if name == "customers"] == ["declared", "decided", "resolved"]
    assert "partners" not in [name for name, _, _ in told], "the shop has no integrations"
    shown = json.loads(next((shop.folder / "page" / "incidents").iterdir()).read_text())
    assert shown["status"] == "resolved"
    assert "this-machine" not in (shop.folder / "page" / "index.html").read_text()
    figures = json.loads(shop.run("metrics", "--json", inventory=False).stdout)["incidents"]
    assert figures["closed"] == 1
    assert all(share["count"] == share["total"] > 0 for share in figures["shares"]), figures["shares"]
    assert [duration["count"] for duration in figures["durations"]] == [0, 1, 1], "nobody acknowledged"
