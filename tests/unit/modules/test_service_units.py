"""A unit is stopped with all that belongs to its being stopped, and lift starts exactly that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _ledger,
    _lift,
    _service_state,
    _systemd_state,
)
from tests.unit.modules.units import Systemd


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_systemd_state, "_STEADY_S", 0)
    return Systemd(tmp_path)


def service(name: str, unit: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "hosts": "all", "manager": "systemd", "unit": unit or f"{name}.service", **more}


def params(systemd: Systemd, *services: dict[str, Any], incident: str = "INC-1") -> dict[str, Any]:
    names = [one["name"] for one in services]
    own = {"capability": "isolation", "non_essential": False, "host_name": "h1", "host_groups": []}
    state = str(systemd.home / "state")
    return {
        **own,
        "services": list(services),
        "only": names,
        "incident_id": incident,
        "state_dir": state,
        "grace_s": 0.2,
    }


def isolate(given: dict[str, Any], check: bool = False) -> list[tuple[str, str]]:
    return told(_service_state.run(given, check))


def lift(given: dict[str, Any], *only: str) -> list[tuple[str, str]]:
    return told(_lift.run({**given, "only": list(only)}, False))


def told(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["outcome"], row["summary"]) for row in answer["incident"]["actions"]]


def test_all_that_would_start_it_again_or_goes_down_with_it_is_stopped_and_started(systemd: Systemd) -> None:
    systemd.has("shop.service")
    systemd.has("shop.socket", Triggers=["shop.service"])
    systemd.has("front.service", BindsTo=["shop.service"])
    systemd.has("front.timer", Triggers=["front.service"])
    systemd.has("mail.service", "inactive", Requires=["shop.service"])
    systemd.has("mail.path", Triggers=["mail.service"])
    systemd.has("other.service")
    before, given = systemd.up(), params(systemd, service("shop"))
    triggers, services = ["shop.socket", "front.timer", "mail.path"], ["shop.service", "front.service"]
    ((outcome, said),) = isolate(given, check=True)
    assert (outcome, systemd.up(), systemd.calls()) == ("done", before, [])
    assert all(unit in said for unit in triggers + services), said
    assert isolate(given)[0][0] == "done"
    assert systemd.up() == ["other.service"]
    assert isolate(given) == [("unchanged", "shop is not running")]
    (entry,) = _ledger.entries(given)[0]
    assert sorted(entry["undo"]["units"][:3]) == sorted(triggers), "a socket is started before its service"
    assert sorted(entry["undo"]["units"]) == sorted(triggers + services)
    assert lift(given)[0][0] == "done"
    assert systemd.up() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"LoadState": "masked"}, "shop is not running: shop.service is masked, and stays so"),
        ({"state": "failed", "Result": "exit-code"}, "shop is not running: shop.service failed (exit-code)"),
        ({}, "shop is not running"),
    ],
)
def test_what_does_not_run_is_told_and_left(systemd: Systemd, more: dict[str, Any], said: str) -> None:
    systemd.has("shop.service", more.pop("state", "inactive"), **more)
    given = params(systemd, service("shop"))
    assert isolate(given) == [("unchanged", said)]
    assert (systemd.calls(), _ledger.entries(given)) == ([], ([], []))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"LoadState": "masked"},
            "runs, but is masked: it could not be started again. Fix: systemctl unmask shop.service",
        ),
        ({"Transient": "yes"}, "could not be started again: it is transient"),
        ({"CanStart": "no"}, "could not be started again"),
        ({"UpheldBy": ["x"]}, "would be started again at once by shops.target, which upholds it"),
        ({"Triggers": ["ssh.service"], "name": "ssh.socket"}, "nobody could log in any more"),
    ],
)
def test_what_could_not_be_taken_back_is_refused(systemd: Systemd, more: dict[str, Any], said: str) -> None:
    if more.pop("UpheldBy", None):
        systemd.has("shops.target", Upholds=["shop.service"])
    unit = more.pop("name", "shop.service")
    systemd.has(unit, **more)
    systemd.has("ssh.service", "inactive")
    given = params(systemd, service("shop", unit))
    ((outcome, summary),) = isolate(given)
    assert (outcome, systemd.calls(), _ledger.entries(given)) == ("refused", [], ([], []))
    assert said in summary


def test_a_unit_that_is_not_there_is_a_failure(systemd: Systemd) -> None:
    assert isolate(params(systemd, service("shop"))) == [("failed", "unit shop.service: not-found")]
    assert isolate(params(systemd, service("shop", "shop@.service"))) == [("failed", "unit shop@.service: not-found")]


def test_what_is_between_two_restarts_runs(systemd: Systemd) -> None:
    systemd.has("shop.service", "activating")
    given = params(systemd, service("shop"))
    assert isolate(given) == [("done", "shop stopped")]
    assert lift(given) == [("done", "shop started")]


def test_a_template_means_its_instances(systemd: Systemd) -> None:
    systemd.has("job@.service", "inactive")
    systemd.has("job@1.service")
    systemd.has("job@2.service", "inactive")
    given = params(systemd, service("jobs", "job@.service"))
    assert _control.is_running(service("jobs", "job@.service"))
    assert isolate(given) == [("done", "jobs stopped")]
    assert not _control.is_running(service("jobs", "job@.service"))
    lift(given)
    assert systemd.up() == ["job@1.service"]


def test_what_hears_no_signal_is_killed_after_the_grace(systemd: Systemd) -> None:
    systemd.has("shop.service", deaf=True)
    ((outcome, said),) = isolate(params(systemd, service("shop")))
    assert (outcome, systemd.calls()) == ("done", ["stop shop.service", "kill --signal=SIGKILL shop.service"])
    assert "had to kill, after 0.2 s," in said


def test_a_lift_that_meets_a_stop_which_still_goes_on_starts_it(systemd: Systemd) -> None:
    systemd.has("shop.service")
    given = params(systemd, service("shop"))
    isolate(given)
    systemd.has("shop.service", "deactivating")  # the act was killed, and what it had told systemd is not
    assert lift(given) == [("done", "shop started")]


def test_what_stood_still_or_is_contained_is_not_started_along(systemd: Systemd) -> None:
    systemd.has("cache.service", "inactive")
    systemd.has("db.service")
    systemd.has("setup.service", "inactive", Type="oneshot", RemainAfterExit="no")
    systemd.has("shop.service", Wants=["cache.service", "db.service", "setup.service"])
    shop, db = params(systemd, service("shop")), params(systemd, service("db"), incident="INC-2")
    isolate(shop)
    isolate(db)
    assert lift(shop) == [("done", "shop started")]
    assert systemd.up() == ["setup.service", "shop.service"], "setup is what every start does first"
    assert "job-mode=ignore-requirements" in systemd.calls()[-1]
    lift(db)
    assert systemd.up() == ["db.service", "setup.service", "shop.service"]


def test_one_of_two_is_lifted_without_the_other_that_it_wants(systemd: Systemd) -> None:
    systemd.has("db.service")
    systemd.has("shop.service", Wants=["db.service"])
    both = params(systemd, service("db"), service("shop"))
    isolate(both)
    lift(both, "isolation/shop")
    assert systemd.up() == ["shop.service"]
    lift(both)
    assert systemd.up() == ["db.service", "shop.service"]


@pytest.mark.parametrize("first_lifted", ["A", "B"])
@pytest.mark.parametrize("first_stopped", ["A", "B"])
def test_what_went_down_with_anothers_service_is_started_by_the_last(
    systemd: Systemd, first_stopped: str, first_lifted: str
) -> None:
    systemd.has("db.service")
    systemd.has("shop.service", Requires=["db.service"])
    given = {"A": params(systemd, service("db"), incident="A"), "B": params(systemd, service("shop"), incident="B")}
    order = ["A", "B"] if first_stopped == "A" else ["B", "A"]
    for incident in order:
        isolate(given[incident])
    assert systemd.up() == []
    ((outcome, said),) = lift(given[first_lifted])
    assert outcome == "done"
    if first_lifted == "A":
        assert "db started" in said
        assert "shop.service stays as it is: isolation of B holds it" in said
        assert systemd.up() == ["db.service"]
    else:
        assert "shop stays as it is: isolation of A holds it" in said
        assert systemd.up() == []
    lift(given["B" if first_lifted == "A" else "A"])
    assert systemd.up() == ["db.service", "shop.service"]


def test_what_requires_another_is_stopped_before_it_without_being_told(systemd: Systemd) -> None:
    systemd.has("db.service")
    systemd.has("shop.service", Requires=["db.service"])
    given = params(systemd, service("db"), service("shop"))
    assert isolate(given) == [("done", "db stopped"), ("done", "shop stopped")]
    assert systemd.calls() == ["stop shop.service", "stop db.service"]
    assert [said for _outcome, said in lift(given)] == ["db started", "shop started"]


def test_what_was_masked_or_does_not_start_is_failed_and_kept(systemd: Systemd) -> None:
    systemd.has("shop.service")
    given = params(systemd, service("shop"))
    isolate(given)
    systemd.has("shop.service", "inactive", LoadState="masked")
    ((outcome, said),) = lift(given)
    assert outcome == "failed"
    assert "shop.service was masked meanwhile, and stays so. Fix: systemctl unmask shop.service" in said
    systemd.has("shop.service", "inactive", LoadState="loaded", broken=True)
    ((outcome, said),) = lift(given)
    assert outcome == "failed"
    assert "shop.service did not start: Job for shop.service failed.. Fix: see journalctl" in said
    systemd.has("shop.service", "inactive", broken=False)
    assert lift(given) == [("done", "shop started")]


def test_a_change_of_its_file_is_told(systemd: Systemd) -> None:
    file = systemd.home / "shop.service"
    file.write_text("[Service]")
    systemd.has("shop.service", FragmentPath=str(file))
    given = params(systemd, service("shop"))
    isolate(given)
    file.write_text("[Service]\nExecStart=/new")
    assert "was changed meanwhile: what runs is as it says now" in lift(given)[0][1]
    isolate(given)
    file.write_text("[Service]\nExecStart=/newer")
    systemd.has("shop.service", "inactive", NeedDaemonReload="yes")
    assert "systemd has not read it" in lift(given)[0][1]


def test_a_rollback_restarts_what_is_bound_to_the_unit_too(systemd: Systemd) -> None:
    systemd.has("shop.service")
    _control.restart(service("shop"))
    assert systemd.calls() == ["restart shop.service"]
