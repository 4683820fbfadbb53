"""What runs of a compose file is read from labels, whatever tool there is, and lift starts exactly what was stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose,
    _compose_state,
    _control,
    _evidence_logs,
    _ledger,
    _lift,
    _service_errors,
    _service_state,
)
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import Allowance
from tests.unit.modules.engine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_compose_state, "_STEADY_S", 0)
    return made


def params(machine: Machine, incident: str = "INC-1", **more: Any) -> dict[str, Any]:
    return {
        "capability": "isolation",
        "non_essential": False,
        "services": [machine.service(**more)],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": incident,
        "state_dir": str(machine.home / "state"),
    }


def lift(given: dict[str, Any]) -> dict[str, Any]:
    return dict(_lift.run({**given, "only": []}, False))


def summary(answer: dict[str, Any]) -> str:
    (row,) = answer["incident"]["actions"]
    return str(row["summary"])


@pytest.mark.parametrize(
    ("tools", "engine", "words"),
    [
        (["podman", "podman-compose"], "podman", "podman-compose -f"),
        (["podman"], "podman", "podman compose -f"),
        (["docker"], "docker", "docker compose -f"),
        (["podman", "podman-compose", "docker"], "docker", "docker compose -f"),
    ],
)
def test_the_tool_is_the_one_whose_engine_runs_the_file(
    machine: Machine, tools: list[str], engine: str, words: str
) -> None:
    for tool in tools:
        machine.has(tool)
    machine.runs(engine, "web")
    assert _control.is_running(machine.service())
    _control.stop(machine.service())
    _control.start(machine.service())
    rest = words.replace(" -f", "")
    assert machine.calls() == [f"{rest} -f FILE -p shop stop", f"{rest} -f FILE -p shop up -d"]


BOTH = [("podman", ["podman", "podman-compose"]), ("docker", ["docker"])]


@pytest.mark.parametrize(("engine", "tools"), BOTH)
def test_lift_starts_exactly_what_was_stopped_by_its_id(machine: Machine, engine: str, tools: list[str]) -> None:
    machine.has(*tools)
    machine.runs(engine, "cache", "web", "migrate!")
    given = params(machine)
    answer = _service_state.run(given, False)
    assert summary(answer) == "shop stopped (shop_cache_0, shop_web_1)"
    assert _compose.look(machine.service()).running == []
    assert _service_state.run(given, False)["incident"]["outcome"] == "unchanged"
    machine.folder.joinpath("compose.yml").write_text("services: {}")  # it is not even asked
    assert summary(lift(given)) == "shop started (shop_cache_0, shop_web_1)"
    assert _compose.look(machine.service()).running == ["cache", "web"]
    stops, starts = [f"{engine} stop -t 30 {one}" for one in (1, 0)], [f"{engine} start {one}" for one in (0, 1)]
    assert machine.calls() == stops + starts, "what depends on others is stopped first, and started last"
    (entry,) = _ledger.entries(given)[0]
    assert _service_state.start_again(entry, False) == ("shop was already running", True)


def test_what_the_tool_wrote_down_as_needed_is_started_first_and_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compose_state, "_HEALTHY_S", 0.3)
    machine.has("docker")
    machine.runs("docker", "web", depends_on="db:service_healthy:false,gone:service_started:true")
    machine.runs("docker", "db", more={"health": "starting"})  # made anew after what needs it
    given = params(machine)
    _service_state.run(given, False)
    began = time.monotonic()
    lift(given)
    assert machine.calls()[2:] == ["docker start 1", "docker start 0"]
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize(("engine", "tools"), BOTH)
def test_what_had_to_be_killed_is_named(machine: Machine, engine: str, tools: list[str]) -> None:
    machine.has(*tools)
    machine.runs(engine, "web", more={"deaf": True})
    machine.runs(engine, "cache")
    told = summary(_service_state.run({**params(machine), "grace_s": 2.5}, False))
    assert told == "shop stopped (shop_web_0, shop_cache_1); had to kill shop_web_0 after 2.5 s (exit code 137)"
    assert machine.calls()[0] == f"{engine} stop -t 3 1"


def test_one_between_an_end_and_a_new_start_runs_and_a_paused_one_does_not(machine: Machine) -> None:
    machine.has("docker", "podman")
    machine.runs("docker", "web", more={"status": "restarting"})
    machine.runs("docker", "cache", more={"status": "paused"})
    assert _compose.look(machine.service()).running == ["web"]
    told = summary(_service_state.run(params(machine, compose_service="cache"), False))
    assert told == "shop is not running: shop_cache_1 is paused, and stays so"
    machine.write("docker", [])
    machine.runs("podman", "web", more={"status": "stopped", "restart": "always"})
    machine.runs("podman", "cache", more={"status": "stopped"})
    assert _compose.look(machine.service()).running == ["web"]


def test_a_part_that_somebody_started_meanwhile_does_not_keep_the_rest_stopped(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine)
    _service_state.run(given, False)
    machine.change("docker", "cache", status="running")
    assert summary(lift(given)) == "shop started (shop_web_0)"
    assert _compose.look(machine.service()).running == ["cache", "web"]


@pytest.mark.parametrize(
    ("became", "told", "starts"),
    [
        ("removed", "the containers of web were removed meanwhile: it is made anew, as its file says now", "new-web"),
        ("anew", "web was deployed anew meanwhile: shop_web_1 is started", "9"),
        ("anew and runs", "web was deployed anew meanwhile, and runs", None),
    ],
)
@pytest.mark.parametrize(("engine", "tools"), BOTH)
def test_what_was_deployed_meanwhile_is_started_once_in_place_of_what_was_stopped(
    machine: Machine, engine: str, tools: list[str], became: str, told: str, starts: str | None
) -> None:
    machine.has(*tools)
    machine.runs(engine, "cache", "web")
    given = params(machine, compose_service="web")
    _service_state.run(given, False)
    if became == "removed":
        machine.remove(engine, "web")
    else:
        status = "running" if "runs" in became else "exited"
        machine.change(engine, "web", id="9", status=status)
    said = summary(lift(given))
    assert told in said
    assert ("already running" in said) is (starts is None)
    assert _compose.look(machine.service()).running == ["cache", "web"]
    assert [call for call in machine.calls() if " start " in call] == ([f"{engine} start {starts}"] if starts else [])
    if became == "removed":
        (create,) = [call for call in machine.calls() if " up " in call]
        assert " --no-start --no-deps --no-build" in create
        assert create.endswith(" web")


def test_what_does_not_stay_up_is_failed_and_kept(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine)
    _service_state.run(given, False)
    machine.change("docker", "web", broken=True)
    block = lift(given)["incident"]
    assert block["outcome"] == "failed"
    assert "shop_web_0 did not stay up: exit code 1; 000001-isolation-shop is kept" in block["reason"]
    assert _compose.look(machine.service()).running == ["cache"]
    machine.change("docker", "web", broken=False)
    assert lift(given)["incident"]["outcome"] == "done"


def test_what_was_cut_off_while_it_was_stopped_is_known_whole(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine)

    def cut_off(*_any: Any) -> list[str]:
        machine.change("docker", "cache", status="exited")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_compose_state, "stop", cut_off)
        with pytest.raises(KeyboardInterrupt):
            _service_state.run(given, False)
    assert _service_state.run(given, False)["incident"]["outcome"] == "done"
    assert [entry["state"] for entry in _ledger.entries(given)[0]] == ["applied"]
    lift(given)
    assert _compose.look(machine.service()).running == ["cache", "web"]


def test_a_part_that_another_incident_stopped_is_held_by_both(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    whole, part = params(machine, "INC-A"), params(machine, "INC-B", compose_service="cache")
    for first, second in ((whole, part), (part, whole)):
        assert _service_state.run(first, False)["incident"]["outcome"] == "done"
        _service_state.run(second, False)
        told = summary(lift(part))
        assert "stays as it is: isolation of INC-A holds it" in told
        assert _compose.look(machine.service()).running == []
        lift(whole)
        assert _compose.look(machine.service()).running == ["cache", "web"]
        # Lifted the other way round.
        _service_state.run(first, False)
        _service_state.run(second, False)
        told = summary(lift(whole))
        assert "stays as it is: isolation of INC-B holds it" in told, told
        lift(part)
        assert _compose.look(machine.service()).running == ["cache", "web"]


def test_one_service_of_a_file_is_stopped_alone(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", "cache")
    given = params(machine, compose_service="cache")
    _service_state.run(given, False)
    assert _compose.look(machine.service()).running == ["web"]
    assert summary(lift(given)) == "shop started"
    assert _compose.look(machine.service()).running == ["cache", "web"]


def test_what_compose_run_started_beside_the_services_is_nobodys_service(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web", oneoff="True")
    assert not _control.is_running(machine.service())


def test_containers_of_other_files_and_folders_are_not_the_services(machine: Machine) -> None:
    machine.has("podman")
    machine.runs("podman", "web", **{"project.working_dir": "/elsewhere"})
    machine.runs("podman", "web", **{"project.config_files": str(machine.folder / "other.yml")})
    assert not _control.is_running(machine.service())
    (machine.home / "link").symlink_to(machine.folder)
    machine.runs("podman", "web", **{"project.config_files": "base.yml,compose.yml"})
    assert _control.is_running(machine.service(compose_file=str(machine.home / "link" / "compose.yml")))


def test_one_file_as_two_projects_is_not_guessed_at(machine: Machine) -> None:
    machine.has("docker")
    machine.runs("docker", "web")
    machine.runs("docker", "web", project="staging")
    row = _service_state.run(params(machine), False)["incident"]["actions"][0]
    assert row["outcome"] == "failed"
    assert "several projects: shop, staging" in row["summary"]


def test_a_host_without_an_engine_or_its_compose_says_so(machine: Machine) -> None:
    with pytest.raises(_compose.ComposeError, match="neither podman nor docker"):
        _control.is_running(machine.service())
    machine.has("docker")
    program = machine.home / "bin" / "docker"
    program.write_text(
        program.read_text().replace('elif "version" not in words', 'elif "version" in words: sys.exit(1)\nelse')
    )
    with pytest.raises(_compose.ComposeError, match="not its compose plugin"):
        _control.stop(machine.service())


def test_an_engine_that_does_not_answer_is_not_taken_for_a_stopped_service(machine: Machine) -> None:
    machine.has("podman")
    machine.has("docker")
    (machine.home / "bin" / "docker").write_text("#!/bin/sh\necho 'no daemon' >&2\nexit 1\n")
    with pytest.raises(_compose.ComposeError, match="no daemon"):
        _control.is_running(machine.service())
    machine.runs("podman", "web")
    assert _control.is_running(machine.service())


# What a container says on both of its outputs, with the times that the engine puts before each line.
_LOGS = """#!/bin/sh
case "$1" in
  ps) echo 0123456789abcdef ;;
  inspect) cat {labels} ;;
  logs) echo "$@" >{home}/asked
    echo '2026-01-01T03:00:00.5Z GET /health 200'
    echo '2026-01-01T03:00:01.123456789Z ERROR no such column: x' >&2 ;;
esac
"""


@pytest.fixture
def talking(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A host whose container was ended by its error: what it said is asked of the engine."""
    machine.has("podman")
    labels = {"project.working_dir": str(machine.folder), "project.config_files": machine.file, "service": "web"}
    named = {f"com.docker.compose.{key}": value for key, value in labels.items()}
    state = {"Status": "exited", "ExitCode": 1}
    said = [{"Id": "0123456789abcdef", "State": state, "Config": {"Labels": named}, "Name": "shop_web_1"}]
    (machine.home / "labels").write_text(json.dumps(said))
    script = _LOGS.format(home=machine.home, labels=machine.home / "labels")
    (machine.home / "bin" / "podman").write_text(script)
    monkeypatch.setenv("PATH", f"{machine.home / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(_compose, "ENGINES", ("podman",))
    return machine


def test_errors_are_found_in_what_containers_said(talking: Machine) -> None:
    service = talking.service(logs=[{"kind": "compose"}])
    reading = _service_errors.read(service, 100_000, "2026-01-01T02:00:00+00:00", time.monotonic() + 60)
    (error,) = reading.errors
    assert (error["first_seen"], error["count"], error["new"]) == ("2026-01-01T03:00:01.123+00:00", 1, True)
    assert "no such column" in str(error)
    assert (reading.unread, (talking.home / "asked").read_text()) == (
        [],
        "logs --timestamps --tail=1000 0123456789abcdef\n",
    )


def test_what_containers_said_is_evidence_within_its_caps(talking: Machine) -> None:
    given = {"lines": 50, "since_s": 600, "max_file_bytes": 1000}
    (part,) = _evidence_logs.parts([talking.service(logs=[{"kind": "compose"}])], given)
    assert (part.name, part.origin) == ("logs/shop/01-compose-web_0123456789ab", "container web 0123456789ab")
    allowance = Allowance(1000, time.monotonic() + 60, 30)
    said = part.read(allowance)
    assert (said.bytes.count(b"\n"), said.cut_by) == (2, "")
    assert (talking.home / "asked").read_text() == "logs --timestamps --since=600s 0123456789abcdef\n"
    assert part.read(allowance._replace(bytes=10)).cut_by == "bytes"


def test_an_engine_that_fails_is_no_log(talking: Machine) -> None:
    script = (talking.home / "bin" / "podman").read_text()
    (talking.home / "bin" / "podman").write_text(
        script.replace("  logs)", "  logs) echo 'no such container'; exit 125;")
    )
    reading = _service_errors.read(talking.service(logs=[{"kind": "compose"}]), 100_000, None, time.monotonic() + 60)
    assert "no such container" in reading.unread[0]
