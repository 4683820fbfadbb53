"""Several incidents, and people who run a playbook by hand, on one service at the same time: one act after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo
from tests.small_service import SmallService

from incidentctl import steps
from incidentctl.desk import Desk
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UTILS = "ansible_collections.incidentctl.response.plugins.module_utils"
PATIENCE_S = 300
WAITS_S = 0.5
# Whatever starts or stops the shop says when it begins and when it has ended, in a file that nothing ever shortens. Where it
# is held, it ends when the test lets it: how long that takes a busy machine to come to does not matter then.
COUNTED = """\
echo "begin {verb}" >> {log}
for _ in $(seq {patience_s}0); do [ -e {held} ] || break; sleep 0.1; done
{command}
echo "end {verb}" >> {log}
"""


class Site:
    """A shop on this machine whose starts and stops are counted, and can be held."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.log, self.held = folder, folder / "state", folder / "log", folder / "held"
        self.log.touch()
        self.shop = SmallService(folder / "shop")
        self.shop.start()
        commands = {"start": f"sh {self.shop.home}/start.sh", "stop": f"kill $(cat {self.shop.pid})"}
        self.entry = self.shop.entry("health")
        for verb, command in commands.items():
            script = self.folder / f"{verb}.sh"
            script.write_text(
                COUNTED.format(verb=verb, log=self.log, held=self.held, patience_s=PATIENCE_S, command=command)
            )
            self.entry["control"][verb] = ["sh", str(script)]

    @contextmanager
    def until_waited_for(self, others: int = 1) -> Iterator[None]:
        """Hold whatever stops or starts the shop, until so many processes beside the one at work want their turn."""
        self.held.touch()
        thread = threading.Thread(target=self._let_go, args=(others,))
        thread.start()
        try:
            yield
        finally:
            self.held.unlink(missing_ok=True)
            thread.join()

    def _let_go(self, others: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.held.exists() and time.monotonic() < deadline:
            if self.stopping() and len(self._wanting()) >= others:
                time.sleep(WAITS_S)  # whoever has opened the file of the turn finds it taken, and waits
                break
            time.sleep(0.05)
        self.held.unlink(missing_ok=True)

    def _wanting(self) -> set[str]:
        """Return the processes that have the file of the turn open, but for the one that it names."""
        turn = self.state / "turn"
        told = turn.read_text() if turn.exists() else ""
        if not told.endswith("\n"):
            return set()
        said = json.loads(told)
        working = {str(said["pid"]), str(said.get("command", {}).get("pid"))}
        found = set()
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if link.readlink() == turn:
                    found.add(link.parts[2])
        return found - working

    def inventory(self, **variables: Any) -> Path:
        """Write an inventory of this machine alone, with more variables."""
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        common = {"incident_become": False, "incident_state_dir": str(self.state), "incident_services": [self.entry]}
        inventory = self.folder / f"inventory-{time.monotonic_ns()}.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"here": host}, "vars": {**common, **variables}}}))
        return inventory

    @contextmanager
    def desk(self, incident: str) -> Iterator[Desk]:
        """Give what a responder of one more incident on this host has; all share a record."""
        settings = Settings.model_validate({"state_dir": str(self.folder)}, context={"folder": self.folder})
        shop = Service("shop", ("here",), False, True, (), {})  # no guard minds that it is stopped
        inventory = Inventory({"here": frozenset({"all"})}, (shop,), {"here": "127.0.0.1"})
        with open_record(f"sqlite:///{self.folder}/record.db") as record:
            record.append(incident, "declared", {"title": "x", "severity": "high", "hosts": ["here"]}, "ann")
            sources = (str(self.inventory()),)
            yield Desk(
                incident, record, settings, inventory, sources, "ann", lambda *_, **__: None, lambda *_, **__: None
            )

    def play(self, name: str, **variables: Any) -> subprocess.Popen[str]:
        """Start a playbook by its full name; an incident is named in the variables, or it is run by hand."""
        inventory = self.inventory(**variables)
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        argv = [program, "-v", f"incidentctl.response.{name}", "-i", str(inventory)]
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def module(self, run: str, **params: Any) -> subprocess.Popen[str]:
        """Start a module as it runs on a host: a program on the standard input of its Python."""
        told = {"state_dir": str(self.state), "keep_going": True, **params}
        message = {
            "module": run,
            "run": (f"{UTILS}.{run}", "run"),
            "capability": params.get("capability", "lift"),
            "params": told,
            "paths": [],
            "check_mode": False,
            "environment": {},
            "log": False,
        }
        program = self.folder / "program.py"
        program.write_bytes(_cargo.program("said", _cargo.pack("_act", run), message))
        argv = [sys.executable, "-I", "-S", "-B", "-"]
        with program.open("rb") as source:
            return subprocess.Popen(argv, stdin=source, stdout=subprocess.PIPE, text=True)

    def isolate(self, incident: str) -> subprocess.Popen[str]:
        """Start the module that isolation runs on the host."""
        own = {"services": [self.entry], "only": ["shop"], "host_name": "here", "host_groups": ["all"]}
        own |= {"incident_id": incident, "capability": "isolation", "non_essential": False}
        return self.module("_service_state", **own)

    def at_work(self) -> dict[str, Any]:
        """Wait until an act runs a command on this host; return what it says of itself."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            text = (self.state / "turn").read_text() if (self.state / "turn").exists() else ""
            if text.endswith("\n") and "command" in text and self.stopping():
                return dict(json.loads(text))
            time.sleep(0.01)
        raise TimeoutError("no act begins")

    def stopping(self) -> bool:
        return self.count("begin stop") > self.count("end stop")

    def count(self, line: str) -> int:
        return self.log.read_text().splitlines().count(line)

    def interleaved(self) -> list[str]:
        """Return what began before that which was under way had ended."""
        lines = self.log.read_text().splitlines()
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return [f"{one}, {two}" for one, two in pairs if (one.split()[0], two) != ("begin", f"end {one.split()[1]}")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.shop.end()


def blocks(runs: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Wait for playbooks; return what the host answered to each."""
    found = []
    for run in runs:
        said, _nothing = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0, said
        (line,) = [line for line in said.splitlines() if '"incident": {' in line]
        found.append(dict(json.loads(line.partition(" => ")[2])["incident"]))
    return found


def answered(module: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a module; return what it answered."""
    said, _nothing = module.communicate(timeout=PATIENCE_S)
    return dict(json.loads(said.rpartition("said ")[2])["result"]["incident"])


def test_two_incidents_and_a_person_stop_it_once_and_start_it_once(site: Site) -> None:
    whose: list[dict[str, Any]] = [{"incident_id": "INC-A"}, {"incident_id": "INC-B"}, {}]
    with site.until_waited_for(others=2):
        told = blocks([site.play("isolation", incident_only=["shop"], **one) for one in whose])
    assert sorted(block["outcome"] for block in told) == ["done", "unchanged", "unchanged"]
    assert (site.count("begin stop"), site.interleaved(), site.shop.running()) == (1, [], False)
    summaries = [block["actions"][0]["summary"] for block in told if block["outcome"] == "unchanged"]
    assert all("shop is not running, by isolation of" in text for text in summaries), summaries
    told = blocks([site.play("lift", **one) for one in whose])
    assert [block["outcome"] for block in told] == ["done"] * 3
    assert sum("stays as it is" in block["actions"][0]["summary"] for block in told) == 2
    assert (site.count("begin start"), site.interleaved(), site.shop.running()) == (1, [], True)


def test_acts_of_several_kinds_never_interleave(site: Site) -> None:
    site.shop.release("41")
    site.shop.release("42")
    site.shop.point("42")
    site.entry["releases"] = site.shop.entry("releases")["releases"]
    site.entry["essential"] = False
    with site.until_waited_for(others=2):  # not of three: the lift may have found nothing to do before
        plays = [
            site.play("isolation", incident_only=["shop"], incident_id="INC-A"),
            site.play("rollback", incident_only=["shop"], incident_id="INC-B", rollback_window_s=0.2),
            site.play("scale_down"),
            site.play("lift", incident_id="INC-A"),
        ]
        blocks(plays)
    assert site.interleaved() == []
    blocks([site.play("lift", incident_id="INC-A")])
    blocks([site.play("lift")])
    assert (site.interleaved(), site.shop.running()) == ([], True)
    assert site.count("end stop") >= 1


def test_whoever_is_killed_at_work_is_replaced_at_once_and_its_act_is_known_twenty_times(site: Site) -> None:
    waited = []
    for round_ in range(20):
        with site.until_waited_for():
            act = site.isolate("INC-A")
            told = site.at_work()
            assert (told["pid"], told["capability"]) == (act.pid, "isolation")
            os.kill(act.pid, signal.SIGKILL)
            act.communicate()
            block = answered(site.module("_lift", incident_id="INC-A"))
        # The stop that the killed one had begun is waited for: else the shop would go down after its lift.
        assert (block["outcome"], block["facts"]["open"]) == ("done", []), block
        waited.append(block["facts"]["waited"]["for"])
        assert (site.count("end stop"), site.count("end start")) == (round_ + 1, round_ + 1)
        assert (site.interleaved(), site.shop.running()) == ([], True)
    assert all("killed, but what it started goes on" in whom for whom in waited)


def test_who_waits_says_for_whom_and_how_long(site: Site) -> None:
    with site.until_waited_for():
        act = site.isolate("INC-A")
        told = site.at_work()
        began = time.monotonic()
        block = answered(site.module("_lift", incident_id="INC-A"))
        took = time.monotonic() - began
    act.communicate(timeout=PATIENCE_S)
    waited = block["facts"]["waited"]
    assert waited["for"].startswith(f"isolation of INC-A (pid {told['pid']}, since 20"), waited
    assert 0 < waited["seconds"] <= took
    assert (site.interleaved(), site.shop.running()) == ([], True)


def test_an_incident_that_holds_what_another_contained_knows_so_and_says_so_once(site: Site) -> None:
    step = PlannedStep("contain", ("isolation",), ("here",), (("here", "isolation", "shop"),))
    with site.desk("INC-A") as first:
        steps.run_step(first, step, {"incident_only": ["shop"]})
    with site.desk("INC-B") as second:
        for _again in range(2):
            outcome = steps.run_step(second, step, {"incident_only": ["shop"]})
            assert [row.outcome for row in outcome.rows] == ["unchanged"]
        (held,) = second.incident().contained
        assert (held["entry"], held["target"]) == ("000001-isolation-shop", "shop")
        assert "by isolation of INC-A" in held["summary"]
        kinds = [event.kind for event in second.record.events("INC-B")]
        assert kinds.count("containment_applied") == 1


def test_what_asking_the_hosts_had_to_wait_for_is_in_the_record(site: Site) -> None:
    with site.desk("INC-A") as desk, site.until_waited_for():
        act = site.isolate("INC-A")
        told = site.at_work()
        steps.ask_hosts(desk)
        act.communicate(timeout=PATIENCE_S)
        assert [entry["entry"] for entry in desk.incident().contained] == ["000001-isolation-shop"]
        (note,) = [str(event.data["text"]) for event in desk.record.events("INC-A") if event.kind == "note"]
    assert note.startswith("here: waited ")
    assert f"s for isolation of INC-A (pid {told['pid']}, since 20" in note
    assert note.endswith(" to end")
