"""Repositories of restic as sites have them, all on this machine: a folder, another host over sftp, a REST server.

The sshd and the REST server are real, listen on loopback alone, and end with the one who started them.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import packages
from tests.small_service import free_port

KINDS = ("local", "sftp", "rest")
REST_PASSWORD = "canary-of-the-rest-server"  # noqa: S105 - for the time of a test
_PACKAGES = {"restic": "restic", "rclone": "rclone", "sshd": "openssh-server", "sftp": "openssh-client"}
_NEEDS = {"local": ("restic",), "sftp": ("restic", "sshd", "sftp"), "rest": ("restic", "rclone")}
_SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""
_SSH = """\
Host 127.0.0.1
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
"""
_START_S = 60.0


class Repository(NamedTuple):
    """What the inventory says of a repository, the folder that it really is, and the PATH to reach it with."""

    said: str
    folder: Path
    path: str


def missing(kind: str) -> str:
    """Install what a kind of repository needs, where that can be done; say what is missing then, "" if nothing."""
    return packages.lacking({tool: _PACKAGES[tool] for tool in _NEEDS[kind]})


@contextmanager
def serving(kind: str, top: Path) -> Iterator[Repository]:
    """Give a repository of this kind below the folder `top`; it is not initialised."""
    top.mkdir()
    if kind == "sftp":
        with _sshd(top) as (port, path):
            where = f"sftp://{getpass.getuser()}@127.0.0.1:{port}/{top}/repository"
            yield Repository(where, top / "repository", path)
    elif kind == "rest":
        with _rest(top) as port:
            file = top / "address"
            file.write_text(f"rest:http://backup:{REST_PASSWORD}@127.0.0.1:{port}/repository/\n")
            file.chmod(0o600)
            yield Repository(f"file:{file}", top / "repository", os.environ["PATH"])
    else:
        yield Repository(str(top / "repository"), top / "repository", os.environ["PATH"])


@contextmanager
def _sshd(top: Path) -> Iterator[tuple[int, str]]:
    """Start an sshd with keys of its own; give its port, and the PATH on which ssh knows it."""
    port = free_port()
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(top / name)], check=True)
    (top / "known_hosts").write_text(f"[127.0.0.1]:{port} {(top / 'host_key.pub').read_text()}")
    (top / "sshd_config").write_text(_SSHD.format(port=port, folder=top))
    (top / "ssh_config").write_text(_SSH.format(folder=top))
    (top / "bin").mkdir()
    # What a host has in ~/.ssh/config, which ssh finds by the account, not by $HOME.
    (top / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {top}/ssh_config "$@"\n')
    (top / "bin" / "ssh").chmod(0o755)
    argv = [str(packages.find("sshd")), "-D", "-e", "-f", str(top / "sshd_config")]
    if os.geteuid() == 0:  # as root it wants /run/sshd: in a /run that is nobody else's
        start = 'mount -t tmpfs none /run && mkdir /run/sshd && exec "$@"'
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", start, "sh", *argv]
    with _server(argv, port, {}):
        yield port, f"{top / 'bin'}:{os.environ['PATH']}"


@contextmanager
def _rest(top: Path) -> Iterator[int]:
    port = free_port()
    argv = ["rclone", "--config", "", "serve", "restic", "--addr", f"127.0.0.1:{port}", str(top)]
    with _server(argv, port, {"RCLONE_USER": "backup", "RCLONE_PASS": REST_PASSWORD}):
        yield port


@contextmanager
def _server(argv: list[str], port: int, env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + _START_S
        while time.monotonic() < until and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{argv[0]} does not listen on port {port}")
        yield
    finally:
        process.terminate()
        process.wait()
