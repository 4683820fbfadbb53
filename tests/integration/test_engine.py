"""The engine with real ansible-playbook runs on this machine: one outcome for every host and capability, always."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from incidentctl import ansible_setup, engine
from incidentctl.errors import ConfigurationError, IncidentctlError
from incidentctl.outcome import Outcome, Step

# A deadline must leave Ansible time to begin, also on a slow machine on which many other programs stand in line. It takes a
# second on a quiet one.
BEGUN_S = 15


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's own, without an ansible.cfg; our own private folders are made where leftovers show.

    Only ours: Ansible opens a socket in $TMPDIR, whose path must not be as long as pytest's.
    """
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list((tmp_path / "tmp").glob("incidentctl-*")), "a private folder was left behind"


def inventory(work: Path, **hosts: dict[str, Any]) -> tuple[str]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    service = {
        "name": "lamp",
        "hosts": "all",
        "manager": "command",
        "control": {
            "start": ["touch", str(work / "lamp.on")],
            "stop": ["rm", str(work / "lamp.on")],
            "status": ["test", "-e", str(work / "lamp.on")],
        },
    }
    content = {
        "all": {
            "hosts": {name: {**local, **own} for name, own in hosts.items()},
            "vars": {
                "incident_become": False,
                "incident_state_dir": str(work / "state"),
                "incident_services": [service],
            },
        }
    }
    path = work / "inventory.yml"
    path.write_text(yaml.safe_dump(content))
    return (str(path),)


def playbook(work: Path, name: str, *tasks: dict[str, Any]) -> str:
    path = work / f"{name}.yml"
    path.write_text(yaml.safe_dump([{"name": name, "hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
    return str(path)


def run(sources: tuple[str, ...], *capabilities: str, **step: Any) -> Outcome:
    hosts = step.pop("hosts", ("here",))
    hide, landed = step.pop("hide", frozenset()), step.pop("landed", None)
    variables = {"incident_id": "INC-1", "incident_continue": True, **step.pop("variables", {})}
    whole = Step("contain", capabilities, hosts, variables, **{"deadline_s": 300, **step})
    return engine.run(whole, sources, lambda *_, **__: None, hide, landed)


def outcomes(outcome: Outcome) -> dict[tuple[str, str], str]:
    found = {(row.host, row.capability): row.outcome for row in outcome.rows}
    assert len(found) == len(outcome.rows), "a host and capability has two outcomes"
    return found


def still_running(work: Path) -> list[bytes]:
    """What of our own ansible-playbook processes is alive; a killed one may take a moment to go."""
    deadline = time.monotonic() + 60
    while (found := _running(work)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _running(work: Path) -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return [line for line in lines if b"ansible-playbook" in line and str(work).encode() in line]


def test_a_refused_capability_does_not_silence_the_next(work: Path) -> None:
    outcome = run(inventory(work, here={}), "isolation", "lift")
    assert outcomes(outcome) == {("here", "isolation"): "refused", ("here", "lift"): "unchanged"}
    assert outcome.worst == "refused"


def test_a_host_that_cannot_be_reached_is_told_and_the_others_are_done(work: Path) -> None:
    (work / "lamp.on").touch()
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    outcome = run(
        inventory(work, here={}, gone=gone),
        "isolation",
        "lift",
        hosts=("here", "gone"),
        variables={"incident_only": ["lamp"]},
    )
    assert outcomes(outcome) == {
        ("here", "isolation"): "done",
        ("here", "lift"): "done",
        ("gone", "isolation"): "unreachable",
        ("gone", "lift"): "not_attempted",
    }


@pytest.mark.parametrize("first", ["rollback", "restart", "hotfix"])
def test_a_host_that_cannot_be_checked_does_not_end_the_check_of_the_others(work: Path, first: str) -> None:
    sources = inventory(work, broken={"ansible_python_interpreter": "/bin/false"}, here={})
    given = {f"{first}_serial": "100%"}  # as planning has it: what each way out would do is asked in one run
    outcome = run(sources, first, "isolation", hosts=("broken", "here"), check=True, variables=given)
    found = outcomes(outcome)
    assert found["broken", first] == "failed"
    assert found["here", first] not in ("failed", "not_attempted"), outcome.rows
    assert found["here", "isolation"] == "refused", outcome.rows  # it names no service: the play was reached


def test_a_step_without_hosts_reaches_none_of_the_inventory(work: Path) -> None:
    own = playbook(work, "own", {"ansible.builtin.file": {"path": str(work / "reached"), "state": "touch"}})
    outcome = run(inventory(work, here={}), own, hosts=())
    assert (outcome.rows, outcome.worst) == ((), "skipped")
    assert not (work / "reached").exists(), "nobody was meant"


def test_the_deadline_ends_the_run_and_what_was_begun_is_unknown(work: Path) -> None:
    nap = playbook(work, "nap", {"ansible.builtin.command": {"argv": ["sleep", "600"]}})
    started = time.monotonic()
    outcome = run(inventory(work, here={}), nap, deadline_s=BEGUN_S)
    assert time.monotonic() - started < 300
    assert outcome.timed_out
    assert outcomes(outcome) == {("here", "nap"): "unknown"}
    assert outcome.rows[0].reason.startswith(f"timed out after {BEGUN_S} s in the middle")
    assert not still_running(work)


def test_a_host_that_hangs_leaves_the_others_time_for_what_comes_next(work: Path) -> None:
    nap = playbook(work, "nap", {"ansible.builtin.command": {"argv": ["sleep", "{{ seconds }}"]}})
    hosts = {"here": {"seconds": 0}, "hung": {"seconds": 600}}
    outcome = run(inventory(work, **hosts), nap, "lift", hosts=tuple(hosts), deadline_s=2 * BEGUN_S)
    assert outcomes(outcome) == {
        ("here", "nap"): "done",
        ("here", "lift"): "unchanged",
        ("hung", "nap"): "unknown",
        ("hung", "lift"): "not_attempted",
    }
    assert not outcome.timed_out
    assert outcome.rows[-1].reason == "nap unknown there before"
    assert not still_running(work)


def test_an_outcome_lands_before_the_next_capability_begins(work: Path) -> None:
    mark = work / "next"
    later = playbook(work, "later", {"ansible.builtin.file": {"path": str(mark), "state": "touch", "mode": "0600"}})
    seen = []
    outcome = run(
        inventory(work, here={}),
        "isolation",
        later,
        variables={"incident_only": ["lamp"]},
        landed=lambda row: seen.append((row, mark.exists())),
    )
    assert mark.exists()
    assert seen == [(outcome.rows[0], False)]


def test_an_outcome_that_cannot_be_kept_ends_the_run(work: Path) -> None:
    later = playbook(
        work,
        "later",
        {"ansible.builtin.command": {"argv": ["sleep", "120"]}},
        {"ansible.builtin.file": {"path": str(work / "next"), "state": "touch", "mode": "0600"}},
    )

    def full(_row: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with pytest.raises(OSError, match="no space left"):
        run(inventory(work, here={}), "isolation", later, variables={"incident_only": ["lamp"]}, landed=full)
    assert not still_running(work)
    assert not (work / "next").exists()


KILLED = """
import sys
from pathlib import Path
from incidentctl import engine
from incidentctl.outcome import Step
work, nap = sys.argv[1:]
step = Step("contain", (nap,), ("here",), {"incident_id": "INC-1", "incident_continue": True}, deadline_s=300)
engine.run(step, (f"{work}/inventory.yml",), lambda *_, **__: None, home=Path(work))
"""


def test_what_a_killed_driver_left_running_is_ended_before_the_next_run(work: Path) -> None:
    sources, begun = inventory(work, here={}), work / "begun"
    nap = playbook(
        work,
        "nap",
        {"ansible.builtin.file": {"path": str(begun), "state": "touch", "mode": "0600"}},
        {"ansible.builtin.command": {"argv": ["sleep", "120"]}},
    )
    look = playbook(work, "look", {"ansible.builtin.command": {"argv": [sys.executable, "-c", LOOK, str(work)]}})
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(work), nap])
    while not begun.exists():
        assert driver.poll() is None
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    assert _running(work), "nothing was left running: the test shows nothing"
    whole = Step("contain", (look,), ("here",), {"incident_id": "INC-1", "incident_continue": True}, deadline_s=300)
    outcome = engine.run(whole, sources, lambda *_, **__: None, home=work)
    assert outcomes(outcome) == {("here", "look"): "done"}, outcome.rows
    assert not still_running(work)
    assert not list(work.glob("run-*")), "a private folder was left behind"


# Fails if, while a task runs, there is more than the one ansible-playbook with its worker that runs it.
LOOK = """
import sys
from pathlib import Path
def words(path):
    try:
        return path.read_bytes().split(bytes(1))
    except OSError:
        return []
found = [w for w in map(words, Path("/proc").glob("[0-9]*/cmdline")) if any(x.endswith(b"/ansible-playbook") for x in w[:3])]
ours = [w for w in found if any(sys.argv[1].encode() in x for x in w)]
sys.exit(len({tuple(w) for w in ours}) != 1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_request_ends_the_run_and_comes_back_as_an_outcome(work: Path, number: signal.Signals) -> None:
    mark = work / "begun"
    nap = playbook(
        work,
        "nap",
        {"ansible.builtin.file": {"path": str(mark), "state": "touch", "mode": "0600"}},
        {"ansible.builtin.command": {"argv": ["sleep", "600"]}},
    )

    def stop_when_begun() -> None:
        while not mark.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop_when_begun, daemon=True).start()
    outcome = run(inventory(work, here={}), nap, "lift")
    assert outcome.interrupted
    assert outcome.seconds < 300
    assert outcomes(outcome) == {("here", "nap"): "unknown", ("here", "lift"): "not_attempted"}
    assert not still_running(work)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def settings_seen(**wanted: Any) -> dict[str, Any]:
    return {
        "ansible.builtin.assert": {"that": [f"lookup('config', '{key}') == {value!r}" for key, value in wanted.items()]}
    }


def test_the_users_own_ansible_cfg_is_honoured(work: Path) -> None:
    (work / "ansible.cfg").write_text(
        "[defaults]\nforks = 7\nhost_key_checking = False\n[connection]\npipelining = False\n"
    )
    look = playbook(work, "look", settings_seen(DEFAULT_FORKS=7, HOST_KEY_CHECKING=False, ANSIBLE_PIPELINING=False))
    assert outcomes(run(inventory(work, here={}), look)) == {("here", "look"): "done"}


def test_host_keys_are_checked_unless_the_user_said_otherwise(work: Path) -> None:
    look = playbook(work, "look", settings_seen(HOST_KEY_CHECKING=True, DEFAULT_FORKS=50, ANSIBLE_PIPELINING=True))
    assert outcomes(run(inventory(work, here={}), look)) == {("here", "look"): "done"}


def test_an_ansible_cfg_that_others_may_write_is_ignored_as_ansible_does(work: Path) -> None:
    (work / "ansible.cfg").write_text("[defaults]\nforks = 7\n")
    work.chmod(0o777)
    assert "ANSIBLE_CONFIG" not in ansible_setup.environment() or ansible_setup.environment()["ANSIBLE_CONFIG"] != str(
        work / "ansible.cfg"
    )


def test_ansible_does_not_get_the_secrets_of_our_audiences(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ON_CALL_URL", "json://secret")
    monkeypatch.setenv("HARMLESS", "kept")
    look = playbook(
        work,
        "look",
        {
            "ansible.builtin.assert": {
                "that": ["lookup('env', 'ON_CALL_URL') == ''", "lookup('env', 'HARMLESS') == 'kept'"]
            }
        },
    )
    assert outcomes(run(inventory(work, here={}), look, hide=frozenset({"ON_CALL_URL"}))) == {("here", "look"): "done"}


def test_a_failing_playbook_of_the_users_own_is_failed_with_its_reason(work: Path) -> None:
    fails = playbook(work, "fails", {"ansible.builtin.fail": {"msg": "the cache is on fire"}})
    outcome = run(inventory(work, here={}), fails)
    assert outcomes(outcome) == {("here", "fails"): "failed"}
    assert "the cache is on fire" in outcome.rows[0].reason


def test_a_playbook_that_ansible_cannot_read_is_an_error_with_ansibles_words(work: Path) -> None:
    broken = work / "broken.yml"
    broken.write_text("- hosts: all\n  taks: []\n")
    with pytest.raises(IncidentctlError, match="could not begin") as caught:
        run(inventory(work, here={}), str(broken))
    assert "taks" in caught.value.why


def test_check_mode_changes_nothing(work: Path) -> None:
    (work / "lamp.on").touch()
    outcome = run(inventory(work, here={}), "isolation", check=True, diff=True, variables={"incident_only": ["lamp"]})
    assert outcomes(outcome) == {("here", "isolation"): "done"}
    assert outcome.rows[0].diff
    assert (work / "lamp.on").exists()
    assert not (work / "state").exists()


def test_an_inventory_that_is_not_there_is_a_configuration_error(work: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        ansible_setup.read_inventory((str(work / "nope"),), 60)


def test_an_inventory_that_ansible_cannot_parse_is_a_configuration_error(work: Path) -> None:
    (work / "bad.yml").write_text("all: [")
    with pytest.raises(ConfigurationError, match="cannot read the inventory"):
        ansible_setup.read_inventory((str(work / "bad.yml"),), 60)
