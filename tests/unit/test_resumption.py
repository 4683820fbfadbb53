"""A large bundle that was cut off is gone on with by the next collection, and never taken for a bundle before it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.incidentctl.response.plugins.plugin_utils import _resumption, _transfer
from ansible_collections.incidentctl.response.plugins.plugin_utils._homecoming import CutOffError, NotHomeError, bring

CONTENT = os.urandom(300_000)
CAME = 100_000
SOURCE = "/var/tmp/incidentctl-evidence-INC-1-web1-0a1b2c3d-k2v9x1q_/evidence.tar.gz"  # noqa: S108 - on a host
ARGUMENTS = {"host_name": "web1", "lines": 0, "dest": "/x/web1/e.tar.gz"}
WISH = _resumption.asked(ARGUMENTS)


def told(content: bytes = CONTENT) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "path": "/etc/passwd"}


def answer() -> dict[str, Any]:
    return {"bundle": SOURCE, "incident": {"files": [told()], "facts": {"members": 3}}, "invocation": {"secret": "x"}}


def note(part: Path) -> None:
    _resumption.write_note(part, WISH, answer())


def goes_on(content: bytes = CONTENT, most: int = 10**9) -> Callable[[str, str], None]:
    """Send as sftp -a does, from where the part ends; after `most` bytes the link is down."""

    def fetch(_source: str, part: str) -> None:
        with Path(part).open("ab") as stream:
            stream.write(content[stream.tell() : stream.tell() + most])
            if stream.tell() < len(content):
                raise CutOffError(stream.tell())

    return fetch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence" / "web1"


def cut_off(folder: Path, name: str = "evidence-1.tar.gz", fetch: Any = None) -> Path:
    with pytest.raises(CutOffError):
        bring(fetch or goes_on(most=CAME), SOURCE, folder / name, told(), 10**6, note)
    return folder / f".{name}.part"


def left(folder: Path, wish: str = WISH) -> _resumption.Left:
    found = _resumption.find(folder, wish)
    assert found is not None
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_came_stays_private_under_no_name_of_a_bundle_and_the_rest_makes_it_whole(folder: Path) -> None:
    part = cut_off(folder)
    assert part.read_bytes() == CONTENT[:CAME]
    assert names(folder) == {part.name, f"{part.name}.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "secret" not in _resumption.note_of(part).read_text()
    found = left(folder)
    assert (found.came, found.answer["incident"]["facts"], found.answer["bundle"]) == (CAME, {"members": 3}, SOURCE)
    sent: list[int] = []

    def fetch(source: str, path: str) -> None:
        sent.append(len(CONTENT) - Path(path).stat().st_size)
        goes_on()(source, path)

    came = bring(fetch, found.answer["bundle"], folder / "evidence-2.tar.gz", told(), 10**6, note, found)
    assert sent == [len(CONTENT) - CAME]
    assert came == {**told(), "path": str(folder / "evidence-2.tar.gz")}
    assert (folder / "evidence-2.tar.gz").read_bytes() == CONTENT
    assert names(folder) == {"evidence-2.tar.gz"}


def test_it_may_be_cut_off_again_and_is_as_old_as_it_was_first(folder: Path) -> None:
    cut_off(folder)
    for number in (2, 3):
        found = left(folder)
        began = found.at

        def again(part: Path, at: float = began) -> None:
            _resumption.write_note(part, WISH, answer(), at)

        target = folder / f"evidence-{number}.tar.gz"
        if number == 2:
            with pytest.raises(CutOffError):
                bring(goes_on(most=CAME), SOURCE, target, told(), 10**6, again, found)
            again_left = left(folder)
            assert again_left.at == began
            again_left.stream.close()
        else:
            assert found.came == 2 * CAME
            bring(goes_on(), SOURCE, target, told(), 10**6, again, found)
    assert names(folder) == {"evidence-3.tar.gz"}


def test_a_host_that_changes_the_file_in_between_is_caught_and_nothing_stays(folder: Path) -> None:
    cut_off(folder)
    other = bytes(CAME) + CONTENT[CAME + 1 :] + b"x"
    with pytest.raises(NotHomeError, match="SHA-256"):
        bring(goes_on(other), SOURCE, folder / "e.tar.gz", told(), 10**6, note, left(folder))
    assert names(folder) == set()


def test_a_part_that_was_changed_here_is_caught_too(folder: Path) -> None:
    part = cut_off(folder)
    part.write_bytes(b"x" + CONTENT[1:CAME])
    with pytest.raises(NotHomeError, match="SHA-256"):
        bring(goes_on(), SOURCE, folder / "e.tar.gz", told(), 10**6, note, left(folder))
    assert names(folder) == set()


def test_who_still_writes_to_what_was_left_does_not_write_to_the_bundle(folder: Path) -> None:
    """An sftp may outlive its killed Ansible."""
    with cut_off(folder).open("r+b") as orphan:
        bring(goes_on(), SOURCE, folder / "e.tar.gz", told(), 10**6, note, left(folder))
        orphan.write(b"something else")
    assert (folder / "e.tar.gz").read_bytes() == CONTENT


def test_what_was_to_be_cut_off_but_is_all_there_and_more_does_not_stay(folder: Path) -> None:
    with pytest.raises(OSError, match="too large"):
        bring(goes_on(CONTENT + b"more"), SOURCE, folder / "e.tar.gz", told(), 10**6, note)
    assert names(folder) == set()


def test_on_a_disk_without_room_for_the_rest_nothing_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=len(CONTENT) - CAME))

    def fetch(source: str, part: str) -> None:
        try:
            goes_on(most=CAME)(source, part)
        except CutOffError as error:
            raise error from BROKEN

    with pytest.raises(AnsibleError, match="sftp was killed"):
        bring(fetch, SOURCE, folder / "e.tar.gz", told(), 10**6, note)
    assert names(folder) == set()


def test_a_small_bundle_is_sent_anew(folder: Path) -> None:
    with pytest.raises(CutOffError):
        bring(goes_on(most=CAME), SOURCE, folder / "e.tar.gz", told(), 10**6)
    assert names(folder) == set()
    assert not _resumption.is_large({"bytes": _resumption.ABOVE})
    assert _resumption.is_large({"bytes": _resumption.ABOVE + 1})
    assert not _resumption.is_large({"bytes": "many"})
    assert not _resumption.is_large(None)


def test_who_is_killed_leaves_it_too(folder: Path) -> None:
    class TimeoutError(BaseException):
        pass

    def fetch(_source: str, part: str) -> None:
        Path(part).write_bytes(CONTENT[:CAME])
        raise TimeoutError

    with pytest.raises(TimeoutError):
        bring(fetch, SOURCE, folder / "evidence-1.tar.gz", told(), 10**6, note)
    found = left(folder)
    assert found.came == CAME
    found.stream.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda part: _resumption.note_of(part).unlink(),
        lambda part: _resumption.note_of(part).write_text("{"),
        lambda part: _resumption.note_of(part).write_text("[" * 100_000),
        lambda part: _resumption.note_of(part).write_text("7"),
        lambda part: changed(part, at=time.time() - 3601),
        lambda part: changed(part, at=time.time() + 3600),
        lambda part: changed(part, asked="something else"),
        lambda part: changed(part, bytes=CAME - 1),
        lambda part: part.write_bytes(b""),
        lambda part: (part.unlink(), part.symlink_to("/etc/passwd")),
        lambda part: (part.unlink(), os.mkfifo(part)),
        lambda part: part.unlink(),
    ],
    ids=[
        "no note", "no JSON", "JSON without end", "no mapping", "too old", "of the future", "another wish", "larger than said",
        "empty", "a link", "a FIFO", "a note alone",
    ],
)  # fmt: skip
def test_what_cannot_be_gone_on_with_is_removed(spoil: Callable[[Path], object], folder: Path) -> None:
    spoil(cut_off(folder))
    (folder / "evidence-0.tar.gz").write_bytes(b"a bundle")
    assert _resumption.find(folder, WISH) is None
    assert names(folder) == {"evidence-0.tar.gz"}
    assert Path("/etc/passwd").exists()


def changed(part: Path, **other: Any) -> None:
    path = _resumption.note_of(part)
    path.write_text(json.dumps({**json.loads(path.read_text()), **other}))


def test_of_several_the_most_is_gone_on_with_and_what_somebody_works_on_is_let_be(folder: Path) -> None:
    cut_off(folder, "evidence-1.tar.gz")
    cut_off(folder, "evidence-2.tar.gz", goes_on(most=CAME + 1))
    at_work = cut_off(folder, "evidence-3.tar.gz", goes_on(most=CAME + 2))
    with at_work.open("rb") as stream:
        assert _resumption.hold(stream.fileno())
        found = left(folder)
        assert found.came == CAME + 1
        found.stream.close()
        assert names(folder) == {f".evidence-{n}.tar.gz.part{end}" for n in (2, 3) for end in ("", ".json")}


def test_a_folder_that_is_a_link_is_not_looked_into(folder: Path, tmp_path: Path) -> None:
    part = cut_off(tmp_path / "elsewhere")
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert _resumption.find(folder, WISH) is None
    assert part.exists()


def test_a_wish_is_the_same_wherever_it_lands() -> None:
    assert _resumption.asked({**ARGUMENTS, "dest": "/y/web1/f.tar.gz"}) == WISH
    assert _resumption.asked({**ARGUMENTS, "lines": 1}) != WISH


GONE, BROKEN = AnsibleConnectionFailure("gone"), AnsibleError("sftp was killed")


class Connection:
    """A connection whose transfers end as they are told to: with so many bytes more, and an error or none."""

    def __init__(self, *transfers: tuple[int, Exception | None], transport: str = "ssh") -> None:
        self.transport = transport
        self.options = {"sftp_extra_args": "-v", "ssh_transfer_method": "smart"}
        self.used: list[tuple[str, str]] = []
        self._transfers = list(transfers)

    def get_option(self, name: str) -> str:
        return self.options[name]

    def set_option(self, name: str, value: str) -> None:
        self.options[name] = value

    def fetch_file(self, _source: str, part: str) -> None:
        self.used.append((self.options["sftp_extra_args"], self.options["ssh_transfer_method"]))
        size, error = self._transfers.pop(0)
        with Path(part).open("ab") as stream:
            stream.write(bytes(size))
        if error is not None:
            raise error


GOES_ON, ALWAYS = ("-v -a", "sftp"), ("-v", "smart")


@pytest.mark.parametrize(
    ("connection", "used", "raised"),
    [
        (Connection((9, None)), [GOES_ON], None),
        (Connection((9, GONE)), [GOES_ON], CutOffError),
        (Connection((9, BROKEN)), [GOES_ON], CutOffError),
        (Connection((0, BROKEN), (9, None)), [GOES_ON, ALWAYS], None),
        (Connection((0, GONE), (0, GONE)), [GOES_ON, ALWAYS], CutOffError),
        (Connection((0, BROKEN), (0, BROKEN)), [GOES_ON, ALWAYS], AnsibleError),
        (Connection((9, None), transport="local"), [ALWAYS], None),
    ],
    ids=["all", "link down", "sftp killed", "no sftp", "host gone", "file gone", "no ssh"],
)
def test_a_connection_goes_on_by_sftp_where_it_has_it(
    connection: Connection, used: list[tuple[str, str]], raised: type[Exception] | None, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"x")
    if raised is None:
        _transfer.fetch_on(connection, SOURCE, str(part))
    else:
        with pytest.raises(raised) as caught:
            _transfer.fetch_on(connection, SOURCE, str(part))
        assert raised is not CutOffError or caught.value.__cause__ in (GONE, BROKEN)
    assert connection.used == used
    assert connection.options == {"sftp_extra_args": "-v", "ssh_transfer_method": "smart"}
