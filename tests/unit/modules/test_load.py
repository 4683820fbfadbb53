"""What takes the CPUs: named with what started it, told only when it takes too much, and never with its arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _cpu, _findings, _procfs, _resources, _systemd
from tests.unit.modules.host_figures import CALM, TICKS, Proc

NEW = 99000  # seconds after the boot: about a quarter of an hour ago


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(_procfs, "PROC", tmp_path)
    proc = Proc(tmp_path)
    proc.process(1, "systemd", parent=0, started=0, group="/init.scope")
    return proc


def jobs(first: _cpu.Reading) -> list[dict[str, Any]]:
    """Return the jobs between a reading and one that is a second later."""
    return _cpu.jobs(first, _cpu.read()._replace(at=first.at + 1))


def test_cpus_are_told_without_what_the_look_itself_takes(proc: Proc) -> None:
    first = _cpu.read()
    proc.cpu(busy=90 * TICKS, idle=5 * TICKS, iowait=3 * TICKS, steal=2 * TICKS)
    last = _cpu.read()._replace(own_s=first.own_s + 10)
    assert _cpu.between(first, last) == {
        "busy_percent": 82.0, "iowait_percent": 3.0, "steal_percent": 2.0, "running": 3, "waiting_for_disk": 1,
    }  # fmt: skip


def test_process_that_runs_away_from_cron_is_named_with_its_script_and_never_its_arguments(proc: Proc) -> None:
    proc.process(50, "cron", group="/system.slice/cron.service")
    proc.process(51, "cron", parent=50, group="/system.slice/cron.service")
    proc.process(52, "sh", parent=51, argv=["sh", "-c", "report --password sesame"], started=NEW)
    argv = ["python3", "/opt/jobs/report.py", "--password", "sesame"]
    proc.process(53, "python3", parent=52, argv=argv, started=NEW, ticks=5, group="/system.slice/cron.service")
    first = _cpu.read()
    proc.process(53, "python3", parent=52, argv=argv, started=NEW, ticks=5 + TICKS, group="/system.slice/cron.service")
    (job,) = jobs(first)
    assert job == {
        "name": "python3 report.py", "pid": 53, "unit": "cron.service", "container": "", "parent": "cron", "cron": True,
        "processes": 1, "cpu_percent": 100.0, "wanted_percent": 100.0, "started": "2026-01-02T03:30:00+00:00", "young": True,
    }  # fmt: skip
    assert "sesame" not in str(job)


def test_job_of_cron_bears_the_name_of_what_cron_runs_and_not_only_of_what_that_starts(proc: Proc) -> None:
    proc.process(50, "cron")
    proc.process(51, "cron", parent=50)
    proc.process(52, "sh", parent=51, argv=["sh", "-c", "/opt/nightly"], started=NEW)
    proc.process(53, "nightly", parent=52, started=NEW)
    proc.process(54, "timeout", parent=53, started=NEW)
    proc.process(55, "python3", parent=54, argv=["python3", "-c", "pass"], started=NEW)
    first = _cpu.read()
    proc.process(55, "python3", parent=54, argv=["python3", "-c", "pass"], started=NEW, ticks=TICKS)
    assert [(job["name"], job["pid"]) for job in jobs(first)] == [("nightly: python3", 55)]


def test_job_that_starts_many_short_processes_is_held_to_account_for_them(proc: Proc) -> None:
    proc.process(60, "sh", ticks=1, children=500)
    proc.process(61, "gzip", parent=60, ticks=900, started=NEW)
    first = _cpu.read()
    (proc.folder / "61/stat").unlink()
    proc.process(60, "sh", ticks=1, children=500 + 900 + TICKS // 2)
    assert [(job["pid"], job["cpu_percent"]) for job in jobs(first)] == [(60, 50.0)]


def test_number_that_another_process_has_by_now_is_another_process(proc: Proc) -> None:
    proc.process(70, "old", ticks=100000)
    first = _cpu.read()
    proc.process(70, "new", ticks=TICKS, started=NEW)
    assert [(job["name"], job["cpu_percent"]) for job in jobs(first)] == [("new", 100.0)]


def test_processes_of_one_unit_are_one_job_and_our_own_are_none(proc: Proc) -> None:
    for pid in (80, 81):
        proc.process(pid, "worker", group="/system.slice/shop.service")
    proc.process(90, "sh", parent=1)
    proc.process(os.getpid(), "python3", parent=90)
    proc.process(99, "journalctl", parent=os.getpid())
    first = _cpu.read()
    for pid in (80, 81):
        proc.process(pid, "worker", ticks=TICKS // 2, group="/system.slice/shop.service")
    for pid, name, parent in ((90, "sh", 1), (os.getpid(), "python3", 90), (99, "journalctl", os.getpid())):
        proc.process(pid, name, parent, ticks=TICKS)
    (job,) = jobs(first)
    assert (job["unit"], job["processes"], job["cpu_percent"]) == ("shop.service", 2, 100.0)


def test_module_of_ansible_is_no_suspect_unless_the_clock_starts_it(proc: Proc) -> None:
    argv = ["python3", "/home/ops/.ansible/tmp/1/AnsiballZ_evidence.py"]
    for pid, name, parent in ((40, "sshd", 1), (41, "sh", 40), (50, "cron", 1), (51, "sh", 50)):
        proc.process(pid, name, parent)
    for pid, parent in ((42, 41), (52, 51)):
        proc.process(pid, "python3", parent, argv=argv)
    first = _cpu.read()
    for pid, parent in ((42, 41), (52, 51)):
        proc.process(pid, "python3", parent, argv=argv, ticks=TICKS)
    assert [job["pid"] for job in jobs(first)] == [52]


def test_process_of_a_container_is_told_by_the_container(proc: Proc) -> None:
    digits = "2cb2f11a6978184fc3642a1a41520acc0b465cc37fc6db60f5d58d5a5c3c8fc0"
    group = f"/machine.slice/libpod-{digits}.scope"
    proc.process(80, "node", group=group)
    first = _cpu.read()
    proc.process(80, "node", ticks=TICKS, group=group)
    (job,) = jobs(first)
    assert (job["container"], job["unit"]) == ("2cb2f11a6978", "")


def test_runs_of_a_cron_job_that_overlap_are_counted(proc: Proc) -> None:
    proc.process(50, "cron")
    for run in range(4):
        proc.process(100 + run, "cron", parent=50)
        proc.process(200 + run, "sh", parent=100 + run, started=NEW + run)
        proc.process(300 + run, "bash", parent=200 + run, argv=["/bin/bash", "/opt/sync.sh"], started=NEW + run)
    proc.process(400, "other", parent=50)
    assert _cpu.overlapping(_procfs.processes()) == [
        {"name": "bash sync.sh", "count": 4, "since": "2026-01-02T03:30:00+00:00", "pid": 200}
    ]


def test_waiting_for_a_disk_counts_only_in_both_readings(proc: Proc) -> None:
    proc.process(7, "tar", state="D")
    proc.process(9, "python3", argv=["python3", "/opt/report.py"], state="D")
    assert _procfs.script(_procfs.processes()[9]) == "python3", "whose command line may not come either"
    (proc.folder / "9/stat").unlink()
    proc.process(8, "dd", state="D")
    first = _cpu.read()
    proc.process(8, "dd", state="R")
    assert _cpu.stuck(first, _cpu.read()) == [{"pid": 7, "name": "tar"}]


def test_which_timer_starts_a_unit_is_asked_and_a_host_without_systemd_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = {"unit": "report.service"}
    unit = _systemd.Unit("report.service", {"TriggeredBy": "report.path report.timer"})
    monkeypatch.setattr(_systemd, "look", lambda _units: [unit])
    assert _resources.with_timers([job], []) == [{**job, "timer": "report.timer"}]

    def missing(_units: object) -> list[_systemd.Unit]:
        raise _systemd.UnitError("systemctl: not found")

    monkeypatch.setattr(_systemd, "look", missing)
    notes: list[str] = []
    assert _resources.with_timers([job], notes) == [{**job, "timer": ""}]
    assert "systemctl: not found" in notes[0]


JOB = {
    "name": "report.py", "pid": 7, "unit": "", "container": "", "parent": "sshd", "cron": False, "timer": "", "service": None,
    "processes": 1, "cpu_percent": 97.0, "wanted_percent": 98.0, "started": "2026-01-02T03:30:00+00:00", "young": False,
}  # fmt: skip
BUSY = {**CALM["cpu"], "busy_percent": 97.0}


def kinds(**change: Any) -> list[tuple[str, str]]:
    return [(one["severity"], one["kind"]) for one in _findings.rank({}, {**CALM, **change}, {})]


def job(**change: Any) -> list[dict[str, Any]]:
    return [{**JOB, **change}]


def test_job_counts_when_it_is_new_or_comes_by_the_clock_or_the_cpus_are_all_busy() -> None:
    assert kinds(jobs=job()) == [], "an old process at work, and enough for the others"
    assert kinds(jobs=job(young=True)) == [("warning", "process")]
    assert kinds(jobs=job(young=True, service="shop")) == [], "a service that was just deployed is at work"
    assert kinds(jobs=job(cron=True)) == kinds(jobs=job(timer="x.timer")) == [("warning", "process")]
    assert kinds(jobs=job(cron=True, cpu_percent=70.0, wanted_percent=75.0)) == []
    assert kinds(jobs=job(service="shop"), cpu=BUSY) == [("warning", "process"), ("warning", "cpu")]
    assert kinds(jobs=job(cron=True), cpu=BUSY) == [("critical", "process"), ("warning", "cpu")]
    assert kinds(jobs=job(cpu_percent=20.0, wanted_percent=190.0), cpu=BUSY) == [("warning", "cpu")]


def test_job_that_gets_little_because_the_others_take_all_is_told_with_what_it_would_take() -> None:
    starved = job(cron=True, cpu_percent=14.0, wanted_percent=390.0, processes=4)
    (found, _cpu_finding) = _findings.rank({}, {**CALM, "jobs": starved, "cpu": BUSY}, {})
    words = "report.py (7, a job of cron, 4 processes) takes 14 % of a CPU and would take 390 % since 2026-01-02 03:30:00 UTC"
    assert found["text"] == words
    assert found["at"] == "2026-01-02T03:30:00+00:00"
    assert found["about"] == {
        "name": "report.py", "pid": 7, "unit": "", "parent": "sshd", "cpu_percent": 14.0,
        "started": "2026-01-02T03:30:00+00:00", "scheduled": True,
    }  # fmt: skip


def test_load_is_told_only_where_nothing_explains_it_and_names_what_waits() -> None:
    assert kinds(load1=9.0) == [("warning", "load")]
    assert kinds(load1=9.0, cpu=BUSY) == [("warning", "cpu")]
    (found,) = _findings.rank({}, {**CALM, "load1": 9.0, "stuck": [{"pid": 7, "name": "tar"}]}, {})
    assert (
        found["text"] == "load 9.0 on 2 CPUs, of which 3 % are busy: tar (7) waits for a disk or a network file system"
    )


def test_runs_that_overlap_and_time_that_is_stolen_are_findings() -> None:
    runs = [{"name": "sync.sh", "count": 3, "since": None, "pid": 5}]
    assert kinds(overlapping=runs) == [("warning", "process")]
    assert kinds(overlapping=[{**runs[0], "count": 2}]) == []
    assert kinds(cpu={**CALM["cpu"], "steal_percent": 12.0}) == [("warning", "cpu")]
    assert kinds(cpu={**CALM["cpu"], "steal_percent": 31.0}) == [("critical", "cpu")]
