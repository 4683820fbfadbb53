"""Who acts: who logged in, as the system knows it; what the environment says makes nobody another person."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from incidentctl import approval, identity

NAMES = {0: "root", 1000: "ann", 1001: "bob", 1100: "deploy"}


@pytest.mark.parametrize(
    ("login", "real", "sudo", "found"),
    [
        (1000, 1000, None, "ann"),
        (1000, 1000, "bob", "ann"),  # whoever sets a variable stays who they are
        (None, 1000, "bob", "ann"),
        (1000, 0, "ann", "ann"),  # sudo
        (1000, 0, None, "ann"),  # su, or a variable that was unset
        (1000, 0, "bob", "ann as bob"),  # root may be anybody, and is still who logged in
        (1000, 1100, "bob", "ann as deploy"),  # sudo -u deploy, su deploy
        (None, 0, "bob", "bob"),  # where the kernel knows nobody, sudo's word for root is the best there is
        (None, 0, "", "root"),
        (None, 0, None, "root"),
        (0, 0, None, "root"),
        (0, 0, "bob", "root as bob"),
        (4711, 4711, None, "4711"),
    ],
)
def test_who_it_is_the_login_says_and_sudo_only_to_root(
    login: int | None, real: int, sudo: str | None, found: str
) -> None:
    assert identity.who(login, real, sudo, lambda uid: NAMES.get(uid, str(uid))) == found


def test_a_person_is_who_logged_in_on_whatever_host_and_whoever_they_act_as() -> None:
    actors = ("ann@vm", "ann@other", "ann as deploy@vm", "ann as bob@vm", "ann")
    assert {approval.person(actor) for actor in actors} == {"ann"}


@pytest.mark.parametrize(("text", "uid"), [("1000", 1000), ("4294967295", None), ("", None), (None, None)])
def test_login_that_the_kernel_does_not_know_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, uid: int | None
) -> None:
    kept = tmp_path / "loginuid"
    if text is not None:
        kept.write_text(text)
    monkeypatch.setattr(identity, "_LOGIN", kept)
    assert identity._login_uid() == uid


def test_a_variable_of_the_environment_alone_makes_nobody_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is a real one of a user without privileges, where these tests are root."""
    monkeypatch.setattr(identity, "_LOGIN", tmp_path / "none")
    nobody = os.getuid() or pwd.getpwnam("nobody").pw_uid
    for name in ("SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "bob")
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        os.setuid(nobody)
        os.write(writes, identity.whoami().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 1000).decode() == f"{pwd.getpwuid(nobody).pw_name}@{socket.gethostname()}"
    os.close(reads)
    os.close(writes)
