"""Several people and one incident: they declare it once, join it, decide once, and see what it waits for."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from tests.shop import Shop

from incidentctl.record import Record, open_record
from incidentctl.times import when

ELSEWHERE = {"pid": 4711, "host": "web9.example", "machine": "another", "boot_id": "another", "started": 1}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that sells, and whose newer release is deployed and broken; severity low contains nothing."""
    shop = Shop(tmp_path)
    shop.lay_out()
    with shop.broken(3):
        yield shop


def begin(shop: Shop, *words: str, inventory: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shop.command(*words, inventory=inventory),
        cwd=shop.folder,
        env=shop.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_once(shop: Shop, *commands: tuple[str, ...]) -> list[tuple[int, str]]:
    """Start these commands together; return how each ended and what it said."""
    started = [begin(shop, *words) for words in commands]
    said = [process.communicate(timeout=300)[1] for process in started]
    return [(process.returncode, words) for process, words in zip(started, said, strict=True)]


def record(shop: Shop) -> Record:
    return open_record(f"sqlite:///{shop.folder}/state/record.db")


def kinds(shop: Shop, kind: str) -> list[dict[str, Any]]:
    return [event for event in shop.events() if event["kind"] == kind]


def test_several_responders_share_one_incident(shop: Shop) -> None:
    # Two declare it at the same moment.
    run = ("run", "--severity", "low", "checkout returns 500")
    (code, said), (other, told) = sorted(at_once(shop, run, run))
    assert (code, other) == (10, 13), (said, told)
    with record(shop) as opened:
        (number,) = opened.incidents()
    assert f"Fix: incidentctl run --join {number}" in told
    assert shop.status()["waiting"]["waits_for"] == "decision"

    # Somebody on another host holds it; that host is gone.
    with record(shop) as opened:
        opened.append(number, "locked", ELSEWHERE, "bob@web9")
    held = shop.run("status", inventory=False).stdout
    assert "held by bob@web9: process 4711 on web9.example, since" in held
    refused = shop.run("resume")
    assert refused.returncode == 13
    assert f"incidentctl resume {number} --take-over" in refused.stderr
    taken = shop.run("resume", "--take-over")
    assert taken.returncode == 10, taken.stderr
    assert "Taken over from process 4711 on web9.example" in taken.stderr
    assert kinds(shop, "locked")[-1]["data"]["taken_from"]["host"] == "web9.example"

    with contextlib.ExitStack() as ends:
        watching = begin(shop, "status", "--watch", inventory=False)
        ends.callback(watching.kill)
        child = shop.in_terminal("resume")
        ends.callback(child.close, force=True)
        child.expect("Which way", timeout=300)
        joins(shop, number)
        decide_at_once(shop, child)
        lines = watching.communicate(timeout=120)[0].splitlines()
    assert watching.returncode == 0, "it did not end with the incident"
    assert "waits for a decision" in lines[0]
    assert "closed: waits for nothing" in lines[-1]

    # It has ended: nobody joins it. It is reopened, and all is well.
    assert shop.run("run", "--join", number, "me too").returncode == 2
    assert shop.run("reopen", inventory=False).returncode == 0
    well = shop.run("resume")
    assert well.returncode == 10, well.stderr
    assert shop.status()["waiting"]["next"][0].startswith(f"incidentctl close {number}")
    assert shop.run("close").returncode == 0


def test_who_joins_a_running_incident_is_heard_at_its_terminal_and_looked_after(shop: Shop) -> None:
    child = shop.in_terminal("run", "--severity", "low", "checkout returns 500")
    with contextlib.closing(child):
        child.expect("Which way", timeout=300)
        number = str(shop.status()["incident_id"])
        joined = shop.run("run", "--join", number, "--service", "worker", "recommendations are empty")
        assert joined.returncode == 0, joined.stderr
        child.expect("Somebody joined", timeout=60)
        child.expect("joined: recommendations are empty", timeout=60)
        child.expect("asking the hosts", timeout=60)
        child.send("xyzzy\r")  # by who is impatient
        child.expect("Which way", timeout=300)
        assert child.before is not None
        assert "xyzzy" not in child.before, "it is left standing among what is drawn in place"
        assert child.getecho(), "who is asked sees what they type"
        child.sendline("a")
        child.expect(pexpect.EOF, timeout=300)
        child.close()
    assert child.exitstatus == 0
    (decided,) = kinds(shop, "decided")
    assert decided["data"]["question"] == kinds(shop, "question_asked")[-1]["seq"]
    looks = {
        event["data"]["phase"]: event["data"]["services"].get("health_check")
        for event in kinds(shop, "step_started")
        if event["data"]["phase"] in ("verify", "monitor")
    }
    assert looks == {"verify": ["shop", "worker"], "monitor": ["shop", "worker"]}


def decide_at_once(shop: Shop, child: pexpect.spawn[str]) -> None:
    """Two decide at the same moment; who waits at the question carries it out."""
    (code, said), (other, told) = sorted(at_once(shop, ("decide", "rollback"), ("decide", "mitigate")))
    (decided,) = kinds(shop, "decided")
    child.expect("Answered elsewhere", timeout=300)
    child.expect(pexpect.EOF, timeout=300)
    child.close()
    assert (code, other) == (0, 13), (said, told)
    assert f"{decided['actor']} decided {decided['data']['option']} at {when(decided['at'])}" in told
    begun = [event["data"] for event in kinds(shop, "step_started") if event["data"]["phase"] == "recover"]
    mitigated = decided["data"]["option"] == "mitigate"
    assert [data["capabilities"] for data in begun] == [["maintenance_mode"] if mitigated else ["rollback"]]
    assert child.exitstatus == (10 if mitigated else 0)
    if mitigated:  # it is held; the way out is another decision
        assert shop.run("decide", "rollback").returncode == 0


def joins(shop: Shop, number: str) -> None:
    """One who sees more of it joins, while another is at work on it."""
    joined = shop.run("run", "--join", number, "--severity", "high", "the basket is empty, too")
    assert joined.returncode == 0, joined.stderr
    assert "is at work on it: process" in joined.stderr
    assert kinds(shop, "note")[-1]["data"]["text"] == "the basket is empty, too"
    again = shop.run("run", "--join", number, "--severity", "low", "--json", "it is still empty")
    assert json.loads(again.stdout)["severity"] == "high"
    assert len(kinds(shop, "severity_changed")) == 1
    assert shop.run("run", "--join", number, "--service", "search", "x").returncode == 2
    refused = shop.run("resume", "--take-over")
    assert refused.returncode == 13
    assert "--take-over" not in refused.stderr, "who lives here is never taken over"
