"""A bundle comes home as the host said that it is, or not at all: a hostile host writes nothing else here."""

from __future__ import annotations

import hashlib
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.plugin_utils._homecoming import (
    NotHomeError,
    bring,
    source_of,
)

CONTENT = b"a bundle" * 1000
SOURCE = "/var/tmp/incidentctl-evidence-INC-1-web1-0a1b2c3d-k2v9x1q_/evidence.tar.gz"  # noqa: S108 - on a host


def told(content: bytes = CONTENT, **other: Any) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "path": "/etc/passwd", **other}


def sends(content: bytes) -> Callable[[str, str], None]:
    def fetch(source: str, target: str) -> None:
        assert source == SOURCE
        Path(target).write_bytes(content)

    return fetch


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "evidence" / "web1" / "evidence-1.tar.gz"


def all_files(top: Path) -> list[Path]:
    return [path for path in top.rglob("*") if not path.is_dir()]


def test_what_came_is_told_as_it_is_here_and_only_we_may_read_it(target: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir(mode=0o755)
    assert bring(sends(CONTENT), SOURCE, target, told(), 10**6) == told(path=str(target))
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (target.parent, target.parent.parent)} == {0o700}
    assert all_files(tmp_path) == [target]


@pytest.mark.parametrize(
    ("came", "promise", "why"),
    [
        (CONTENT[:-1], told(), "7999 bytes came"),
        (CONTENT[:-1] + b"X", told(), "SHA-256"),
        (CONTENT, told(bytes=10**7), "the most it may have"),
        (CONTENT, told(bytes=0), "the most it may have"),
        (CONTENT, told(bytes=-1), "the most it may have"),
        (CONTENT, told(bytes="8000"), "how large"),
        (CONTENT, told(sha256="../../x"), "how large"),
        (CONTENT, None, "how large"),
        (CONTENT, [], "how large"),
    ],
)
def test_what_is_not_what_the_host_said_does_not_stay(
    came: bytes, promise: Any, why: str, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotHomeError, match=why):
        bring(sends(came), SOURCE, target, promise, 10**6)
    assert not all_files(tmp_path)


def test_a_host_that_sends_more_than_it_said_is_cut_off(target: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    def fetch(_source: str, part: str) -> None:
        try:
            sends(CONTENT + b"more")(SOURCE, part)
        finally:
            seen.append(Path(part).stat().st_size)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(OSError, match="too large"):
        bring(fetch, SOURCE, target, told(), 10**6)
    assert seen[0] <= len(CONTENT)
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
    assert not all_files(tmp_path)


def test_a_program_that_fetches_is_cut_off_too(target: Path, tmp_path: Path) -> None:
    def fetch(_source: str, part: str) -> None:
        subprocess.run(["dd", "if=/dev/zero", f"of={part}", "bs=4096", "count=1000"], check=False, capture_output=True)
        assert Path(part).stat().st_size == len(CONTENT)

    with pytest.raises(NotHomeError, match="SHA-256"):
        bring(fetch, SOURCE, target, told(), 10**6)
    assert not all_files(tmp_path)


def test_nothing_that_is_there_is_overwritten_or_followed(target: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    target.parent.mkdir(parents=True)
    target.symlink_to(outside / "precious")
    with pytest.raises(NotHomeError, match="there already"):
        bring(sends(CONTENT), SOURCE, target, told(), 10**6)
    target.unlink()
    target.with_name(f".{target.name}.part").symlink_to(outside / "precious")
    bring(sends(CONTENT), SOURCE, target, told(), 10**6)
    shutil.rmtree(target.parent)
    target.parent.symlink_to(outside)
    with pytest.raises(NotHomeError, match="is not a folder"):
        bring(sends(CONTENT), SOURCE, target, told(), 10**6)
    assert [path.read_text() for path in outside.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    "named",
    [
        "/etc/shadow",
        "/etc/evidence.tar.gz",
        "/var/tmp/../../etc/incidentctl-evidence-x/evidence.tar.gz",  # noqa: S108 - on a host
        "/var/tmp/incidentctl-evidence-x/../evidence.tar.gz",  # noqa: S108
        "/var/tmp/incidentctl-evidence-x;id/evidence.tar.gz",  # noqa: S108
        "/var/tmp/incidentctl-evidence-x/evidence.tar.gz\n",  # noqa: S108
        "incidentctl-evidence-x/evidence.tar.gz",
        "",
        None,
        7,
    ],
)
def test_a_host_cannot_name_another_file_to_be_fetched_and_removed(named: Any) -> None:
    with pytest.raises(NotHomeError, match="no bundle"):
        source_of(named)
    assert source_of(SOURCE) == SOURCE
