"""A drill is for hosts that may be broken, and what it broke is taken back. One from end to end: tests/lab/test_drill.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incidentctl import workflow
from incidentctl.record import open_record

PATIENCE_S = 180
SCRIPT = {"hosts": "lab", "script": "act.sh"}
DRILL = {
    "title": "the shop fails",
    "cause": "it is broken",
    "quiet": "0s",
    "inject": [SCRIPT],
    "lift": [SCRIPT],
    "recovered": [SCRIPT],
    "right": [{"kinds": ["release"], "hosts": ["h1"], "says": ["shop"]}],
}
SERVICES = [{"name": "shop", "hosts": "lab", "health": {"url": "http://127.0.0.1:1"}}]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """One host of this machine that may be broken, and one that may not; a drill of each leaves a file where it ran."""
    groups = {"lab": {"hosts": {"h1": {}}}, "production": {"hosts": {"h2": {}}}}
    variables = {"ansible_connection": "local", "incident_become": False, "incident_services": SERVICES}
    variables["incident_state_dir"] = str(tmp_path / "host")
    settings = {"inventory": "inventory.json", "state_dir": "own", "drills": {"folder": "drills", "hosts": "lab"}}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": groups, "vars": variables}}))
    (tmp_path / "incidentctl.yml").write_text(json.dumps(settings))
    for name, changed in (("ours", {}), ("elsewhere", {"symptom": {**SCRIPT, "hosts": "production"}})):
        folder = tmp_path / "drills" / name
        folder.mkdir(parents=True)
        (folder / "act.sh").write_text(f"touch {tmp_path}/acted\n")
        (folder / "drill.yml").write_text(json.dumps({**DRILL, **changed}))
    return tmp_path


def breaks(site: Path, inject: str) -> Path:
    """Have the drill break h1 by a file, which it takes away again; return that file."""
    broken, folder = site / "broken", site / "drills" / "ours"
    scripts = {
        "inject": f"touch {broken}\n{inject}\n",
        "lift": f"rm -f {broken}\n",
        "recovered": f"! test -e {broken}\n",
    }
    for name, text in scripts.items():
        (folder / f"{name}.sh").write_text(text)
    named = {name: [{**SCRIPT, "script": f"{name}.sh"}] for name in scripts}
    (folder / "drill.yml").write_text(json.dumps({**DRILL, **named}))
    return broken


def start(site: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("incidentctl")), "drill", *words],
        cwd=site,
        env={**os.environ, "INCIDENTCTL_CONFIG": str(site / "incidentctl.yml"), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        out, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, said


def until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def under_way(site: Path) -> Path:
    return site / "own" / "drills" / "under_way.json"


def test_a_drill_never_reaches_a_host_that_may_not_be_broken(site: Path) -> None:
    code, _out, said = ended(start(site, "--all"))
    assert (code, "elsewhere: h2 is none of them" in said) == (15, True), said
    assert not (site / "acted").exists(), "nothing of any drill was done"


def test_a_fault_that_could_not_be_done_is_taken_back_and_says_why_with_what_the_host_said(site: Path) -> None:
    broken = breaks(site, "echo 'no such \033[2Jdisk' >&2; exit 3")
    code, out, said = ended(start(site, "ours", "--json"))
    assert code == 12, said
    (score,) = json.loads(out)
    assert score["result"] == "not"
    assert score["incident_id"] is None
    assert "h1: the script failed, exit code 3: no such" in score["problem"]
    assert "\x1b" not in said
    assert not broken.exists()
    assert not under_way(site).exists()


def test_what_a_stop_request_cuts_off_is_taken_back_and_said(site: Path) -> None:
    broken = breaks(site, "sleep 60")
    process = start(site, "ours")
    until(broken.exists)
    code, _out, said = ended(start(site, "--clean"))
    assert (code, "Another drill is under way" in said) == (13, True), said
    assert broken.exists(), "it is not for others to take back"
    process.send_signal(signal.SIGTERM)
    code, _out, said = ended(process)
    assert (code, "Interrupted. Nothing is left broken." in said) == (130, True), said
    assert not broken.exists()


def at_the_turn(site: Path) -> set[str]:
    """Return the processes that have their turn on the host, or wait for it."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == site / "host" / "turn":
                found.add(link.parts[2])
    return found


def test_a_fault_that_its_killed_drill_left_under_way_is_not_taken_back_before_it_is_done(site: Path) -> None:
    """Else its second half would come after that, and stay: the host was called well again, and then it broke."""
    on, done = site / "on", site / "done"
    broken = breaks(
        site, f"while test -e {site}/broken && ! test -e {on}; do sleep 0.1; done; touch {site}/broken {done}"
    )
    process = start(site, "ours")
    until(broken.exists)
    process.kill()
    ended(process)
    taking_back = start(site, "--clean")
    until(lambda: len(at_the_turn(site)) > 1 or taking_back.poll() is not None)
    on.touch()
    code, _out, said = ended(taking_back)
    assert code == 0, said
    until(done.exists)
    assert not broken.exists()


@pytest.mark.parametrize("name", ["prepare", "symptom", "lift", "recovered"])
def test_killed_in_any_of_its_scripts_it_is_taken_back_by_clean(site: Path, name: str) -> None:
    broken = breaks(site, "exit 3" if name == "lift" else "true")
    folder, reached, on = site / "drills" / "ours", site / "reached", site / "on"
    drill = json.loads((folder / "drill.yml").read_text())
    drill.setdefault(
        name, [{**SCRIPT, "script": f"{name}.sh"}] if name != "symptom" else {**SCRIPT, "script": "symptom.sh"}
    )
    (folder / "drill.yml").write_text(json.dumps(drill))
    script = folder / f"{name}.sh"
    was = script.read_text() if script.exists() else ""
    # `recovered` is looked at before anything is broken, too: it is in the middle of the drill that it stops.
    held = "true" if name == "prepare" else f"test -e {broken}"
    script.write_text(
        f"if ! test -e {on} && {held}; then touch {reached}; until test -e {on}; do sleep 0.1; done; fi\n{was}"
    )
    process = start(site, "ours")
    until(reached.exists)
    process.kill()
    ended(process)
    on.touch()
    assert under_way(site).exists() is (name != "prepare"), "before that nothing is broken"
    code, _out, said = ended(start(site, "--clean"))
    assert code == 0, said
    assert not broken.exists()
    assert not under_way(site).exists()


def test_what_was_cut_off_anywhere_is_taken_back_by_clean_with_the_incident_that_was_declared(site: Path) -> None:
    """Killed in the middle of breaking; and, as if it had come that far, right after its incident was declared."""
    broken = breaks(site, "sleep 60")
    process = start(site, "ours")
    until(broken.exists)
    process.kill()
    ended(process)
    facts: dict[str, Any] = {"services": ["shop"], "hosts": ["h1"], "sources": [str(site / "inventory.json")]}
    with open_record(f"sqlite:///{site}/own/record.db") as record:
        mine = workflow.declare(record, "ada", title="x", severity="high", drill="ours", **facts)
    assert under_way(site).exists()
    code, _out, said = ended(start(site, "ours"))
    assert (code, "The drill ours was not taken back" in said) == (15, True), said
    code, _out, said = ended(start(site, "--clean"))
    assert (code, said.splitlines()[-1]) == (0, "ours is taken back."), said
    assert not broken.exists()
    assert not under_way(site).exists()
    with open_record(f"sqlite:///{site}/own/record.db") as record:
        assert record.incident(mine).status == "closed"


def test_no_drill_begins_beside_an_incident_on_its_hosts(site: Path) -> None:
    broken = breaks(site, "true")
    facts = {"services": ["shop"], "hosts": ["h1", "h3"], "sources": []}
    (site / "own").mkdir(mode=0o700)
    with open_record(f"sqlite:///{site}/own/record.db") as record:
        real = workflow.declare(record, "ada", title="x", severity="high", **facts)
    code, _out, said = ended(start(site, "ours"))
    assert (code, f"{real} is open on these hosts" in said) == (13, True), said
    assert not broken.exists()
    assert not under_way(site).exists()
