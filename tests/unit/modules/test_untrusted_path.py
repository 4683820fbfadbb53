"""What a path names on a hostile host: who may lead us elsewhere with a link, and who may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _untrusted_path
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def content(path: Path | str, follow: bool = False) -> bytes:
    with _untrusted_path.open_file(str(path), follow=follow) as stream:
        return stream.read()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file in a folder, and a link to that folder beside it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "app.log").write_text("the log")
    (tmp_path / "link").symlink_to("real")
    return tmp_path


def test_a_link_of_root_or_ours_in_a_folder_above_is_followed(place: Path) -> None:
    (place / "again").symlink_to(place / "link")
    (place / "root").symlink_to("/")
    assert content(place / "link" / "app.log") == b"the log"
    assert content(place / "again" / ".." / "real" / "." / "app.log") == b"the log"
    assert content(f"{place}/root{place}/link/app.log") == b"the log"


@only_root
def test_a_link_of_somebody_else_is_followed_only_to_what_is_theirs(place: Path) -> None:
    os.chown(place / "link", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(NotRegularError, match="does not belong to its owner"):
        content(place / "link" / "app.log")
    os.chown(place / "real", NOBODY, NOBODY)
    assert content(place / "link" / "app.log") == b"the log"


@only_root
@pytest.mark.parametrize("target", ["/", "link", "/proc/self/cwd"])
def test_a_link_of_somebody_else_does_not_get_further_by_way_of_another(target: str, place: Path) -> None:
    (place / "theirs").symlink_to(target)
    os.chown(place / "theirs", NOBODY, NOBODY, follow_symlinks=False)
    way = f"{place}/theirs{place}/real/app.log" if target == "/" else f"{place}/theirs/app.log"
    with pytest.raises(OSError, match="does not belong to its owner"):
        content(way)


def test_the_file_itself_may_be_a_link_only_where_that_is_said(place: Path) -> None:
    (place / "app.log").symlink_to(place / "link" / "app.log")
    with pytest.raises(NotRegularError, match="it is a symbolic link"):
        content(place / "app.log")
    assert content(place / "app.log", follow=True) == b"the log"


def test_links_in_a_circle_come_to_an_end(place: Path) -> None:
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    with pytest.raises(NotRegularError, match="no end"):
        content(place / "one" / "app.log")


@only_root
@pytest.mark.parametrize(("folder", "file", "refused"), [(NOBODY, 0, True), (NOBODY, NOBODY, False), (0, 1, False)])
def test_a_hard_link_in_a_folder_of_others_to_a_file_of_others_is_refused(
    folder: int, file: int, refused: bool, tmp_path: Path
) -> None:
    place = tmp_path / "theirs"
    place.mkdir(mode=0o755)
    (tmp_path / "secret").write_text("the secret")
    os.link(tmp_path / "secret", place / "app.log")
    os.chown(tmp_path / "secret", file, file)
    os.chown(place, folder, folder)
    if refused:
        with pytest.raises(NotRegularError, match="hard link"):
            content(place / "app.log")
    else:
        assert content(place / "app.log") == b"the secret"


@pytest.mark.parametrize("path", ["/proc/kmsg", "/proc/self/environ", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_what_the_kernel_makes_up_is_no_file(path: str) -> None:
    if not Path(path).exists():
        pytest.skip("this kernel does not have it")
    with pytest.raises(NotRegularError, match="on no disk"):
        content(path)


def test_nothing_stays_open(place: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (place / "link" / "app.log", place / "nowhere", place / "link", "relative", "/a\0b"):
        try:
            content(path)
        except OSError:
            continue
    with _untrusted_path.open_folder(str(place / "real")) as folder:
        assert [entry.name for entry in os.scandir(folder)] == ["app.log"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
