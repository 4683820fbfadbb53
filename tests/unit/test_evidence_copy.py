"""A copy of the evidence for people: no secret in it, all else in it, and the evidence itself as it was."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl import bundles, evidence_copy, series, wording, zstd
from incidentctl.errors import EvidenceChanged, RefusedError
from incidentctl.incident import Event, Incident, fold

HIDDEN = b"tr0ub4dor-and-3"
LINE = b"2026-11-28 10:00:01 ERROR login failed: DB_PASSWORD=" + HIDDEN + b" host=db1\n"
REDACTED = LINE.replace(HIDDEN, b"[redacted: assignment]")


class Sealed:
    """An incident with one bundle of one host, and the folder that it lies in."""

    def __init__(self, folder: Path, parts: Mapping[str, bytes]) -> None:
        self.evidence = folder / "incidents" / "INC-1" / "evidence"
        self.bundle = self.evidence / "web1" / "evidence-1.tar.gz"
        self.bundle.parent.mkdir(parents=True)
        rows = [{"name": n, "bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in parts.items()]
        said = json.dumps({"host": "web1", "incident": "INC-1", "members": rows}).encode()
        with tarfile.open(self.bundle, "w:gz") as tar:
            for name, content in (*parts.items(), ("manifest.json", said)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        raw = self.bundle.read_bytes()
        self.digest = hashlib.sha256(raw).hexdigest()
        kept = {"path": str(self.bundle), "sha256": self.digest, "bytes": len(raw)}
        self.incident = self.folded(kept)
        self.copy = folder / "copy"

    @staticmethod
    def folded(kept: dict[str, Any]) -> Incident:
        data = {"host": "web1", "files": [kept]}
        rows = (("declared", {"title": "it broke", "severity": "high"}), ("evidence_collected", data))
        at = "2026-01-01T00:00:00.000+00:00"
        return fold([Event("INC-1", n, at, "ada", kind, dict(each), "", "") for n, (kind, each) in enumerate(rows, 1)])

    def make(self, folder: Path | None = None) -> tuple[evidence_copy.Bundle, ...]:
        return evidence_copy.copy(self.incident, self.evidence, folder or self.copy, "ada", "2026-01-01T01:00:00+00:00")

    def part(self, name: str) -> evidence_copy.Part:
        (bundle,) = self.make()
        (part,) = (part for part in bundle.parts if part.name == name)
        return part

    def text(self, name: str) -> bytes:
        return (self.copy / self.part(name).file).read_bytes()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_secret_of_the_evidence_is_nowhere_in_the_copy_and_all_else_is(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/app.log": b"before\n" + LINE + b"after\n"})
    assert sealed.text("logs/app.log") == b"before\n" + REDACTED + b"after\n"
    assert HIDDEN not in everything(sealed.copy)


def test_the_evidence_is_as_it_was(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/app.log": LINE})
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sealed.evidence.rglob("*") if path.is_file()
    }
    sealed.make()
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sealed.evidence.rglob("*") if path.is_file()
    } == before


def test_the_manifest_has_what_is_sealed_what_is_copied_and_what_was_taken_out(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/app.log": LINE * 3, "state/wtmp": b"\0\1\2", "plain": b"nothing\n"})
    sealed.make()
    said = json.loads((sealed.copy / "manifest.json").read_text())
    (bundle,) = said["bundles"]
    rows = {row["name"]: row for row in bundle["parts"]}
    assert (said["incident"], bundle["host"], bundle["sealed"]) == ("INC-1", "web1", sealed.digest)
    log = rows["logs/app.log"]
    assert log["sealed"] == hashlib.sha256(LINE * 3).hexdigest()
    assert log["sha256"] == hashlib.sha256((sealed.copy / log["file"]).read_bytes()).hexdigest()
    assert log["redactions"] == said["redactions"] == {"assignment": 3}
    assert rows["state/wtmp"]["left_out"] == "it is not text"
    assert rows["state/wtmp"]["sealed"] == hashlib.sha256(b"\0\1\2").hexdigest()
    assert "file" not in rows["state/wtmp"]
    assert rows["plain"]["sealed"] == rows["plain"]["sha256"]


def with_zstd(content: bytes, *flags: str) -> bytes:
    return subprocess.run(["zstd", "-qc", *flags], input=content, capture_output=True, check=True).stdout


needs_zstd = pytest.mark.skipif(not zstd.is_here(), reason=zstd.WHY_NOT)
PACKERS = [
    pytest.param(gzip.compress, id="gzip"), pytest.param(bz2.compress, id="bzip2"), pytest.param(lzma.compress, id="xz"),
    pytest.param(with_zstd, id="zstd", marks=needs_zstd),
]  # fmt: skip


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_compressed_is_unpacked_and_redacted(tmp_path: Path, pack: Any) -> None:
    packed = pack(LINE * 5000)
    sealed = Sealed(tmp_path, {"logs/app.log.1": packed})
    assert sealed.text("logs/app.log.1") == REDACTED * 5000
    part = json.loads((sealed.copy / "manifest.json").read_text())["bundles"][0]["parts"][0]
    assert part["sealed"] == hashlib.sha256(packed).hexdigest()
    assert part["sealed_bytes"] == len(packed)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(LINE * 99)[:-20], "cannot be unpacked"),
        (lzma.compress(LINE * 99)[:-20], "cannot be unpacked"),
        (bz2.compress(LINE * 99)[:60], "cannot be unpacked"),
        (lzma.compress(LINE) + b"more", "cannot be unpacked"),
        pytest.param(b"\x28\xb5\x2f\xfd" + LINE, "zstd exited 1", marks=needs_zstd),
        (gzip.compress(b"\0\0"), "not text"),
        (b"\xff\xfep\0a\0s\0s\0", "not text"),
    ],
    ids=["gzip cut off", "xz cut off", "bzip2 cut off", "more after its end", "zstd", "binary in gzip", "UTF-16"],
)
def test_what_is_not_understood_is_left_out_and_that_is_said(tmp_path: Path, content: bytes, why: str) -> None:
    sealed = Sealed(tmp_path, {"logs/a": content, "logs/b": LINE})
    part = sealed.part("logs/a")
    assert why in part.left_out
    assert not part.file
    assert {path.name for path in sealed.copy.rglob("*") if path.is_file()} == {"b", "manifest.json"} | {
        "manifest.json"
    }


def test_zstd_without_its_program_is_left_out_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    part = Sealed(tmp_path, {"logs/a": zstd.MAGIC + LINE}).part("logs/a")
    assert part.left_out == "zstd is not installed here, with which it is compressed"
    assert part.sealed_bytes == len(zstd.MAGIC + LINE)


@pytest.mark.parametrize("pack", PACKERS)
def test_what_unpacks_to_more_than_the_room_is_left_out_in_bounded_memory(
    pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_copy, "MOST_BYTES", 1 << 20)
    sealed = Sealed(tmp_path, {"logs/bomb": pack((b"x" * 10_000 + b"\n") * 5_000)})
    tracemalloc.start()
    part = sealed.part("logs/bomb")
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than" in part.left_out
    assert most < 16 << 20  # xz has a dictionary of 8 MiB
    assert not list(sealed.copy.rglob("*bomb*"))


def test_an_xz_that_asks_for_much_memory_is_left_out(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20, "preset": 0}]
    sealed = Sealed(tmp_path, {"logs/a.xz": lzma.compress(b"x\n", filters=filters)})
    assert "cannot be unpacked" in sealed.part("logs/a.xz").left_out


def test_one_endless_line_is_left_out_without_the_lines_around_it(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/a": b"before\n" + HIDDEN * 100_000 + b"\nafter"})
    assert sealed.text("logs/a") == b"before\n[redacted: long-line]\nafter"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\r\nb\r\n", b"no end", b"\xff\xfe\xe4 latin \x80\n", b"a\n\n\nb\n"])
def test_text_without_secrets_is_copied_to_the_byte(tmp_path: Path, content: bytes) -> None:
    assert Sealed(tmp_path, {"logs/a": content}).text("logs/a") == content


def test_a_name_of_a_host_leads_nowhere_and_two_alike_are_not_mixed(tmp_path: Path) -> None:
    names = {
        "logs/a\x1b[2J": b"one\n",
        "logs/a_[2J": b"two\n",
        "logs/b": b"three\n",
        "logs/b/c": b"four\n",
        "./.../d": b"five\n",
        "logs/" + "n" * 300: b"six\n",
    }
    sealed = Sealed(tmp_path, names)
    (bundle,) = sealed.make()
    left = {part.name: part.left_out for part in bundle.parts if part.left_out}
    assert left == {
        "logs/a_[2J": "another part has its name",
        "logs/b/c": "another part has its name",
        "logs/" + "n" * 300: "its name is too long",
    }
    for part in bundle.parts:
        if part.file and part.name in names:
            assert (sealed.copy / part.file).resolve().is_relative_to(sealed.copy)
            assert (sealed.copy / part.file).read_bytes() == names[part.name]
            assert part.file.isprintable()


@pytest.mark.parametrize("below", [".", "web1", "web1/new/deep"])
def test_a_copy_among_the_evidence_is_refused(tmp_path: Path, below: str) -> None:
    sealed = Sealed(tmp_path, {"a": LINE})
    before = sorted(sealed.evidence.rglob("*"))
    with pytest.raises(RefusedError, match="among the evidence"):
        sealed.make(sealed.evidence / below)
    assert sorted(sealed.evidence.rglob("*")) == before


def test_a_copy_among_the_evidence_is_refused_also_by_a_link(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"a": LINE})
    (tmp_path / "link").symlink_to(sealed.evidence)
    with pytest.raises(RefusedError):
        sealed.make(tmp_path / "link" / "copy")


@pytest.mark.parametrize("kind", ["file", "full", "link"])
def test_a_copy_is_not_mixed_with_what_is_there(tmp_path: Path, kind: str) -> None:
    sealed = Sealed(tmp_path, {"a": LINE})
    if kind == "file":
        sealed.copy.write_text("mine")
    elif kind == "full":
        (sealed.copy / "x").mkdir(parents=True)
    else:
        sealed.copy.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RefusedError, match="there already"):
        sealed.make()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"a": LINE})
    sealed.copy.mkdir()
    assert sealed.text("a") == REDACTED


def test_the_copy_is_for_our_eyes_until_we_hand_it_on(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/a": LINE})
    sealed.make()
    for path in (sealed.copy, *sealed.copy.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_a_bundle_that_changes_after_it_was_verified_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = Sealed(tmp_path, {"logs/a": LINE, "logs/b": LINE})
    parts = bundles.parts

    def meanwhile(*arguments: Any) -> Any:
        for number, part in enumerate(parts(*arguments)):
            if number == 1:
                with sealed.bundle.open("ab") as stream:
                    stream.write(b"!")
            yield part

    monkeypatch.setattr(bundles, "parts", meanwhile)
    with pytest.raises(EvidenceChanged):
        sealed.make()
    assert [path.name for path in tmp_path.iterdir()] == ["incidents"]


def test_a_copy_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(tmp_path, {"logs/a": LINE})

    def full(*_arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(evidence_copy, "private_text", full)
    with pytest.raises(OSError, match="No space"):
        sealed.make()
    assert [path.name for path in tmp_path.iterdir()] == ["incidents"]


def test_the_copy_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(tmp_path, {"logs/a": LINE})
    seen: list[list[str]] = []
    written = evidence_copy.private_text

    def look(path: Path, text: str) -> None:
        seen.append(sorted(each.name for each in tmp_path.iterdir()))
        written(path, text)

    monkeypatch.setattr(evidence_copy, "private_text", look)
    sealed.make()
    (names,) = seen
    assert len(names) == 2
    assert names[0].startswith(".copy.partial-")


def test_what_is_said_of_the_copy_names_rules_and_what_is_missing(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/a": LINE * 2, "state/utmp": b"\0"})
    told = wording.evidence_copied("INC-1", sealed.copy, sealed.make())
    assert "2 parts, 2 redacted" in told
    assert "state/utmp: left out: it is not text" in told
    assert "assignment 2" in told


def test_what_prometheus_measured_is_in_the_copy_without_secrets(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, {"logs/app.log": LINE})
    secret = HIDDEN.decode()
    query = series.Question(series.QUERY, "latency", "shop", f'x{{password="{secret}"}}')
    points = tuple((1000.0 + n, float(n)) for n in range(240))
    many = tuple(series.Series({"password": secret, "n": f"{n}", "odd": '{"kind":'}, points) for n in range(8))
    answers = tuple(series.Answer(replace(query, service=f"s{n}"), "http://mon1:9090", many) for n in range(16))
    kept = series.Kept((1000.0, 1240.0), 1, answers)
    text = series.as_text(kept, "INC-1", "2026-01-01T00:00:00+00:00").encode()
    (sealed.evidence / "prometheus-1.json").write_bytes(text)
    row = {"file": "prometheus-1.json", "sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text), "problems": []}
    sealed.incident = replace(sealed.incident, measured=({"problems": ["it did not answer"]}, row))
    made = sealed.make()
    assert [(bundle.host, bundle.path) for bundle in made] == [("web1", "web1/evidence-1.tar.gz"), ("", row["file"])]
    raw = (sealed.copy / "prometheus-1.json").read_bytes()
    assert HIDDEN not in everything(sealed.copy)
    copied = series.from_text(raw.decode())
    assert copied.span == kept.span
    assert [one.points for answer in copied.answers for one in answer.series] == [points] * 8 * 16
    assert copied.answers[0].series[3].labels == {"n": "3", "odd": '{"kind":', "password": "[redacted: assignment]"}
    said = json.loads((sealed.copy / "manifest.json").read_text())["bundles"][1]
    assert (said["sealed"], said["parts"][0]["sha256"]) == (row["sha256"], hashlib.sha256(raw).hexdigest())
    assert said["parts"][0]["redactions"]
    assert "✓ Prometheus  prometheus-1.json: 1 parts" in wording.evidence_copied("INC-1", sealed.copy, made)
    sealed.incident = replace(sealed.incident, measured=({**row, "sha256": "0" * 64},))
    with pytest.raises(EvidenceChanged, match=r"prometheus-1\.json"):
        sealed.make(tmp_path / "another")
    assert not (tmp_path / "another").exists()
