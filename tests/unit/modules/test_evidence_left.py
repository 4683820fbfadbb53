"""A bundle that nobody brought home goes with whatever is next done on the host: late enough, and nothing else with it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence, _evidence_place, _lift
from tests.unit.modules.collecting import Params

NAME = "incidentctl-evidence-INC-9-web1-0123abcd-k2v9x1q_"


@pytest.fixture
def work(params: Params, tmp_path: Path) -> Path:
    assert params
    return tmp_path / "work"


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_evidence_place, "_ABANDONED_S", 0.0)


def left(work: Path, name: str = NAME, file: str = "evidence.tar.zst") -> Path:
    folder = work / name
    folder.mkdir(mode=0o700)
    (folder / file).write_bytes(b"x")
    return folder


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("file", ["evidence.tar.gz", "evidence.tar.zst"])
def test_the_next_collection_removes_it_and_says_so(file: str, work: Path, params: Params) -> None:
    folder = left(work, file=file)
    answer = _evidence.run(params, check_mode=False)
    assert not folder.exists()
    assert Path(answer["bundle"]).exists()
    told = answer["incident"]["actions"][0]["summary"]
    assert told.endswith(f"removed 1 bundle of evidence that nobody brought home: {NAME}")
    assert answer["changed"] is False


@pytest.mark.usefixtures("late")
def test_the_next_lift_removes_it_and_says_so_but_not_where_it_only_looks_or_is_for_one_entry(
    work: Path, tmp_path: Path
) -> None:
    folder, asked = left(work), {"incident_id": "INC-9", "state_dir": str(tmp_path / "state")}
    looked = _lift.run(asked, check_mode=True)
    assert looked["incident"]["facts"]["bundles"] == [str(folder)]
    assert looked["changed"] is False
    assert "bundles" not in _lift.run({**asked, "incident_id": "INC-99"}, check_mode=True)["incident"]["facts"]
    _lift.run({**asked, "only": ["isolation/shop"]}, check_mode=False)
    assert folder.exists()
    answer = _lift.run({**asked, "incident_id": "INC-99"}, check_mode=False)
    assert not folder.exists()
    assert [row["outcome"] for row in answer["incident"]["actions"]] == ["unchanged", "done"]
    assert NAME in answer["incident"]["actions"][1]["summary"]
    assert [row["outcome"] for row in _lift.run(asked, check_mode=False)["incident"]["actions"]] == ["unchanged"]


def test_a_young_one_may_still_be_fetched(work: Path) -> None:
    folder = left(work)
    old = 1_600_000_000
    os.utime(folder / "evidence.tar.zst", (old, old))
    os.utime(folder, (old, old))  # anybody can write that
    assert _evidence_place.abandoned() == []
    assert (folder / "evidence.tar.zst").exists()


@pytest.mark.usefixtures("late")
def test_what_a_collection_writes_into_stays_for_as_long_as_it_does(work: Path, params: Params) -> None:
    with _evidence_place.work_folder("incidentctl-evidence-INC-9-", 1) as folder:
        (folder / "evidence.tar.gz").write_bytes(b"x")
        assert _evidence_place.abandoned() == []
        with _evidence_place.work_folder("incidentctl-evidence-INC-9-", 1) as second:  # the same incident and host
            assert (folder / "evidence.tar.gz").exists()
    assert sorted(_evidence_place.abandoned()) == sorted([folder.name, second.name])
    assert list(work.iterdir()) == []


def a_link(work: Path, precious: Path) -> Path:
    path = work / NAME
    path.symlink_to(precious)
    return path


def a_file(work: Path, _precious: Path) -> Path:
    path = work / NAME
    path.write_text("x")
    return path


def with_more_in_it(work: Path, precious: Path) -> Path:
    path = left(work)
    (path / "more").symlink_to(precious)
    return path


def a_bundle_that_is_a_folder(work: Path, precious: Path) -> Path:
    path = work / NAME
    path.mkdir()
    shutil.copytree(precious, path / "evidence.tar.gz")
    return path


def of_another_name(work: Path, _precious: Path) -> Path:
    return left(work, "incidentctl-evidence-of me\x1b[31m")


def of_somebody_else(work: Path, _precious: Path) -> Path:
    path = left(work)
    os.chown(path, 65534, -1)
    return path


def locked(work: Path, _precious: Path) -> Path:
    path = left(work)
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_SH)  # until the test ends
    return path


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(
    "lay_out",
    [a_link, a_file, with_more_in_it, a_bundle_that_is_a_folder, of_another_name, of_somebody_else, locked],
    ids=lambda each: each.__name__,
)
def test_what_is_no_bundle_of_ours_stays(lay_out: Callable[[Path, Path], Path], work: Path, tmp_path: Path) -> None:
    if lay_out is of_somebody_else and os.geteuid() != 0:
        pytest.skip("only root can lay out what is somebody else's")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "evidence.tar.gz").write_text("the only one")
    path = lay_out(work, precious)
    assert _evidence_place.abandoned() == []
    assert os.path.lexists(path)
    assert (precious / "evidence.tar.gz").read_text() == "the only one"


@pytest.mark.usefixtures("late")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_was_given_to_the_login_user_is_ours(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = left(work)
    os.chown(folder, 65534, -1)
    assert _evidence_place.abandoned("nobody") == [NAME]
    assert not folder.exists()
    folder = left(work)
    os.chown(folder, 65534, -1)
    monkeypatch.setenv("SUDO_USER", "nobody")
    assert _evidence_place.abandoned() == [NAME]
