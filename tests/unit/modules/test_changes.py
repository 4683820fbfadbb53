"""What changed on a host: packages, files, releases; each told once, in words, with its time."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _change_findings,
    _changes,
    _changes_files,
    _compose,
)
from ansible_collections.incidentctl.response.plugins.module_utils._change import Window
from ansible_collections.incidentctl.response.plugins.module_utils._changes import Host, Looked

HOUR = 3600
OLD = time.time() - 400 * HOUR


class Machine:
    """A folder that stands for a host: its /etc, its package manager's log, a service's data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc, self.data, self.info = folder / "etc", folder / "data", folder / "info"
        for each in (self.etc, self.data, self.info):
            each.mkdir()
        self.log = folder / "dpkg.log"
        self.ledger: list[dict[str, Any]] = []
        self.proc = folder / "proc"
        (self.proc / "1").mkdir(parents=True)
        self.booted()
        self.host = Host(
            etc=self.etc, deep=(str(self.etc),), dpkg_log=self.log, dpkg_info=self.info, wtmp=folder / "wtmp",
            proc=self.proc, boot=folder / "boot", python=(str(folder / "python3*"),), rpm=(str(folder / "rpm"),),
        )  # fmt: skip

    def booted(self, ago_s: float = 400 * HOUR) -> None:
        (self.proc / "stat").write_text(f"cpu 1 2\nbtime {int(time.time() - ago_s)}\n")
        (self.proc / "1" / "stat").write_text(f"1 (init) S {'0 ' * 18}0 0")

    def write(self, name: str, text: str = "x", at: float | None = None) -> Path:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if at is not None:
            os.utime(path, (at, at))
        return path

    def packages(self, *lines: str, ago_s: float = 60, name: str = "dpkg.log") -> None:
        stamp = datetime.fromtimestamp(time.time() - ago_s).strftime("%Y-%m-%d %H:%M:%S")
        text = "".join(f"{stamp} {line}\n" for line in lines)
        path = self.folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    def look(self, *services: dict[str, Any], releases: dict[str, Any] | None = None, hours: float = 48) -> Looked:
        window = (time.time() - hours * HOUR, time.time() + 1)
        return _changes.look(list(services), releases or {}, window, self.ledger, self.host)

    def texts(self, *services: dict[str, Any], **more: Any) -> list[str]:
        return [one["text"].replace(str(self.folder), "") for one in self.look(*services, **more).changes]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_packages_of_one_run_are_one_change_with_their_versions(machine: Machine) -> None:
    machine.packages(
        "startup archives unpack",
        "upgrade libssl3:amd64 3.0.15-1 3.0.17-1",
        "status half-configured libssl3:amd64 3.0.15-1",
        "install tiny:all <none> 1.0",
        "configure libssl3:amd64 3.0.17-1 <none>",
        "configure tiny:all 1.0 <none>",
    )
    (one,) = machine.look().changes
    assert (one["kind"], one["text"]) == ("package", "had 1 package upgraded and 1 installed")
    assert one["detail"] == "libssl3 3.0.15-1 → 3.0.17-1, tiny 1.0 by dpkg"


@pytest.mark.parametrize(
    ("line", "text", "detail"),
    [
        ("upgrade libssl3:amd64 3.0.15-1 3.0.17-1", "had libssl3 upgraded", "3.0.15-1 → 3.0.17-1 by dpkg"),
        ("remove tiny:all 1.0 <none>", "had tiny removed", "1.0 by dpkg"),
        ("configure tiny:all 1.0 <none>", "had tiny configured", "1.0 by dpkg"),
    ],
)
def test_one_package_is_named(machine: Machine, line: str, text: str, detail: str) -> None:
    machine.packages(line)
    (one,) = machine.look().changes
    assert (one["text"], one["detail"]) == (text, detail)


def test_runs_that_lie_apart_are_changes_of_their_own_and_those_before_the_window_are_none(machine: Machine) -> None:
    machine.packages("install a:all <none> 1", ago_s=60)
    machine.packages("install b:all <none> 1", ago_s=2 * HOUR, name="dpkg.log.1")
    machine.packages("install c:all <none> 1", ago_s=3 * HOUR, name="dpkg.log.2.gz")
    machine.packages("install d:all <none> 1", ago_s=60 * HOUR, name="dpkg.log.3.gz")
    assert machine.texts() == ["had a installed", "had b installed", "had c installed"]


def test_package_that_is_removed_and_installed_again_is_told_twice(machine: Machine) -> None:
    machine.packages("remove tiny:all 1.0 <none>", "install tiny:all <none> 1.0", "install other:all <none> 2")
    assert sorted(machine.texts()) == ["had 2 packages installed", "had tiny removed"]


def test_package_of_two_architectures_is_one_run(machine: Machine) -> None:
    machine.packages("upgrade libc6:amd64 1 2", "upgrade libc6:i386 1 2")
    assert machine.texts() == ["had 2 packages upgraded"]


def test_rotated_log_that_is_damaged_is_a_note(machine: Machine) -> None:
    machine.packages("install a:all <none> 1")
    (machine.folder / "dpkg.log.2.gz").write_bytes(b"\x1f\x8b\x08 this is none")
    looked = machine.look()
    assert any("dpkg.log.2.gz" in note for note in looked.notes)


def test_file_that_was_written_is_told_with_its_time(machine: Machine) -> None:
    at = time.time() - 100
    path = machine.write("app.ini", at=at)
    machine.write("old.ini")
    (one,) = [one for one in machine.look().changes if one["path"] == str(path)]
    assert one["kind"] == "configuration"
    # What was written earlier, and was put there only now, counts by when it was put there.
    assert datetime.fromisoformat(one["at"]).timestamp() == pytest.approx(time.time(), abs=20)


def test_what_was_not_touched_in_the_window_is_no_change(machine: Machine) -> None:
    machine.write("app.ini")
    assert machine.look(hours=-1).changes == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("systemd/system/shop.service", "unit"), ("ssl/shop.pem", "certificate"), ("shop/app.ini", "configuration")],
)
def test_path_says_what_kind_of_change_it_is(machine: Machine, name: str, kind: str) -> None:
    machine.write(name)
    assert [one["kind"] for one in machine.look().changes] == [kind]


def test_configuration_of_a_service_is_its_own(machine: Machine) -> None:
    elsewhere = machine.folder / "srv" / "app.ini"
    elsewhere.parent.mkdir()
    elsewhere.write_text("port=1")
    machine.write("shop/app.ini")
    machine.write("hosts")
    found = machine.look({"name": "shop", "config": [str(elsewhere)]}).changes
    assert {Path(one["path"]).parent.name: one["service"] for one in found} == {
        "srv": "shop",
        "shop": "shop",
        "etc": None,
    }


def test_mode_of_a_data_folder_that_was_changed_is_told_as_that(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(machine.data, (OLD, OLD))
    monkeypatch.setattr(_changes_files, "_births", lambda paths: dict.fromkeys(paths, OLD))
    monkeypatch.setattr(_changes_files, "_came_by_name", lambda _path, _said: False)
    machine.data.chmod(0o700)
    (one,) = machine.look({"name": "shop", "data": [{"kind": "files", "path": str(machine.data)}]}).changes
    assert (one["kind"], one["service"]) == ("permission", "shop")
    assert one["text"] == f"had mode or owner of {machine.data} changed"
    assert one["detail"].endswith(" 0700")


def test_folder_whose_mode_was_changed_as_its_neighbour_was_replaced_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(machine.data, (OLD, OLD))
    monkeypatch.setattr(_changes_files, "_births", lambda paths: dict.fromkeys(paths, OLD))
    machine.data.chmod(0o700)
    (machine.folder / "current").touch()  # their folder was written at that moment, too
    (one,) = machine.look({"name": "shop", "data": [{"kind": "files", "path": str(machine.data)}]}).changes
    assert one["kind"] == "permission"


@pytest.fixture
def open_machine() -> Iterator[Machine]:
    """A machine to whose folder everybody finds the way: pytest's own is root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        machine.folder.chmod(0o755)
        os.utime(machine.data, (OLD, OLD))
        yield machine


NOBODY = pwd.getpwnam("nobody")
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20


def grant(path: Path, uid: int, permission: int) -> None:
    """Set an access control list that names one user, as setfacl does."""
    entries = ((USER_OBJ, 7, -1), (USER, permission, uid), (GROUP_OBJ, 5, -1), (MASK, 7, -1), (OTHER, 5, -1))
    listed = b"".join(struct.pack("<HHI", tag, bits, who & 0xFFFFFFFF) for tag, bits, who in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + listed)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists: {error}")


def shut_the_way(path: Path) -> None:
    path.chmod(0o777)
    path.parent.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lock somebody else out")
@pytest.mark.parametrize(
    ("lock", "said", "denied"),
    [
        (lambda path: path.chmod(0o755), {}, True),
        (lambda path: path.chmod(0o777), {}, False),
        (lambda path: path.chmod(0o775), {"Group": "root"}, False),
        (lambda path: path.chmod(0o775), {"SupplementaryGroups": "daemon root"}, False),
        (lambda path: path.chmod(0o775), {"SupplementaryGroups": "daemon"}, True),
        (lambda path: grant(path, NOBODY.pw_uid, 7), {}, False),
        (lambda path: grant(path, NOBODY.pw_uid, 5), {}, True),
        (lambda path: grant(path, NOBODY.pw_uid + 1, 7), {}, True),
        (shut_the_way, {}, True),
    ],
    ids=["mode", "all may", "its group", "one more group", "another group", "ACL", "ACL reads", "another's ACL", "way"],
)
def test_service_that_may_not_write_its_data_any_more_is_a_finding(
    open_machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    lock: Callable[[Path], None],
    said: dict[str, str],
    denied: bool,
) -> None:
    machine = open_machine
    monkeypatch.setattr(_changes_files, "_births", lambda paths: dict.fromkeys(paths, OLD))
    fake(machine, monkeypatch, "systemctl", unit(User="nobody", **said))
    lock(machine.data)
    shop = {**SHOP, "data": [{"kind": "files", "path": str(machine.data)}]}
    found = list(_change_findings.of_changes(machine.look(shop).changes))
    assert [one["severity"] for one in found] == ["critical"] * denied
    if denied:
        mode = stat.S_IMODE(machine.data.stat().st_mode)
        assert found[0]["text"].endswith(f"now root:root 0{mode:o}; nobody, as whom shop runs, may not write there")
        assert found[0]["about"] == {"path": str(machine.data), "name": "nobody"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lock somebody else out")
def test_group_that_no_list_knows_is_no_finding(open_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_changes_files, "_births", lambda paths: dict.fromkeys(paths, OLD))
    fake(open_machine, monkeypatch, "systemctl", unit(User="nobody", SupplementaryGroups="gone"))
    open_machine.data.chmod(0o755)
    shop = {**SHOP, "data": [{"kind": "files", "path": str(open_machine.data)}]}
    assert list(_change_findings.of_changes(open_machine.look(shop).changes)) == []


def test_old_file_that_was_moved_here_is_not_said_to_have_another_mode(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_changes_files, "_births", lambda paths: dict.fromkeys(paths, OLD))
    (machine.folder / "app.ini").write_text("x")
    os.utime(machine.folder / "app.ini", (OLD, OLD))
    (machine.folder / "app.ini").rename(machine.etc / "app.ini")
    assert machine.texts() == ["had /etc/app.ini put in place, or its mode or owner changed"]


def test_what_a_service_writes_into_its_data_is_no_change(machine: Machine) -> None:
    (machine.data / "orders.db").write_text("x")
    assert machine.texts({"name": "shop", "data": [{"kind": "files", "path": str(machine.data)}]}) == []


def test_files_that_a_package_brought_are_not_told_twice(machine: Machine) -> None:
    brought, edited = machine.write("tiny/tiny.conf"), machine.write("shop/app.ini")
    (machine.info / "tiny.list").write_text(f"/.\n{brought}\n")
    machine.packages("install tiny:all <none> 1.0", ago_s=1)
    paths = [one["path"] for one in machine.look().changes if one["kind"] != "package"]
    assert paths == [str(edited)]


def test_file_changed_while_packages_were_installed_says_so(machine: Machine) -> None:
    machine.write("shop/app.ini")
    machine.packages("install tiny:all <none> 1.0", ago_s=0)
    found = [one for one in machine.look().changes if one["kind"] == "configuration"]
    assert [one["detail"] for one in found] == ["while packages were installed: tiny"]


def test_many_files_of_a_folder_are_one_change(machine: Machine) -> None:
    for number in range(12):
        machine.write(f"nginx/sites/{number}.conf")
    assert len(machine.texts()) == 1


def test_a_whole_installation_is_one_change(machine: Machine) -> None:
    for number in range(60):
        machine.write(f"part{number % 12}/{number}.conf")
    (text,) = machine.texts()
    assert text.startswith("had 60 files under ")


def test_what_an_incident_put_there_is_left_out_and_said(machine: Machine) -> None:
    machine.write("prometheus/incidentctl-INC-1.yml")
    looked = machine.look()
    assert looked.changes == []
    assert "incidentctl-INC-1.yml" in looked.notes[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folder_that_cannot_be_read_is_a_note(machine: Machine) -> None:
    secret = machine.etc / "secret"
    secret.mkdir(mode=0o000)
    assert any("secret" in note for note in machine.look().notes)


def test_symbolic_link_is_not_followed(machine: Machine) -> None:
    (machine.folder / "elsewhere").mkdir()
    (machine.folder / "elsewhere" / "x.conf").write_text("x")
    (machine.etc / "away").symlink_to(machine.folder / "elsewhere")
    assert machine.texts() == ["had /etc/away changed"]


def test_walk_is_bounded_and_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_changes_files, "_LIMIT", 3)
    for number in range(6):
        machine.write(f"{number}.conf")
    looked = machine.look()
    assert len(looked.changes) <= 3
    assert "only the first 3 entries" in looked.notes[0]


def test_no_source_is_asked_when_the_time_is_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_changes, "TIME_S", -1)
    machine.write("app.ini")
    looked = machine.look()
    assert looked.changes == []
    assert {"packages", "files", "host"} <= {note.split(":")[0] for note in looked.notes}


def test_disk_that_never_answers_holds_nobody(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(_changes, "TIME_S", 2.0)
    monkeypatch.setattr(_changes_files, "look", lambda *_given: never.wait())
    machine.packages("install a:all <none> 1")
    looked = machine.look()
    never.set()
    assert [one["text"] for one in looked.changes] == ["had a installed"]
    assert "files: no answer in time" in looked.notes


def test_release_within_the_window_is_a_change(machine: Machine) -> None:
    now = datetime.now(timezone.utc).isoformat()
    release = {"current": "42", "previous": "41", "deployed_at": now}
    old = {"current": "7", "previous": None, "deployed_at": "2020-01-01T00:00:00+00:00"}
    services = [{"name": name} for name in ("shop", "cart", "other")]
    (one,) = machine.look(*services, releases={"shop": release, "cart": old, "other": None}).changes
    assert (one["kind"], one["name"], one["service"]) == ("release", "42", "shop")
    assert one["text"] == "got release 42 of shop (before it: 41)"


def test_hostile_names_are_told_harmlessly(machine: Machine) -> None:
    machine.write("evil\x1b[31m\nname.conf")
    (one,) = machine.look().changes
    assert one["text"].isprintable()


def record(kind: int, user: str, at: float, host: str = "", line: str = "pts/0") -> bytes:
    """A record of wtmp, packed field by field as utmp(5) lists them."""
    texts = struct.pack("32s4s32s256s", line.encode(), b"ts/0", user.encode(), host.encode())
    return struct.pack("hxxi", kind, 1) + texts + struct.pack("hhiii16s20x", 0, 0, 0, int(at), 0, b"")


def test_reboot_says_the_kernels_and_whether_it_was_shut_down(machine: Machine) -> None:
    now = time.time()
    machine.booted(ago_s=600)
    boots = record(2, "reboot", now - 90 * HOUR, "6.1.0-25") + record(2, "reboot", now - 600, "6.1.0-28")
    machine.host.wtmp.write_bytes(boots)
    (one,) = machine.look().changes
    assert (one["kind"], one["text"]) == ("reboot", "rebooted, from kernel 6.1.0-25 to 6.1.0-28")
    assert one["detail"] == "it was not shut down before"


def test_reboot_is_known_without_wtmp(machine: Machine) -> None:
    machine.booted(ago_s=600)
    (one,) = machine.look().changes
    assert one["text"] == "rebooted"
    assert datetime.fromisoformat(one["at"]).timestamp() == pytest.approx(time.time() - 600, abs=5)


def test_logins_of_one_visit_are_one_change(machine: Machine) -> None:
    now = time.time()
    visits = [record(7, "eve", now - ago, "10.0.0.5") for ago in (9 * HOUR, 600, 300)]
    machine.host.wtmp.write_bytes(b"".join(visits) + record(8, "", now - 200))
    assert [one["detail"] for one in machine.look().changes] == ["from 10.0.0.5, 2 times", "from 10.0.0.5"]
    assert machine.texts()[0] == "had a login of eve"


def test_clock_that_was_set_is_a_change(machine: Machine) -> None:
    now = time.time()
    machine.host.wtmp.write_bytes(record(4, "date", now - 7300, line="{") + record(3, "date", now - 100, line="|"))
    assert machine.texts() == ["had its clock set forward by 7200 s"]


def test_wtmp_that_is_none_is_a_note(machine: Machine) -> None:
    machine.host.wtmp.write_bytes(b"nothing of the kind")
    assert "holds no records" in machine.look().notes[0]


def test_kernel_that_waits_for_a_reboot_is_told(machine: Machine) -> None:
    machine.host.boot.mkdir()
    (machine.host.boot / "vmlinuz-99.9").touch()
    assert machine.texts() == ["got kernel 99.9"]


def test_users_and_groups_are_told_by_name(machine: Machine) -> None:
    machine.write("passwd-", "root:x:0:0::/:/bin/sh\nbob:x:1:1::/:/bin/sh\n", at=OLD)
    machine.write("passwd", "root:x:0:0::/:/bin/sh\neve:x:0:0::/:/bin/sh\n")
    machine.write("group-", "sudo:x:27:ops\n", at=OLD)
    machine.write("group", "sudo:x:27:ops,eve\n")
    machine.write("shadow", "eve:$6$secret:1::::::\n")
    assert set(machine.texts()) == {"got user eve", "lost user bob", "got eve into group sudo"}


def test_password_that_was_changed_is_told_by_whose_it_is_and_never_what_it_is(machine: Machine) -> None:
    machine.write("passwd", "eve:x:1:1::/:/bin/sh\n", at=OLD)
    machine.write("shadow-", "eve:$6$old:1::::::\nops:$6$same:1::::::\n", at=OLD)
    machine.write("shadow", "eve:$6$new:2::::::\nops:$6$same:1::::::\n")
    (one,) = machine.look().changes
    assert (one["text"], one["detail"]) == ("had a password changed", "of eve")
    assert "$6$" not in str(one)


def fake(machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    """Put a program on the path that says this, whatever it is asked."""
    folder = machine.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.said").write_text(said)
    (folder / name).write_text(f"#!/bin/sh\nexec cat {folder / name}.said\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def unit(**more: str) -> str:
    said = {"Id": "shop.service", "LoadState": "loaded", "ActiveState": "active", "NRestarts": "0", **more}
    return "".join(f"{key}={value}\n" for key, value in said.items())


SHOP = {"name": "shop", "unit": "shop.service"}


def monotonic(ago_s: float) -> str:
    return str(int((time.monotonic() - ago_s) * 1e6))


@pytest.mark.parametrize(
    ("said", "text", "detail"),
    [
        ({"InactiveExitTimestampMonotonic": 60}, "had shop.service started", ""),
        (
            {"InactiveExitTimestampMonotonic": 60, "NRestarts": "5"},
            "had shop.service started",
            "systemd has restarted it 5 times",
        ),
        (
            {
                "ActiveState": "failed",
                "Result": "oom-kill",
                "ExecMainStatus": "9",
                "InactiveEnterTimestampMonotonic": 60,
            },
            "had shop.service fail",
            "oom-kill, exit status 9",
        ),
        ({"ActiveState": "inactive", "InactiveEnterTimestampMonotonic": 60}, "had shop.service stopped", ""),
    ],
)
def test_unit_that_started_or_ended_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], text: str, detail: str
) -> None:
    fake(machine, monkeypatch, "systemctl", unit(**{k: monotonic(v) if v == 60 else v for k, v in said.items()}))
    (one,) = machine.look(SHOP).changes
    assert (one["kind"], one["text"], one["detail"], one["service"]) == ("restart", text, detail, "shop")
    assert datetime.fromisoformat(one["at"]).timestamp() == pytest.approx(time.time() - 60, abs=5)


def test_what_the_boot_started_is_told_with_the_boot_alone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.booted(ago_s=600)
    fake(machine, monkeypatch, "systemctl", unit(InactiveExitTimestampMonotonic=monotonic(590)))
    assert machine.texts(SHOP) == ["rebooted"]


def test_files_that_define_a_unit_belong_to_its_service_and_unread_ones_say_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.write("other/name.service")
    fake(machine, monkeypatch, "systemctl", unit(FragmentPath=str(path), NeedDaemonReload="yes"))
    (one,) = machine.look(SHOP).changes
    assert (one["service"], one["detail"]) == ("shop", "systemd has not read it yet")


def test_instances_of_a_template_belong_to_its_service(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = unit(Id="worker@2.service", InactiveExitTimestampMonotonic=monotonic(60))
    fake(machine, monkeypatch, "systemctl", said)
    (one,) = machine.look({"name": "worker", "unit": "worker@.service"}).changes
    assert (one["service"], one["text"]) == ("worker", "had worker@2.service started")


def test_systemd_that_does_not_answer_is_a_note(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(machine, monkeypatch, "systemctl", "")
    (machine.folder / "bin" / "systemctl").write_text("#!/bin/sh\necho no bus >&2; exit 1\n")
    assert "no bus" in machine.look(SHOP).notes[0]


def test_what_this_incident_did_itself_is_left_out_and_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(machine, monkeypatch, "systemctl", unit(InactiveExitTimestampMonotonic=monotonic(60)))
    at = datetime.fromtimestamp(time.time() - 61, timezone.utc).isoformat()
    machine.ledger = [{"target": "shop", "at": "2020-01-01T00:00:00+00:00", "lifted_at": at, "capability": "isolation"}]
    looked = machine.look(SHOP)
    assert looked.changes == []
    assert looked.notes == ["left out, for this incident did it: had shop.service started"]


@pytest.mark.parametrize(("capability", "after_s"), [("maintenance_mode", -10), ("rollback", 20)])
def test_release_that_came_before_the_incident_is_none_of_its_acts(
    machine: Machine, capability: str, after_s: float
) -> None:
    deployed = time.time() - 60
    at = datetime.fromtimestamp(deployed + after_s, timezone.utc).isoformat()
    machine.ledger = [{"target": "shop", "at": at, "capability": capability}]
    release = {"current": "42", "previous": "41", "deployed_at": iso(60)}
    (one,) = machine.look({"name": "shop"}, releases={"shop": release}).changes
    assert one["text"] == "got release 42 of shop (before it: 41)"


def container(**state: Any) -> dict[str, Any]:
    labels = {
        "com.docker.compose.project.working_dir": "/srv/shop",
        "com.docker.compose.project.config_files": "compose.yml",
    }
    return {
        "Id": "c1", "Name": "shop_web_1", "Image": "sha256:0123456789abcdef", "RestartCount": 3,
        "Created": "2020-01-01T00:00:00Z", "ImageName": "registry.example/shop:42",
        "Config": {"Labels": labels, "Image": "registry.example/shop:42"}, "State": {"Status": "running", **state},
    }  # fmt: skip


def iso(ago_s: float) -> str:
    return datetime.fromtimestamp(time.time() - ago_s, timezone.utc).isoformat()


@pytest.mark.parametrize(
    ("said", "kind", "text", "detail"),
    [
        (
            {**container(StartedAt=iso(59)), "Created": iso(60)},
            "image",
            "got container shop_web_1 of registry.example/shop:42",
            "image 0123456789ab",
        ),
        (
            container(StartedAt=iso(60)),
            "restart",
            "had container shop_web_1 started again",
            "restarted 3 times by its engine",
        ),
        (
            container(Status="exited", FinishedAt=iso(60), ExitCode=137, OOMKilled=True),
            "restart",
            "had container shop_web_1 end",
            "exit code 137, out of memory, restarted 3 times by its engine",
        ),
    ],
)
def test_container_that_was_made_restarted_or_ended_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], kind: str, text: str, detail: str
) -> None:
    fake(machine, monkeypatch, "podman", json.dumps([said]))
    monkeypatch.setattr(_compose, "ENGINES", ("podman",))
    (one,) = machine.look({"name": "shop", "compose_file": "/srv/shop/compose.yml"}).changes
    assert (one["kind"], one["text"], one["detail"], one["service"]) == (kind, text, detail, "shop")


def test_packages_of_rpm_are_asked_for_only_if_there_are_new_ones(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(machine, monkeypatch, "rpm", f"{int(time.time() - 60)}\topenssl\t3.0.7-2\n12345\told\t1-1\n")
    (machine.folder / "rpm").mkdir()
    database = machine.folder / "rpm" / "rpmdb.sqlite"
    database.touch()
    (one,) = machine.look().changes
    assert (one["text"], one["detail"]) == ("had openssl installed", "3.0.7-2 by rpm")
    os.utime(database, (OLD, OLD))
    assert machine.look().changes == []


def test_packages_of_pip_belong_to_the_service_whose_environment_it_is(machine: Machine) -> None:
    current = machine.folder / "current"
    (current / "venv/lib/python3.11/site-packages/requests-2.31.0.dist-info").mkdir(parents=True)
    (machine.folder / "python3.11" / "six-1.16.0.dist-info").mkdir(parents=True)
    shop = {"name": "shop", "releases": {"kind": "symlink", "root": "/nonexistent", "current": str(current)}}
    found = {one["text"]: one["service"] for one in machine.look(shop).changes}
    assert found == {"had requests installed": "shop", "had six installed": None}


def test_log_of_deployments_tells_each_release(machine: Machine) -> None:
    history = machine.folder / "deployed.log"
    history.write_text(f"2020-01-01T00:00:00Z 40\n# comment\n{iso(7200)} 41\n{iso(60)} 42\n")
    shop = {"name": "shop", "releases": {"kind": "compose_image", "history": str(history)}}
    release = {"current": "42", "previous": "41", "deployed_at": iso(30)}
    found = machine.texts(shop, releases={"shop": release})
    assert found == ["got release 42 of shop (before it: 41)", "got release 41 of shop (before it: 40)"]


def test_checkout_that_moved_is_a_release(machine: Machine) -> None:
    logs = machine.folder / "srv" / ".git" / "logs"
    logs.mkdir(parents=True)
    old, new = "a" * 40, "b" * 40
    (logs / "HEAD").write_text(
        f"{old} {new} Ann Lee <ann@example.org> {int(time.time()) - 60} +0000\tpull: Fast-forward\n"
    )
    shop = {
        "name": "shop",
        "releases": {"kind": "symlink", "root": str(machine.folder / "srv"), "current": "/nonexistent"},
    }
    (one,) = machine.look(shop).changes
    assert one["text"].endswith("of shop moved to bbbbbbbbbb")
    assert one["detail"] == "before it: aaaaaaaaaa; pull: Fast-forward"


def test_log_that_is_rotated_is_no_change_and_one_that_is_shut_is(tmp_path: Path) -> None:
    for name in ("shop.log", "other.log"):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1e9, 1e9))
    time.sleep(2.1)  # the folder was written when the files were made
    (tmp_path / "other.log").chmod(0o400)
    time.sleep(2.1)
    (tmp_path / "shop.log").rename(tmp_path / "shop.log.1")
    window = Window(time.time() - 60, time.time() + 60)
    seen = _changes_files.look([], [str(tmp_path)], window, time.monotonic() + 5)
    assert [Path(each.path).name for each in seen.touched] == ["other.log"]
    assert seen.touched[0].how.startswith("permission")
