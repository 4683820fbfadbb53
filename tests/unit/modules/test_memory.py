"""Memory: who has it, who takes more and more, who was killed for want of it and when, and limits that are near."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _capture,
    _cgroups,
    _findings,
    _memory,
    _oom,
    _procfs,
    _units,
)
from tests.unit.modules.host_figures import CALM, Proc

MIB = 1 << 20
CONTAINER = "/libpod_parent/libpod-2cb2f11a6978184fc3642a1a41520acc0b465cc37fc6db60f5d58d5a5c3c8fc0"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(_procfs, "PROC", tmp_path / "proc")
    monkeypatch.setattr(_cgroups, "ROOT", tmp_path / "cgroup")
    (tmp_path / "proc").mkdir()
    (tmp_path / "cgroup").mkdir()
    monkeypatch.setattr(_oom, "_KMSG", str(tmp_path / "kmsg"))
    proc = Proc(tmp_path / "proc")
    proc.process(1, "systemd", parent=0, group="/init.scope")
    return proc


def group(path: Path, **files: str) -> None:
    """Write a control group with its files, of which `memory_max` stands for memory.max."""
    path.mkdir(parents=True)
    (path / "cgroup.procs").touch()
    for name, text in files.items():
        kind, _underscore, what = name.partition("_")
        (path / f"{kind}.{what}").write_text(text)


SHOWN = """Id=shop.service
ControlGroup=/system.slice/shop.service
MainPID=80
Result=success
NRestarts=4
TasksCurrent=90
TasksMax=100
"""
SHOP = [{"name": "shop", "manager": "systemd", "unit": "shop.service"}, {"name": "other"}]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_capture, "capture", lambda *_words: (SHOWN.encode(), False))


def test_unit_is_told_with_what_it_has_and_may_have(proc: Proc, shown: None) -> None:
    proc.process(80, "java", group="/system.slice/shop.service")
    group(
        _cgroups.ROOT / "system.slice" / "shop.service",
        memory_stat="anon 900\nfile 5000\n",
        memory_events="low 0\noom 3\noom_kill 2\n",
        memory_max="1000\n",
        memory_high="max\n",
        memory_peak="990\n",
        memory_pressure="some avg10=1.50 avg60=2.50 avg300=0.00 total=9\nfull avg10=0.50 avg60=0.25 avg300=0 total=1\n",
    )
    assert _units.of_services(SHOP, []) == [
        {
            "unit": "shop.service", "service": "shop", "result": "success", "restarts": 4, "tasks": 90, "tasks_limit": 100,
            "memory_bytes": 900, "memory_limit_bytes": 1000, "memory_peak_bytes": 990, "oom_kills": 2,
            "pressure": {"memory": {"some10": 1.5, "some60": 2.5, "full10": 0.5, "full60": 0.25}},
        }
    ]  # fmt: skip


def test_version_1_of_control_groups_and_a_container_are_read_where_they_keep_it(proc: Proc, shown: None) -> None:
    both = f"4:memory:{CONTAINER}/shop\n1:name=systemd:{CONTAINER}/system.slice/shop.service\n0::/elsewhere\n"
    proc.write("80/cgroup", both)
    proc.write("1/cgroup", f"4:memory:{CONTAINER}\n1:name=systemd:{CONTAINER}/init.scope\n0::/\n")
    group(
        _cgroups.ROOT / "memory" / "shop",
        memory_stat="cache 7\ntotal_rss 500\n",
        memory_oom_control="",
        memory_limit_in_bytes="1000\n",
        memory_max_usage_in_bytes="1000\n",
    )
    (_cgroups.ROOT / "memory" / "shop" / "memory.oom_control").write_text("oom_kill_disable 0\noom_kill 1\n")
    (unit,) = _units.of_services(SHOP, [])
    figures = (unit["memory_bytes"], unit["memory_limit_bytes"], unit["memory_peak_bytes"], unit["oom_kills"])
    assert figures == (500, 1000, 1000, 1)
    assert _cgroups.home(80) == ("shop.service", "")
    proc.write("80/cgroup", f"4:memory:{CONTAINER}\n1:name=systemd:{CONTAINER}/system.slice/shop.service\n")
    assert _units.of_services(SHOP, [])[0]["memory_bytes"] is None, "it is the whole container's"


def test_host_without_systemd_has_a_note(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    notes: list[str] = []
    assert _units.of_services(SHOP, notes) == []
    assert "systemctl" in notes[0]
    assert _units.of_services([{"name": "other"}], notes[:0]) == []


NOW = datetime.now(timezone.utc).replace(microsecond=0)


def entry(seconds_ago: float, said: str, unit: str = "") -> str:
    at = int((NOW - timedelta(seconds=seconds_ago)).timestamp() * 1e6)
    return json.dumps({"__REALTIME_TIMESTAMP": str(at), "MESSAGE": said, **({"UNIT": unit} if unit else {})})


def kernel(pid: int, group: str, constraint: str = "CONSTRAINT_MEMCG") -> list[str]:
    head = "Memory cgroup out of memory" if constraint == "CONSTRAINT_MEMCG" else "Out of memory"
    where = f"oom-kill:constraint={constraint},nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/x,task_memcg={group}"
    rest = "total-vm:73268kB, anon-rss:61184kB, file-rss:5516kB, shmem-rss:0kB, UID:0 pgtables:184kB oom_score_adj:0"
    return [f"{where},task=python3,pid={pid},uid=0", f"{head}: Killed process {pid} (python3) {rest}"]


def journal(monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    monkeypatch.setattr(_capture, "capture", lambda *_words: ("\n".join(["cut off}", *rows]).encode(), True))


def test_kills_are_told_by_unit_with_how_many_and_when(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [entry(ago, said) for ago, pid in ((900, 5), (300, 6)) for said in kernel(pid, "/system.slice/shop.service")]
    journal(monkeypatch, *rows, entry(100, "oom-kill: nonsense"), entry(90, "Killed process x"))
    assert _oom.look() == (
        [
            {
                "name": "python3", "unit": "shop.service", "container": "", "count": 2,
                "first_at": (NOW - timedelta(seconds=900)).isoformat(timespec="seconds"),
                "last_at": (NOW - timedelta(seconds=300)).isoformat(timespec="seconds"), "rss_bytes": 61184 * 1024,
                "limited": True,
            }
        ],
        "",
    )  # fmt: skip


def test_unit_is_known_by_which_one_lost_a_process_just_then(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.write("1/cgroup", f"4:memory:{CONTAINER}\n1:name=systemd:{CONTAINER}/init.scope\n")
    own = [entry(300, said) for said in kernel(6, f"{CONTAINER}/leaky")]
    others = [entry(200, said) for said in kernel(7, "/libpod_parent/libpod-other")]
    ended = "Main process exited, code=killed, status=9/KILL"
    journal(monkeypatch, *own, *others, entry(299, f"leaky: {ended}", "leaky.service"), entry(5, ended, "late.service"))
    found, _why = _oom.look()
    assert found is not None
    assert [(row["unit"], row["count"]) for row in found] == [("leaky.service", 1)], "not what others were killed for"


def test_kernels_own_log_tells_where_there_is_no_journal(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found, why = _oom.look()
    assert found is None
    assert "journalctl" in why
    said = kernel(6, "/user.slice", "CONSTRAINT_NONE")
    monkeypatch.setattr(_oom, "_records", lambda: [f"6,{n},99000000000,-;{line}\n" for n, line in enumerate(said)])
    found, _why = _oom.look()
    assert found is not None
    assert [(row["name"], row["count"], row["limited"]) for row in found] == [("python3", 1, False)]


def test_container_that_was_killed_is_told_by_its_id(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    said = kernel(6, f"/machine.slice/libpod-{CONTAINER.rpartition('-')[2]}.scope/container")
    died = entry(299, "other: code=killed, status=9/KILL", "other.service")
    journal(monkeypatch, *(entry(300, line) for line in said), died)
    (row,) = _oom.look()[0] or []
    assert (row["unit"], row["container"]) == ("", "2cb2f11a6978")
    (told,) = found(oom=[{**row, "service": None}])
    assert told[3].startswith("python3 of container 2cb2f11a6978 was killed for want of memory once, at ")
    assert found(oom=[{**row, "service": "shop"}])[0][:3] == ("critical", "oom", "shop")


def test_journal_that_is_not_ours_to_read_is_told_and_not_taken_for_no_kills(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(monkeypatch)
    monkeypatch.setattr(_oom.os, "geteuid", lambda: 1000)
    found, why = _oom.look()
    assert found is None
    assert why.startswith("whom the kernel has killed is not known")
    monkeypatch.setattr(_oom.os, "geteuid", lambda: 0)
    assert _oom.look()[0] == []


def test_process_that_takes_more_memory_is_known_when_it_has_settled(proc: Proc) -> None:
    proc.process(7, "java", pages=100)
    proc.process(8, "fresh", pages=100, started=99999)
    first = _procfs.processes()
    proc.process(7, "java", pages=100 + 16 * MIB // os.sysconf("SC_PAGE_SIZE"))
    proc.process(8, "fresh", pages=100 + 64 * MIB // os.sysconf("SC_PAGE_SIZE"), started=99999)
    (row,) = _memory.growing(first, _procfs.processes(), 2.0)
    assert (row["pid"], row["bytes_per_minute"]) == (7, 480 * MIB)


def test_real_process_that_grows_is_seen() -> None:
    program = "input(); kept = bytearray(b'x') * (32 << 20); print(flush=True); input()"
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        first = _procfs.processes()
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        last = _procfs.processes()
        process.kill()
    assert last[process.pid].rss_bytes - first[process.pid].rss_bytes > 30 * MIB
    assert last[process.pid].own_bytes - first[process.pid].own_bytes > 30 * MIB


def test_process_that_reads_a_file_it_has_mapped_takes_no_memory(proc: Proc) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    proc.process(7, "postgres", pages=8 * MIB // page)
    (proc.folder / "7/statm").write_text(f"90000 {8 * MIB // page} {1 * MIB // page} 1 0 1 0")
    first = _procfs.processes()
    proc.process(7, "postgres", pages=108 * MIB // page)
    (proc.folder / "7/statm").write_text(f"90000 {108 * MIB // page} {101 * MIB // page} 1 0 1 0")
    assert _memory.growing(first, _procfs.processes(), 2.0) == []


UNIT = {
    "unit": "shop.service", "service": "shop", "result": "success", "restarts": 0, "tasks": 5, "tasks_limit": 100,
    "memory_bytes": 500 * MIB, "memory_limit_bytes": 1000 * MIB, "memory_peak_bytes": 900 * MIB, "oom_kills": 0, "pressure": {},
}  # fmt: skip
KILL = {
    "name": "python3", "unit": "shop.service", "container": "", "service": None, "count": 3,
    "first_at": (NOW - timedelta(minutes=25)).isoformat(), "last_at": (NOW - timedelta(minutes=5)).isoformat(),
    "rss_bytes": 900 * MIB, "limited": True,
}  # fmt: skip


def found(**change: Any) -> list[tuple[str, str, str | None, str]]:
    told = _findings.rank({}, {**CALM, **change}, {})
    return [(one["severity"], one["kind"], one["service"], one["text"]) for one in told]


def test_kill_of_a_service_is_critical_when_it_was_just_now() -> None:
    (just_now,) = found(oom=[KILL], units=[UNIT])
    assert just_now[:3] == ("critical", "oom", "shop")
    assert just_now[3].startswith("shop: python3 was killed for want of memory 3 times, the last at ")
    assert just_now[3].endswith("with 900.0 MiB; its unit may have 1000.0 MiB: it takes more and more each time")
    old = {**KILL, "last_at": (NOW - timedelta(hours=5)).isoformat()}
    assert [row[:3] for row in found(oom=[old], units=[UNIT])] == [("warning", "oom", "shop")]
    other = {**KILL, "unit": "other.service", "count": 1, "limited": False}
    assert found(oom=[other], units=[UNIT])[0][:3] == ("warning", "oom", None)
    assert found(oom=[{**other, "last_at": old["last_at"]}])[0][0] == "info"
    assert found(oom=[], oom_kills=4) == [], "others of the machine: the log knows of none here"


def test_kills_that_came_quickly_and_came_not_again_are_over_and_no_leak_that_goes_on() -> None:
    """Else what was mended some minutes ago would go before what began since."""
    burst = {**KILL, "count": 4, "first_at": (NOW - timedelta(minutes=6)).isoformat()}
    (over,) = found(oom=[burst], units=[UNIT])
    assert over[:3] == ("warning", "oom", "shop")
    assert over[3].endswith("its unit may have 1000.0 MiB, and not again for long")
    again = {**burst, "last_at": (NOW - timedelta(seconds=60)).isoformat()}
    assert found(oom=[again], units=[UNIT])[0][0] == "critical"
    once = {**KILL, "count": 1, "first_at": KILL["last_at"]}
    assert found(oom=[once], units=[UNIT])[0][0] == "critical", "nobody knows how often it comes"


def test_unit_near_its_limit_and_process_that_will_reach_it_are_findings() -> None:
    near = {**UNIT, "memory_bytes": 980 * MIB}
    assert found(units=[near])[0][:3] == ("critical", "memory", "shop")
    assert found(units=[{**near, "memory_bytes": 920 * MIB}])[0][0] == "warning"
    assert found(units=[UNIT, {**near, "memory_limit_bytes": None}]) == []
    row = {"name": "java", "pid": 7, "unit": "shop.service", "container": "", "service": None, "rss_bytes": 500 * MIB}
    fast = {**row, "bytes_per_minute": 300 * MIB}
    assert found(units=[UNIT], memory_growing=[fast]) == [
        (
            "critical", "memory", "shop",
            "java (7) takes 300.0 MiB more memory a minute and has 500.0 MiB: what there is lasts for 100 s",
        )
    ]  # fmt: skip
    roomy = {"total_bytes": 8 << 30, "available_bytes": 2 << 30}
    assert found(memory_growing=[fast], memory=roomy) == []


def test_memory_that_is_short_names_who_has_the_most_of_it() -> None:
    first = {"name": "java", "pid": 7, "unit": "shop.service", "rss_bytes": 3 << 30}
    short = {"total_bytes": 100 << 30, "available_bytes": 4 << 30}
    (told,) = found(memory=short, processes={"by_memory": [first], "by_cpu": []})
    assert told[3] == "memory: 4.0 % available (4.0 GiB); java (7) has 3.0 GiB"
    swapped = {"total_bytes": 100, "free_bytes": 10}
    assert [row[3] for row in found(memory=short, swap=swapped)][1:] == ["90 % of the swap space is taken"]
    assert found(swap=swapped) == [], "there is memory enough"


def test_limits_of_files_and_threads_are_findings() -> None:
    row = {"pid": 7, "name": "java", "open": 1000, "limit": 1024, "unit": "shop.service", "service": "shop"}
    opened = {**CALM["descriptors"], "processes": [row]}
    text = "java (7) has 1000 of the 1024 files open that it may have"
    assert found(descriptors=opened) == [("critical", "descriptors", "shop", text)]
    assert found(descriptors={**opened, "processes": [{**row, "open": 600}]}) == []
    assert found(descriptors={"open": 85, "limit": 100, "processes": []})[0][:2] == ("warning", "descriptors")
    assert found(threads={"count": 32000, "limit": 32768})[0][:2] == ("critical", "descriptors")
    assert found(units=[{**UNIT, "tasks": 96}])[0][:3] == ("critical", "descriptors", "shop")


def test_waiting_is_told_of_the_host_and_of_units_and_not_of_cpus_that_are_told_already() -> None:
    waits = {"memory": {"full10": 45.0}, "io": {"full60": 30.0}, "cpu": {"some60": 70.0}}
    assert [row[:2] for row in found(pressure=waits)] == [
        ("critical", "pressure"), ("warning", "pressure"), ("warning", "pressure"),
    ]  # fmt: skip
    busy = {**CALM["cpu"], "busy_percent": 99.0}
    assert [row[1] for row in found(pressure={"cpu": waits["cpu"]}, cpu=busy)] == ["cpu"]
    (told,) = found(units=[{**UNIT, "pressure": {"io": {"full60": 80.0}}}])
    assert told == ("critical", "pressure", "shop", "shop: all of shop.service waits for disks 80 % of the time")
