"""The evidence of an incident: one manifest for all hosts, and whatever is changed afterwards shows."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from incidentctl import evidence, evidence_check, wording, zstd
from incidentctl.desk import Desk
from incidentctl.errors import EvidenceChanged, Partial
from incidentctl.evidence_check import Checked
from incidentctl.incident import Event, fold
from incidentctl.outcome import HostOutcome, Outcome, Step

CUT = ["/var/log/big.log: the last 5 of 9 bytes"]


def bundle(path: Path, host: str, content: bytes = b"a line\n") -> dict[str, Any]:
    """Lay out a bundle as a host makes it; return what is said of it."""
    rows = [{"name": "logs/a", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}]
    said = json.dumps({"host": host, "incident": "INC-1", "members": rows}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in (("logs/a", content), ("manifest.json", said)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    raw = path.read_bytes()
    return {"path": str(path), "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}


class Kept:
    """An incident with three hosts: one has all its evidence, one lacks a part, one could not be reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "evidence"
        self.events: list[Event] = []
        self.note("declared", title="it broke", severity="high", hosts=["web1", "web2", "web3"])
        rows = (
            self.row("web1", files=(bundle(self.folder / "web1" / "e.tar.gz", "web1"),), facts={"members": 1}),
            self.row(
                "web2", files=(bundle(self.folder / "web2" / "e.tar.gz", "web2"),), facts={"members": 1, "cut": CUT}
            ),
            self.row("web3", outcome="not_attempted", reason="health_check unreachable there before"),
        )
        sick = HostOutcome("web3", "health_check", "unreachable", "no route to host")
        for each in (*rows, sick):
            self.note("host_outcome", phase="triage", **{k: v for k, v in vars(each).items() if k != "diff"})
        desk = SimpleNamespace(folder=folder, note=self.note, incident=lambda: fold(self.events))
        step = Step("triage", ("log_collection",), ("web1", "web2", "web3"), deadline_s=60)
        evidence.keep(cast(Desk, desk), Outcome(step, rows, 1.0))

    @staticmethod
    def row(host: str, outcome: str = "done", **more: Any) -> HostOutcome:
        return HostOutcome(host, "log_collection", outcome, **more)

    def note(self, kind: str, **data: Any) -> None:
        data = json.loads(json.dumps(data))
        at = f"2026-01-01T00:00:{len(self.events):02d}.000+00:00"
        self.events.append(Event("INC-1", len(self.events) + 1, at, "ada", kind, data, "", ""))

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "manifest.json").read_text()))

    def verify(self) -> list[Checked]:
        return evidence_check.verify(fold(self.events), self.events, self.folder)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_the_manifest_says_of_every_host_what_there_is_or_why_not(kept: Kept) -> None:
    hosts = kept.manifest["hosts"]
    assert {host: (said["state"], said["why"]) for host, said in hosts.items()} == {
        "web1": ("whole", ""),
        "web2": ("partial", CUT[0]),
        "web3": ("missing", "unreachable: no route to host"),
    }
    (said,) = hosts["web1"]["bundles"]
    assert said["path"] == "web1/e.tar.gz"
    assert said["sha256"] == hashlib.sha256((kept.folder / "web1" / "e.tar.gz").read_bytes()).hexdigest()
    assert ((kept.folder / "manifest.json").stat().st_mode & 0o777) == 0o600


def test_what_came_home_and_was_not_touched_is_whole(kept: Kept) -> None:
    checked = kept.verify()
    assert {(row.host, row.file, row.verdict) for row in checked} == {
        ("", "manifest.json", "whole"),
        ("web1", "web1/e.tar.gz", "whole"),
        ("web2", "web2/e.tar.gz", "whole"),
        ("web3", "", "none"),
    }
    evidence_check.judge("INC-1", checked, None)
    told = wording.evidence("INC-1", kept.folder, checked)
    assert "web3" in told
    assert "unreachable: no route to host" in told


def in_zstd(kept: Kept) -> Path:
    """Have the bundle of web1 be one that was packed with zstd, for the record and the manifest, too."""
    path = kept.folder / "web1" / "e.tar.gz"
    raw = subprocess.run(
        ["zstd", "-qc"], input=gzip.decompress(path.read_bytes()), capture_output=True, check=True
    ).stdout
    before, after = (hashlib.sha256(content).hexdigest() for content in (path.read_bytes(), raw))
    size = str(path.stat().st_size)
    path.unlink()
    path = path.with_name("e.tar.zst")
    path.write_bytes(raw)

    def renamed(text: str) -> str:
        text = text.replace(before, after).replace("web1/e.tar.gz", "web1/e.tar.zst")
        return text.replace(f'"bytes": {size}', f'"bytes": {len(raw)}')

    manifest = kept.folder / "manifest.json"
    old = hashlib.sha256(manifest.read_bytes()).hexdigest()
    manifest.write_text(renamed(manifest.read_text()))
    new = hashlib.sha256(manifest.read_bytes()).hexdigest()
    kept.events = [
        replace(event, data=json.loads(renamed(json.dumps(event.data)).replace(old, new))) for event in kept.events
    ]
    return path


@pytest.mark.skipif(not zstd.is_here(), reason=zstd.WHY_NOT)
def test_a_bundle_in_zstd_is_looked_into_and_without_the_program_it_is_said_what_is_missing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = in_zstd(kept)
    whole = kept.verify()
    assert {row.verdict for row in whole if row.host == "web1"} == {"whole"}
    evidence_check.judge("INC-1", whole, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    unread = kept.verify()
    assert {row.verdict for row in unread if row.host == "web1"} == {"unread"}
    assert {row.verdict for row in unread if row.host == "web2"} == {"whole"}
    assert "zstd is not installed here" in wording.evidence("INC-1", kept.folder, unread)
    with pytest.raises(Partial) as raised:
        evidence_check.judge("INC-1", unread, None)
    assert raised.value.exit_code == 11
    assert "install zstd" in raised.value.fix
    flip(path)
    changed = kept.verify()
    assert {row.verdict for row in changed if row.host == "web1"} == {"changed"}
    with pytest.raises(EvidenceChanged):
        evidence_check.judge("INC-1", changed, None)


def test_what_a_transfer_that_was_cut_off_left_is_told_and_is_no_evidence(kept: Kept) -> None:
    for name in (".e-2.tar.zst.part", ".e-2.tar.zst.part.json", ".e-3.tar.gz.part"):
        (kept.folder / "web1" / name).write_bytes(b"some of it")
    checked = kept.verify()
    assert sorted(row.file for row in checked if row.verdict == "unfinished") == [
        "web1/.e-2.tar.zst.part", "web1/.e-2.tar.zst.part.json", "web1/.e-3.tar.gz.part",
    ]  # fmt: skip
    evidence_check.judge("INC-1", checked, None)
    assert "the next collection takes or removes it" in wording.evidence("INC-1", kept.folder, checked)


@pytest.mark.parametrize(
    "name", ["web1/e-2.tar.gz.part", "web1/.e-2.tar.gz", ".e-2.tar.gz.part", "web1/.e-2.part", "web1/x/.e.tar.gz.part"]
)
def test_nothing_else_that_lies_there_passes_for_that(name: str, kept: Kept) -> None:
    (kept.folder / name).parent.mkdir(exist_ok=True)
    (kept.folder / name).write_bytes(b"x")
    assert {row.verdict for row in kept.verify() if row.file == name} == {"extra"}


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("file", ["manifest.json", "web1/e.tar.gz"])
@pytest.mark.parametrize(
    ("act", "verdict"),
    [
        (flip, "changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "changed"),
        (lambda path: path.write_bytes(b""), "changed"),
        (link, "changed"),
        (fifo, "changed"),
        (Path.unlink, "missing"),
    ],
    ids=["a bit", "cut", "longer", "empty", "a link", "a FIFO", "gone"],
)
def test_whatever_is_changed_shows_and_only_that(
    file: str, act: Callable[[Path], object], verdict: str, kept: Kept
) -> None:
    act(kept.folder / file)
    checked = kept.verify()
    assert {row.verdict for row in checked if row.file == file} == {verdict}
    assert {
        row.verdict for row in checked if row.file in {"manifest.json", "web1/e.tar.gz", "web2/e.tar.gz"} - {file}
    } == {"whole"}
    with pytest.raises(EvidenceChanged) as raised:
        evidence_check.judge("INC-1", checked, None)
    assert raised.value.exit_code == 12
    assert f"{file}: {verdict}" in str(raised.value)


def test_a_bundle_in_another_s_place_shows(kept: Kept) -> None:
    one, two = kept.folder / "web1" / "e.tar.gz", kept.folder / "web2" / "e.tar.gz"
    one.write_bytes(two.read_bytes())
    assert [row.verdict for row in kept.verify() if row.host == "web1"] == ["changed"]


def test_a_bundle_whose_own_manifest_lies_shows_though_it_came_so(tmp_path: Path) -> None:
    class Lied(Kept):
        @staticmethod
        def row(host: str, outcome: str = "done", **more: Any) -> HostOutcome:
            if host == "web1":
                more["files"] = (bundle(Path(more["files"][0]["path"]), "web9"),)
            return HostOutcome(host, "log_collection", outcome, **more)

    (found,) = (row for row in Lied(tmp_path).verify() if row.host == "web1")
    assert (found.verdict, "of the host 'web9'" in found.detail) == ("changed", True)


def test_a_manifest_that_was_made_to_fit_shows(kept: Kept) -> None:
    said = kept.manifest
    said["hosts"]["web1"]["bundles"][0]["sha256"] = "0" * 64
    (kept.folder / "manifest.json").write_text(json.dumps(said))
    assert [row.verdict for row in kept.verify() if row.file == "manifest.json"] == ["changed"]


@pytest.mark.parametrize("name", ["web1/other.tar.gz", "web9/e.tar.gz", ".hidden", "\x1b[2J"])
def test_what_nobody_recorded_shows(name: str, kept: Kept) -> None:
    (kept.folder / name).parent.mkdir(exist_ok=True)
    (kept.folder / name).symlink_to("/etc")
    checked = kept.verify()
    assert [row.file for row in checked if row.verdict == "extra"] == [name]
    assert "\x1b" not in wording.evidence("INC-1", kept.folder, checked)
    with pytest.raises(EvidenceChanged):
        evidence_check.judge("INC-1", checked, None)


def test_a_second_collection_keeps_the_first_and_the_last_manifest_counts(kept: Kept, tmp_path: Path) -> None:
    later = Kept.row("web3", files=(bundle(kept.folder / "web3" / "e.tar.gz", "web3"),))
    kept.note("host_outcome", phase="log_collection", **{k: v for k, v in vars(later).items() if k != "diff"})
    desk = SimpleNamespace(folder=tmp_path, note=kept.note, incident=lambda: fold(kept.events))
    evidence.keep(
        cast(Desk, desk), Outcome(Step("log_collection", ("log_collection",), ("web3",), deadline_s=60), (later,), 1.0)
    )
    assert {host: said["state"] for host, said in kept.manifest["hosts"].items()} == {
        "web1": "whole",
        "web2": "partial",
        "web3": "whole",
    }
    evidence_check.judge("INC-1", kept.verify(), None)


def test_a_manifest_that_cannot_be_written_holds_nothing_up(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "evidence").write_text("a file where the folder would be")
    told: list[str] = []
    desk = SimpleNamespace(
        folder=tmp_path / "elsewhere",
        note=kept.note,
        incident=lambda: fold(kept.events),
        show=lambda _what, text: told.append(text),
    )
    row = Kept.row("web9", files=({"path": "x", "sha256": "y", "bytes": 1},))
    evidence.keep(cast(Desk, desk), Outcome(Step("triage", ("log_collection",), ("web9",), deadline_s=60), (row,), 1.0))
    assert "could not be written" in told[0]
    assert kept.events[-1].data["host"] == "web9"


def test_a_broken_record_is_a_change_too(kept: Kept) -> None:
    with pytest.raises(EvidenceChanged, match="from event 3 on") as raised:
        evidence_check.judge("INC-1", kept.verify(), 3)
    assert raised.value.exit_code == 12


def test_an_incident_without_evidence_has_none(tmp_path: Path) -> None:
    event = Event(
        "INC-1", 1, "2026-01-01T00:00:00.000+00:00", "ada", "declared", {"title": "x", "severity": "low"}, "", ""
    )
    checked = evidence_check.verify(fold([event]), [event], tmp_path / "evidence")
    assert [(row.file, row.verdict) for row in checked] == [("manifest.json", "none")]
    evidence_check.judge("INC-1", checked, None)
