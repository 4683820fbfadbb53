"""A bundle is packed with the host's zstd where that works, else with gzip: what is in it is the same."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence, _evidence_packing
from tests.unit.modules.collecting import Params, of_logs

REAL = shutil.which("zstd") or ""
real = pytest.mark.skipif(not REAL, reason="zstd is not installed here")


def members(bundle: str) -> dict[str, bytes]:
    text = Path(bundle).read_bytes()
    if bundle.endswith(".zst"):
        text = subprocess.run([REAL, "-dc"], input=text, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(text)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def with_zstd(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a zstd of ours first on the path."""
    folder.mkdir()
    program = folder / "zstd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin:/usr/sbin:/sbin")


@real
def test_with_zstd_the_bundle_is_what_its_manifest_says(params: Params, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"a line\n" * 200_000)
    answer = _evidence.run({**of_logs(params, log), "compression": "auto"}, check_mode=False)
    assert answer["bundle"].endswith("/evidence.tar.zst")
    found = members(answer["bundle"])
    manifest = json.loads(found.pop("manifest.json"))
    assert found["logs/shop/01-app.log"] == log.read_bytes()
    said = {row["name"]: row["sha256"] for row in manifest["members"]}
    assert said == {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    raw = Path(answer["bundle"]).read_bytes()
    told = answer["incident"]["files"][0]
    assert (told["bytes"], told["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert Path(answer["bundle"]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "script", ["exit 1", "echo not zstd", "sleep 60"], ids=["fails", "says something else", "hangs"]
)
def test_a_zstd_that_does_not_work_is_let_be(
    script: str, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_evidence_packing, "_TRIAL_S", 0.3)
    with_zstd(tmp_path / "bin", script, monkeypatch)
    answer = _evidence.run({**params, "compression": "auto"}, check_mode=False)
    assert answer["bundle"].endswith("/evidence.tar.gz")
    assert "manifest.json" in members(answer["bundle"])


def test_without_zstd_and_where_gzip_is_asked_for_it_is_gzip(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _evidence.run(params, check_mode=False)["bundle"].endswith("/evidence.tar.gz")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _evidence.run({**params, "compression": "auto"}, check_mode=False)["bundle"].endswith("/evidence.tar.gz")


@real
@pytest.mark.parametrize(
    ("stops", "how"),
    [
        ("head -c 1000 >/dev/null; echo out of memory >&2; exit 1", "zstd exited 1: out of memory; "),
        (f"{REAL} -c | head -c 500; cat; exit 1", "zstd exited 1; "),
        ("head -c 1000 >/dev/null; kill -9 $$", "zstd was ended by signal 9; "),
        ("cat >/dev/null; kill -9 $$", "zstd was ended by signal 9; "),
    ],
)
def test_where_zstd_fails_in_the_middle_all_comes_with_gzip_and_the_manifest_says_so(
    stops: str, how: str, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = f"{tmp_path}/trial"
    with_zstd(tmp_path / "bin", f"[ -e {trial} ] || {{ touch {trial}; exec {REAL} -qc; }}\n{stops}", monkeypatch)
    log = tmp_path / "app.log"
    log.write_bytes(b"a line\n" * 200_000)
    answer = _evidence.run({**of_logs(params, log), "compression": "auto"}, check_mode=False)
    bundle = Path(answer["bundle"])
    assert [path.name for path in bundle.parent.iterdir()] == ["evidence.tar.gz"]
    assert len(list((tmp_path / "work").iterdir())) == 1
    found = members(answer["bundle"])
    manifest = json.loads(found.pop("manifest.json"))
    assert manifest["note"] == f"{how}all was read once more after that, and is packed with gzip"
    assert answer["warnings"] == [manifest["note"]]
    assert found["logs/shop/01-app.log"] == log.read_bytes()
    assert [row["name"] for row in manifest["members"]] == list(found)
    assert "note" not in json.loads(members(_evidence.run(params, check_mode=False)["bundle"])["manifest.json"])


@real
def test_where_gzip_fails_as_well_nothing_stays(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = f"{tmp_path}/trial"
    with_zstd(tmp_path / "bin", f"[ -e {trial} ] || {{ touch {trial}; exec {REAL} -qc; }}\nexit 1", monkeypatch)

    def full(*_words: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_evidence_packing.tarfile, "open", full)
    with pytest.raises(OSError, match="No space left"):
        _evidence.run({**params, "compression": "auto"}, check_mode=False)
    assert not list((tmp_path / "work").iterdir())
