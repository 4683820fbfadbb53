"""What changed on a host: packages, files, releases; each told once, in words, with its time."""

from __future__ import annotations

import gzip
import os
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _changes, _changes_files
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
        host = Host(deep=(str(self.etc),), dpkg_log=self.log, dpkg_info=self.info)
        return _changes.look(list(services), releases or {}, time.time() - hours * HOUR, time.time() + 1, host)

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
    assert [note.split(":")[0] for note in looked.notes] == ["packages", "files"]


def test_release_within_the_window_is_a_change(machine: Machine) -> None:
    now = datetime.now(timezone.utc).isoformat()
    release = {"current": "42", "previous": "41", "deployed_at": now}
    old = {"current": "7", "previous": None, "deployed_at": "2020-01-01T00:00:00+00:00"}
    (one,) = machine.look(releases={"shop": release, "cart": old, "other": None}).changes
    assert (one["kind"], one["name"], one["service"]) == ("release", "42", "shop")
    assert one["text"] == "got release 42 of shop (before it: 41)"


def test_hostile_names_are_told_harmlessly(machine: Machine) -> None:
    machine.write("evil\x1b[31m\nname.conf")
    (one,) = machine.look().changes
    assert one["text"].isprintable()
